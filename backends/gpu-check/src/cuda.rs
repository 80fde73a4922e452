//! CUDA's devices, and the simulated one: what has to hold, and what a pooled buffer costs beside the driver's own calls.

use std::ffi::{CStr, c_void};
use std::time::Duration;

use larder_cuda::{Argument, Buffers, CudaDevice, CudaPool, Driver, Kernel, Memory, Stream};
use larder_fake_cuda::{Fake, Pace, Setup};
use larder_runtime::Domain;
use larder_runtime::device::{Device, DeviceBackend, DeviceError};

use crate::measure::{Effort, SIZES, bytes, ratio};
use crate::raw::Raw;
use crate::table::Table;

const TIER: &str = "CUDA";
const DEVICE: Memory = Memory::Device;
const SOON: Duration = Duration::from_secs(60);
const MB: u64 = 1 << 20;
/// The kernel has so many bytes at most in what is measured, as with Vulkan.
const DOUBLED: u64 = 65_536;

const DOUBLE: &str = include_str!("double.ptx");

/// A device with what checks need.
struct Cuda {
    backend: CudaDevice,
    double: Kernel,
    streams: Vec<Stream>,
    ordinal: usize,
    /// Bytes of what a step works on.
    layer: u64,
}

/// Everything, on what the machine has.
pub(crate) fn on_hardware(table: &mut Table, effort: Effort, required: bool) {
    let driver = match Driver::load() {
        Ok(driver) => driver,
        Err(error) => return table.skip(TIER, "all", error.to_string(), required),
    };
    // SAFETY: the driver was loaded from there before, and stays.
    let library = unsafe { libloading::Library::new(driver.place()) };
    let find = |name: &CStr| -> *const c_void {
        let Ok(library) = &library else { return std::ptr::null() };
        // SAFETY: only the address is taken.
        let found = unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) };
        found.map_or(std::ptr::null(), |symbol| *symbol)
    };
    // SAFETY: it is the driver.
    let raw = unsafe { Raw::find(find) };
    for ordinal in 0..driver.devices().unwrap_or(0) {
        on(table, &driver, ordinal, TIER, raw.as_ref(), Some(effort));
    }
}

/// The same on a driver that is simulated: it shows that the program is right, and nothing of CUDA or of a GPU.
pub(crate) fn on_the_fake(table: &mut Table) {
    let fake = Fake::new(Setup { devices: vec![256 * MB], pace: Pace::Late(1), ..Setup::default() });
    // SAFETY: it behaves like the driver, as far as it is used here.
    let driver = unsafe { Driver::from_symbols("the simulation", larder_fake_cuda::symbol) };
    // SAFETY: as above.
    let raw = unsafe { Raw::find(larder_fake_cuda::symbol) };
    match driver {
        Ok(driver) => on(table, &driver, 0, "simulated CUDA", raw.as_ref(), None),
        Err(error) => table.skip("simulated CUDA", "all", error.to_string(), true),
    }
    table.check("simulated CUDA", "no touch of memory was out of order", || {
        let hazards = fake.hazards();
        assert!(hazards.is_empty(), "{}", hazards.join("; "));
        format!("{} events, {} copies", fake.calls("cuEventRecord"), fake.calls("cuMemcpyHtoDAsync_v2"))
    });
}

/// All rows of one device. Without an effort times mean nothing.
fn on(
    table: &mut Table,
    driver: &Driver,
    ordinal: usize,
    tier: &str,
    raw: Result<&Raw, &String>,
    effort: Option<Effort>,
) {
    // A simulation is slow.
    let layer = if effort.is_some() { MB / 4 } else { MB / 16 };
    let cuda = match Cuda::open(driver, ordinal, layer) {
        Ok(cuda) => cuda,
        Err(why) => return table.skip(tier, &format!("device {ordinal}"), why, true),
    };
    let name = format!("{tier}: {}", cuda.backend.info().name);
    table.check(&name, "recycling never mixes holders", || recycling(&cuda));
    table.check(&name, "a pipeline makes nothing new once it is warm", || pipeline(&cuda));
    table.check(&name, "half of what is wanted is enough", || half(&cuda));
    table.check(&name, "out of memory is an error, and passes", || out_of_memory(&cuda));
    table.check(&name, "trim gives memory back", || trim(&cuda));
    for size in SIZES {
        let what = format!("steps with {}", bytes(size));
        match raw {
            Ok(raw) => table.measure(&name, &what, || measured(&cuda, raw, effort, size)),
            Err(why) => table.skip(&name, &what, why.clone(), false),
        }
    }
}

