//! What one argument gives to the key: what is hashed and compared on the way in, and what is owned on a miss.
//!
//! Told from the type as it is written, because that is all a macro sees.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, Type, TypeImplTrait, TypeParamBound};

use crate::crate_path::{here, larder, private};
use crate::errors::{Errors, Mistake, show};
use crate::signature::{bare, is_empty_tuple, is_function_param, named, search};

/// How a type is a part of a key.
pub(crate) enum Part {
    /// Hashed and compared as it is, owned by a clone.
    Value(Type),
    /// An unsized type behind a reference, and what owns it.
    Ref {
        /// `str`
        borrowed: Type,
        /// `String`
        owned: TokenStream,
    },
    /// `[T]` behind a reference, owned by a vector.
    Slice(Type),
    /// A float, by its bits.
    Float {
        /// `Bits32` or `Bits64`.
        bits: &'static str,
        /// Where the float was written.
        span: Span,
    },
    /// What is behind a reference.
    Deref(Box<Part>),
    /// What is behind a smart pointer such as `Cow`.
    Smart(Box<Part>),
    /// What an `impl AsRef<T>` turns into.
    AsRef(Type, Box<Part>),
    /// The object that a method is called on.
    Receiver {
        /// Where `self` was written.
        span: Span,
    },
    /// Maybe a part.
    Option(Box<Part>),
    /// Several parts.
    Tuple(Vec<Part>),
}

/// The argument that a part is made of, for messages.
pub(crate) struct Argument<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its whole type.
    pub(crate) ty: &'a Type,
    /// What the function's type parameters stand for.
    pub(crate) generics: &'a Generics,
}

impl Part {
    /// What an argument of this type gives to the key; `None` after a mistake.
    pub(crate) fn of(ty: &Type, argument: &Argument<'_>, errors: &mut Errors) -> Option<Self> {
        let ty = bare(ty);
        match ty {
            Type::Reference(reference) if reference.mutability.is_some() => {
                errors.over(ty, &Mistake::MutArgument { name: argument.name.to_owned() });
                None
            }
            Type::Reference(reference) => {
                Some(Self::Deref(Box::new(Self::behind(&reference.elem, argument, errors)?)))
            }
            Type::ImplTrait(impl_trait) => Self::of_impl(impl_trait, argument, errors),
            Type::Tuple(tuple) if !is_empty_tuple(ty) && tuple.elems.len() <= 12 => {
                // All mistakes, not only the first.
                let parts: Vec<_> = tuple.elems.iter().map(|part| Self::of(part, argument, errors)).collect();
                parts.into_iter().collect::<Option<_>>().map(Self::Tuple)
            }
            _ => match named(ty, &["f32", "f64", "Option", "Cow"]) {
                Some((name, args)) if args.is_empty() && name == "f32" => {
                    Some(Self::Float { bits: "Bits32", span: ty.span() })
                }
                Some((name, args)) if args.is_empty() && name == "f64" => {
                    Some(Self::Float { bits: "Bits64", span: ty.span() })
                }
                Some((name, args)) if args.len() == 1 && name == "Option" => {
                    Some(Self::Option(Box::new(Self::of(args[0], argument, errors)?)))
                }
                Some((name, args)) if args.len() == 1 && name == "Cow" => {
                    Some(Self::Smart(Box::new(Self::behind(args[0], argument, errors)?)))
                }
                _ => Self::value(ty, argument, errors).map(Self::Value),
            },
        }
    }

