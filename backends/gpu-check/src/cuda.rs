//! CUDA's devices, and the simulated one: what has to hold, and what a pooled buffer costs beside the driver's own calls.

use std::ffi::{CStr, c_void};
use std::time::Duration;

use larder_cuda::{Argument, Buffers, CudaDevice, Driver, Kernel, Memory, Stream};
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

const DOUBLE: &str = include_str!("double.ptx");

/// A device with what checks need.
struct Cuda {
    backend: CudaDevice,
    double: Kernel,
    streams: Vec<Stream>,
    ordinal: usize,
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
    fake.teach("double", |memory, launch| {
        if let [numbers, count] = launch.arguments[..] {
            let all = memory.read(numbers, 4 * count);
            let mut number = [0; 4];
            let doubled = all.chunks(4).flat_map(|four| {
                number.copy_from_slice(four);
                (2 * u32::from_le_bytes(number)).to_le_bytes()
            });
            memory.write(numbers, &doubled.collect::<Vec<u8>>());
        }
    });
    // SAFETY: it behaves like the driver, as far as it is used here.
    let driver = unsafe { Driver::from_symbols("the simulation", larder_fake_cuda::symbol) };
    match driver {
        // SAFETY: as above.
        Ok(driver) => on(
            table,
            &driver,
            0,
            "simulated CUDA",
            unsafe { Raw::find(larder_fake_cuda::symbol) }.as_ref(),
            None,
        ),
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
    let cuda = match Cuda::open(driver, ordinal) {
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
        let what = format!("acquire and release of {}", bytes(size));
        match raw {
            Ok(raw) => table.check(&name, &what, || measure(&cuda, raw, effort, size)),
            Err(why) => table.skip(&name, &what, why.clone(), false),
        }
    }
}

impl Cuda {
    fn open(driver: &Driver, ordinal: usize) -> Result<Self, String> {
        let backend = CudaDevice::new(driver, ordinal).map_err(|error| error.to_string())?;
        let double = backend.kernel(DOUBLE, "double").map_err(|fault| format!("the kernel: {fault}"))?;
        let streams: Result<_, _> = (0..4).map(|_| backend.stream()).collect();
        let streams = streams.map_err(|error| format!("streams: {error}"))?;
        Ok(Self { backend, double, streams, ordinal })
    }

    /// The device with a limit of its own, and a host that has enough.
    fn with(&self, limit: u64) -> Device<CudaDevice> {
        let host = Domain::builder().limit_bytes(1 << 40).manual().build();
        let builder = Device::builder("gpu:0", self.backend.clone()).limit_bytes(limit).patience(SOON);
        builder.manual().build_in(&host).unwrap()
    }

    /// Has a stream double the first numbers of a buffer.
    fn double(&self, stream: &Stream, buffer: &larder_cuda::CudaBuffer, len: u64) {
        let count = (len / 4) as u32;
        let arguments = [Argument::Buffer(buffer), Argument::U32(count)];
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
fn steps(cuda: &Cuda, pool: &larder_cuda::CudaPool, len: u64) -> Vec<u64> {
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
    let made = steps(cuda, &device.pool("layers").build().unwrap(), MB);
    assert_eq!(made[10], made[99], "buffers made after each step: {made:?}");
    format!("{} buffers made in the first 10 steps, none in 90", made[10])
}

fn half(cuda: &Cuda) -> String {
    // What the pipeline holds when nothing is in its way.
    let wide = cuda.with(256 * MB);
    let pool = wide.pool("layers").build().unwrap();
    steps(cuda, &pool, MB);
    let wanted = wide.domain().stats().budget.peak;
    drop((pool, wide));
    let tight = cuda.with(wanted / 2);
    let pool = tight.pool("layers").build().unwrap();
    steps(cuda, &pool, MB);
    let peak = tight.domain().stats().budget.peak;
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
    assert!(freed >= 32 * MB && pool.stats().gauges.bytes() == 0, "{}", pool.stats());
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

fn measure(cuda: &Cuda, raw: &Raw, effort: Option<Effort>, size: u64) -> String {
    let device = cuda.with(256 * MB);
    let (pool, stream) = (device.pool("measured").build().unwrap(), &cuda.streams[0]);
    let real = effort.unwrap_or(Effort::Quick);
    let pooled = real.time(|| drop(pool.acquire(size, DEVICE, stream).unwrap()));
    let (blocking, ordered) = raw.within(cuda.ordinal, || {
        (real.time(|| raw.blocking(size)), real.time(|| raw.ordered(size, stream.raw())))
    });
    cuda.backend.synchronize().unwrap();
    if effort.is_none() {
        return "it ran; times of a simulation mean nothing".to_owned();
    }
    format!(
        "{pooled:.2?}; cudaMalloc and cudaFree {blocking:.2?}, {}; cudaMallocAsync and cudaFreeAsync {ordered:.2?}, {}",
        ratio(pooled, blocking),
        ratio(pooled, ordered)
    )
}
