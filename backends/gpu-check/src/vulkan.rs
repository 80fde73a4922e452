//! All that Vulkan has here: the checks of the backend's own tests, and what a pooled buffer costs beside a fresh one.

use larder_wgpu::{Recording, wgpu};

use crate::checks;
use crate::measure::{Effort, SIZES, bytes, ratio};
use crate::support::{Gpu, STORAGE};
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
        for check in checks::ALL {
            table.check(&name, check.name, || {
                (check.run)(gpu);
                if gpu.is_software { "in software".to_owned() } else { "on hardware".to_owned() }
            });
        }
        for size in SIZES {
            table.check(&name, &format!("acquire and release of {}", bytes(size)), || {
                measure(gpu, effort, size)
            });
        }
    }
}

fn measure(gpu: &Gpu, effort: Effort, size: u64) -> String {
    let pool = gpu.open(1 << 30).pool("measured").build().unwrap();
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage: STORAGE, mapped_at_creation: false };
    let fresh = effort.time(|| {
        drop(gpu.device.create_buffer(&descriptor));
        let _ = gpu.device.poll(wgpu::PollType::Poll);
    });
    let encoder = gpu.encoder();
    let recording = Recording::of(&encoder);
    gpu.queue.submit([encoder.finish()]);
    gpu.finish();
    let pooled = effort.time(|| drop(pool.acquire(size, STORAGE, &recording).unwrap()));
    let software = if gpu.is_software { "; in software" } else { "" };
    format!("{pooled:.2?}; create and destroy {fresh:.2?}, {}{software}", ratio(pooled, fresh))
}
