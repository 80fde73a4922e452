use larder::Weigh;

#[derive(Weigh)]
union Bits {
    int: u32,
    float: f32,
}

fn main() {}
