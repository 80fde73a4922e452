//! Options of byte buffers where there are none, and the other way round.
use larder::pooled;

#[pooled(classes = [64])]
#[derive(Default)]
struct NoBuffer;

#[pooled(buffer, max = 3, reset = Self::clear, classes = 64)]
struct Frames;

#[pooled(buffer)]
struct Generic<T>(T);

fn main() {
    let _: larder::Pooled<NoBuffer> = NoBuffer::acquire();
    let _: larder::Buffer = Frames::acquire(1);
}
