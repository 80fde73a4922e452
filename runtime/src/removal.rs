//! Why an entry left a cache. Not here: who hears of it.

use std::fmt;

/// Why an entry left: what a removal listener is told. See [`Builder::on_remove`](crate::Builder::on_remove).
///
/// All but [`Dropped`](Self::Dropped) have a counter of the same name in [`TenantStats`](crate::TenantStats).
///
/// # Examples
///
/// ```
/// use larder_runtime::RemovalCause;
///
/// assert_eq!(RemovalCause::Evicted.to_string(), "evicted");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalCause {
    /// It made room under its own cache's bounds.
    Evicted,
    /// It made room for another tenant, for a trim, under a lower limit, or because memory is short.
    Reclaimed,
    /// It was too old, or had been idle for too long.
    Expired,
    /// The user removed it: by key, by a condition, or with everything.
    Invalidated,
    /// Its key was written again. The new value may have found no room.
    Replaced,
    /// Its cache is gone.
    Dropped,
}

impl RemovalCause {
    /// The word for it, in lowercase.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Reclaimed => "reclaimed",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
            Self::Replaced => "replaced",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for RemovalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
