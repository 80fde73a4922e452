//! What a pool on a device does, on one that is simulated.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::{Device, DeviceError, DeviceKind, DeviceLease, DevicePool, Resident, Shortage, Zero};
use crate::testing::{ManualClock, SimCall, SimDevice, SimDeviceBuilder, SimFailure, SimUsage};
use crate::{Domain, Level};

const USAGE: SimUsage = SimUsage::Storage;
const MB: u64 = 1 << 20;

fn host() -> Domain {
    Domain::builder().limit_bytes(64 * MB).manual().build()
}

fn on(sim: &SimDevice) -> Device<SimDevice> {
    Device::builder("gpu:0", sim.clone()).limit_fraction(1.0).manual().build_in(&host()).unwrap()
}

fn pool(sim: &SimDevice) -> DevicePool<SimDevice> {
    on(sim).pool("buffers").build().unwrap()
}

fn small(builder: SimDeviceBuilder) -> SimDevice {
    builder.total_bytes(4 * MB).build()
}

fn shortage<T>(result: Result<T, DeviceError>) -> Option<Shortage> {
    match result {
        Err(DeviceError::OutOfMemory(report)) => Some(report.shortage),
        _ => None,
    }
}

/// Nothing is left: on the books, or on the device.
#[track_caller]
fn assert_empty(sim: &SimDevice, domain: &Domain) {
    sim.finish();
    assert_eq!((sim.hazards(), sim.used(), sim.live()), (Vec::new(), 0, 0));
    domain.tick();
    assert_eq!(domain.budget().used(), 0);
}

#[test]
fn a_stream_gets_its_own_buffer_back_behind_its_own_work() {
    let sim = SimDevice::builder().build();
    let (pool, stream) = (pool(&sim), sim.order());
    let first = pool.acquire(1000, USAGE, &stream).unwrap();
    sim.write(&stream, &first, 1);
    let read = sim.read(&stream, &first);
    drop(first);
    let second = pool.acquire(1000, USAGE, &stream).unwrap();
    sim.write(&stream, &second, 2);
    sim.finish();
    assert_eq!((read.get(), sim.value(&second), sim.creates()), (Some(1), 2, 1));
    assert_eq!((pool.stats().hits.same_order, sim.hazards()), (1, Vec::new()));
}

#[test]
fn another_stream_waits_on_the_device_and_not_here() {
    let sim = SimDevice::builder().build();
    let (pool, first, second) = (pool(&sim), sim.order(), sim.order());
    let lease = pool.acquire(1000, USAGE, &first).unwrap();
    sim.write(&first, &lease, 1);
    let read = sim.read(&first, &lease);
    drop(lease);
    let lease = pool.acquire(1000, USAGE, &second).unwrap();
    sim.write(&second, &lease, 2);
    sim.finish();
    assert_eq!((read.get(), sim.value(&lease), sim.creates()), (Some(1), 2, 1));
    assert_eq!((pool.stats().hits.crossed, sim.hazards()), (1, Vec::new()));
}

#[test]
fn what_the_host_touches_is_never_handed_on_behind_work() {
    for zero in [Zero::Never, Zero::OnAcquire, Zero::OnReturn] {
        let sim = SimDevice::builder().build();
        let (pool, stream) = (on(&sim).pool("mapped").zero(zero).build().unwrap(), sim.order());
        let lease = pool.acquire(1000, SimUsage::Mapped, &stream).unwrap();
        sim.write_now(&lease, 7);
        let read = sim.read(&stream, &lease);
        drop(lease);
        // The copy is not done, and the host would write what it reads.
        let other = pool.acquire(1000, SimUsage::Mapped, &stream).unwrap();
        sim.write_now(&other, 8);
        sim.finish();
        assert_eq!((read.get(), sim.creates(), pool.stats().hits.total()), (Some(7), 2, 0), "{zero:?}");
        let third = pool.acquire(1000, SimUsage::Mapped, &sim.order()).unwrap();
        assert_eq!((pool.stats().hits.total(), sim.creates()), (1, 2), "{zero:?}");
        // Zeroes are there before the host looks.
        assert_eq!(sim.value(&third), if zero == Zero::Never { 7 } else { 0 });
        assert_eq!(sim.hazards(), Vec::<String>::new(), "{zero:?}");
    }
}

