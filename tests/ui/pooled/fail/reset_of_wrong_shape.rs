use larder::pooled;

#[pooled(reset = Self::clear)]
#[derive(Default)]
struct Outcome;

impl Outcome {
    fn clear(&mut self) -> u32 {
        1
    }
}

#[pooled(reset = Self::missing)]
#[derive(Default)]
struct Missing;

#[pooled(reset = Self::clear)]
#[derive(Default)]
struct Arguments;

impl Arguments {
    fn clear(&mut self, n: u32) {
        let _ = n;
    }
}

fn main() {}
