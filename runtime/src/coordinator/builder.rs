//! Building a domain: limit, clock, pressure source, and whether it may have a thread.

use std::sync::Arc;
use std::time::Duration;

use super::Coordinator;
use crate::domain::{Domain, DomainCore, Executor, Purge, Task};
use crate::monitor::system;
use crate::pressure::{Auto, PressureSource, Watermarks};
use crate::time::Clock;

/// How often a domain's thread looks at memory when nothing presses.
pub(crate) const INTERVAL: Duration = Duration::from_secs(30);

/// Configures a [`Domain`]; made by [`Domain::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct DomainBuilder {
    limit: Option<u64>,
    auto: Option<Auto>,
    purge: Option<Purge>,
    clock: Clock,
    source: Option<Arc<dyn PressureSource>>,
    watermarks: Watermarks,
    interval: Duration,
    manual: bool,
    /// A second thread may wait for what says that memory gets short.
    watched: bool,
    executor: Option<Executor>,
}

impl Domain {
    /// Configures a domain: by default 500 MB, at most a quarter of what the machine or container has, the
    /// real clock, no pressure source, and a background thread that starts with the first tenant.
    pub fn builder() -> DomainBuilder {
        DomainBuilder {
            limit: None,
            auto: None,
            purge: None,
            clock: Clock::real(),
            source: None,
            watermarks: Watermarks::default(),
            interval: INTERVAL,
            manual: false,
            watched: true,
            executor: None,
        }
    }
}

impl DomainBuilder {
    /// The budget, in bytes. 0 stores nothing.
    pub fn limit_bytes(mut self, bytes: u64) -> Self {
        (self.limit, self.auto) = (Some(bytes), None);
        self
    }

    /// The budget follows memory; see [`Budget::set_auto`](crate::Budget::set_auto). It begins with the default, and in place of
    /// [`limit_bytes`](Self::limit_bytes): the last of the two counts.
    pub fn auto(mut self, auto: Auto) -> Self {
        (self.limit, self.auto) = (None, Some(auto));
        self
    }

    /// Where the domain reads the time; a [`ManualClock`](crate::testing::ManualClock) for tests.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Who says how full memory is.
    pub fn pressure(mut self, source: impl PressureSource + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// At which fullness the domain shrinks, and at which it drops what it can.
    pub fn watermarks(mut self, watermarks: Watermarks) -> Self {
        self.watermarks = watermarks;
        self
    }

    /// How often the background thread looks; more often when memory is fuller.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// No background thread: [`Domain::tick`] does its work when you call it.
    pub fn manual(mut self) -> Self {
        self.manual = true;
        self
    }

    /// One background thread and no second: memory is looked at from time to time only.
    pub(crate) fn one_thread(mut self) -> Self {
        self.watched = false;
        self
    }

    /// Who runs detached loads; see [`Domain::set_executor`].
    pub fn executor(mut self, spawn: impl Fn(Task) + Send + Sync + 'static) -> Self {
        self.executor = Some(Executor::new(spawn));
        self
    }

    /// How the allocator gives memory back; see [`Domain::set_purge`].
    pub fn purge(mut self, purge: impl Fn() + Send + Sync + 'static) -> Self {
        self.purge = Some(Purge::new(purge));
        self
    }

    /// Builds the domain.
    #[must_use]
    pub fn build(self) -> Domain {
        let limit = self.limit.unwrap_or_else(|| {
            let default = system::default_budget();
            self.auto.map_or(default, |auto| auto.clamp(default))
        });
        let coordinator =
            Coordinator::new(self.source, self.watermarks, self.interval, self.manual, self.watched);
        let core: Arc<DomainCore> = DomainCore::new(limit, self.clock, Box::new(coordinator));
        if let Some(executor) = self.executor {
            core.set_executor(executor);
        }
        if let Some(purge) = self.purge {
            core.set_purge(purge);
        }
        core.relief().follow(&core, self.auto);
        Domain::from_core(core)
    }
}
