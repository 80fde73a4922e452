//! The tokens that a cached function becomes.
//!
//! The user's function looks into the cache and holds its body, as a function of its own or, where `Self` may be
//! meant, as a closure, so that the runtime can call it again. Beside it stand the handle, the accessor that finds the
//! cache of an instance, and what `uncached`, `refresh` and `status` ask for. In an `impl` of a trait nothing can stand
//! beside it: there the cache is found in the function itself. What happens on a hit and on a miss is the runtime's
//! business.

mod load;
mod site;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Meta, Pat, PatIdent, ReturnType, Safety, Signature, Token, Visibility};

use super::model::{Home, Model, Returns, allow_unread};
use super::settings::{Options, Place};
use crate::crate_path::{here, larder, private};
use crate::signature::{Function, lints_said_before, search, turbofish};
pub(crate) use load::in_place;
use load::load;
use site::{
    accessor, accessor_name, block_at, body_name, handle, is_a_key, is_sized, may_be_a_traits, ops_of_value,
    site,
};

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
        Body::Inside | Body::Whole | Body::Closure => None,
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
    /// In one that takes all arguments as one tuple, as a load hands them over.
    Whole,
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
            _ if model.has_siblings() => Body::Beside(body_name(model)),
            Home::Free if takes_a_tuple(model) => Body::Whole,
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
            let span = here();
            let own = Ident::new("Self", span);
            let mut ident = ident.clone();
            ident.set_span(ident.span().located_at(span));
            quote_spanned!(span=> #own::#ident)
        }
    }
}

