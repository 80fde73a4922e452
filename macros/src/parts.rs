//! What a type is written of, one level deep. `syn`'s visitor would do the same for whole programs, and take a build as long
//! again as all that is done with it here.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, GenericParam, Lifetime, Path, PathArguments, ReturnType,
    Token, Type, TypeParamBound,
};

/// What stands right inside a type.
pub(crate) enum Part<'a> {
    Type(&'a Type),
    /// An argument of a function, or what it returns: `fn(A) -> B`, `Fn(A) -> B`.
    OfFunction(&'a Type),
    Lifetime(&'a Lifetime),
}

/// Shows each part of a type, in the order in which they are written. Not what stands in expressions.
pub(crate) fn parts(ty: &Type, see: &mut dyn FnMut(Part<'_>)) {
    match ty {
        Type::Array(array) => see(Part::Type(&array.elem)),
        Type::Group(group) => see(Part::Type(&group.elem)),
        Type::Paren(paren) => see(Part::Type(&paren.elem)),
        Type::Ptr(pointer) => see(Part::Type(&pointer.elem)),
        Type::Slice(slice) => see(Part::Type(&slice.elem)),
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| see(Part::Type(ty))),
        Type::Reference(reference) => {
            if let Some(lifetime) = &reference.lifetime {
                see(Part::Lifetime(lifetime));
            }
            see(Part::Type(&reference.elem));
        }
        Type::FnPtr(function) => {
            function.inputs.iter().for_each(|input| see(Part::OfFunction(&input.ty)));
            output(&function.output, see);
        }
        Type::Path(path) => {
            if let Some(own) = &path.qself {
                see(Part::Type(&own.ty));
            }
            parts_of_path(&path.path, see);
        }
        Type::ImplTrait(ty) => parts_of_bounds(&ty.bounds, see),
        Type::TraitObject(ty) => parts_of_bounds(&ty.bounds, see),
        _ => {}
    }
}

fn output(output: &ReturnType, see: &mut dyn FnMut(Part<'_>)) {
    if let ReturnType::Type(_, ty) = output {
        see(Part::OfFunction(ty));
    }
}

fn parts_of_path(path: &Path, see: &mut dyn FnMut(Part<'_>)) {
    for segment in &path.segments {
        match &segment.arguments {
            PathArguments::None => {}
            PathArguments::AngleBracketed(arguments) => parts_of_arguments(arguments, see),
            PathArguments::Parenthesized(function) => {
                function.inputs.iter().for_each(|input| see(Part::OfFunction(&input.ty)));
                output(&function.output, see);
            }
        }
    }
}

fn parts_of_arguments(arguments: &AngleBracketedGenericArguments, see: &mut dyn FnMut(Part<'_>)) {
    for argument in &arguments.args {
        match argument {
            GenericArgument::Lifetime(lifetime) => see(Part::Lifetime(lifetime)),
            GenericArgument::Type(ty) => see(Part::Type(ty)),
            GenericArgument::AssocType(equal) => {
                if let Some(arguments) = &equal.generics {
                    parts_of_arguments(arguments, see);
                }
                see(Part::Type(&equal.ty));
            }
            GenericArgument::Constraint(bounded) => {
                if let Some(arguments) = &bounded.generics {
                    parts_of_arguments(arguments, see);
                }
                parts_of_bounds(&bounded.bounds, see);
            }
            _ => {}
        }
    }
}

fn parts_of_bounds(bounds: &Punctuated<TypeParamBound, Token![+]>, see: &mut dyn FnMut(Part<'_>)) {
    for bound in bounds {
        match bound {
            TypeParamBound::Lifetime(lifetime) => see(Part::Lifetime(lifetime)),
            TypeParamBound::Trait(bound) => {
                for param in bound.lifetimes.iter().flat_map(|bound| &bound.lifetimes) {
                    if let GenericParam::Lifetime(param) = param {
                        see(Part::Lifetime(&param.lifetime));
                    }
                }
                parts_of_path(&bound.path, see);
            }
            _ => {}
        }
    }
}

/// Adds the names of all lifetimes in these tokens.
pub(crate) fn lifetimes(tokens: TokenStream, found: &mut Vec<Ident>) {
    let mut is_lifetime = false;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) => is_lifetime = punct.as_char() == '\'',
            TokenTree::Ident(name) if is_lifetime => {
                found.push(name);
                is_lifetime = false;
            }
            TokenTree::Group(group) => lifetimes(group.stream(), found),
            TokenTree::Ident(_) | TokenTree::Literal(_) => {}
        }
    }
}