#[test]
fn what_was_recorded_is_waited_for_even_if_it_is_submitted_last() {
    let sim = SimDevice::builder().recorded().build();
    let (pool, first, second) = (pool(&sim), sim.order(), sim.order());
    let lease = pool.acquire(1000, USAGE, &first).unwrap();
    sim.write(&first, &lease, 1);
    let read = sim.read(&first, &lease);
    drop(lease);
    let lease = pool.acquire(1000, USAGE, &second).unwrap();
    sim.write(&second, &lease, 2);
    sim.submit(&second);
    drop(lease);
    sim.submit(&first);
    sim.finish();
    assert_eq!((read.get(), sim.creates(), sim.hazards()), (Some(1), 2, Vec::new()));
    let third = sim.order();
    let _lease = pool.acquire(1000, USAGE, &third).unwrap();
    assert_eq!((sim.creates(), pool.stats().hits.total()), (2, 1));
}

#[test]
fn what_is_never_submitted_comes_back_when_it_is_dropped() {
    let sim = SimDevice::builder().recorded().build();
    let (pool, encoder) = (pool(&sim), sim.order());
    let lease = pool.acquire(1000, USAGE, &encoder).unwrap();
    sim.write(&encoder, &lease, 1);
    drop(lease);
    assert_eq!(pool.stats().gauges.pending.current.count, 1);
    sim.abandon(&encoder);
    drop(pool.acquire(1000, USAGE, &sim.order()).unwrap());
    assert_eq!((sim.creates(), sim.hazards()), (1, Vec::new()));
}

#[test]
fn other_orders_are_waited_for_where_the_lease_names_them() {
    for names in [true, false] {
        let sim = SimDevice::builder().build();
        let (pool, home, side, next) = (pool(&sim), sim.order(), sim.order(), sim.order());
        let lease = pool.acquire(1000, USAGE, &home).unwrap();
        if names {
            lease.use_on(&side).unwrap();
        }
        sim.write(&side, &lease, 1);
        drop(lease);
        let lease = pool.acquire(1000, USAGE, &next).unwrap();
        sim.write(&next, &lease, 2);
        sim.finish();
        assert_eq!(sim.hazards().is_empty(), names, "{:?}", sim.hazards());
    }
}

#[test]
fn a_lease_that_is_held_for_long_remembers_only_encoders_that_are_not_done() {
    let sim = SimDevice::builder().recorded().build();
    let (pool, first, open) = (pool(&sim), sim.order(), sim.order());
    let lease = pool.acquire(1000, USAGE, &first).unwrap();
    lease.use_on(&open).unwrap();
    sim.write(&open, &lease, 1);
    for _ in 0..1000 {
        let encoder = sim.order();
        lease.use_on(&encoder).unwrap();
        let _read = sim.read(&encoder, &lease);
        sim.submit(&encoder);
        sim.finish();
    }
    assert!(lease.others() <= 64, "{} orders", lease.others());
    drop(lease);
    // The one that was never submitted is among them.
    sim.submit(&first);
    sim.finish();
    let other = sim.order();
    let _lease = pool.acquire(1000, USAGE, &other).unwrap();
    assert_eq!((sim.creates(), sim.hazards()), (2, Vec::new()));
}

#[test]
fn late_fences_are_believed_when_they_speak() {
    let sim = SimDevice::builder().recorded().late_fences(2).build();
    let (pool, encoder) = (pool(&sim), sim.order());
    let lease = pool.acquire(1000, USAGE, &encoder).unwrap();
    sim.write(&encoder, &lease, 1);
    drop(lease);
    sim.submit(&encoder);
    sim.finish();
    let (second, third) = (sim.order(), sim.order());
    let _other = pool.acquire(1000, USAGE, &second).unwrap();
    let _same = pool.acquire(1000, USAGE, &third).unwrap();
    assert_eq!((sim.creates(), pool.stats().hits.polled, sim.hazards()), (2, 1, Vec::new()));
}

