//! What the key of a call is made of: all arguments, or what `skip`, `key`, `key_by`, `commutative` and `once` say.
//!
//! First the words as they stand in the attribute, which need no function ([`Choice`]); then, with the function at
//! hand, the parts of its key ([`Key`]). What one part hashes and owns is in `part`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, Pat, Receiver, ReceiverKind, Token, Type, UnOp};

use super::args;
use super::model::Argument;
use super::part::{self, Part, Place};
use crate::crate_path::{here, larder, private};
use crate::errors::{Errors, Mistake, show};
use crate::options::Written;
use crate::signature::{Function, bare, named};
use crate::spelling::nearest;

/// A tuple of more has no impls.
const MOST_PARTS: usize = 12;

/// What is copied as soon as referred to, also where nothing can refer to it, as to a field of a packed struct.
const NUMBERS: &[&str] = &[
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64",
    "bool", "char",
];

/// What the attribute says of the key.
#[derive(Default)]
pub(crate) enum Choice {
    /// Nothing: all arguments.
    #[default]
    All,
    /// `key(..)`
    Parts(Vec<Item>),
    /// `key_by = function: Type`
    By {
        /// A path or a closure.
        function: Box<Expr>,
        /// What it returns, if that is said.
        ty: Option<Box<Type>>,
    },
    /// `once`: no key at all.
    Nothing,
}

/// One item of `key(..)`.
pub(crate) enum Item {
    /// The name of an argument, or `self`.
    Argument(Ident),
    /// `expr: Type`
    Typed(Box<Expr>, Box<Type>),
}

/// Everything that the attribute says of the key.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Which parts.
    pub(crate) choice: Choice,
    /// Those of all arguments that are left out.
    pub(crate) skip: Vec<Ident>,
    /// Two arguments whose order means nothing.
    pub(crate) pair: Option<(Ident, Ident)>,
}

impl Wanted {
    /// What the options say. One that makes no sense is reported, and left out.
    pub(crate) fn of(written: &[Written], errors: &mut Errors) -> Self {
        let mut wanted = Self::default();
        let mut chosen: Option<&str> = None;
        for option in written {
            let name = option.name.to_string();
            let (choice, word) = match name.as_str() {
                "key" => (Choice::Parts(items(option, errors)), "key"),
                "key_by" => match option.function(errors) {
                    Some(function) => {
                        let (function, ty) = (Box::new(function), option.ty.clone().map(Box::new));
                        (Choice::By { function, ty }, "key_by")
                    }
                    None => continue,
                },
                "once" => match option.switch(errors) {
                    Some(true) => (Choice::Nothing, "once"),
                    _ => continue,
                },
                "skip" => {
                    wanted.skip = names(option, errors);
                    continue;
                }
                "commutative" => {
                    wanted.pair = pair(option, errors);
                    continue;
                }
                _ => continue,
            };
            match chosen {
                Some(first) => {
                    let (first, second) = (first.to_owned(), word.to_owned());
                    errors.at(option.name.span(), &Mistake::TwoKeys { first, second });
                }
                None => (wanted.choice, chosen) = (choice, Some(word)),
            }
        }
        if let Some(first) = chosen {
            for second in ["skip", "commutative"] {
                if let Some(option) = written.iter().find(|option| option.name == second) {
                    let (first, second) = (first.to_owned(), second.to_owned());
                    errors.at(option.name.span(), &Mistake::TwoKeys { first, second });
                }
            }
            (wanted.skip, wanted.pair) = (Vec::new(), None);
        }
        let absent = |name: &Ident| {
            let mut lists = written.iter().filter(|option| option.name == args::ABSENT);
            lists.any(|option| super::model::mentions(option.list.clone(), name))
        };
        wanted.skip.retain(|name| !absent(name));
        if let Choice::Parts(items) = &mut wanted.choice {
            items.retain(|item| !matches!(item, Item::Argument(name) if absent(name)));
        }
        wanted.pair = wanted.pair.filter(|(a, b)| !absent(a) && !absent(b));
        if let Some((a, b)) = &wanted.pair
            && let Some(skipped) = wanted.skip.iter().find(|skipped| *skipped == a || *skipped == b)
        {
            errors.at(skipped.span(), &Mistake::SkippedPair { name: skipped.to_string() });
            wanted.pair = None;
        }
        wanted
    }

