//! The attribute macros of larder: syntax in, tokens out.
//!
//! Use them through the `larder` crate, which is what their expansions name. What caches and pools do is in the
//! runtime, where it is tested without a macro.

mod cached;
mod crate_path;
mod errors;
mod literal;
mod options;
mod parts;
mod pooled;
mod signature;
mod spelling;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
mod weigh;

use proc_macro::TokenStream;

/// Remembers what a function returned, under the process-wide budget.
///
/// ```
/// use std::sync::Arc;
///
/// use larder::cached;
///
/// #[cached(max_mb = 50, priority = 2.0, ttl = "10m")]
/// fn embed(text: &str) -> Arc<[f32]> {
///     model().encode(text)
/// }
///
/// let first = embed("hello"); // runs the body
/// let again = embed("hello"); // a hit: a clone of the value, and no `String` is built to find it
/// assert!(Arc::ptr_eq(&first, &again));
/// assert!(embed_cache().invalidate("hello"));
/// # fn model() -> Model { Model }
/// # struct Model;
/// # impl Model {
/// #     fn encode(&self, text: &str) -> Arc<[f32]> {
/// #         text.bytes().map(f32::from).collect()
/// #     }
/// # }
/// ```
///
/// Concurrent calls with the same arguments wait for one run of the body. A body that panics stores nothing, and
/// the next caller runs its own. A body may call its own function.
///
/// # Options
///
/// | option | default | what it does |
/// |---|---|---|
/// | *how much, and who goes* | | |
/// | `policy = "hybrid"` | `"hybrid"` | whom to evict: `"hybrid"` weighs recency, frequency, cost and size; or `"lru"`, `"lfu"`, `"fifo"`, `"random"`, `"s3fifo"`, `"utility"`; or the path of an order of your own, a function that makes it or a type with `Default` (`larder::Evict`) |
/// | `max_mb = 50` | the budget | most megabytes, also `0.5`; 1 MB is 1,048,576 bytes |
/// | `max_bytes = "512KiB"` | the budget | the same bound in bytes, or as a size in quotes |
/// | `max_entries = 10_000` | none | most entries |
/// | `min_mb = 2` | 0 | megabytes that other tenants can't take |
/// | `pinned` | no | other tenants can't take anything; its own bounds and age still do |
/// | `priority = 2.0` | 1.0 | how much dearer its bytes are than those of other tenants |
/// | `cost = "20ms"` | measured | what a miss costs, instead of the time that the body takes: a duration, a function `fn(&K, &V) -> Duration`, or `"cpu"` for the processor time of the body, which waiting adds nothing to (`larder::Builder::cpu_cost`) |
/// | `utility = worth_of` | 1.0 | how much more each value is worth than what a miss costs: a function or closure of key and value that gives a factor, for `"hybrid"` and `"utility"` |
/// | `weigh = path` | [`Weigh`](macro@Weigh) | a function `fn(&V) -> u64` for all bytes of a value, its own size included |
/// | *how long* | | |
/// | `ttl = "5m"` | none | how long a value lives after it was stored: `ms`, `s`, `m`, `h`, `d` |
/// | `tti = "1m"` | none | how long a value lives after it was last used |
/// | `ttl_by = path` | none | a function `fn(&K, &V) -> Duration`: how long each value lives after it was stored; the shortest of the three holds |
/// | `jitter = 10%` | none | `ttl` and `ttl_by` end up to this part sooner, differently for each key; also `0.1` |
/// | *the key* | | |
/// | `skip(log, self)` | nothing | arguments that the result does not depend on |
/// | `key(id, name.trim(): &str)` | all arguments | the parts of the key: arguments, and expressions with their types; of a field, as in `self.name: String`, a hit takes no copy |
/// | `key_by = path: Type` | | a function makes the key, from references to all arguments; without `: Type` there is no handle |
/// | `commutative(a, b)` | | two arguments of one type whose order means nothing (`larder::Unordered`) |
/// | `once` | | no key: one value, whatever the arguments are |
/// | *where it lives* | | |
/// | `scope = "thread"` | `"global"` | each thread has a cache of its own, which goes with it |
/// | `within = self.caches` | | each object has a cache of its own, in a field of type `larder::Local` |
/// | `domain = "gpu:0"` | the process | whose bytes it takes: those of the device that is registered under this name, for values that live there (`larder::device::Resident`); the first call panics where none is |
/// | *what is stored* | | |
/// | `cache_if = \|v\| ..` | everything | only values of which this says so |
/// | `cache_err` | no | of a `Result` the errors, too |
/// | `cache_none` | no | of an `Option` also `None` |
/// | `force_if = expr` | never | an expression over the arguments: if it is true, the body runs, and what it returns is stored over what is there |
/// | *who computes* | | |
/// | `single_flight = false` | `true` | every caller that misses runs its own body; the first value is stored |
/// | `wait_at_most = "2s"` | as long as it takes | a caller that has waited so long for another's body runs its own |
/// | `detach` | no | `async fn`: an executor runs the body, which goes on while anybody waits for it |
/// | `on_remove = path` | nobody | a function `fn(K, V, RemovalCause)` that gets each entry that leaves, and why; outside all locks, and its panics stay with it |
/// | `tiers("lz4")` | none | what makes room goes on below as bytes and comes up when it is used: `"lz4"`, `"zstd"` or `"plain"`, or `lz4(max_mb = 64, ttl = "10m", chunk = "256KiB")`, `zstd(level = 3)`. Key and value derive serde's traits. Each needs larder's feature of its name; `"plain"` needs `tiers`. `"disk"`, last, survives a restart: `disk(path = "/var/cache/app", env = "APP_CACHE", max_mb = 1024, ttl = "1d", level = 3, version = 2, persist)`; where it is says `larder::disk::set_path`, else the variable, else `LARDER_DISK`, else `path` |
/// | *names, and what stands beside the function* | | |
/// | `name = ".."` | the function's path | what tables and reports call it |
/// | `namespace = ".."` | the module's path | what comes before its name there |
/// | `handle = "pages"` | `f_cache` | the name of the handle; `false` for none, alone for the usual name where there would be none |
/// | `uncached` | no | `f_uncached(..)` beside it: the body, without the cache |
/// | `refresh` | no | `f_refresh(..)`: runs the body and stores what it returns over what is there |
/// | `status` | no | `f_with_status(..)`: the value, and whether it was a `larder::Status::Hit`, a `Miss`, or was `Waited` for |
/// | `assoc` | if it shows | the function stands in an `impl`; `self` or `Self` in it say so, too |
/// | `crate = path` | `::larder` | where this crate finds larder |
///
/// # Arguments
///
/// Every argument is part of the key, unless an option says otherwise. A hit hashes and compares arguments as they are;
/// only a miss makes a key that owns them.
///
/// | argument | in the key |
/// |---|---|
/// | `&str`, `&[T]`, `&Path`, `&OsStr`, `&CStr` | `String`, `Vec<T>`, `PathBuf`, `OsString`, `CString` |
/// | `&T`, `Cow<'_, T>`, `impl AsRef<T>` | as `T` |
/// | `f32`, `f64` | `Bits32`, `Bits64`: equal when the bits are |
/// | `Option<T>`, `(T, U)` | an `Option` or a tuple of what `T` and `U` are |
/// | `self`, `&self`, `self: Arc<Self>` | `Self` |
/// | any other `T` | `T`, which has to be `Clone + Hash + Eq + Send + Sync + 'static` |
///
/// Types are recognised by name. `&mut`, trait objects, functions, and types that borrow inside, such as `Vec<&str>`,
/// are errors that say what to take instead; with `skip` they may be anything.
///
/// # What is stored
///
/// The value that the function returns, which has to be `Clone + Send + Sync + 'static`. Of a `Result` or an `Option`
/// only what `Ok` or `Some` holds: failures are not stored, and each waiting caller runs its own body. They are
/// recognised by name, so `io::Result<T>` is one too.
///
/// Of a function that returns nothing it is kept that it ran: it runs once for each key, until that expires, is
/// invalidated, or makes room. What must never run twice needs a guard of its own.
///
/// # The handle
///
/// Next to `fn embed` stands `fn embed_cache() -> &'static Cache<K, V>`, with the same visibility. With one argument `K`
/// is that argument's type, otherwise a tuple. Keys are asked for in borrowed form: `embed_cache().get("hello")`,
/// `area_cache().invalidate((3, "m"))`. To store what is known already: `embed_cache().insert(key, value)`.
///
/// Each instance of a generic function has a cache of its own, and a handle of its own: `parse_cache::<u64>()`. They
/// share one name, one set of bounds and one row in the table.
///
/// # Methods
///
/// A method's result may depend on all of `self`, so `self` is in the key: two objects share a value only when they are
/// equal, and each type of a generic `impl` has its own. Often less will do:
///
/// ```
/// use larder::{Local, cached};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// pub struct Color(u8, u8, u8);
///
/// impl Color {
///     /// All of `self` is in the key.
///     #[cached]
///     pub fn name(&self, language: &str) -> String {
///         format!("{}-{}-{} in {language}", self.0, self.1, self.2)
///     }
/// }
///
/// #[derive(Default)]
/// pub struct Client {
///     tenant: String,
///     caches: Local,
/// }
///
/// impl Client {
///     /// What the result depends on, and no more.
///     #[cached(key(self.tenant.as_str(): &str, path))]
///     pub fn fetch(&self, path: &str) -> String {
///         format!("{}/{path}", self.tenant)
///     }
///
///     /// A cache in each client, which goes with it.
///     #[cached(within = self.caches)]
///     pub fn parse(&self, text: &str) -> usize {
///         text.len()
///     }
/// }
///
/// assert_eq!(Color(1, 2, 3).name("en"), "1-2-3 in en");
/// assert_eq!(Color::name_cache().get((&Color(1, 2, 3), "en")).as_deref(), Some("1-2-3 in en"));
/// let client = Client::default();
/// assert_eq!((client.fetch("a"), client.parse("abc")), ("/a".to_owned(), 3));
/// assert_eq!((Client::fetch_cache().len(), client.parse_cache().len()), (1, 1));
/// ```
///
/// A method with `pub` has a handle, `Color::name_cache()`. One without may be that of a trait, beside which nothing can
/// stand: it has a handle if the attribute says `handle`. A function without `self`, and without `Self` in it, says
/// `assoc`. `&mut self` is an error: a hit would change nothing.
///
/// # Once more, without, and from where
///
/// ```
/// use larder::{Status, cached};
///
/// #[cached(uncached, refresh, status)]
/// fn load(id: u32) -> String {
///     format!("page {id}")
/// }
///
/// assert_eq!(load_with_status(7), ("page 7".to_owned(), Status::Miss));
/// assert_eq!(load_with_status(7).1, Status::Hit);
/// load_refresh(7); // runs the body, whatever is stored
/// load_uncached(7); // runs the body, and stores nothing
/// ```
///
/// While `load_refresh` computes, others get what was there before. It returns what it computed; if somebody writes or
/// invalidates the key meanwhile, that is newer, and stays.
///
/// # Where the cache lives
///
/// With `scope = "thread"` and `within` there are many caches, which are one tenant: bounds hold for all of them
/// together, and the table has one row for them. Each takes about a kilobyte. They are charged to the one budget, and
/// others may take their bytes, so keys and values have to be `Send + Sync` all the same. The handle of a thread's cache is
/// the cache itself, `f_cache() -> Cache<K, V>`; that of an object's is a method, `object.f_cache()`.
///
/// # Where it goes
///
/// On functions with a body, `async` and `unsafe` ones too, wherever they stand. `const fn`, `extern fn`, and those that
/// return a reference or an `impl Trait` are errors that say what to do instead.
///
/// # Freshness
///
/// A value that is too old is never returned; its bytes go back when it is looked up, when room is needed, and in the
/// background. `K` in `ttl_by` is the key's type as the handle has it, `V` the stored value's. What `ttl_by` gives no
/// time is not stored, and `Duration::MAX` sets no bound. Without these options a hit reads no clock.
///
/// # Waiting for others
///
/// A body that waits for something that waits for it runs again instead, where larder sees it: bodies that call cached
/// functions, in threads and tasks. It does not see what a body hands to another thread and blocks on. Functions that
/// do so take `wait_at_most`, or `single_flight = false`.
///
/// A waiting thread stops on time. A waiting task is woken by larder's background thread; where that is forbidden
/// (`LARDER_THREADS=0`), by the next `larder::tick()`.
///
/// # Cancel safety
///
/// The body of an `async fn` is polled in the future of the caller that computes. Dropping that future drops the body;
/// one of the callers that wait for the same value runs its own then. No executor is needed, no lock is held over an
/// `.await`, and the future is `Send` if the body's is.
///
/// With `detach` the body is a task of the executor that `larder::set_executor` was given, and is dropped only when the
/// last caller is gone. Its future has to be `Send`, and it owns what it works on: of arguments that are plain
/// references (`&str`, `&[T]`, `&T`) a miss takes a copy; arguments that borrow inside are errors. Its panics are those
/// of the caller that began, and if the executor drops it, that caller goes on with it. Calling without an executor
/// panics on a miss. A call that is forced (`force_if`, `refresh`) has no waiters, and its body stays in its own future.
#[proc_macro_attribute]
pub fn cached(args: TokenStream, item: TokenStream) -> TokenStream {
    cached::cached(args.into(), item.into()).into()
}

