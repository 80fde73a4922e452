use larder::pooled;

struct NotADriver;

#[pooled(gpu = NotADriver, classes = [1024])]
struct Told;

#[pooled(gpu = NotADriver, usage = "Storage")]
struct Named;

fn main() {}
