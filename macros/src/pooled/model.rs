//! What `#[pooled(..)]` on this struct means, once everything in it is known to make sense.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use syn::{Expr, ExprArray, ExprLit, Generics, Item, Lit, LitStr, Visibility, parse_quote};

use super::gpu::{self, Gpu};
use crate::cached::settings::scope_of;
use crate::errors::{Errors, Mistake};
use crate::literal;
use crate::options::Written;
use crate::signature::kind_of;

/// The options, with their defaults filled in.
#[derive(Default)]
pub(crate) struct Options {
    /// Objects, idle and leased.
    pub(crate) max: Option<u64>,
    pub(crate) max_idle: Option<u64>,
    pub(crate) min_idle: Option<u64>,
    /// `max_mb`.
    pub(crate) max_bytes: Option<u64>,
    /// `max_kb`.
    pub(crate) max_object_bytes: Option<u64>,
    /// As written.
    pub(crate) priority: Option<f64>,
    pub(crate) idle: Option<Duration>,
    pub(crate) idle_soft: Option<Duration>,
    pub(crate) lifetime: Option<Duration>,
    /// Which part of the lifetime is spread.
    pub(crate) jitter: Option<f64>,
    pub(crate) is_fifo: bool,
    pub(crate) exhausted: Exhausted,
    pub(crate) validates_on_acquire: bool,
    /// Makes a used object as good as new, or says that it can't be: a path or a closure.
    pub(crate) reset: Option<Expr>,
    /// Whether an object is fit for another lease.
    pub(crate) validate: Option<Expr>,
    /// Shrinks an object that has grown.
    pub(crate) trim_to: Option<Expr>,
    /// What an object weighs.
    pub(crate) weigh: Option<Expr>,
    /// Makes an object, where `Default` doesn't: a path or a closure.
    pub(crate) new: Option<Expr>,
    /// Makes an object, or fails.
    pub(crate) try_new: Option<Expr>,
    /// Objects stay on the thread that made them.
    pub(crate) is_on_thread: bool,
    /// The type stands for a pool of byte buffers.
    pub(crate) is_buffer: bool,
    /// Capacities of its buffers, as written.
    pub(crate) classes: Option<ExprArray>,
    pub(crate) align: Option<u64>,
    /// The type stands for a pool of a GPU's buffers.
    pub(crate) gpu: Option<Gpu>,
    /// Replaces the type's path.
    pub(crate) name: Option<LitStr>,
    /// Whether a function stands in an `impl`, if that is said.
    pub(crate) assoc: Option<bool>,
}

/// What happens to who wants an object when all are lent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Exhausted {
    #[default]
    Create,
    Wait(Option<Duration>),
    Fail,
}

impl Options {
    /// What the options mean. One that makes no sense is reported, and left at its default.
    pub(crate) fn of(written: &[Written], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for option in written {
            match option.name.to_string().as_str() {
                "max" => options.max = option.count(errors),
                "max_idle" => options.max_idle = option.count(errors),
                "min_idle" => options.min_idle = option.count(errors),
                "max_mb" => options.max_bytes = option.megabytes(errors),
                "max_kb" => options.max_object_bytes = option.count(errors).map(|kb| kb.saturating_mul(1024)),
                "trim_to" => options.trim_to = option.function(errors),
                "priority" => options.priority = option.factor(errors),
                "reset" => options.reset = option.function(errors),
                "validate" => options.validate = option.function(errors),
                "validate_on_acquire" => {
                    options.validates_on_acquire = option.switch(errors).unwrap_or_default();
                }
                // After a mistake nobody asks for a default.
                "new" => {
                    options.new = Some(option.function(errors).unwrap_or_else(|| parse_quote!(|| loop {})));
                }
                "try_new" => options.try_new = option.function(errors),
                "idle" => options.idle = option.duration(errors),
                "idle_soft" => options.idle_soft = option.duration(errors),
                "lifetime" => options.lifetime = option.duration(errors),
                "jitter" => options.jitter = option.part(errors),
                "order" => options.is_fifo = is_fifo(option, errors).unwrap_or_default(),
                "on_exhausted" => options.exhausted = exhausted(option, errors).unwrap_or_default(),
                "weigh" => options.weigh = option.function(errors),
                "scope" => {
                    let instead = "a pool has no other places";
                    options.is_on_thread = scope_of(option, instead, errors) == Some("thread");
                }
                "buffer" => options.is_buffer = option.switch(errors).unwrap_or_default(),
                "classes" => options.classes = classes(option, errors),
                "align" => options.align = option.count(errors),
                "gpu" => options.gpu = gpu::of(option, written, errors),
                // They belong to it.
                "device" | "usage" => {}
                "name" => options.name = option.name(errors),
                "assoc" => options.assoc = option.switch(errors),
                // Nothing else comes out of `args`.
                _ => {}
            }
        }
        options.check(written, errors);
        options
    }

