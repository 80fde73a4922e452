//! What `#[cached(..)]` on this function means, once everything in it is known to make sense.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Pat, Receiver, ReceiverKind, ReturnType, Signature, Type, Visibility};

use super::key::{self, Key};
use super::settings::{Handle, Options, Place};
use crate::crate_path::private;
use crate::errors::{Errors, Mistake, show};
use crate::signature::{Function, bare, mentions_own_type, named, search};

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
        /// Only the compiler knows what that is.
        is_alias: bool,
    },
}

impl Returns {
    /// The type of the values in the cache.
    pub(crate) fn value(&self) -> TokenStream {
        match self {
            Self::Plain { value } | Self::Fallible { value, .. } => value.clone(),
        }
    }
}

impl Argument {
    /// Whether the compiler has nothing to say of its name.
    pub(crate) fn is_snake_case(&self) -> bool {
        !self.ident.to_string().contains(char::is_uppercase)
    }
}

impl Model {
    /// The model, or `None` after a mistake that leaves no function to be cached.
    pub(crate) fn of(function: Function, mut options: Options, errors: &mut Errors) -> Option<Self> {
        let before = errors.count();
        check_shape(&function, errors);
        let arguments = arguments(&function.sig, &options.spoken, &options.listed);
        let home = home(&function, options.assoc);
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

    /// Where all of it stands: what a type lacks is one error, because the compiler says what follows from another only if
    /// it finds it elsewhere. In a method with `self` in its key that is at `self`, elsewhere where a type parameter is first
    /// said, and at what is called `Result` or `Option` and may be none.
    pub(crate) fn place(&self) -> Option<Span> {
        let sig = &self.function.sig;
        let receiver = sig.receiver().map(|receiver| receiver.self_token.span);
        if receiver.is_some() && self.key.labels().iter().any(|label| label == "self") {
            return receiver;
        }
        let output = match &sig.output {
            ReturnType::Type(_, ty) => Some(&**ty),
            ReturnType::Default => None,
        };
        if let (Returns::Fallible { is_alias: true, .. }, Some(ty)) = (&self.returns, output) {
            return Some(ty.span());
        }
        let has_param = |tokens: TokenStream| self.param_in(tokens).is_some();
        // Where what it lacks is said: of the key, else of the value.
        if let Some(at) = self.key.place(&has_param) {
            return Some(at);
        }
        let value = self.returns.value();
        if has_param(value.clone()) {
            return value.into_iter().next().map(|token| token.span());
        }
        let mut types = self.arguments.iter().map(|argument| &argument.ty).chain(output);
        types.find_map(|ty| self.param_in(ty.to_token_stream())).or(receiver)
    }

    /// Where a type parameter is first said in there. Those of an `impl` are known by how people call them.
    pub(crate) fn param_in(&self, tokens: TokenStream) -> Option<Span> {
        let params: Vec<&Ident> =
            self.function.sig.generics.type_params().map(|param| &param.ident).collect();
        let associated = self.home == Home::Associated;
        find(tokens, &|ident| params.contains(&ident) || (associated && is_one_letter(ident)))
    }

    /// Whether functions stand beside it that share its body or its cache.
    pub(crate) fn has_siblings(&self) -> bool {
        let Options { uncached, refresh, status, .. } = &self.options;
        uncached.or(*refresh).or(*status).is_some()
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

/// `assoc` is what the attribute says of it.
pub(crate) fn home(function: &Function, assoc: Option<bool>) -> Home {
    let sig = &function.sig;
    let associated = match assoc {
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
    for target_feature in function.attributes(&["target_feature"]) {
        errors.over(target_feature, &Mistake::TargetFeature { name: sig.ident.to_string() });
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

/// Whether a call changes the object.
pub(crate) fn is_mutable(receiver: &Receiver) -> bool {
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
    find(tokens, &|ident| ident == name).is_some()
}

/// Where the first name of this kind is in there.
fn find(tokens: TokenStream, is_it: &impl Fn(&Ident) -> bool) -> Option<Span> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => is_it(&ident).then(|| ident.span()),
        TokenTree::Group(group) => find(group.stream(), is_it),
        _ => None,
    })
}

/// The same tokens, which mean what they meant, at one place and as ours: types are no local names, and are found
/// alike. What may be read another way there keeps its own hygiene.
fn located(tokens: TokenStream, at: Span) -> TokenStream {
    let ours = Span::mixed_site().located_at(at);
    let locate = |mut token: TokenTree| {
        let keeps =
            matches!(&token, TokenTree::Ident(ident) if KEEPS_HYGIENE.iter().any(|word| ident == word));
        token.set_span(if keeps { token.span().located_at(at) } else { ours });
        match token {
            TokenTree::Group(group) => {
                let span = group.span();
                let mut group = Group::new(group.delimiter(), located(group.stream(), at));
                group.set_span(span);
                TokenTree::Group(group)
            }
            token => token,
        }
    };
    tokens.into_iter().map(locate).collect()
}

/// `$crate` is the crate of whose macro it is of, and the others are keywords in some editions only.
const KEEPS_HYGIENE: &[&str] = &["$crate", "async", "dyn", "gen", "try"];

fn is_one_letter(ident: &Ident) -> bool {
    let name = ident.to_string();
    name.len() == 1 && name.starts_with(|letter: char| letter.is_ascii_uppercase())
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
    // That it ran is what is kept of a function that returns nothing.
    let unit = Type::Tuple(syn::parse_quote!(()));
    let ty = match &sig.output {
        ReturnType::Default => &unit,
        ReturnType::Type(_, ty) => &**ty,
    };
    if matches!(bare(ty), Type::Never(_)) {
        errors.over(ty, &Mistake::NeverReturns { name: name() });
        return None;
    }
    if is_future(ty) {
        let mistake = Mistake::ReturnsFuture { name: name() };
        // What that attribute writes stands where it stands itself, above all methods.
        if mentions(ty.to_token_stream(), &Ident::new("async_trait", Span::call_site())) {
            errors.at(sig.ident.span(), &mistake);
        } else {
            errors.over(ty, &mistake);
        }
        return None;
    }
    if search(ty).impl_trait {
        errors.over(ty, &Mistake::ReturnsImpl {});
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
            let of = if of == "Result" { "a `Result`" } else { "an `Option`" }.to_owned();
            let (option, name, ty) = (option.to_owned(), name(), show(ty));
            errors.at(at, &Mistake::NotFallible { option, of, name, ty, instead });
        }
    }
    let keeps_all = (options.cache_err.is_some() && kind == Some("Result"))
        || (options.cache_none.is_some() && kind == Some("Option"));
    // What is not stored may borrow: the error of a `Result` is passed on as it is.
    let (returns, stored) = match fallible {
        _ if keeps_all => (Returns::Plain { value: ty.to_token_stream() }, ty),
        Some((name, args)) if args.len() == if name == "Result" { 2 } else { 1 } => {
            (Returns::Fallible { value: args[0].to_token_stream(), is_alias: false }, args[0])
        }
        Some(_) => {
            // An alias such as `io::Result<T>`: only the compiler knows what it holds. What it says of it, it says once of
            // one place.
            let span = Span::mixed_site().located_at(ty.span());
            let p = private(span);
            let at_once = located(ty.to_token_stream(), ty.span());
            (
                Returns::Fallible {
                    value: quote_spanned!(span=> <#at_once as #p::Fallible>::Value),
                    is_alias: true,
                },
                ty,
            )
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

/// What `#[async_trait]` makes of an `async fn`, and what some write by hand: `impl Future`, or one in a box.
fn is_future(ty: &Type) -> bool {
    let is_called_so = |ty: &Type| {
        matches!(bare(ty), Type::TraitObject(_) | Type::ImplTrait(_))
            && mentions(ty.to_token_stream(), &Ident::new("Future", Span::call_site()))
    };
    let Some((name, args)) = named(ty, &["Pin", "Box", "BoxFuture", "LocalBoxFuture"]) else {
        return is_called_so(ty);
    };
    match name.as_str() {
        "Pin" => args.first().is_some_and(|inner| is_future(inner)),
        "Box" => args.first().is_some_and(|inner| is_called_so(inner)),
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
