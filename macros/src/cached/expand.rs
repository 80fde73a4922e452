//! The tokens that a cached function becomes.
//!
//! The user's function looks into the cache and holds its body, as a function of its own or, where `Self` may be
//! meant, as a closure, so that the runtime can call it again. Beside it stand the handle, the accessor that finds the
//! cache of an instance, and what `uncached`, `refresh` and `status` ask for. In an `impl` of a trait nothing can stand
//! beside it: there the cache is found in the function itself. What happens on a hit and on a miss is the runtime's
//! business.

use std::time::Duration;

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprPath, FnArg, Meta, Pat, PatIdent, ReturnType, Safety, Signature, Token, Type,
};

use super::key;
use super::model::{Cost, Home, Model, Options, Place, Policy, Returns, allow_unread};
use crate::crate_path::{larder, private};
use crate::signature::{Function, place_of, turbofish, without_idle_lifetimes};

/// Everything for one function.
pub(crate) fn expand(model: &Model) -> TokenStream {
    let plan = Plan::of(model);
    let function = wrapper(model, &plan, Variant::Call);
    let handle = model.handle.as_ref().map(|ident| handle(model, &plan, ident));
    let accessor = match &plan.access {
        Access::Beside(ident) => Some(accessor(model, ident)),
        Access::Inside(_) | Access::InPlace => None,
    };
    let body = match &plan.body {
        Body::Beside(ident) => Some(body_beside(model, ident)),
        Body::Inside | Body::Closure => None,
    };
    let refresh = model.options.refresh.map(|_| wrapper(model, &plan, Variant::Refresh));
    let status = model.options.status.map(|_| wrapper(model, &plan, Variant::Status));
    quote!(#function #handle #accessor #body #refresh #status)
}

/// Where the pieces go.
struct Plan {
    access: Access,
    body: Body,
}

/// Where the cache of an instance is found.
enum Access {
    /// By a function beside the user's.
    Beside(Ident),
    /// By a function inside it.
    Inside(Ident),
    /// By an expression.
    InPlace,
}

/// Where the user's body is.
enum Body {
    /// In a function inside the wrapper.
    Inside,
    /// In a closure: a function inside another can't say `Self`.
    Closure,
    /// In a function beside the wrapper, because others call it, too.
    Beside(Ident),
}

/// The functions that look into the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// The user's.
    Call,
    /// It always runs the body, and stores what it returns.
    Refresh,
    /// It says where the value came from.
    Status,
}

impl Plan {
    fn of(model: &Model) -> Self {
        let Options { uncached, refresh, status, .. } = model.options;
        let shares_cache = refresh.or(status).is_some();
        let access = if model.handle.is_some() || shares_cache {
            Access::Beside(accessor_name(model))
        } else if model.home == Home::Free
            && model.key.ty().is_some()
            && !matches!(model.options.place, Place::Within(_))
        {
            Access::Inside(accessor_name(model))
        } else {
            Access::InPlace
        };
        let body = match model.home {
            _ if uncached.is_some() => Body::Beside(format_ident!(
                "{}_uncached",
                model.name(),
                span = model.function.sig.ident.span()
            )),
            _ if model.has_siblings() => Body::Beside(hidden_name(model, "body")),
            Home::Free => Body::Inside,
            Home::Associated => Body::Closure,
        };
        Self { access, body }
    }
}