    /// Options that say nothing without another, or the same.
    fn check(&mut self, written: &[Written], errors: &mut Errors) {
        let place =
            |name: &str| written.iter().find(|option| option.name == name).map(|option| option.name.span());
        let mut clash = |name: &str, instead: &str| {
            if let Some(at) = place(name) {
                errors
                    .at(at, &Mistake::PooledOption { option: name.to_owned(), instead: instead.to_owned() });
            }
        };
        let has = |name: &str| place(name).is_some();
        let of_buffers = ["buffer", "classes", "align", "max_mb", "priority", "name", "crate"];
        for option in written {
            let name = option.name.to_string();
            if has("gpu") {
                if !gpu::OPTIONS.contains(&&*name) {
                    clash(&name, gpu::TAKES);
                }
            } else if name == "device" || name == "usage" {
                clash(&name, "it is about buffers of a GPU: write `gpu`, too");
            } else if self.is_buffer && !of_buffers.contains(&&*name) {
                clash(
                    &name,
                    "`buffer` makes a pool of bytes, which takes `classes`, `align`, `max_mb`, `priority` and `name`",
                );
            } else if !self.is_buffer && (name == "classes" || name == "align") {
                clash(&name, "it is about buffers: write `buffer` for those of bytes, or `gpu`, too");
            }
        }
        if self.is_buffer || has("gpu") {
            return;
        }
        if has("new") && has("try_new") {
            clash("try_new", "`new` makes the objects already: keep one");
            self.try_new = None;
        }
        if has("trim_to") && !has("max_kb") {
            clash("trim_to", "it shrinks what is above `max_kb`, and there is none: set `max_kb` too");
            self.trim_to = None;
        }
        if has("jitter") && !has("lifetime") {
            clash("jitter", "it spreads the ends of a `lifetime`, and there is none: set `lifetime` too");
            self.jitter = None;
        }
        if has("validate_on_acquire") && !has("validate") {
            clash(
                "validate_on_acquire",
                "it says when `validate` is asked, and there is none: set `validate` too",
            );
            self.validates_on_acquire = false;
        }
        if has("on_exhausted") && !has("max") && !has("max_mb") {
            clash("on_exhausted", "a pool without a bound is never exhausted: set `max` or `max_mb` too");
            self.exhausted = Exhausted::Create;
        }
        if let (Some(soft), Some(hard)) = (self.idle_soft, self.idle)
            && soft >= hard
        {
            clash("idle_soft", "`idle` ends an object no later: lower it, or leave it out");
            self.idle_soft = None;
        }
        if let (Some(idle), Some(most)) = (self.max_idle, self.max)
            && idle > most
        {
            clash("max_idle", "it allows more objects than there may be: lower it, or raise `max`");
            self.max_idle = None;
        }
        if self.is_on_thread && matches!(self.exhausted, Exhausted::Wait(_)) {
            clash(
                "on_exhausted",
                "a thread can't wait for objects that it has itself: write `create` or `fail`; tasks can wait with `acquire_async`",
            );
            self.exhausted = Exhausted::Create;
        }
        if let (Some(least), Some(most)) = (self.min_idle, self.max.into_iter().chain(self.max_idle).min())
            && least > most
        {
            clash(
                "min_idle",
                "it wants more objects than there may be: lower it, or raise `max` and `max_idle`",
            );
            self.min_idle = None;
        }
    }

