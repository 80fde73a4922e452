//! What `#[cached(..)]` on this function means, once everything in it is known to make sense.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprPath, FnArg, LitStr, Pat, Receiver, ReceiverKind, ReturnType, Signature, Type,
    Visibility,
};

use super::key::{self, Key, Wanted};
use crate::crate_path::private;
use crate::errors::{Errors, Mistake, show};
use crate::literal;
use crate::options::Written;
use crate::signature::{Function, bare, is_empty_tuple, mentions_own_type, named, search};
use crate::spelling::nearest;

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
    /// Replaces the module's path.
    pub(crate) namespace: Option<LitStr>,
    /// What a miss costs, where that is not measured.
    pub(crate) cost: Option<Cost>,
    /// What the key is made of.
    pub(crate) wanted: Wanted,
    /// Where the cache lives.
    pub(crate) place: Place,
    /// The condition for storing: a path or a closure.
    pub(crate) cache_if: Option<Expr>,
    /// Where it was written.
    pub(crate) cache_err: Option<Span>,
    /// Where it was written.
    pub(crate) cache_none: Option<Span>,
    /// The condition for computing again.
    pub(crate) force_if: Option<Expr>,
    /// As written.
    pub(crate) handle: Handle,
    /// Where `uncached` was written.
    pub(crate) uncached: Option<Span>,
    /// Where `refresh` was written.
    pub(crate) refresh: Option<Span>,
    /// Where `status` was written.
    pub(crate) status: Option<Span>,
    /// Whether the function stands in an `impl`, if that is said.
    pub(crate) assoc: Option<bool>,
    /// The expressions in it: they call arguments by their names.
    spoken: TokenStream,
    /// What is in its lists.
    listed: TokenStream,
}

/// What a miss costs.
pub(crate) enum Cost {
    /// Always this.
    Fixed(Duration),
    /// What a function says.
    By(Expr),
}

/// Where the cache lives.
#[derive(Default)]
pub(crate) enum Place {
    /// In a static.
    #[default]
    Global,
    /// In a thread-local.
    Thread,
    /// In this `larder::Local`.
    Within(Expr),
}

/// What is asked of the handle.
#[derive(Default)]
pub(crate) enum Handle {
    /// Nothing: where a name can be had for it, there is one.
    #[default]
    Unsaid,
    /// One of the usual name, also where there would be none.
    Wanted,
    /// One of this name.
    Named(Ident),
    /// None.
    Unwanted,
}

/// What can be said of the place.
const SCOPES: &[&str] = &["global", "thread"];

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
        let wanted = Wanted::of(written, errors);
        let mut options = Self { spoken: wanted.expressions(), wanted, ..Self::default() };
        for option in written {
            options.listed.extend(option.list.clone());
            if option.list.is_empty() {
                options.spoken.extend(option.value.to_token_stream());
            }
            let mut flag = || option.switch(errors).filter(|on| *on).map(|_| option.name.span());
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
                "min_mb" => {
                    let floor = option.megabytes(errors).unwrap_or(0);
                    options.min_bytes = options.min_bytes.max(floor);
                }
                "priority" => options.priority = option.factor(errors),
                "ttl" => options.ttl = option.duration(errors),
                "tti" => options.tti = option.duration(errors),
                "ttl_by" => options.ttl_by = option.function(errors),
                "utility" => options.utility = option.function(errors),
                "jitter" => options.jitter = option.part(errors),
                "single_flight" => options.each_alone = option.switch(errors) == Some(false),
                "wait_at_most" => options.wait_at_most = option.duration(errors),
                "detach" => options.detach = flag(),
                "cache_err" => options.cache_err = flag(),
                "cache_none" => options.cache_none = flag(),
                "uncached" => options.uncached = flag(),
                "refresh" => options.refresh = flag(),
                "status" => options.status = flag(),
                "pinned" => {
                    if let Some(at) = flag() {
                        if written.iter().any(|other| other.name == "min_mb") {
                            errors.at(at, &Mistake::PinnedFloor {});
                        }
                        options.min_bytes = u64::MAX;
                    }
                }
                "assoc" => options.assoc = option.switch(errors),
                "cost" => options.cost = cost(option, errors),
                "within" => options.place = Place::Within(option.value.clone()),
                "scope" => {
                    let thread = scope(option, errors) == Some("thread");
                    if written.iter().any(|other| other.name == "within") {
                        errors.at(option.name.span(), &Mistake::TwoPlaces {});
                    } else if thread {
                        options.place = Place::Thread;
                    }
                }
                "cache_if" => options.cache_if = option.function(errors),
                "force_if" => options.force_if = Some(option.value.clone()),
                "handle" => options.handle = handle(option, errors),
                "namespace" => options.namespace = option.name(errors),
                "weigh" => options.weigh = option.function(errors),
                "name" => options.name = option.name(errors),
                // Nothing else comes out of `args`.
                _ => {}
            }
        }
        if let Some(max) = options.max_bytes
            && options.min_bytes > max
            && options.min_bytes < u64::MAX
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

