use larder::cached;

fn bytes(text: &String) -> u64 {
    text.len() as u64
}

#[cached(weigh = bytes)]
fn number(n: u32) -> Vec<u8> {
    vec![0; n as usize]
}

#[cached(weigh = |v: &Vec<u8>| v.len())]
fn counted(n: u32) -> Vec<u8> {
    vec![0; n as usize]
}

fn main() {}
