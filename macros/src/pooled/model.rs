//! What `#[pooled(..)]` on this struct means, once everything in it is known to make sense.

use proc_macro2::{Ident, TokenStream};
use syn::{Expr, Generics, Item, LitStr, Visibility};

use crate::errors::{Errors, Mistake};
use crate::options::Written;
use crate::signature::kind_of;

/// The options, with their defaults filled in.
#[derive(Default)]
pub(crate) struct Options {
    /// Objects, idle and leased.
    pub(crate) max: Option<u64>,
    /// `max_mb`.
    pub(crate) max_bytes: Option<u64>,
    /// As written.
    pub(crate) priority: Option<f64>,
    /// Makes a used object as good as new, or says that it can't be: a path or a closure.
    pub(crate) reset: Option<Expr>,
    /// Makes an object, where `Default` doesn't: a path or a closure.
    pub(crate) new: Option<Expr>,
    /// Replaces the type's path.
    pub(crate) name: Option<LitStr>,
}

impl Options {
    /// What the options mean. One that makes no sense is reported, and left at its default.
    pub(crate) fn of(written: &[Written], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for option in written {
            match option.name.to_string().as_str() {
                "max" => options.max = option.count(errors),
                "max_mb" => options.max_bytes = option.megabytes(errors),
                "priority" => options.priority = option.factor(errors),
                "reset" => options.reset = option.function(errors),
                "new" => options.new = option.function(errors),
                "name" => options.name = option.name(errors),
                // Nothing else comes out of `args`.
                _ => {}
            }
        }
        options
    }
}

/// A type whose objects can be pooled, and how.
pub(crate) struct Model {
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) options: Options,
}

impl Model {
    /// The model, or `None` after a mistake that leaves nothing to be pooled.
    pub(crate) fn of(
        item: &TokenStream,
        options: Options,
        written: &[Written],
        errors: &mut Errors,
    ) -> Option<Self> {
        for option in written.iter().filter(|option| option.name == "skip" || option.name == "key") {
            errors.at(option.name.span(), &Mistake::KeyOfType { option: option.name.to_string() });
        }
        let (vis, ident, generics) = match syn::parse2::<Item>(item.clone()) {
            Ok(Item::Struct(item)) => (item.vis, item.ident, item.generics),
            Ok(Item::Enum(item)) => (item.vis, item.ident, item.generics),
            Ok(_) => {
                let found = kind_of(item.clone()).unwrap_or_default();
                let instead = match found {
                    "a union" => "put it on a struct around it",
                    "a trait" => "put it on the types that implement it",
                    _ => "put it on the type itself",
                };
                errors.over(
                    item,
                    &Mistake::PooledOnItem { found: found.to_owned(), instead: instead.to_owned() },
                );
                return None;
            }
            Err(error) => {
                errors.syntax(error);
                return None;
            }
        };
        if let Some(param) = generics.lifetimes().next() {
            let (name, lifetime) = (ident.to_string(), param.lifetime.to_string());
            errors.over(&param.lifetime, &Mistake::PooledBorrow { name, lifetime });
            return None;
        }
        Some(Self { vis, ident, generics, options })
    }
}
