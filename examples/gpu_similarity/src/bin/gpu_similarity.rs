//! Similar sentences with wgpu: vectors go up through pooled staging buffers, a compute shader compares, scores come back.
//!
//! Runs on whatever Vulkan device there is, software included; without one it says so, with status 3.

use std::future::Future;
use std::num::NonZeroU64;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gpu_similarity::{DIMENSIONS, Failure, SENTENCES, Search, all_vectors, bytes, floats, run};
use larder::wgpu::{Buffers, InEncoder, WgpuLease, WgpuPool};
use wgpu::{BufferBinding, BufferUsages};

const SHADER: &str = "
@group(0) @binding(0) var<storage, read> question: array<f32>;
@group(0) @binding(1) var<storage, read> vectors: array<f32>;
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= arrayLength(&scores)) { return; }
    let dimensions = arrayLength(&question);
    var dot = 0.0;
    var aa = 0.0;
    var bb = 0.0;
    for (var at = 0u; at < dimensions; at++) {
        let a = question[at];
        let b = vectors[id.x * dimensions + at];
        dot += a * b;
        aa += a * a;
        bb += b * b;
    }
    let length = sqrt(aa * bb);
    scores[id.x] = select(dot / length, 0.0, length == 0.0);
}";

struct Gpu {
    name: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    pool: WgpuPool,
    vectors: WgpuLease,
}

const VECTORS: u64 = (SENTENCES * DIMENSIONS * 4) as u64;
const QUESTION: u64 = (DIMENSIONS * 4) as u64;
const SCORES: u64 = (SENTENCES * 4) as u64;
const SOON: Duration = Duration::from_secs(60);

impl Gpu {
    fn new(adapter: &wgpu::Adapter) -> Result<Self, Failure> {
        let info = adapter.get_info();
        let descriptor = wgpu::DeviceDescriptor {
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = wait(adapter.request_device(&descriptor))?;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        // All of it together stays below this.
        let gpu = larder::wgpu::open("gpu:0", device.clone(), queue.clone()).limit_mb(64).build()?;
        let pool = gpu.pool("similarity").build()?;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let vectors = pool.acquire_for(&encoder, VECTORS, BufferUsages::STORAGE | BufferUsages::COPY_DST)?;
        pool.upload(&mut encoder, &vectors, &bytes(&all_vectors()))?;
        queue.submit([encoder.finish()]);
        let name = format!("{} ({:?}, {:?})", info.name, info.device_type, info.backend);
        Ok(Self { name, device, queue, pipeline, pool, vectors })
    }
}

impl Search for Gpu {
    fn scores(&self, question: &[f32]) -> Result<Vec<f32>, Failure> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        // Both go back to the pool at the end of this function, and to somebody else when the GPU is done.
        let asked =
            self.pool.acquire_for(&encoder, QUESTION, BufferUsages::STORAGE | BufferUsages::COPY_DST)?;
        let scores =
            self.pool.acquire_for(&encoder, SCORES, BufferUsages::STORAGE | BufferUsages::COPY_SRC)?;
        self.vectors.use_in(&encoder);
        self.pool.upload(&mut encoder, &asked, &bytes(question))?;
        // With their sizes: a pooled buffer is as large as its class.
        let bound = [(&*asked, QUESTION), (&*self.vectors, VECTORS), (&*scores, SCORES)];
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(bound)
            .map(|(binding, (buffer, size))| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(BufferBinding {
                    buffer,
                    offset: 0,
                    size: NonZeroU64::new(size),
                }),
            })
            .collect();
        let layout = &self.pipeline.get_bind_group_layout(0);
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout,
            entries: &entries,
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups((SENTENCES as u32).div_ceil(64), 1, 1);
        drop(pass);
        let read = self.pool.read_back(&mut encoder, &scores, SCORES)?;
        self.queue.submit([encoder.finish()]);
        Ok(read.read(SOON, floats)?)
    }

    fn describe(&self) -> String {
        format!("on {}\n{}", self.name, self.pool.stats())
    }
}

/// What a future says that needs nobody else.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(found) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return found;
        }
        std::thread::yield_now();
    }
}

fn main() -> ExitCode {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapter = match wait(instance.request_adapter(&wgpu::RequestAdapterOptions::default())) {
        Ok(adapter) => adapter,
        Err(error) => {
            eprintln!("nothing to compute on: {error}");
            eprintln!(
                "install a Vulkan driver; on Debian `mesa-vulkan-drivers` and `libvulkan1` bring one in software"
            );
            return ExitCode::from(3);
        }
    };
    match Gpu::new(&adapter) {
        Ok(gpu) => run(Box::new(gpu)),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
