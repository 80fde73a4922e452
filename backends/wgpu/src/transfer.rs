//! To the device and back, through pooled buffers that the host can map.
//!
//! A buffer goes back to its pool unmapped. Not here: textures.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use larder_runtime::device::{DeviceBackend, DeviceError};
use wgpu::{BufferUsages, COPY_BUFFER_ALIGNMENT, MapMode};

use crate::recording::{Recorded, Recording};
use crate::{WgpuDevice, WgpuLease, WgpuPool};

/// Buffers that the host writes, and the device copies from.
const TO_DEVICE: BufferUsages = BufferUsages::MAP_WRITE.union(BufferUsages::COPY_SRC);
/// Buffers that the device copies to, and the host reads.
const TO_HOST: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);

/// How long the device may take to map a buffer that it does not use.
const MAPPED_WITHIN: Duration = Duration::from_secs(10);

/// Why bytes did not get where they were to go.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransferError {
    /// There is no buffer to take them there.
    NoBuffer(DeviceError),
    /// The buffer at the other end has fewer bytes, or not this usage.
    Unfit {
        /// Bytes that were to be copied.
        len: u64,
        /// Bytes that it has.
        size: u64,
        /// The usage that it needs.
        needs: BufferUsages,
    },
    /// The host could not map the buffer, or not in time.
    NotMapped(String),
    /// The encoder was not submitted, or the device did not finish in time.
    NotDone(Duration),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBuffer(error) => write!(f, "no buffer for a transfer: {error}"),
            Self::Unfit { len, size, needs } => {
                write!(f, "a copy of {len} bytes needs a buffer of that size with {needs:?}; it has {size}")
            }
            Self::NotMapped(why) => write!(f, "a buffer could not be mapped: {why}"),
            Self::NotDone(waited) => write!(
                f,
                "nothing to read after {waited:?}: submit the encoder first, or allow the device more time"
            ),
        }
    }
}

impl Error for TransferError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoBuffer(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DeviceError> for TransferError {
    fn from(error: DeviceError) -> Self {
        Self::NoBuffer(error)
    }
}

fn aligned(len: u64) -> u64 {
    len.next_multiple_of(COPY_BUFFER_ALIGNMENT)
}

fn check(buffer: &wgpu::Buffer, len: u64, needs: BufferUsages) -> Result<(), TransferError> {
    if buffer.size() < len || !buffer.usage().contains(needs) {
        return Err(TransferError::Unfit { len, size: buffer.size(), needs });
    }
    Ok(())
}

/// The device that a lease is of, with a lease that was acquired for it.
fn driver(pool: &WgpuPool) -> &WgpuDevice {
    pool.device().backend()
}

#[track_caller]
pub(crate) fn upload(
    pool: &WgpuPool,
    encoder: &mut wgpu::CommandEncoder,
    target: &wgpu::Buffer,
    bytes: &[u8],
) -> Result<(), TransferError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let len = aligned(bytes.len() as u64);
    check(target, len, BufferUsages::COPY_DST)?;
    let staging = pool.acquire(len, TO_DEVICE, &Recording::of(encoder))?;
    let staging = Mapped::map(driver(pool), staging, MapMode::Write, len)?;
    {
        let mut view = staging
            .buffer()
            .get_mapped_range_mut(0..len)
            .map_err(|error| TransferError::NotMapped(error.to_string()))?;
        view.slice(..bytes.len()).copy_from_slice(bytes);
        view.slice(bytes.len()..).fill(0);
    }
    let staging = staging.unmap();
    encoder.copy_buffer_to_buffer(&staging, 0, target, 0, len);
    Ok(())
}

/// Bytes on their way back from the device.
///
/// Dropping it gives the buffer back.
#[derive(Debug)]
pub struct Readback {
    pool: WgpuPool,
    lease: WgpuLease,
    recording: Recording,
    len: u64,
}

