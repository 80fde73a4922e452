//! What a domain decided and why, in words and as data: where each tenant stands, what more memory would earn it, the last
//! decisions about memory.
//!
//! Only the figures and their text. Who measures and who decides is the coordinator.

use std::fmt;
use std::time::Duration;

use super::table::{bytes, nanoseconds};
use super::{BudgetStats, NamespaceStats, PressureStats};
use crate::descriptor::Kind;

/// Where the bytes of a domain are, what they earn, and what was decided about them lately; `Display` is a text for people.
///
/// Made by [`Domain::explain`](crate::Domain::explain) and [`explain`](crate::explain).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Explanation {
    /// The shared budget.
    pub budget: BudgetStats,
    /// How full memory is, and who says so.
    pub pressure: PressureStats,
    /// What was done about it so far.
    pub coordinator: CoordinatorStats,
    /// Each live tenant; who would give next comes first.
    pub tenants: Vec<TenantReport>,
    /// Each namespace that was promised a share.
    pub namespaces: Vec<NamespaceStats>,
    /// The last decisions, latest first; at most 64.
    pub decisions: Vec<Decision>,
}

/// What the coordinator of a domain did so far.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CoordinatorStats {
    /// How many decisions were made.
    pub decisions: u64,
    /// Bytes that tenants gave because another needed room.
    pub moved: u64,
    /// Bytes that tenants gave for short memory, for a limit that was lowered, and for trims.
    pub shrunk: u64,
    /// Bytes that leave for want of room, in a second, and others take their place: lately, over all tenants.
    pub churn: u64,
    /// The most bytes above what was allowed that could not be evicted when that was lowered.
    pub overshoot_peak: u64,
    /// The fullest that memory was seen, as a fraction of its limit.
    pub fullest: f64,
    /// Bytes that were freed for short memory and that the allocator keeps, as far as resident memory shows: this process can use
    /// them again, and others can't. 0 where the source does not tell what is resident.
    pub retained: u64,
    /// What the last plan that moved bytes said that it gains, as a part of the compute time that was saved; `None` before one.
    pub predicted_gain: Option<f64>,
    /// How much more compute time a look-up saved in the last epoch than in the one before that plan, as a part of it; `None`
    /// before a plan. What the load did meanwhile is in it, too.
    pub realised_gain: Option<f64>,
    /// How often the process came close to being killed: emergencies that began, and times that the system says memory
    /// was at its limit.
    pub near_misses: u64,
}

/// Where one tenant stands.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantReport {
    /// As in [`TenantStats`](crate::TenantStats).
    pub name: String,
    /// Cache or pool.
    pub kind: Kind,
    /// Bytes it holds.
    pub bytes: u64,
    /// Bytes that a plan gives it; `None` where price alone decides.
    pub target: Option<u64>,
    /// Who gives before it, or what protects it.
    pub standing: Standing,
    /// Multiplies what its bytes are worth.
    pub priority: f64,
    /// Compute time that its hits save in a second, lately; `None` before two ticks.
    pub saved: Option<Duration>,
    /// Compute time that 1 MB more would save in a second; `None` before two ticks.
    ///
    /// An estimate. While the budget is half used, by what the cache has learned of reuse at larger sizes; otherwise the next
    /// victim's saving for each byte over the time that entries stay, or the average of those that are there, if that is less.
    /// Zero where nothing has to leave.
    pub saved_by_mb_more: Option<Duration>,
    /// How long an entry stays before it makes way, at the rate of late; `None` where none has to, or before two ticks.
    pub residence: Option<Duration>,
    /// The tiers below a cache's values, from the top.
    #[cfg(feature = "tiers")]
    pub tiers: Vec<crate::TierStats>,
}

/// Whether a tenant gives, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Standing {
    /// Its next victim goes when those of all tenants with a lower turn are gone, or dearer; 1 is who gives next.
    Turn(usize),
    /// What it holds is below its floor: it gives for its own entries only.
    Floor,
    /// It has nothing that can go: it is empty, or all of it is in use or pinned.
    Nothing,
}

/// One decision about memory.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Decision {
    /// How long ago; of several in a row, the last.
    pub ago: Duration,
    /// How many like it followed each other: they are told as one.
    pub times: u64,
    /// What it was about.
    pub cause: Cause,
    /// Why, in words.
    pub reason: String,
    /// What could be used before, in bytes.
    pub allowed_before: u64,
    /// What could be used after, in bytes.
    pub allowed_after: u64,
    /// Bytes that left the budget.
    pub freed: u64,
    /// By how much resident memory of the process fell with that; `None` where it is not known.
    pub returned: Option<u64>,
    /// Who gave them, most first; the eight that gave most.
    pub gave: Vec<(String, u64)>,
}

