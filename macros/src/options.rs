//! The list of options, as all attributes write it: `name = value`, separated by commas.
//!
//! After a mistake the parser goes on behind the next comma, so that all mistakes are reported at once. What the
//! options of one attribute are, and mean, is said by its own vocabulary and model.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, ExprLit, ExprPath, Lit, LitStr, Token, Type, parenthesized, token};

use crate::errors::{Errors, Mistake, show};
use crate::literal::{self, BadDuration, BadSize, LARGEST, MEGABYTE, Number};
use crate::spelling::nearest;

/// The words of one attribute.
pub(crate) struct Vocabulary {
    /// Its name, for messages.
    pub(crate) attribute: &'static str,
    /// What it takes, each with an example.
    pub(crate) options: &'static [(&'static str, &'static str)],
    /// Those of them that say `true` when they stand alone.
    pub(crate) flags: &'static [&'static str],
    /// Those of them that take a list in parentheses, and no value.
    pub(crate) lists: &'static [&'static str],
    /// What a later version may take, each with what to do today.
    pub(crate) reserved: &'static [(&'static str, &'static str)],
    /// What other crates call our options, or what to do instead, in several words.
    pub(crate) synonyms: &'static [(&'static str, &'static str)],
}

impl Vocabulary {
    fn example(&self, option: &str) -> Option<&'static str> {
        self.options.iter().find(|(name, _)| *name == option).map(|(_, example)| *example)
    }

    /// What an option that is none was probably meant to be.
    fn hint(&self, option: &str) -> String {
        if let Some((_, ours)) = self.synonyms.iter().find(|(theirs, _)| *theirs == option) {
            let is_name = !ours.contains(' ');
            return if is_name { format!("here it is called `{ours}`") } else { (*ours).to_owned() };
        }
        let (other, objects) = match self.attribute {
            "cached" => (&crate::pooled::WORDS, "objects that are used again"),
            _ => (&crate::cached::WORDS, "functions whose results are worth keeping"),
        };
        if other.example(option).is_some() {
            return format!("it belongs to `#[{}]`, which is for {objects}", other.attribute);
        }
        // Nobody means one of our own.
        let options = || self.options.iter().map(|(name, _)| *name).filter(|name| !name.starts_with("__"));
        let reserved = self.reserved.iter().map(|(name, _)| *name);
        let Some(word) = nearest(option, options().chain(reserved)) else {
            let options: Vec<&str> = options().collect();
            return format!("`#[{}]` takes {}", self.attribute, options.join(", "));
        };
        match self.reserved(word) {
            Some(instead) => format!("did you mean `{word}`? It is not in this version of larder: {instead}"),
            None => format!("did you mean `{word}`?"),
        }
    }

    /// What to do today instead of a word that is kept for later.
    fn reserved(&self, option: &str) -> Option<&'static str> {
        self.reserved.iter().find(|(name, _)| *name == option).map(|(_, instead)| *instead)
    }
}

/// One option with its value, not yet understood.
pub(crate) struct Written {
    /// The option.
    pub(crate) name: Ident,
    /// An example of the option, for messages.
    example: &'static str,
    /// Its value; a list has none.
    pub(crate) value: Expr,
    /// Whether nothing stands behind its name.
    pub(crate) is_alone: bool,
    /// What is between the parentheses of a list.
    pub(crate) list: TokenStream,
    /// The type behind `path: Type`.
    pub(crate) ty: Option<Type>,
}

/// Reads the list; what is returned is known, given once, and has a value.
pub(crate) fn read(tokens: TokenStream, words: &Vocabulary, errors: &mut Errors) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::new();
    let list = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match read_one(input, words, errors)? {
                Some(option) if written.iter().any(|earlier| earlier.name == option.name) => {
                    errors.at(
                        option.name.span(),
                        &Mistake::DuplicateOption { option: option.name.to_string() },
                    );
                }
                option => written.extend(option),
            }
            end_of_one(input, errors)?;
        }
        Ok(())
    };
    if let Err(error) = list.parse2(tokens) {
        errors.syntax(error);
    }
    written
}

