//! `#[pooled]` on a function that makes objects: a shelf of idle ones for each set of arguments.
//!
//! Its signature is what callers get, and says `Pooled<T>`; its body makes the `T`. Methods are told from functions as
//! under `#[cached]`.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    FnArg, GenericArgument, Pat, PatIdent, PathArguments, ReturnType, Safety, Signature, Token, Type,
    Visibility,
};

use super::expand::{descriptor, functions};
use super::model::Options;
use crate::cached::expand::in_place;
use crate::cached::key::{Key, Wanted};
use crate::cached::model::{Argument, Home, allow_unread, arguments, home, is_mutable};
use crate::crate_path::{larder, private};
use crate::errors::{Errors, Mistake};
use crate::signature::{
    Function, bare, lints_said_before, named, place_of, turbofish, without_idle_lifetimes,
};

/// A function whose objects are pooled, and how.
pub(super) struct Model {
    function: Function,
    options: Options,
    arguments: Vec<Argument>,
    key: Key,
    /// What is pooled.
    object: Type,
    /// What the body returns.
    made: Type,
    /// Whether that is the object itself, and not a `Result` or an `Option` of it.
    is_plain: bool,
    home: Home,
}

impl Model {
    /// The model, or `None` after a mistake that leaves nothing to be pooled.
    pub(super) fn of(
        function: Function,
        options: Options,
        wanted: Wanted,
        errors: &mut Errors,
    ) -> Option<Self> {
        let before = errors.count();
        check_shape(&function, &options, errors);
        let name = function.sig.ident.to_string();
        let returned = match &function.sig.output {
            ReturnType::Type(_, ty) => Some((**ty).clone()),
            ReturnType::Default => None,
        };
        let mut made = returned.clone();
        let object = made.as_mut().and_then(take_lease);
        if object.is_none() {
            let tokens =
                returned.map_or_else(|| function.sig.ident.to_token_stream(), |ty| ty.to_token_stream());
            errors.over(tokens, &Mistake::PooledReturns { name });
        }
        let arguments = arguments(&function.sig, &wanted.expressions(), &wanted.names());
        let key = Key::of(wanted, &function, &arguments, None, errors);
        let (Some(object), Some(made)) = (object, made) else { return None };
        if errors.count() > before {
            return None;
        }
        let is_plain = function_returns_lease(&function.sig);
        let home = home(&function, options.assoc);
        Some(Self { function, options, arguments, key, object, made, is_plain, home })
    }

    /// Whether anything can stand beside the function: without `pub` it may be a trait's.
    fn has_handle(&self) -> bool {
        self.home == Home::Free || !matches!(self.function.vis, Visibility::Inherited)
    }

