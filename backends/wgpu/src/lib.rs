//! wgpu's buffers in larder's pools: under a limit of bytes, lent for a command encoder, and lent again when the GPU is done.
//!
//! A [`Device`] is opened with [`open`]. Its pools are those of [`larder_runtime::device`]; [`Buffers`] adds what encoders are
//! good for.
//!
//! # What is safe
//!
//! A buffer that was acquired for an encoder comes back when its lease was dropped *and* the GPU has done what was recorded in
//! that encoder, or the encoder, or its command buffer, was dropped. So it is safe to drop a lease before the submission, to submit
//! in another order, or never. A buffer that is recorded in a second encoder needs [`InEncoder::use_in`] before that.
//!
//! A recycled buffer holds what its last holder left there, unless the pool zeroes. It is as large as its class: bind it with an
//! explicit size, or shaders see all of it.
//!
//! # Who polls
//!
//! Requests, ticks and trims poll the device, to find out what is done. Callbacks of yours may run there: on any thread that
//! acquires a buffer, and on the background thread of the device's domain.
//!
//! # What wgpu does not tell
//!
//! How much memory a device has: say `limit_mb`. That memory is short, on many drivers: they slow down instead of failing.
//!
//! # Examples
//!
//! ```
//! use larder_runtime::Domain;
//! use larder_wgpu::{Buffers, wgpu};
//! use wgpu::BufferUsages;
//!
//! // A device without a driver; a program asks an adapter for its own.
//! let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
//! let gpu = larder_wgpu::open("gpu:0", device.clone(), queue.clone()).limit_mb(256).build()?;
//! let pool = gpu.pool("activations").max_mb(64).build()?;
//!
//! let encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
//! let buffer = pool.acquire_for(&encoder, 5000, BufferUsages::STORAGE | BufferUsages::COPY_DST)?;
//! assert_eq!((buffer.len(), buffer.size()), (5000, 16_384));
//! // .. record work with it ..
//! drop(buffer);
//! queue.submit([encoder.finish()]);
//! # Ok::<(), larder_runtime::device::DeviceError>(())
//! ```

mod backend;
mod recording;
mod transfer;

pub use backend::{Allocated, WgpuDevice};
pub use recording::{Recorded, Recording};
pub use transfer::{Readback, TransferError};
pub use wgpu;

use larder_runtime::device::{Device, DeviceBuilder, DeviceError, DeviceLease, DevicePool};

/// Configures a device for pools: what it is called, `"gpu:0"` for example, and wgpu's handles, which the program goes on using.
///
/// Say a limit: wgpu does not tell how much memory there is.
pub fn open(name: impl Into<String>, device: wgpu::Device, queue: wgpu::Queue) -> DeviceBuilder<WgpuDevice> {
    Device::builder(name, WgpuDevice::new(device, queue))
}

/// A pool of wgpu's buffers.
pub type WgpuPool = DevicePool<WgpuDevice>;

/// A buffer of such a pool.
pub type WgpuLease = DeviceLease<WgpuDevice>;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::WgpuPool {}
    impl Sealed for super::WgpuLease {}
}

/// What a pool does for a command encoder.
pub trait Buffers: sealed::Sealed {
    /// A buffer of at least `len` bytes to be recorded in this encoder.
    ///
    /// Who acquires many for one encoder saves a closure for each with one [`Recording`] and
    /// [`DevicePool::acquire`].
    ///
    /// # Errors
    ///
    /// Those of [`DevicePool::acquire`].
    fn acquire_for(
        &self,
        encoder: &wgpu::CommandEncoder,
        len: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<WgpuLease, DeviceError>;

    /// Records a copy of `bytes` to the beginning of a buffer, through a buffer of this pool that the host can write to.
    ///
    /// What is copied is a multiple of four bytes; the last of them may be zeroes behind what was given.
    ///
    /// # Errors
    ///
    /// When there is no such buffer to be had, `target` is too small or lacks `COPY_DST`, or the driver fails.
    fn upload(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        target: &wgpu::Buffer,
        bytes: &[u8],
    ) -> Result<(), TransferError>;

    /// Records a copy of the first `len` bytes of a buffer, to be read when the encoder was submitted.
    ///
    /// # Errors
    ///
    /// When there is no buffer to be had that the host can read, or `source` is too small or lacks `COPY_SRC`.
    fn read_back(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        len: u64,
    ) -> Result<Readback, TransferError>;
}

impl Buffers for WgpuPool {
    #[track_caller]
    fn acquire_for(
        &self,
        encoder: &wgpu::CommandEncoder,
        len: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<WgpuLease, DeviceError> {
        self.acquire(len, usage, &Recording::of(encoder))
    }

    #[track_caller]
    fn upload(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        target: &wgpu::Buffer,
        bytes: &[u8],
    ) -> Result<(), TransferError> {
        transfer::upload(self, encoder, target, bytes)
    }

    #[track_caller]
    fn read_back(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        len: u64,
    ) -> Result<Readback, TransferError> {
        Readback::record(self, encoder, source, len)
    }
}

/// What a lease does for a second command encoder.
pub trait InEncoder: sealed::Sealed {
    /// Says that the buffer is recorded in this encoder, too, before it is: it is not lent again before that one's work is done as
    /// well.
    fn use_in(&self, encoder: &wgpu::CommandEncoder);
}

impl InEncoder for WgpuLease {
    fn use_in(&self, encoder: &wgpu::CommandEncoder) {
        // Only streams can fail here.
        let _ = self.use_on(&Recording::of(encoder));
    }
}
