//! Pools of annotated types where there are several of one item: one for each set of types, or for each thread. They touch
//! the process's own domain, so this file is a process of its own; each test has types of its own, and looks at the
//! process's statistics only by their names.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Mutex;
use std::thread;

use larder::{AcquireError, Pooled, TenantStats, Weigh, pooled};

/// What the table says of the tenants of this name.
fn rows(name: &str) -> Vec<TenantStats> {
    let tenants = larder::stats().tenants.into_iter();
    tenants
        .filter(|tenant| tenant.name.ends_with(name) || tenant.name.contains(&format!("{name}#")))
        .collect()
}

/// Ticks and clears reach all pools of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn instances_of_a_generic_type_are_one_tenant_with_one_bound_of_bytes() {
    #[derive(Weigh)]
    #[pooled(max_mb = 1, new = Self::new)]
    struct Block<T: Default + Clone + Weigh + Send + 'static>(Vec<T>);

    impl<T: Default + Clone + Weigh + Send + 'static> Block<T> {
        fn new() -> Self {
            Self(vec![T::default(); 300_000 / size_of::<T>()])
        }
    }

    let _alone = ALONE.lock();
    drop([Block::<u8>::acquire(), Block::<u8>::acquire()]);
    drop(Block::<u32>::acquire());
    let all = rows("Block");
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0].entries, all[0].leased, all[0].loads), (3, 0, 3));
    assert!(all[0].bytes > 900_000, "{all:?}");
    assert_eq!((Block::<u8>::pool().idle(), Block::<u32>::pool().idle()), (2, 1));
    // The bound is that of both: one of the others makes way.
    let more = [Block::<u32>::acquire(), Block::<u32>::acquire()];
    assert_eq!((Block::<u8>::pool().idle(), Block::<u32>::pool().idle()), (1, 0));
    assert_eq!(Block::<u8>::pool().stats().evictions, 1);
    drop(more);
    // Objects of one never turn up in the other.
    assert!(Block::<u8>::acquire().0.len() == 300_000 && Block::<u32>::acquire().0.len() == 75_000);
    larder::clear_all();
    assert_eq!((Block::<u8>::pool().idle(), Block::<u32>::pool().idle()), (0, 0));
}

/// Shares a count with others of its thread.
#[pooled(scope = "thread", max_idle = 4, new = Self::new, reset = Self::clear)]
struct Tree {
    nodes: Rc<Cell<u32>>,
}

impl Tree {
    fn new() -> Self {
        Self { nodes: Rc::new(Cell::new(0)) }
    }

    fn clear(&mut self) {
        self.nodes.set(0);
    }
}

#[test]
fn objects_that_may_not_leave_their_thread_are_pooled_there() {
    let _alone = ALONE.lock();
    let address = |tree: &Pooled<Tree>| Rc::as_ptr(&tree.nodes).addr();
    let tree = Tree::acquire();
    tree.nodes.set(5);
    let here = address(&tree);
    drop(tree);
    let again = Tree::acquire();
    assert_eq!((again.nodes.get(), address(&again)), (0, here), "the same one, as good as new");
    drop(again);
    thread::spawn(|| {
        assert_eq!(Tree::pool().idle(), 0, "another thread has its own");
        drop([Tree::acquire(), Tree::acquire()]);
        assert_eq!(Tree::pool().idle(), 2);
        let all = rows("Tree");
        assert_eq!(all.len(), 1, "one tenant: {all:?}");
        assert_eq!((all[0].entries, all[0].loads), (3, 3));
    })
    .join()
    .unwrap();
    let all = rows("Tree");
    assert_eq!((all[0].entries, all[0].leased), (1, 0), "the other thread's went with it");
    assert_eq!(Tree::pool().idle(), 1);
}

#[test]
fn a_pool_of_one_thread_does_what_others_ask_at_its_next_operation() {
    #[pooled(scope = "thread")]
    #[derive(Default)]
    struct Notes(Rc<()>);

    let _alone = ALONE.lock();
    let kept = Notes::acquire();
    drop([Notes::acquire(), Notes::acquire()]);
    let witness = Rc::downgrade(&kept.0);
    thread::spawn(larder::clear_all).join().unwrap();
    assert_eq!(rows("Notes")[0].entries, 3, "nobody else touches them");
    let another = Notes::acquire();
    assert_eq!((rows("Notes")[0].entries, rows("Notes")[0].invalidations), (2, 2));
    drop((kept, another));
    assert_eq!((Notes::pool().idle(), witness.strong_count()), (2, 1));
}

#[test]
fn a_lease_that_outlives_its_threads_pool_is_dropped() {
    #[pooled(scope = "thread")]
    #[derive(Default)]
    struct Late(PhantomData<Rc<()>>);

    struct Holder(Cell<Option<Pooled<Late>>>);
    impl Drop for Holder {
        fn drop(&mut self) {
            // The thread's pools may be gone by now; an acquire works all the same.
            drop(Late::acquire());
            drop(self.0.take());
        }
    }
    thread_local! {
        static HOLDER: Holder = const { Holder(Cell::new(None)) };
    }

    let _alone = ALONE.lock();
    for before in [true, false] {
        thread::spawn(move || {
            if before {
                HOLDER.with(|_| ());
            }
            let lease = Late::acquire();
            HOLDER.with(|holder| holder.0.set(Some(lease)));
        })
        .join()
        .unwrap();
    }
    let all = rows("Late");
    assert_eq!((all.len(), all[0].entries, all[0].leased), (1, 0, 0), "{all:?}");
}

#[test]
fn bounds_of_a_pool_of_one_thread_are_each_threads_own() {
    #[pooled(scope = "thread", max = 1, on_exhausted = fail)]
    #[derive(Default)]
    struct Only(PhantomData<Rc<()>>);

    let _alone = ALONE.lock();
    let held = Only::try_acquire().unwrap();
    assert!(matches!(Only::try_acquire(), Err(AcquireError::Exhausted { max: 1, .. })));
    thread::spawn(|| assert!(Only::try_acquire().is_ok())).join().unwrap();
    drop(held);
    assert!(Only::try_acquire().is_ok());
}

#[test]
fn generic_types_of_one_thread_have_a_pool_for_each_set_of_types() {
    #[pooled(scope = "thread")]
    #[derive(Default)]
    struct Pair<T: Default>(PhantomData<Rc<T>>);

    let _alone = ALONE.lock();
    drop([Pair::<u8>::acquire(), Pair::<u8>::acquire()]);
    drop(Pair::<u16>::acquire());
    assert_eq!((Pair::<u8>::pool().idle(), Pair::<u16>::pool().idle()), (2, 1));
    assert_eq!((rows("Pair").len(), rows("Pair")[0].entries), (1, 3));
}

#[test]
fn a_test_scope_has_twins_of_pools_of_one_thread() {
    #[pooled(scope = "thread")]
    #[derive(Default)]
    struct Apart(PhantomData<Rc<()>>);

    let _alone = ALONE.lock();
    drop(Apart::acquire());
    assert_eq!(Apart::pool().idle(), 1);
    {
        let _scope = larder::testing::isolated();
        assert_eq!(Apart::pool().idle(), 0);
        drop([Apart::acquire(), Apart::acquire()]);
        assert_eq!(Apart::pool().idle(), 2);
    }
    assert_eq!(Apart::pool().idle(), 1);
    let _scope = larder::testing::bypassed();
    drop(Apart::acquire());
    assert_eq!(Apart::pool().stats().entries, 0);
}
