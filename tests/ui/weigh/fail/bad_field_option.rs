use larder::Weigh;

fn bytes(_: &u8) -> u64 {
    0
}

#[derive(Weigh)]
struct Page {
    #[weigh(skp)]
    slip: u8,
    #[weigh(size = 3)]
    other: u8,
    #[weigh]
    bare: u8,
    #[weigh()]
    empty: u8,
    #[weigh(skip, with = bytes)]
    both: u8,
    #[weigh(with)]
    without: u8,
    #[weigh(with = 3)]
    number: u8,
    #[weigh(skip = true)]
    flag: u8,
}

fn main() {}
