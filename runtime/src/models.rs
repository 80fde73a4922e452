//! What the concurrency models share: how schedules are picked, and how many each one runs.

use std::sync::Arc;

/// Changes of priority in a schedule of the second kind: a race needs one or two.
const CHANGES: usize = 3;

/// Runs a model under controlled schedules: 1,000 random ones, or as many as `LARDER_SCHEDULES` says, and half as many
/// in which one thread runs on while the others stand still, until priorities change. The first kind mixes the steps of
/// all; the second finds what needs a thread to be held up in one place for long.
///
/// Shuttle prints the failing schedule, with which the same run can be replayed.
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("LARDER_SCHEDULES").ok().and_then(|number| number.parse().ok());
    let (schedules, model) = (schedules.unwrap_or(1000), Arc::new(model));
    let again = Arc::clone(&model);
    shuttle::check_random(move || model(), schedules);
    shuttle::check_pct(move || again(), schedules / 2, CHANGES);
}
