//! A device of a real driver, and a shader that doubles numbers.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder_runtime::Domain;
use larder_runtime::device::Device;
use larder_wgpu::{WgpuDevice, wgpu};
use wgpu::BufferUsages;

pub(crate) const MB: u64 = 1 << 20;
pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const STORAGE: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);

const SHADER: &str = "
@group(0) @binding(0) var<storage, read_write> numbers: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&numbers)) { numbers[id.x] = numbers[id.x] * 2u; }
}";

pub(crate) struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) name: String,
    /// The processor does its work.
    pub(crate) is_software: bool,
    pipeline: wgpu::ComputePipeline,
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

impl Gpu {
    /// A device that Vulkan has, hardware before software; the reason, where it has none.
    pub(crate) fn find() -> Result<Self, String> {
        let all = Self::all()?;
        all.into_iter().min_by_key(|gpu| gpu.is_software).ok_or_else(|| "no adapter".to_owned())
    }

    /// Every device that Vulkan has and opens.
    pub(crate) fn all() -> Result<Vec<Self>, String> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::VULKAN,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapters = wait(instance.enumerate_adapters(wgpu::Backends::VULKAN));
        let (mut found, mut why) = (Vec::new(), "no adapter".to_owned());
        for adapter in adapters {
            match Self::on(&adapter) {
                Ok(gpu) => found.push(gpu),
                Err(error) => why = error,
            }
        }
        if found.is_empty() { Err(why) } else { Ok(found) }
    }

    fn on(adapter: &wgpu::Adapter) -> Result<Self, String> {
        let info = adapter.get_info();
        let is_software = info.device_type == wgpu::DeviceType::Cpu;
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = wait(adapter.request_device(&descriptor)).map_err(|error| error.to_string())?;
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
        let name = format!("{} ({:?})", info.name, info.device_type);
        Ok(Self { device, queue, name, is_software, pipeline })
    }

    /// The device with a limit of its own, and a host that has enough.
    pub(crate) fn open(&self, limit: u64) -> Device<WgpuDevice> {
        let host = Domain::builder().limit_bytes(1 << 40).manual().build();
        let builder = larder_wgpu::open("gpu:0", self.device.clone(), self.queue.clone());
        builder.limit_bytes(limit).patience(SOON).manual().build_in(&host).unwrap()
    }

    pub(crate) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Waits until all is done that was submitted.
    pub(crate) fn finish(&self) {
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
    }

    /// Records that the first bytes of a buffer, as numbers, are doubled.
    pub(crate) fn double(&self, encoder: &mut wgpu::CommandEncoder, buffer: &wgpu::Buffer, len: u64) {
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: 0,
                    size: std::num::NonZeroU64::new(len),
                }),
            }],
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups((len as u32 / 4).div_ceil(64), 1, 1);
    }
}
