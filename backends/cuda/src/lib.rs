//! CUDA's memory in larder's pools: under a limit of bytes, lent for a stream, and lent again behind the work of the last holder.
//!
//! A [`Device`] is opened with [`open`]. Its pools are those of [`larder_runtime::device`]; [`Buffers`] adds copies from and to the
//! host. There are pools of the device's own memory and of pinned memory of the host; which is meant, [`Memory`] says with each
//! request.
//!
//! The driver is found when the program runs. Without one, or without a device, opening is an error, and nothing panics. No
//! toolkit is needed, neither to build nor to run.
//!
//! # Checked on a fake driver
//!
//! The tests run on a driver that is simulated, which does work late and judges each touch of memory; **no run on hardware is on
//! record yet.** `cargo xtask gpu-check` builds one program that repeats them on a machine that has a GPU.
//!
//! # What is safe
//!
//! A buffer may be dropped as soon as all work with it was given to the stream that it was acquired for. Its next holder comes behind
//! that work: on the same stream by itself, on another because that stream is made to wait, on the device and not here. A buffer that is used on
//! a second stream needs [`DeviceLease::use_on`] before that. Pinned memory, which the host touches, is lent again when all work
//! with it is done.
//!
//! A recycled buffer holds what its last holder left there, unless the pool zeroes.
//!
//! # Beside other crates
//!
//! Devices are used in their primary context, as CUDA's runtime and cudarc do: their kernels take [`CudaBuffer::address`], their streams
//! come in with [`CudaDevice::stream_from_raw`]. What is current on a thread stays so.
//!
//! # Examples
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use larder_cuda::{Buffers, Memory};
//!
//! let gpu = larder_cuda::open("gpu:0", 0)?.limit_mb(2048).build()?;
//! let pool = gpu.pool("activations").max_mb(512).build()?;
//! let stream = gpu.backend().stream()?;
//!
//! let input = pool.acquire(1 << 20, Memory::Device, &stream)?;
//! pool.upload(&stream, &input, &[7; 1 << 20])?;
//! // .. give the stream kernels that use `input.address()` ..
//! let back = pool.read_back(&stream, &input, 1 << 20)?;
//! drop(input);
//! assert_eq!(back.to_vec(Duration::from_secs(1))?[0], 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod context;
mod driver;
mod kernel;
mod memory;
mod sys;
mod transfer;

pub use backend::CudaDevice;
pub use context::{Event, Stream};
pub use driver::{CudaError, Driver};
pub use kernel::{Argument, Kernel};
pub use memory::{Allocated, Allocation, CudaBuffer, Memory};
pub use transfer::{Readback, TransferError};

use larder_runtime::device::{Device, DeviceBuilder, DeviceError, DeviceLease, DevicePool};

/// Configures a device of this machine's driver for pools: what it is called, `"gpu:0"` for example, and its number.
///
/// # Errors
///
/// [`DeviceError::Unavailable`] when there is no driver, or no such device.
pub fn open(name: impl Into<String>, ordinal: usize) -> Result<DeviceBuilder<CudaDevice>, DeviceError> {
    Ok(Device::builder(name, CudaDevice::new(&Driver::load()?, ordinal)?))
}

/// A pool of CUDA's memory.
pub type CudaPool = DevicePool<CudaDevice>;

/// A buffer of such a pool.
pub type CudaLease = DeviceLease<CudaDevice>;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::CudaPool {}
}

/// What a pool does between the host and the device.
pub trait Buffers: sealed::Sealed {
    /// Copies bytes to the beginning of a buffer, in the order of a stream, through a pinned buffer of this pool. When it returns,
    /// `bytes` are nobody's concern any more.
    ///
    /// # Errors
    ///
    /// When there is no pinned buffer to be had, `target` is too small or not on this device, or the driver fails.
    fn upload(&self, stream: &Stream, target: &CudaBuffer, bytes: &[u8]) -> Result<(), TransferError>;

    /// Copies the first `len` bytes of a buffer, in the order of a stream, to be read when that is done.
    ///
    /// # Errors
    ///
    /// When there is no pinned buffer to be had, `source` is too small or not on this device, or the driver fails.
    fn read_back(&self, stream: &Stream, source: &CudaBuffer, len: u64) -> Result<Readback, TransferError>;
}

impl Buffers for CudaPool {
    #[track_caller]
    fn upload(&self, stream: &Stream, target: &CudaBuffer, bytes: &[u8]) -> Result<(), TransferError> {
        transfer::upload(self, stream, target, bytes)
    }

    #[track_caller]
    fn read_back(&self, stream: &Stream, source: &CudaBuffer, len: u64) -> Result<Readback, TransferError> {
        Readback::begin(self, stream, source, len)
    }
}
