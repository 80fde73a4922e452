//! Every option, in every spelling that it has.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]

use larder::{Weigh, pooled};

#[pooled]
#[derive(Default)]
struct Plain {
    text: String,
}

/// Public, documented.
#[pooled(max = 2, max_mb = 0.5, priority = 0.5, reset = Self::clear, new = Self::new, name = "parsers")]
#[derive(Weigh)]
pub struct Parser {
    tokens: Vec<u32>,
    broken: bool,
}

impl Parser {
    fn new() -> Self {
        Self { tokens: Vec::with_capacity(8), broken: false }
    }

    fn clear(&mut self) -> bool {
        self.tokens.clear();
        !self.broken
    }
}

#[derive(Default)]
#[pooled(reset = |it| it.0.clear())]
struct ByClosure(String);

#[pooled(reset = "Self::reset", new = "fresh")]
enum InQuotes {
    Fresh,
    Used,
}

fn fresh() -> InQuotes {
    InQuotes::Fresh
}

impl InQuotes {
    fn reset(&mut self) -> Result<(), String> {
        *self = Self::Fresh;
        Ok(())
    }
}

mod inner {
    #[larder::pooled(new = || Self { n: 3 }, reset = |it: &mut Self| -> bool { it.n > 0 })]
    pub(super) struct Limited {
        pub(super) n: u32,
    }
}

fn main() {
    Plain::acquire().text.push('a');
    assert_eq!(Plain::acquire().text, "a");
    Parser::acquire().tokens.push(1);
    assert!(Parser::acquire().tokens.is_empty());
    Parser::acquire().broken = true;
    ByClosure::acquire().0.push('a');
    assert_eq!(ByClosure::acquire().0, "");
    let mut quoted = InQuotes::acquire();
    *quoted = InQuotes::Used;
    drop(quoted);
    assert!(matches!(*InQuotes::acquire(), InQuotes::Fresh));
    assert_eq!(inner::Limited::acquire().n, 3);
    let _: &'static larder::Pool<Parser> = Parser::pool();
    let parsers = larder::declared().find(|item| item.name == "parsers").expect("declared");
    assert_eq!((parsers.max_entries, parsers.max_bytes, parsers.priority), (Some(2), Some(1 << 19), 0.5));
}
