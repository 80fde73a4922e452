//! Everything the macros can complain about: one catalogue of texts, and a list that reports all at once.
//!
//! A text says what is wrong, then the way out. What the compiler says about missing bounds is written beside
//! the traits in the runtime.

use std::fmt;

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};
use quote::ToTokens;

macro_rules! catalogue {
    ($($(#[$doc:meta])* $mistake:ident { $($field:ident),* } $text:literal)*) => {
        /// A mistake that a user can make.
        #[derive(Debug)]
        pub(crate) enum Mistake {
            $($(#[$doc])* $mistake { $($field: String),* },)*
        }

        impl fmt::Display for Mistake {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$mistake { $($field),* } => write!(f, $text),)*
                }
            }
        }

        /// The catalogue's own texts, for the test that each is shown by a UI case.
        #[cfg(test)]
        const TEXTS: &[(&str, &str)] = &[$((stringify!($mistake), $text)),*];
    };
}

catalogue! {
    // The list of options.

    /// No option of this attribute.
    UnknownOption { option, hint } "unknown option `{option}`: {hint}"
    /// A word that a later version may give a meaning.
    ReservedOption { option, instead } "`{option}` is not in this version of larder: {instead}"
    /// The same option again.
    DuplicateOption { option } "`{option}` is given twice: keep one"
    /// `policy`, `policy =`, `policy("lru")`, `policy: "lru"`.
    NoValue { option, example } "`{option}` needs a value, as in `{example}`"
    /// `pinned =`, `pinned()`.
    StandsAlone { option } "`{option}` stands alone: write `{option}` and nothing behind it, or leave it out"
    /// Two options side by side.
    NoComma { option } "a comma is missing before `{option}`"
    /// Something after a value that is not a comma.
    StrayToken { found } "`{found}` is one thing too many here: options are separated by commas"
    /// Something other than a name where an option starts.
    NotAnOption { found, example } "`{found}` is not an option: write `name = value`, as in `{example}`"

    // Values of options.

    /// A value of the wrong kind.
    WrongKind { option, takes, example } "`{option}` takes {takes}, as in `{example}`"
    /// Zero or less.
    NotPositive { option, instead } "`{option}` must be more than 0: {instead}"
    /// More bytes or entries than memory can hold.
    TooLarge { option, instead } "`{option}` is more than any memory holds: {instead}"
    /// A fraction of a byte.
    BelowOneByte { option } "`{option}` is less than one byte here: write at least `{option} = 0.001`, a kilobyte"
    /// `"5 parsecs"`.
    NotADuration { text } "`{text}` is not a duration: write a number and a unit (ms, s, m, h, d), as in \"5m\""
    /// Centuries.
    TooLong { text, instead } "`{text}` is longer than the clock counts: {instead}"
    /// `"64 lots"`.
    NotASize { text } "`{text}` is not a size: write a number and a unit (B, KiB, MiB, GiB), as in \"64MiB\""
    /// No policy of this name.
    UnknownPolicy { policy, hint } "unknown policy `{policy}`: {hint}"
    /// `policy = lru`.
    UnquotedPolicy { policy } "a policy of larder is a name in quotes: write `policy = \"{policy}\"`; a path means an order of your own, and one of this name needs its module before it"
    /// `cost = cpu`.
    CpuCost { found } "for the processor time of the body write `cost = \"cpu\"`: `{found}` would be a function that says what a miss costs, and one of this name needs its module before it"
    /// `max_mb` and `max_bytes`.
    TwoCeilings {} "`max_mb` and `max_bytes` set the same bound: keep one"
    /// `min_mb` above `max_mb`.
    FloorAboveCeiling { ceiling } "`min_mb` keeps more than `{ceiling}` lets in: lower it, or raise `{ceiling}`"
    /// `jitter = 1.5`.
    NotAPart { option, found } "`{option}` is the part of a time that is spread, and `{found}` is no part: write a number up to 1, as in 0.1, or a percentage, as in 10%"
    /// `refresh = true`, which means something else elsewhere.
    RefreshIsTrue {} "`refresh` alone puts a function beside this one that runs the body again; for a time that starts anew with each use write `tti = \"5m\"`"
    /// `jitter` without `ttl` and `ttl_by`.
    JitterWithoutTtl {} "`jitter` spreads the ends of `ttl` or `ttl_by`, and neither is here: set one, or leave `jitter` out"
    /// `utility` beside `policy = "lru"`.
    UtilityUnread { policy } "`utility` is for the policies \"hybrid\" and \"utility\", and \"{policy}\" does not ask for it: keep one"
    /// `wait_at_most` beside `single_flight = false`.
    WaitWithoutFlight {} "`wait_at_most` bounds the wait for another's computation, and with `single_flight = false` nobody waits: keep one"
    /// `detach` beside `single_flight = false`.
    DetachWithoutFlight {} "`detach` keeps a computation for those who wait for it, and with `single_flight = false` nobody waits: keep one"
    /// `name = ""`.
    EmptyName { option } "`{option}` is empty, and nobody could find that in a table: leave it out to get the item's path"
    /// `reset = "not a path"`.
    NotAPath { option, text, example } "`{text}` is not a path to a function: write `{option} = {example}`"

    /// `new = Self::new()`.
    Called { option, call } "`{option}` is called for each object, and `{call}` would be one: write `{option} = || {call}`"
    /// `skip = x`, `skip`.
    NoList { option, example } "`{option}` takes a list in parentheses, as in `{example}`"
    /// `skip(2)`.
    NotAName { option, found } "`{option}` lists arguments by their names, and `{found}` is no name"
    /// `skip(nam)`.
    NoSuchArgument { function, name, hint } "`{function}` has no argument `{name}`: {hint}"
    /// `skip(a, a)`.
    NamedTwice { option, name } "`{name}` is twice in `{option}`: keep one"
    /// `skip()`.
    EmptyList { option } "`{option}()` names nothing: leave it out, and all arguments are the key; for one value whatever they are, write `once`"
    /// `key(name.trim())`.
    KeyWithoutType { expr } "the type of `{expr}` has to be said: write `key({expr}: Type)`, with `&str` and `&[T]` for what is borrowed"
    /// `key(name: str)`.
    KeyUnsized { expr, ty } "`{ty}` can only be had by reference: write `key({expr}: &{ty})`; a hit compares it where it is, and a miss keeps a copy"
    /// `key(..)` beside `skip(..)`.
    TwoKeys { first, second } "`{first}` says all of what the key is, and `{second}` would say it again: keep one"
    /// `commutative(a)`.
    NotAPair {} "`commutative` takes two arguments, as in `commutative(a, b)`"
    /// `commutative` over two types.
    UnlikePair { a, a_ty, b, b_ty } "`{a}` is `{a_ty}` and `{b}` is `{b_ty}`: only arguments of one type can change places"
    /// `commutative(a, b), skip(a)`.
    SkippedPair { name } "`{name}` is in `skip` and in `commutative`: keep one"
    /// `scope = "process"`.
    UnknownScope { scope, hint } "unknown scope `{scope}`: {hint}"
    /// `scope` beside `within`.
    TwoPlaces {} "`scope` and `within` both say where the cache lives: keep one"
    /// `within = CACHES`.
    WithinNothing { function } "`within` takes a `larder::Local` that an argument of `{function}` leads to, as in `within = self.caches`"
    /// `pinned` beside `min_mb`.
    PinnedFloor {} "`pinned` keeps all of it from others, and `min_mb` some: keep one"
    /// `cache_err` where there is no `Result`.
    NotFallible { option, of, name, ty, instead } "`{option}` is for functions that return {of}, and `{name}` returns `{ty}`: {instead}"
    /// `handle = "a b"`.
    NotAHandle { text } "`{text}` can't be the name of a function: write one, as in `handle = \"pages\"`, or `handle = false` for none"
    /// `handle = "f"` on `f`.
    HandleTaken { name } "`{name}` is the function itself: give the handle another name"
    /// `refresh` where nothing can stand beside the function.
    NothingBeside { option, instead } "`{option}` puts a function beside this one, which is to find the same cache: {instead}"

    /// `tiers("gzip")`.
    UnknownTier { tier, hint } "unknown tier `{tier}`: {hint}"
    /// `tiers(3)`.
    NotATier {} "a tier is a name in quotes, as in `tiers(\"lz4\")`, or one with options of its own, as in `tiers(lz4(max_mb = 64))`"
    /// `tiers()`.
    NoTiers {} "`tiers()` names nothing: leave it out, and what is evicted is gone"
    /// `tiers("lz4", "zstd")`.
    TwoTiers { tier } "`{tier}` would be a second tier in memory: keep one"
    /// `tiers("disk", "lz4")`.
    BelowDisk { tier } "`{tier}` stands below the disk: the disk comes last, and there is one"
    /// `tiers("disk")` with `scope = "thread"` or `within`.
    DiskOfMany {} "each thread, or object, would want the same records on disk: leave the disk out, or keep one cache for all"
    /// `tiers(lz4(level = 3))`.
    TierOption { option, tier, instead } "`{option}` means nothing to `{tier}`: {instead}"
    /// `tiers("lz4")` without larder's feature `lz4`.
    FeatureOff { option, feature } "`{option}` needs a feature of larder that is off: add `features = [\"{feature}\"]` to `larder` in Cargo.toml"

    // What `#[cached]` stands on.

    /// Not a function at all.
    CachedOnItem { found, instead } "`#[cached]` goes on a function, and this is {found}: {instead}"
    /// `const fn`.
    ConstFn {} "a `const fn` can't look into a cache: remove `const`"
    /// `extern "C" fn`.
    ExternFn {} "an `extern` function is called from outside Rust: put `#[cached]` on a Rust function that it calls"
    /// `...`.
    Variadic {} "variadic arguments can't be part of a key: take a slice"
    /// `#[track_caller]`.
    TrackCaller {} "a hit runs no body, so `#[track_caller]` has nobody to track: remove it"
    /// `#[target_feature(..)]`.
    TargetFeature { name } "the body becomes a function of its own, which would be compiled without `#[target_feature]`: put `#[cached]` on a function that calls `{name}`"
    /// `#[cached]` above `#[cached]`.
    CachedTwice { name } "`{name}` has a cache already: keep one `#[cached]`"
    /// `-> !`.
    NeverReturns { name } "`{name}` never returns, so no call has anything to keep for another: remove `#[cached]`"
    /// `-> impl Trait`.
    ReturnsImpl {} "`impl Trait` hides the type that would be stored: name it, or return `Arc<dyn Trait + Send + Sync>`"
    /// `-> &str`.
    ReturnsBorrow { owned } "a cached value can't borrow, it outlives the call: return {owned} instead"
    /// `&mut self`.
    MutReceiver { name } "`{name}` takes `&mut self`, so a call changes the object and a hit would not: take `&self` and return what changes; or cache what is computed in a function of its own, and call that from here"
    /// `-> Pin<Box<dyn Future>>`.
    ReturnsFuture { name } "`{name}` returns a future, which runs only once: write an `async fn`, or, under `#[async_trait]`, put `#[cached]` on an `async fn` outside the trait that `{name}` calls"
    /// `x: &mut T`.
    MutArgument { name } "`{name}` is `&mut`, so a call changes it and a hit would not: take what the result depends on by `&` or by value, and return what changes; or, if a hit may leave it as it is, leave it out of the key with `skip({name})`"
    /// `x: &dyn Trait`.
    DynArgument { name } "`{name}` is a trait object, which can't be compared with a stored key: take a concrete type, or an id of what is behind it; or leave it out of the key with `skip({name})`, if the result does not depend on it"
    /// `x: impl Fn()`.
    FnArgument { name } "`{name}` is a function, which can't be compared with a stored key: call it before, and take what it returns; or leave it out of the key with `skip({name})`, if the result does not depend on it"
    /// `x: impl Trait` other than `AsRef`.
    ImplArgument { name, ty } "no key can be made of `{name}: {ty}`: take `impl AsRef<str>` (or of another type), a reference, or a type parameter with `larder::CacheKey`; or say what the key is of it, as in `key(expr: Type)`"
    /// `x: Vec<&str>`.
    BorrowInside { name, ty, instead } "`{name}` borrows inside `{ty}`, and a key owns what it is made of: take {instead}; or say what the key is of it, as in `key(expr: Type)`"
    /// `x: Vec<f64>`.
    FloatInside { name, ty, bits } "`{name}` has a float inside `{ty}`, and floats have no `Eq`: use `larder::{bits}` there, which compares their bits"
    /// More arguments than tuples have.
    TooManyArguments { name, count } "`{name}` has {count} arguments, and a key has at most 12 parts: put some in a struct that derives `Clone, PartialEq, Eq, Hash`, or choose with `key(..)`"

    /// `detach` on a function that is not `async`.
    DetachSync { name } "`detach` hands a future to an executor, and `{name}` is no `async fn`: its body runs on the thread that calls, which can't leave it; make `{name}` an `async fn`, or leave `detach` out"
    /// `detach` with `x: Option<&str>`, `Cow<'_, str>`, `impl AsRef<str>`.
    DetachBorrow { name, ty } "`{name}` may borrow in `{ty}`, and a detached body outlives the call: take what owns its parts, such as `String` or `Vec<T>`, or one plain reference (`&str`, `&[T]`, `&T`), which is copied on a miss"
    /// `detach` on `&self`.
    DetachReceiver { name } "`{name}` borrows `self`, and a detached body outlives the call: take `self: Arc<Self>` or `self` by value"
    /// `detach` with `-> Result<T, &str>`.
    DetachReturnsBorrow { ty } "`{ty}` borrows, and what a detached body returns outlives the call: return an error that owns its parts"

    // What `#[pooled]` stands on.

    /// Not a type that can be made.
    PooledOnItem { found, instead } "`#[pooled]` goes on a struct, an enum, or a function that makes objects, and this is {found}: {instead}"
    /// `&mut self`, a `const fn`.
    PooledShape { name, what } "`#[pooled]` goes on a function that makes an object of its arguments, and `{name}` {what}: write one beside it, and call that"
    /// `skip` on a struct.
    FunctionOption { option } "`{option}` is about a function that makes objects, and this is a type: leave it out"
    /// `new` beside a function.
    NewOnFunction { name } "`{name}` itself makes the objects: leave `new` out"
    /// `trim_to` without `max_kb`, `order` on a function.
    PooledOption { option, instead } "`{option}` has no place here: {instead}"
    /// `-> Conn`.
    PooledReturns { name } "`{name}` has to say that it lends: return `larder::Pooled<T>`, or a `Result` or an `Option` of it; the body still returns a `T`"
    /// `gpu = "vulkan"`.
    UnknownGpu { gpu, hint } "unknown driver `{gpu}`: {hint}"
    /// `usage = "STORAGE, COPY_DST"`.
    NotAUsage { text } "`{text}` is no usage: write the names that the driver has for it with `|` between them, as in \"STORAGE | COPY_DST\""
    /// `struct Parser<'a>`.
    PooledBorrow { name, lifetime } "`{name}` borrows for `{lifetime}`, and a pool keeps objects between callers: own the data, or hold it in an `Arc`"

    // What `#[derive(Weigh)]` reads.

    /// A union.
    WeighUnion { name } "nobody can tell which field of the union `{name}` is in use: write `impl larder::Weigh for {name}` by hand"
    /// `#[weigh(..)]` on the type or a variant.
    WeighNotOnField {} "`#[weigh(..)]` goes on a field: `#[weigh(skip)]` or `#[weigh(with = path)]`"
    /// `#[weigh]`, `#[weigh()]`, `#[weigh = ..]`.
    WeighEmpty {} "`#[weigh]` says nothing: write `#[weigh(skip)]` or `#[weigh(with = path)]`"
    /// `skip` and `with` together, or either twice.
    WeighTwice {} "a field is weighed one way: keep `skip` or one `with = path`"
    /// `#[weigh(skip = true)]`.
    WeighSkipValue {} "`skip` takes no value: write `#[weigh(skip)]`"
}

/// The mistakes found so far, in the order they were found.
#[derive(Default)]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
}