    /// What something of this type gives that is behind a pointer, where unsized types can be.
    fn behind(ty: &Type, argument: &Argument<'_>, errors: &mut Errors) -> Option<Self> {
        let ty = bare(ty);
        if let Type::Slice(slice) = ty {
            return Self::value(&slice.elem, argument, errors).map(Self::Slice);
        }
        match named(ty, &["str", "Path", "OsStr", "CStr"]) {
            Some((name, args)) if args.is_empty() => {
                let span = Span::mixed_site().located_at(ty.span());
                let owned = if name == "str" {
                    quote_spanned!(span=> ::std::string::String)
                } else {
                    quote_spanned!(span=> <#ty as ::std::borrow::ToOwned>::Owned)
                };
                Some(Self::Ref { borrowed: ty.clone(), owned })
            }
            _ => Self::of(ty, argument, errors),
        }
    }

    /// `impl AsRef<T>` is what `T` is. With other traits the result may depend on more than that.
    fn of_impl(ty: &TypeImplTrait, argument: &Argument<'_>, errors: &mut Errors) -> Option<Self> {
        let mut target = None;
        for bound in &ty.bounds {
            let TypeParamBound::Trait(bound) = bound else { continue };
            let path = Type::Path(syn::TypePath { attrs: Vec::new(), qself: None, path: bound.path.clone() });
            let last =
                bound.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            match (last.as_str(), named(&path, &["AsRef"])) {
                ("Fn" | "FnMut" | "FnOnce", _) => {
                    errors.over(ty, &Mistake::FnArgument { name: argument.name.to_owned() });
                    return None;
                }
                ("Send" | "Sync" | "Copy" | "Clone" | "Unpin" | "Sized", _) => {}
                (_, Some((_, args))) if args.len() == 1 && target.is_none() => target = Some(args[0].clone()),
                _ => {
                    target = None;
                    break;
                }
            }
        }
        let Some(target) = target else {
            errors.over(ty, &Mistake::ImplArgument { name: argument.name.to_owned(), ty: show(ty) });
            return None;
        };
        let part = Self::behind(&target, argument, errors)?;
        Some(Self::AsRef(target, Box::new(part)))
    }

    /// A type that is owned as it is: it must not borrow, nor be what has no `Eq`.
    fn value(ty: &Type, argument: &Argument<'_>, errors: &mut Errors) -> Option<Type> {
        let found = search(ty);
        let name = argument.name.to_owned();
        let mistake = if is_function_param(ty, argument.generics) {
            Mistake::FnArgument { name }
        } else if found.trait_object {
            Mistake::DynArgument { name }
        } else if found.impl_trait {
            Mistake::ImplArgument { name, ty: show(argument.ty) }
        } else if found.borrow {
            let instead = match bare(argument.ty) {
                Type::Reference(reference) if matches!(bare(&reference.elem), Type::Slice(_)) => {
                    "`&[String]`"
                }
                _ if named(argument.ty, &["Vec"]).is_some() => "`&[String]`",
                _ => "`&str`, `&[T]` or `Option<&T>`, or a type that owns its parts",
            };
            Mistake::BorrowInside { name, ty: show(argument.ty), instead: instead.to_owned() }
        } else if let Some(float) = found.float {
            let bits = if float == "f32" { "Bits32" } else { "Bits64" };
            Mistake::FloatInside { name, ty: show(argument.ty), bits: bits.to_owned() }
        } else {
            return Some(ty.clone());
        };
        errors.over(argument.ty, &mistake);
        None
    }

    /// The type in the key.
    pub(crate) fn owned(&self) -> TokenStream {
        let span = here();
        match self {
            Self::Value(ty) => quote!(#ty),
            Self::Receiver { span } => own_type(*span),
            Self::Ref { owned, .. } => owned.clone(),
            Self::Slice(element) => quote_spanned!(span=> ::std::vec::Vec<#element>),
            Self::Float { bits, span } => {
                let (larder, bits) = (larder(span.resolved_at(here())), syn::Ident::new(bits, *span));
                quote_spanned!(here()=> #larder::#bits)
            }
            Self::Deref(part) | Self::Smart(part) | Self::AsRef(_, part) => part.owned(),
            Self::Option(part) => {
                let part = part.owned();
                quote_spanned!(span=> ::core::option::Option<#part>)
            }
            Self::Tuple(parts) => {
                let parts = parts.iter().map(Self::owned);
                quote_spanned!(here()=> (#(#parts,)*))
            }
        }
    }

    /// Where [`proof`](Self::proof) speaks of the first type that something of this kind is in.
    pub(crate) fn place(&self, is_it: &impl Fn(TokenStream) -> bool) -> Option<Span> {
        match self {
            Self::Value(ty) | Self::Slice(ty) => is_it(ty.to_token_stream()).then(|| ty.span()),
            Self::Receiver { .. } | Self::Ref { .. } | Self::Float { .. } => None,
            Self::Deref(part) | Self::Smart(part) | Self::AsRef(_, part) | Self::Option(part) => {
                part.place(is_it)
            }
            Self::Tuple(parts) => parts.iter().find_map(|part| part.place(is_it)),
        }
    }

    /// The proof that this is a part of a key, with the way to weigh it.
    pub(crate) fn proof(&self) -> TokenStream {
        let p = private(here());
        match self {
            Self::Value(ty) => weighed("weighed_key", ty.span(), ty, ty),
            Self::Receiver { span } => weighed("weighed_receiver", *span, own_type(*span), own_type(*span)),
            Self::Ref { owned, .. } => weighed("weighed_key", here(), owned, owned),
            Self::Slice(element) => weighed("weighed_slice", element.span(), element, self.owned()),
            Self::Float { .. } => {
                let bits = self.owned();
                quote_spanned!(here()=> #p::key::<#bits>())
            }
            Self::Deref(part) | Self::Smart(part) | Self::AsRef(_, part) => part.proof(),
            Self::Option(part) => {
                let part = part.proof();
                quote_spanned!(here()=> #p::option_key(#part))
            }
            Self::Tuple(parts) => {
                let parts = parts.iter().map(Self::proof);
                quote_spanned!(here()=> (#(#parts,)*))
            }
        }
    }

    /// The part of the query that is at this place.
    pub(crate) fn query(&self, place: &Place) -> TokenStream {
        let span = here();
        let p = private(span);
        match self {
            Self::Value(ty) => probed("by_value", ty, &place.borrowed()),
            Self::Receiver { span } => probed("by_value", own_type(*span), &place.borrowed()),
            Self::Ref { borrowed, .. } => query("by_ref", borrowed.span(), borrowed, &place.borrowed()),
            Self::Slice(element) => probed("by_slice", element, &place.borrowed()),
            Self::Float { bits, span } => {
                let (bits, place) = (syn::Ident::new(bits, *span), place.value());
                quote_spanned!(here()=> #p::#bits::new(#place))
            }
            Self::Deref(part) => part.query(&place.dereferenced()),
            Self::Smart(part) => part.query(&Place::at(place.dereferenced().value())),
            Self::AsRef(ty, part) => {
                let place = place.borrowed();
                let reference = quote_spanned!(span=> ::core::convert::AsRef::<#ty>::as_ref(#place));
                part.query(&Place::at(reference).dereferenced())
            }
            Self::Option(part) => {
                let inner = quote_spanned!(span=> __part);
                let (place, part) = (place.borrowed(), part.query(&Place::at(inner.clone()).dereferenced()));
                quote_spanned! {span=>
                    match #place {
                        ::core::option::Option::Some(#inner) => ::core::option::Option::Some(#part),
                        ::core::option::Option::None => ::core::option::Option::None,
                    }
                }
            }
            Self::Tuple(parts) => {
                let parts = parts.iter().enumerate().map(|(idx, part)| part.query(&place.field(idx)));
                quote_spanned!(here()=> (#(#parts,)*))
            }
        }
    }
}

/// `by_ref::<T>(place)`, at the type: where a missing bound is reported.
fn query(function: &str, at: Span, ty: impl quote::ToTokens, place: &TokenStream) -> TokenStream {
    let span = Span::mixed_site().located_at(at);
    let (p, function) = (private(span), syn::Ident::new(function, span));
    quote_spanned!(span=> #p::#function::<#ty>(#place))
}

/// `Keyed::<T>::OF.by_value(place)`: says nothing of a missing bound, which the proof of the key does.
fn probed(method: &str, ty: impl quote::ToTokens, place: &TokenStream) -> TokenStream {
    let span = here();
    let (p, method) = (private(span), syn::Ident::new(method, span));
    quote_spanned!(span=> #p::Keyed::<#ty>::OF.#method(#place))
}

/// `weighed_key::<T, _, _>(..)`, at the type: where a missing bound is reported. With the way to weigh what is `owned`.
fn weighed(function: &str, at: Span, ty: impl quote::ToTokens, owned: impl quote::ToTokens) -> TokenStream {
    let span = Span::mixed_site().located_at(at);
    let (p, function) = (private(span), syn::Ident::new(function, span));
    let own = here();
    let (ops, own_p) = (if function == "weighed_slice" { "slice_ops" } else { "ops" }, private(own));
    let ops = syn::Ident::new(ops, own);
    quote_spanned!(span=> #p::#function::<#ty, _, _>(#own_p::Keyed::<#ty>::OF.#ops(), #own_p::Weighed::<#owned>::NEW.way()))
}

/// `Self` at this place, which means the same whoever writes it.
fn own_type(at: Span) -> TokenStream {
    let own = syn::Ident::new("Self", Span::mixed_site().located_at(at));
    quote!(#own)
}

/// An expression that names a place, and knows whether it is behind a reference.
pub(crate) struct Place {
    tokens: TokenStream,
    /// Whether the place is what `tokens` refers to, and not `tokens` itself.
    behind: bool,
}

impl Place {
    /// The place that an expression names.
    pub(crate) fn at(tokens: TokenStream) -> Self {
        Self { tokens, behind: false }
    }

    /// What the place refers to.
    pub(crate) fn dereferenced(&self) -> Self {
        Self { tokens: self.value(), behind: true }
    }

    fn field(&self, idx: usize) -> Self {
        let (tokens, idx) = (&self.tokens, syn::Index::from(idx));
        Self::at(if self.behind { quote!((*#tokens).#idx) } else { quote!(#tokens.#idx) })
    }

    /// An expression for the place itself.
    fn value(&self) -> TokenStream {
        let tokens = &self.tokens;
        if self.behind { quote!(*#tokens) } else { tokens.clone() }
    }

    /// An expression for a reference to the place: `name`, rather than `&*name`.
    fn borrowed(&self) -> TokenStream {
        let tokens = &self.tokens;
        if self.behind { tokens.clone() } else { quote!(&#tokens) }
    }
}
