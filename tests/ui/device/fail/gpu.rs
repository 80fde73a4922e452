use larder::pooled;
use larder::testing::SimDevice;

#[pooled(gpu = "vulcan")]
struct Unknown;

#[pooled(gpu = "wgpuu")]
struct Near;

#[pooled(gpu = 2)]
struct OfOtherKind;

#[pooled(gpu)]
struct Off;

#[pooled(gpu = "cuda", device = "gpu:1")]
struct OffToo;

#[pooled(gpu = SimDevice, usage = "Storage, Uniform")]
struct Commas;

#[pooled(gpu = SimDevice, usage = "Storrage")]
struct Misspelled;

#[pooled(gpu = SimDevice, usage = "Storage", reset = Self::clear, max = 3, align = 16, device = 0)]
struct WhatObjectsHave;

#[pooled(device = "gpu:0", usage = "Storage")]
struct NoGpu;

#[pooled(gpu = SimDevice)]
struct Generic<T>(T);

#[pooled(gpu = SimDevice)]
fn a_function() -> larder::Pooled<u32> {
    1
}

#[larder::cached(domain = gpu0)]
fn unquoted(n: u32) -> u32 {
    n
}

#[larder::cached(domain = "")]
fn nowhere(n: u32) -> u32 {
    n
}

fn main() {
    let order = SimDevice::builder().build().order();
    let _ = Misspelled::acquire(1, &order);
}