impl Readback {
    #[track_caller]
    pub(crate) fn record(
        pool: &WgpuPool,
        encoder: &mut wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        len: u64,
    ) -> Result<Self, TransferError> {
        check(source, aligned(len), BufferUsages::COPY_SRC)?;
        let recording = Recording::of(encoder);
        let lease = pool.acquire(aligned(len), TO_HOST, &recording)?;
        if len > 0 {
            encoder.copy_buffer_to_buffer(source, 0, &lease, 0, aligned(len));
        }
        Ok(Self { pool: pool.clone(), lease, recording, len })
    }

    /// Waits until the device has copied the bytes, and has them read. The encoder has to be submitted before.
    ///
    /// # Errors
    ///
    /// [`TransferError::NotDone`] when the encoder was not submitted, or the device was not done in that time;
    /// [`TransferError::NotMapped`] when the host can't read the buffer.
    pub fn read<R>(self, most: Duration, read: impl FnOnce(&[u8]) -> R) -> Result<R, TransferError> {
        let Self { pool, lease, recording, len } = self;
        let driver = driver(&pool);
        let fence = [Arc::new(Recorded(recording))];
        let done = driver.wait(&fence, most).map_err(|fault| TransferError::NotMapped(fault.to_string()))?;
        if !done {
            return Err(TransferError::NotDone(most));
        }
        if len == 0 {
            return Ok(read(&[]));
        }
        let mapped = Mapped::map(driver, lease, MapMode::Read, aligned(len))?;
        let view = mapped
            .buffer()
            .get_mapped_range(0..aligned(len))
            .map_err(|error| TransferError::NotMapped(error.to_string()))?;
        let result = read(&view[..len as usize]);
        drop(view);
        drop(mapped.unmap());
        Ok(result)
    }

    /// [`read`](Self::read) to a vector.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn to_vec(self, most: Duration) -> Result<Vec<u8>, TransferError> {
        self.read(most, <[u8]>::to_vec)
    }
}

/// A lease that the host has mapped; unmapped before it goes back, also when its reader panics.
struct Mapped<'a> {
    lease: Option<WgpuLease>,
    driver: &'a WgpuDevice,
}

/// Not there yet, mapped, refused.
const WAITING: u8 = 0;
const MAPPED: u8 = 1;
const REFUSED: u8 = 2;

impl<'a> Mapped<'a> {
    /// Maps a buffer that the device does not use.
    fn map(driver: &'a WgpuDevice, lease: WgpuLease, mode: MapMode, len: u64) -> Result<Self, TransferError> {
        let state = Arc::new(AtomicU8::new(WAITING));
        let told = Arc::clone(&state);
        let mapped = Self { lease: Some(lease), driver };
        let asked = driver.guarded(|| {
            mapped.buffer().map_async(mode, 0..len, move |result| {
                told.store(if result.is_ok() { MAPPED } else { REFUSED }, Ordering::Release);
            });
        });
        asked.map_err(|fault| TransferError::NotMapped(fault.to_string()))?;
        let start = Instant::now();
        loop {
            // Nearly always the first look is enough: nothing uses it.
            driver.poll();
            match state.load(Ordering::Acquire) {
                MAPPED => return Ok(mapped),
                REFUSED => return Err(TransferError::NotMapped("the device refused".to_owned())),
                _ if start.elapsed() > MAPPED_WITHIN => {
                    return Err(TransferError::NotMapped(format!("not within {MAPPED_WITHIN:?}")));
                }
                _ => std::thread::yield_now(),
            }
        }
    }

    fn buffer(&self) -> &wgpu::Buffer {
        match &self.lease {
            Some(lease) => lease,
            None => unreachable!("only `unmap` takes it"),
        }
    }

    fn unmap(mut self) -> WgpuLease {
        match self.take() {
            Some(lease) => lease,
            None => unreachable!("it takes `self`"),
        }
    }

    /// The lease without the mapping. Of a device that was destroyed none is left, which is no matter.
    fn take(&mut self) -> Option<WgpuLease> {
        let lease = self.lease.take()?;
        let _ = self.driver.guarded(|| lease.unmap());
        Some(lease)
    }
}

impl Drop for Mapped<'_> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