/// Reads an option, or says what is wrong with it and goes to the comma behind it.
fn read_one(input: ParseStream<'_>, words: &Vocabulary, errors: &mut Errors) -> syn::Result<Option<Written>> {
    if !input.peek(Ident::peek_any) {
        let first = &words.options[0];
        let token: TokenTree = input.fork().parse()?;
        errors.over(&token, &Mistake::NotAnOption { found: show(&token), example: first.1.to_owned() });
        skip_to_comma(input)?;
        return Ok(None);
    }
    let name = input.call(Ident::parse_any)?;
    let option = name.to_string();
    if let Some(instead) = words.reserved(&option) {
        errors.at(name.span(), &Mistake::ReservedOption { option, instead: instead.to_owned() });
        skip_to_comma(input)?;
        return Ok(None);
    }
    let Some(example) = words.example(&option) else {
        let hint = words.hint(&option);
        errors.at(name.span(), &Mistake::UnknownOption { option, hint });
        skip_to_comma(input)?;
        return Ok(None);
    };
    let alone = input.is_empty() || input.peek(Token![,]);
    let standing_for = |name: Ident| {
        let value = syn::parse_quote_spanned!(name.span()=> true);
        Written { name, example, value, is_alone: alone, list: TokenStream::new(), ty: None }
    };
    if alone && words.flags.contains(&&*option) {
        return Ok(Some(standing_for(name)));
    }
    if words.lists.contains(&&*option) {
        if input.peek(token::Paren) {
            let content;
            parenthesized!(content in input);
            return Ok(Some(Written { list: content.parse()?, ..standing_for(name) }));
        }
        errors.at(name.span(), &Mistake::NoList { option, example: example.to_owned() });
        skip_to_comma(input)?;
        return Ok(None);
    }
    if input.parse::<Option<Token![=]>>()?.is_some() && !input.is_empty() {
        let value = match percentage(input) {
            Some(value) => Ok(value),
            None => input.parse::<Expr>(),
        };
        if let Ok(value) = value {
            let typed = !input.peek(Token![::]) && input.parse::<Option<Token![:]>>()?.is_some();
            let ty = if typed { Some(input.parse()?) } else { None };
            return Ok(Some(Written { name, example, value, is_alone: false, list: TokenStream::new(), ty }));
        }
    }
    if option == example {
        errors.at(name.span(), &Mistake::StandsAlone { option });
    } else {
        errors.at(name.span(), &Mistake::NoValue { option, example: example.to_owned() });
    }
    skip_to_comma(input)?;
    Ok(None)
}

/// Reads `10%`, which is no expression, as if it were in quotes.
fn percentage(input: ParseStream<'_>) -> Option<Expr> {
    let ahead = input.fork();
    let number: Lit = ahead.parse().ok()?;
    ahead.parse::<Token![%]>().ok()?;
    if !(ahead.is_empty() || ahead.peek(Token![,])) {
        return None;
    }
    input.advance_to(&ahead);
    let text = LitStr::new(&format!("{}%", show(&number)), number.span());
    Some(Expr::Lit(ExprLit { attrs: Vec::new(), lit: Lit::Str(text) }))
}

fn is_empty(text: &LitStr) -> bool {
    text.value().trim().is_empty()
}