#[test]
fn buffers_of_another_size_or_usage_are_not_lent() {
    let sim = SimDevice::builder().build();
    let (pool, stream) = (pool(&sim), sim.order());
    drop(pool.acquire(1000, USAGE, &stream).unwrap());
    drop(pool.acquire(5000, USAGE, &stream).unwrap());
    drop(pool.acquire(1000, SimUsage::Uniform, &stream).unwrap());
    let stats = pool.stats();
    assert_eq!((stats.creates, stats.hits.total(), stats.classes.len()), (3, 0, 3));
    assert_eq!((stats.gauges.in_use.total.bytes, stats.requested_total), (4096 + 16_384 + 4096, 7000));
}

#[test]
fn the_limit_is_kept_and_idle_buffers_of_other_sizes_give_way() {
    let sim = small(SimDevice::builder());
    let device =
        Device::builder("gpu:0", sim.clone()).limit_bytes(2 * MB).manual().build_in(&host()).unwrap();
    let (a, b) = (device.pool("a").build().unwrap(), device.pool("b").build().unwrap());
    let stream = sim.order();
    drop(a.acquire(MB, USAGE, &stream).unwrap());
    let held = b.acquire(3 * MB / 2, USAGE, &stream).unwrap();
    assert_eq!((a.stats().destroyed.reclaimed, a.stats().gauges.bytes()), (1, 0));
    assert!(sim.peak() <= 2 * MB && device.domain().stats().budget.peak <= 2 * MB);
    let error = b.acquire(MB, USAGE, &stream).unwrap_err();
    let text = error.to_string();
    assert_eq!(shortage(Err::<(), _>(error)), Some(Shortage::Device));
    assert!(text.contains("`b` (1.5 MB)") && text.contains("tests.rs") && text.contains("limit"), "{text}");
    drop(held);
    drop((a, b));
    assert_empty(&sim, device.domain());
}

#[test]
fn what_is_pending_counts_as_used_and_is_waited_for() {
    let sim = small(SimDevice::builder().recorded());
    let device = Device::builder("gpu:0", sim.clone()).limit_bytes(MB).manual().build_in(&host()).unwrap();
    let pool = device.pool("a").build().unwrap();
    let encoder = sim.order();
    let lease = pool.acquire(MB, USAGE, &encoder).unwrap();
    sim.write(&encoder, &lease, 1);
    drop(lease);
    // Nobody submitted it: nothing can be waited for.
    assert_eq!(shortage(pool.acquire(MB, USAGE, &sim.order())), Some(Shortage::Device));
    sim.submit(&encoder);
    let _lease = pool.acquire(MB, USAGE, &sim.order()).unwrap();
    assert_eq!((sim.creates(), sim.peak(), pool.stats().waits), (1, MB, 2));
}

#[test]
fn a_pool_keeps_its_own_bound() {
    let sim = small(SimDevice::builder());
    let device = on(&sim);
    let pool = device.pool("a").max_mb(1).build().unwrap();
    let stream = sim.order();
    let whole = pool.acquire(MB, USAGE, &stream).unwrap();
    assert_eq!(shortage(pool.acquire(1, USAGE, &stream)), Some(Shortage::Pool));
    drop(whole);
    let _small = pool.acquire(1, USAGE, &stream).unwrap();
    assert_eq!((pool.stats().destroyed.bound, sim.peak()), (1, MB));
}

