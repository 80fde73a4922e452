use larder::cached;

#[cached]
fn applied(f: impl Fn(u32) -> u32, n: u32) -> u32 {
    f(n)
}

#[cached]
fn of_closure<F: Fn(u32) -> u32>(f: F, n: u32) -> u32 {
    f(n)
}

#[cached]
fn of_where<F>(f: &F, n: u32) -> u32
where
    F: Fn(u32) -> u32 + Clone,
{
    f(n)
}

fn main() {}
