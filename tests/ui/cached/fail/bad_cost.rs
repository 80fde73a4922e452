use larder::cached;

#[cached(cost = 5)]
fn number(n: u32) -> u32 {
    n
}

#[cached(cost = "5 parsecs")]
fn malformed(n: u32) -> u32 {
    n
}

#[cached(cost = "0s")]
fn nothing(n: u32) -> u32 {
    n
}

#[cached(cost = "9999999d")]
fn for_ever(n: u32) -> u32 {
    n
}

#[cached(cost = cpu)]
fn of_the_processor(n: u32) -> u32 {
    n
}

#[cached(cost = "CPU")]
fn in_capitals(n: u32) -> u32 {
    n
}

#[cached(cost = true)]
fn switched(n: u32) -> u32 {
    n
}

fn main() {
    number(malformed(nothing(for_ever(of_the_processor(in_capitals(switched(1)))))));
}
