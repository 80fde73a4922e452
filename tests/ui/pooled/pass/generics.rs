//! A generic type has a pool for each instance.
#![deny(warnings, missing_docs)]

use std::fmt::Debug;

use larder::pooled;

#[pooled(reset = Self::clear)]
#[derive(Default)]
struct Stack<T> {
    items: Vec<T>,
}

impl<T> Stack<T> {
    fn clear(&mut self) {
        self.items.clear();
        self.items.reserve(4);
    }
}

#[pooled(new = Self::new)]
struct Block<T: Copy + Default + Debug, const N: usize>
where
    T: Send + 'static,
{
    cells: [T; N],
}

impl<T: Copy + Default + Debug + Send + 'static, const N: usize> Block<T, N> {
    fn new() -> Self {
        Self { cells: [T::default(); N] }
    }
}

fn main() {
    Stack::<u8>::acquire().items.push(1);
    Stack::<String>::acquire().items.push("a".to_owned());
    assert!(Stack::<u8>::acquire().items.capacity() >= 4);
    assert_eq!(Block::<u8, 2>::acquire().cells, [0; 2]);
    assert_eq!(Block::<u8, 3>::acquire().cells, [0; 3]);
}