fn scope(option: &Written, errors: &mut Errors) -> Option<&'static str> {
    let text = option.word("\"global\" or \"thread\"", errors)?;
    let scope = text.value();
    if let Some(known) = SCOPES.iter().find(|known| **known == scope) {
        return Some(known);
    }
    let hint = match nearest(&scope, SCOPES.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "there are \"global\" and \"thread\"; for one cache in each object, `within = self.caches`"
            .to_owned(),
    };
    errors.over(&text, &Mistake::UnknownScope { scope, hint });
    None
}

fn cost(option: &Written, errors: &mut Errors) -> Option<Cost> {
    if option.text().is_some_and(|text| text.value() == "cpu") {
        let instead = "the time that the body takes is measured".to_owned();
        errors.over(&option.value, &Mistake::ReservedOption { option: "cost = \"cpu\"".to_owned(), instead });
        return None;
    }
    // A time, unless it is meant to be a path.
    let is_time = option.text().is_none_or(|text| literal::duration(&text.value()).is_err());
    let is_path = option.text().is_none_or(|text| text.parse::<ExprPath>().is_ok());
    if literal::number(&option.value).is_some() {
        return option.wrong_kind("a duration in quotes, a path or a closure", errors);
    }
    if is_time && is_path {
        return option.function(errors).map(Cost::By);
    }
    option.duration(errors).map(Cost::Fixed)
}

fn handle(option: &Written, errors: &mut Errors) -> Handle {
    match option.text_or_switch("a name in quotes or `false`", errors) {
        None | Some(Err(true)) => Handle::Wanted,
        Some(Err(false)) => Handle::Unwanted,
        Some(Ok(text)) => match text.parse::<Ident>() {
            Ok(name) => Handle::Named(name),
            Err(_) => {
                errors.over(&text, &Mistake::NotAHandle { text: text.value() });
                Handle::Unsaid
            }
        },
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
    /// In the order of the signature, without the receiver.
    pub(crate) arguments: Vec<Argument>,
    pub(crate) key: Key,
    pub(crate) returns: Returns,
    pub(crate) home: Home,
    /// The name of the handle, if there is one.
    pub(crate) handle: Option<Ident>,
    /// The cache is found in something that the body takes.
    pub(crate) is_consumed: bool,
}

/// Where a function stands, as far as a macro can tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// In a module or in another function: what stands beside it is found by its bare name.
    Free,
    /// In an `impl` or a trait: what stands beside it belongs to `Self`.
    Associated,
}

/// An argument of the function.
pub(crate) struct Argument {
    /// What the wrapper calls it: the user's name, or one of ours in place of a pattern.
    pub(crate) ident: Ident,
    /// The user's name; a pattern has none.
    pub(crate) name: Option<Ident>,
    /// What docs call it.
    pub(crate) label: String,
    /// As written.
    pub(crate) pattern: Pat,
    /// As written above it.
    pub(crate) attrs: Vec<Attribute>,
    /// As written.
    pub(crate) ty: Type,
    /// Among the arguments.
    pub(crate) position: usize,
    /// Whether the attribute mentions it.
    pub(crate) is_spoken_of: bool,
    /// Whether it is one plain reference, other than `&'static`, which a detached body gets an own copy of.
    pub(crate) is_reference: bool,
}

