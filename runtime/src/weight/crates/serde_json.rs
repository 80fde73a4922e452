//! serde_json: values, and what its own features change about them.
//!
//! Any crate of the program may turn `preserve_order` or `arbitrary_precision` on, and nobody else is told. But
//! the types change in size, and that can be asked.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde_json::{Map, Number, Value};

use crate::weight::allocator::block;
use crate::weight::std_types::each_pair;
use crate::weight::{Weigh, layout};

/// Whether maps keep the order of insertion: then they are index maps.
const KEEPS_ORDER: bool = size_of::<Map<String, Value>>() != size_of::<BTreeMap<String, Value>>();

impl Weigh for Value {
    fn heap_bytes(&self) -> u64 {
        match self {
            Self::Null | Self::Bool(_) => 0,
            Self::Number(number) => number.heap_bytes(),
            Self::String(text) => text.heap_bytes(),
            Self::Array(values) => values.heap_bytes(),
            Self::Object(map) => map.heap_bytes(),
        }
    }
}

/// As large as a map that was filled one by one; after many removals it may be larger.
impl Weigh for Map<String, Value> {
    fn heap_bytes(&self) -> u64 {
        let own = if KEEPS_ORDER {
            layout::index_map::<String, Value>(layout::table_capacity(self.len()))
        } else {
            layout::b_tree::<String, Value>(self.len(), self.keys())
        };
        own + each_pair(self)
    }
}

/// Owns heap only with `arbitrary_precision`, which keeps it as text.
impl Weigh for Number {
    fn heap_bytes(&self) -> u64 {
        if !Self::owns_heap() {
            return 0;
        }
        let mut length = Length(0);
        // Neither a number nor a counter fails to be written.
        let _ = write!(length, "{self}");
        block(length.0)
    }
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}
