//! The driver's functions, as a program finds them: by name, with types of C.
//!
//! Here is only what each takes and answers; what it does is the machine's business.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::machine::Launch;
use crate::machine::{
    Function, INVALID_HANDLE, INVALID_VALUE, Kernel, LAUNCH_FAILED, Machine, MemoryPool, OUT_OF_MEMORY,
    machine,
};
use crate::memory::Home;
use crate::ptx;
use crate::streams::{Event, Step, Stream};

const INVALID_DEVICE: i32 = 101;
const INVALID_CONTEXT: i32 = 201;
const INVALID_PTX: i32 = 218;
const NO_DEVICE: i32 = 100;
const NOT_FOUND: i32 = 500;
const NOT_READY: i32 = 600;

/// Contexts have numbers from here on, in the order of devices.
const CONTEXTS: u64 = 0x100;

thread_local! {
    /// The thread's contexts; the last one is current.
    static CURRENT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Runs what a call does, unless it is to fail.
fn call(name: &'static str, run: impl FnOnce(&mut Machine) -> Result<(), i32>) -> c_int {
    let mut machine = machine();
    *machine.counts.entry(name).or_default() += 1;
    if let Some(lost) = machine.lost.filter(|_| !name.starts_with("cuGetError")) {
        return lost;
    }
    if let Some(at) = machine.failing.iter().position(|(function, ..)| *function == name) {
        let (_, after, code) = &mut machine.failing[at];
        if *after == 0 {
            let code = *code;
            machine.failing.remove(at);
            if code == LAUNCH_FAILED {
                machine.lost = Some(code);
            }
            return code;
        }
        *after -= 1;
    }
    match run(&mut machine) {
        Ok(()) => 0,
        Err(code) => code,
    }
}

/// How many contexts this thread entered and did not leave.
pub(crate) fn entered() -> usize {
    CURRENT.with_borrow(Vec::len)
}

/// The device whose context is current.
fn current() -> Result<usize, i32> {
    CURRENT
        .with_borrow(|contexts| contexts.last().map(|context| (context - CONTEXTS) as usize))
        .ok_or(INVALID_CONTEXT)
}

/// The number of a stream; none is the device's own.
fn stream_of(stream: *mut c_void) -> Result<u64, i32> {
    if stream.is_null() { current().map(|device| device as u64) } else { Ok(stream as u64) }
}

fn handle(number: u64) -> *mut c_void {
    number as *mut c_void
}

fn ordinal(machine: &Machine, device: c_int) -> Result<usize, i32> {
    usize::try_from(device).ok().filter(|device| *device < machine.devices.len()).ok_or(INVALID_DEVICE)
}

/// # Safety
///
/// There is room for one at `place`.
unsafe fn put<T>(place: *mut T, value: T) -> Result<(), i32> {
    if place.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller of the driver's function vouches for it.
    unsafe { place.write(value) };
    Ok(())
}

/// Declares the functions under their names, and the table of them.
macro_rules! calls {
    ($(fn $name:ident($machine:ident $(, $arg:ident: $ty:ty)*) $body:block)*) => {
        $(
            /// The driver's function of this name.
            ///
            /// # Safety
            ///
            /// As the driver's header says: places for results are there, handles are alive.
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "system" fn $name($($arg: $ty),*) -> c_int {
                call(stringify!($name), |$machine| $body)
            }
        )*

        /// Where a function of the driver is; null if there is none of that name here.
        #[must_use]
        pub fn symbol(name: &CStr) -> *const c_void {
            match name.to_bytes() {
                $(name if name == stringify!($name).as_bytes() => $name as *const c_void,)*
                _ => std::ptr::null(),
            }
        }
    };
}

calls! {
    fn cuInit(machine, _flags: c_uint) {
        if machine.devices.is_empty() { Err(NO_DEVICE) } else { Ok(()) }
    }

    fn cuDriverGetVersion(_machine, version: *mut c_int) {
        // SAFETY: see the function's own.
        unsafe { put(version, 12_080) }
    }

    fn cuDeviceGetCount(machine, count: *mut c_int) {
        // SAFETY: see the function's own.
        unsafe { put(count, machine.devices.len() as c_int) }
    }

    fn cuDeviceGet(machine, device: *mut c_int, number: c_int) {
        ordinal(machine, number)?;
        // SAFETY: see the function's own.
        unsafe { put(device, number) }
    }

    fn cuDeviceGetName(machine, name: *mut c_char, len: c_int, device: c_int) {
        ordinal(machine, device)?;
        let text = format!("fake {device}\0");
        if (len as usize) < text.len() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller says that there is room for so many bytes.
        unsafe { name.copy_from_nonoverlapping(text.as_ptr().cast(), text.len()) };
        Ok(())
    }

    fn cuDeviceTotalMem_v2(machine, bytes: *mut usize, device: c_int) {
        let device = ordinal(machine, device)?;
        // SAFETY: see the function's own.
        unsafe { put(bytes, machine.devices[device].total as usize) }
    }

    fn cuDeviceGetAttribute(machine, value: *mut c_int, attribute: c_int, device: c_int) {
        ordinal(machine, device)?;
        let found = match attribute {
            18 => machine.setup.integrated,
            115 => machine.setup.pools,
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: see the function's own.
        unsafe { put(value, c_int::from(found)) }
    }

    fn cuDevicePrimaryCtxRetain(machine, context: *mut *mut c_void, device: c_int) {
        let device = ordinal(machine, device)?;
        machine.devices[device].retained += 1;
        // SAFETY: see the function's own.
        unsafe { put(context, handle(CONTEXTS + device as u64)) }
    }

    fn cuDevicePrimaryCtxRelease_v2(machine, device: c_int) {
        let device = ordinal(machine, device)?;
        match machine.devices[device].retained.checked_sub(1) {
            Some(left) => machine.devices[device].retained = left,
            None => machine.hazard("a context is released that nobody retained"),
        }
        Ok(())
    }

    fn cuCtxGetCurrent(_machine, context: *mut *mut c_void) {
        let current = CURRENT.with_borrow(|contexts| contexts.last().copied().unwrap_or(0));
        // SAFETY: see the function's own.
        unsafe { put(context, handle(current)) }
    }

    fn cuCtxPushCurrent_v2(machine, context: *mut c_void) {
        let number = context as u64;
        let device = number.checked_sub(CONTEXTS).and_then(|device| machine.devices.get(device as usize));
        if device.is_none_or(|device| device.retained == 0) {
            return Err(INVALID_CONTEXT);
        }
        CURRENT.with_borrow_mut(|contexts| contexts.push(number));
        Ok(())
    }

    fn cuCtxPopCurrent_v2(_machine, context: *mut *mut c_void) {
        let popped = CURRENT.with_borrow_mut(Vec::pop).ok_or(INVALID_CONTEXT)?;
        // SAFETY: see the function's own.
        unsafe { put(context, handle(popped)) }
    }

    fn cuCtxSynchronize(machine) {
        machine.synchronize(None, current()?)
    }

    fn cuMemGetInfo_v2(machine, free: *mut usize, total: *mut usize) {
        let device = &machine.devices[current()?];
        let left = device.total.saturating_sub(device.used + device.others);
        // SAFETY: see the function's own.
        unsafe { put(free, left as usize) }?;
        // SAFETY: see the function's own.
        unsafe { put(total, device.total as usize) }
    }

    fn cuMemAlloc_v2(machine, address: *mut u64, bytes: usize) {
        let device = current()?;
        if !machine.take(device, bytes as u64) {
            return Err(OUT_OF_MEMORY);
        }
        let made = machine.memory.add(bytes as u64, Home::Device(device));
        // SAFETY: see the function's own.
        unsafe { put(address, made) }
    }

    fn cuMemFree_v2(machine, address: u64) {
        current()?;
        let Some((Home::Device(_), _)) = machine.memory.find(address) else { return Err(INVALID_VALUE) };
        if let Some(hazard) = machine.memory.in_use(address, &machine.known) {
            machine.hazard(hazard);
        }
        machine.memory.bury(address);
        machine.freed(address);
        Ok(())
    }

    fn cuMemHostAlloc(machine, host: *mut *mut c_void, bytes: usize, _flags: c_uint) {
        current()?;
        let made = machine.memory.add(bytes as u64, Home::Host);
        // SAFETY: see the function's own.
        unsafe { put(host, handle(made)) }
    }

    fn cuMemFreeHost(machine, host: *mut c_void) {
        let address = host as u64;
        let Some((Home::Host, _)) = machine.memory.find(address) else { return Err(INVALID_VALUE) };
        if let Some(hazard) = machine.memory.in_use(address, &machine.known) {
            machine.hazard(hazard);
        }
        machine.memory.bury(address);
        Ok(())
    }

    fn cuMemPoolCreate(machine, pool: *mut *mut c_void, properties: *const c_void) {
        if !machine.setup.pools {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the properties begin with four numbers of 32 bits.
        let [allocation, handles, location, device] = unsafe { properties.cast::<[c_int; 4]>().read() };
        let device = ordinal(machine, device)?;
        if (allocation, handles, location) != (1, 0, 1) {
            return Err(INVALID_VALUE);
        }
        let number = machine.number();
        machine.pools.insert(number, MemoryPool { device, used: 0, reserved: 0 });
        // SAFETY: see the function's own.
        unsafe { put(pool, handle(number)) }
    }

    fn cuMemPoolDestroy(machine, pool: *mut c_void) {
        let number = pool as u64;
        machine.synchronize(None, machine.pools.get(&number).ok_or(INVALID_HANDLE)?.device)?;
        let gone = machine.pools.remove(&number).ok_or(INVALID_HANDLE)?;
        if gone.used > 0 {
            machine.hazard(format!("a pool is destroyed with {} bytes in use", gone.used));
        }
        machine.devices[gone.device].used -= gone.reserved;
        Ok(())
    }

    fn cuMemPoolTrimTo(machine, pool: *mut c_void, _keep: usize) {
        machine.pools.get(&(pool as u64)).ok_or(INVALID_HANDLE)?;
        machine.trim(pool as u64);
        Ok(())
    }

    fn cuMemPoolGetAttribute(machine, pool: *mut c_void, attribute: c_int, value: *mut c_void) {
        let pool = machine.pools.get(&(pool as u64)).ok_or(INVALID_HANDLE)?;
        let found = match attribute {
            5 => pool.reserved,
            7 => pool.used,
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: see the function's own.
        unsafe { put(value.cast::<u64>(), found) }
    }

    fn cuMemAllocFromPoolAsync(machine, address: *mut u64, bytes: usize, pool: *mut c_void, stream: *mut c_void) {
        let (pool, stream) = (pool as u64, stream_of(stream)?);
        machine.pools.get(&pool).ok_or(INVALID_HANDLE)?;
        if !machine.take_from_pool(pool, bytes as u64) {
            return Err(OUT_OF_MEMORY);
        }
        let made = machine.memory.add(bytes as u64, Home::Pool(pool));
        machine.give(stream, Step::Begin, &[(made, bytes as u64, true)])?;
        // SAFETY: see the function's own.
        unsafe { put(address, made) }
    }

    fn cuMemAllocAsync(machine, address: *mut u64, bytes: usize, stream: *mut c_void) {
        let stream = stream_of(stream)?;
        let device = machine.streams.get(&stream).ok_or(INVALID_HANDLE)?.device;
        let pool = machine.own_pool(device);
        if !machine.take_from_pool(pool, bytes as u64) {
            return Err(OUT_OF_MEMORY);
        }
        let made = machine.memory.add(bytes as u64, Home::Pool(pool));
        machine.give(stream, Step::Begin, &[(made, bytes as u64, true)])?;
        // SAFETY: see the function's own.
        unsafe { put(address, made) }
    }

    fn cuMemFreeAsync(machine, address: u64, stream: *mut c_void) {
        let stream = stream_of(stream)?;
        let Some((Home::Pool(_), bytes)) = machine.memory.find(address) else { return Err(INVALID_VALUE) };
        machine.give(stream, Step::Free(address), &[(address, bytes, true)])?;
        machine.memory.bury(address);
        Ok(())
    }

    fn cuStreamCreate(machine, stream: *mut *mut c_void, _flags: c_uint) {
        let device = current()?;
        let number = machine.number();
        machine.streams.insert(number, Stream::new(device));
        // SAFETY: see the function's own.
        unsafe { put(stream, handle(number)) }
    }

    fn cuStreamDestroy_v2(machine, stream: *mut c_void) {
        let entry = machine.streams.get_mut(&(stream as u64)).filter(|entry| !entry.destroyed);
        entry.ok_or(INVALID_HANDLE)?.destroyed = true;
        Ok(())
    }

    fn cuStreamSynchronize(machine, stream: *mut c_void) {
        let stream = stream_of(stream)?;
        let device = machine.streams.get(&stream).ok_or(INVALID_HANDLE)?.device;
        machine.synchronize(Some(stream), device)
    }

    fn cuStreamWaitEvent(machine, stream: *mut c_void, event: *mut c_void, _flags: c_uint) {
        machine.wait_event(stream_of(stream)?, event as u64)
    }

    fn cuEventCreate(machine, event: *mut *mut c_void, _flags: c_uint) {
        let device = current()?;
        let number = machine.number();
        machine.events.insert(number, Event { device, recorded: None });
        // SAFETY: see the function's own.
        unsafe { put(event, handle(number)) }
    }

    fn cuEventDestroy_v2(machine, event: *mut c_void) {
        machine.events.remove(&(event as u64)).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuEventRecord(machine, event: *mut c_void, stream: *mut c_void) {
        machine.record(event as u64, stream_of(stream)?)
    }

    fn cuEventQuery(machine, event: *mut c_void) {
        if machine.query(event as u64)? { Ok(()) } else { Err(NOT_READY) }
    }

    fn cuMemcpyHtoDAsync_v2(machine, to: u64, from: *const c_void, bytes: usize, stream: *mut c_void) {
        let (from, bytes) = (from as u64, bytes as u64);
        machine.give(stream_of(stream)?, Step::Copy { from, to, bytes }, &[(from, bytes, false), (to, bytes, true)])
    }

    fn cuMemcpyDtoHAsync_v2(machine, to: *mut c_void, from: u64, bytes: usize, stream: *mut c_void) {
        let (to, bytes) = (to as u64, bytes as u64);
        machine.give(stream_of(stream)?, Step::Copy { from, to, bytes }, &[(from, bytes, false), (to, bytes, true)])
    }

    fn cuMemsetD8Async(machine, to: u64, value: u8, bytes: usize, stream: *mut c_void) {
        let bytes = bytes as u64;
        machine.give(stream_of(stream)?, Step::Fill { to, value, bytes }, &[(to, bytes, true)])
    }

    fn cuModuleLoadData(machine, module: *mut *mut c_void, image: *const c_void) {
        current()?;
        // SAFETY: the text ends with a zero.
        let text = unsafe { CStr::from_ptr(image.cast()) }.to_string_lossy().into_owned();
        if !text.contains(".version") || !text.contains(".target") {
            return Err(INVALID_PTX);
        }
        let number = machine.number();
        machine.modules.insert(number, text);
        // SAFETY: see the function's own.
        unsafe { put(module, handle(number)) }
    }

    fn cuModuleUnload(machine, module: *mut c_void) {
        machine.modules.remove(&(module as u64)).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuModuleGetFunction(machine, function: *mut *mut c_void, module: *mut c_void, name: *const c_char) {
        let text = machine.modules.get(&(module as u64)).ok_or(INVALID_HANDLE)?;
        // SAFETY: the name ends with a zero.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
        let ptx::Entry { parameters, code } = ptx::Entry::find(text, &name).ok_or(NOT_FOUND)?;
        let kernel = code.map(|code| Kernel::new(move |memory, launch| code.run(memory, launch)));
        let number = machine.number();
        machine.functions.insert(number, Function { name, parameters, kernel });
        // SAFETY: see the function's own.
        unsafe { put(function, handle(number)) }
    }

    fn cuLaunchKernel(
        machine,
        function: *mut c_void,
        blocks_x: c_uint,
        blocks_y: c_uint,
        blocks_z: c_uint,
        threads_x: c_uint,
        threads_y: c_uint,
        threads_z: c_uint,
        _shared: c_uint,
        stream: *mut c_void,
        arguments: *mut *mut c_void,
        _extra: *mut *mut c_void
    ) {
        let stream = stream_of(stream)?;
        let function = machine.functions.get(&(function as u64)).ok_or(INVALID_HANDLE)?;
        let kernel = match (machine.taught.get(&function.name), &function.kernel) {
            (Some(kernel), _) | (None, Ok(kernel)) => kernel.clone(),
            (None, Err(why)) => {
                let hazard = format!("nobody said what `{}` does, and {why}", function.name);
                machine.hazard(hazard);
                return Err(LAUNCH_FAILED);
            }
        };
        let read = |(at, bytes): (usize, &usize)| {
            let mut value = [0_u8; 8];
            // SAFETY: the caller says that there are as many arguments as parameters, each of that many bytes.
            unsafe {
                let argument = arguments.add(at).read();
                argument.cast::<u8>().copy_to_nonoverlapping(value.as_mut_ptr(), *bytes);
            }
            u64::from_ne_bytes(value)
        };
        let arguments: Vec<u64> = function.parameters.iter().enumerate().map(read).collect();
        // What an address leads to may be read and written.
        let is_address = |argument: &u64| machine.memory.find(*argument).map(|(_, bytes)| (*argument, bytes, true));
        let touched: Vec<(u64, u64, bool)> = arguments.iter().filter_map(is_address).collect();
        let (blocks, threads) = ([blocks_x, blocks_y, blocks_z], [threads_x, threads_y, threads_z]);
        machine.give(stream, Step::Run(kernel, Launch { blocks, threads, arguments }), &touched)
    }

    fn cuGetErrorName(_machine, code: c_int, name: *mut *const c_char) {
        let text = match code {
            INVALID_VALUE => c"CUDA_ERROR_INVALID_VALUE",
            OUT_OF_MEMORY => c"CUDA_ERROR_OUT_OF_MEMORY",
            NO_DEVICE => c"CUDA_ERROR_NO_DEVICE",
            INVALID_CONTEXT => c"CUDA_ERROR_INVALID_CONTEXT",
            INVALID_PTX => c"CUDA_ERROR_INVALID_PTX",
            INVALID_HANDLE => c"CUDA_ERROR_INVALID_HANDLE",
            NOT_FOUND => c"CUDA_ERROR_NOT_FOUND",
            LAUNCH_FAILED => c"CUDA_ERROR_LAUNCH_FAILED",
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: see the function's own.
        unsafe { put(name, text.as_ptr()) }
    }

    fn cuGetErrorString(_machine, _code: c_int, text: *mut *const c_char) {
        // SAFETY: see the function's own.
        unsafe { put(text, c"the fake driver says so".as_ptr()) }
    }
}
