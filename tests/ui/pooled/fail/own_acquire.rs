use larder::pooled;

#[pooled]
#[derive(Default)]
struct Parser;

impl Parser {
    fn acquire() -> Self {
        Self
    }
}

fn main() {
    Parser::pool();
}