    /// The expressions in `key(..)`.
    pub(crate) fn expressions(&self) -> TokenStream {
        let Choice::Parts(items) = &self.choice else { return TokenStream::new() };
        let expressions = items.iter().filter_map(|item| match item {
            Item::Typed(expr, _) => Some(expr.to_token_stream()),
            Item::Argument(_) => None,
        });
        expressions.collect()
    }

    /// The arguments that are left out.
    pub(crate) fn names(&self) -> TokenStream {
        let skip = &self.skip;
        quote!(#(#skip)*)
    }

    /// Whether the argument of this name gives nothing to the key.
    fn skips(&self, name: &Ident) -> bool {
        self.skip.iter().any(|skipped| skipped.unraw() == name.unraw())
    }
}

/// The names in `skip(a, self)`, each once.
fn names(option: &Written, errors: &mut Errors) -> Vec<Ident> {
    let mut names: Vec<Ident> = Vec::new();
    let list = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let item: TokenStream = until_comma(input)?;
            match syn::parse2::<Ident>(item.clone()).or_else(|_| Ident::parse_any.parse2(item.clone())) {
                Ok(name) if names.contains(&name) => {
                    let option = option.name.to_string();
                    errors.at(name.span(), &Mistake::NamedTwice { option, name: name.to_string() });
                }
                Ok(name) => names.push(name),
                Err(_) => {
                    let (option, found) = (option.name.to_string(), show(&item));
                    errors.over(&item, &Mistake::NotAName { option, found });
                }
            }
        }
        Ok(())
    };
    if let Err(error) = list.parse2(option.list.clone()) {
        errors.syntax(error);
    }
    if option.list.is_empty() && option.name != "commutative" {
        errors.at(option.name.span(), &Mistake::EmptyList { option: option.name.to_string() });
    }
    names
}

/// The tokens up to the next comma, which is taken, too.
fn until_comma(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut item = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        item.extend([input.parse::<proc_macro2::TokenTree>()?]);
    }
    if item.is_empty() {
        return Err(input.error("expected a name"));
    }
    input.parse::<Option<Token![,]>>()?;
    Ok(item)
}

fn pair(option: &Written, errors: &mut Errors) -> Option<(Ident, Ident)> {
    let before = errors.count();
    let mut names = names(option, errors);
    if errors.count() > before {
        return None;
    }
    match (names.pop(), names.pop(), names.is_empty()) {
        (Some(b), Some(a), true) => Some((a, b)),
        _ => {
            errors.at(option.name.span(), &Mistake::NotAPair {});
            None
        }
    }
}

