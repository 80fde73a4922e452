//! Which directory a tier is in, where its own settings leave that open.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use larder_runtime::StoreError;

/// The variable that names the directory, unless a tier names another.
pub(crate) const VARIABLE: &str = "LARDER_DISK";

static PATH: RwLock<Option<PathBuf>> = RwLock::new(None);

/// Says where the tiers of this process are that do not say so themselves. Goes before the environment, and holds for
/// caches that are made from then on: annotated functions make theirs at the first call.
pub fn set_path(path: impl Into<PathBuf>) {
    *PATH.write().unwrap_or_else(PoisonError::into_inner) = Some(path.into());
}

/// Code, then the environment, then what stands at the function.
pub(crate) fn find(
    own: Option<&Path>,
    variable: Option<&str>,
    written: Option<&Path>,
) -> Result<PathBuf, StoreError> {
    let said = || PATH.read().unwrap_or_else(PoisonError::into_inner).clone();
    let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    own.map(Path::to_owned)
        .or_else(said)
        .or_else(|| of(variable?))
        .or_else(|| of(VARIABLE))
        .or_else(|| written.map(Path::to_owned))
        .ok_or(StoreError::NoPath)
}