/// Gives a type a pool: `T::acquire()` lends an object, which goes back when the lease is dropped. On a function that makes
/// objects it keeps a shelf of idle ones for each set of arguments.
///
/// ```
/// use larder::{Weigh, pooled};
///
/// #[pooled(max = 64, max_mb = 16, reset = Self::clear)]
/// #[derive(Default, Weigh)]
/// struct Parser {
///     tokens: Vec<String>,
/// }
///
/// impl Parser {
///     fn feed(&mut self, text: &str) {
///         self.tokens.extend(text.split(' ').map(str::to_owned));
///     }
///
///     fn clear(&mut self) {
///         self.tokens.clear();
///     }
/// }
///
/// let mut parser = Parser::acquire(); // an idle one, or a new one
/// parser.feed("to be or not");
/// assert_eq!(parser.tokens.len(), 4);
/// drop(parser); // reset, and back into the pool
/// assert!(Parser::acquire().tokens.is_empty());
/// ```
///
/// Objects count towards the process-wide budget, idle and lent; idle ones go when their bytes are worth more
/// elsewhere. `T::pool()` is the pool itself, for its statistics.
///
/// # Options
///
/// | option | default | what it does |
/// |---|---|---|
/// | `max = 64` | none | most objects, idle and lent; of a function, for all its arguments together |
/// | `max_idle = 16` | `max` | most objects that wait |
/// | `min_idle = 4` | 0 | so many are made ahead: before the first lease, and again at ticks |
/// | `max_mb = 16` | the budget | most megabytes, also `0.5` |
/// | `max_kb = 256` | none | most kilobytes of one object's heap when it comes back; what is larger is shrunk, or goes |
/// | `trim_to = path` | it goes | shrinks such an object: `fn(&mut T, u64)`, with the bytes that it may keep |
/// | `priority = 0.5` | 1.0 | how much dearer its bytes are than those of other tenants |
/// | `on_exhausted = ..` | `create` | with `max` lent: `create` one more, which goes when its lease ends; `wait`; `wait("50ms")`; `fail` |
/// | `reset = Self::clear` | nothing | runs when a lease ends |
/// | `validate = path` | all are fit | whether an object that was reset is fit for another lease: `fn(&T) -> bool` |
/// | `validate_on_acquire` | when it returns | asks that before an idle object is lent, too |
/// | `new = Self::new` | `Default` | makes an object; a function does so itself |
/// | `try_new = Self::open` | `Default` | the same, where it may fail with an error of any kind |
/// | `idle = "10m"` | none | how long an object may wait |
/// | `idle_soft = "1m"` | none | the same for those beyond `min_idle` |
/// | `lifetime = "1h"` | none | how long an object lives |
/// | `jitter = 0.1` | none | which part of that is spread over the objects |
/// | `order = "fifo"` | `"lifo"` | lends the one that waited longest, instead of the one that came back last |
/// | `weigh = path` | [`Weigh`](macro@Weigh) | what an object weighs, itself included: `fn(&T) -> u64` |
/// | `scope = "thread"` | `"global"` | objects stay on the thread that made them, and need not be `Send`, see below |
/// | `buffer` | | the type stands for a pool of byte buffers, see below |
/// | `gpu` | | the type stands for a pool of buffers on a GPU, see below |
/// | `name = ".."` | the type's path | what tables and reports call it |
/// | `skip(config)`, `key(..)` | all arguments | of a function: what tells its objects apart, as in [`macro@cached`] |
/// | `assoc` | if it shows | of a function: it stands in an `impl`; `self` or `Self` in it say so, too |
/// | `crate = path` | `::larder` | where this crate finds larder |
///
/// Functions are given as a path, also in quotes, or a closure. A `reset` may return nothing, a `bool` or a
/// `Result<(), E>`: `false` and `Err` drop the object, because it is broken or grew too large.
///
/// `T::acquire()` is there where it can't fail. With `try_new`, `wait("..")` or `fail` it can, and `T::try_acquire()`
/// stands in its place and returns a `Result` with an `AcquireError`. On the pool are also `acquire_timeout` and
/// `acquire_async`, which wait for an object to come back, first come first served, and `create`, `put`, `retain`, `trim`,
/// `resize` and `close`.
///
/// A pool does not always pay: for small objects that are cheap to make it is about as fast as the allocator, and what it
/// wins is a bound and statistics.
///
/// The type has to be `Send + 'static`. How many bytes an object owns is known where the type is
/// [`Weigh`](macro@Weigh). A generic type has a pool for each instance; all of them are one tenant, with one `max_mb`, one
/// priority and one row in the statistics, and bounds in objects are each pool's own.
///
/// # Objects of one thread
///
/// ```
/// # use larder::pooled;
/// use std::rc::Rc;
///
/// #[pooled(scope = "thread", max_idle = 16)]
/// #[derive(Default)]
/// struct Tree {
///     root: Option<Rc<Tree>>, // is not `Send`
/// }
///
/// assert!(Tree::acquire().root.is_none());
/// ```
///
/// Each thread has a pool of its own, which goes with it; together they are one tenant. Bounds in objects are each thread's,
/// bytes are those of all. Nobody else can touch what waits there: when memory is short, when objects are too old, or
/// somebody clears everything, a thread drops its own at its next operation on the pool. What lies with a thread that never
/// comes back to it is bounded by `max_idle` and `max_mb`, and shows in the statistics. `T::pool()` is this thread's pool.
/// A thread can't wait for itself, so `on_exhausted` is `create` or `fail`; tasks of one thread can `acquire_async`.
///
/// # Buffers
///
/// ```
/// # use larder::pooled;
/// #[pooled(buffer, classes = [4096, 65_536], max_mb = 16)]
/// struct Frames;
///
/// let mut frame = Frames::acquire(1000);
/// frame.extend_from_slice(b"to be or not");
/// assert_eq!((frame.len(), frame.capacity()), (12, 4096));
/// ```
///
/// Such a type has no objects; it is the name of a `BufferPool`. `classes` are the capacities of its buffers (unless given:
/// 4096, and each four times the one before, to 64 MiB), `align` where they start in memory (4096). It also takes `max_mb`,
/// `priority`, `name` and `crate`.
///
/// # Buffers on a GPU
///
/// ```
/// # fn main() -> Result<(), larder::device::DeviceError> {
/// use larder::device::Device;
/// use larder::pooled;
/// use larder::testing::SimDevice;
///
/// #[pooled(gpu = SimDevice, usage = "Storage", classes = [65_536, 1 << 20], max_mb = 256, priority = 1.8)]
/// struct Activations;
///
/// // The program opens its device, and gives it a name.
/// let gpu = Device::builder("gpu:0", SimDevice::builder().build()).limit_mb(2048).register()?;
/// let stream = gpu.backend().order();
///
/// let buffer = Activations::acquire(50_000, &stream)?;
/// assert_eq!(buffer.capacity(), 65_536);
/// # Ok(())
/// # }
/// ```
///
/// `gpu` is wgpu's driver, with larder's feature `gpu-wgpu`: `usage = "STORAGE | COPY_DST"`, and what is acquired is for a
/// `wgpu::CommandEncoder`. `gpu = path` is another, with the feature `device`: a type that implements `larder::device::DeviceBackend`. `device`
/// is the name that the device is registered under, `"gpu:0"` unless said; `usage` names what all buffers of this pool are for, in the driver's words, and
/// without it each `acquire` is told. `classes` (in bytes), `max_mb`, `priority` and `name` are as above.
///
/// `acquire` and `pool` return a `Result`: nobody may have registered a device, it may be lost, and its memory is bounded. When another
/// device is registered under the name, the next `acquire` makes the pool there.
///
/// # Functions
///
/// ```
/// use larder::{Pooled, pooled};
///
/// # #[derive(larder::Weigh)]
/// # struct Conn { dsn: String, broken: bool }
/// # impl Conn {
/// #     fn open(dsn: &str, tls: bool) -> Result<Conn, String> {
/// #         if dsn.is_empty() { Err("nothing".to_owned()) } else { Ok(Conn { dsn: dsn.to_owned(), broken: tls }) }
/// #     }
/// # }
/// #[pooled(max = 16, reset = |conn| !conn.broken)]
/// fn connect(dsn: &str, tls: bool) -> Result<Pooled<Conn>, String> {
///     let conn = Conn::open(dsn, tls)?; // only when no idle one was made for the same arguments
///     Ok(conn)
/// }
///
/// let conn = connect("db:5432", false)?;
/// drop(conn);
/// assert_eq!(connect_pool().idle(), 1);
/// connect("db:5432", false)?; // the same one again
/// # assert_eq!(connect_pool().stats().loads, 1);
/// # Ok::<(), String>(())
/// ```
///
/// The signature is what callers get, and says `Pooled<T>`, alone or in a `Result` or an `Option`; the body makes the `T`.
/// Arguments are told apart as those of [`macro@cached`] are, `self` too, which `skip(self)` leaves out. `async fn`s, generic
/// ones, methods and associated functions may be pooled. Next to `fn connect` stands
/// `fn connect_pool() -> &'static Shelves<T>`, for its statistics; beside a method if that has `pub`.
#[proc_macro_attribute]
pub fn pooled(args: TokenStream, item: TokenStream) -> TokenStream {
    pooled::pooled(args.into(), item.into()).into()
}

