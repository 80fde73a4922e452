//! indexmap: entries in a row, and a table of their indices.
//!
//! Both are as large as they can hold entries together, unless one was asked to be larger.

use indexmap::{IndexMap, IndexSet};

use crate::weight::std_types::{each, each_pair};
use crate::weight::{Weigh, layout};

impl<K: Weigh, V: Weigh, S> Weigh for IndexMap<K, V, S> {
    fn heap_bytes(&self) -> u64 {
        layout::index_map::<K, V>(self.capacity()) + each_pair(self)
    }
}

impl<T: Weigh, S> Weigh for IndexSet<T, S> {
    fn heap_bytes(&self) -> u64 {
        layout::index_map::<T, ()>(self.capacity()) + each(self)
    }
}