/// The user's function, or one beside it that looks into the same cache. Arguments keep their names and hygiene; ours
/// are of another.
fn wrapper(model: &Model, plan: &Plan, variant: Variant) -> TokenStream {
    let span = here();
    let Function { vis, sig, body, .. } = &model.function;
    let inside = match plan.body {
        Body::Inside => {
            let body_sig = Signature { ident: Ident::new("__larder_body", span), ..body_signature(model) };
            let lints = lints_said_before(&model.function);
            Some(quote!(#lints #body_sig #body))
        }
        Body::Whole => {
            let body_sig = Signature { ident: Ident::new("__larder_body", span), ..whole_signature(model) };
            let lints = lints_said_before(&model.function);
            Some(quote!(#lints #body_sig #body))
        }
        Body::Closure | Body::Beside(_) => None,
    };
    let accessor = match &plan.access {
        Access::Inside(ident) => Some(accessor(model, ident)),
        Access::Beside(_) | Access::InPlace => None,
    };
    let (cache, probe) = (find_cache(model, plan), probe(model, plan, variant));
    let elsewhere = elsewhere(model, &plan.access, Some(&plan.body));
    let bindings = model.key.bindings();
    let find = if bindings.is_empty() {
        quote_spanned!(span=> let __cache = #cache; #probe)
    } else {
        // What an expression made may borrow from arguments that the body takes.
        quote_spanned! {span=>
            let (__cache, __miss) = {
                #bindings
                let __cache = #cache;
                #probe
                (__cache, __miss)
            };
        }
    };
    let load = load(model, plan, variant);
    let mut block =
        Group::new(Delimiter::Brace, quote_spanned!(span=> #inside #accessor #elsewhere #find #load));
    let mut outer_sig = outer_signature(model, plan);
    if outer_sig.asyncness.is_some() && may_be_a_traits(model) {
        outer_sig.generics.make_where_clause().predicates.push(is_sized());
    }
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
            let mut sig = Signature { ident, ..sibling(model, &outer_sig) };
            let block = put_at(model.options.refresh, &mut sig, &block);
            beside(model, &shared_attributes(&model.function), &sig, &docs, &block)
        }
        Variant::Status => {
            let ident = format_ident!("{name}_with_status", span = sig.ident.span());
            let docs = format!(" Calls {}, and says whether that was a hit.", link(model));
            let (ty, larder) = (return_type(sig), larder(span));
            let output = syn::parse_quote_spanned!(span=> -> (#ty, #larder::Status));
            let mut sig = Signature { ident, output, ..sibling(model, &outer_sig) };
            let block = put_at(model.options.status, &mut sig, &block);
            beside(model, &shared_attributes(&model.function), &sig, &docs, &block)
        }
    }
}

/// In an `impl` of a trait the compiler says of each function beside the user's that the trait has none of this name.
/// It would say once more that it is not found where it is called: so that it finds something, and only where the
/// attribute of a method without `pub` asks for what stands beside it, each type has functions of these names, which
/// nobody calls.
fn elsewhere(model: &Model, access: &Access, body: Option<&Body>) -> Option<TokenStream> {
    if !is_anybodys(model) {
        return None;
    }
    let span = here();
    let given =
        |count: usize| -> Vec<Ident> { (0..count).map(|at| format_ident!("__T{at}", span = span)).collect() };
    let function = |asyncness: Option<Token![async]>, ident: &Ident, count: usize| {
        let mut ident = ident.clone();
        ident.set_span(ident.span().located_at(span));
        let given = given(count);
        quote_spanned!(span=> #asyncness fn #ident<#(#given,)* __R>(#(_: #given),*) -> __R { ::core::unreachable!() })
    };
    let receiver = usize::from(model.function.sig.receiver().is_some());
    let access = match access {
        Access::Beside(ident) => {
            let is_within = matches!(model.options.place, Place::Within(_));
            Some(function(None, ident, usize::from(is_within)))
        }
        Access::Inside(_) | Access::InPlace => None,
    };
    let body = match body {
        Some(Body::Beside(ident)) => {
            Some(function(model.function.sig.asyncness, ident, receiver + model.arguments.len()))
        }
        Some(Body::Inside | Body::Whole | Body::Closure) | None => None,
    };
    (access.is_some() || body.is_some()).then(|| {
        quote_spanned! {span=>
            #[allow(dead_code, reason = "what it stands for is found first")]
            trait __Elsewhere { #access #body }
            impl<__T: ?::core::marker::Sized> __Elsewhere for __T {}
        }
    })
}

/// Whether the macro can't tell if the method is that of a trait, and how it is called can be said of all types.
fn is_anybodys(model: &Model) -> bool {
    let Function { vis, sig, .. } = &model.function;
    model.home == Home::Associated
        && matches!(vis, Visibility::Inherited)
        && turbofish(&sig.generics).is_none()
        && !sig
            .inputs
            .iter()
            .any(|input| matches!(input, FnArg::Typed(typed) if search(&typed.ty).impl_trait))
}

/// The same signature with a `fn` that is not the user's: lints that would have the whole function written otherwise,
/// as a `const fn`, keep away.
fn own_fn(sig: &Signature) -> Signature {
    let fn_token = Token![fn](Span::mixed_site().located_at(sig.fn_token.span));
    Signature { fn_token, ..sig.clone() }
}

/// Puts the first and the last token of a function where an option asks for it, so that the compiler speaks of it
/// there.
fn put_at(option: Option<Span>, sig: &mut Signature, block: &Group) -> Group {
    let span = here();
    let at = option.map_or(span, |at| span.located_at(at));
    sig.fn_token = Token![fn](at);
    sig.asyncness = sig.asyncness.map(|_| Token![async](at));
    if let Safety::Unsafe(token) = &mut sig.safety {
        *token = Token![unsafe](at);
    }
    block_at(at, block.stream())
}

/// The signature of what stands beside the function and looks into its cache.
fn sibling(model: &Model, sig: &Signature) -> Signature {
    let mut sig = own_fn(sig);
    if may_be_a_traits(model) {
        sig.generics.make_where_clause().predicates.push(is_a_key());
    }
    sig
}

/// Whether the body can be a function of one tuple: where only a load calls it, and its arguments bear nothing that a pattern
/// can't.
fn takes_a_tuple(model: &Model) -> bool {
    let Signature { asyncness, safety, .. } = &model.function.sig;
    let Options { cache_if, force_if, detach, .. } = &model.options;
    asyncness.is_none()
        && !matches!(safety, Safety::Unsafe(_))
        && cache_if.is_none()
        && force_if.is_none()
        && detach.is_none()
        && model.arguments.iter().all(|argument| argument.attrs.is_empty() && !argument.is_spoken_of)
}

/// The user's signature with one argument, `(a, b): (A, B)`.
fn whole_signature(model: &Model) -> Signature {
    let mut sig = own_fn(&model.function.sig);
    let patterns = model.arguments.iter().map(|argument| &argument.pattern);
    let types = model.arguments.iter().map(|argument| &argument.ty);
    let whole: FnArg = syn::parse_quote_spanned!(Span::mixed_site()=> (#(#patterns,)*): (#(#types,)*));
    sig.inputs = std::iter::once(whole).collect();
    sig
}

/// The user's signature, for the body. That an argument is for the attribute alone is no mistake.
fn body_signature(model: &Model) -> Signature {
    let mut sig = own_fn(&model.function.sig);
    allow_unread(&mut sig, &model.arguments);
    sig
}

/// A function beside the user's, which nobody has to call.
fn beside(model: &Model, attrs: &[Attribute], sig: &Signature, docs: &str, block: &Group) -> TokenStream {
    // What is expected here has to be said here.
    let expects = attrs.iter().any(|attr| attr.path().is_ident("expect"));
    let said_before = if expects { None } else { lints_said_before(&model.function) };
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
        #said_before
        #[allow(
            dead_code, unreachable_pub, non_snake_case, clippy::missing_errors_doc, clippy::missing_panics_doc,
            clippy::missing_safety_doc, clippy::must_use_candidate,
            reason = "not every one is used, and what the function says holds for it"
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
fn found(model: &Model, plan: &Plan) -> TokenStream {
    let span = here();
    match model.options.place {
        Place::Within(_) if model.is_consumed => quote_spanned!(span=> &__cache),
        Place::Thread => quote_spanned!(span=> &__cache),
        Place::Global if has_found(model, plan) => {
            let p = private(span);
            quote_spanned!(span=> #p::Found::cache(&__cache))
        }
        Place::Global | Place::Within(_) => quote_spanned!(span=> __cache),
    }
}

/// Whether the accessor's result says nothing of how long keys live: where they may be what a parameter of the function, or of its
/// `impl`, stands for.
fn has_found(model: &Model, plan: &Plan) -> bool {
    !matches!(plan.access, Access::InPlace) && returns_found(model)
}

/// [`has_found`] of an accessor.
fn returns_found(model: &Model) -> bool {
    let has_params = || model.function.sig.generics.type_params().next().is_some();
    matches!(model.options.place, Place::Global) && (model.home == Home::Associated || has_params())
}

/// The expression that finds the cache.
fn find_cache(model: &Model, plan: &Plan) -> TokenStream {
    let span = here();
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

/// The look-up: what is found is returned, and what is not is a `miss`.
fn probe(model: &Model, plan: &Plan, variant: Variant) -> TokenStream {
    let span = here();
    let p = private(span);
    let (query, value) = (model.key.query(), ops_of_value(model));
    let hit = match model.returns {
        Returns::Plain { .. } => quote_spanned!(span=> __value),
        Returns::Fallible { .. } => quote_spanned!(span=> #p::Fallible::from_value(__value)),
    };
    let hit = match variant {
        Variant::Status => {
            let larder = larder(span);
            quote_spanned!(span=> (#hit, #larder::Status::Hit))
        }
        Variant::Call | Variant::Refresh => hit,
    };
    let cache = found(model, plan);
    let look = quote_spanned! {span=>
        match #p::look(#cache, __query, #value) {
            ::core::option::Option::Some(__value) => return #hit,
            ::core::option::Option::None => #p::missed(#cache, __query),
        }
    };
    let miss = match (variant, &model.options.force_if) {
        (Variant::Refresh, _) => quote_spanned!(span=> #p::forced(#cache, __query)),
        (_, Some(force)) => quote_spanned!(span=> if #force { #p::forced(#cache, __query) } else { #look }),
        (_, None) => look,
    };
    // A block, so that a task keeps nothing of it while it waits.
    quote_spanned! {span=>
        let __miss = {
            let __query = #query;
            #miss
        };
    }
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
                if !argument.is_snake_case() {
                    // It is said of the argument of the body.
                    let span = Span::mixed_site();
                    typed.attrs.push(syn::parse_quote_spanned!(span=> #[allow(non_snake_case)]));
                }
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
