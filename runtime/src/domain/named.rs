//! Domains that go by a name, for whoever can say no more than that: an attribute, a configuration.
//!
//! What stands behind a name, such as a device, is for higher layers to know.

#[cfg(feature = "device")]
mod entering;

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "device")]
pub(crate) use entering::{Behind, enter, leave, turn};

use super::Domain;
use crate::arrange::sort_by;
use crate::sync::RwLock;

/// A name, and what it stands for.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    pub(crate) domain: Arc<Domain>,
    #[cfg(feature = "device")]
    pub(crate) behind: Arc<dyn Behind>,
}

static NAMED: RwLock<Vec<Named>> = RwLock::new(Vec::new());
/// What goes by this name.
pub(crate) fn find(name: &str) -> Option<Named> {
    NAMED.read().iter().find(|named| *named.name == *name).cloned()
}

/// All names, in their order.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = NAMED.read().iter().map(|named| named.name.to_string()).collect();
    sort_by(&mut names, Ord::cmp);
    names
}

/// Says that nothing goes by this name, and what there is.
pub(crate) fn write_missing(f: &mut fmt::Formatter<'_>, name: &str, registered: &[String]) -> fmt::Result {
    write!(f, "no device is registered as `{name}`: call `register` on one of that name before")?;
    for (at, name) in registered.iter().enumerate() {
        write!(f, "{} `{name}`", if at == 0 { "; there is" } else { "," })?;
    }
    Ok(())
}
