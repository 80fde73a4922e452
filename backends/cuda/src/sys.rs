//! The driver's functions that are used here, as its header declares them.
//!
//! Names with `_v2` are the ones that the header's macros stand for; without it they are of CUDA 3, with other types. Not here: what any
//! of them is for.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// What a call says: 0, or why not.
pub(crate) type Code = c_int;
/// The number of a device, as the driver counts them.
pub(crate) type Ordinal = c_int;
/// An address in the memory of a device.
pub(crate) type Address = u64;

/// Handles of the driver's; what is behind them is its own business.
pub(crate) type RawContext = *mut c_void;
pub(crate) type RawStream = *mut c_void;
pub(crate) type RawEvent = *mut c_void;
pub(crate) type RawModule = *mut c_void;
pub(crate) type RawFunction = *mut c_void;
pub(crate) type RawPool = *mut c_void;

pub(crate) const SUCCESS: Code = 0;
pub(crate) const OUT_OF_MEMORY: Code = 2;
pub(crate) const NOT_READY: Code = 600;

/// After these nothing of the context works any more: the process is ending, the device is gone, or a kernel failed, which the driver
/// remembers for good.
pub(crate) const LOST: [Code; 14] = [4, 46, 201, 214, 219, 226, 700, 702, 709, 714, 715, 716, 718, 719];

/// A stream that does not wait for the default one.
pub(crate) const STREAM_NON_BLOCKING: c_uint = 1;
/// An event that takes no time.
pub(crate) const EVENT_DISABLE_TIMING: c_uint = 2;
/// Host memory that all contexts take for pinned.
pub(crate) const HOST_PORTABLE: c_uint = 1;
/// Device attributes.
pub(crate) const ATTRIBUTE_INTEGRATED: c_int = 18;
pub(crate) const ATTRIBUTE_MEMORY_POOLS: c_int = 115;
/// Attributes of a memory pool, in bytes: what it took from the device, and what of that is allocated.
pub(crate) const POOL_RESERVED: c_int = 5;
pub(crate) const POOL_USED: c_int = 7;

/// `CUmemPoolProps`: memory of one device, shared with nobody. What newer headers put in its reserved part means nothing as zeroes.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct PoolProperties {
    pub(crate) allocation: c_int,
    pub(crate) handles: c_int,
    pub(crate) location: c_int,
    pub(crate) ordinal: Ordinal,
    pub(crate) security: *mut c_void,
    pub(crate) reserved: [u8; 64],
}

impl PoolProperties {
    pub(crate) fn of(ordinal: Ordinal) -> Self {
        let (pinned, device) = (1, 1);
        Self {
            allocation: pinned,
            handles: 0,
            location: device,
            ordinal,
            security: std::ptr::null_mut(),
            reserved: [0; 64],
        }
    }
}

/// Declares a table of functions, and how it is filled.
macro_rules! functions {
    ($(#[$doc:meta])* $table:ident { $($name:ident = $symbol:literal ($($ty:ty),*);)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $table {
            $(pub(crate) $name: unsafe extern "system" fn($($ty),*) -> Code,)*
        }

        impl $table {
            /// Fills the table; the name of the first function that is not there, otherwise.
            ///
            /// # Safety
            ///
            /// What is found under a name is that function of the CUDA driver.
            pub(crate) unsafe fn find(find: &mut dyn FnMut(&CStr) -> *const c_void) -> Result<Self, &'static str> {
                Ok(Self {
                    $($name: {
                        let Ok(name) = CStr::from_bytes_with_nul(concat!($symbol, "\0").as_bytes()) else {
                            return Err($symbol);
                        };
                        let found = find(name);
                        if found.is_null() {
                            return Err($symbol);
                        }
                        // SAFETY: it is a function of this type: the caller vouches for the library, the header for the type.
                        unsafe {
                            std::mem::transmute::<*const c_void, unsafe extern "system" fn($($ty),*) -> Code>(found)
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    /// What every driver since CUDA 7 has.
    Functions {
        init = "cuInit" (c_uint);
        version = "cuDriverGetVersion" (*mut c_int);
        error_name = "cuGetErrorName" (Code, *mut *const c_char);
        error_text = "cuGetErrorString" (Code, *mut *const c_char);
        device_count = "cuDeviceGetCount" (*mut c_int);
        device = "cuDeviceGet" (*mut Ordinal, c_int);
        device_name = "cuDeviceGetName" (*mut c_char, c_int, Ordinal);
        device_total = "cuDeviceTotalMem_v2" (*mut usize, Ordinal);
        device_attribute = "cuDeviceGetAttribute" (*mut c_int, c_int, Ordinal);
        retain = "cuDevicePrimaryCtxRetain" (*mut RawContext, Ordinal);
        release = "cuDevicePrimaryCtxRelease_v2" (Ordinal);
        current = "cuCtxGetCurrent" (*mut RawContext);
        push = "cuCtxPushCurrent_v2" (RawContext);
        pop = "cuCtxPopCurrent_v2" (*mut RawContext);
        synchronize = "cuCtxSynchronize" ();
        memory_info = "cuMemGetInfo_v2" (*mut usize, *mut usize);
        allocate = "cuMemAlloc_v2" (*mut Address, usize);
        free = "cuMemFree_v2" (Address);
        allocate_host = "cuMemHostAlloc" (*mut *mut c_void, usize, c_uint);
        free_host = "cuMemFreeHost" (*mut c_void);
        stream_create = "cuStreamCreate" (*mut RawStream, c_uint);
        stream_destroy = "cuStreamDestroy_v2" (RawStream);
        stream_synchronize = "cuStreamSynchronize" (RawStream);
        stream_wait = "cuStreamWaitEvent" (RawStream, RawEvent, c_uint);
        event_create = "cuEventCreate" (*mut RawEvent, c_uint);
        event_destroy = "cuEventDestroy_v2" (RawEvent);
        event_record = "cuEventRecord" (RawEvent, RawStream);
        event_query = "cuEventQuery" (RawEvent);
        to_device = "cuMemcpyHtoDAsync_v2" (Address, *const c_void, usize, RawStream);
        to_host = "cuMemcpyDtoHAsync_v2" (*mut c_void, Address, usize, RawStream);
        set_bytes = "cuMemsetD8Async" (Address, u8, usize, RawStream);
        module_load = "cuModuleLoadData" (*mut RawModule, *const c_void);
        module_unload = "cuModuleUnload" (RawModule);
        module_function = "cuModuleGetFunction" (*mut RawFunction, RawModule, *const c_char);
        launch = "cuLaunchKernel" (
            RawFunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, RawStream, *mut *mut c_void,
            *mut *mut c_void
        );
    }
}

functions! {
    /// Memory in the order of a stream, which drivers have since CUDA 11.2.
    PoolFunctions {
        create = "cuMemPoolCreate" (*mut RawPool, *const PoolProperties);
        destroy = "cuMemPoolDestroy" (RawPool);
        trim = "cuMemPoolTrimTo" (RawPool, usize);
        attribute = "cuMemPoolGetAttribute" (RawPool, c_int, *mut c_void);
        allocate = "cuMemAllocFromPoolAsync" (*mut Address, usize, RawPool, RawStream);
        free = "cuMemFreeAsync" (Address, RawStream);
    }
}