impl Argument {
    /// Whether this is its name, raw or not.
    pub(crate) fn is_called(&self, name: &Ident) -> bool {
        self.name.as_ref().is_some_and(|own| own.unraw() == name.unraw())
    }

    /// What a message calls it.
    pub(crate) fn label_in_errors(&self) -> String {
        self.name.as_ref().map_or_else(|| show(&self.pattern), ToString::to_string)
    }
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
    pub(crate) fn of(function: Function, mut options: Options, errors: &mut Errors) -> Option<Self> {
        let before = errors.count();
        check_shape(&function, errors);
        let arguments = arguments(&function.sig, &options.spoken, &options.listed);
        let home = home(&function, &options);
        let root = root_of(&options.place, &function, &arguments, errors);
        let wanted = std::mem::take(&mut options.wanted);
        let key = Key::of(wanted, &function, &arguments, root.as_ref(), errors);
        let returns = returns(&function.sig, &options, errors);
        if let Some(detach) = options.detach {
            check_detached(&function.sig, detach, errors);
        }
        let handle = handle_name(&function, &options, home);
        let taken = handle.as_ref().is_some_and(|handle| *handle == function.sig.ident);
        if let (true, Some(handle)) = (taken, &handle) {
            errors.at(handle.span(), &Mistake::HandleTaken { name: handle.to_string() });
        }
        let root_is_self = root.as_ref().is_some_and(|root| root == "self");
        let beside = match (&options.place, &key) {
            (_, Key::Made { ty: None, .. }) => {
                Err("the type of the key has to be named: write `key_by = function: Type`")
            }
            (Place::Within(_), _) if !root_is_self => {
                Err("the cache has to be found from `self`, as in `within = self.caches`")
            }
            _ => Ok(()),
        };
        if let Err(instead) = beside {
            options.refuse_siblings(instead, errors);
        }
        if errors.count() > before {
            return None;
        }
        let handle = handle.filter(|_| beside.is_ok());
        let is_consumed = if root_is_self {
            function.sig.receiver().is_some_and(key::by_value)
        } else {
            let root = arguments.iter().find(|argument| root.as_ref() == Some(&argument.ident));
            root.is_some_and(|root| !matches!(bare(&root.ty), Type::Reference(_)))
        };
        Some(Self { function, options, arguments, key, returns: returns?, home, handle, is_consumed })
    }

    /// The function's name as text, without `r#`.
    pub(crate) fn name(&self) -> String {
        self.function.sig.ident.unraw().to_string()
    }

    /// Whether functions stand beside it that share its body or its cache.
    pub(crate) fn has_siblings(&self) -> bool {
        let Options { uncached, refresh, status, .. } = &self.options;
        uncached.or(*refresh).or(*status).is_some()
    }
}

impl Options {
    /// Reports what would stand beside the function and can't.
    fn refuse_siblings(&self, instead: &str, errors: &mut Errors) {
        let mut refuse = |option: &str, at: Option<Span>| {
            if let Some(at) = at {
                let (option, instead) = (option.to_owned(), instead.to_owned());
                errors.at(at, &Mistake::NothingBeside { option, instead });
            }
        };
        refuse("refresh", self.refresh);
        refuse("status", self.status);
        refuse("uncached", self.uncached);
        if let Handle::Named(name) = &self.handle {
            refuse("handle", Some(name.span()));
        }
    }
}

fn handle_name(function: &Function, options: &Options, home: Home) -> Option<Ident> {
    let ident = &function.sig.ident;
    let usual = || Some(format_ident!("{}_cache", ident.unraw(), span = ident.span()));
    // Without `pub` it may be a trait's, where nothing can stand beside it.
    let may_be_a_traits = home == Home::Associated && matches!(function.vis, Visibility::Inherited);
    match &options.handle {
        Handle::Unwanted => None,
        Handle::Named(name) => Some(name.clone()),
        Handle::Wanted => usual(),
        Handle::Unsaid if may_be_a_traits => None,
        Handle::Unsaid => usual(),
    }
}

