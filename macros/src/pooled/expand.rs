//! The tokens that stand beside a pooled type: `acquire()` and `pool()`.

use std::time::Duration;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, parse_quote_spanned};

use super::gpu;
use super::model::{Exhausted, Model, Options};
use crate::crate_path::{larder, private};

/// The impl block.
pub(crate) fn expand(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    let (larder, p) = (larder(span), private(span));
    let Model { vis, ident, generics, options } = model;
    if options.is_buffer {
        return buffers(model);
    }
    if let Some(gpu) = &options.gpu {
        return gpu::expand(model, gpu, &descriptor(ident, options));
    }
    let at_type = span.located_at(ident.span());
    let proof = {
        let p = private(at_type);
        if options.is_on_thread {
            quote_spanned!(at_type=> #p::poolable_on_thread::<Self>())
        } else {
            quote_spanned!(at_type=> #p::poolable::<Self>())
        }
    };
    let mut generics = generics.clone();
    let is_generic = !generics.params.is_empty();
    if is_generic {
        // Only the user of the type knows whether this instance can be pooled.
        let bounds = &mut generics.make_where_clause().predicates;
        if options.is_on_thread {
            bounds.push(parse_quote_spanned!(at_type=> Self: 'static));
        } else {
            bounds.push(parse_quote_spanned!(at_type=> Self: #p::Poolable));
        }
        if options.new.is_none() && options.try_new.is_none() {
            bounds.push(parse_quote_spanned!(at_type=> Self: #p::DefaultMake));
        }
    }
    let (params, arguments, bounds) = generics.split_for_impl();
    let (descriptor, recipe) = (descriptor(ident, options), recipe(options, at_type));
    let docs = if options.refuses() {
        format!(" The pool that [`try_acquire`](Self::try_acquire) takes a `{ident}` from.")
    } else {
        format!(" The pool that [`acquire`](Self::acquire) takes a `{ident}` from.")
    };
    let acquire_docs =
        format!(" Takes a `{ident}` from its pool, or makes one; it goes back when the lease is dropped.");
    let (refuses, acquire) = if options.refuses() {
        let error = match &options.try_new {
            Some(_) => quote_spanned!(span=> #p::BoxError),
            None => quote_spanned!(span=> ::core::convert::Infallible),
        };
        let errors_docs =
            " When all are lent and the pool's rule says so, when it is closed, or the constructor fails.";
        let acquire = quote_spanned! {span=>
            #[doc = #acquire_docs]
            #[doc = ""]
            #[doc = " # Errors"]
            #[doc = ""]
            #[doc = #errors_docs]
            #[allow(dead_code, unreachable_pub, reason = "a pool may be used through `pool()` only")]
            #[inline]
            #[track_caller]
            #vis fn try_acquire() -> ::core::result::Result<#larder::Pooled<Self>, #larder::AcquireError<#error>> {
                Self::pool().try_acquire()
            }
        };
        (quote_spanned!(span=> #larder::Sometimes<#error>), acquire)
    } else {
        let acquire = quote_spanned! {span=>
            #[doc = #acquire_docs]
            #[allow(dead_code, unreachable_pub, reason = "a pool may be used through `pool()` only")]
            #[must_use]
            #[inline]
            #[track_caller]
            #vis fn acquire() -> #larder::Pooled<Self> {
                Self::pool().acquire()
            }
        };
        (quote_spanned!(span=> #larder::Always), acquire)
    };
    let weighed = quote_spanned!(span=> #proof.weighed(#p::weigher!(Self)));
    let site = quote_spanned! {span=>
        static __SITE: #p::Site = #p::Site::new(&__DESCRIPTOR);
    };
    let (returned, found) = if options.is_on_thread {
        let found = quote_spanned! {span=>
            #site
            ::std::thread_local! {
                static __POOLS: #p::ThreadPools = const { #p::ThreadPools::new() };
            }
            __SITE.pool_of_thread(&__POOLS, #weighed, || #recipe, || ())
        };
        (quote_spanned!(span=> ::std::rc::Rc<#larder::Pool<Self, #refuses>>), found)
    } else {
        let found = if is_generic {
            quote_spanned!(span=> #site __SITE.pool(#weighed, || #recipe, || ()))
        } else {
            quote_spanned! {span=>
                static __POOL: #p::SinglePool<#ident, #refuses> = #p::SinglePool::new(&__DESCRIPTOR);
                match __POOL.get() {
                    ::core::option::Option::Some(__pool) => __pool,
                    ::core::option::Option::None => __POOL.first(#weighed, || #recipe),
                }
            }
        };
        (quote_spanned!(span=> &'static #larder::Pool<Self, #refuses>), found)
    };
    quote_spanned! {span=>
        impl #params #ident #arguments #bounds {
            #acquire

            #[doc = #docs]
            #[allow(dead_code, unreachable_pub, reason = "not every pool is looked into by hand")]
            #[must_use]
            #[inline]
            #vis fn pool() -> #returned {
                #p::declare! { static __DESCRIPTOR: #p::Descriptor = #descriptor; }
                #found
            }
        }
    }
}

/// The impl block of a type that stands for a pool of byte buffers.
fn buffers(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    let (larder, p) = (larder(span), private(span));
    let Model { vis, ident, options, .. } = model;
    let descriptor = descriptor(ident, options);
    let classes = match &options.classes {
        Some(classes) => quote_spanned!(span=> &#classes),
        None => quote_spanned!(span=> &[]),
    };
    let align = Literal::u64_unsuffixed(options.align.unwrap_or(4096));
    quote_spanned! {span=>
        impl #ident {
            /// Takes an empty buffer with room for at least `len` bytes from the pool; it goes back when it is dropped.
            #[allow(dead_code, unreachable_pub, reason = "a pool may be used through `pool()` only")]
            #[must_use]
            #vis fn acquire(len: ::core::primitive::usize) -> #larder::Buffer {
                Self::pool().acquire(len)
            }

            /// The pool that [`acquire`](Self::acquire) takes buffers from.
            #[allow(dead_code, unreachable_pub, reason = "not every pool is looked into by hand")]
            #[must_use]
            #vis fn pool() -> &'static #larder::BufferPool {
                #p::declare! { static __DESCRIPTOR: #p::Descriptor = #descriptor; }
                static __SITE: #p::BufferSite = #p::BufferSite::new(&__DESCRIPTOR, #classes, #align);
                __SITE.pool()
            }
        }
    }
}

/// The static facts of an item of this name.
pub(super) fn descriptor(ident: &Ident, options: &Options) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let name = match &options.name {
        Some(name) => name.to_token_stream(),
        None => {
            let name = ident.unraw().to_string();
            quote_spanned!(span=> ::core::concat!(::core::module_path!(), "::", #name))
        }
    };
    // At the type's own place, and not at the attribute's.
    let line = quote_spanned!(ident.span()=> ::core::line!());
    let mut said = Vec::new();
    let mut say = |name: &str, value: TokenStream| {
        let name = Ident::new(name, span);
        said.push(quote_spanned!(span=> #name: #value));
    };
    let some = |value: TokenStream| quote_spanned!(span=> ::core::option::Option::Some(#value));
    let number = |number: u64| Literal::u64_unsuffixed(number).to_token_stream();
    let time = |time: Duration| {
        let nanos = number(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        quote_spanned!(span=> ::core::time::Duration::from_nanos(#nanos))
    };
    for (name, bound) in [
        ("max", options.max),
        ("max_idle", options.max_idle),
        ("max_bytes", options.max_bytes),
        ("max_object_bytes", options.max_object_bytes),
    ] {
        if let Some(bound) = bound {
            say(name, some(number(bound)));
        }
    }
    if let Some(objects) = options.min_idle {
        say("min_idle", number(objects));
    }
    if let Some(priority) = options.priority {
        say("priority", Literal::f64_unsuffixed(priority).to_token_stream());
    }
    for (name, most) in
        [("idle", options.idle), ("idle_soft", options.idle_soft), ("lifetime", options.lifetime)]
    {
        if let Some(most) = most {
            say(name, some(time(most)));
        }
    }
    if let Some(jitter) = options.jitter {
        say("jitter", some(Literal::f64_unsuffixed(jitter).to_token_stream()));
    }
    if options.is_fifo {
        say("fifo", quote!(true));
    }
    if options.validates_on_acquire {
        say("validate_on_acquire", quote!(true));
    }
    if let Some(gpu) = &options.gpu {
        say("device", some(gpu.device.to_token_stream()));
    }
    match options.exhausted {
        Exhausted::Create => {}
        Exhausted::Fail => say("exhausted", quote_spanned!(span=> #p::Exhausted::Fail)),
        Exhausted::Wait(most) => {
            let most = match most {
                Some(most) => some(time(most)),
                None => quote_spanned!(span=> ::core::option::Option::None),
            };
            say("exhausted", quote_spanned!(span=> #p::Exhausted::Wait(#most)));
        }
    }
    let rules = if said.is_empty() {
        quote_spanned!(span=> #p::PooledOptions::DEFAULT)
    } else {
        quote_spanned!(span=> #p::PooledOptions { #(#said,)* ..#p::PooledOptions::DEFAULT })
    };
    quote_spanned! {span=>
        #p::Descriptor::pooled(#name, ::core::file!(), #line, #rules)
    }
}

/// The user's functions.
fn recipe(options: &Options, at_type: Span) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    // As a pointer first: so the compiler says what is wrong with a constructor once, and at the constructor.
    let made = |new: &TokenStream| {
        quote_spanned! {span=>
            #p::Recipe::<Self>::new({
                let __new: fn() -> Self = #new;
                __new
            })
        }
    };
    let made = match (&options.try_new, &options.new) {
        (Some(open), _) => quote_spanned!(span=> #p::Recipe::<Self>::trying_any(#open)),
        (None, Some(new)) => made(&new.to_token_stream()),
        (None, None) => {
            let default = {
                let p = private(at_type);
                quote_spanned!(at_type=> #p::default_of::<Self>)
            };
            made(&default)
        }
    };
    let rest = weigh_and_trim(options, &quote!(Self));
    // `at_once` asks it when an object comes back.
    let validate = if options.validates_on_acquire { validate(options, &quote!(Self)) } else { None };
    let at_once = at_once(options);
    quote_spanned!(span=> #made #rest #validate #at_once)
}

/// All that is done with an object that comes back, in one function that the compiler can see through.
fn at_once(options: &Options) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let reset = options.reset.as_ref().map(|reset| {
        let at_reset = Span::mixed_site().located_at(reset.span());
        let keep = {
            let keep = Ident::new("keep", at_reset);
            quote_spanned!(at_reset=> #p::#keep(__reset(__object)))
        };
        quote_spanned! {span=>
            let __reset: fn(&mut Self) -> _ = #reset;
            if !#keep {
                return ::core::option::Option::None;
            }
        }
    });
    let validate = options.validate.as_ref().map(|validate| {
        quote_spanned! {span=>
            let __validate: fn(&Self) -> ::core::primitive::bool = #validate;
            if !__validate(__object) {
                return ::core::option::Option::None;
            }
        }
    });
    let heap = match &options.weigh {
        Some(weigh) => quote_spanned! {span=> {
            let __weigh: fn(&Self) -> ::core::primitive::u64 = #weigh;
            #p::heap_of(__object, __weigh(__object))
        }},
        None => quote_spanned!(span=> (#p::weigher!(Self).heap)(__object)),
    };
    if reset.is_none() && validate.is_none() && options.weigh.is_none() {
        return quote_spanned!(span=> .weighed_at_once(|__object| ::core::option::Option::Some(#heap)));
    }
    quote_spanned! {span=>
        .at_once(|__object| {
            #reset
            #validate
            ::core::option::Option::Some(#heap)
        })
    }
}

/// Everything of a recipe but how objects are made.
pub(super) fn functions(options: &Options, object: &TokenStream) -> TokenStream {
    let (reset, validate, rest) =
        (reset(options, object), validate(options, object), weigh_and_trim(options, object));
    quote_spanned!(Span::mixed_site()=> #reset #validate #rest)
}

fn validate(options: &Options, object: &TokenStream) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let ty = quote_spanned!(span=> fn(&#object) -> ::core::primitive::bool);
    options
        .validate
        .as_ref()
        .map(|validate| with("validate", validate, &ty, &quote_spanned!(span=> __object)))
}

fn weigh_and_trim(options: &Options, object: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let weigh = options.weigh.as_ref().map(|weigh| {
        let ty = quote_spanned!(span=> fn(&#object) -> ::core::primitive::u64);
        with("weigh", weigh, &ty, &quote_spanned!(span=> __object))
    });
    let trim = options.trim_to.as_ref().map(|trim| {
        let ty = quote_spanned!(span=> fn(&mut #object, ::core::primitive::u64));
        with("trim", trim, &ty, &quote_spanned!(span=> __object, __bytes))
    });
    quote_spanned!(span=> #weigh #trim)
}

/// A function of the user's as the recipe takes it. The annotation tells closures the types of their arguments.
fn with(name: &str, function: &Expr, ty: &TokenStream, arguments: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let name = Ident::new(name, span);
    quote_spanned! {span=>
        .#name(|#arguments| {
            let __function: #ty = #function;
            __function(#arguments)
        })
    }
}

/// The user's reset with its outcome as a bool, as the recipe takes it. The annotation tells a closure the type of its argument.
fn reset(options: &Options, object: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    match &options.reset {
        Some(reset) => {
            let at_reset = Span::mixed_site().located_at(reset.span());
            let keep = {
                let keep = Ident::new("keep", at_reset);
                quote_spanned!(at_reset=> #p::#keep(__reset(__object)))
            };
            quote_spanned! {span=>
                .reset(|__object| {
                    let __reset: fn(&mut #object) -> _ = #reset;
                    #keep
                })
            }
        }
        None => TokenStream::new(),
    }
}
