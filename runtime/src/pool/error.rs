//! Why there is no object: what stands in the way, and what to change.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::PoolCore;
use super::core::Refusal;
use crate::descriptor::Exhausted;
use crate::sync::Ordering;

/// Why a pool lent nothing. `E` is the error of its constructor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireError<E> {
    /// All objects that there may be are lent.
    Exhausted {
        /// The pool's name.
        pool: String,
        /// Its bound in objects; [`u64::MAX`] without one, when its bytes are in the way.
        max: u64,
    },
    /// The same, and none came back in time.
    TimedOut {
        /// The pool's name.
        pool: String,
        /// Its bound in objects; [`u64::MAX`] without one, when its bytes are in the way.
        max: u64,
        /// How long the pool's own rule lets callers wait, if it has one.
        rule: Option<Duration>,
    },
    /// The pool was closed.
    Closed {
        /// The pool's name.
        pool: String,
    },
    /// The constructor failed.
    Failed(E),
}

impl<E: Send + 'static> AcquireError<E> {
    pub(super) fn of<T>(refusal: Refusal, core: &PoolCore<T>) -> Self {
        let pool = core.card.name.to_string();
        let max = core.max.load(Ordering::Relaxed);
        match refusal {
            Refusal::Exhausted => Self::Exhausted { pool, max },
            Refusal::TimedOut => {
                let rule = match core.options.exhausted {
                    Exhausted::Wait(most) => most,
                    Exhausted::Create | Exhausted::Fail => None,
                };
                Self::TimedOut { pool, max, rule }
            }
            Refusal::Closed => Self::Closed { pool },
            Refusal::Failed(error) => match error.downcast() {
                Ok(error) => Self::Failed(*error),
                // The handle's type and its constructor come from one call of the builder.
                Err(_) => unreachable!("a pool's constructor has one type of error"),
            },
        }
    }
}

impl<E: fmt::Display> fmt::Display for AcquireError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted { pool, max } => write!(
                f,
                "all {} of the pool `{pool}` are lent: raise its bound, hold leases for less long, or wait with \
                 `acquire_timeout` or `acquire_async`",
                Objects(*max)
            ),
            Self::TimedOut { pool, max, rule } => {
                write!(f, "all {} of the pool `{pool}` were lent", Objects(*max))?;
                match rule {
                    Some(rule) => write!(f, " for {rule:?}")?,
                    None => f.write_str(" for as long as the caller would wait")?,
                }
                f.write_str(": raise its bound, hold leases for less long, or allow more time")
            }
            Self::Closed { pool } => {
                write!(
                    f,
                    "the pool `{pool}` is closed: acquire before `close`, or make the object without it"
                )
            }
            Self::Failed(error) => write!(f, "the constructor failed: {error}"),
        }
    }
}

/// How many there may be.
struct Objects(u64);

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            u64::MAX => f.write_str("bytes"),
            1 => f.write_str("1 object"),
            max => write!(f, "{max} objects"),
        }
    }
}

impl<E: Error + 'static> Error for AcquireError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}
