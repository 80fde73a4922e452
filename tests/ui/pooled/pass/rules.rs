//! Options about how many, how old, how large, and what happens then.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]

use std::time::Duration;

use larder::{AcquireError, Pool, Pooled, Sometimes, pooled};

/// Every option of a pool that can't fail.
#[pooled(
    max = 4,
    max_idle = 3,
    min_idle = 1,
    max_kb = 4,
    trim_to = Self::shrink,
    idle = "10m",
    idle_soft = "1m",
    lifetime = "1h",
    jitter = 10%,
    order = "fifo",
    on_exhausted = create,
    weigh = Self::bytes,
    validate = |it| it.0.len() < 100,
    validate_on_acquire,
    reset = |it| it.0.clear()
)]
#[derive(Default)]
pub struct Text(String);

impl Text {
    fn shrink(&mut self, bytes: u64) {
        self.0.shrink_to(bytes as usize);
    }

    fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.0.capacity()) as u64
    }
}

/// Waits as long as it takes, and so can't fail.
#[derive(Default)]
#[pooled(max = 1, on_exhausted = wait)]
struct Patient;

#[derive(Default)]
#[pooled(max = 1, on_exhausted = wait("1ms"))]
struct Hurried;

#[derive(Default)]
#[pooled(max = 1, on_exhausted = "fail")]
struct Refusing;

#[pooled(try_new = Self::open)]
struct Port(u16);

impl Port {
    fn open() -> Result<Self, std::num::ParseIntError> {
        "eighty".parse().map(Self)
    }
}

#[derive(Default)]
#[pooled(order = lifo, try_new = || Ok::<_, String>(Self(7)))]
struct Opened(u8);

#[pooled(max_idle = 2, max_kb = 1, trim_to = |text, bytes| text.shrink_to(bytes as usize), lifetime = "1h", validate = |text| text.is_empty(), reset = String::clear)]
fn text(capacity: usize) -> Pooled<String> {
    String::with_capacity(capacity)
}

fn main() {
    let mut held = Text::acquire();
    held.0.push('a');
    drop(held);
    assert_eq!((Text::acquire().0.as_str(), Text::pool().leased()), ("", 1));
    drop(Patient::acquire());
    let held: Pooled<Hurried> = Hurried::try_acquire().unwrap();
    assert!(matches!(Hurried::try_acquire(), Err(AcquireError::TimedOut { .. })));
    drop(held);
    let held = Refusing::try_acquire().unwrap();
    assert!(matches!(Refusing::try_acquire(), Err(AcquireError::Exhausted { max: 1, .. })));
    assert!(Refusing::pool().acquire_timeout(Duration::from_millis(1)).is_err());
    drop(held);
    let _: &'static Pool<Refusing, Sometimes> = Refusing::pool();
    match Port::try_acquire() {
        Err(AcquireError::Failed(error)) => assert_eq!(error.to_string(), "invalid digit found in string"),
        other => panic!("{:?}", other.map(|port| port.0)),
    }
    assert_eq!(Opened::try_acquire().unwrap().0, 7);
    let mut long = text(2000);
    long.push('a');
    drop(long);
    let again = text(2000);
    assert_eq!((again.len(), again.capacity() <= 1024, text_pool().stats().loads), (0, true, 1));
}
