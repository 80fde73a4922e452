//! What `#[cached(..)]` on this function means, once everything in it is known to make sense.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprPath, FnArg, LitStr, Pat, ReturnType, Safety, Signature, Type};

use super::part::{self, Part};
use crate::crate_path::private;
use crate::errors::{Errors, Mistake};
use crate::options::Written;
use crate::signature::{Function, bare, is_empty_tuple, mentions_self, named, search};
use crate::spelling::nearest;

/// A tuple of more has no impls.
const MOST_PARTS: usize = 12;

/// The options, with their defaults filled in.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) policy: Policy,
    /// `max_mb` or `max_bytes`.
    pub(crate) max_bytes: Option<u64>,
    /// As written.
    pub(crate) max_entries: Option<u64>,
    /// `min_mb`.
    pub(crate) min_bytes: u64,
    /// As written.
    pub(crate) priority: Option<f64>,
    /// As written.
    pub(crate) ttl: Option<Duration>,
    /// As written.
    pub(crate) tti: Option<Duration>,
    /// The function that says how long each value lives: a path or a closure.
    pub(crate) ttl_by: Option<Expr>,
    /// The function that says how much more than its cost each value is worth: a path or a closure.
    pub(crate) utility: Option<Expr>,
    /// A part of the time to live.
    pub(crate) jitter: Option<f64>,
    /// `single_flight = false`.
    pub(crate) each_alone: bool,
    /// As written.
    pub(crate) wait_at_most: Option<Duration>,
    /// Where it was written, if an executor runs the body.
    pub(crate) detach: Option<Span>,
    /// The user's weigher: a path or a closure.
    pub(crate) weigh: Option<Expr>,
    /// Replaces the function's path.
    pub(crate) name: Option<LitStr>,
}

/// Who picks victims.
#[derive(Default)]
pub(crate) enum Policy {
    /// Whoever does so unless something is said.
    #[default]
    Default,
    /// The variant of the runtime's `Policy`.
    Named(&'static str),
    /// An order of the user's: a function, or a type with a default.
    Own(ExprPath),
}

/// What a policy is called, and its variant.
const POLICIES: &[(&str, &str)] = &[
    ("hybrid", "Hybrid"),
    ("lru", "Lru"),
    ("lfu", "Lfu"),
    ("fifo", "Fifo"),
    ("random", "Random"),
    ("s3fifo", "S3Fifo"),
    ("utility", "Utility"),
];

impl Options {
    /// What the options mean. One that makes no sense is reported, and left at its default.
    pub(crate) fn of(written: &[Written], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for option in written {
            match option.name.to_string().as_str() {
                "policy" => options.policy = policy(option, errors).unwrap_or_default(),
                "max_mb" => options.max_bytes = option.megabytes(errors),
                "max_bytes" => {
                    let bytes = option.bytes(errors);
                    if written.iter().any(|other| other.name == "max_mb") {
                        errors.at(option.name.span(), &Mistake::TwoCeilings {});
                    } else {
                        options.max_bytes = bytes;
                    }
                }
                "max_entries" => options.max_entries = option.count(errors),
                "min_mb" => options.min_bytes = option.megabytes(errors).unwrap_or(0),
                "priority" => options.priority = option.factor(errors),
                "ttl" => options.ttl = option.duration(errors),
                "tti" => options.tti = option.duration(errors),
                "ttl_by" => options.ttl_by = option.function(errors),
                "utility" => options.utility = option.function(errors),
                "jitter" => options.jitter = option.part(errors),
                "single_flight" => options.each_alone = option.switch(errors) == Some(false),
                "wait_at_most" => options.wait_at_most = option.duration(errors),
                "detach" => {
                    options.detach = option.switch(errors).filter(|on| *on).map(|_| option.name.span());
                }
                "weigh" => options.weigh = option.function(errors),
                "name" => options.name = option.name(errors),
                // Nothing else comes out of `args`.
                _ => {}
            }
        }
        if let Some(max) = options.max_bytes
            && options.min_bytes > max
        {
            let position = |name: &str| written.iter().find(|option| option.name == name);
            if let Some(floor) = position("min_mb") {
                let ceiling = if position("max_mb").is_some() { "max_mb" } else { "max_bytes" };
                errors.over(&floor.value, &Mistake::FloorAboveCeiling { ceiling: ceiling.to_owned() });
                options.min_bytes = 0;
            }
        }
        options.check_together(written, errors);
        options
    }