#[test]
fn a_driver_without_memory_gets_idle_buffers_back_first() {
    let sim = small(SimDevice::builder().fragments());
    let device = on(&sim);
    let (a, b) = (device.pool("a").build().unwrap(), device.pool("b").build().unwrap());
    let told = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let hears = Arc::clone(&told);
    device.on_out_of_memory(move |bytes| hears.store(bytes, std::sync::atomic::Ordering::SeqCst));
    device.on_out_of_memory(|_| panic!("a callback that panics is passed over"));
    let stream = sim.order();
    let leases: Vec<_> = (0..3).map(|_| a.acquire(MB, USAGE, &stream).unwrap()).collect();
    // The one in the middle stays: two holes of a megabyte, and one more at the end.
    let [first, middle, last]: [DeviceLease<_>; 3] = leases.try_into().unwrap();
    drop((first, last));
    sim.finish();
    let wide = b.acquire(2 * MB, USAGE, &stream).unwrap();
    let stats = b.stats();
    assert_eq!((stats.out_of_memory, stats.retries, a.stats().destroyed.total()), (1, 1, 2));
    assert_eq!(told.load(std::sync::atomic::Ordering::SeqCst), 2 * MB);
    // A megabyte is left in all, and no hole for more.
    let error = b.acquire(3 * MB / 2, USAGE, &stream).unwrap_err();
    assert!(error.to_string().contains("1.0 MB are free on the device"), "{error}");
    assert!(matches!(error, DeviceError::OutOfMemory(_)));
    drop((middle, wide, a, b));
    assert_empty(&sim, device.domain());
}

#[test]
fn a_driver_without_memory_is_waited_for() {
    let sim = small(SimDevice::builder());
    let pool = pool(&sim);
    sim.set_others(5 * MB / 2);
    let (first, second) = (sim.order(), sim.order());
    let lease = pool.acquire(MB, USAGE, &first).unwrap();
    sim.write(&first, &lease, 1);
    drop(lease);
    let _lease = pool.acquire(3 * MB / 2, USAGE, &second).unwrap();
    let stats = pool.stats();
    assert_eq!((stats.retries, stats.waits, stats.destroyed.out_of_memory), (2, 1, 1));
}

#[test]
fn zeroes_are_where_the_rule_says() {
    for ordered in [true, false] {
        for (zero, idle, lent) in [(Zero::Never, 7, 7), (Zero::OnAcquire, 7, 0), (Zero::OnReturn, 0, 0)] {
            let builder = SimDevice::builder();
            let sim = if ordered { builder.build() } else { builder.recorded().build() };
            let pool = on(&sim).pool("a").zero(zero).build().unwrap();
            let (first, second) = (sim.order(), sim.order());
            let lease = pool.acquire(1000, USAGE, &first).unwrap();
            sim.finish();
            assert_eq!(sim.value(&lease) == 0, zero != Zero::Never, "a new one, {zero:?}");
            sim.write(&first, &lease, 7);
            sim.submit(&first);
            drop(lease);
            sim.finish();
            pool.core().settle(None);
            sim.finish();
            pool.core().settle(None);
            let value = pool.core().state.lock().idle_values(|buffer| sim.value(buffer)).pop();
            assert_eq!(value, Some(idle), "idle, {zero:?}, ordered {ordered}");
            let lease = pool.acquire(1000, USAGE, &second).unwrap();
            sim.finish();
            assert_eq!((sim.value(&lease), sim.creates()), (lent, 1), "lent, {zero:?}, ordered {ordered}");
            assert_eq!(sim.hazards(), Vec::<String>::new());
        }
    }
}

#[test]
fn zeroes_come_after_all_who_used_it() {
    let sim = SimDevice::builder().build();
    let pool = on(&sim).pool("a").zero(Zero::OnReturn).build().unwrap();
    let (home, side) = (sim.order(), sim.order());
    let lease = pool.acquire(1000, USAGE, &home).unwrap();
    lease.use_on(&side).unwrap();
    sim.write(&side, &lease, 7);
    drop(lease);
    let lease = pool.acquire(1000, USAGE, &home).unwrap();
    sim.finish();
    assert_eq!((sim.value(&lease), sim.creates(), sim.hazards()), (0, 1, Vec::new()));
}

