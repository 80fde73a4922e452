//! Kernels of one's own: text that the driver compiles, and what starts it.
//!
//! As much as a program with a kernel or two needs; whoever has more brings a crate for that, and its streams.

use std::ffi::{CString, c_void};
use std::fmt;
use std::sync::Arc;

use larder_runtime::device::Fault;

use crate::CudaDevice;
use crate::context::{Context, Stream};
use crate::memory::CudaBuffer;
use crate::sys::{RawFunction, RawModule};

/// Code on a device, which the driver compiled.
struct Module {
    raw: RawModule,
    context: Arc<Context>,
}

// SAFETY: the driver's handles may be used by any thread, several at once.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Drop for Module {
    fn drop(&mut self) {
        if let Ok(_entered) = self.context.enter() {
            // SAFETY: all kernels of it are gone.
            unsafe { (self.context.driver.functions().module_unload)(self.raw) };
        }
    }
}

/// A function on a device. It has to outlive the work that is started with it.
#[derive(Clone)]
pub struct Kernel {
    raw: RawFunction,
    module: Arc<Module>,
}

// SAFETY: the driver's handles may be used by any thread, several at once.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

/// What a kernel is given.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Argument<'a> {
    /// The address of a buffer.
    Buffer(&'a CudaBuffer),
    /// A whole number of 32 bits.
    U32(u32),
    /// A whole number of 64 bits.
    U64(u64),
    /// A number of 32 bits.
    F32(f32),
}

impl CudaDevice {
    /// A kernel of this name from PTX, which the driver compiles.
    ///
    /// # Errors
    ///
    /// What the driver says: that it does not understand the text, or finds no such entry in it.
    pub fn kernel(&self, ptx: &str, entry: &str) -> Result<Kernel, Fault> {
        let text = |text: &str| CString::new(text).map_err(Fault::other);
        let (ptx, entry) = (text(ptx)?, text(entry)?);
        let context = Arc::clone(self.context());
        let (driver, _entered) = (&context.driver, context.enter()?);
        let mut raw = std::ptr::null_mut();
        // SAFETY: the context is current, the text ends with a zero, and the place for the handle outlives the call.
        driver.check("cuModuleLoadData", unsafe {
            (driver.functions().module_load)(&raw mut raw, ptx.as_ptr().cast())
        })?;
        let module = Arc::new(Module { raw, context: Arc::clone(&context) });
        let mut raw = std::ptr::null_mut();
        // SAFETY: as above.
        driver.check("cuModuleGetFunction", unsafe {
            (driver.functions().module_function)(&raw mut raw, module.raw, entry.as_ptr())
        })?;
        Ok(Kernel { raw, module })
    }
}

impl Kernel {
    /// Gives a stream so many blocks of so many threads to run.
    ///
    /// # Errors
    ///
    /// What the driver says; what goes wrong in the kernel, a later call says.
    ///
    /// # Safety
    ///
    /// The kernel takes arguments of these types in this order, touches no memory but that of the buffers, and leaves it before their
    /// ends. The buffers were acquired for this stream, or [`use_on`](larder_runtime::device::DeviceLease::use_on) names it, and are
    /// given back after this call.
    pub unsafe fn launch(
        &self,
        stream: &Stream,
        blocks: [u32; 3],
        threads: [u32; 3],
        arguments: &[Argument<'_>],
    ) -> Result<(), Fault> {
        // The driver reads as many bytes of each as the kernel declares, from the lowest on.
        let mut values: Vec<u64> = arguments
            .iter()
            .map(|argument| match argument {
                Argument::Buffer(buffer) => buffer.address(),
                Argument::U32(number) => u64::from(*number),
                Argument::U64(number) => *number,
                Argument::F32(number) => u64::from(number.to_bits()),
            })
            .collect();
        let mut places: Vec<*mut c_void> = values.iter_mut().map(|value| (&raw mut *value).cast()).collect();
        let (driver, _entered) = (&self.module.context.driver, self.module.context.enter()?);
        let [blocks_x, blocks_y, blocks_z] = blocks;
        let [threads_x, threads_y, threads_z] = threads;
        // SAFETY: the function and the stream are alive, and the arguments outlive the call, which copies them; the caller vouches for
        // their types, and for what the kernel does.
        let code = unsafe {
            (driver.functions().launch)(
                self.raw,
                blocks_x,
                blocks_y,
                blocks_z,
                threads_x,
                threads_y,
                threads_z,
                0,
                stream.raw(),
                places.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        Ok(driver.check("cuLaunchKernel", code)?)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernel").field(&self.raw).finish()
    }
}
