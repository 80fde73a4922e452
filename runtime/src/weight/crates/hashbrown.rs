//! hashbrown: the tables that std's maps are made of.

use hashbrown::{HashMap, HashSet, HashTable};

use crate::weight::std_types::{each, each_pair};
use crate::weight::{Weigh, layout};

/// Exact but for tables from which much was removed, which may be larger than they say.
///
/// This is intentional: the exact size is told only of keys that can be hashed, and the bounds would spread to
/// every type that holds a map.
impl<K: Weigh, V: Weigh, S> Weigh for HashMap<K, V, S> {
    fn heap_bytes(&self) -> u64 {
        layout::hash_table::<(K, V)>(self.capacity()) + each_pair(self)
    }
}

/// Exact but for tables from which much was removed, which may be larger than they say.
impl<T: Weigh, S> Weigh for HashSet<T, S> {
    fn heap_bytes(&self) -> u64 {
        layout::hash_table::<T>(self.capacity()) + each(self)
    }
}

impl<T: Weigh> Weigh for HashTable<T> {
    fn heap_bytes(&self) -> u64 {
        layout::table_block::<T>(self.allocation_size()) + each(self)
    }
}