#[test]
fn what_nobody_needs_goes_when_several_looks_found_it_idle() {
    let (sim, clock) = (SimDevice::builder().build(), ManualClock::new());
    let device =
        Device::builder("gpu:0", sim.clone()).clock(clock.clone()).manual().build_in(&host()).unwrap();
    let pool = device.pool("a").idle(Duration::from_secs(60)).idle_looks(3).build().unwrap();
    let stream = sim.order();
    drop((pool.acquire(1, USAGE, &stream).unwrap(), pool.acquire(1, USAGE, &stream).unwrap()));
    sim.finish();
    let tick = || {
        clock.advance(Duration::from_secs(40));
        device.domain().tick();
        pool.stats().gauges.idle.current.count
    };
    assert_eq!((tick(), tick()), (2, 2), "old enough, and seen twice");
    // One of them is needed again: its looks begin anew.
    drop(pool.acquire(1, USAGE, &stream).unwrap());
    sim.finish();
    assert_eq!((tick(), tick(), tick()), (1, 1, 0));
    assert_eq!((pool.stats().destroyed.idle, sim.live()), (2, 0));
}

#[test]
fn the_host_is_charged_for_what_is_its_memory() {
    for (kind, usage, on_device, on_host) in [
        (DeviceKind::Discrete, SimUsage::Storage, MB, 0),
        (DeviceKind::Discrete, SimUsage::Staging, 0, MB),
        (DeviceKind::Integrated, SimUsage::Storage, MB, MB),
        (DeviceKind::Cpu, SimUsage::Storage, MB, MB),
    ] {
        let (host, sim) = (host(), SimDevice::builder().kind(kind).build());
        let device = Device::builder("gpu:0", sim.clone()).manual().build_in(&host).unwrap();
        let pool = device.pool("a").build().unwrap();
        let stream = sim.order();
        let lease = pool.acquire(MB, usage, &stream).unwrap();
        let bytes = |domain: &Domain, name: &str| {
            domain.stats().tenant(name).map_or(0, |tenant| tenant.bytes & !(MB - 1))
        };
        let charged = (bytes(device.domain(), "a"), bytes(&host, "a@gpu:0"));
        assert_eq!(charged, (on_device, on_host), "{kind} {usage:?}");
        drop(lease);
        sim.finish();
        device.domain().tick();
        // The host needs room, and takes what is idle.
        assert_eq!(host.trim(MB).by_tenant.iter().any(|(name, _)| name == "a@gpu:0"), on_host > 0);
        assert_eq!(sim.live(), usize::from(on_host == 0));
        drop(pool);
        assert_empty(&sim, device.domain());
        assert_eq!(host.budget().used(), 0, "{kind} {usage:?}");
    }
}

#[test]
fn a_full_host_refuses_what_would_take_its_memory() {
    let host = Domain::builder().limit_bytes(MB).manual().build();
    let sim = SimDevice::builder().kind(DeviceKind::Integrated).build();
    let device = Device::builder("gpu:0", sim.clone()).manual().build_in(&host).unwrap();
    let pool = device.pool("a").build().unwrap();
    assert_eq!(shortage(pool.acquire(MB, USAGE, &sim.order())), Some(Shortage::Host));
    assert_eq!((sim.creates(), device.domain().budget().used()), (0, 0));
}

#[test]
fn a_device_whose_memory_is_full_gives_back_what_is_idle() {
    let sim = small(SimDevice::builder());
    let device = on(&sim);
    let pool = device.pool("a").build().unwrap();
    let stream = sim.order();
    drop(pool.acquire(MB, USAGE, &stream).unwrap());
    sim.finish();
    device.domain().tick();
    assert_eq!((device.domain().pressure(), sim.live()), (Level::Normal, 1));
    sim.set_others(3 * MB);
    device.domain().tick();
    assert_eq!((device.domain().pressure(), sim.live()), (Level::Emergency, 0));
}

