//! Ends: threads that leave with something in their hands, code that runs after a thread's locals or after `main` is
//! gone, and children of `fork`. Every case of the last two runs in a process of its own, which this program starts
//! again for it.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use larder::{Cache, Domain, Pooled, cached, pooled, testing::ManualClock};
use larder_tests::patience;

#[cached]
fn squared(n: u64) -> u64 {
    n * n
}

#[cached]
fn text(n: u64) -> String {
    format!("number {n}")
}

#[pooled]
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
}

/// Runs one case in a process of its own; it must end by itself, with success.
#[track_caller]
fn in_a_process(case: &str) {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args([case, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + patience();
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("stuck: {case}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case}: {}\n{said}", output.status);
    assert!(said.contains("the case ran"), "{case} did nothing\n{said}");
}

/// Shows that the case was there and ran.
fn ran() {
    println!("the case ran");
}

#[test]
fn threads_that_end_holding_nothing() {
    let before = squared_cache().stats().hits;
    for n in 0..50 {
        std::thread::spawn(move || assert_eq!(squared(n) + squared(n), 2 * n * n)).join().unwrap();
    }
    assert!(squared_cache().stats().hits >= before + 50, "what ended threads counted is kept");
}

#[test]
fn threads_that_end_holding_leases_and_values() {
    thread_local! {
        static LEASE: std::cell::RefCell<Option<Pooled<Buffer>>> = const { std::cell::RefCell::new(None) };
        static VALUE: std::cell::RefCell<Option<String>> = const { std::cell::RefCell::new(None) };
    }
    let leased = Buffer::pool().leased();
    for n in 0..50 {
        std::thread::spawn(move || {
            LEASE.with_borrow_mut(|lease| lease.insert(Buffer::acquire()).bytes.push(1));
            VALUE.set(Some(text(n % 3)));
        })
        .join()
        .unwrap();
    }
    assert_eq!(Buffer::pool().leased(), leased, "leases came back when their threads ended");
    assert!(Buffer::pool().idle() >= 1);
    let lease = std::thread::spawn(Buffer::acquire).join().unwrap();
    assert_eq!(Buffer::pool().leased(), leased + 1, "one that was handed on outlives its thread");
    drop(lease);
}

/// What the destructor of a thread-local saw.
static SEEN: AtomicU64 = AtomicU64::new(0);

/// Calls cached functions, and pools, when its thread's locals are being destroyed.
struct Late;

impl Drop for Late {
    fn drop(&mut self) {
        let _scope = larder::testing::isolated();
        drop(_scope);
        let mut buffer = Buffer::acquire();
        buffer.bytes.clear();
        let nested = Cache::<u64, u64>::builder("late").build().unwrap();
        let sum = squared(12) + text(4).len() as u64 + nested.get_or_insert_with(1, || squared(5));
        SEEN.fetch_add(sum, Ordering::SeqCst);
        drop(buffer);
        assert!(larder::stats().tenants.len() >= 3);
    }
}

#[test]
fn a_thread_local_that_calls_when_larders_own_are_gone() {
    thread_local! {
        static BEFORE: Late = const { Late };
    }
    SEEN.store(0, Ordering::SeqCst);
    // Locals are destroyed in the order of their first use, or against it: one of each.
    std::thread::spawn(|| {
        BEFORE.with(|_| ());
        let _ = (squared(1), text(1));
        drop(Buffer::acquire());
    })
    .join()
    .unwrap();
    std::thread::spawn(|| {
        let _ = (squared(1), text(1));
        drop(Buffer::acquire());
        BEFORE.with(|_| ());
    })
    .join()
    .unwrap();
    assert_eq!(SEEN.load(Ordering::SeqCst), 2 * (144 + 8 + 25));
}

#[test]
fn a_leader_whose_thread_ends_by_a_panic_leaves_its_waiters_a_turn() {
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    let cache = Cache::<u64, u64>::builder("led").build_in(&domain).unwrap();
    let (leads, lead) = mpsc::channel();
    let (waits, waited) = mpsc::channel::<()>();
    let leader = {
        let cache = cache.clone();
        std::thread::spawn(move || {
            cache.get_or_insert_with(1, || {
                leads.send(()).unwrap();
                waited.recv().unwrap();
                std::panic::resume_unwind(Box::new("on purpose"))
            })
        })
    };
    lead.recv().unwrap();
    let waiter = {
        let cache = cache.clone();
        std::thread::spawn(move || cache.get_or_insert_with(1, || 7))
    };
    while cache.stats().waits == 0 {
        std::thread::yield_now();
    }
    waits.send(()).unwrap();
    assert!(leader.join().is_err());
    assert_eq!(waiter.join().unwrap(), 7);
}

#[test]
fn the_process_ends_while_threads_lead_wait_and_hold() {
    in_a_process("case_the_process_ends_while_threads_lead_wait_and_hold");
}

#[test]
#[ignore = "run by the test of its name, in a process of its own"]
fn case_the_process_ends_while_threads_lead_wait_and_hold() {
    let cache = Cache::<u64, u64>::builder("led").build().unwrap();
    let ready = Arc::new(Barrier::new(4));
    for key in [1, 1, 2] {
        let (cache, ready) = (cache.clone(), Arc::clone(&ready));
        std::thread::spawn(move || {
            let _lease = Buffer::acquire();
            ready.wait();
            cache.get_or_insert_with(key, || {
                loop {
                    std::thread::park();
                }
            })
        });
    }
    ready.wait();
    while cache.stats().waits == 0 {
        std::thread::yield_now();
    }
    ran();
    // `exit` runs what `atexit` knows and destroys this thread's locals, with the others still at it.
    std::process::exit(0);
}

#[test]
#[cfg(unix)]
fn a_handler_at_exit_calls() {
    in_a_process("case_a_handler_at_exit_calls");
}

#[test]
#[cfg(unix)]
#[ignore = "run by the test of its name, in a process of its own"]
fn case_a_handler_at_exit_calls() {
    extern "C" fn at_exit() {
        let value = squared(9) + squared(10) + text(2).len() as u64;
        drop(Buffer::acquire());
        larder::tick();
        larder::clear_all();
        let listed = larder::stats().tenants.len();
        if (value, listed) != (81 + 100 + 8, 3) {
            std::process::abort();
        }
        ran();
    }
    // SAFETY: the handler is a function of this program and does not unwind: what it calls does not panic, and a
    // panic across this boundary aborts, which fails the case.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    assert_eq!(squared(9), 81);
    // From another thread, whose locals go; the main thread's go later than the handlers are called.
    std::thread::spawn(|| {
        let _ = text(2);
        std::process::exit(0)
    })
    .join()
    .unwrap();
}

#[test]
#[cfg(unix)]
fn a_child_looks_up_and_ticks_while_the_parents_threads_were_busy() {
    in_a_process("case_a_child_looks_up_and_ticks_while_the_parents_threads_were_busy");
}

#[test]
#[cfg(unix)]
#[ignore = "run by the test of its name, in a process of its own"]
fn case_a_child_looks_up_and_ticks_while_the_parents_threads_were_busy() {
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(1 << 18).clock(clock.clone()).manual().build();
    // One shard, so that a fork often finds its lock held.
    let cache = Cache::<u64, Vec<u8>>::builder("busy")
        .max_entries(64)
        .ttl(Duration::from_secs(1))
        .build_in(&domain)
        .unwrap();
    for n in 0..64 {
        let _ = (squared(n), text(n));
        cache.insert(n, vec![1; 100]);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let (cache, stop) = (cache.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut n = thread;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    cache.insert(n % 64, vec![2; 2000]);
                    squared_cache().insert(n % 64, (n % 64) * (n % 64));
                    let _ = (cache.get(n % 64), text(n % 64));
                    cache.invalidate(n % 7);
                }
            })
        })
        .collect();
    for round in 0..200 {
        // SAFETY: the child does look-ups and ticks, which is what this test is about, and ends by `_exit`.
        match unsafe { libc::fork() } {
            -1 => panic!("no child: {}", std::io::Error::last_os_error()),
            0 => {
                // A child that hangs is killed by this, and its parent sees that.
                // SAFETY: asks the system for a signal later.
                unsafe { libc::alarm(20) };
                let right = (0..64).all(|n| {
                    squared_cache().get(n).is_none_or(|value| value == n * n)
                        && cache.get(n).is_none_or(|value| value.len() >= 100)
                        && cache.peek(n).is_none_or(|value| value.len() >= 100)
                        && text_cache().get(n).is_none_or(|value| value == format!("number {n}"))
                });
                clock.advance(Duration::from_secs(1));
                domain.tick();
                larder::tick();
                let expired = (0..64).all(|n| cache.get(n).is_none());
                // SAFETY: ends the child without running what belongs to the parent.
                unsafe { libc::_exit(i32::from(!(right && expired))) }
            }
            child => {
                let mut status = 0;
                // SAFETY: `status` is ours; `child` is the process that was just made.
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                assert_eq!(status, 0, "the child of round {round}");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    ran();
}

#[test]
#[cfg(unix)]
fn a_child_of_one_thread_works_as_ever() {
    in_a_process("case_a_child_of_one_thread_works_as_ever");
}

#[test]
#[cfg(unix)]
#[ignore = "run by the test of its name, in a process of its own"]
fn case_a_child_of_one_thread_works_as_ever() {
    let domain = Domain::builder().limit_bytes(1 << 18).manual().build();
    let cache = Cache::<u64, Vec<u8>>::builder("quiet").build_in(&domain).unwrap();
    cache.insert(1, vec![1; 100]);
    // SAFETY: nothing else uses larder in this process: the test harness waits.
    match unsafe { libc::fork() } {
        -1 => panic!("no child: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: as above.
            unsafe { libc::alarm(20) };
            let mut right = cache.get(1).is_some();
            for n in 0..1000 {
                right &= cache.get_or_insert_with(n, || vec![2; 400]).len() >= 100;
            }
            right &= cache.invalidate(999) && !domain.trim(10_000).by_tenant.is_empty();
            right &= domain.budget().used() <= domain.budget().limit();
            right &= squared(3) == 9 && squared_cache().get(3) == Some(9);
            right &= larder::shutdown(Duration::from_secs(60)).is_ok();
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(!right)) }
        }
        child => {
            let mut status = 0;
            // SAFETY: as above.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
    ran();
}

#[test]
#[cfg(all(unix, feature = "device"))]
fn a_child_leaves_the_buffers_of_its_parents_devices_alone() {
    in_a_process("case_a_child_leaves_the_buffers_of_its_parents_devices_alone");
}

#[test]
#[cfg(all(unix, feature = "device"))]
#[ignore = "run by the test of its name, in a process of its own"]
fn case_a_child_leaves_the_buffers_of_its_parents_devices_alone() {
    use larder::device::{Device, DeviceError, DeviceKind};
    use larder::testing::{SimDevice, SimUsage};
    let host = Domain::builder().limit_bytes(64 << 20).manual().build();
    let open = || {
        // Its memory is the host's, so that the host could ask for it.
        let sim = SimDevice::builder().kind(DeviceKind::Integrated).build();
        let device = Device::builder("gpu:0", sim.clone()).limit_mb(16).manual().build_in(&host).unwrap();
        (sim, device)
    };
    let (sim, device) = open();
    let pool = device.pool("buffers").build().unwrap();
    let stream = sim.order();
    let lease = || pool.acquire(1 << 20, SimUsage::Storage, &stream).unwrap();
    let [lent, kept, idle] = [lease(), lease(), lease()];
    let resident = kept.into_resident();
    drop(idle);
    sim.finish();
    // SAFETY: nothing else uses larder in this process: the test harness waits.
    match unsafe { libc::fork() } {
        -1 => panic!("no child: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: as above.
            unsafe { libc::alarm(20) };
            let refused = pool.acquire(1, SimUsage::Storage, &stream);
            let is_lost = matches!(refused, Err(DeviceError::Lost { .. })) && device.is_lost();
            let is_unused = lent.use_on(&sim.order()).is_err();
            let trimmed = (device.trim(u64::MAX), pool.clear());
            let _ = host.trim(u64::MAX);
            device.domain().tick();
            host.tick();
            drop((lent, resident, pool, device));
            let is_left_alone =
                trimmed == (0, 0) && (sim.discards(), sim.live(), sim.hazards().len()) == (0, 3, 0);
            // One that the child opens itself is as good as any.
            let (own, device) = open();
            let pool = device.pool("buffers").build().unwrap();
            drop(pool.acquire(1 << 20, SimUsage::Storage, &own.order()).unwrap());
            own.finish();
            let is_good = device.trim(u64::MAX) >= 1 << 20 && own.live() == 0;
            let wrong = [is_lost, is_unused, is_left_alone, is_good].iter().position(|right| !right);
            // SAFETY: as above.
            unsafe { libc::_exit(wrong.map_or(0, |at| 1 + at as i32)) }
        }
        child => {
            let mut status = 0;
            // SAFETY: as above.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(libc::WEXITSTATUS(status), 0, "the first that is wrong");
            assert_eq!(status, 0);
        }
    }
    // The parent's are as they were.
    drop((lent, resident));
    sim.finish();
    assert!(device.trim(u64::MAX) >= 3 << 20 && sim.live() == 0);
    ran();
}
