use larder::cached;

#[cached]
fn nothing(n: u32) {
    println!("{n}");
}

#[cached]
fn unit(n: u32) -> () {
    println!("{n}");
}

#[cached]
fn never(n: u32) -> ! {
    panic!("{n}")
}

fn main() {
    nothing(1);
}