/// Says how many bytes a value owns on the heap: the sum over its fields.
///
/// ```
/// use std::sync::Arc;
///
/// use larder::{Weigh, weigh};
///
/// #[derive(Weigh)]
/// struct Page {
///     title: String,
///     lines: Vec<String>,
///     #[weigh(skip)] // somebody else answers for it
///     site: Arc<Site>,
///     #[weigh(with = Bitmap::bytes)]
///     image: Bitmap,
/// }
///
/// # struct Site;
/// # struct Bitmap(u64);
/// # impl Bitmap {
/// #     fn bytes(&self) -> u64 {
/// #         self.0
/// #     }
/// # }
/// let page = Page { title: "Home".into(), lines: vec![], site: Arc::new(Site), image: Bitmap(4096) };
/// assert_eq!(page.heap_bytes(), weigh::allocation(4) + 4096);
/// ```
///
/// Type parameters that fields use have to be `Weigh` themselves. A field that is a reference counts as nothing: what it
/// points to belongs to somebody else.
///
/// # Field options
///
/// - `#[weigh(skip)]`: the field owns nothing that this value answers for.
/// - `#[weigh(with = path)]`: a function `fn(&Field) -> u64` says the field's heap bytes, for types without `Weigh`.
///
/// Above the type, `#[weigh(crate = path)]` says where this crate finds larder, if that is not `::larder`.
#[proc_macro_derive(Weigh, attributes(weigh))]
pub fn weigh(item: TokenStream) -> TokenStream {
    weigh::derive(item.into()).into()
}
