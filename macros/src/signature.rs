//! A function as an attribute sees it: attributes, signature, and a body that nobody looks into.
//!
//! Only shapes here: what a signature means for a cache is said in `cached/model.rs`.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Generics, Item, PathArguments, ReturnType, Signature,
    Token, Type, TypeParamBound, Visibility, WherePredicate,
};

use crate::errors::show;
use crate::parts::{Part, lifetimes, parts};

/// A function with a body.
#[derive(Clone)]
pub(crate) struct Function {
    /// Everything written above it.
    pub(crate) attrs: Vec<Attribute>,
    /// Who sees it.
    pub(crate) vis: Visibility,
    /// Name, generics, arguments, return type.
    pub(crate) sig: Signature,
    /// The braces and what they hold: its tokens keep their places, and no lint sees new braces.
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        let token: TokenTree = input.parse()?;
        let span = token.span();
        match braces(token) {
            Some(body) => Ok(Self { attrs, vis, sig, body }),
            None => Err(syn::Error::new(span, "expected the function's body")),
        }
    }
}

/// A block; a `$body:block` of `macro_rules!` comes in an invisible group.
fn braces(token: TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = token else { return None };
    match group.delimiter() {
        Delimiter::Brace => Some(group),
        Delimiter::None => {
            let mut inside = group.stream().into_iter();
            let first = inside.next()?;
            if inside.next().is_none() { braces(first) } else { None }
        }
        Delimiter::Parenthesis | Delimiter::Bracket => None,
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, body } = self;
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}

impl Function {
    /// The attributes of these names.
    pub(crate) fn attributes<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Attribute> {
        self.attrs.iter().filter(|attr| names.iter().any(|name| attr.path().is_ident(name)))
    }

    /// For a function with `#[cfg(condition)]` on an argument, which attributes see unexpanded: the function with
    /// that argument, the function without it, and the condition.
    pub(crate) fn split_by_cfg(&self) -> Option<(Self, Self, TokenStream)> {
        let is_cfg = |attr: &Attribute| attr.path().is_ident("cfg");
        let attrs_of = |arg: &FnArg| match arg {
            FnArg::Receiver(receiver) => receiver.attrs.clone(),
            FnArg::Typed(typed) => typed.attrs.clone(),
        };
        let at = self.sig.inputs.iter().position(|arg| attrs_of(arg).iter().any(is_cfg))?;
        let cfg = attrs_of(&self.sig.inputs[at]).into_iter().find(is_cfg)?;
        let condition = cfg.meta.require_list().ok()?.tokens.clone();
        let (mut with, mut without) = (self.clone(), self.clone());
        match &mut with.sig.inputs[at] {
            FnArg::Receiver(receiver) => remove_first(&mut receiver.attrs, is_cfg),
            FnArg::Typed(typed) => remove_first(&mut typed.attrs, is_cfg),
        }
        let inputs = without.sig.inputs.into_pairs().enumerate();
        without.sig.inputs = inputs.filter(|(idx, _)| *idx != at).map(|(_, pair)| pair).collect();
        Some((with, without, condition))
    }
}

fn remove_first(attrs: &mut Vec<Attribute>, which: impl Fn(&Attribute) -> bool) {
    if let Some(at) = attrs.iter().position(which) {
        attrs.remove(at);
    }
}

/// What an item is called in a message: `a struct`, `an impl block`; `None` for what is no item.
pub(crate) fn kind_of(item: TokenStream) -> Option<&'static str> {
    let declared = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Signature>()?;
        input.parse::<Token![;]>()
    };
    if Parser::parse2(declared, item.clone()).is_ok() {
        return Some("a function without a body");
    }
    match item.clone().into_iter().next() {
        Some(TokenTree::Ident(word)) if word == "let" => return Some("a `let`"),
        Some(TokenTree::Punct(bar)) if bar.as_char() == '|' => return Some("a closure"),
        _ => {}
    }
    Some(match syn::parse2::<Item>(item).ok()? {
        Item::Struct(_) => "a struct",
        Item::Enum(_) => "an enum",
        Item::Union(_) => "a union",
        Item::Impl(_) => "an `impl` block",
        Item::Trait(_) => "a trait",
        Item::Mod(_) => "a module",
        Item::Const(_) => "a constant",
        Item::Static(_) => "a static",
        Item::Type(_) => "a type alias",
        Item::ForeignMod(_) => "an `extern` block",
        Item::Use(_) => "an import",
        Item::Macro(_) => "a macro",
        _ => "something else",
    })
}

/// Without the parentheses and invisible groups around a type: a `$t:ty` of `macro_rules!` comes in one.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        _ => ty,
    }
}

/// The type arguments of the last segment of a path, if that segment has one of these names.
pub(crate) fn named<'a>(ty: &'a Type, names: &[&str]) -> Option<(String, Vec<&'a Type>)> {
    let Type::Path(path) = bare(ty) else { return None };
    if path.qself.is_some() {
        return None;
    }
    let last = path.path.segments.last()?;
    let name = last.ident.unraw().to_string();
    if !names.contains(&name.as_str()) {
        return None;
    }
    let types = match &last.arguments {
        PathArguments::None => Vec::new(),
        PathArguments::AngleBracketed(args) => {
            let types = args.args.iter().map(|arg| match arg {
                GenericArgument::Type(ty) => Some(Some(ty)),
                GenericArgument::Lifetime(_) => Some(None),
                _ => None,
            });
            types.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()
        }
        PathArguments::Parenthesized(_) => return None,
    };
    Some((name, types))
}

