use larder::cached;

#[cached(refresh = "5m")]
fn on_time(n: u32) -> u32 {
    n
}

#[cached(refresh = 5)]
fn of_another_kind(n: u32) -> u32 {
    n
}

fn main() {
    on_time(of_another_kind(1));
}
