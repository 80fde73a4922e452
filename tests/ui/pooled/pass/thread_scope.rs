//! Objects that stay on their thread: they need not be `Send`.
#![deny(warnings, missing_docs)]

use std::cell::RefCell;
use std::rc::Rc;

use larder::pooled;

/// Has no `Send`.
#[pooled(scope = "thread", max = 8, reset = Self::clear)]
#[derive(Default)]
pub struct Tree {
    nodes: Rc<RefCell<Vec<u32>>>,
}

impl Tree {
    fn clear(&mut self) {
        self.nodes.borrow_mut().clear();
    }
}

#[pooled(scope = "thread", try_new = Self::open)]
struct File<T: Default>(Rc<T>);

impl<T: Default> File<T> {
    fn open() -> Result<Self, std::io::Error> {
        Ok(Self(Rc::default()))
    }
}

#[pooled(scope = "global")]
#[derive(Default)]
struct Shared;

fn main() {
    Tree::acquire().nodes.borrow_mut().push(1);
    assert!(Tree::acquire().nodes.borrow().is_empty());
    assert_eq!(Tree::pool().idle(), 1);
    assert_eq!(*File::<u8>::try_acquire().unwrap().0, 0);
    std::thread::spawn(|| drop(Tree::acquire())).join().unwrap();
    let _ = std::thread::spawn(|| Shared::acquire()).join();
}
