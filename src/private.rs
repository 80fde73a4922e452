//! All that generated code may name, in one place. No promises: it changes with any release.

pub use larder_runtime::__private::*;

#[cfg(feature = "lz4")]
pub use larder_codec::Lz4;
#[cfg(feature = "zstd")]
pub use larder_codec::Zstd;
#[cfg(feature = "tiers")]
pub use larder_runtime::Warm;
#[cfg(feature = "gpu-cuda")]
pub use larder_cuda::CudaDevice as Cuda;
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