    /// The path to what stands beside it.
    fn beside(&self, ident: &Ident) -> TokenStream {
        match self.home {
            Home::Free => ident.to_token_stream(),
            Home::Associated => quote_spanned!(ident.span()=> Self::#ident),
        }
    }
}

/// The function for its callers' sake, after a mistake: a body that makes what the signature lends would be another one.
pub(super) fn without_body(function: &Function) -> TokenStream {
    let Function { attrs, vis, sig, .. } = function;
    let span = Span::mixed_site();
    quote_spanned!(span=> #(#attrs)* #[allow(unused_variables, reason = "there is no body")] #vis #sig { ::core::unimplemented!() })
}

fn function_returns_lease(sig: &Signature) -> bool {
    matches!(&sig.output, ReturnType::Type(_, ty) if named(ty, &["Pooled"]).is_some())
}

/// Takes the lease out of a type, `Result<Pooled<T>, E>` becomes `Result<T, E>`; returns what was lent.
fn take_lease(ty: &mut Type) -> Option<Type> {
    if let Some((_, args)) = named(ty, &["Pooled"])
        && let [object] = *args
    {
        let object = object.clone();
        *ty = object.clone();
        return Some(object);
    }
    match ty {
        Type::Group(group) => take_lease(&mut group.elem),
        Type::Paren(paren) => take_lease(&mut paren.elem),
        Type::Path(path) => {
            let last = path.path.segments.last_mut()?;
            let PathArguments::AngleBracketed(args) = &mut last.arguments else { return None };
            args.args.iter_mut().find_map(|arg| match arg {
                GenericArgument::Type(ty) => take_lease(ty),
                _ => None,
            })
        }
        _ => None,
    }
}

fn check_shape(function: &Function, options: &Options, errors: &mut Errors) {
    let sig = &function.sig;
    let mut refuse = |at: TokenStream, what: &str| {
        let (name, what) = (sig.ident.to_string(), what.to_owned());
        errors.over(at, &Mistake::PooledShape { name, what });
    };
    if let Some(receiver) = sig.receiver().filter(|receiver| is_mutable(receiver)) {
        refuse(receiver.to_token_stream(), "changes `self`");
    }
    if let Some(constness) = sig.constness {
        refuse(constness.to_token_stream(), "is a `const fn`");
    }
    if let Some(abi) = &sig.abi {
        refuse(abi.to_token_stream(), "is an `extern` function");
    }
    if let Safety::Unsafe(unsafety) = sig.safety {
        refuse(unsafety.to_token_stream(), "is an `unsafe fn`");
    }
    for new in options.new.iter().chain(&options.try_new) {
        errors.over(new, &Mistake::NewOnFunction { name: sig.ident.to_string() });
    }
    for option in options.of_types() {
        let instead = "the objects of a function are made for their arguments, and take each other's place: leave it out";
        errors.over(
            &sig.ident,
            &Mistake::PooledOption { option: option.to_owned(), instead: instead.to_owned() },
        );
    }
}

/// The function, its pool, and the accessor that both use.
pub(super) fn expand(model: &Model) -> TokenStream {
    let what = match model.home {
        Home::Free => "in_an_impl_write_pooled_assoc_",
        Home::Associated => "not_in_an_impl_of_a_trait_",
    };
    let ident = &model.function.sig.ident;
    let accessor = format_ident!("__{what}_{}_{}", ident.unraw(), place_of(ident), span = Span::mixed_site());
    let function = wrapper(model, &accessor);
    let pool = model.has_handle().then(|| pool(model, &accessor));
    quote!(#function #pool)
}

fn wrapper(model: &Model, accessor: &Ident) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let Function { attrs, vis, sig, body } = &model.function;
    let made = &model.made;
    // Not the user's `fn`: lints that would have the whole function written otherwise keep away.
    let fn_token = Token![fn](span.located_at(sig.fn_token.span));
    let output = syn::parse_quote!(-> #made);
    let mut body_sig =
        Signature { fn_token, ident: Ident::new("__larder_body", span), output, ..sig.clone() };
    allow_unread(&mut body_sig, &model.arguments);
    let instance = turbofish(&sig.generics);
    let names = model.arguments.iter().map(|argument| &argument.ident);
    // A function inside another can't say `Self`.
    let (inside, make) = match model.home {
        Home::Free => {
            let call = quote_spanned!(span=> __larder_body #instance(#(#names),*));
            let make = if sig.asyncness.is_some() { call } else { quote_spanned!(span=> move || #call) };
            let lints = lints_said_before(&model.function);
            (Some(quote!(#lints #body_sig #body)), make)
        }
        Home::Associated => {
            (None, in_place(&model.function, &model.arguments, &made.to_token_stream(), false))
        }
    };
    let shelves = if model.has_handle() {
        let path = model.beside(accessor);
        quote_spanned!(span=> #path #instance())
    } else {
        let site = site(model);
        quote_spanned!(span=> { #site })
    };
    let (query, proofs) = (model.key.query(), model.key.proofs());
    let ty = bare(made);
    let (lent, fill) = match (model.is_plain, sig.asyncness) {
        (true, None) => (quote_spanned!(span=> __lease), quote_spanned!(span=> __vacancy.fill(#make))),
        (true, Some(_)) => {
            (quote_spanned!(span=> __lease), quote_spanned!(span=> __vacancy.fill_async(#make).await))
        }
        (false, asyncness) => {
            let at = span.located_at(ty.span());
            let at = private(at);
            let lent = quote_spanned!(span=> <#ty as #at::Made>::lent(__lease));
            let fill = match asyncness {
                None => quote_spanned!(span=> __vacancy.try_fill(#make)),
                Some(_) => quote_spanned!(span=> __vacancy.try_fill_async(#make).await),
            };
            (lent, fill)
        }
    };
    let mut outer_sig = sig.clone();
    let mut arguments = model.arguments.iter();
    for input in &mut outer_sig.inputs {
        let FnArg::Typed(typed) = input else { continue };
        if let Some(argument) = arguments.next() {
            typed.attrs.clear();
            let (ident, attrs) = (argument.ident.clone(), Vec::new());
            *typed.pat = Pat::Ident(PatIdent { attrs, by_ref: None, mutability: None, ident, subpat: None });
        }
    }
    let bindings = model.key.bindings();
    let mut look = quote_spanned! {span=>
        match #p::look_on_shelf(#shelves, &#query, #proofs) {
            ::core::result::Result::Ok(__lease) => return #lent,
            ::core::result::Result::Err(__vacancy) => __vacancy,
        }
    };
    if !bindings.is_empty() {
        // What an expression made may borrow from arguments that the body takes.
        look = quote_spanned!(span=> { #bindings #look });
    }
    let mut block = Group::new(Delimiter::Brace, quote_spanned!(span=> #inside let __vacancy = #look; #fill));
    block.set_span(body.span());
    quote!(#(#attrs)* #vis #outer_sig #block)
}

/// `connect_pool()`, which people call, and where the pool is.
fn pool(model: &Model, accessor: &Ident) -> TokenStream {
    let span = Span::mixed_site();
    let larder = larder(span);
    let Function { vis, sig, .. } = &model.function;
    let (ident, object) = (&sig.ident, &model.object);
    let name = ident.unraw();
    let handle = format_ident!("{name}_pool", span = ident.span());
    let link = match (*ident == name, model.home) {
        (true, Home::Free) => format!("[`{name}()`]"),
        (true, Home::Associated) => format!("[`{name}()`](Self::{name})"),
        (false, _) => format!("`{name}`"),
    };
    let docs = format!(" The pool that {link} takes a `{}` from.", crate::errors::show(object));
    let attrs: Vec<_> = model.function.attributes(&["cfg", "allow"]).collect();
    let generics = without_idle_lifetimes(&sig.generics);
    let (params, _, bounds) = generics.split_for_impl();
    let instance = turbofish(&generics);
    let (path, site) = (model.beside(accessor), site(model));
    quote_spanned! {span=>
        #[doc = #docs]
        #(#attrs)*
        #[allow(dead_code, unreachable_pub, reason = "not every pool is looked into by hand")]
        #[must_use]
        #vis fn #handle #params() -> &'static #larder::Shelves<#object> #bounds {
            #path #instance()
        }

        #(#attrs)*
        #[doc(hidden)]
        fn #accessor #params() -> &'static #larder::Shelves<#object> #bounds {
            #site
        }
    }
}

/// The statics, and the look for the pool of the instance that they stand in.
fn site(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let object = &model.object;
    let at_type = span.located_at(object.span());
    let proof = {
        let p = private(at_type);
        quote_spanned!(at_type=> #p::poolable::<#object>())
    };
    let descriptor = descriptor(&model.function.sig.ident, &model.options);
    let rest = functions(&model.options, &object.to_token_stream());
    quote_spanned! {span=>
        #p::declare! { static __DESCRIPTOR: #p::Descriptor = #descriptor; }
        static __SITE: #p::Site = #p::Site::new(&__DESCRIPTOR);
        let __recipe = || #p::Recipe::<#object>::new(#p::made_by_function::<#object>) #rest;
        __SITE.shelves(#proof.weighed(#p::weigher!(#object)), __recipe, || ())
    }
}
