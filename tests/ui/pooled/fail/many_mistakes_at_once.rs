//! Every mistake is reported in one go, and the pool is there all the same.
use larder::pooled;

#[pooled(max = 0, max_mb = -1, priority = "high", reset = 3, new = "not a path", max = 4, name = "")]
#[derive(Default)]
struct Parser;

fn main() {
    let _: larder::Pooled<Parser> = Parser::acquire();
}