/// What a search through a type found first.
pub(crate) struct Found {
    /// A reference or a lifetime that may not be `'static`.
    pub(crate) borrow: bool,
    /// `f32` or `f64`.
    pub(crate) float: Option<String>,
    /// `dyn Trait`.
    pub(crate) trait_object: bool,
    /// `impl Trait`.
    pub(crate) impl_trait: bool,
}

/// Looks through a type. What is bound inside it, as in `fn(&str) -> u32`, borrows nothing.
pub(crate) fn search(ty: &Type) -> Found {
    let mut found = Found { borrow: false, float: None, trait_object: false, impl_trait: false };
    found.look_into(ty);
    found
}

impl Found {
    fn look_into(&mut self, ty: &Type) {
        match ty {
            Type::Reference(reference) => self.borrow |= reference.lifetime.is_none(),
            Type::TraitObject(_) => self.trait_object = true,
            Type::ImplTrait(_) => self.impl_trait = true,
            Type::Path(path) => {
                if let Some(float) = ["f32", "f64"].iter().find(|float| path.path.is_ident(float)) {
                    self.float.get_or_insert((*float).to_owned());
                }
            }
            _ => {}
        }
        parts(ty, &mut |part| match part {
            Part::Type(ty) => self.look_into(ty),
            Part::Lifetime(lifetime) => self.borrow |= lifetime.ident != "static",
            Part::OfFunction(_) => {}
        });
    }
}

/// Whether `Self` is mentioned, other than by an item inside that has one of its own.
pub(crate) fn mentions_own_type(tokens: TokenStream) -> bool {
    let mut inside_item = false;
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) if ident == "Self" => !inside_item,
        TokenTree::Ident(ident) => {
            inside_item |= ["impl", "trait", "struct", "enum", "union"].iter().any(|word| ident == word);
            false
        }
        TokenTree::Punct(punct) => {
            inside_item &= punct.as_char() != ';';
            false
        }
        // The item ends with its braces.
        TokenTree::Group(group) if inside_item && group.delimiter() == Delimiter::Brace => {
            inside_item = false;
            false
        }
        TokenTree::Group(group) => !inside_item && mentions_own_type(group.stream()),
        TokenTree::Literal(_) => false,
    })
}

/// Whether this is a type parameter that stands for a function.
pub(crate) fn is_function_param(ty: &Type, generics: &Generics) -> bool {
    let Type::Path(path) = bare(ty) else { return false };
    let is_fn = |bound: &TypeParamBound| match bound {
        TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .is_some_and(|last| matches!(last.arguments, PathArguments::Parenthesized(_))),
        _ => false,
    };
    let inline = generics
        .type_params()
        .any(|param| path.path.is_ident(&param.ident) && param.bounds.iter().any(is_fn));
    let same = |other: &Type| matches!(bare(other), Type::Path(other) if other.path.get_ident() == path.path.get_ident());
    let in_where =
        generics.where_clause.iter().flat_map(|clause| &clause.predicates).any(|predicate| match predicate {
            WherePredicate::Type(predicate) => {
                same(&predicate.bounded_ty) && predicate.bounds.iter().any(is_fn)
            }
            _ => false,
        });
    path.path.get_ident().is_some() && (inline || in_where)
}

/// `::<T, N>`: the arguments that say which instance of a generic function is meant. Lifetimes are inferred.
pub(crate) fn turbofish(generics: &Generics) -> Option<TokenStream> {
    let params: Vec<&Ident> = generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    (!params.is_empty()).then(|| quote!(::<#(#params),*>))
}

/// The generics of a function that takes no arguments: without the lifetimes that no bound speaks of.
pub(crate) fn without_idle_lifetimes(generics: &Generics) -> Generics {
    let mut used = Vec::new();
    lifetimes(generics.where_clause.to_token_stream(), &mut used);
    for param in &generics.params {
        match param {
            // The parameter itself is no use of it.
            GenericParam::Lifetime(param) if param.bounds.is_empty() => {}
            param => lifetimes(param.to_token_stream(), &mut used),
        }
    }
    let mut kept = generics.clone();
    kept.params = generics
        .params
        .iter()
        .filter(|param| match param {
            GenericParam::Lifetime(param) => used.contains(&param.lifetime.ident),
            GenericParam::Type(_) | GenericParam::Const(_) => true,
        })
        .cloned()
        .collect();
    kept
}

/// What is said of the signature of the user's function, and would be said again of one inside or beside it that has the
/// same types; of one with `pub` also what is said of functions without. Nothing, where there is nothing to say.
pub(crate) fn lints_said_before(function: &Function) -> Option<TokenStream> {
    let Signature { inputs, output, .. } = &function.sig;
    let is_plain = match output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => {
            named(ty, &["Result", "Option"]).is_none() && show(ty).matches('<').count() < 2
        }
    };
    if inputs.len() <= 7 && is_plain {
        return None;
    }
    let span = Span::mixed_site();
    let of_private = (!matches!(function.vis, Visibility::Inherited))
        .then(|| quote_spanned!(span=> clippy::unnecessary_wraps,));
    Some(quote_spanned! {span=>
        #[allow(
            #of_private clippy::too_many_arguments, clippy::type_complexity, clippy::option_option, clippy::vec_box,
            clippy::box_collection, clippy::rc_buffer, clippy::redundant_allocation,
            clippy::result_large_err, reason = "it is said of the function itself"
        )]
    })
}

/// `14_8`: line and column, for names that only their own function can mean.
///
/// Outside a compiler, as in unit tests, there is no place.
pub(crate) fn place_of(ident: &Ident) -> String {
    if proc_macro::is_available() {
        let span = ident.span().unwrap();
        format!("{}_{}", span.line(), span.column())
    } else {
        "0_0".to_owned()
    }
}

/// Whether this is `()`.
pub(crate) fn is_empty_tuple(ty: &Type) -> bool {
    matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}