#[test]
fn a_lost_device_holds_nothing_and_says_so() {
    let sim = SimDevice::builder().build();
    let device = on(&sim);
    let pool = device.pool("a").build().unwrap();
    let stream = sim.order();
    let out = pool.acquire(MB, USAGE, &stream).unwrap();
    drop(pool.acquire(MB, USAGE, &stream).unwrap());
    sim.fail(SimCall::Create, SimFailure::Lost);
    assert!(matches!(pool.acquire(2 * MB, USAGE, &stream), Err(DeviceError::Lost { .. })));
    assert!(device.is_lost() && pool.stats().gauges.bytes() == MB);
    drop(out);
    assert!(matches!(pool.acquire(1, USAGE, &stream), Err(DeviceError::Lost { .. })));
    assert!(matches!(device.pool("b").build(), Err(DeviceError::Lost { .. })));
    assert_eq!(pool.stats().gauges.bytes(), 0);
    drop(pool);
    assert_empty(&sim, device.domain());
}

#[test]
fn calls_that_fail_or_panic_cost_a_buffer_at_most() {
    let calls = [
        SimCall::Create,
        SimCall::Fence,
        SimCall::Done,
        SimCall::OrderAfter,
        SimCall::Zero,
        SimCall::Discard,
        SimCall::Wait,
        SimCall::Memory,
    ];
    for call in calls {
        for failure in [SimFailure::Error, SimFailure::Panic] {
            for ordered in [true, false] {
                let builder = SimDevice::builder().total_bytes(4 * MB);
                let sim = if ordered { builder.build() } else { builder.recorded().build() };
                let device = on(&sim);
                let pool = device.pool("a").zero(Zero::OnReturn).build().unwrap();
                let step = |bytes| {
                    let order = sim.order();
                    let lease = pool.acquire(bytes, USAGE, &order);
                    if let Ok(lease) = &lease {
                        sim.write(&order, lease, 1);
                        let side = sim.order();
                        if lease.use_on(&side).is_ok() {
                            sim.write(&side, lease, 2);
                            sim.submit(&side);
                        }
                    }
                    sim.submit(&order);
                    drop(lease);
                };
                for after in 0..6 {
                    sim.fail_after(call, after, failure);
                    for bytes in [MB, MB, 3 * MB, MB, 2 * MB] {
                        let _ = catch_unwind(AssertUnwindSafe(|| step(bytes)));
                    }
                    sim.forgive();
                    assert_eq!(sim.hazards(), Vec::<String>::new(), "{call:?} {failure:?} {ordered}");
                }
                sim.finish();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(pool)));
                assert_empty(&sim, device.domain());
            }
        }
    }
}

#[test]
fn devices_share_nothing() {
    let host = host();
    let sims = [(); 2].map(|()| SimDevice::builder().total_bytes(MB).build());
    let devices = [0, 1].map(|at| {
        let name = format!("gpu:{at}");
        Device::builder(name, sims[at].clone()).limit_fraction(1.0).manual().build_in(&host).unwrap()
    });
    let pools = [0, 1].map(|at| devices[at].pool("same name").build().unwrap());
    let leases = [0, 1].map(|at| pools[at].acquire(MB, USAGE, &sims[at].order()).unwrap());
    assert_eq!(shortage(pools[0].acquire(1, USAGE, &sims[0].order())), Some(Shortage::Device));
    assert_eq!(sims.each_ref().map(SimDevice::used), [MB, MB]);
    assert_eq!(pools.each_ref().map(DevicePool::name), ["same name"; 2]);
    drop((leases, pools));
    for at in [0, 1] {
        assert_empty(&sims[at], devices[at].domain());
    }
}

#[test]
fn what_is_larger_than_all_sizes_goes_when_the_device_is_done_with_it() {
    let sim = SimDevice::builder().build();
    let pool = on(&sim).pool("a").classes([1000, 5000]).build().unwrap();
    let stream = sim.order();
    let lease = pool.acquire(6000, USAGE, &stream).unwrap();
    assert_eq!((lease.len(), lease.capacity()), (6000, 6144));
    sim.write(&stream, &lease, 1);
    drop(lease);
    assert_eq!((sim.live(), pool.stats().gauges.pending.current.bytes), (1, 6144));
    sim.finish();
    pool.clear();
    assert_eq!((sim.live(), pool.stats().destroyed.oversize, pool.stats().oversize), (0, 1, 1));
    let error = pool.acquire(2 << 30, USAGE, &stream).unwrap_err();
    assert!(matches!(error, DeviceError::TooLarge { .. }), "{error}");
}

