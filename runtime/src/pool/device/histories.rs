//! Long histories on simulated devices: random requests, work, returns, shortages and failures, judged at each step.
//!
//! The simulation judges every hand-out. Here it is checked that each holder's work finds what that holder wrote, that no limit
//! is passed, that the books are what the pools hold, and that nothing is left in the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{Device, DeviceBackend, DeviceError, DeviceKind, DeviceLease, DevicePool, Zero};
use crate::Domain;
use crate::testing::{
    ManualClock, SimCall, SimDevice, SimDeviceBuilder, SimFailure, SimOrder, SimRead, SimUsage,
};

const MB: u64 = 1 << 20;

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// A holder that is at work.
struct Holder {
    lease: DeviceLease<SimDevice>,
    order: SimOrder,
}

/// One device with pools, and all that is out.
struct World {
    sim: SimDevice,
    device: Device<SimDevice>,
    pools: Vec<DevicePool<SimDevice>>,
    clock: ManualClock,
    /// Streams, or encoders that are open.
    orders: Vec<SimOrder>,
    holders: Vec<Holder>,
    reads: Vec<(SimRead, u64)>,
    ordered: bool,
    limit: u64,
    acquired: u64,
    refused: u64,
    tag: u64,
}

impl World {
    fn new(host: &Domain, builder: SimDeviceBuilder, name: &str) -> Self {
        let limit = 8 * MB;
        let (sim, clock) = (builder.build(), ManualClock::new());
        let device = Device::builder(name, sim.clone())
            .limit_bytes(limit)
            .patience(Duration::from_secs(3600))
            .clock(clock.clone())
            .manual()
            .build_in(host)
            .unwrap();
        let classes = [4096, 65_536, MB, 2 * MB];
        let pools = vec![
            device.pool("plain").classes(classes).build().unwrap(),
            device.pool("zeroed").classes(classes).zero(Zero::OnAcquire).priority(3.0).build().unwrap(),
            device.pool("bounded").classes(classes).zero(Zero::OnReturn).max_bytes(4 * MB).build().unwrap(),
        ];
        let ordered = sim.is_ordered();
        let orders = (0..4).map(|_| sim.order()).collect();
        let (holders, reads) = (Vec::new(), Vec::new());
        Self {
            sim,
            device,
            pools,
            clock,
            orders,
            holders,
            reads,
            ordered,
            limit,
            acquired: 0,
            refused: 0,
            tag: 0,
        }
    }

    fn acquire(&mut self, dice: &mut Dice) {
        let len = match dice.below(8) {
            0..4 => dice.below(4096),
            4..6 => dice.below(65_536),
            6 => dice.below(2 * MB),
            _ => 2 * MB + dice.below(MB),
        };
        let usage = dice.one_of(&[SimUsage::Storage, SimUsage::Storage, SimUsage::Uniform, SimUsage::Mapped]);
        let order = dice.below(self.orders.len() as u64) as usize;
        let order = self.orders[order].clone();
        let pool = dice.below(3) as usize;
        match self.pools[pool].acquire(len, usage, &order) {
            Ok(lease) => {
                self.acquired += 1;
                self.tag += 1;
                if pool > 0 && dice.below(4) == 0 {
                    self.reads.push((self.sim.read(&order, &lease), 0));
                }
                self.work(&lease, &order);
                if dice.below(5) == 0 {
                    let other = dice.below(self.orders.len() as u64) as usize;
                    let other = self.orders[other].clone();
                    if lease.use_on(&other).is_ok() && self.ordered {
                        // What it is to read was written by then.
                        self.sim.join(&other, &order);
                        self.reads.push((self.sim.read(&other, &lease), self.tag));
                    }
                }
                self.holders.push(Holder { lease, order });
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                self.refused += 1;
            }
        }
    }

    fn work(&mut self, lease: &DeviceLease<SimDevice>, order: &SimOrder) {
        self.sim.write(order, lease, self.tag);
        self.reads.push((self.sim.read(order, lease), self.tag));
    }

    fn step(&mut self, dice: &mut Dice) {
        match dice.below(100) {
            0..42 => self.acquire(dice),
            42..78 if !self.holders.is_empty() => {
                let at = dice.below(self.holders.len() as u64) as usize;
                let Holder { lease, .. } = self.holders.swap_remove(at);
                match dice.below(50) {
                    0 => lease.discard(),
                    1 => {
                        let buffer = lease.detach();
                        // Of encoders, those that are closed may have it as well: it is freed when they are done.
                        if self.ordered { self.sim.discard(buffer, &self.orders) } else { drop(buffer) }
                    }
                    _ => drop(lease),
                }
            }
            42..90 => _ = self.sim.advance(dice.below(12)),
            90..96 => self.close_order(dice),
            96 => {
                self.clock.advance(Duration::from_secs(dice.below(40)));
                self.device.domain().tick();
            }
            97 => _ = self.device.trim(dice.below(4 * MB)),
            98 => _ = self.pools[dice.below(3) as usize].clear(),
            _ => {
                // Others take half of what is there, and give it back.
                let others = dice.one_of(&[0, 0, 5 * MB]);
                self.sim.set_others(others);
            }
        }
        if self.holders.len() > 40 {
            self.holders.swap_remove(dice.below(40) as usize);
        }
    }

