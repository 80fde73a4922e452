//! `#[derive(Weigh)]`: the heap bytes of a type are those of its fields.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{
    Attribute, ExprPath, Fields, Generics, Item, Meta, Path, Token, Type, TypePath, parse_quote_spanned,
};

use crate::crate_path::{self, larder};
use crate::errors::{Errors, Mistake};
use crate::parts::{Part, parts};
use crate::signature::{bare, named};
use crate::spelling::nearest;

/// The impl, or what is wrong.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item = match syn::parse2::<Item>(item) {
        Ok(item) => item,
        Err(error) => return error.to_compile_error(),
    };
    let path = match &item {
        Item::Struct(item) => crate_path_in(&item.attrs),
        Item::Enum(item) => crate_path_in(&item.attrs),
        _ => None,
    };
    crate_path::renamed(path.as_ref(), || derive_for(&item))
}

/// The path in `#[weigh(crate = path)]` above the type.
fn crate_path_in(attrs: &[Attribute]) -> Option<Path> {
    attrs.iter().filter(|attr| attr.path().is_ident("weigh")).find_map(|attr| {
        attr.parse_args_with(|input: ParseStream<'_>| {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            input.call(Path::parse_mod_style)
        })
        .ok()
    })
}

fn derive_for(item: &Item) -> TokenStream {
    let mut errors = Errors::default();
    let (ident, generics, body) = match item {
        Item::Struct(item) => {
            no_attribute_but_crate(&item.attrs, &mut errors);
            let variant = Variant::of(quote!(Self), &item.fields, &mut errors);
            (&item.ident, &item.generics, vec![variant])
        }
        Item::Enum(item) => {
            no_attribute_but_crate(&item.attrs, &mut errors);
            let variants = item.variants.iter().map(|variant| {
                no_attribute(&variant.attrs, &mut errors);
                let ident = &variant.ident;
                Variant::of(quote!(Self::#ident), &variant.fields, &mut errors)
            });
            let variants = variants.collect();
            (&item.ident, &item.generics, variants)
        }
        Item::Union(item) => {
            errors.at(item.ident.span(), &Mistake::WeighUnion { name: item.ident.to_string() });
            return quote!(#errors);
        }
        // The compiler lets a derive stand on nothing else.
        _ => return TokenStream::new(),
    };
    let expanded = expand(ident, generics, &body);
    quote!(#expanded #errors)
}

fn no_attribute_but_crate(attrs: &[Attribute], errors: &mut Errors) {
    if crate_path_in(attrs).is_none() {
        no_attribute(attrs, errors);
    }
}

/// A variant of an enum, or the one form of a struct.
struct Variant<'a> {
    /// How it is named in a pattern.
    path: TokenStream,
    /// Its fields with how each is weighed.
    fields: Vec<(TokenStream, &'a Type, How)>,
}

/// How a field is weighed.
enum How {
    /// By its own `Weigh`.
    Trait,
    /// As nothing.
    Skip,
    /// By a function.
    With(ExprPath),
}

impl<'a> Variant<'a> {
    fn of(path: TokenStream, fields: &'a Fields, errors: &mut Errors) -> Self {
        let fields = fields.iter().enumerate().map(|(idx, field)| {
            let member = match &field.ident {
                Some(ident) => quote!(#ident),
                None => syn::Index::from(idx).into_token_stream(),
            };
            (member, &field.ty, How::of(&field.attrs, errors))
        });
        Self { path, fields: fields.collect() }
    }
}

impl How {
    fn of(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut how = None;
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("weigh")) {
            let list = match &attr.meta {
                Meta::List(list) if !list.tokens.is_empty() => list,
                _ => {
                    errors.over(attr, &Mistake::WeighEmpty {});
                    continue;
                }
            };
            let read = list.parse_args_with(|input: ParseStream<'_>| {
                while !input.is_empty() {
                    let written: Ident = input.parse()?;
                    let next = read_one(&written, input, errors)?;
                    if how.is_some() && next.is_some() {
                        errors.at(written.span(), &Mistake::WeighTwice {});
                    }
                    how = how.take().or(next);
                    if !input.is_empty() {
                        input.parse::<Token![,]>()?;
                    }
                }
                Ok(())
            });
            if let Err(error) = read {
                errors.syntax(error);
            }
        }
        how.unwrap_or(Self::Trait)
    }
}

fn read_one(option: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Option<How>> {
    let has_value = input.parse::<Option<Token![=]>>()?.is_some();
    let value = if has_value { Some(input.parse::<syn::Expr>()?) } else { None };
    match (option.to_string().as_str(), value) {
        ("skip", None) => Ok(Some(How::Skip)),
        ("skip", Some(value)) => {
            errors.over(value, &Mistake::WeighSkipValue {});
            Ok(None)
        }
        ("with", Some(syn::Expr::Path(path))) => Ok(Some(How::With(path))),
        ("with", value) => {
            let (option, example) = ("with".to_owned(), "with = pixels_bytes".to_owned());
            match value {
                Some(value) => {
                    let takes = "a path to a function".to_owned();
                    errors.over(value, &Mistake::WrongKind { option, takes, example });
                }
                None => errors.at(input.span(), &Mistake::NoValue { option, example }),
            }
            Ok(None)
        }
        (option_name, _) => {
            let hint = match nearest(option_name, ["skip", "with"]) {
                Some(word) => format!("did you mean `{word}`?"),
                None => "`#[weigh]` takes skip, with".to_owned(),
            };
            errors.at(option.span(), &Mistake::UnknownOption { option: option_name.to_owned(), hint });
            Ok(None)
        }
    }
}

/// Types and variants have no options.
fn no_attribute(attrs: &[Attribute], errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("weigh")) {
        errors.over(attr, &Mistake::WeighNotOnField {});
    }
}

fn expand(ident: &Ident, generics: &Generics, variants: &[Variant<'_>]) -> TokenStream {
    let span = Span::mixed_site();
    let larder = larder(span);
    let mut bounded = generics.clone();
    let bounds = &mut bounded.make_where_clause().predicates;
    let mut seen = Vec::new();
    for (_, ty, how) in variants.iter().flat_map(|variant| &variant.fields) {
        if !matches!(how, How::Trait) || matches!(bare(ty), Type::Reference(_)) {
            continue;
        }
        for bound in bounded_types(ty, generics) {
            let text = bound.to_token_stream().to_string();
            if !seen.contains(&text) {
                seen.push(text);
                bounds.push(parse_quote_spanned!(span=> #bound: #larder::Weigh));
            }
        }
    }
    let (params, _, bounds) = bounded.split_for_impl();
    let (_, arguments, _) = generics.split_for_impl();
    let body = if variants.is_empty() {
        quote_spanned!(span=> match *self {})
    } else {
        let arms = variants.iter().map(arm);
        quote_spanned!(span=> match self { #(#arms)* })
    };
    quote_spanned! {span=>
        #[automatically_derived]
        impl #params #larder::Weigh for #ident #arguments #bounds {
            fn heap_bytes(&self) -> ::core::primitive::u64 {
                #body
            }
        }
    }
}

fn arm(variant: &Variant<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let larder = larder(span);
    let mut members = Vec::new();
    let mut bytes = Vec::new();
    for (idx, (member, ty, how)) in variant.fields.iter().enumerate() {
        let field = format_ident!("field{idx}", span = span);
        // At the type, where a missing `Weigh` is reported.
        let at_type = span.located_at(ty.span());
        bytes.push(match how {
            How::Skip => continue,
            // What a reference points to belongs to somebody else, however long it lives.
            How::Trait if matches!(bare(ty), Type::Reference(_)) => continue,
            How::Trait => quote_spanned!(at_type=> <#ty as #larder::Weigh>::heap_bytes(#field)),
            How::With(path) => quote_spanned!(at_type=> #path(#field)),
        });
        members.push(quote!(#member: #field));
    }
    let path = &variant.path;
    let bytes = if bytes.is_empty() { quote!(0) } else { quote!(#(#bytes)+*) };
    quote_spanned!(span=> #path { #(#members,)* .. } => #bytes,)
}

/// The type parameters in a field's type, and what is projected from them: what has to be weighed as well.
fn bounded_types(ty: &Type, generics: &Generics) -> Vec<TypePath> {
    let mut found = Vec::new();
    find_bounded_types(ty, generics, &mut found);
    found
}

fn find_bounded_types(ty: &Type, generics: &Generics, found: &mut Vec<TypePath>) {
    // A `PhantomData` holds nothing of its parameter.
    if named(ty, &["PhantomData"]).is_some() {
        return;
    }
    let ty = bare(ty);
    if let Type::Path(path) = ty
        && path.qself.is_none()
        && let Some(first) = path.path.segments.first()
        && generics.type_params().any(|param| first.ident == param.ident)
    {
        found.push(path.clone());
        return;
    }
    parts(ty, &mut |part| match part {
        Part::Type(ty) | Part::OfFunction(ty) => find_bounded_types(ty, generics, found),
        Part::Lifetime(_) => {}
    });
}