#[test]
fn a_pool_that_is_gone_keeps_nothing() {
    let sim = SimDevice::builder().build();
    let device = on(&sim);
    let pool = device.pool("a").build().unwrap();
    let stream = sim.order();
    let lease = pool.acquire(1000, USAGE, &stream).unwrap();
    drop(pool.acquire(1000, USAGE, &stream).unwrap());
    drop(pool);
    sim.finish();
    device.domain().tick();
    assert_eq!(sim.live(), 1, "what is lent stays");
    sim.write(&stream, &lease, 1);
    drop(lease);
    assert_empty(&sim, device.domain());
}

#[test]
fn detached_and_discarded_buffers_are_not_lent_again() {
    let sim = SimDevice::builder().build();
    let (pool, stream) = (pool(&sim), sim.order());
    pool.acquire(1000, USAGE, &stream).unwrap().discard();
    let own = pool.acquire(1000, USAGE, &stream).unwrap().detach();
    sim.finish();
    pool.clear();
    assert_eq!((pool.stats().gauges.bytes(), sim.live(), sim.creates()), (0, 1, 2));
    drop(own);
    assert_eq!((sim.live(), sim.hazards()), (0, Vec::new()));
}

#[test]
fn a_domain_that_is_turned_off_keeps_nothing() {
    let sim = SimDevice::builder().build();
    let device = on(&sim);
    let (pool, stream) = (device.pool("a").build().unwrap(), sim.order());
    drop(pool.acquire(1000, USAGE, &stream).unwrap());
    device.domain().set_bypass(true);
    drop(pool.acquire(1000, USAGE, &stream).unwrap());
    sim.finish();
    device.domain().tick();
    assert_eq!((sim.creates(), sim.live()), (2, 1));
    device.domain().set_bypass(false);
    drop(pool.acquire(1000, USAGE, &stream).unwrap());
    assert_eq!(sim.creates(), 2);
}

#[test]
fn options_that_make_no_sense_are_refused_with_the_way_out() {
    let sim = SimDevice::builder().silent().build();
    let build = |builder: crate::device::DeviceBuilder<SimDevice>| builder.manual().build_in(&host());
    let unknown = build(Device::builder("gpu:0", sim.clone())).unwrap_err();
    assert!(unknown.to_string().contains("`limit_mb`"), "{unknown}");
    assert!(build(Device::builder("gpu:0", sim.clone()).limit_fraction(0.0)).is_err());
    let device = build(Device::builder("gpu:0", sim).limit_mb(1)).unwrap();
    assert!(device.pool("a").max_bytes(0).build().is_err());
    assert!(device.pool("a").priority(f64::NAN).build().is_err());
    assert!(device.pool("a").classes([0]).build().is_err());
}

#[test]
fn the_leak_list_says_who_has_what() {
    let (sim, clock) = (SimDevice::builder().build(), ManualClock::new());
    let device =
        Device::builder("gpu:0", sim.clone()).clock(clock.clone()).manual().build_in(&host()).unwrap();
    let pool = device.pool("a").build().unwrap();
    let _lease = pool.acquire(1000, USAGE, &sim.order()).unwrap();
    clock.advance(Duration::from_secs(3));
    let [loan] = &*pool.leases() else { panic!("one is out") };
    assert_eq!((loan.len, loan.bytes, loan.held_for), (1000, 4096, Duration::from_secs(3)));
    assert!(loan.place.file().ends_with("tests.rs"));
    assert!(pool.stats().to_string().contains("4.0 KB in 1 lent"), "{}", pool.stats());
}

