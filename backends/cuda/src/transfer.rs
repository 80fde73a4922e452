//! To the device and back, through pooled buffers that are pinned.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_runtime::device::{DeviceBackend, DeviceError, Fault};

use crate::context::{Event, Stream};
use crate::memory::{CudaBuffer, Memory};
use crate::{CudaDevice, CudaLease, CudaPool};

/// Why bytes did not get where they were to go.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransferError {
    /// There is no buffer to take them there.
    NoBuffer(DeviceError),
    /// The buffer at the other end has fewer bytes, or is not in the memory of that device.
    Unfit {
        /// Bytes that were to be copied.
        len: u64,
        /// Bytes that it has.
        size: u64,
    },
    /// The driver failed.
    Failed(Fault),
    /// The device did not finish in time.
    NotDone(Duration),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBuffer(error) => write!(f, "no buffer for a transfer: {error}"),
            Self::Unfit { len, size } => {
                write!(
                    f,
                    "a copy of {len} bytes needs a buffer of that size on the same device; it has {size}"
                )
            }
            Self::Failed(fault) => write!(f, "a transfer failed: {fault}"),
            Self::NotDone(waited) => {
                write!(f, "nothing to read after {waited:?}: allow the device more time")
            }
        }
    }
}

impl Error for TransferError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoBuffer(error) => Some(error),
            Self::Failed(fault) => Some(fault),
            _ => None,
        }
    }
}

impl From<DeviceError> for TransferError {
    fn from(error: DeviceError) -> Self {
        Self::NoBuffer(error)
    }
}

impl From<Fault> for TransferError {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// The number of bytes, for the driver.
fn check(device: &CudaDevice, buffer: &CudaBuffer, len: u64) -> Result<usize, TransferError> {
    let is_there = buffer.memory() == Memory::Device && buffer.is_of(device.context());
    match usize::try_from(len) {
        Ok(bytes) if is_there && len <= buffer.bytes() => Ok(bytes),
        _ => Err(TransferError::Unfit { len, size: buffer.bytes() }),
    }
}

/// A pinned buffer, and where the host finds it.
fn pinned(pool: &CudaPool, len: u64, stream: &Stream) -> Result<(CudaLease, *mut u8), TransferError> {
    let lease = pool.acquire(len, Memory::Pinned, stream)?;
    match lease.host() {
        Some(host) => Ok((lease, host)),
        None => unreachable!("what is pinned has an address on the host"),
    }
}

#[track_caller]
pub(crate) fn upload(
    pool: &CudaPool,
    stream: &Stream,
    target: &CudaBuffer,
    bytes: &[u8],
) -> Result<(), TransferError> {
    let device = pool.device().backend();
    let len = check(device, target, bytes.len() as u64)?;
    if len == 0 {
        return Ok(());
    }
    let (staging, host) = pinned(pool, len as u64, stream)?;
    // SAFETY: the buffer has that many bytes, is this lease's alone, and no work with it is left.
    unsafe { host.copy_from_nonoverlapping(bytes.as_ptr(), len) };
    let (driver, _entered) = (device.driver(), device.context().enter().map_err(Fault::from)?);
    // SAFETY: both ends have that many bytes; the staging buffer is lent again only when this is done.
    let code = unsafe {
        (driver.functions().to_device)(target.address(), staging.address() as *const _, len, stream.raw())
    };
    Ok(driver.check("cuMemcpyHtoDAsync", code).map_err(Fault::from)?)
}

/// Bytes on their way back from the device.
///
/// Dropping it gives the buffer back.
#[derive(Debug)]
pub struct Readback {
    pool: CudaPool,
    lease: CudaLease,
    host: *const u8,
    copied: Arc<Event>,
    len: usize,
}

// SAFETY: the address is that of the lease's buffer, which any thread may read.
unsafe impl Send for Readback {}
// SAFETY: as above; nothing reads it through a shared reference.
unsafe impl Sync for Readback {}

impl Readback {
    #[track_caller]
    pub(crate) fn begin(
        pool: &CudaPool,
        stream: &Stream,
        source: &CudaBuffer,
        len: u64,
    ) -> Result<Self, TransferError> {
        let device = pool.device().backend();
        let len = check(device, source, len)?;
        let (lease, host) = pinned(pool, len as u64, stream)?;
        if len > 0 {
            let (driver, _entered) = (device.driver(), device.context().enter().map_err(Fault::from)?);
            // SAFETY: both ends have that many bytes; the pinned buffer is lent again only when this is done.
            let code =
                unsafe { (driver.functions().to_host)(host.cast(), source.address(), len, stream.raw()) };
            driver.check("cuMemcpyDtoHAsync", code).map_err(Fault::from)?;
        }
        let copied = Arc::new(device.fence(stream)?);
        Ok(Self { pool: pool.clone(), lease, host, copied, len })
    }

    /// Waits until the device has copied the bytes, and has them read.
    ///
    /// # Errors
    ///
    /// [`TransferError::NotDone`] when the device was not done in that time; [`TransferError::Failed`] when it fails.
    pub fn read<R>(self, most: Duration, read: impl FnOnce(&[u8]) -> R) -> Result<R, TransferError> {
        let Self { pool, lease, host, copied, len } = self;
        if !pool.device().backend().wait(&[copied], most)? {
            return Err(TransferError::NotDone(most));
        }
        // SAFETY: the buffer has that many bytes, and is this lease's until it is dropped, below. The copy to it is done, and wrote all
        // of them.
        let result = read(unsafe { std::slice::from_raw_parts(host, len) });
        drop(lease);
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