impl Errors {
    /// Notes a mistake at one token.
    pub(crate) fn at(&mut self, span: Span, mistake: &Mistake) {
        self.found.push(syn::Error::new(span, mistake));
    }

    /// Notes a mistake that spans all of these tokens.
    pub(crate) fn over(&mut self, tokens: impl ToTokens, mistake: &Mistake) {
        self.found.push(syn::Error::new_spanned(tokens, mistake));
    }

    /// Notes what the parser says about something that is no Rust at all.
    pub(crate) fn syntax(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    /// How many there are; a later look tells whether there are more.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }
}

impl ToTokens for Errors {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for error in &self.found {
            tokens.extend(error.to_compile_error());
        }
    }
}

/// Tokens as people write them: `Vec<&str>`, not `Vec < & str >`.
pub(crate) fn show(tokens: impl ToTokens) -> String {
    let mut text = String::new();
    show_stream(tokens.to_token_stream(), &mut text);
    text
}

/// What the next token has to keep clear of.
#[derive(PartialEq)]
enum Before {
    /// Nothing, or something that sticks to what follows, such as `&`.
    Nothing,
    /// A word or a closing bracket: other words keep clear of it.
    Word,
    /// A comma or an operator: everything keeps clear of it.
    Gap,
}

fn show_stream(tokens: TokenStream, text: &mut String) {
    let mut before = Before::Nothing;
    for token in tokens {
        let (gap, next) = match &token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                (before != Before::Nothing, Before::Word)
            }
            TokenTree::Group(_) => (before == Before::Gap, Before::Word),
            TokenTree::Ident(_) | TokenTree::Literal(_) => (before != Before::Nothing, Before::Word),
            TokenTree::Punct(punct) => match punct.as_char() {
                '+' | '=' | '|' => (before != Before::Nothing, Before::Gap),
                '-' if punct.spacing() == Spacing::Joint => (before != Before::Nothing, Before::Nothing),
                ',' | ';' => (false, Before::Gap),
                '>' if text.ends_with('-') => (false, Before::Gap),
                '>' => (false, Before::Word),
                '\'' => (before != Before::Nothing, Before::Nothing),
                _ => (before == Before::Gap, Before::Nothing),
            },
        };
        if gap {
            text.push(' ');
        }
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{ ", " }"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                show_stream(group.stream(), text);
                text.push_str(close);
            }
            token => text.push_str(&token.to_string()),
        }
        before = next;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn tokens_are_shown_as_people_write_them() {
        for text in [
            "Vec<&str>",
            "&[Option<f64>]",
            "&'a mut T",
            "impl Into<String> + Send",
            "[u8; 4]",
            "(A, B)",
            "std::collections::HashMap<String, Vec<u8>>",
            "Box<dyn Fn(&str) -> u32 + Send>",
        ] {
            let tokens: TokenStream = text.parse().expect("tokens");
            assert_eq!(show(tokens), text);
        }
    }

    /// What the compiler says in the UI cases.
    fn outputs() -> Vec<String> {
        let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/ui");
        let mut outputs = Vec::new();
        for macro_ in ["cached", "pooled", "weigh", "tiers", "untiered", "disk", "device", "deviceless"] {
            for case in fs::read_dir(ui.join(macro_).join("fail")).expect("the UI cases").flatten() {
                if case.path().extension().is_some_and(|extension| extension == "stderr") {
                    outputs.push(fs::read_to_string(case.path()).expect("a text file"));
                }
            }
        }
        outputs
    }

    /// Nobody is told to write a path that changes with any release: the compiler only says where a bound stands.
    #[test]
    fn no_message_asks_for_what_is_private() {
        let outputs = outputs();
        let private =
            outputs.iter().flat_map(|output| output.lines()).filter(|line| line.contains("__private"));
        let asking: Vec<&str> = private
            .filter(|line| !line.starts_with("note: required by a bound in `larder::__private::"))
            .collect();
        assert!(asking.is_empty(), "{asking:#?}");
    }

    /// Each text of the catalogue is in the expected output of a UI case, where a person has read it.
    #[test]
    fn every_mistake_has_a_ui_case() {
        let outputs = outputs();
        let lines: Vec<&str> = outputs.iter().flat_map(|output| output.lines()).collect();
        let unseen: Vec<&str> = TEXTS
            .iter()
            .filter(|(_, text)| !lines.iter().any(|line| matches(line.strip_prefix("error: "), text)))
            .map(|(mistake, _)| *mistake)
            .collect();
        assert!(unseen.is_empty(), "no UI case shows {unseen:?}");
    }

    /// Whether a line could be this text, with anything in place of its fields.
    fn matches(line: Option<&str>, text: &str) -> bool {
        let Some(mut rest) = line else { return false };
        for (idx, fixed) in
            text.split('{').map(|part| part.split_once('}').map_or(part, |(_, fixed)| fixed)).enumerate()
        {
            match rest.find(fixed) {
                Some(0) => rest = &rest[fixed.len()..],
                Some(at) if idx > 0 => rest = &rest[at + fixed.len()..],
                _ => return false,
            }
        }
        true
    }
}