/// `Self::` where what stands beside the function belongs to a type.
fn path_to(model: &Model, ident: &Ident) -> TokenStream {
    match model.home {
        Home::Free => ident.to_token_stream(),
        Home::Associated => {
            let own = Ident::new("Self", Span::call_site());
            quote_spanned!(ident.span()=> #own::#ident)
        }
    }
}

/// The user's function, or one beside it that looks into the same cache. Arguments keep their names and hygiene; ours
/// are of another.
fn wrapper(model: &Model, plan: &Plan, variant: Variant) -> TokenStream {
    let span = Span::mixed_site();
    let Function { vis, sig, body, .. } = &model.function;
    let inside = match plan.body {
        Body::Inside => {
            let body_sig = Signature { ident: Ident::new("__larder_body", span), ..body_signature(model) };
            Some(quote!(#body_sig #body))
        }
        Body::Closure | Body::Beside(_) => None,
    };
    let accessor = match &plan.access {
        Access::Inside(ident) => Some(accessor(model, ident)),
        Access::Beside(_) | Access::InPlace => None,
    };
    let (cache, probe) = (find_cache(model, plan), probe(model, variant));
    let bindings = model.key.bindings();
    let find = if bindings.is_empty() {
        quote_spanned!(span=> let cache = #cache; let miss = #probe;)
    } else {
        // What an expression made may borrow from arguments that the body takes.
        quote_spanned! {span=>
            let (cache, miss) = {
                #bindings
                let cache = #cache;
                let miss = #probe;
                (cache, miss)
            };
        }
    };
    let load = load(model, plan, variant);
    let mut block = Group::new(Delimiter::Brace, quote_spanned!(span=> #inside #accessor #find #load));
    let outer_sig = outer_signature(model, plan);
    let name = model.name();
    match variant {
        Variant::Call => {
            // With the user's braces the whole item is the user's: the compiler says when nobody calls it.
            block.set_span(body.span());
            let attrs = wrapper_attributes(model, plan);
            let alive = model.has_siblings().then(|| {
                quote_spanned!(span=> #[allow(dead_code, reason = "those beside it may be all that is called")])
            });
            quote!(#(#attrs)* #alive #vis #outer_sig #block)
        }
        Variant::Refresh => {
            let ident = format_ident!("{name}_refresh", span = sig.ident.span());
            let docs =
                format!(" Runs the body of {} and stores what it returns, over what is there.", link(model));
            let sig = Signature { ident, ..own_fn(&outer_sig) };
            beside(model, &shared_attributes(&model.function), &sig, &docs, &block)
        }
        Variant::Status => {
            let ident = format_ident!("{name}_with_status", span = sig.ident.span());
            let docs = format!(" Calls {}, and says whether that was a hit.", link(model));
            let (ty, larder) = (return_type(sig), larder(span));
            let output = syn::parse_quote_spanned!(span=> -> (#ty, #larder::Status));
            let sig = Signature { ident, output, ..own_fn(&outer_sig) };
            beside(model, &shared_attributes(&model.function), &sig, &docs, &block)
        }
    }
}

/// The same signature with a `fn` that is not the user's: lints that would have the whole function written otherwise,
/// as a `const fn`, keep away.
fn own_fn(sig: &Signature) -> Signature {
    let fn_token = Token![fn](Span::mixed_site().located_at(sig.fn_token.span));
    Signature { fn_token, ..sig.clone() }
}

/// The user's signature, for the body. That an argument is for the attribute alone is no mistake.
fn body_signature(model: &Model) -> Signature {
    let mut sig = own_fn(&model.function.sig);
    allow_unread(&mut sig, &model.arguments);
    sig
}

/// A function beside the user's, which nobody has to call.
fn beside(model: &Model, attrs: &[Attribute], sig: &Signature, docs: &str, block: &Group) -> TokenStream {
    let span = Span::mixed_site();
    // As with its `fn`, it is not the user's to write otherwise.
    let vis: TokenStream = model
        .function
        .vis
        .to_token_stream()
        .into_iter()
        .map(|mut token| {
            token.set_span(span.located_at(token.span()));
            token
        })
        .collect();
    quote_spanned! {span=>
        #[doc = #docs]
        #(#attrs)*
        #[allow(
            dead_code, unreachable_pub, clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::missing_safety_doc,
            clippy::must_use_candidate, reason = "not every one is used, and what the function says holds for it"
        )]
        #vis #sig #block
    }
}

/// The user's body, for the others to call.
fn body_beside(model: &Model, ident: &Ident) -> TokenStream {
    let body = &model.function.body;
    let lints = model.function.attributes(&["warn", "deny", "forbid"]);
    let sig = Signature { ident: ident.clone(), ..body_signature(model) };
    let docs = format!(" The body of {}, without the cache.", link(model));
    let mut attrs = shared_attributes(&model.function);
    // What was expected of the whole is expected of the body.
    attrs.retain(|attr| !attr.path().is_ident("allow"));
    attrs.extend(model.function.attributes(&["allow", "expect"]).cloned());
    let function = beside(model, &attrs, &sig, &docs, body);
    let hidden = model.options.uncached.is_none().then(|| quote!(#[doc(hidden)]));
    quote!(#(#lints)* #hidden #function)
}

/// The user's attributes, on the user's function.
fn wrapper_attributes(model: &Model, plan: &Plan) -> Vec<Attribute> {
    let mut attrs = model.function.attrs.clone();
    if matches!(plan.body, Body::Beside(_)) {
        for attr in &mut attrs {
            allow_instead_of_expect(attr);
        }
    }
    attrs
}

/// What was expected of the whole may be true of a part only.
fn allow_instead_of_expect(attr: &mut Attribute) {
    if let Meta::List(list) = &mut attr.meta
        && list.path.is_ident("expect")
    {
        list.path = syn::parse_quote_spanned!(list.path.span()=> allow);
    }
}

/// A reference to what was found.
fn found(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    match model.options.place {
        Place::Within(_) if model.is_consumed => quote_spanned!(span=> &cache),
        Place::Thread => quote_spanned!(span=> &cache),
        Place::Global | Place::Within(_) => quote_spanned!(span=> cache),
    }
}

/// The expression that finds the cache.
fn find_cache(model: &Model, plan: &Plan) -> TokenStream {
    let span = Span::mixed_site();
    let instance = turbofish(&model.function.sig.generics);
    let found = match &plan.access {
        Access::Beside(ident) => {
            let path = path_to(model, ident);
            let own = model.function.sig.receiver().map(|receiver| receiver.self_token);
            match &model.options.place {
                Place::Within(_) => quote_spanned!(span=> #path #instance(&#own)),
                Place::Global | Place::Thread => quote_spanned!(span=> #path #instance()),
            }
        }
        Access::Inside(ident) => quote_spanned!(span=> #ident #instance()),
        Access::InPlace => {
            let found = site(model);
            quote_spanned!(span=> { #found })
        }
    };
    match &model.options.place {
        Place::Within(_) if model.is_consumed => {
            let larder = larder(span);
            quote_spanned!(span=> #larder::Cache::clone(#found))
        }
        Place::Global | Place::Thread | Place::Within(_) => found,
    }
}

/// The look-up: what is found is returned.
fn probe(model: &Model, variant: Variant) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let (query, value) = (model.key.query(), proof_of_value(model));
    let hit = match model.returns {
        Returns::Plain { .. } => quote_spanned!(span=> value),
        Returns::Fallible { .. } => quote_spanned!(span=> #p::Fallible::from_value(value)),
    };
    let hit = match variant {
        Variant::Status => {
            let larder = larder(span);
            quote_spanned!(span=> (#hit, #larder::Status::Hit))
        }
        Variant::Call | Variant::Refresh => hit,
    };
    let cache = found(model);
    let probe = match (variant, &model.options.force_if) {
        (Variant::Refresh, _) => quote_spanned!(span=> #p::probe_unless(true, #cache, &#query, #value)),
        (_, Some(force)) => quote_spanned!(span=> #p::probe_unless(#force, #cache, &#query, #value)),
        (_, None) => quote_spanned!(span=> #p::probe(#cache, &#query, #value)),
    };
    quote_spanned! {span=>
        match #probe {
            ::core::result::Result::Ok(value) => return #hit,
            ::core::result::Result::Err(miss) => miss,
        }
    }
}

/// What happens on a miss.
fn load(model: &Model, plan: &Plan, variant: Variant) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let Options { detach, cache_if, .. } = &model.options;
    let asynchronous = model.function.sig.asyncness.is_some();
    let (owned, mut body) = body(model, plan);
    let status = variant == Variant::Status;
    if status || cache_if.is_some() {
        let ran = status.then(|| quote_spanned!(span=> let ran = ::core::clone::Clone::clone(&ran);));
        let mark = status.then(|| quote_spanned!(span=> ran.mark();));
        let value =
            if asynchronous { quote_spanned!(span=> body.await) } else { quote_spanned!(span=> body()) };
        let value = match (cache_if, &model.returns) {
            (None, _) => value,
            (Some(keep), Returns::Plain { .. }) => quote_spanned!(span=> #p::judge_value(#value, #keep)),
            (Some(keep), Returns::Fallible { .. }) => quote_spanned!(span=> #p::judge(#value, #keep)),
        };
        let inner = if asynchronous {
            quote_spanned!(span=> async move { #mark #value })
        } else {
            quote_spanned!(span=> move || { #mark #value })
        };
        body = quote_spanned!(span=> { #ran let body = #body; #inner });
    }
    let fails = cache_if.is_some() || matches!(model.returns, Returns::Fallible { .. });
    let function = match (fails, asynchronous, detach) {
        (false, false, _) => "load",
        (true, false, _) => "try_load",
        // Calling an `async fn` runs nothing yet: the leader's own future polls the body, or an executor does.
        (false, true, None) => "load_async",
        (true, true, None) => "try_load_async",
        (false, true, Some(_)) => "load_detached",
        (true, true, Some(_)) => "try_load_detached",
    };
    let function = Ident::new(function, span);
    let wait = asynchronous.then(|| quote_spanned!(span=> .await));
    let cache = found(model);
    let mut value = quote_spanned!(span=> #p::#function(#cache, miss, #body) #wait);
    if cache_if.is_some() {
        value = match model.returns {
            Returns::Plain { .. } => quote_spanned!(span=> #p::Verdict::into_value(#value)),
            Returns::Fallible { .. } => quote_spanned!(span=> #p::Verdict::into_result(#value)),
        };
    }
    if status {
        value = quote_spanned! {span=>
            let ran = #p::Ran::new();
            let value = #value;
            (value, ran.status())
        };
    }
    quote_spanned!(span=> #owned #value)
}

/// The body as something that can be called, or polled; before it, what makes its arguments its own.
fn body(model: &Model, plan: &Plan) -> (TokenStream, TokenStream) {
    let span = Span::mixed_site();
    let sig = &model.function.sig;
    let instance = turbofish(&sig.generics);
    let asynchronous = sig.asyncness.is_some();
    let copies = |argument: &&super::model::Argument| model.options.detach.is_some() && argument.is_reference;
    let copied: Vec<_> = model.arguments.iter().filter(copies).map(|argument| &argument.ident).collect();
    let owned = quote_spanned!(span=> #(let #copied = ::std::borrow::ToOwned::to_owned(#copied);)*);
    let function = match &plan.body {
        Body::Inside => Ident::new("__larder_body", span).to_token_stream(),
        Body::Beside(ident) => path_to(model, ident),
        Body::Closure => return (owned, closure(model)),
    };
    let own = sig.receiver().map(|receiver| key::self_ident(receiver).to_token_stream());
    let others = model.arguments.iter().map(|argument| {
        let ident = &argument.ident;
        if copies(&argument) { quote_spanned!(span=> &#ident) } else { ident.to_token_stream() }
    });
    let arguments: Vec<_> = own.into_iter().chain(others).collect();
    let mut call = quote_spanned!(span=> #function #instance(#(#arguments),*));
    if let Safety::Unsafe(_) = sig.safety {
        // The caller made the promises that the body asks for.
        call = quote_spanned!(span=> unsafe { #call });
    }
    let body = match (asynchronous, copied.is_empty()) {
        (false, _) => quote_spanned!(span=> move || #call),
        (true, true) => call,
        (true, false) => quote_spanned!(span=> async move { #call.await }),
    };
    (owned, body)
}

/// The body in place.
fn closure(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    let Function { sig, body, .. } = &model.function;
    let mut lets = TokenStream::new();
    for argument in &model.arguments {
        let (attrs, pattern, ident) = (&argument.attrs, &argument.pattern, &argument.ident);
        let copied = model.options.detach.is_some() && argument.is_reference;
        if copied {
            let ty = without_lifetime(&argument.ty);
            lets.extend(quote_spanned!(span=> let #ident: #ty = &#ident;));
        }
        match pattern {
            Pat::Ident(pat) if pat.mutability.is_none() && pat.ident == *ident => {}
            Pat::Wild(_) => {}
            pattern => lets.extend(quote_spanned!(span=> #(#attrs)* let #pattern = #ident;)),
        }
    }
    let ty = return_type(sig);
    if sig.asyncness.is_some() {
        let p = private(span);
        // Says what type the block has: `?` in it can't tell.
        quote_spanned! {span=>
            async move {
                if false {
                    return #p::never::<#ty>();
                }
                #lets
                #body
            }
        }
    } else if lets.is_empty() {
        quote_spanned!(span=> move || -> #ty #body)
    } else {
        quote_spanned!(span=> move || -> #ty { #lets #body })
    }
}

fn without_lifetime(ty: &Type) -> Type {
    let mut ty = crate::signature::bare(ty).clone();
    if let Type::Reference(reference) = &mut ty {
        reference.lifetime = None;
    }
    ty
}

fn return_type(sig: &Signature) -> TokenStream {
    match &sig.output {
        ReturnType::Type(_, ty) => ty.to_token_stream(),
        ReturnType::Default => quote!(()),
    }
}

/// The signature with plain names in place of patterns. Attributes of arguments stay with the body, which is
/// where their lints look.
fn outer_signature(model: &Model, plan: &Plan) -> Signature {
    let mut sig = model.function.sig.clone();
    let mut arguments = model.arguments.iter();
    for input in &mut sig.inputs {
        match input {
            FnArg::Typed(typed) => {
                let Some(argument) = arguments.next() else { continue };
                typed.attrs.clear();
                *typed.pat = Pat::Ident(PatIdent {
                    attrs: Vec::new(),
                    by_ref: None,
                    mutability: None,
                    ident: argument.ident.clone(),
                    subpat: None,
                });
            }
            FnArg::Receiver(receiver) if matches!(plan.body, Body::Beside(_)) => receiver.mutability = None,
            FnArg::Receiver(_) => {}
        }
    }
    sig
}

/// `f_cache()`, which people call.
fn handle(model: &Model, plan: &Plan, ident: &Ident) -> TokenStream {
    let span = Span::mixed_site();
    let Function { vis, sig, .. } = &model.function;
    let Access::Beside(accessor) = &plan.access else { return TokenStream::new() };
    let docs = handle_docs(model);
    let attrs = shared_attributes(&model.function);
    let generics = without_idle_lifetimes(&sig.generics);
    let (params, _, bounds) = generics.split_for_impl();
    let instance = turbofish(&generics);
    let path = path_to(model, accessor);
    let (own, cache) = (accessor_arguments(model), accessor_type(model));
    let call = match &model.options.place {
        Place::Within(_) => {
            let own = sig.receiver().map(|receiver| receiver.self_token);
            quote_spanned!(span=> #path #instance(#own))
        }
        Place::Global | Place::Thread => quote_spanned!(span=> #path #instance()),
    };
    quote_spanned! {span=>
        #(#[doc = #docs])*
        #(#attrs)*
        #[allow(dead_code, unreachable_pub, reason = "not every cache is looked into by hand")]
        #[must_use]
        #[inline]
        #vis fn #ident #params(#own) -> #cache #bounds {
            #call
        }
    }
}

fn accessor_arguments(model: &Model) -> Option<TokenStream> {
    match model.options.place {
        Place::Within(_) => {
            let own = model.function.sig.receiver()?.self_token;
            Some(quote!(&#own))
        }
        Place::Global | Place::Thread => None,
    }
}

fn accessor_type(model: &Model) -> TokenStream {
    let cache = cache_type(model);
    match model.options.place {
        Place::Global => quote!(&'static #cache),
        Place::Thread => cache,
        Place::Within(_) => quote!(&#cache),
    }
}

/// The function in docs, as a link where there can be one.
fn link(model: &Model) -> String {
    let name = model.name();
    // A raw name can't be linked to.
    match (model.function.sig.ident == name, model.home) {
        (true, Home::Free) => format!("[`{name}()`]"),
        (true, Home::Associated) => format!("[`{name}()`](Self::{name})"),
        (false, _) => format!("`{name}`"),
    }
}

fn handle_docs(model: &Model) -> [String; 3] {
    let whose = match model.options.place {
        Place::Global => "",
        Place::Thread => ", this thread's own",
        Place::Within(_) => ", this object's own",
    };
    let link = format!(" The cache behind {}{whose}.", link(model));
    let key = match &*model.key.labels() {
        [one] => format!(" A key is `{one}`, without a tuple around it."),
        parts => format!(" A key is `({})`.", parts.join(", ")),
    };
    [link, String::new(), key]
}

/// Finds the cache of this instance. Its name has the function's place in it, so that it can't be mistaken for
/// the accessor of a free function of the same name; where it can't be found, the name says why.
fn accessor(model: &Model, ident: &Ident) -> TokenStream {
    let span = Span::mixed_site();
    let attrs = shared_attributes(&model.function);
    let generics = without_idle_lifetimes(&model.function.sig.generics);
    let (params, _, bounds) = generics.split_for_impl();
    let (own, cache, site) = (accessor_arguments(model), accessor_type(model), site(model));
    quote_spanned! {span=>
        #(#attrs)*
        #[doc(hidden)]
        #[inline]
        fn #ident #params(#own) -> #cache #bounds {
            #site
        }
    }
}

/// The statics, and the look for the cache of the instance that they stand in.
fn site(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let (descriptor, keys) = (descriptor(model), model.key.proofs());
    let value = proof_of_value(model);
    let value = match &model.options.weigh {
        Some(weigh) => quote_spanned!(span=> #value.weigh_with(#weigh)),
        None => {
            let ty = model.returns.value();
            quote_spanned!(span=> #value.weighed(#p::weigher!(#ty)))
        }
    };
    let extras = extras(&model.options);
    let all_extras = extras.clone().unwrap_or_else(|| quote_spanned!(span=> #p::Extras::NONE));
    let made = match (&model.options.place, extras) {
        (Place::Global, Some(extras)) => {
            quote_spanned!(span=> __SITE.cache_with(#keys, #value, #extras, || ()))
        }
        (Place::Global, None) => quote_spanned!(span=> __SITE.cache(#keys, #value, || ())),
        (Place::Thread, _) => quote_spanned! {span=>
            ::std::thread_local! {
                static __LOCAL: #p::Local = const { #p::Local::new() };
            }
            __SITE.cache_of_thread(&__LOCAL, #keys, #value, #all_extras, || ())
        },
        (Place::Within(local), _) => {
            let local = match local {
                Expr::Reference(_) => local.to_token_stream(),
                local => quote_spanned!(local.span()=> &#local),
            };
            quote_spanned!(span=> __SITE.cache_within(#local, #keys, #value, #all_extras, || ()))
        }
    };
    quote_spanned! {span=>
        static __DESCRIPTOR: #p::Descriptor = #descriptor;
        static __SITE: #p::Site = #p::Site::new(&__DESCRIPTOR);
        #p::submit!(__DESCRIPTOR);
        #made
    }
}

/// The user's functions that few caches have.
fn extras(options: &Options) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let p = private(span);
    let mut given = Vec::new();
    let mut give = |name: &str, function: Option<TokenStream>| {
        let name = Ident::new(name, span);
        let some = |function| quote_spanned!(span=> #name: ::core::option::Option::Some(#function));
        given.extend(function.map(some));
    };
    let cost = options.cost.as_ref().map(|cost| match cost {
        Cost::By(function) => function.to_token_stream(),
        Cost::Fixed(time) => {
            let time = duration(*time);
            quote_spanned!(span=> |_, _| #time)
        }
    });
    give("cost", cost);
    give("ttl_by", options.ttl_by.as_ref().map(ToTokens::to_token_stream));
    give("utility", options.utility.as_ref().map(ToTokens::to_token_stream));
    give(
        "order",
        match &options.policy {
            Policy::Own(path) => Some(order(path)),
            Policy::Default | Policy::Named(_) => None,
        },
    );
    (!given.is_empty()).then(|| quote_spanned!(span=> #p::Extras { #(#given,)* ..#p::Extras::NONE }))
}

/// Makes an order of the user's: types are spelled in capitals, functions are not.
fn order(path: &ExprPath) -> TokenStream {
    // At the path, where the compiler says what is missing.
    let span = Span::mixed_site().located_at(path.span());
    let p = private(span);
    let last = path.path.segments.last().map(|segment| segment.ident.unraw().to_string());
    let is_type = last.is_some_and(|name| name.starts_with(char::is_uppercase));
    let made = if is_type {
        quote_spanned!(span=> <#path as ::core::default::Default>::default())
    } else {
        quote_spanned!(span=> #path())
    };
    quote_spanned!(span=> || #p::order(#made))
}

/// `::core::time::Duration::new(5, 0)`
fn duration(time: Duration) -> TokenStream {
    let (secs, nanos) =
        (Literal::u64_unsuffixed(time.as_secs()), Literal::u32_unsuffixed(time.subsec_nanos()));
    quote_spanned!(Span::mixed_site()=> ::core::time::Duration::new(#secs, #nanos))
}

/// Only this function can mean it. Where it is not found, the compiler's message has the name in it.
fn accessor_name(model: &Model) -> Ident {
    match model.home {
        Home::Free => hidden_name(model, "in_an_impl_write_cached_assoc_"),
        Home::Associated => hidden_name(model, "not_in_an_impl_of_a_trait_"),
    }
}

fn hidden_name(model: &Model, what: &str) -> Ident {
    let place = place_of(&model.function.sig.ident);
    format_ident!("__{what}_{}_{place}", model.name(), span = Span::mixed_site())
}

fn descriptor(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let ident = &model.function.sig.ident;
    let options = &model.options;
    let own_name = model.name();
    let name = match (&options.namespace, &options.name) {
        (None, Some(name)) => name.to_token_stream(),
        (None, None) => quote_spanned!(span=> ::core::concat!(::core::module_path!(), "::", #own_name)),
        (Some(space), Some(name)) => quote_spanned!(span=> ::core::concat!(#space, "::", #name)),
        (Some(space), None) => quote_spanned!(span=> ::core::concat!(#space, "::", #own_name)),
    };
    // At the function's own place, and not at the attribute's.
    let line = quote_spanned!(ident.span()=> ::core::line!());
    let settings = settings(model);
    quote_spanned! {span=>
        #p::Descriptor::cached(#name, ::core::file!(), #line, #settings)
    }
}

/// What the attribute says, and nothing of what it leaves at its default: less to read, and less to compile.
fn settings(model: &Model) -> TokenStream {
    let options = &model.options;
    let span = Span::mixed_site();
    let p = private(span);
    let mut said = Vec::new();
    let mut say = |name: &str, value: Option<TokenStream>| {
        let name = Ident::new(name, span);
        said.extend(value.map(|value| quote_spanned!(span=> #name: #value)));
    };
    let some = |value: TokenStream| quote_spanned!(span=> ::core::option::Option::Some(#value));
    let count = |count: u64| some(Literal::u64_unsuffixed(count).to_token_stream());
    let time = |time: Duration| some(duration(time));
    let number = |number: f64| Literal::f64_unsuffixed(number).to_token_stream();
    let variant = match &options.policy {
        Policy::Default => None,
        Policy::Named(variant) => Some(*variant),
        Policy::Own(_) => Some("Custom"),
    };
    let policy = variant.map(|variant| {
        let variant = Ident::new(variant, span);
        quote_spanned!(span=> #p::Policy::#variant)
    });
    say("policy", policy);
    say("max_bytes", options.max_bytes.map(count));
    say("max_entries", options.max_entries.map(count));
    let floor = Some(options.min_bytes).filter(|bytes| *bytes > 0);
    say("min_bytes", floor.map(|bytes| Literal::u64_unsuffixed(bytes).to_token_stream()));
    say("priority", options.priority.map(number));
    say("ttl", options.ttl.map(time));
    say("tti", options.tti.map(time));
    say("jitter", options.jitter.map(|part| some(number(part))));
    say("ttl_by", options.ttl_by.as_ref().map(|_| quote_spanned!(span=> true)));
    say("single_flight", options.each_alone.then(|| quote_spanned!(span=> false)));
    say("wait_at_most", options.wait_at_most.map(time));
    let by_type = model.home == Home::Associated && options.name.is_none() && options.namespace.is_none();
    say("named_by_type", by_type.then(|| quote_spanned!(span=> true)));
    if said.is_empty() {
        return quote_spanned!(span=> #p::CachedOptions::DEFAULT);
    }
    // `single_flight` and `wait_at_most` exclude each other: something is always left at its default.
    quote_spanned!(span=> #p::CachedOptions { #(#said,)* ..#p::CachedOptions::DEFAULT })
}

fn cache_type(model: &Model) -> TokenStream {
    let larder = larder(Span::mixed_site());
    let (key, value) = (model.key.ty(), model.returns.value());
    quote_spanned!(Span::mixed_site()=> #larder::Cache<#key, #value>)
}

/// `value::<V>()`, at the type: where a missing bound is reported.
fn proof_of_value(model: &Model) -> TokenStream {
    let value = model.returns.value();
    let at = value.clone().into_iter().next().map_or_else(Span::mixed_site, |token| token.span());
    let span = Span::mixed_site().located_at(at);
    let p = private(span);
    quote_spanned!(span=> #p::value::<#value>())
}

/// The user's attributes that hold for what stands beside the function too.
fn shared_attributes(function: &Function) -> Vec<Attribute> {
    let hidden =
        |attr: &&Attribute| attr.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "hidden");
    let lints = function.attributes(&["cfg", "allow", "expect"]).cloned().map(|mut attr| {
        allow_instead_of_expect(&mut attr);
        attr
    });
    lints.chain(function.attributes(&["doc"]).filter(hidden).cloned()).collect()
}