#[test]
fn cached_tensors_and_buffers_share_the_devices_limit() {
    for kind in [DeviceKind::Discrete, DeviceKind::Integrated] {
        let (host, sim) = (host(), SimDevice::builder().kind(kind).build());
        let device = Device::builder("gpu:0", sim.clone()).limit_mb(4).manual().build_in(&host).unwrap();
        let pool = device.pool("a").build().unwrap();
        let cache: crate::Cache<u64, Arc<Resident<SimDevice>>> =
            crate::Cache::builder("tensors").weigh(crate::weigh::entry).build_in(device.domain()).unwrap();
        let stream = sim.order();
        for layer in 0..40 {
            let lease = pool.acquire(MB, USAGE, &stream).unwrap();
            sim.write(&stream, &lease, layer);
            sim.finish();
            cache.insert(layer, Arc::new(lease.into_resident()));
            let used = device.domain().budget().used();
            assert!(
                used <= 4 * MB && sim.peak() <= 4 * MB,
                "{kind} {layer} {used} {} {}",
                sim.peak(),
                pool.stats()
            );
        }
        sim.finish();
        let kept: Vec<u64> = (0..40).filter(|layer| cache.get(layer).is_some()).collect();
        assert!((2..4).contains(&kept.len()), "{kept:?}");
        assert!(kept.iter().all(|layer| sim.value(&cache.get(layer).unwrap()) == *layer));
        // Buffers that are wanted are worth more than tensors that can be had again.
        let leases: Vec<_> = (0..3).map(|_| pool.acquire(MB, USAGE, &stream).unwrap()).collect();
        assert!(cache.len() <= 1 && sim.used() <= 4 * MB);
        drop(leases);
        // A tensor that is dropped goes back to its pool, and is lent again.
        cache.clear();
        let creates = sim.creates();
        drop(pool.acquire(MB, USAGE, &stream).unwrap());
        assert_eq!((sim.creates(), sim.hazards()), (creates, Vec::new()));
        drop((cache, pool));
        assert_empty(&sim, device.domain());
        host.tick();
        assert_eq!(host.budget().used(), 0, "{kind}");
    }
}

#[test]
fn a_resident_that_finds_no_room_is_freed() {
    let sim = small(SimDevice::builder());
    let device = Device::builder("gpu:0", sim.clone()).limit_bytes(MB).manual().build_in(&host()).unwrap();
    let pool = device.pool("a").build().unwrap();
    let stream = sim.order();
    let resident = pool.acquire(MB, USAGE, &stream).unwrap().into_resident();
    assert_eq!((pool.stats().gauges.bytes(), pool.leases().len(), resident.capacity()), (0, 0, MB));
    let lease = pool.acquire(MB, USAGE, &stream).unwrap();
    sim.write(&stream, &resident, 1);
    drop(resident);
    sim.finish();
    assert_eq!((sim.live(), sim.hazards()), (1, Vec::new()));
    drop((lease, pool));
    assert_empty(&sim, device.domain());
}

#[test]
fn tensors_go_when_others_fill_the_device() {
    // Below 16 MB nobody is pressed by what others do.
    let sim = SimDevice::builder().total_bytes(128 * MB).build();
    let device = on(&sim);
    let pool = device.pool("a").build().unwrap();
    let cache: crate::Cache<u64, Arc<Resident<SimDevice>>> =
        crate::Cache::builder("tensors").weigh(crate::weigh::entry).build_in(device.domain()).unwrap();
    let stream = sim.order();
    for layer in 0..12 {
        cache.insert(layer, Arc::new(pool.acquire(8 * MB, USAGE, &stream).unwrap().into_resident()));
    }
    sim.finish();
    device.domain().tick();
    assert_eq!((device.domain().pressure(), cache.len(), sim.live()), (Level::Normal, 12, 12));
    // A quarter was left, and is others' now.
    sim.set_others(32 * MB - 1);
    for _ in 0..4 {
        device.domain().tick();
        sim.finish();
    }
    assert!(cache.len() < 12 && sim.used() < 90 * MB, "{} tensors, {} bytes", cache.len(), sim.used());
    drop((cache, pool));
    sim.set_others(0);
    assert_empty(&sim, device.domain());
}
