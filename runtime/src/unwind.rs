//! Work that is done to its end although parts of it panic, and what becomes of what they throw.

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
                // One is all that can go on.
                Some(_) => discard(thrown),
            }
        }
    }
    match first {
        // A second panic in a drop ends the process, and the first one says as much.
        Some(thrown) if std::thread::panicking() => discard(thrown),
        Some(thrown) => resume_unwind(thrown),
        None => {}
    }
}

/// Drops what a caught panic has thrown, if that is a text, as it nearly always is. A user's own value may panic in turn when
/// it is dropped, or do what must not be done here: it is kept for ever.
pub(crate) fn discard(thrown: Box<dyn Any + Send>) {
    if thrown.is::<&'static str>() || thrown.is::<String>() {
        drop(thrown);
    } else {
        std::mem::forget(thrown);
    }
}
