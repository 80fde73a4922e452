//! url: one string, and where its parts begin.

use url::{Host, Origin, Url};

use crate::weight::Weigh;
use crate::weight::allocator::block;

/// By its length. What parsing had to add (a slash after the host, an escaped character) may have made the
/// buffer twice as large; a clone is as long as the text again.
impl Weigh for Url {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        block(self.as_str().len())
    }
}

impl<S: Weigh> Weigh for Host<S> {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        match self {
            Self::Domain(name) => name.heap_bytes(),
            Self::Ipv4(_) | Self::Ipv6(_) => 0,
        }
    }
    #[inline]
    fn owns_heap() -> bool {
        S::owns_heap()
    }
}

impl Weigh for Origin {
    #[inline]
    fn heap_bytes(&self) -> u64 {
        match self {
            Self::Opaque(_) => 0,
            Self::Tuple(scheme, host, _) => scheme.heap_bytes() + host.heap_bytes(),
        }
    }
}