fn home(function: &Function, options: &Options) -> Home {
    let sig = &function.sig;
    let associated = match options.assoc {
        Some(assoc) => assoc || sig.receiver().is_some(),
        None => {
            sig.receiver().is_some()
                || mentions(sig.to_token_stream(), &Ident::new("Self", Span::call_site()))
                || mentions_own_type(function.body.stream())
        }
    };
    if associated { Home::Associated } else { Home::Free }
}

/// The argument that leads to the cache: the first name in `within = self.caches`.
fn root_of(place: &Place, function: &Function, arguments: &[Argument], errors: &mut Errors) -> Option<Ident> {
    let Place::Within(expr) = place else { return None };
    let first = first_ident(expr.to_token_stream());
    let receiver = function.sig.receiver();
    let found = first.as_ref().and_then(|first| {
        if first == "self" && receiver.is_some() {
            return Some(first.clone());
        }
        arguments.iter().find(|argument| argument.is_called(first)).map(|argument| argument.ident.clone())
    });
    if found.is_none() {
        errors.over(expr, &Mistake::WithinNothing { function: function.sig.ident.to_string() });
    }
    found
}

fn first_ident(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident),
        TokenTree::Group(group) => first_ident(group.stream()),
        _ => None,
    })
}

/// What a function must not be, whatever its types.
fn check_shape(function: &Function, errors: &mut Errors) {
    let sig = &function.sig;
    for track_caller in function.attributes(&["track_caller"]) {
        errors.over(track_caller, &Mistake::TrackCaller {});
    }
    if let Some(constness) = sig.constness {
        errors.over(constness, &Mistake::ConstFn {});
    }
    if let Some(abi) = &sig.abi {
        errors.over(abi, &Mistake::ExternFn {});
    }
    if let Some(variadic) = &sig.variadic {
        errors.over(variadic, &Mistake::Variadic {});
    }
    if let Some(receiver) = sig.receiver().filter(|receiver| is_mutable(receiver)) {
        errors.over(receiver, &Mistake::MutReceiver { name: sig.ident.to_string() });
    }
}

fn is_mutable(receiver: &Receiver) -> bool {
    fn in_type(ty: &Type) -> bool {
        match bare(ty) {
            Type::Reference(reference) => reference.mutability.is_some() || in_type(&reference.elem),
            ty => named(ty, &["Pin", "Box"]).is_some_and(|(_, args)| args.into_iter().any(in_type)),
        }
    }
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
        ReceiverKind::Typed(_, ty) => in_type(ty),
        _ => false,
    }
}

/// The arguments of a function. `spoken` and `listed` are the attribute's expressions and lists.
pub(crate) fn arguments(sig: &Signature, spoken: &TokenStream, listed: &TokenStream) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for (position, input) in sig.inputs.iter().enumerate() {
        let FnArg::Typed(typed) = input else { continue };
        let name = match &*typed.pat {
            Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Some(pat.ident.clone()),
            _ => None,
        };
        let within = |tokens: &TokenStream| name.as_ref().is_some_and(|name| mentions(tokens.clone(), name));
        let keeps_name = within(spoken);
        let is_spoken_of = keeps_name || within(listed);
        let ident = match &name {
            // The user's own expressions go on calling it so.
            Some(name) if keeps_name => name.clone(),
            Some(name) => outer_name(name),
            None => format_ident!("__arg{position}", span = Span::mixed_site().located_at(typed.pat.span())),
        };
        let label = match &*typed.pat {
            Pat::Ident(pat) => pat.ident.to_string(),
            _ => "_".to_owned(),
        };
        let is_reference = matches!(bare(&typed.ty), Type::Reference(_)) && search(&typed.ty).borrow;
        arguments.push(Argument {
            ident,
            name,
            label,
            pattern: (*typed.pat).clone(),
            attrs: typed.attrs.clone(),
            ty: (*typed.ty).clone(),
            position,
            is_spoken_of,
            is_reference,
        });
    }
    arguments
}