impl Cuda {
    fn open(driver: &Driver, ordinal: usize, layer: u64) -> Result<Self, String> {
        let backend = CudaDevice::new(driver, ordinal).map_err(|error| error.to_string())?;
        let double = backend.kernel(DOUBLE, "double").map_err(|fault| format!("the kernel: {fault}"))?;
        let streams: Result<_, _> = (0..4).map(|_| backend.stream()).collect();
        let streams = streams.map_err(|error| format!("streams: {error}"))?;
        Ok(Self { backend, double, streams, ordinal, layer })
    }

    /// The device with a limit of its own, and a host that has enough.
    fn with(&self, limit: u64) -> Device<CudaDevice> {
        let host = Domain::builder().limit_bytes(1 << 40).manual().build();
        let builder = Device::builder("gpu:0", self.backend.clone()).limit_bytes(limit).patience(SOON);
        builder.manual().build_in(&host).unwrap()
    }

    /// Has a stream double the first numbers of a buffer.
    fn double(&self, stream: &Stream, buffer: &larder_cuda::CudaBuffer, len: u64) {
        self.double_at(stream, buffer.address(), len);
    }

    /// Has a stream double the first numbers at an address, where there are so many.
    fn double_at(&self, stream: &Stream, address: u64, len: u64) {
        let count = (len / 4) as u32;
        let arguments = [Argument::U64(address), Argument::U32(count)];
        // SAFETY: the kernel takes an address and a number, and touches as many numbers as that says, which the buffer has.
        let started =
            unsafe { self.double.launch(stream, [count.div_ceil(256), 1, 1], [256, 1, 1], &arguments) };
        started.unwrap();
    }
}

fn numbers(value: u32, len: u64) -> Vec<u8> {
    value.to_le_bytes().repeat((len / 4) as usize)
}

/// Four streams take each other's buffers while work with them waits.
fn recycling(cuda: &Cuda) -> String {
    const LEN: u64 = 65_536;
    let device = cuda.with(256 * MB);
    let pool = device.pool("recycled").build().unwrap();
    for round in 0..50_u32 {
        let mut reads = Vec::new();
        for holder in 0..8_u32 {
            let (value, stream) = (10 * round + holder, &cuda.streams[holder as usize % 4]);
            let lease = pool.acquire(LEN, DEVICE, stream).unwrap();
            pool.upload(stream, &lease, &numbers(value, LEN)).unwrap();
            cuda.double(stream, &lease, LEN);
            reads.push((pool.read_back(stream, &lease, LEN).unwrap(), 2 * value));
        }
        for (read, value) in reads {
            let found = read.to_vec(SOON).unwrap();
            assert!(found == numbers(value, LEN), "round {round}: a holder finds its own {value}");
        }
    }
    let stats = pool.stats();
    format!("400 holders on 4 streams, {} buffers, {} hits", stats.creates, stats.hits.total())
}

/// A hundred steps of four layers, each of which doubles what it is given; how many buffers there had been after each.
fn steps(cuda: &Cuda, pool: &CudaPool, len: u64) -> Vec<u64> {
    let mut made = Vec::new();
    for step in 0..100_u32 {
        let stream = &cuda.streams[step as usize % 2];
        let lease = pool.acquire(len, DEVICE, stream).unwrap();
        pool.upload(stream, &lease, &numbers(step + 1, len)).unwrap();
        for layer in 0..4_u64 {
            // What a layer needs beside, of a size of its own.
            let beside = pool.acquire(len >> layer, DEVICE, stream).unwrap();
            pool.upload(stream, &beside, &numbers(0, len >> layer)).unwrap();
            cuda.double(stream, &lease, len);
        }
        let read = pool.read_back(stream, &lease, len).unwrap();
        drop(lease);
        assert!(read.to_vec(SOON).unwrap() == numbers(16 * (step + 1), len), "step {step}");
        made.push(pool.stats().creates);
    }
    made
}