    /// Reports the freshness and flight options that make no sense beside each other.
    fn check_together(&mut self, written: &[Written], errors: &mut Errors) {
        let place = |name: &str| written.iter().find(|option| option.name == name).map(|it| it.name.span());
        if let Some(at) = place("jitter")
            && place("ttl").or(place("ttl_by")).is_none()
        {
            errors.at(at, &Mistake::JitterWithoutTtl {});
            self.jitter = None;
        }
        if !self.each_alone {
            return;
        }
        if let Some(at) = place("wait_at_most") {
            errors.at(at, &Mistake::WaitWithoutFlight {});
            self.wait_at_most = None;
        }
        if let Some(at) = self.detach.take() {
            errors.at(at, &Mistake::DetachWithoutFlight {});
        }
    }
}

fn policy(option: &Written, errors: &mut Errors) -> Option<Policy> {
    if let Some(path) = option.path() {
        let named = path.path.get_ident().map(|ident| ident.unraw().to_string().to_lowercase());
        if let Some((policy, _)) = named.and_then(|name| POLICIES.iter().find(|(known, _)| *known == name)) {
            errors.over(path, &Mistake::UnquotedPolicy { policy: (*policy).to_owned() });
            return None;
        }
        return Some(Policy::Own(path.clone()));
    }
    let text = option.word("a name in quotes or a path", errors)?;
    let policy = text.value();
    if let Some((_, variant)) = POLICIES.iter().find(|(name, _)| *name == policy) {
        // The default is not repeated.
        return Some(if policy == "hybrid" { Policy::Default } else { Policy::Named(variant) });
    }
    let hint = match nearest(&policy, POLICIES.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            let names: Vec<String> = POLICIES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            format!("there are {}; the path of an order of your own goes without quotes", names.join(", "))
        }
    };
    errors.over(&text, &Mistake::UnknownPolicy { policy, hint });
    None
}

/// A function that can be cached, and how.
pub(crate) struct Model {
    pub(crate) function: Function,
    pub(crate) options: Options,
    /// In the order of the signature.
    pub(crate) arguments: Vec<Argument>,
    pub(crate) returns: Returns,
}

/// An argument of the function.
pub(crate) struct Argument {
    /// What the wrapper calls it: the user's name, or one of ours in place of a pattern.
    pub(crate) ident: Ident,
    /// What docs call it: a pattern has no name.
    pub(crate) label: String,
    /// What it gives to the key.
    pub(crate) part: Part,
    /// Whether it is one plain reference, other than `&'static`, which a detached body gets an own copy of.
    pub(crate) is_reference: bool,
}

/// What is stored of what the function returns.
pub(crate) enum Returns {
    /// All of it.
    Plain {
        /// Its type.
        value: TokenStream,
    },
    /// What a `Result` or an `Option` holds when all went well.
    Fallible {
        /// The type of that.
        value: TokenStream,
    },
}

impl Returns {
    /// The type of the values in the cache.
    pub(crate) fn value(&self) -> TokenStream {
        match self {
            Self::Plain { value } | Self::Fallible { value } => value.clone(),
        }
    }
}

impl Model {
    /// The model, or `None` after a mistake that leaves no function to be cached.
    pub(crate) fn of(function: Function, options: Options, errors: &mut Errors) -> Option<Self> {
        let before = errors.count();
        check_shape(&function, errors);
        let arguments = arguments(&function.sig, errors);
        let returns = returns(&function.sig, errors);
        if let Some(detach) = options.detach {
            check_detached(&function.sig, detach, errors);
        }
        if errors.count() > before {
            return None;
        }
        Some(Self { function, options, arguments, returns: returns? })
    }

    /// The function's name as text, without `r#`.
    pub(crate) fn name(&self) -> String {
        self.function.sig.ident.unraw().to_string()
    }

    /// The type of the keys: one argument is its own key, others make a tuple.
    pub(crate) fn key_type(&self) -> TokenStream {
        self.each(Part::owned)
    }

    /// The proofs of the key.
    pub(crate) fn key_proofs(&self) -> TokenStream {
        self.each(Part::proof)
    }

    /// The query that a call makes of its arguments.
    pub(crate) fn query(&self) -> TokenStream {
        let parts: Vec<_> = self
            .arguments
            .iter()
            .map(|argument| argument.part.query(&part::Place::at(argument.ident.to_token_stream())))
            .collect();
        one_or_tuple(&parts)
    }

    fn each(&self, of: impl Fn(&Part) -> TokenStream) -> TokenStream {
        let parts: Vec<_> = self.arguments.iter().map(|argument| of(&argument.part)).collect();
        one_or_tuple(&parts)
    }
}

