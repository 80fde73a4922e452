//! A device's primary context, which all of the process share, and what is made in it: streams, and events that are used again.
//!
//! Every call that needs a context enters it and leaves it again: what is current on the caller's thread stays so. Not here: memory.

use std::ffi::c_uint;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::driver::{CudaError, Driver};
use crate::sys::{
    EVENT_DISABLE_TIMING, NOT_READY, Ordinal, RawContext, RawEvent, RawStream, STREAM_NON_BLOCKING,
};

/// So many events wait to be used again.
const EVENTS: usize = 4096;

/// The primary context of a device, held for as long as anything is in it.
pub(crate) struct Context {
    pub(crate) driver: Driver,
    pub(crate) ordinal: Ordinal,
    pub(crate) raw: RawContext,
    /// Events that nobody uses.
    idle: Mutex<Vec<RawEvent>>,
}

// SAFETY: the driver's handles may be used by any thread, several at once.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub(crate) fn of(driver: &Driver, ordinal: Ordinal) -> Result<Arc<Self>, CudaError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the place for the handle outlives the call.
        driver.check("cuDevicePrimaryCtxRetain", unsafe {
            (driver.functions().retain)(&raw mut raw, ordinal)
        })?;
        Ok(Arc::new(Self { driver: driver.clone(), ordinal, raw, idle: Mutex::new(Vec::new()) }))
    }

    /// Makes it the current one of this thread until the guard goes.
    pub(crate) fn enter(&self) -> Result<Entered<'_>, CudaError> {
        let functions = self.driver.functions();
        let mut current = std::ptr::null_mut();
        // SAFETY: the place for the handle outlives the call.
        self.driver.check("cuCtxGetCurrent", unsafe { (functions.current)(&raw mut current) })?;
        let pushed = current != self.raw;
        if pushed {
            // SAFETY: the context is retained for as long as `self` is.
            self.driver.check("cuCtxPushCurrent", unsafe { (functions.push)(self.raw) })?;
        }
        Ok(Entered { context: self, pushed })
    }

    /// An event that stands for all that a stream was given so far.
    pub(crate) fn record(self: &Arc<Self>, stream: RawStream) -> Result<Event, CudaError> {
        let _entered = self.enter()?;
        let functions = self.driver.functions();
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let raw = match idle {
            Some(raw) => raw,
            None => {
                let mut raw = std::ptr::null_mut();
                // SAFETY: the context is current, and the place for the handle outlives the call.
                self.driver.check("cuEventCreate", unsafe {
                    (functions.event_create)(&raw mut raw, EVENT_DISABLE_TIMING)
                })?;
                raw
            }
        };
        let event = Event { raw, context: Arc::clone(self) };
        // SAFETY: both handles are of this context, and alive.
        self.driver.check("cuEventRecord", unsafe { (functions.event_record)(raw, stream) })?;
        Ok(event)
    }

    /// Has a stream wait for an event, from now on.
    pub(crate) fn wait_for(&self, stream: RawStream, event: &Event) -> Result<(), CudaError> {
        const NO_FLAGS: c_uint = 0;
        let _entered = self.enter()?;
        // SAFETY: both handles are alive; what the event stood for at this call is what is waited for.
        self.driver.check("cuStreamWaitEvent", unsafe {
            (self.driver.functions().stream_wait)(stream, event.raw, NO_FLAGS)
        })
    }

    pub(crate) fn new_stream(self: &Arc<Self>) -> Result<Stream, CudaError> {
        let _entered = self.enter()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the context is current, and the place for the handle outlives the call.
        self.driver.check("cuStreamCreate", unsafe {
            (self.driver.functions().stream_create)(&raw mut raw, STREAM_NON_BLOCKING)
        })?;
        Ok(Stream::over(raw, true, self))
    }

    /// Waits for all that the device was given in this context.
    pub(crate) fn synchronize(&self) -> Result<(), CudaError> {
        let _entered = self.enter()?;
        // SAFETY: the context is current.
        self.driver.check("cuCtxSynchronize", unsafe { (self.driver.functions().synchronize)() })
    }
}