/// The items in `key(id, name.trim(): &str)`.
fn items(option: &Written, errors: &mut Errors) -> Vec<Item> {
    let mut items = Vec::new();
    let list = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let ahead = input.fork();
            let name =
                ahead.call(Ident::parse_any).ok().filter(|_| ahead.is_empty() || ahead.peek(Token![,]));
            if name.is_some() {
                items.push(Item::Argument(input.call(Ident::parse_any)?));
            } else {
                let expr: Expr = input.parse()?;
                if input.parse::<Option<Token![:]>>()?.is_some() {
                    items.push(Item::Typed(Box::new(expr), Box::new(input.parse()?)));
                } else {
                    errors.over(&expr, &Mistake::KeyWithoutType { expr: show(&expr) });
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(error) = list.parse2(option.list.clone()) {
        errors.syntax(error);
    }
    if option.list.is_empty() {
        errors.at(option.name.span(), &Mistake::EmptyList { option: "key".to_owned() });
    }
    items
}

/// One part of a key, and where a call finds it.
pub(crate) struct KeyPart {
    /// What docs call it.
    pub(crate) label: String,
    part: Part,
    from: From,
}

enum From {
    /// An argument.
    Place(TokenStream),
    /// The value of an expression, which gets a name of ours first.
    Expr { name: Ident, value: Box<Expr>, ty: Box<Type> },
    /// What an expression names, such as a field, which nobody takes from there: a reference to it gets a name of ours.
    Field { name: Ident, value: Box<Expr>, ty: Box<Type> },
    /// Two arguments in any order.
    Pair(TokenStream, TokenStream),
}

/// The key of a function's calls.
pub(crate) enum Key {
    /// One part is its own key, others make a tuple.
    Parts(Vec<KeyPart>),
    /// What a function of the user's returns.
    Made {
        /// A path or a closure.
        function: Box<Expr>,
        /// What it is called with.
        arguments: Vec<TokenStream>,
        /// What it returns, if that is said.
        ty: Option<Box<Type>>,
    },
}

impl Key {
    /// The key, as far as it can be told; mistakes are reported. `root` is the argument that leads to the cache, which
    /// is not asked for its value.
    pub(crate) fn of(
        wanted: Wanted,
        function: &Function,
        arguments: &[Argument],
        root: Option<&Ident>,
        errors: &mut Errors,
    ) -> Self {
        let sig = &function.sig;
        let receiver = sig.receiver();
        let find = |name: &Ident| arguments.iter().find(|argument| argument.is_called(name));
        let skipped = wanted.skip.iter().chain(wanted.pair.iter().flat_map(|(a, b)| [a, b]));
        for name in skipped {
            if find(name).is_none() && (*name != "self" || receiver.is_none()) {
                unknown_argument(name, function, arguments, errors);
            }
        }
        let is_root = |name: &Ident| root.is_some_and(|root| root == name);
        match wanted.choice {
            Choice::Nothing => Self::Parts(Vec::new()),
            Choice::By { function, ty } => {
                let own = receiver.filter(|receiver| !is_root(&self_ident(receiver))).map(|receiver| {
                    let own = receiver.self_token;
                    if by_value(receiver) { quote!(&#own) } else { own.to_token_stream() }
                });
                let others = arguments.iter().filter(|argument| !is_root(&argument.ident)).map(|argument| {
                    let ident = &argument.ident;
                    if matches!(bare(&argument.ty), Type::Reference(_)) {
                        quote!(#ident)
                    } else {
                        quote!(&#ident)
                    }
                });
                Self::Made { function, arguments: own.into_iter().chain(others).collect(), ty }
            }
            Choice::Parts(items) => {
                let mut parts = Vec::new();
                for (idx, item) in items.into_iter().enumerate() {
                    match item {
                        Item::Argument(name) if name == "self" && receiver.is_some() => {
                            parts.extend(
                                receiver.and_then(|receiver| of_receiver(receiver, function, errors)),
                            );
                        }
                        Item::Argument(name) => match find(&name) {
                            Some(argument) => parts.extend(of_argument(argument, function, errors)),
                            None => unknown_argument(&name, function, arguments, errors),
                        },
                        Item::Typed(expr, ty) => parts.extend(of_expr(idx, expr, ty, function, errors)),
                    }
                }
                Self::checked(parts, function, errors)
            }
            Choice::All => {
                let mut parts = Vec::new();
                if let Some(receiver) = receiver {
                    let own = self_ident(receiver);
                    if !wanted.skips(&own) && !is_root(&own) {
                        parts.extend(of_receiver(receiver, function, errors));
                    }
                }
                for argument in arguments {
                    let name = argument.name.as_ref();
                    if name.is_some_and(|name| wanted.skips(name) || is_root(name)) {
                        continue;
                    }
                    match (&wanted.pair, name) {
                        (Some((a, b)), Some(name)) if name == a || name == b => {
                            // The pair stands where the first of the two does.
                            let other = find(if name == a { b } else { a });
                            let first = other.is_some_and(|other| other.position > argument.position);
                            if let (true, Some(other)) = (first, other) {
                                parts.extend(of_pair(argument, other, function, errors));
                            }
                        }
                        _ => parts.extend(of_argument(argument, function, errors)),
                    }
                }
                Self::checked(parts, function, errors)
            }
        }
    }

    fn checked(parts: Vec<KeyPart>, function: &Function, errors: &mut Errors) -> Self {
        if parts.len() > MOST_PARTS {
            let (name, count) = (function.sig.ident.to_string(), parts.len().to_string());
            errors.at(function.sig.ident.span(), &Mistake::TooManyArguments { name, count });
        }
        Self::Parts(parts)
    }

    /// The type of the keys, if it can be named.
    pub(crate) fn ty(&self) -> Option<TokenStream> {
        match self {
            Self::Parts(parts) => Some(one_or_tuple(&parts.iter().map(KeyPart::owned).collect::<Vec<_>>())),
            Self::Made { ty, .. } => ty.as_ref().map(ToTokens::to_token_stream),
        }
    }

    /// The proofs of the key. A key of unknown type is proved where it is made.
    pub(crate) fn proofs(&self) -> TokenStream {
        match self {
            Self::Parts(parts) => one_or_tuple(&parts.iter().map(KeyPart::proof).collect::<Vec<_>>()),
            Self::Made { ty: Some(ty), .. } => Part::Value((**ty).clone()).proof(),
            Self::Made { ty: None, function, .. } => {
                let span = Span::mixed_site().located_at(function.span());
                let (p, key) = (private(span), made(span));
                quote_spanned!(span=> #p::key_like(&#key, #p::Keyed::like(&#key).ops()))
            }
        }
    }

    /// Where the first part is that something of this kind is in, as its proof has it.
    pub(crate) fn place(&self, is_it: &impl Fn(TokenStream) -> bool) -> Option<Span> {
        match self {
            Self::Parts(parts) => parts.iter().find_map(|part| part.part.place(is_it)),
            Self::Made { ty, .. } => ty.as_ref().filter(|ty| is_it(ty.to_token_stream())).map(Spanned::span),
        }
    }

    /// The values that a query refers to.
    pub(crate) fn bindings(&self) -> TokenStream {
        match self {
            Self::Parts(parts) => parts.iter().map(KeyPart::binding).collect(),
            Self::Made { function, arguments, ty } => {
                let span = Span::mixed_site().located_at(function.span());
                let key = made(here());
                let ty = ty.as_ref().map(|ty| quote!(: #ty));
                let call = match &**function {
                    // In place, where its arguments have types: a closure that is called at once is checked before
                    // they are known.
                    Expr::Closure(closure) if closure.inputs.len() == arguments.len() => {
                        let (patterns, types): (Vec<_>, Vec<_>) =
                            closure.inputs.iter().map(split_type).unzip();
                        let body = &closure.body;
                        quote_spanned!(span=> {
                            let (#(#patterns,)*): (#(#types,)*) = (#(#arguments,)*);
                            #body
                        })
                    }
                    Expr::Closure(_) => quote_spanned!(span=> (#function)(#(#arguments),*)),
                    _ => quote_spanned!(span=> #function(#(#arguments),*)),
                };
                quote_spanned!(span=> let #key #ty = #call;)
            }
        }
    }

    /// The query that a call makes of its arguments; what is more than a word or two, by reference.
    pub(crate) fn query(&self) -> TokenStream {
        match self {
            Self::Parts(parts) => {
                let query = one_or_tuple(&parts.iter().map(KeyPart::query).collect::<Vec<_>>());
                if parts.len() > 1 { quote_spanned!(here()=> &#query) } else { query }
            }
            Self::Made { .. } => {
                let (p, key) = (private(here()), made(here()));
                quote_spanned!(here()=> #p::Keyed::like(&#key).by_value(&#key))
            }
        }
    }

    /// What docs say of the key.
    pub(crate) fn labels(&self) -> Vec<String> {
        match self {
            Self::Parts(parts) => parts.iter().map(|part| part.label.clone()).collect(),
            Self::Made { function, .. } => vec![show(function)],
        }
    }
}

/// `x: T` as `x` and `T`, `x` as `x` and `_`.
fn split_type(pattern: &Pat) -> (TokenStream, TokenStream) {
    match pattern {
        Pat::Type(typed) => (typed.pat.to_token_stream(), typed.ty.to_token_stream()),
        pattern => (pattern.to_token_stream(), quote!(_)),
    }
}

/// The name of a key that a function made.
fn made(span: Span) -> Ident {
    Ident::new("__key", span)
}

impl KeyPart {
    fn owned(&self) -> TokenStream {
        let owned = self.part.owned();
        match &self.from {
            From::Pair(..) => {
                let larder = larder(here());
                quote_spanned!(here()=> #larder::Unordered<#owned>)
            }
            _ => owned,
        }
    }

    fn proof(&self) -> TokenStream {
        let proof = self.part.proof();
        match &self.from {
            From::Pair(..) => {
                let p = private(here());
                quote_spanned!(here()=> #p::pair_key(#proof))
            }
            _ => proof,
        }
    }

    fn binding(&self) -> TokenStream {
        match &self.from {
            From::Expr { name, value, ty } => {
                let span = Span::mixed_site().located_at(value.span());
                quote_spanned!(span=> let #name: #ty = #value;)
            }
            From::Field { name, value, ty } => {
                let span = Span::mixed_site().located_at(value.span());
                quote_spanned!(span=> let #name: &#ty = &#value;)
            }
            From::Place(_) | From::Pair(..) => TokenStream::new(),
        }
    }

    fn query(&self) -> TokenStream {
        match &self.from {
            From::Place(place) => self.part.query(&Place::at(place.clone())),
            From::Expr { name, .. } => self.part.query(&Place::at(name.to_token_stream())),
            From::Field { name, .. } => self.part.query(&Place::at(name.to_token_stream()).dereferenced()),
            From::Pair(a, b) => {
                let p = private(here());
                let (a, b) = (self.part.query(&Place::at(a.clone())), self.part.query(&Place::at(b.clone())));
                quote_spanned!(here()=> #p::pair(#a, #b))
            }
        }
    }
}

fn of_argument(argument: &Argument, function: &Function, errors: &mut Errors) -> Option<KeyPart> {
    let whole = part::Argument {
        name: &argument.label_in_errors(),
        ty: &argument.ty,
        generics: &function.sig.generics,
    };
    let part = Part::of(&argument.ty, &whole, errors)?;
    Some(KeyPart { label: argument.label.clone(), part, from: From::Place(argument.ident.to_token_stream()) })
}

fn of_pair(a: &Argument, b: &Argument, function: &Function, errors: &mut Errors) -> Option<KeyPart> {
    let plain = |ty: &Type| show(bare(ty));
    if plain(&a.ty) != plain(&b.ty) {
        let (a_ty, b_ty) = (show(&a.ty), show(&b.ty));
        errors.over(&b.ty, &Mistake::UnlikePair { a: a.label.clone(), a_ty, b: b.label.clone(), b_ty });
        return None;
    }
    let KeyPart { part, .. } = of_argument(a, function, errors)?;
    let label = format!("Unordered({}, {})", a.label, b.label);
    Some(KeyPart { label, part, from: From::Pair(a.ident.to_token_stream(), b.ident.to_token_stream()) })
}

fn of_expr(
    idx: usize,
    value: Box<Expr>,
    ty: Box<Type>,
    function: &Function,
    errors: &mut Errors,
) -> Option<KeyPart> {
    let label = show(&value);
    let borrowed = named(&ty, &["str", "Path", "OsStr", "CStr"]).is_some_and(|(_, args)| args.is_empty());
    if borrowed || matches!(bare(&ty), Type::Slice(_)) {
        errors.over(&ty, &Mistake::KeyUnsized { expr: label, ty: show(&ty) });
        return None;
    }
    let whole = part::Argument { name: &label, ty: &ty, generics: &function.sig.generics };
    let part = Part::of(&ty, &whole, errors)?;
    let name = format_ident!("__key{idx}", span = Span::mixed_site());
    // A reference may still become another one, such as `&String` a `&str`.
    let is_copied = matches!(bare(&ty), Type::Reference(_)) || named(&ty, NUMBERS).is_some();
    let is_field = names_a_place(&value) && !is_copied;
    let from = if is_field { From::Field { name, value, ty } } else { From::Expr { name, value, ty } };
    Some(KeyPart { label, part, from })
}

/// Whether taking the value of this would take it from where it is.
fn names_a_place(value: &Expr) -> bool {
    match value {
        Expr::Field(_) | Expr::Index(_) | Expr::Path(_) => true,
        Expr::Unary(unary) => matches!(unary.op, UnOp::Deref(_)),
        Expr::Paren(paren) => names_a_place(&paren.expr),
        Expr::Group(group) => names_a_place(&group.expr),
        _ => false,
    }
}

/// What the receiver gives to the key: the object behind it.
fn of_receiver(receiver: &Receiver, function: &Function, errors: &mut Errors) -> Option<KeyPart> {
    let span = receiver.self_token.span;
    let own = Part::Receiver { span };
    let part = match &receiver.kind {
        ReceiverKind::Value => own,
        ReceiverKind::Reference(..) => Part::Deref(Box::new(own)),
        ReceiverKind::Typed(_, ty) => match behind_receiver(ty, span) {
            Some(part) => part,
            None => {
                let whole = part::Argument { name: "self", ty, generics: &function.sig.generics };
                Part::of(ty, &whole, errors)?
            }
        },
        _ => return None,
    };
    let place = receiver.self_token.to_token_stream();
    Some(KeyPart { label: "self".to_owned(), part, from: From::Place(place) })
}

/// `&Self`, `Arc<Self>`, `&Rc<Self>`: the object that all of them lead to.
fn behind_receiver(ty: &Type, span: Span) -> Option<Part> {
    match bare(ty) {
        Type::Path(path) if path.path.is_ident("Self") => Some(Part::Receiver { span }),
        Type::Reference(reference) => Some(Part::Deref(Box::new(behind_receiver(&reference.elem, span)?))),
        ty => {
            let (_, args) = named(ty, &["Box", "Rc", "Arc", "Pin"])?;
            let [inner] = &*args else { return None };
            // A `Pin<&Self>` dereferences to what the reference leads to.
            let inner = match (named(ty, &["Pin"]), bare(inner)) {
                (Some(_), Type::Reference(reference)) => &*reference.elem,
                _ => inner,
            };
            Some(Part::Smart(Box::new(behind_receiver(inner, span)?)))
        }
    }
}

/// The receiver as a name among the arguments.
pub(crate) fn self_ident(receiver: &Receiver) -> Ident {
    Ident::new("self", receiver.self_token.span)
}

/// Whether the call takes the receiver for good.
pub(crate) fn by_value(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(..) => false,
        ReceiverKind::Typed(_, ty) => !matches!(bare(ty), Type::Reference(_)),
        _ => true,
    }
}

fn unknown_argument(name: &Ident, function: &Function, arguments: &[Argument], errors: &mut Errors) {
    let text = name.to_string();
    let known: Vec<String> = function
        .sig
        .receiver()
        .map(|_| "self".to_owned())
        .into_iter()
        .chain(arguments.iter().filter_map(|argument| argument.name.as_ref().map(ToString::to_string)))
        .collect();
    let hint = match nearest(&text, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "it has none with a name".to_owned(),
        None => format!("it has {}", known.join(", ")),
    };
    let function = function.sig.ident.to_string();
    errors.at(name.span(), &Mistake::NoSuchArgument { function, name: text, hint });
}

fn one_or_tuple(parts: &[TokenStream]) -> TokenStream {
    match parts {
        [one] => one.clone(),
        parts => quote_spanned!(here()=> (#(#parts),*)),
    }
}
