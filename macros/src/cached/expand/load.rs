//! The tokens of a miss: the body, and what is around it. It runs between the halves of a load; what an executor is to run
//! is handed over.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned;
use syn::{Pat, Safety, Type};

use super::site::proof_of_value;
use super::{Body, Plan, Variant, found, path_to, return_type};
use crate::cached::key;
use crate::cached::model::{Argument, Model, Returns};
use crate::crate_path::{here, larder, private};
use crate::signature::{Function, bare, named, turbofish};

/// What happens on a miss.
pub(super) fn load(model: &Model, plan: &Plan, variant: Variant) -> TokenStream {
    // Only where a call may be forced there is something more to compile.
    let may_be_forced = variant == Variant::Refresh || model.options.force_if.is_some();
    if model.options.detach.is_some() {
        load_around(model, plan, variant, may_be_forced)
    } else {
        load_in_halves(model, plan, variant, may_be_forced)
    }
}

/// A load with the body between its halves.
fn load_in_halves(model: &Model, plan: &Plan, variant: Variant, may_be_forced: bool) -> TokenStream {
    let span = here();
    let p = private(span);
    let asynchronous = model.function.sig.asyncness.is_some();
    let run = match &plan.body {
        Body::Closure if asynchronous => closure(model),
        Body::Closure => {
            let body = closure(model);
            quote_spanned!(span=> (#body)())
        }
        Body::Inside | Body::Whole | Body::Beside(_) => call(model, plan),
    };
    if !asynchronous && !may_be_forced && variant == Variant::Call {
        return function_load(model, plan).unwrap_or_else(|| whole_load(model, plan, &run));
    }
    let returned = if asynchronous { quote_spanned!(span=> __returned) } else { run.clone() };
    let (found_it, ran) = match (&model.options.cache_if, &model.returns) {
        (None, Returns::Plain { .. }) => {
            (quote_spanned!(span=> __value), quote_spanned!(span=> #p::end(__loading, #returned)))
        }
        (None, Returns::Fallible { .. }) => (
            quote_spanned!(span=> #p::Fallible::from_value(__value)),
            quote_spanned!(span=> #p::try_end(__loading, #returned)),
        ),
        (Some(keep), Returns::Plain { .. }) => (
            quote_spanned!(span=> __value),
            quote_spanned!(span=> #p::Verdict::into_value(#p::try_end(__loading, #p::judge_value(#returned, #keep)))),
        ),
        (Some(keep), Returns::Fallible { .. }) => (
            quote_spanned!(span=> #p::Fallible::from_value(__value)),
            quote_spanned!(span=> #p::Verdict::into_result(#p::try_end(__loading, #p::judge(#returned, #keep)))),
        ),
    };
    let (found_it, ran) = match variant {
        Variant::Status => {
            let larder = larder(span);
            (
                quote_spanned!(span=> (#found_it, #larder::Status::Waited)),
                quote_spanned!(span=> (#ran, #larder::Status::Miss)),
            )
        }
        Variant::Call | Variant::Refresh => (found_it, ran),
    };
    let cache = found(model, plan);
    let begin = match (asynchronous, may_be_forced) {
        (false, false) => "begin",
        (false, true) => "begin_or_refresh",
        (true, false) => "begin_async",
        (true, true) => "begin_async_or_refresh",
    };
    let begin = Ident::new(begin, span);
    if !asynchronous {
        return quote_spanned! {span=>
            #p::apart(move || {
                let __here = #p::here(#cache);
                match #p::#begin(&__here, __miss) {
                    ::core::result::Result::Ok(__value) => #found_it,
                    ::core::result::Result::Err(__loading) => #ran,
                }
            })
        };
    }
    // In a block of ours, so that what is borrowed in its last expression ends before it, as it would not at the end
    // of a block of the user's in an edition before 2024.
    quote_spanned! {span=>
        {
            let __here = #p::here(#cache);
            match #p::#begin(&__here, __miss).await {
                ::core::result::Result::Ok(__value) => #found_it,
                ::core::result::Result::Err(mut __loading) => {
                    let __body = #run;
                    let __returned = #p::polled(&mut __loading, ::core::pin::pin!(__body)).await;
                    #ran
                }
            }
        }
    }
}

/// A load that calls its body, where that is a function which needs nothing but its arguments: all there is to say of most
/// functions. They go along as a tuple, so that what has them is compiled for their types and not for each function.
fn function_load(model: &Model, plan: &Plan) -> Option<TokenStream> {
    let span = here();
    let p = private(span);
    let has_more = model.function.sig.receiver().is_some() || model.options.cache_if.is_some();
    let body = match &plan.body {
        Body::Whole => {
            let instance = turbofish(&model.function.sig.generics);
            quote_spanned!(span=> __larder_body #instance)
        }
        Body::Inside | Body::Beside(_) if !has_more => {
            let count = model.arguments.len();
            let taken: Vec<_> = (0..count).map(|at| format_ident!("__argument_{at}", span = span)).collect();
            let call = call_with(model, plan, &taken);
            quote_spanned!(span=> |(#(#taken,)*)| #call)
        }
        Body::Inside | Body::Beside(_) | Body::Closure => return None,
    };
    let cache = found(model, plan);
    let given: Vec<_> = model.arguments.iter().map(|argument| &argument.ident).collect();
    let load = match model.returns {
        Returns::Plain { .. } => quote_spanned!(span=> load_with),
        Returns::Fallible { .. } => quote_spanned!(span=> try_load_with),
    };
    Some(quote_spanned!(span=> #p::#load(#cache, __miss, (#(#given,)*), #body)))
}

/// A load that calls its body, whatever that is.
fn whole_load(model: &Model, plan: &Plan, run: &TokenStream) -> TokenStream {
    let span = here();
    let p = private(span);
    let cache = found(model, plan);
    match (&model.options.cache_if, &model.returns) {
        (None, Returns::Plain { .. }) => quote_spanned!(span=> #p::load(#cache, __miss, move || #run)),
        (None, Returns::Fallible { .. }) => quote_spanned!(span=> #p::try_load(#cache, __miss, move || #run)),
        (Some(keep), Returns::Plain { .. }) => {
            let judged = quote_spanned!(span=> #p::judge_value(#run, #keep));
            quote_spanned!(span=> #p::Verdict::into_value(#p::try_load(#cache, __miss, move || #judged)))
        }
        (Some(keep), Returns::Fallible { .. }) => {
            let judged = quote_spanned!(span=> #p::judge(#run, #keep));
            quote_spanned!(span=> #p::Verdict::into_result(#p::try_load(#cache, __miss, move || #judged)))
        }
    }
}

/// A load that is given the body, for an executor to run.
fn load_around(model: &Model, plan: &Plan, variant: Variant, may_be_forced: bool) -> TokenStream {
    let span = here();
    let p = private(span);
    let cache_if = &model.options.cache_if;
    let (owned, mut body) = body(model, plan);
    let status = variant == Variant::Status;
    if status || cache_if.is_some() {
        let ran = status.then(|| quote_spanned!(span=> let __ran = ::core::clone::Clone::clone(&__ran);));
        let mark = status.then(|| quote_spanned!(span=> __ran.mark();));
        let value = quote_spanned!(span=> __body.await);
        let value = match (cache_if, &model.returns) {
            (None, _) => value,
            (Some(keep), Returns::Plain { .. }) => quote_spanned!(span=> #p::judge_value(#value, #keep)),
            (Some(keep), Returns::Fallible { .. }) => quote_spanned!(span=> #p::judge(#value, #keep)),
        };
        body = quote_spanned!(span=> { #ran let __body = #body; async move { #mark #value } });
    }
    let fails = cache_if.is_some() || matches!(model.returns, Returns::Fallible { .. });
    let function = match (fails, may_be_forced) {
        (false, false) => "load_detached",
        (false, true) => "load_detached_or_refresh",
        (true, false) => "try_load_detached",
        (true, true) => "try_load_detached_or_refresh",
    };
    let function = Ident::new(function, span);
    let cache = found(model, plan);
    let proof = fails.then(|| returned(model));
    let mut value = quote_spanned!(span=> #p::#function(#cache, __miss, #body, #proof).await);
    if cache_if.is_some() {
        value = match model.returns {
            Returns::Plain { .. } => quote_spanned!(span=> #p::Verdict::into_value(#value)),
            Returns::Fallible { .. } => quote_spanned!(span=> #p::Verdict::into_result(#value)),
        };
    }
    if status {
        value = quote_spanned! {span=>
            let __ran = #p::Ran::new();
            let __value = #value;
            (__value, __ran.status())
        };
    }
    // What a parameter lacks is said here as it is where the cache is found, so that nothing more is said of it.
    let proved = model.function.sig.generics.type_params().next().map(|_| {
        let (keys, value) = (model.key.proofs(), proof_of_value(model));
        quote_spanned!(span=> let _ = (#keys, #value);)
    });
    quote_spanned!(span=> #proved #owned #value)
}

/// The proof of what may be returned in place of a value, at its type: where a missing bound is reported.
fn returned(model: &Model) -> TokenStream {
    let span = here();
    match model.returns {
        Returns::Plain { .. } => {
            let p = private(span);
            quote_spanned!(span=> #p::ReturnedWhole)
        }
        Returns::Fallible { .. } => {
            let ty = return_type(&model.function.sig);
            let first = ty.clone().into_iter().next().map(|token| token.span());
            let at = model.param_in(ty.clone()).or(first).map_or(span, |at| span.located_at(at));
            let p = private(at);
            quote_spanned!(at=> #p::returned::<#ty>())
        }
    }
}

/// The copy of what an argument refers to.
fn copied(model: &Model, argument: &Argument) -> TokenStream {
    let (span, ident) = (here(), &argument.ident);
    let Type::Reference(reference) = bare(&argument.ty) else {
        return quote_spanned!(span=> ::std::borrow::ToOwned::to_owned(#ident));
    };
    let ty = bare(&reference.elem);
    let is_in_key = model.key.labels().iter().any(|label| *ident == label);
    let is_unsized = matches!(ty, Type::Slice(_)) || named(ty, &["str", "Path", "OsStr", "CStr"]).is_some();
    if is_in_key && is_unsized {
        quote_spanned!(span=> ::std::borrow::ToOwned::to_owned(#ident))
    } else if is_in_key {
        // The proof of the key says what it lacks.
        let p = private(span);
        quote_spanned!(span=> #p::Keyed::<#ty>::OF.copied(#ident))
    } else {
        let (at, function, ty) = match ty {
            Type::Slice(slice) => (slice.elem.span(), "copied_slice", &*slice.elem),
            _ if is_unsized => return quote_spanned!(span=> ::std::borrow::ToOwned::to_owned(#ident)),
            ty => (ty.span(), "copied", ty),
        };
        let at = span.located_at(at);
        let (p, function) = (private(at), Ident::new(function, at));
        quote_spanned!(at=> #p::#function::<#ty>(#ident))
    }
}

/// Whether a body that outlives the call has its own copy of what this argument refers to.
fn is_copied(model: &Model, argument: &Argument) -> bool {
    model.options.detach.is_some() && argument.is_reference
}

/// A call of the body, where it is a function.
fn call(model: &Model, plan: &Plan) -> TokenStream {
    let span = here();
    let own = model.function.sig.receiver().map(|receiver| key::self_ident(receiver).to_token_stream());
    let others = model.arguments.iter().map(|argument| {
        let ident = &argument.ident;
        if is_copied(model, argument) { quote_spanned!(span=> &#ident) } else { ident.to_token_stream() }
    });
    let arguments: Vec<_> = own.into_iter().chain(others).collect();
    call_with(model, plan, &arguments)
}

/// [`call`], with these arguments.
fn call_with<T: ToTokens>(model: &Model, plan: &Plan, arguments: &[T]) -> TokenStream {
    let span = here();
    let sig = &model.function.sig;
    let instance = turbofish(&sig.generics);
    let function = match &plan.body {
        Body::Beside(ident) => path_to(model, ident),
        Body::Inside | Body::Whole | Body::Closure => Ident::new("__larder_body", span).to_token_stream(),
    };
    let call = quote_spanned!(span=> #function #instance(#(#arguments),*));
    match sig.safety {
        // The caller made the promises that the body asks for.
        Safety::Unsafe(_) => quote_spanned!(span=> unsafe { #call }),
        _ => call,
    }
}

/// The body as something that can be polled anywhere; before it, what makes its arguments its own.
fn body(model: &Model, plan: &Plan) -> (TokenStream, TokenStream) {
    let span = here();
    let copied: Vec<_> = model.arguments.iter().filter(|argument| is_copied(model, argument)).collect();
    let idents: Vec<_> = copied.iter().map(|argument| &argument.ident).collect();
    let copies: Vec<_> = copied.iter().map(|argument| self::copied(model, argument)).collect();
    let owned = quote_spanned!(span=> #(let #idents = #copies;)*);
    let body = match &plan.body {
        Body::Closure => closure(model),
        Body::Inside | Body::Whole | Body::Beside(_) => {
            let call = call(model, plan);
            if copied.is_empty() { call } else { quote_spanned!(span=> async move { #call.await }) }
        }
    };
    (owned, body)
}

/// The body in place.
fn closure(model: &Model) -> TokenStream {
    let ty = return_type(&model.function.sig);
    in_place(&model.function, &model.arguments, &ty, model.options.detach.is_some())
}

/// The body of a function as a closure, or as a future, that returns `ty`. With `copies` it has what its references
/// refer to.
pub(crate) fn in_place(
    function: &Function,
    arguments: &[Argument],
    ty: &TokenStream,
    copies: bool,
) -> TokenStream {
    let span = here();
    let Function { sig, body, .. } = function;
    let mut lets = TokenStream::new();
    for argument in arguments {
        let (attrs, pattern, ident) = (&argument.attrs, &argument.pattern, &argument.ident);
        if copies && argument.is_reference {
            let ty = without_lifetime(&argument.ty);
            lets.extend(quote_spanned!(span=> let #ident: #ty = &#ident;));
        }
        match pattern {
            Pat::Ident(pat) if pat.mutability.is_none() && pat.ident == *ident => {}
            Pat::Wild(_) => {}
            pattern => lets.extend(quote_spanned!(span=> #(#attrs)* let #pattern = #ident;)),
        }
    }
    // Behind something else in a block, braces that are the user's would be called unnecessary.
    let mut block = body.clone();
    block.set_span(span.located_at(body.span()));
    if sig.asyncness.is_some() {
        let p = private(span);
        // Says what type the block has: `?` in it can't tell.
        quote_spanned! {span=>
            async move {
                if false {
                    return #p::never::<#ty>();
                }
                #lets
                #block
            }
        }
    } else if lets.is_empty() {
        quote_spanned!(span=> move || -> #ty #body)
    } else {
        quote_spanned!(span=> move || -> #ty { #lets #block })
    }
}

fn without_lifetime(ty: &Type) -> Type {
    let mut ty = bare(ty).clone();
    if let Type::Reference(reference) = &mut ty {
        reference.lifetime = None;
    }
    ty
}
