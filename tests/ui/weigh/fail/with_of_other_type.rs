use larder::Weigh;

fn bytes(_: &String) -> u64 {
    0
}

#[derive(Weigh)]
struct Page {
    #[weigh(with = bytes)]
    number: u8,
}

fn main() {}
