//! The CUDA driver of the machine, found when the program runs, and what its calls say.
//!
//! No driver is an error like others, and nothing here panics. Not here: devices.

use std::error::Error;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::fmt;
use std::sync::Arc;

use larder_runtime::device::{DeviceError, Fault};

use crate::sys::{Code, Functions, LOST, OUT_OF_MEMORY, PoolFunctions, SUCCESS};

/// Where the driver is, if it is not where drivers are: a path. For tests.
const PATH: &str = "LARDER_CUDA_DRIVER";

/// What the driver's library is called.
const NAMES: &[&str] = if cfg!(windows) { &["nvcuda.dll"] } else { &["libcuda.so.1", "libcuda.so"] };

/// The CUDA driver; clones are the same one. It is loaded once it is asked for, and stays.
#[derive(Clone)]
pub struct Driver(Arc<Loaded>);

struct Loaded {
    functions: Functions,
    pools: Option<PoolFunctions>,
    /// Where it was found.
    place: String,
    version: c_int,
}

impl Driver {
    /// The driver of this machine: what the environment's `LARDER_CUDA_DRIVER` names, a path, or else what the system finds under
    /// the driver's name.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Unavailable`] when there is none, when it is too old, or when it does not start.
    pub fn load() -> Result<Self, DeviceError> {
        if let Some(path) = std::env::var_os(PATH).filter(|path| !path.is_empty()) {
            // SAFETY: whoever sets the environment of a process decides which libraries it loads, as with the linker's own variables.
            return unsafe { Self::open(path) };
        }
        let mut why = String::new();
        for name in NAMES {
            // SAFETY: under this name the system has the driver, or nothing.
            match unsafe { libloading::Library::new(name) } {
                // SAFETY: as above.
                Ok(library) => return unsafe { Self::of(library, name) },
                Err(error) => why = error.to_string(),
            }
        }
        Err(unavailable(format!("no CUDA driver was found: {why}")))
    }

    /// The driver in this file.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    ///
    /// # Safety
    ///
    /// The library is a CUDA driver, or behaves like one: it is loaded, its code runs, and its functions are called.
    pub unsafe fn open(path: impl AsRef<OsStr>) -> Result<Self, DeviceError> {
        let path = path.as_ref();
        let place = path.display().to_string();
        // SAFETY: the caller vouches for it.
        match unsafe { libloading::Library::new(path) } {
            // SAFETY: as above.
            Ok(library) => unsafe { Self::of(library, &place) },
            Err(error) => Err(unavailable(format!("no CUDA driver in {place}: {error}"))),
        }
    }

    /// A driver whose functions are wherever `find` says; a null pointer says that there is no such function.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    ///
    /// # Safety
    ///
    /// What `find` returns for a name behaves like that function of the CUDA driver, for as long as the process lives.
    pub unsafe fn from_symbols(
        place: &str,
        mut find: impl FnMut(&CStr) -> *const c_void,
    ) -> Result<Self, DeviceError> {
        // SAFETY: the caller vouches for what is found.
        let functions = unsafe { Functions::find(&mut find) };
        let functions = functions.map_err(|missing| {
            unavailable(format!("the CUDA driver in {place} is too old: no `{missing}`"))
        })?;
        // SAFETY: as above.
        let pools = unsafe { PoolFunctions::find(&mut find) }.ok();
        let mut loaded = Loaded { functions, pools, place: place.to_owned(), version: 0 };
        let mut version = 0;
        // SAFETY: the driver is there, the flags are none, and the place for the version outlives the call.
        let started = unsafe { [(loaded.functions.init)(0), (loaded.functions.version)(&raw mut version)] };
        loaded.version = version;
        let driver = Self(Arc::new(loaded));
        for (call, code) in ["cuInit", "cuDriverGetVersion"].into_iter().zip(started) {
            let started = driver.check(call, code);
            started.map_err(|error| {
                unavailable(format!("the CUDA driver in {place} does not start: {error}"))
            })?;
        }
        Ok(driver)
    }

    /// # Safety
    ///
    /// The library is a CUDA driver.
    unsafe fn of(library: libloading::Library, place: &str) -> Result<Self, DeviceError> {
        let find = |name: &CStr| -> *const c_void {
            // SAFETY: only the address is taken; what is there, the caller vouches for.
            match unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) } {
                Ok(symbol) => *symbol,
                Err(_) => std::ptr::null(),
            }
        };
        // SAFETY: the library stays, see below.
        let driver = unsafe { Self::from_symbols(place, find) };
        // This is intentional: a driver has threads and hooks of its own, which nobody can unload.
        std::mem::forget(library);
        driver
    }

    /// How many devices it has.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn devices(&self) -> Result<usize, CudaError> {
        let mut count = 0;
        // SAFETY: the place for the number outlives the call.
        self.check("cuDeviceGetCount", unsafe { (self.functions().device_count)(&raw mut count) })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The version of CUDA that it speaks: 12.8 is 12080.
    #[must_use]
    pub fn version(&self) -> i32 {
        self.0.version
    }

    /// Where it was found.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.0.functions
    }

    pub(crate) fn pools(&self) -> Option<&PoolFunctions> {
        self.0.pools.as_ref()
    }

    /// What a call said.
    pub(crate) fn check(&self, call: &'static str, code: Code) -> Result<(), CudaError> {
        if code == SUCCESS { Ok(()) } else { Err(self.error(call, code)) }
    }

    #[cold]
    fn error(&self, call: &'static str, code: Code) -> CudaError {
        let said = |ask: unsafe extern "system" fn(Code, *mut *const c_char) -> Code| {
            let mut text = std::ptr::null();
            // SAFETY: the place for the pointer outlives the call.
            if unsafe { ask(code, &raw mut text) } != SUCCESS || text.is_null() {
                return None;
            }
            // SAFETY: the driver's texts are constant, and end with a zero.
            Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        };
        CudaError {
            call,
            code,
            name: said(self.functions().error_name).unwrap_or_else(|| "an unknown error".to_owned()),
            text: said(self.functions().error_text).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("place", &self.0.place)
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}

pub(crate) fn unavailable(why: String) -> DeviceError {
    DeviceError::Unavailable { device: "cuda".to_owned(), why }
}

/// A call of the driver that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CudaError {
    /// The driver's function.
    pub call: &'static str,
    /// The driver's number for what is wrong.
    pub code: i32,
    /// The driver's name for it.
    pub name: String,
    /// The driver's words.
    pub text: String,
}

impl CudaError {
    /// Whether nothing on the device works any more in this process.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        LOST.contains(&self.code)
    }
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, code, name, text } = self;
        write!(f, "{call} failed with {name} ({code})")?;
        if text.is_empty() { Ok(()) } else { write!(f, ": {text}") }
    }
}

impl Error for CudaError {}

impl From<CudaError> for Fault {
    fn from(error: CudaError) -> Self {
        match error.code {
            OUT_OF_MEMORY => Self::OutOfMemory,
            _ if error.is_lost() => Self::Lost(error.to_string()),
            _ => Self::other(error),
        }
    }
}
