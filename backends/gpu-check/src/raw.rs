//! What pools are measured against: the driver's own calls for memory, without anything around them.

use std::ffi::{CStr, c_int, c_void};

/// The driver's functions, found once more.
pub(crate) struct Raw {
    allocate: unsafe extern "system" fn(*mut u64, usize) -> c_int,
    free: unsafe extern "system" fn(u64) -> c_int,
    allocate_async: unsafe extern "system" fn(*mut u64, usize, *mut c_void) -> c_int,
    free_async: unsafe extern "system" fn(u64, *mut c_void) -> c_int,
    to_device: unsafe extern "system" fn(u64, *const c_void, usize, *mut c_void) -> c_int,
    to_host: unsafe extern "system" fn(*mut c_void, u64, usize, *mut c_void) -> c_int,
    push: unsafe extern "system" fn(*mut c_void) -> c_int,
    pop: unsafe extern "system" fn(*mut *mut c_void) -> c_int,
    retain: unsafe extern "system" fn(*mut *mut c_void, c_int) -> c_int,
    release: unsafe extern "system" fn(c_int) -> c_int,
}

impl Raw {
    /// The functions of a driver.
    ///
    /// # Safety
    ///
    /// What `find` finds is the driver's function of that name.
    pub(crate) unsafe fn find(find: impl Fn(&CStr) -> *const c_void) -> Result<Self, String> {
        let found = |name: &CStr| {
            let at = find(name);
            if at.is_null() { Err(format!("the driver has no {}", name.to_string_lossy())) } else { Ok(at) }
        };
        // SAFETY: the caller vouches for the functions, the driver's header for their types.
        unsafe {
            Ok(Self {
                allocate: cast(found(c"cuMemAlloc_v2")?),
                free: cast(found(c"cuMemFree_v2")?),
                allocate_async: cast(found(c"cuMemAllocAsync")?),
                free_async: cast(found(c"cuMemFreeAsync")?),
                to_device: cast(found(c"cuMemcpyHtoDAsync_v2")?),
                to_host: cast(found(c"cuMemcpyDtoHAsync_v2")?),
                push: cast(found(c"cuCtxPushCurrent_v2")?),
                pop: cast(found(c"cuCtxPopCurrent_v2")?),
                retain: cast(found(c"cuDevicePrimaryCtxRetain")?),
                release: cast(found(c"cuDevicePrimaryCtxRelease_v2")?),
            })
        }
    }

    /// Runs something with a device's context as the thread's.
    pub(crate) fn within<R>(&self, ordinal: usize, run: impl FnOnce() -> R) -> R {
        let (mut context, mut popped) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the places outlive the calls; devices are numbered from 0 on.
        let codes = unsafe { [(self.retain)(&raw mut context, ordinal as c_int), (self.push)(context)] };
        assert_eq!(codes, [0, 0], "the context of device {ordinal}");
        let result = run();
        // SAFETY: what was pushed and retained above.
        unsafe { ((self.pop)(&raw mut popped), (self.release)(ordinal as c_int)) };
        result
    }

    /// `cuMemAlloc` and `cuMemFree`, which `cudaMalloc` and `cudaFree` call, with `work` in between, which is given the
    /// address.
    pub(crate) fn blocking(&self, bytes: u64, work: impl FnOnce(u64)) {
        let mut address = 0;
        // SAFETY: the place for the address outlives the call.
        let code = unsafe { (self.allocate)(&raw mut address, bytes as usize) };
        assert_eq!(code, 0, "cuMemAlloc");
        work(address);
        // SAFETY: what was given work with the memory was waited for.
        assert_eq!(unsafe { (self.free)(address) }, 0, "cuMemFree");
    }

    /// The same with `cuMemAllocAsync` and `cuMemFreeAsync` on one stream, from the pool that the device has by itself.
    pub(crate) fn ordered(&self, bytes: u64, stream: *mut c_void, work: impl FnOnce(u64)) {
        let mut address = 0;
        // SAFETY: as above.
        let code = unsafe { (self.allocate_async)(&raw mut address, bytes as usize, stream) };
        assert_eq!(code, 0, "cuMemAllocAsync");
        work(address);
        // SAFETY: all work with it is on that stream.
        assert_eq!(unsafe { (self.free_async)(address, stream) }, 0, "cuMemFreeAsync");
    }

    /// Copies from pinned memory to the device and, behind `work`, back, in the order of a stream.
    ///
    /// # Safety
    ///
    /// Both have so many bytes, and nobody touches them until the stream was waited for.
    pub(crate) unsafe fn there_and_back(
        &self,
        device: u64,
        host: *mut u8,
        bytes: u64,
        stream: *mut c_void,
        work: impl FnOnce(),
    ) {
        // SAFETY: the caller vouches for both ends.
        let code = unsafe { (self.to_device)(device, host.cast(), bytes as usize, stream) };
        assert_eq!(code, 0, "cuMemcpyHtoDAsync");
        work();
        // SAFETY: as above.
        let code = unsafe { (self.to_host)(host.cast(), device, bytes as usize, stream) };
        assert_eq!(code, 0, "cuMemcpyDtoHAsync");
    }
}

/// An address as a function.
///
/// # Safety
///
/// `F` is a pointer to a function, and there is one of that type.
unsafe fn cast<F: Copy>(address: *const c_void) -> F {
    // SAFETY: both are addresses; the caller vouches for the type.
    unsafe { std::mem::transmute_copy::<*const c_void, F>(&address) }
}