impl Drop for Context {
    /// What the driver says now nobody can use any more; when the process ends it is gone already.
    fn drop(&mut self) {
        let idle = std::mem::take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner));
        let functions = self.driver.functions();
        if let Ok(_entered) = self.enter() {
            for event in idle {
                // SAFETY: it is nobody's any more.
                unsafe { (functions.event_destroy)(event) };
            }
        }
        // SAFETY: it was retained once.
        unsafe { (functions.release)(self.ordinal) };
    }
}

/// While it lives, the context is the thread's.
pub(crate) struct Entered<'a> {
    context: &'a Context,
    pushed: bool,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.pushed {
            let mut popped = std::ptr::null_mut();
            // SAFETY: it was pushed by this thread, and what was pushed after it was popped.
            unsafe { (self.context.driver.functions().pop)(&raw mut popped) };
        }
    }
}

/// Work of a stream up to a moment: an event, which is used again when this is dropped.
pub struct Event {
    raw: RawEvent,
    context: Arc<Context>,
}

// SAFETY: the driver's handles may be used by any thread, several at once.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// Whether all is done that it stands for. Does not wait.
    ///
    /// # Errors
    ///
    /// What the driver says; the failure may be that of earlier work.
    pub fn is_done(&self) -> Result<bool, CudaError> {
        let _entered = self.context.enter()?;
        // SAFETY: the event is alive.
        match unsafe { (self.context.driver.functions().event_query)(self.raw) } {
            NOT_READY => Ok(false),
            code => self.context.driver.check("cuEventQuery", code).map(|()| true),
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let mut idle = self.context.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < EVENTS {
            // Who waits for it waits for what it stood for then: it may be recorded anew at once.
            idle.push(self.raw);
            return;
        }
        drop(idle);
        if let Ok(_entered) = self.context.enter() {
            // SAFETY: it is nobody's any more; the driver keeps it as long as a stream waits for it.
            unsafe { (self.context.driver.functions().event_destroy)(self.raw) };
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Event").field(&self.raw).finish()
    }
}

/// A stream: what it is given runs in that order. Clones are the same one.
#[derive(Clone)]
pub struct Stream(Arc<Raw>);

struct Raw {
    raw: RawStream,
    /// Made here, and to be destroyed.
    owned: bool,
    context: Arc<Context>,
}

// SAFETY: the driver's handles may be used by any thread, several at once.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Stream {
    pub(crate) fn over(raw: RawStream, owned: bool, context: &Arc<Context>) -> Self {
        Self(Arc::new(Raw { raw, owned, context: Arc::clone(context) }))
    }

    /// The driver's handle, a `CUstream`.
    #[must_use]
    pub fn raw(&self) -> *mut std::ffi::c_void {
        self.0.raw
    }

    /// Waits until all is done that it was given.
    ///
    /// # Errors
    ///
    /// What the driver says; the failure may be that of earlier work.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        let context = &self.0.context;
        let _entered = context.enter()?;
        // SAFETY: the stream is alive.
        context.driver.check("cuStreamSynchronize", unsafe {
            (context.driver.functions().stream_synchronize)(self.0.raw)
        })
    }

    /// Whether it is of that context.
    pub(crate) fn is_of(&self, context: &Context) -> bool {
        self.0.context.raw == context.raw
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.0.raw == other.0.raw && other.is_of(&self.0.context)
    }
}

impl Eq for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.0.raw).finish()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if self.owned
            && let Ok(_entered) = self.context.enter()
        {
            // SAFETY: nobody gives it anything any more; the driver ends what it was given.
            unsafe { (self.context.driver.functions().stream_destroy)(self.raw) };
        }
    }
}
