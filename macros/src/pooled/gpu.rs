//! `#[pooled(gpu)]`: which driver, which device, what for; and the tokens of a type that stands for a pool there.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprPath, LitStr, Token};

use super::model::Model;
use crate::crate_path::{larder, private};
use crate::errors::{Errors, Mistake};
use crate::options::Written;
use crate::spelling::nearest;

/// What goes with `gpu`.
pub(super) const OPTIONS: &[&str] =
    &["gpu", "device", "usage", "classes", "max_mb", "priority", "name", "crate"];

pub(super) const TAKES: &str = "`gpu` makes a pool of a device's buffers, which takes `device`, `usage`, `classes`, `max_mb`, `priority` and `name`";

/// A pool of a GPU's buffers.
pub(crate) struct Gpu {
    driver: Driver,
    /// The name that the device is registered under.
    pub(super) device: LitStr,
    /// What the buffers are for, if it is the same for all.
    usage: Option<Usage>,
}

enum Driver {
    /// What larder brings, by its name in `__private`.
    Ours(Ident),
    /// A type that implements `DeviceBackend`.
    Own(ExprPath),
}

enum Usage {
    /// `"STORAGE | COPY_DST"`.
    Names(Vec<Ident>),
    /// An expression.
    Value(Expr),
}

/// What a driver is called, what generated code calls it, and the feature that it needs. Tests of what is said say the same with
/// all of them.
const DRIVERS: &[(&str, &str, &str, bool)] = &[
    ("wgpu", "Wgpu", "gpu-wgpu", cfg!(any(feature = "gpu-wgpu", test))),
    ("cuda", "Cuda", "gpu-cuda", cfg!(any(feature = "gpu-cuda", test))),
];

/// The device where nothing else is said.
const FIRST: &str = "gpu:0";

/// What `gpu` says, with what belongs to it; `None` after a mistake, and for `false`.
pub(super) fn of(option: &Written, written: &[Written], errors: &mut Errors) -> Option<Gpu> {
    let driver = driver(option, errors)?;
    let find = |name: &str| written.iter().find(|other| other.name == name);
    let device = find("device").and_then(|option| option.word("the name of a device in quotes", errors));
    let device = device.unwrap_or_else(|| LitStr::new(FIRST, option.name.span()));
    let usage = find("usage").and_then(|option| usage(option, errors));
    Some(Gpu { driver, device, usage })
}

fn driver(option: &Written, errors: &mut Errors) -> Option<Driver> {
    if let Some(path) = option.path() {
        if cfg!(not(any(feature = "device", test))) {
            errors
                .over(path, &Mistake::FeatureOff { option: "gpu".to_owned(), feature: "device".to_owned() });
            return None;
        }
        return Some(Driver::Own(path.clone()));
    }
    let (name, at) = match option.text_or_switch("a name in quotes or the path of a driver", errors)? {
        Ok(text) => (text.value(), text.span()),
        Err(true) => ("wgpu".to_owned(), option.name.span()),
        Err(false) => return None,
    };
    let Some((_, ours, feature, enabled)) = DRIVERS.iter().find(|(known, ..)| *known == name) else {
        let hint = match nearest(&name, DRIVERS.iter().map(|(known, ..)| *known)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "there are \"wgpu\" and \"cuda\"; a driver of your own goes by its path, without quotes"
                .to_owned(),
        };
        errors.at(at, &Mistake::UnknownGpu { gpu: name, hint });
        return None;
    };
    if !enabled {
        let option = if option.text().is_some() { format!("gpu = \"{name}\"") } else { "gpu".to_owned() };
        errors.at(at, &Mistake::FeatureOff { option, feature: (*feature).to_owned() });
        return None;
    }
    Some(Driver::Ours(Ident::new(ours, Span::mixed_site().located_at(at))))
}

fn usage(option: &Written, errors: &mut Errors) -> Option<Usage> {
    let Some(text) = option.text() else { return Some(Usage::Value(option.value.clone())) };
    let names = Punctuated::<Ident, Token![|]>::parse_separated_nonempty;
    match text.parse::<TokenStream>().and_then(|tokens| names.parse2(tokens)) {
        Ok(names) => Some(Usage::Names(names.into_iter().collect())),
        Err(_) => {
            errors.over(text, &Mistake::NotAUsage { text: text.value() });
            None
        }
    }
}