fn pipeline(cuda: &Cuda) -> String {
    let device = cuda.with(256 * MB);
    let made = steps(cuda, &device.pool("layers").build().unwrap(), cuda.layer);
    assert_eq!(made[10], made[99], "buffers made after each step: {made:?}");
    format!("{} buffers made in the first 10 steps, none in 90", made[10])
}

/// Eight shapes in turn, two buffers of each, which are given numbers and doubled; the most bytes that were used at once.
fn shapes(cuda: &Cuda, device: &Device<CudaDevice>) -> u64 {
    let shape = |number: u64| (number + 1) * cuda.layer / 8;
    let pool = device.pool("shapes").classes((0..8).map(shape)).build().unwrap();
    for step in 0..100_u32 {
        let (len, stream) = (shape(u64::from(step) % 8), &cuda.streams[step as usize % 2]);
        let leases = [(); 2].map(|()| pool.acquire(len, DEVICE, stream).unwrap());
        for lease in &leases {
            pool.upload(stream, lease, &numbers(step + 1, len)).unwrap();
            cuda.double(stream, lease, len);
        }
        let reads = leases.each_ref().map(|lease| pool.read_back(stream, lease, len).unwrap());
        drop(leases);
        for read in reads {
            assert!(read.to_vec(SOON).unwrap() == numbers(2 * (step + 1), len), "step {step}");
        }
    }
    device.domain().stats().budget.peak
}

fn half(cuda: &Cuda) -> String {
    // What they hold when nothing is in their way.
    let wanted = shapes(cuda, &cuda.with(256 * MB));
    let device = cuda.with(wanted / 2);
    let peak = shapes(cuda, &device);
    assert!(peak <= wanted / 2, "{peak} of {wanted}");
    format!("peak {} of {}, all steps right", bytes(peak), bytes(wanted / 2))
}