/// Takes the comma behind an option; if there is none, says so and finds a place to go on.
fn end_of_one(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
    if input.is_empty() || input.parse::<Option<Token![,]>>()?.is_some() {
        return Ok(());
    }
    if input.peek(Ident::peek_any) && input.peek2(Token![=]) {
        let next = input.fork().call(Ident::parse_any)?;
        errors.at(next.span(), &Mistake::NoComma { option: next.to_string() });
        return Ok(());
    }
    let token: TokenTree = input.fork().parse()?;
    errors.over(&token, &Mistake::StrayToken { found: show(&token) });
    skip_to_comma(input)?;
    input.parse::<Option<Token![,]>>()?;
    Ok(())
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// `crate = path`, which the expansion needs before anything else.
pub(crate) fn crate_path_of(written: &[Written], errors: &mut Errors) -> Option<syn::Path> {
    written.iter().find(|option| option.name == "crate")?.plain_path(errors)
}

impl Written {
    /// Megabytes, as bytes.
    pub(crate) fn megabytes(&self, errors: &mut Errors) -> Option<u64> {
        let bytes = match literal::number(&self.value) {
            None => return self.wrong_kind("a number of megabytes", errors),
            Some(Number::Negative | Number::Whole(0)) => return self.not_positive(errors),
            Some(Number::Fraction(megabytes)) if megabytes <= 0.0 => return self.not_positive(errors),
            Some(Number::Whole(megabytes)) => megabytes.saturating_mul(u128::from(MEGABYTE)),
            // The cast saturates.
            Some(Number::Fraction(megabytes)) => (megabytes * MEGABYTE as f64).round() as u128,
        };
        if bytes == 0 {
            errors.over(&self.value, &Mistake::BelowOneByte { option: self.name.to_string() });
            return None;
        }
        self.in_memory(bytes, errors)
    }

    /// Bytes, as a number or as a size in quotes.
    pub(crate) fn bytes(&self, errors: &mut Errors) -> Option<u64> {
        const TAKES: &str = "a number of bytes or a size in quotes";
        let Some(text) = self.text() else { return self.whole(TAKES, errors) };
        if is_empty(text) {
            return self.wrong_kind(TAKES, errors);
        }
        match literal::size(&text.value()) {
            Ok(0) => self.not_positive(errors),
            Ok(bytes) => Some(bytes),
            Err(BadSize::Malformed) => {
                errors.over(text, &Mistake::NotASize { text: text.value() });
                None
            }
            Err(BadSize::TooLarge) => self.in_memory(u128::MAX, errors),
        }
    }

    /// A whole number above 0.
    pub(crate) fn count(&self, errors: &mut Errors) -> Option<u64> {
        self.whole("a whole number", errors)
    }

    fn whole(&self, takes: &str, errors: &mut Errors) -> Option<u64> {
        match literal::number(&self.value) {
            None | Some(Number::Fraction(_)) => self.wrong_kind(takes, errors),
            Some(Number::Negative | Number::Whole(0)) => self.not_positive(errors),
            Some(Number::Whole(count)) => self.in_memory(count, errors),
        }
    }

    /// A number above 0.
    pub(crate) fn factor(&self, errors: &mut Errors) -> Option<f64> {
        let factor = match literal::number(&self.value) {
            None => return self.wrong_kind("a number", errors),
            Some(Number::Negative) => return self.not_positive(errors),
            Some(Number::Whole(whole)) => whole as f64,
            Some(Number::Fraction(fraction)) => fraction,
        };
        if factor <= 0.0 {
            return self.not_positive(errors);
        }
        if factor.is_finite() { Some(factor) } else { self.wrong_kind("a finite number", errors) }
    }

    /// A duration in quotes, above 0.
    pub(crate) fn duration(&self, errors: &mut Errors) -> Option<Duration> {
        let Some(text) = self.text().filter(|text| !is_empty(text)) else {
            return self.wrong_kind("a duration in quotes", errors);
        };
        match literal::duration(&text.value()) {
            Ok(Duration::ZERO) => self.not_positive(errors),
            Ok(duration) => Some(duration),
            Err(BadDuration::Malformed) => {
                errors.over(text, &Mistake::NotADuration { text: text.value() });
                None
            }
            Err(BadDuration::TooLong) => {
                let name = self.name.to_string();
                let instead = match name.as_str() {
                    "wait_at_most" => "callers wait as long as it takes",
                    "tti" => "idle values don't expire",
                    "cost" => "it is measured",
                    "idle" => "idle objects are kept",
                    "idle_soft" => "only `idle` ends them",
                    "lifetime" => "objects don't age",
                    _ => "values don't expire",
                };
                let instead = format!("leave `{name}` out, and {instead}");
                errors.over(text, &Mistake::TooLong { text: text.value(), instead });
                None
            }
        }
    }

    /// A part of a whole: a number up to 1, or a percentage.
    pub(crate) fn part(&self, errors: &mut Errors) -> Option<f64> {
        let text = self.text().filter(|text| !is_empty(text));
        let written = match text {
            Some(text) => literal::percentage(&text.value()),
            None => literal::number(&self.value),
        };
        let part = match written {
            None if text.is_some() => f64::NAN,
            None => return self.wrong_kind("a number up to 1 or a percentage", errors),
            Some(Number::Negative) => return self.not_positive(errors),
            Some(Number::Whole(whole)) => whole as f64,
            Some(Number::Fraction(fraction)) => fraction,
        };
        if part <= 0.0 {
            return self.not_positive(errors);
        }
        if part <= 1.0 {
            return Some(part);
        }
        let found = self.text().map_or_else(|| show(&self.value), LitStr::value);
        errors.over(&self.value, &Mistake::NotAPart { option: self.name.to_string(), found });
        None
    }

    /// A whole number from -7 to 22.
    pub(crate) fn level(&self, errors: &mut Errors) -> Option<i32> {
        let (negative, value) = match self.bare_value() {
            Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => (true, &**expr),
            value => (false, value),
        };
        let level = match value {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse::<i32>().ok(),
            _ => None,
        };
        match level.map(|level| if negative { -level } else { level }) {
            Some(level) if (-7..=22).contains(&level) => Some(level),
            _ => self.wrong_kind("a whole number from -7 to 22", errors),
        }
    }

    /// `true` or `false`.
    pub(crate) fn switch(&self, errors: &mut Errors) -> Option<bool> {
        match self.bare_value() {
            Expr::Lit(ExprLit { lit: Lit::Bool(switch), .. }) => Some(switch.value),
            _ if self.name == self.example => self.wrong_kind("nothing, or `true` or `false`", errors),
            _ => self.wrong_kind("`true` or `false`", errors),
        }
    }

    /// A name for tables.
    pub(crate) fn name(&self, errors: &mut Errors) -> Option<LitStr> {
        match self.text() {
            None => self.wrong_kind("a text in quotes", errors),
            Some(text) if text.value().trim().is_empty() => {
                errors.over(text, &Mistake::EmptyName { option: self.name.to_string() });
                None
            }
            Some(text) => Some(text.clone()),
        }
    }

    /// One word in quotes. `takes` says what the option takes.
    pub(crate) fn word(&self, takes: &str, errors: &mut Errors) -> Option<LitStr> {
        match self.text().filter(|text| !is_empty(text)) {
            None => self.wrong_kind(takes, errors),
            Some(text) => Some(text.clone()),
        }
    }

    /// A text in quotes, or a flag.
    pub(crate) fn text_or_switch(&self, takes: &str, errors: &mut Errors) -> Option<Result<LitStr, bool>> {
        match self.bare_value() {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if !is_empty(text) => Some(Ok(text.clone())),
            Expr::Lit(ExprLit { lit: Lit::Bool(switch), .. }) => Some(Err(switch.value)),
            _ => self.wrong_kind(takes, errors),
        }
    }

    /// A path, with or without quotes, as in `crate = path`.
    pub(crate) fn plain_path(&self, errors: &mut Errors) -> Option<syn::Path> {
        match self.bare_value() {
            Expr::Path(ExprPath { qself: None, path, .. }) => Some(path.clone()),
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match text.parse::<syn::Path>() {
                Ok(path) => Some(path),
                Err(_) => self.wrong_kind("the path of a crate", errors),
            },
            _ => self.wrong_kind("the path of a crate", errors),
        }
    }

    /// An expression that is true or false; of what stands in it only the compiler knows.
    pub(crate) fn condition(&self, errors: &mut Errors) -> Option<Expr> {
        let is_one = match self.bare_value() {
            Expr::Lit(ExprLit { lit, .. }) => matches!(lit, Lit::Bool(_)),
            value => {
                literal::number(value).is_none()
                    && !matches!(value, Expr::Array(_) | Expr::Tuple(_) | Expr::Closure(_))
            }
        };
        if is_one {
            return Some(self.value.clone());
        }
        self.wrong_kind("an expression over the arguments that is true or false", errors)
    }

    /// A path, if it is one.
    pub(crate) fn path(&self) -> Option<&ExprPath> {
        match self.bare_value() {
            Expr::Path(path) => Some(path),
            _ => None,
        }
    }

    /// A path, a path in quotes, or a closure.
    pub(crate) fn function(&self, errors: &mut Errors) -> Option<Expr> {
        match self.bare_value() {
            function @ (Expr::Path(_) | Expr::Closure(_)) => Some(function.clone()),
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if !is_empty(text) => {
                match text.parse::<ExprPath>() {
                    Ok(path) => Some(Expr::Path(path)),
                    Err(_) => {
                        let example = self.example.split_once("= ").map_or(self.example, |(_, path)| path);
                        let (option, example) = (self.name.to_string(), example.to_owned());
                        errors.over(text, &Mistake::NotAPath { option, text: text.value(), example });
                        None
                    }
                }
            }
            value @ Expr::Call(_) if ["new", "try_new"].iter().any(|name| self.name == name) => {
                let (option, call) = (self.name.to_string(), show(value));
                errors.over(&self.value, &Mistake::Called { option, call });
                None
            }
            _ => self.wrong_kind("a path or a closure", errors),
        }
    }

    /// Whether it is a path or a closure.
    pub(crate) fn is_function(&self) -> bool {
        matches!(self.bare_value(), Expr::Path(_) | Expr::Closure(_))
    }

    /// A text in quotes, if it is one.
    pub(crate) fn text(&self) -> Option<&LitStr> {
        match self.bare_value() {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
            _ => None,
        }
    }

    /// Without parentheses and the invisible groups that `macro_rules!` makes.
    fn bare_value(&self) -> &Expr {
        let mut value = &self.value;
        loop {
            value = match value {
                Expr::Group(group) => &group.expr,
                Expr::Paren(paren) => &paren.expr,
                _ => return value,
            };
        }
    }

    pub(crate) fn wrong_kind<T>(&self, takes: &str, errors: &mut Errors) -> Option<T> {
        let (option, takes, example) = (self.name.to_string(), takes.to_owned(), self.example.to_owned());
        errors.over(&self.value, &Mistake::WrongKind { option, takes, example });
        None
    }

    fn not_positive<T>(&self, errors: &mut Errors) -> Option<T> {
        let option = self.name.to_string();
        let instead = match option.as_str() {
            "priority" => "a small one, as in `priority = 0.1`, gives way first",
            "min_mb" => "leave it out to keep nothing back from others",
            "ttl" => "leave it out, and values don't expire",
            "tti" => "leave it out, and idle values don't expire",
            "jitter" => "leave it out, and nothing is spread",
            "cost" => "leave it out, and it is measured",
            "idle" => "leave it out, and idle objects are kept; for none at all, `max_idle = 1` is the least",
            "idle_soft" => "leave it out, and only `idle` ends them",
            "lifetime" => "leave it out, and objects don't age",
            "min_idle" => "leave it out, and objects are made when they are wanted",
            "align" => "leave it out, and buffers are aligned as bytes are",
            "wait_at_most" => "`single_flight = false` waits for nobody",
            _ => "leave it out for no bound but the budget",
        };
        errors.over(&self.value, &Mistake::NotPositive { option, instead: instead.to_owned() });
        None
    }

    fn in_memory(&self, amount: u128, errors: &mut Errors) -> Option<u64> {
        match u64::try_from(amount) {
            Ok(amount) if amount <= LARGEST => Some(amount),
            _ => {
                let option = self.name.to_string();
                let instead = match option.as_str() {
                    "min_mb" => "leave it out to keep nothing back from others",
                    "min_idle" => "leave it out, and objects are made when they are wanted",
                    "align" => "leave it out, and buffers are aligned as bytes are",
                    _ => "leave it out for no bound but the budget",
                };
                errors.over(&self.value, &Mistake::TooLarge { option, instead: instead.to_owned() });
                None
            }
        }
    }
}
