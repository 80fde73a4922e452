use larder::cached;

#[cached(key(name.trim(), n))]
fn trimmed(name: &str, n: u32) -> usize {
    name.len() + n as usize
}

#[cached(key_by = 7)]
fn by_number(n: u32) -> u32 {
    n
}

#[cached(key_by = tenth, refresh, handle = "tenths")]
fn by_unnamed_type(n: u32) -> u32 {
    n
}

fn tenth(n: &u32) -> u32 {
    n / 10
}

fn main() {
    trimmed("a", by_number(by_unnamed_type(1)));
}