fn out_of_memory(cuda: &Cuda) -> String {
    let device = cuda.with(u64::MAX);
    let pool = device.pool("all").classes([device.info().max_buffer / 8]).build().unwrap();
    let (mut leases, mut bytes_of_all) = (Vec::new(), 0);
    let report = loop {
        match pool.acquire(device.info().max_buffer / 8, DEVICE, &cuda.streams[0]) {
            Ok(lease) => {
                bytes_of_all += lease.capacity();
                leases.push(lease);
                assert!(leases.len() <= 9, "more was lent than there is");
            }
            Err(DeviceError::OutOfMemory(report)) => break report,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((report.in_use.bytes, report.holders.len()), (bytes_of_all, 1), "{report}");
    leases.pop();
    // There is room for one again.
    leases.push(pool.acquire(device.info().max_buffer / 8, DEVICE, &cuda.streams[1]).unwrap());
    let count = leases.len();
    drop(leases);
    cuda.streams.iter().for_each(|stream| stream.synchronize().unwrap());
    device.trim(u64::MAX);
    format!("refused after {count} buffers of {}", bytes(device.info().max_buffer / 8))
}

fn trim(cuda: &Cuda) -> String {
    let device = cuda.with(256 * MB);
    let pool = device.pool("large").build().unwrap();
    let stream = &cuda.streams[0];
    let leases: Vec<_> = (0..8).map(|_| pool.acquire(4 * MB, DEVICE, stream).unwrap()).collect();
    for lease in &leases {
        pool.upload(stream, lease, &[1; 4096]).unwrap();
    }
    drop(leases);
    stream.synchronize().unwrap();
    let before = device.backend().allocated();
    let freed = device.trim(u64::MAX);
    // What was freed is free when the driver's own stream has come to it.
    cuda.streams.iter().for_each(|stream| stream.synchronize().unwrap());
    let after = settled(cuda, &device);
    let stats = pool.stats();
    let left: u64 =
        stats.classes.iter().filter(|class| class.usage == DEVICE).map(|class| class.gauges.bytes()).sum();
    assert!(freed >= 32 * MB && left == 0, "{stats}");
    assert!(after.allocated + 32 * MB <= before.allocated, "{before:?}, then {after:?}");
    format!(
        "allocated {} -> {}, reserved {} -> {}",
        bytes(before.allocated),
        bytes(after.allocated),
        bytes(before.reserved),
        bytes(after.reserved)
    )
}

/// What is allocated when all is done that the device was given.
fn settled(cuda: &Cuda, device: &Device<CudaDevice>) -> larder_cuda::Allocated {
    cuda.backend.synchronize().unwrap();
    device.trim(u64::MAX);
    device.backend().allocated()
}

/// An acquire, and a whole step, beside the driver's own calls.
fn measured(cuda: &Cuda, raw: &Raw, effort: Option<Effort>, size: u64) -> Vec<(String, String)> {
    let device = cuda.with(256 * MB);
    let pool = device.pool("measured").build().unwrap();
    let real = effort.unwrap_or(Effort::Quick);
    let (acquire, step) = raw.within(cuda.ordinal, || {
        (acquire(cuda, raw, &pool, real, size), there_and_back(cuda, raw, &pool, real, size))
    });
    cuda.backend.synchronize().unwrap();
    let row = |what: &str, [pooled, blocking, ordered]: [Duration; 3]| {
        let found = match effort {
            None => "it ran, and was right; times of a simulation mean nothing".to_owned(),
            Some(_) => {
                let (than_blocking, than_ordered) = (ratio(pooled, blocking), ratio(pooled, ordered));
                let blocking = format!("cudaMalloc and cudaFree {blocking:.2?}, {than_blocking}");
                format!("{pooled:.2?}; with {blocking}; with cudaMallocAsync {ordered:.2?}, {than_ordered}")
            }
        };
        (format!("{what}, {}", bytes(size)), found)
    };
    vec![row("acquire and release", acquire), row("a step there and back", step)]
}

fn acquire(cuda: &Cuda, raw: &Raw, pool: &CudaPool, effort: Effort, size: u64) -> [Duration; 3] {
    let stream = &cuda.streams[0];
    effort.compare([
        &mut || drop(pool.acquire(size, DEVICE, stream).unwrap()),
        &mut || raw.blocking(size, drop),
        &mut || raw.ordered(size, stream.raw(), drop),
    ])
}

/// A buffer, numbers up, a kernel, numbers back. What pools are compared with has one pinned buffer that it keeps, so
/// that the device's memory is all that differs.
fn there_and_back(cuda: &Cuda, raw: &Raw, pool: &CudaPool, effort: Effort, size: u64) -> [Duration; 3] {
    let stream = &cuda.streams[0];
    let doubled = size.min(DOUBLED);
    let given = numbers(21, size);
    let check = |found: &[u8]| {
        let last = doubled as usize - 4;
        assert_eq!(
            (found.len(), &found[..4], &found[last..][..4]),
            (given.len(), &numbers(42, 4)[..], &numbers(42, 4)[..])
        );
    };
    let kept = pool.acquire(size, Memory::Pinned, stream).unwrap();
    let host = kept.host().unwrap();
    let work = |address: u64| {
        // SAFETY: the buffer is this function's, has so many bytes, and no stream is given it before or after this.
        unsafe {
            host.copy_from_nonoverlapping(given.as_ptr(), given.len());
            raw.there_and_back(address, host, size, stream.raw(), || {
                cuda.double_at(stream, address, doubled);
            });
            stream.synchronize().unwrap();
            check(std::slice::from_raw_parts(host, given.len()));
        }
    };
    effort.compare([
        &mut || {
            let lease = pool.acquire(size, DEVICE, stream).unwrap();
            pool.upload(stream, &lease, &given).unwrap();
            cuda.double(stream, &lease, doubled);
            let read = pool.read_back(stream, &lease, size).unwrap();
            drop(lease);
            read.read(SOON, check).unwrap();
        },
        &mut || raw.blocking(size, work),
        &mut || raw.ordered(size, stream.raw(), work),
    ])
}
