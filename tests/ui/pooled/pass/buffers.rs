//! A type that stands for a pool of byte buffers.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]

use larder::pooled;

/// Public, documented.
#[pooled(buffer, classes = [64, 1 << 10], align = 64, max_mb = 1, priority = 2.0, name = "frames")]
pub struct Frames;

#[pooled(buffer)]
struct Plain;

fn main() {
    let mut frame = Frames::acquire(100);
    frame.extend_from_slice(b"to be");
    assert_eq!((frame.len(), frame.capacity(), frame.as_ptr().addr() % 64), (5, 1024, 0));
    drop(frame);
    assert_eq!(Frames::pool().stats().classes.len(), 1);
    assert_eq!(Plain::acquire(1).capacity(), 4096);
    assert!(larder::stats().tenant("frames/1 KiB").is_some());
    assert!(larder::stats().tenant("frames").is_none(), "it is there under the names of its classes");
    let frames = larder::declared().find(|item| item.name == "frames").expect("declared");
    assert_eq!(frames.max_bytes, Some(1 << 20));
}