    /// Submits an encoder, or drops it; what was to be read in it is not, then.
    fn close_order(&mut self, dice: &mut Dice) {
        if self.ordered {
            return;
        }
        let at = dice.below(self.orders.len() as u64) as usize;
        let order = std::mem::replace(&mut self.orders[at], self.sim.order());
        if dice.below(10) > 0 {
            self.sim.submit(&order);
        } else {
            self.sim.abandon(&order);
        }
        // Those who hold something for it may not use it any more.
        let closed = format!("{order:?}");
        self.holders.retain(|holder| format!("{:?}", holder.order) != closed);
    }

    /// The checks that hold at any time.
    fn check(&mut self) {
        assert_eq!(self.sim.hazards(), Vec::<String>::new());
        for (read, expected) in std::mem::take(&mut self.reads) {
            match read.get() {
                Some(found) => assert_eq!(found, expected, "a holder's work finds what the holder wrote"),
                None => self.reads.push((read, expected)),
            }
        }
        // Of encoders that were dropped no reading ever comes.
        if self.reads.len() > 10_000 {
            self.reads.drain(..5_000);
        }
        let snapshot = self.device.domain().stats();
        assert!(snapshot.budget.peak <= self.limit && snapshot.budget.over_released == 0);
        for pool in &self.pools {
            let stats = pool.stats();
            let classes: u64 = stats.classes.iter().map(|class| class.gauges.bytes()).sum();
            let here = stats.classes.iter().filter(|class| self.sim.residence(class.usage).on_device());
            let here: u64 = here.map(|class| class.gauges.bytes()).sum();
            let charged = snapshot.tenant(pool.name()).unwrap().bytes;
            assert_eq!((stats.gauges.bytes(), here), (classes, charged), "{}", pool.name());
            assert!(stats.gauges.bytes() <= stats.max_bytes.unwrap_or(u64::MAX));
            let gauges = &stats.gauges;
            let there =
                gauges.in_use.current.count + gauges.idle.current.count + gauges.pending.current.count;
            assert!(stats.creates >= there && stats.requested <= gauges.in_use.current.bytes);
        }
    }

    fn end(mut self) {
        self.sim.forgive();
        self.sim.set_others(0);
        self.holders.clear();
        let orders: Vec<_> = self.orders.iter().collect();
        orders.iter().for_each(|order| self.sim.submit(order));
        self.sim.finish();
        self.check();
        drop(self.pools);
        self.sim.finish();
        self.device.domain().tick();
        assert_eq!((self.sim.hazards(), self.sim.used(), self.sim.live()), (Vec::new(), 0, 0));
        assert_eq!(self.device.domain().budget().used(), 0);
    }
}

fn worlds(host: &Domain) -> Vec<World> {
    // Half of what forty holders ask for; the driver has a little more than the limit.
    let builder = || SimDevice::builder().total_bytes(10 * MB);
    vec![
        World::new(host, builder(), "streams"),
        World::new(host, builder().late_fences(3), "late streams"),
        World::new(host, builder().recorded(), "encoders"),
        World::new(host, builder().recorded().late_fences(2).fragments(), "late encoders in pieces"),
        World::new(host, builder().fragments().kind(DeviceKind::Integrated), "integrated"),
    ]
}

fn run(operations: u64, seed: u64, failures: bool) -> (u64, u64) {
    let host = Domain::builder().limit_bytes(16 * MB).manual().build();
    let (mut worlds, mut dice) = (worlds(&host), Dice(seed));
    let calls = [
        SimCall::Create,
        SimCall::Fence,
        SimCall::Done,
        SimCall::Wait,
        SimCall::OrderAfter,
        SimCall::Zero,
        SimCall::Discard,
    ];
    let kinds = [SimFailure::Error, SimFailure::Error, SimFailure::OutOfMemory, SimFailure::Panic];
    for operation in 0..operations {
        let at = dice.below(worlds.len() as u64) as usize;
        let world = &mut worlds[at];
        if failures && dice.below(200) == 0 {
            world.sim.fail_after(dice.one_of(&calls), dice.below(5), dice.one_of(&kinds));
        }
        if failures {
            let _ = catch_unwind(AssertUnwindSafe(|| world.step(&mut dice)));
            // A failed call may have freed a buffer while its work goes on: the device has it for a little longer than the books.
        } else {
            world.step(&mut dice);
            assert!(world.sim.peak() <= world.limit + 3 * MB);
        }
        if operation % 16 == 0 {
            world.check();
        }
        assert!(host.budget().used() <= host.budget().limit());
    }
    let (acquired, refused) =
        worlds.iter().fold((0, 0), |(a, r), world| (a + world.acquired, r + world.refused));
    worlds.into_iter().for_each(World::end);
    (acquired, refused)
}

