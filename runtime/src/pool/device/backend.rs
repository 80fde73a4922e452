//! What a device can do, as pools see it: make buffers, say when work is done, put work behind other work.
//!
//! Whoever implements this knows a driver and nothing of pools; the pools know nothing of drivers. Not here: what is reused
//! when, which is the pools' business, and any driver.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum DeviceKind {
    /// It has memory of its own.
    Discrete,
    /// It uses the memory of the host.
    Integrated,
    /// The processor stands in for it.
    Cpu,
}

impl DeviceKind {
    /// `"discrete"`, `"integrated"` or `"cpu"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What does not change about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What the driver calls it.
    pub name: String,
    /// Whose memory it uses.
    pub kind: DeviceKind,
    /// Sizes of buffers are multiples of this many bytes; a power of two.
    pub alignment: u64,
    /// The largest buffer that it makes, in bytes.
    pub max_buffer: u64,
}

/// What the driver says of a device's memory at a moment, in bytes, as far as it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct DeviceMemory {
    /// All there is.
    pub total: Option<u64>,
    /// What nobody uses.
    pub free: Option<u64>,
    /// What this process may use before others suffer, its own use included.
    pub budget: Option<u64>,
    /// What this process uses.
    pub own: Option<u64>,
    /// Who says so, in a word or two.
    pub source: &'static str,
}

/// Whose memory a buffer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Residence {
    /// The device's own.
    Device,
    /// The host's: pinned, or mapped.
    Host,
    /// Both at once, because they are the same memory, or because the driver may choose either.
    Both,
}

impl Residence {
    /// Whether the device's domain is charged.
    #[must_use]
    pub fn on_device(self) -> bool {
        self != Self::Host
    }

    /// Whether the host's domain is charged.
    #[must_use]
    pub fn on_host(self) -> bool {
        self != Self::Device
    }
}

/// Why a driver did not do what it was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// There is not that much memory.
    OutOfMemory,
    /// The device is gone, with all that was in its memory.
    Lost(String),
    /// Anything else.
    Other(Box<dyn Error + Send + Sync>),
}

impl Fault {
    /// Any other failure, in words or as an error.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("the device has not enough memory"),
            Self::Lost(why) => write!(f, "the device is lost: {why}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Other(error) => Some(&**error),
            _ => None,
        }
    }
}

/// A device with a driver, for [`Device::builder`](super::Device).
///
/// Work is given to an *order*: a stream, or an encoder. A *fence* stands for all that an order was given up to a moment.
///
/// # Two kinds of devices
///
/// Of an *ordered* one, what an order is given runs in that order, and an order can be made to wait for another's fence
/// (CUDA's streams). There a buffer is handed on behind work that is not done. Of any other, work is recorded first and
/// submitted whenever the user likes (wgpu's encoders): there a buffer is handed on when all work is done that was recorded
/// with it, and no sooner.
///
/// # Locking
///
/// [`same`](Self::same) and [`done`](Self::done) are called under the lock of a pool: they must not block, and must not call
/// anything of a pool. Everything else is called with no lock held, and may be called by several threads at once.
///
/// # Panics
///
/// A call that panics costs the pool the buffer that it was about, and nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no driver of a device",
    label = "buffers of this driver are asked for",
    note = "implement `larder::device::DeviceBackend` for it, or say one of larder's, as in `gpu = \"wgpu\"`"
)]
pub trait DeviceBackend: Send + Sync + 'static {
    /// A whole allocation of the driver's.
    type Buffer: Send + Sync + 'static;
    /// What a buffer is for. A buffer is only reused for the same.
    type Usage: Copy + Eq + fmt::Debug + Send + Sync + 'static;
    /// Where work is given to: a handle that is cheap to clone.
    type Order: Clone + Send + Sync + 'static;
    /// Stands for work up to a moment.
    type Fence: Send + Sync + 'static;

    /// What does not change about the device. Asked once.
    fn info(&self) -> DeviceInfo;

    /// What the driver says of memory now.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn memory(&self) -> Result<DeviceMemory, Fault>;

    /// Whether the device is still there, as far as that is known without asking the driver. Asked with each request,
    /// because one that finds an idle buffer asks nothing else.
    ///
    /// # Errors
    ///
    /// [`Fault::Lost`] when it is not.
    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether the device is ordered. Asked once.
    fn is_ordered(&self) -> bool;

    /// Whether a buffer of this usage may be handed on behind work that is not done, where the device is ordered. Not one that the
    /// host reads or writes as soon as it has it: the host is in no order.
    fn hands_on(&self, usage: Self::Usage) -> bool {
        let _ = usage;
        true
    }

    /// Whether what both are given runs in one order. Only asked of ordered devices.
    fn same(&self, a: &Self::Order, b: &Self::Order) -> bool;

    /// Makes a buffer of exactly so many bytes. An ordered device may make it usable on `order` only, and on others that wait
    /// for that.
    ///
    /// # Errors
    ///
    /// [`Fault::OutOfMemory`] where there is not enough memory, which is not the end: the pool gives back what it can, and asks
    /// again.
    fn create(&self, bytes: u64, usage: Self::Usage, order: &Self::Order) -> Result<Self::Buffer, Fault>;

    /// Frees a buffer, once all is done that these orders were given so far. Without any, nothing can touch it any more.
    fn discard(&self, buffer: Self::Buffer, touched: &[Self::Order]);

    /// A fence for all that an order was given so far; of one that is not ordered, for all that it will ever be given.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn fence(&self, order: &Self::Order) -> Result<Self::Fence, Fault>;

    /// Whether all that a fence stands for is done, as far as is known.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn done(&self, fence: &Self::Fence) -> Result<bool, Fault>;

    /// Waits until all that one of these fences stands for is done, of whichever; `false` when none was in that time, or none
    /// can be by waiting. They come in the order in which their buffers came back.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn wait(&self, fences: &[Arc<Self::Fence>], most: Duration) -> Result<bool, Fault>;

    /// Has what `order` is given from now on wait for a fence. Only asked of ordered devices.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn order_after(&self, order: &Self::Order, fence: &Self::Fence) -> Result<(), Fault>;

    /// Fills a buffer with zeroes: on an ordered device behind what the order was given so far; on any other, and where the buffer
    /// is not [handed on](Self::hands_on) behind work, at once, before all that is submitted from now on.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn zero(&self, buffer: &Self::Buffer, order: &Self::Order) -> Result<(), Fault>;

    /// Whether new buffers are full of zeroes. Asked once.
    fn creates_zeroed(&self) -> bool {
        false
    }

    /// Finds out what is done: what [`done`](Self::done) knows may grow by it. Must not wait.
    fn poll(&self) {}

    /// Has the driver give back what it keeps of freed memory.
    fn trim(&self) {
        self.poll();
    }

    /// Whose memory buffers of this usage take.
    fn residence(&self, usage: Self::Usage) -> Residence {
        let _ = usage;
        match self.info().kind {
            DeviceKind::Discrete => Residence::Device,
            DeviceKind::Integrated | DeviceKind::Cpu => Residence::Both,
        }
    }

    /// A buffer goes to a new holder, whose work goes to `order`. For tracing.
    fn lent(&self, buffer: &Self::Buffer, order: &Self::Order) {
        let _ = (buffer, order);
    }

    /// A buffer came back from its holder; work that it was given may go on. For tracing.
    fn returned(&self, buffer: &Self::Buffer) {
        let _ = buffer;
    }
}
