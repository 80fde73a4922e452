use larder::cached;

#[cached(single_flight = "no", wait_at_most = 2)]
fn wrong_kinds(n: u32) -> u32 {
    n
}

#[cached(single_flight, wait_at_most)]
fn no_values(n: u32) -> u32 {
    n
}

#[cached(wait_at_most = "0s")]
fn no_time(n: u32) -> u32 {
    n
}

#[cached(wait_at_most = "1000000d", tti = "1000000d")]
fn centuries(n: u32) -> u32 {
    n
}

#[cached(wait_at_most = "soon", tti = "0s")]
fn in_words(n: u32) -> u32 {
    n
}

#[cached(detach = tokio)]
async fn an_executor(n: u32) -> u32 {
    n
}

#[cached(detach, detach)]
async fn twice(n: u32) -> u32 {
    n
}

fn main() {}
