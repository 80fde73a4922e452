use larder::pooled;

/// A driver.
struct Simulated;

#[pooled(gpu = Simulated, usage = "Storage")]
struct Activations;

#[pooled(gpu)]
struct Buffers;

fn main() {}
