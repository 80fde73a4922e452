//! Everything that is declared in the binary, and the snapshot that lists it beside what lives.

use crate::arrange::sort_by;
use crate::descriptor::{Descriptor, collected};
use crate::domain::DomainCore;
use crate::stats::{Snapshot, TenantStats};

/// Every annotated item of this binary, by name: also those that were not called yet.
///
/// Items of a dependency are listed once the dependency is linked, which takes one mention of it. Without
/// the feature `static-registry` the list is empty. On Linux, what a library that is loaded at run time declares is not
/// in the list of the program, nor the other way round.
pub fn declared() -> impl Iterator<Item = &'static Descriptor> {
    let mut all: Vec<&'static Descriptor> = collected();
    sort_by(&mut all, |a, b| (a.name, a.file, a.line).cmp(&(b.name, b.file, b.line)));
    all.into_iter()
}

/// The domain's snapshot, with what is declared and not live at the end; but for what belongs to a device, whose own table has it.
pub(crate) fn snapshot(core: &DomainCore) -> Snapshot {
    let mut snapshot = core.relief().snapshot(core);
    let live: Vec<&'static Descriptor> =
        core.live().iter().filter_map(|tenant| tenant.card().descriptor).collect();
    let here = declared().filter(|item| item.domain.is_none());
    let idle = here.filter(|item| !live.iter().any(|other| std::ptr::eq(*other, *item)));
    snapshot.tenants.extend(idle.map(|item| {
        let mut stats = TenantStats::empty(item.name.to_owned(), item.kind);
        stats.policy = item.policy;
        stats.priority = item.priority;
        // What is pinned keeps what it has, and that is nothing yet.
        stats.min_bytes = if item.min_bytes == u64::MAX { 0 } else { item.min_bytes };
        stats.max_bytes = item.max_bytes;
        stats.max_entries = item.max_entries;
        stats
    }));
    snapshot
}
