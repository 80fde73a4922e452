//! All that Vulkan has here: the checks of the backend's own tests, and what a pooled buffer costs beside a fresh one.

use crate::checks;
use crate::measure::{Effort, SIZES, bytes, ratio};
use crate::measured::{self, Compared};
use crate::support::Gpu;
use crate::table::Table;

const TIER: &str = "Vulkan";

pub(crate) fn on_all(table: &mut Table, effort: Effort, required: bool) {
    let all = match Gpu::all() {
        Ok(all) => all,
        Err(why) => return table.skip(TIER, "all", format!("no Vulkan device: {why}"), required),
    };
    if all.iter().all(|gpu| gpu.is_software) {
        table.skip(TIER, "a GPU", "Vulkan has only software here, see below".to_owned(), required);
    }
    for gpu in &all {
        let name = format!("{TIER}: {}", gpu.name);
        let place = if gpu.is_software { "in software" } else { "on hardware" };
        for check in checks::ALL {
            if let Some(why) = (check.skipped)(gpu) {
                table.skip(&name, check.name, why.to_owned(), false);
                continue;
            }
            table.check(&name, check.name, || {
                (check.run)(gpu);
                place.to_owned()
            });
        }
        for size in SIZES {
            table.measure(&name, &format!("steps with {}", bytes(size)), || {
                let row = |Compared { what, fresh, pooled }| {
                    let ratio = ratio(pooled, fresh);
                    let found = format!("{pooled:.2?}; with fresh buffers {fresh:.2?}, {ratio}; {place}");
                    (format!("{what}, {}", bytes(size)), found)
                };
                measured::all(gpu, size, effort).map(row).into()
            });
        }
    }
}
