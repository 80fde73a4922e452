use larder::{RemovalCause, cached};

fn of_the_value(value: u32, cause: RemovalCause) {
    let _ = (value, cause);
}

#[cached(on_remove = of_the_value)]
fn one_argument(n: u32) -> u32 {
    n
}

#[cached(on_remove = "a message")]
fn a_message(n: u32) -> u32 {
    n
}

#[cached(on_remove)]
fn no_value(n: u32) -> u32 {
    n
}

fn main() {}