impl Gpu {
    /// At the path of a driver of the user's.
    fn place(&self, span: Span) -> Span {
        match &self.driver {
            Driver::Ours(_) => span,
            Driver::Own(path) => span.located_at(path.span()),
        }
    }

    fn backend(&self) -> TokenStream {
        match &self.driver {
            Driver::Ours(name) => {
                let p = private(name.span());
                quote_spanned!(name.span()=> #p::#name)
            }
            Driver::Own(path) => path.to_token_stream(),
        }
    }
}

/// The impl block of a type that stands for a pool of a GPU's buffers.
pub(super) fn expand(model: &Model, gpu: &Gpu, descriptor: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let (larder, p) = (larder(span), private(span));
    let Model { vis, ident, options, .. } = model;
    let backend = gpu.backend();
    let device = &gpu.device;
    let classes = match &options.classes {
        Some(classes) => quote_spanned!(span=> &#classes),
        None => quote_spanned!(span=> &[]),
    };
    // Where what is no driver is said to be none.
    let at = gpu.place(span);
    let (at_larder, at_p) = (crate::crate_path::larder(at), private(at));
    let of_backend = quote_spanned!(at=> <#backend as #at_larder::device::DeviceBackend>::Usage);
    let lease = quote_spanned!(at=> #at_larder::device::DeviceLease<#backend>);
    let pool = quote_spanned!(at=> #at_larder::device::DevicePool<#backend>);
    let to_order = quote_spanned!(at=> #at_larder::device::ToOrder<#backend>);
    let site = quote_spanned!(at=> #at_p::DeviceSite<#backend>);
    let site_new = quote_spanned!(at=> #at_p::DeviceSite::new);
    let (parameter, usage) = match &gpu.usage {
        None => (quote_spanned!(span=> usage: #of_backend,), quote_spanned!(span=> usage)),
        Some(Usage::Value(value)) => (TokenStream::new(), value.to_token_stream()),
        Some(Usage::Names(names)) => {
            let usage = quote_spanned! {span=> {
                type __Usage = #of_backend;
                #(__Usage::#names)|*
            }};
            (TokenStream::new(), usage)
        }
    };
    let acquire_docs = format!(
        " Takes a buffer of at least `len` bytes from the pool, for work that is given to `order`; it goes back when its lease is \
         dropped and `{}` is done with it.",
        device.value()
    );
    let error = quote_spanned!(span=> #larder::device::DeviceError);
    // With it the compiler says of the static alone that this is no driver, and without `for<'a>` of the bound as well.
    let is_driver = match &gpu.driver {
        Driver::Ours(_) => None,
        Driver::Own(path) => {
            Some(quote_spanned!(at=> where for<'a> #path: #at_larder::device::DeviceBackend))
        }
    };
    quote_spanned! {span=>
        impl #ident #is_driver {
            #[doc = #acquire_docs]
            #[doc = ""]
            #[doc = " # Errors"]
            #[doc = ""]
            #[doc = " When no device is registered under that name, or it is lost, or has no room for such a buffer."]
            #[allow(dead_code, unreachable_pub, reason = "a pool may be used through `pool()` only")]
            #[track_caller]
            #vis fn acquire(
                len: ::core::primitive::u64,
                #parameter
                order: &impl #to_order,
            ) -> ::core::result::Result<#lease, #error> {
                Self::pool()?.acquire(len, #usage, &#larder::device::ToOrder::to_order(order))
            }

            /// The pool that [`acquire`](Self::acquire) takes buffers from.
            ///
            /// # Errors
            ///
            /// When no device of its driver is registered under that name, or it is lost.
            #[allow(dead_code, unreachable_pub, reason = "not every pool is looked into by hand")]
            #vis fn pool() -> ::core::result::Result<#pool, #error> {
                #p::declare! { static __DESCRIPTOR: #p::Descriptor = #descriptor; }
                static __SITE: #site = #site_new(&__DESCRIPTOR, #device, #classes);
                #at_p::DeviceSite::pool(&__SITE)
            }
        }
    }
}
