use larder::pooled;

#[pooled]
union Bits {
    int: u32,
    float: f32,
}

#[pooled]
trait Parse {}

#[pooled]
impl Bits {}

fn main() {}
