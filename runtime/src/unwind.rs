//! Work that is done to its end although parts of it panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Calls `each` with every item, also after a call that panicked; the first panic goes on when all is done.
///
/// What has to hold after a call that panicked, `each` sees to before.
pub(crate) fn each_to_the_end<T>(items: impl IntoIterator<Item = T>, mut each: impl FnMut(T)) {
    let mut first: Option<Box<dyn Any + Send>> = None;
    for item in items {
        if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| each(item))) {
            match &first {
                None => first = Some(thrown),
                // One is all that can go on, and what was thrown may panic in turn when it is dropped.
                Some(_) => std::mem::forget(thrown),
            }
        }
    }
    match first {
        // A second panic in a drop ends the process, and the first one says as much.
        Some(thrown) if std::thread::panicking() => std::mem::forget(thrown),
        Some(thrown) => resume_unwind(thrown),
        None => {}
    }
}