fn one_or_tuple(parts: &[TokenStream]) -> TokenStream {
    match parts {
        [one] => one.clone(),
        parts => quote!((#(#parts),*)),
    }
}

/// What a function must not be, whatever its types.
fn check_shape(function: &Function, errors: &mut Errors) {
    let sig = &function.sig;
    let name = sig.ident.to_string();
    for track_caller in function.attributes(&["track_caller"]) {
        errors.over(track_caller, &Mistake::TrackCaller {});
    }
    if let Some(constness) = sig.constness {
        errors.over(constness, &Mistake::ConstFn {});
    }
    if let Safety::Unsafe(unsafety) = sig.safety {
        errors.over(unsafety, &Mistake::UnsafeFn {});
    }
    if let Some(abi) = &sig.abi {
        errors.over(abi, &Mistake::ExternFn {});
    }
    if let Some(variadic) = &sig.variadic {
        errors.over(variadic, &Mistake::Variadic {});
    }
    match sig.receiver() {
        Some(receiver) => errors.over(receiver, &Mistake::Method { name }),
        None if mentions_self(sig.to_token_stream()) => {
            errors.at(sig.ident.span(), &Mistake::MentionsSelf { name });
        }
        None if sig.inputs.len() > MOST_PARTS => {
            let count = sig.inputs.len().to_string();
            errors.at(sig.ident.span(), &Mistake::TooManyArguments { name, count });
        }
        None => {}
    }
}

fn arguments(sig: &Signature, errors: &mut Errors) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for (idx, input) in sig.inputs.iter().enumerate() {
        let FnArg::Typed(typed) = input else { continue };
        let ident = match &*typed.pat {
            Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => outer_name(&pat.ident),
            pattern => format_ident!("__arg{idx}", span = Span::mixed_site().located_at(pattern.span())),
        };
        let name = match &*typed.pat {
            Pat::Ident(pat) => pat.ident.to_string(),
            pattern => crate::errors::show(pattern),
        };
        let argument = part::Argument { name: &name, ty: &typed.ty, generics: &sig.generics };
        let label = if matches!(*typed.pat, Pat::Ident(_)) { name.clone() } else { "_".to_owned() };
        if let Some(part) = Part::of(&typed.ty, &argument, errors) {
            let is_reference = matches!(bare(&typed.ty), Type::Reference(_)) && search(&typed.ty).borrow;
            arguments.push(Argument { ident, label, part, is_reference });
        }
    }
    arguments
}

/// What a body that outlives the call must not borrow. A plain reference is copied; what borrows inside is not seen
/// through.
fn check_detached(sig: &Signature, detach: Span, errors: &mut Errors) {
    if sig.asyncness.is_none() {
        errors.at(detach, &Mistake::DetachSync { name: sig.ident.to_string() });
        return;
    }
    for input in &sig.inputs {
        let FnArg::Typed(typed) = input else { continue };
        let ty = match bare(&typed.ty) {
            // Without `mut`, which is a mistake of its own.
            Type::Reference(reference) => &*reference.elem,
            ty => ty,
        };
        let found = search(ty);
        // A `Cow` without a lifetime has one all the same.
        let elided = named(ty, &["Cow"]).is_some() && !ty.to_token_stream().to_string().contains("'static");
        if found.borrow || found.impl_trait || elided {
            let name = crate::errors::show(&typed.pat);
            errors.over(&typed.ty, &Mistake::DetachBorrow { name, ty: crate::errors::show(&typed.ty) });
        }
    }
    if let ReturnType::Type(_, ty) = &sig.output
        && let Some((_, args)) = named(ty, &["Result"])
        && let Some(error) = args.get(1)
        && search(error).borrow
    {
        errors.over(error, &Mistake::DetachReturnsBorrow { ty: crate::errors::show(error) });
    }
}

/// A name with an underscore says that nobody reads it, and the key does: two underscores say nothing.
fn outer_name(ident: &Ident) -> Ident {
    let name = ident.to_string();
    if name.starts_with('_') && !name.starts_with("__") { format_ident!("_{ident}") } else { ident.clone() }
}

fn returns(sig: &Signature, errors: &mut Errors) -> Option<Returns> {
    let nothing = || Mistake::NoReturnValue { name: sig.ident.to_string() };
    let ty = match &sig.output {
        ReturnType::Default => {
            errors.at(sig.ident.span(), &nothing());
            return None;
        }
        ReturnType::Type(_, ty) => &**ty,
    };
    if is_empty_tuple(ty) || matches!(bare(ty), Type::Never(_)) {
        errors.over(ty, &nothing());
        return None;
    }
    if search(ty).impl_trait {
        errors.over(ty, &Mistake::ReturnsImpl {});
        return None;
    }
    // What is not stored may borrow: the error of a `Result` is passed on as it is.
    let (returns, stored) = match named(ty, &["Result", "Option"]) {
        Some((name, args)) if args.len() == if name == "Result" { 2 } else { 1 } => {
            (Returns::Fallible { value: args[0].to_token_stream() }, args[0])
        }
        Some(_) => {
            // An alias such as `io::Result<T>`: only the compiler knows what it holds.
            let span = Span::mixed_site().located_at(ty.span());
            let p = private(span);
            (Returns::Fallible { value: quote_spanned!(span=> <#ty as #p::Fallible>::Value) }, ty)
        }
        None => (Returns::Plain { value: ty.to_token_stream() }, ty),
    };
    if search(stored).borrow {
        let owned = owned_instead(stored).to_owned();
        errors.over(stored, &Mistake::ReturnsBorrow { owned });
        return None;
    }
    Some(returns)
}

/// What owns the data that this type borrows.
fn owned_instead(ty: &Type) -> &'static str {
    match bare(ty) {
        Type::Reference(reference) if matches!(bare(&reference.elem), Type::Slice(_)) => {
            "`Arc<[T]>` or `Vec<T>`"
        }
        Type::Reference(reference) if named(&reference.elem, &["str"]).is_some() => "`Arc<str>` or `String`",
        Type::Reference(_) => "the value itself, or an `Arc` of it,",
        ty if named(ty, &["Cow"]).is_some() => "`Arc<str>` or `String`",
        _ => "a type that owns its parts",
    }
}
