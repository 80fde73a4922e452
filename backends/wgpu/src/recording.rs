//! What is recorded in an encoder, until the GPU has done it, or never will.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder_runtime::device::ToOrder;

use crate::WgpuDevice;

/// All that is recorded in one command encoder, before and after this was made, until it is done.
///
/// Done is what the GPU has finished, and what was dropped before it was submitted.
#[derive(Clone)]
pub struct Recording(Arc<AtomicBool>);

/// Says so when it is dropped: called or not, the closure that holds it is dropped when nothing of the encoder is left to be done.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        // What the GPU did is seen by who finds this.
        self.0.store(true, Ordering::Release);
    }
}

impl Recording {
    /// What is recorded in this encoder.
    #[must_use]
    pub fn of(encoder: &wgpu::CommandEncoder) -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        let ends = Ends(Arc::clone(&is_done));
        encoder.on_submitted_work_done(move || drop(ends));
        Self(is_done)
    }

    /// Whether nothing of it is left to be done, as far as wgpu was polled.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("is_done", &self.is_done()).finish()
    }
}

/// Reached when a [`Recording`] is done.
#[derive(Debug)]
pub struct Recorded(pub(crate) Recording);

impl ToOrder<WgpuDevice> for wgpu::CommandEncoder {
    fn to_order(&self) -> Recording {
        Recording::of(self)
    }
}
