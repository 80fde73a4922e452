//! What the concurrency models share: how many schedules each one runs.

/// Runs a model under random schedules: 1,000 of them, or as many as `LARDER_SCHEDULES` says.
///
/// Shuttle prints the failing schedule, with which the same run can be replayed.
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("LARDER_SCHEDULES").ok().and_then(|number| number.parse().ok());
    shuttle::check_random(model, schedules.unwrap_or(1000));
}
