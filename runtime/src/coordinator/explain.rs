//! Puts together what `explain` says: standings, earnings, decisions.
//!
//! Reads and computes; nothing is decided here. Locks are taken one at a time and only to read.

use std::time::Duration;

use super::journal::by_megabyte_more;
use super::plan::{self, Candidate};
use super::{Coordinator, Floors, Whom};
use crate::arrange::sort_by;
use crate::domain::{Budget, DomainCore};
use crate::stats::{CoordinatorStats, Explanation, PressureStats, Standing, TenantReport};

impl Coordinator {
    pub(super) fn explanation(&self, core: &DomainCore) -> Explanation {
        let now = core.now();
        let live = core.live();
        self.journal.measure(now, &live);
        let excess = core.excess();
        let whom = Whom::all(Floors::Kept);
        let candidate = |(at, card)| Self::candidate(at, card, &whom, excess.as_ref());
        let candidates: Vec<Candidate> =
            live.iter().map(|tenant| tenant.card()).enumerate().map(candidate).collect();
        let turns = plan::turns(&candidates);
        let reports = live.iter().zip(candidates.iter().zip(turns)).map(|(tenant, (candidate, turn))| {
            let stats = core.stats_of(&**tenant);
            let rates = self.journal.rates_of(tenant);
            // What is saved is time, and not time as the user weighs it.
            let marginal = stats.price / tenant.card().scale();
            let stays = rates.filter(|rates| rates.left > 0.0).map(|rates| stats.entries as f64 / rates.left);
            TenantReport {
                kind: stats.kind,
                bytes: stats.bytes,
                target: stats.target,
                standing: match turn {
                    Some(turn) => Standing::Turn(turn),
                    None if candidate.price.is_finite() => Standing::Floor,
                    None => Standing::Nothing,
                },
                priority: stats.priority,
                saved: rates.map(|rates| nanoseconds(rates.saved)),
                saved_by_mb_more: rates
                    .map(|rates| nanoseconds(by_megabyte_more(rates, marginal, stats.entries))),
                residence: stays.map(|seconds| nanoseconds(seconds * 1e9)),
                name: stats.name,
                #[cfg(feature = "tiers")]
                tiers: stats.tiers,
            }
        });
        let mut reports: Vec<TenantReport> = reports.collect();
        sort_by(&mut reports, |a, b| place(a).cmp(&place(b)).then_with(|| a.name.cmp(&b.name)));
        Explanation {
            budget: Budget::stats(core),
            pressure: self.pressure_stats(core),
            coordinator: self.coordinator_stats(core),
            tenants: reports,
            namespaces: core.namespace_stats(),
            decisions: self.journal.decisions(now),
        }
    }

    pub(super) fn coordinator_stats(&self, core: &DomainCore) -> CoordinatorStats {
        let retained = self.watched().map_or(0, |watched| watched.retained());
        let gains = self.epochs.try_lock().and_then(|epochs| epochs.gains());
        let (predicted_gain, realised_gain) = gains.unzip();
        CoordinatorStats { retained, predicted_gain, realised_gain, ..self.journal.stats(core) }
    }

    pub(super) fn pressure_stats(&self, core: &DomainCore) -> PressureStats {
        let sample = *self.last.lock();
        PressureStats {
            level: core.level(),
            used: sample.map_or(0, |sample| sample.used),
            limit: sample.map_or(0, |sample| sample.limit),
            source: self.source.as_ref().map_or("off", |source| source.name()).to_owned(),
        }
    }
}

/// Who gives next comes first, who gives nothing last.
fn place(report: &TenantReport) -> usize {
    match report.standing {
        Standing::Turn(turn) => turn,
        Standing::Floor => usize::MAX - 1,
        Standing::Nothing => usize::MAX,
    }
}

/// So many nanoseconds; what is longer than a duration can be is the longest.
fn nanoseconds(nanos: f64) -> Duration {
    Duration::try_from_secs_f64(nanos / 1e9).unwrap_or(Duration::MAX)
}