/// That an argument is for the attribute alone is no mistake of the body's.
pub(crate) fn allow_unread(sig: &mut Signature, arguments: &[Argument]) {
    let mut arguments = arguments.iter();
    for input in &mut sig.inputs {
        let FnArg::Typed(typed) = input else { continue };
        if arguments.next().is_some_and(|argument| argument.is_spoken_of) {
            typed
                .attrs
                .push(syn::parse_quote!(#[allow(unused_variables, reason = "the attribute reads it")]));
        }
    }
}

/// Whether a name is anywhere in there.
pub(super) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

/// What a body that outlives the call must not borrow. A plain reference is copied; what borrows inside is not seen
/// through.
fn check_detached(sig: &Signature, detach: Span, errors: &mut Errors) {
    if sig.asyncness.is_none() {
        errors.at(detach, &Mistake::DetachSync { name: sig.ident.to_string() });
        return;
    }
    if let Some(receiver) = sig.receiver().filter(|receiver| !key::by_value(receiver)) {
        errors.over(receiver, &Mistake::DetachReceiver { name: sig.ident.to_string() });
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
            let name = show(&typed.pat);
            errors.over(&typed.ty, &Mistake::DetachBorrow { name, ty: show(&typed.ty) });
        }
    }
    if let ReturnType::Type(_, ty) = &sig.output
        && let Some((_, args)) = named(ty, &["Result"])
        && let Some(error) = args.get(1)
        && search(error).borrow
    {
        errors.over(error, &Mistake::DetachReturnsBorrow { ty: show(error) });
    }
}

/// A name with an underscore says that nobody reads it, and the key does: two underscores say nothing.
fn outer_name(ident: &Ident) -> Ident {
    let name = ident.to_string();
    if name.starts_with('_') && !name.starts_with("__") { format_ident!("_{ident}") } else { ident.clone() }
}

fn returns(sig: &Signature, options: &Options, errors: &mut Errors) -> Option<Returns> {
    let name = || sig.ident.to_string();
    let nothing = || Mistake::NoReturnValue { name: name() };
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
    if is_boxed_future(ty) {
        errors.over(ty, &Mistake::ReturnsFuture { name: name() });
        return None;
    }
    let fallible = named(ty, &["Result", "Option"]);
    let kind = fallible.as_ref().map(|(kind, _)| kind.as_str());
    let all = [(options.cache_err, "cache_err", "Result"), (options.cache_none, "cache_none", "Option")];
    for (at, option, of) in all {
        if let Some(at) = at
            && kind != Some(of)
        {
            let instead = match kind {
                Some("Result") => "the errors of a `Result` are kept with `cache_err`".to_owned(),
                Some(_) => "the `None` of an `Option` is kept with `cache_none`".to_owned(),
                None => format!("leave it out; whatever is not called `{of}` is kept as a whole"),
            };
            let (option, name, ty) = (option.to_owned(), name(), show(ty));
            errors.at(at, &Mistake::NotFallible { option, name, ty, instead });
        }
    }
    let keeps_all = (options.cache_err.is_some() && kind == Some("Result"))
        || (options.cache_none.is_some() && kind == Some("Option"));
    // What is not stored may borrow: the error of a `Result` is passed on as it is.
    let (returns, stored) = match fallible {
        _ if keeps_all => (Returns::Plain { value: ty.to_token_stream() }, ty),
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

/// What `#[async_trait]` makes of an `async fn`, and what some write by hand.
fn is_boxed_future(ty: &Type) -> bool {
    let Some((name, args)) = named(ty, &["Pin", "Box", "BoxFuture", "LocalBoxFuture"]) else { return false };
    match name.as_str() {
        "Pin" => args.first().is_some_and(|inner| is_boxed_future(inner)),
        "Box" => args.first().is_some_and(|inner| {
            matches!(bare(inner), Type::TraitObject(_))
                && mentions(inner.to_token_stream(), &Ident::new("Future", Span::call_site()))
        }),
        _ => true,
    }
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