/// How much is done: for a night, and for each change.
pub(super) fn long(deep: u64, short: u64) -> u64 {
    if std::env::var_os("LARDER_DEEP").is_some_and(|value| value != "0") { deep } else { short }
}

#[test]
fn histories_hold_what_is_promised() {
    let (acquired, refused) = run(long(1_500_000, 30_000), 1, false);
    assert!(acquired > 2 * refused && refused > 0, "{acquired} acquired, {refused} refused");
}

#[test]
fn histories_with_failures_leave_nothing_behind() {
    let (acquired, refused) = run(long(1_000_000, 20_000), 2, true);
    assert!(acquired > refused && refused > 0, "{acquired} acquired, {refused} refused");
}

#[test]
fn threads_share_a_pool() {
    let host = Domain::builder().limit_bytes(MB).manual().build();
    let sim = SimDevice::builder().total_bytes(2 * MB).build();
    let device = Device::builder("gpu:0", sim.clone())
        .limit_bytes(MB)
        .patience(Duration::from_secs(3600))
        .manual()
        .build_in(&host)
        .unwrap();
    let pool = device.pool("shared").classes([65_536, 131_072]).build().unwrap();
    let rounds = long(20_000, 1_000);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (sim, pool) = (&sim, &pool);
            scope.spawn(move || {
                let stream = sim.order();
                for round in 0..rounds {
                    let tag = (thread << 32) | round;
                    let len = if round % 3 == 0 { 100_000 } else { 1000 };
                    let lease = pool.acquire(len, SimUsage::Storage, &stream);
                    // At most half of the limit is lent at a time: there is always something to wait for.
                    let lease = lease.unwrap_or_else(|error| panic!("{error}"));
                    sim.write(&stream, &lease, tag);
                    let read = sim.read(&stream, &lease);
                    drop(lease);
                    while read.get().is_none() {
                        sim.advance(3);
                    }
                    assert_eq!(read.get(), Some(tag));
                }
            });
        }
        let device = &device;
        scope.spawn(move || {
            for _ in 0..rounds {
                device.trim(200_000);
                device.domain().tick();
            }
        });
    });
    assert_eq!(sim.hazards(), Vec::<String>::new());
    assert!(device.domain().stats().budget.peak <= MB && pool.leases().is_empty());
    drop(pool);
    sim.finish();
    assert_eq!((sim.live(), device.domain().budget().used()), (0, 0));
}

#[test]
fn a_pipeline_makes_nothing_new_once_it_is_warm_and_ends_right_with_half_of_what_it_wants() {
    for (limit, creates_nothing) in [(64 * MB, true), (4 * MB, false)] {
        let host = Domain::builder().limit_bytes(MB).manual().build();
        let sim = SimDevice::builder().total_bytes(64 * MB).build();
        let device =
            Device::builder("gpu:0", sim.clone()).limit_bytes(limit).manual().build_in(&host).unwrap();
        let pool = device.pool("steps").build().unwrap();
        let streams = [sim.order(), sim.order()];
        let mut warm = 0;
        for step in 0..100_u64 {
            if step == 10 {
                warm = sim.creates();
            }
            // Each of eight layers keeps its own size until the step ends: 8 MB together.
            let stream = &streams[(step % 2) as usize];
            let mut reads = Vec::new();
            for layer in 0..8_u64 {
                let kept = pool.acquire((layer % 3 + 1) * MB / 2, SimUsage::Storage, stream).unwrap();
                sim.write(stream, &kept, step * 8 + layer);
                reads.push((sim.read(stream, &kept), step * 8 + layer));
                let side = pool.acquire(MB, SimUsage::Uniform, stream);
                if let Ok(side) = side {
                    sim.write(stream, &side, 1);
                }
            }
            sim.advance(11);
            drop(pool.stats());
            if step == 99 {
                sim.finish();
                assert!(reads.iter().all(|(read, value)| read.get() == Some(*value)));
            }
        }
        sim.finish();
        assert!(sim.peak() <= limit && sim.hazards().is_empty());
        assert!(
            !creates_nothing || (warm, sim.creates()) == (sim.creates(), warm),
            "{warm} {}",
            sim.creates()
        );
    }
}

#[test]
fn an_error_of_a_pool_is_an_error() {
    fn is_error<E: std::error::Error + Send + Sync + 'static>() {}
    fn is_shared<T: Send + Sync + 'static>() {}
    is_error::<DeviceError>();
    is_shared::<DeviceLease<SimDevice>>();
    is_shared::<DevicePool<SimDevice>>();
    is_shared::<Device<SimDevice>>();
}