    /// What is said that only a type's pool can do.
    pub(crate) fn of_types(&self) -> Vec<&'static str> {
        let said = [
            ("min_idle", self.min_idle.is_some()),
            ("buffer", self.is_buffer),
            ("gpu", self.gpu.is_some()),
            ("order", self.is_fifo),
            ("on_exhausted", self.exhausted != Exhausted::Create),
            ("scope", self.is_on_thread),
        ];
        said.into_iter().filter(|(_, said)| *said).map(|(option, _)| option).collect()
    }

    /// Whether a lease can fail.
    pub(crate) fn refuses(&self) -> bool {
        self.try_new.is_some() || matches!(self.exhausted, Exhausted::Wait(Some(_)) | Exhausted::Fail)
    }
}

/// Whether a flag is not `false`.
fn is_on(option: &Written) -> bool {
    !matches!(&option.value, Expr::Lit(ExprLit { lit: Lit::Bool(on), .. }) if !on.value)
}

fn classes(option: &Written, errors: &mut Errors) -> Option<ExprArray> {
    match &option.value {
        Expr::Array(classes) if !classes.elems.is_empty() => Some(classes.clone()),
        _ => option.wrong_kind("a list of capacities in bytes", errors),
    }
}

fn is_fifo(option: &Written, errors: &mut Errors) -> Option<bool> {
    let takes = "`\"lifo\"` or `\"fifo\"`";
    let word = match option.path().and_then(|path| path.path.get_ident()) {
        Some(word) => word.to_string(),
        None => option.word(takes, errors)?.value(),
    };
    match word.as_str() {
        "lifo" => Some(false),
        "fifo" => Some(true),
        _ => option.wrong_kind(takes, errors),
    }
}

fn exhausted(option: &Written, errors: &mut Errors) -> Option<Exhausted> {
    let takes = "`create`, `wait`, `wait(\"50ms\")` or `fail`";
    let value = match &option.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.parse::<Expr>().ok(),
        other => Some(other.clone()),
    };
    let word = |expr: &Expr| match expr {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    };
    let parsed = match &value {
        Some(Expr::Call(call)) if word(&call.func).as_deref() == Some("wait") && call.args.len() == 1 => {
            match call.args.first() {
                Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => {
                    literal::duration(&text.value()).ok().filter(|time| !time.is_zero())
                }
                _ => None,
            }
            .map(|most| Exhausted::Wait(Some(most)))
        }
        Some(expr) => match word(expr).as_deref() {
            Some("create") => Some(Exhausted::Create),
            Some("wait") => Some(Exhausted::Wait(None)),
            Some("fail") => Some(Exhausted::Fail),
            _ => None,
        },
        None => None,
    };
    parsed.or_else(|| option.wrong_kind(takes, errors))
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
        let of_functions =
            |option: &&Written| ["skip", "key", "assoc"].iter().any(|name| option.name == name);
        for option in written.iter().filter(of_functions) {
            errors.at(option.name.span(), &Mistake::FunctionOption { option: option.name.to_string() });
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
        let of_buffers = [("buffer", options.is_buffer), ("gpu", options.gpu.is_some())];
        if let Some((option, _)) = of_buffers.into_iter().find(|(_, said)| *said)
            && let Some(param) = generics.params.first()
        {
            let instead = "a pool of buffers has no types: put it on a struct without parameters".to_owned();
            errors.over(param, &Mistake::PooledOption { option: option.to_owned(), instead });
            return None;
        }
        // Without its driver there is nothing to say.
        let is_of_gpus = |option: &Written| {
            option.name == "device" || option.name == "usage" || option.name == "gpu" && is_on(option)
        };
        if options.gpu.is_none() && written.iter().any(is_of_gpus) {
            return None;
        }
        Some(Self { vis, ident, generics, options })
    }
}
