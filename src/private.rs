//! All that generated code may name, in one place. No promises: it changes with any release.

pub use larder_runtime::__private::*;

#[cfg(feature = "lz4")]
pub use larder_codec::Lz4;
#[cfg(feature = "zstd")]
pub use larder_codec::Zstd;
#[cfg(feature = "gpu-cuda")]
pub use larder_cuda::CudaDevice as Cuda;
#[cfg(feature = "disk")]
pub use larder_disk::Disk;
#[cfg(feature = "tiers")]
pub use larder_runtime::Warm;
#[cfg(feature = "gpu-wgpu")]
pub use larder_wgpu::WgpuDevice as Wgpu;

/// The tiers of a function. Where a type cannot go there, the compiler says so at the type.
#[cfg(feature = "tiers")]
#[must_use]
pub fn tiers<K, V>(warm: larder_runtime::Warm) -> larder_runtime::Tiers<K, V>
where
    K: larder_codec::Storable,
    V: larder_codec::Storable,
{
    larder_runtime::Tiers::new(larder_codec::Serde).warm(warm)
}

/// The tiers of a function whose last one is on disk.
#[cfg(feature = "disk")]
#[must_use]
pub fn tiers_on_disk<K, V>(
    warm: Option<larder_runtime::Warm>,
    disk: larder_disk::Disk,
) -> larder_runtime::Tiers<K, V>
where
    K: larder_codec::Storable + std::hash::Hash + Clone + 'static,
    V: larder_codec::Storable + 'static,
{
    let tiers = larder_runtime::Tiers::new(larder_codec::Serde).cold(disk);
    match warm {
        Some(warm) => tiers.warm(warm),
        None => tiers,
    }
}