/// What a decision was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Cause {
    /// Memory is getting short.
    Pressure,
    /// Memory is nearly out.
    Emergency,
    /// There is room again.
    Growth,
    /// The user lowered the limit.
    Limit,
    /// The user asked for bytes back.
    Trim,
    /// The limit followed memory.
    Auto,
    /// Tenants made room for each other.
    Room,
    /// Bytes are to go where they save more.
    Plan,
}

impl Cause {
    /// `"pressure"`, `"emergency"`, `"growth"`, `"limit"`, `"trim"`, `"auto"`, `"room"` or `"plan"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pressure => "pressure",
            Self::Emergency => "emergency",
            Self::Growth => "growth",
            Self::Limit => "limit",
            Self::Trim => "trim",
            Self::Auto => "auto",
            Self::Room => "room",
            Self::Plan => "plan",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Explanation {
    /// The tenant of that name.
    #[must_use]
    pub fn tenant(&self, name: &str) -> Option<&TenantReport> {
        self.tenants.iter().find(|tenant| tenant.name == name)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, pressure, coordinator: done, .. } = self;
        let (used, allowed, limit) = (bytes(budget.used), bytes(budget.allowed), bytes(budget.limit));
        write!(f, "{used} used, {allowed} allowed, of a limit of {limit}; pressure {}", pressure.level)?;
        if pressure.limit > 0 {
            let fullness = 100.0 * pressure.used as f64 / pressure.limit as f64;
            write!(f, " ({}: {fullness:.0} % of {})", pressure.source, bytes(pressure.limit))?;
        }
        write!(
            f,
            "\n{} moved between tenants, {} given up for memory, limits and trims; {} a second come and go",
            bytes(done.moved),
            bytes(done.shrunk),
            bytes(done.churn)
        )?;
        write!(
            f,
            "\n{} freed and kept by the allocator; at most {} above what was allowed; memory was {:.0} % full at most; {} near misses",
            bytes(done.retained),
            bytes(done.overshoot_peak),
            100.0 * done.fullest,
            done.near_misses
        )?;
        if let (Some(predicted), Some(realised)) = (done.predicted_gain, done.realised_gain) {
            let (predicted, realised) = (100.0 * predicted, 100.0 * realised);
            write!(
                f,
                "\nthe last plan was to save {predicted:.1} % more; look-ups save {realised:+.1} % since"
            )?;
        }
        for namespace in &self.namespaces {
            let (used, promised) = (bytes(namespace.used), bytes(namespace.promised));
            write!(f, "\nnamespace {} holds {used} of {promised} promised", namespace.name)?;
        }
        for tenant in &self.tenants {
            write!(f, "\n{tenant}")?;
        }
        if !self.decisions.is_empty() {
            f.write_str("\ndecisions, latest first:")?;
        }
        for decision in &self.decisions {
            write!(f, "\n  {decision}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TenantReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, bytes(self.bytes))?;
        if let Some(target) = self.target {
            write!(f, " of a target of {}", bytes(target))?;
        }
        match self.standing {
            Standing::Turn(1) => f.write_str(", gives next")?,
            Standing::Turn(turn) => write!(f, ", gives as number {turn}")?,
            Standing::Floor => f.write_str(", below its floor")?,
            Standing::Nothing => f.write_str(", nothing to give")?,
        }
        if self.priority != 1.0 {
            write!(f, ", priority {}", self.priority)?;
        }
        self.savings(f)?;
        #[cfg(feature = "tiers")]
        for tier in &self.tiers {
            write!(f, "; below it {tier}")?;
        }
        Ok(())
    }
}

impl TenantReport {
    fn savings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(saved), Some(more)) = (self.saved, self.saved_by_mb_more) else {
            return f.write_str("; not measured yet");
        };
        write!(f, "; saves {} of compute a second", time(saved))?;
        match self.residence {
            None => f.write_str("; nothing has to leave, so more memory would save nothing"),
            Some(stay) => write!(
                f,
                "; 1 MB more would save {} of compute a second; entries stay {}",
                time(more),
                time(stay)
            ),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ago: {}: {}", time(self.ago), self.cause, self.reason)?;
        if self.times > 1 {
            write!(f, " ({} times)", self.times)?;
        }
        if self.allowed_before != self.allowed_after {
            write!(f, "; allowed {} -> {}", bytes(self.allowed_before), bytes(self.allowed_after))?;
        }
        if self.freed > 0 {
            write!(f, "; {} freed", bytes(self.freed))?;
            if let Some(returned) = self.returned {
                write!(f, ", {} of it returned to the system", bytes(returned.min(self.freed)))?;
            }
        }
        for (at, (name, given)) in self.gave.iter().enumerate() {
            write!(f, "{} {name} {}", if at == 0 { ":" } else { "," }, bytes(*given))?;
        }
        Ok(())
    }
}

fn time(duration: Duration) -> String {
    nanoseconds(duration.as_nanos() as f64)
}
