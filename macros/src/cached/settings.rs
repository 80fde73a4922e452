//! What the options of `#[cached(..)]` mean, one by one and beside each other. What they mean on a function is in the model.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Expr, ExprPath, LitStr};

use super::key::Wanted;
use super::tiers::{self, Tiers};
use crate::errors::{Errors, Mistake, show};
use crate::literal;
use crate::options::Written;
use crate::spelling::nearest;

/// The options, with their defaults filled in.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) policy: Policy,
    /// `max_mb` or `max_bytes`.
    pub(crate) max_bytes: Option<u64>,
    /// As written.
    pub(crate) max_entries: Option<u64>,
    /// `min_mb`.
    pub(crate) min_bytes: u64,
    /// As written.
    pub(crate) priority: Option<f64>,
    /// As written.
    pub(crate) ttl: Option<Duration>,
    /// As written.
    pub(crate) tti: Option<Duration>,
    /// The function that says how long each value lives: a path or a closure.
    pub(crate) ttl_by: Option<Expr>,
    /// The function that says how much more than its cost each value is worth: a path or a closure.
    pub(crate) utility: Option<Expr>,
    /// A part of the time to live.
    pub(crate) jitter: Option<f64>,
    /// `single_flight = false`.
    pub(crate) each_alone: bool,
    /// As written.
    pub(crate) wait_at_most: Option<Duration>,
    /// Where it was written, if an executor runs the body.
    pub(crate) detach: Option<Span>,
    /// The user's weigher: a path or a closure.
    pub(crate) weigh: Option<Expr>,
    /// The function that hears of entries that leave: a path or a closure.
    pub(crate) on_remove: Option<Expr>,
    /// What is below the values.
    pub(crate) tiers: Option<Tiers>,
    /// Replaces the function's path.
    pub(crate) name: Option<LitStr>,
    /// Replaces the module's path.
    pub(crate) namespace: Option<LitStr>,
    /// What a miss costs, where that is not measured.
    pub(crate) cost: Option<Cost>,
    /// What the key is made of.
    pub(crate) wanted: Wanted,
    /// Where the cache lives.
    pub(crate) place: Place,
    /// Whose bytes it takes, if not the process's: the name of a device.
    pub(crate) domain: Option<LitStr>,
    /// The condition for storing: a path or a closure.
    pub(crate) cache_if: Option<Expr>,
    /// Where it was written.
    pub(crate) cache_err: Option<Span>,
    /// Where it was written.
    pub(crate) cache_none: Option<Span>,
    /// The condition for computing again.
    pub(crate) force_if: Option<Expr>,
    /// As written.
    pub(crate) handle: Handle,
    /// Where `handle` was written, unless it says that there is none.
    pub(crate) handle_at: Option<Span>,
    /// Where `uncached` was written.
    pub(crate) uncached: Option<Span>,
    /// Where `refresh` was written.
    pub(crate) refresh: Option<Span>,
    /// Where `status` was written.
    pub(crate) status: Option<Span>,
    /// Whether the function stands in an `impl`, if that is said.
    pub(crate) assoc: Option<bool>,
    /// The expressions in it: they call arguments by their names.
    pub(super) spoken: TokenStream,
    /// What is in its lists.
    pub(super) listed: TokenStream,
}

/// What a miss costs.
pub(crate) enum Cost {
    /// The processor time of the body.
    Cpu,
    /// Always this.
    Fixed(Duration),
    /// What a function says.
    By(Expr),
}

/// Where the cache lives.
#[derive(Default)]
pub(crate) enum Place {
    /// In a static.
    #[default]
    Global,
    /// In a thread-local.
    Thread,
    /// In this `larder::Local`.
    Within(Expr),
}

/// What is asked of the handle.
#[derive(Default)]
pub(crate) enum Handle {
    /// Nothing: where a name can be had for it, there is one.
    #[default]
    Unsaid,
    /// One of the usual name, also where there would be none.
    Wanted,
    /// One of this name.
    Named(Ident),
    /// None.
    Unwanted,
}

/// What can be said of the place.
const SCOPES: &[&str] = &["global", "thread"];

/// Who picks victims.
#[derive(Default)]
pub(crate) enum Policy {
    /// Whoever does so unless something is said.
    #[default]
    Default,
    /// The variant of the runtime's `Policy`.
    Named(&'static str),
    /// An order of the user's: a function, or a type with a default.
    Own(ExprPath),
}

/// What a policy is called, and its variant.
const POLICIES: &[(&str, &str)] = &[
    ("hybrid", "Hybrid"),
    ("lru", "Lru"),
    ("lfu", "Lfu"),
    ("fifo", "Fifo"),
    ("random", "Random"),
    ("s3fifo", "S3Fifo"),
    ("utility", "Utility"),
];

impl Options {
    /// What the options mean. One that makes no sense is reported, and left at its default.
    pub(crate) fn of(written: &[Written], errors: &mut Errors) -> Self {
        let wanted = Wanted::of(written, errors);
        let mut options = Self { spoken: wanted.expressions(), wanted, ..Self::default() };
        for option in written {
            // Those of tiers are no arguments.
            if option.name != "tiers" {
                options.listed.extend(option.list.clone());
            }
            if option.list.is_empty() {
                options.spoken.extend(option.value.to_token_stream());
            }
            let mut flag = || option.switch(errors).filter(|on| *on).map(|_| option.name.span());
            match option.name.to_string().as_str() {
                "policy" => options.policy = policy(option, errors).unwrap_or_default(),
                "max_mb" => options.max_bytes = option.megabytes(errors),
                "max_bytes" => {
                    let bytes = option.bytes(errors);
                    if written.iter().any(|other| other.name == "max_mb") {
                        errors.at(option.name.span(), &Mistake::TwoCeilings {});
                    } else {
                        options.max_bytes = bytes;
                    }
                }
                "max_entries" => options.max_entries = option.count(errors),
                "min_mb" => {
                    let floor = option.megabytes(errors).unwrap_or(0);
                    options.min_bytes = options.min_bytes.max(floor);
                }
                "priority" => options.priority = option.factor(errors),
                "ttl" => options.ttl = option.duration(errors),
                "tti" => options.tti = option.duration(errors),
                "ttl_by" => options.ttl_by = option.function(errors),
                "utility" => options.utility = option.function(errors),
                "jitter" => options.jitter = option.part(errors),
                "single_flight" => options.each_alone = option.switch(errors) == Some(false),
                "wait_at_most" => options.wait_at_most = option.duration(errors),
                "detach" => options.detach = flag(),
                "cache_err" => options.cache_err = flag(),
                "cache_none" => options.cache_none = flag(),
                "uncached" => options.uncached = flag(),
                "refresh" => options.refresh = refresh(option, errors),
                "status" => options.status = flag(),
                "pinned" => {
                    if let Some(at) = flag() {
                        if written.iter().any(|other| other.name == "min_mb") {
                            errors.at(at, &Mistake::PinnedFloor {});
                        }
                        options.min_bytes = u64::MAX;
                    }
                }
                "assoc" => options.assoc = option.switch(errors),
                "cost" => options.cost = cost(option, errors),
                "within" => options.place = Place::Within(option.value.clone()),
                "scope" => {
                    let thread = scope(option, errors) == Some("thread");
                    if written.iter().any(|other| other.name == "within") {
                        errors.at(option.name.span(), &Mistake::TwoPlaces {});
                    } else if thread {
                        options.place = Place::Thread;
                    }
                }
                "domain" => options.domain = option.word("the name of a device in quotes", errors),
                "cache_if" => options.cache_if = option.function(errors),
                "force_if" => options.force_if = option.condition(errors),
                "handle" => {
                    options.handle = handle(option, errors);
                    let is_asked_for = matches!(options.handle, Handle::Wanted | Handle::Named(_));
                    options.handle_at = is_asked_for.then(|| option.name.span());
                }
                "namespace" => options.namespace = option.name(errors),
                "weigh" => options.weigh = option.function(errors),
                "on_remove" => options.on_remove = option.function(errors),
                "tiers" => options.tiers = tiers::of(option, errors),
                "name" => options.name = option.name(errors),
                // Nothing else comes out of `args`.
                _ => {}
            }
        }
        if let Some(max) = options.max_bytes
            && options.min_bytes > max
            && options.min_bytes < u64::MAX
        {
            let position = |name: &str| written.iter().find(|option| option.name == name);
            if let Some(floor) = position("min_mb") {
                let ceiling = if position("max_mb").is_some() { "max_mb" } else { "max_bytes" };
                errors.over(&floor.value, &Mistake::FloorAboveCeiling { ceiling: ceiling.to_owned() });
                options.min_bytes = 0;
            }
        }
        if !matches!(options.place, Place::Global)
            && let Some(disk) = options.tiers.as_mut().and_then(|tiers| tiers.disk.take())
        {
            errors.at(disk.span, &Mistake::DiskOfMany {});
            options.tiers = options.tiers.take().filter(|tiers| tiers.warm.is_some());
        }
        options.check_together(written, errors);
        options
    }

    /// Reports the freshness and flight options that make no sense beside each other.
    fn check_together(&mut self, written: &[Written], errors: &mut Errors) {
        let place = |name: &str| written.iter().find(|option| option.name == name).map(|it| it.name.span());
        if let Some(at) = place("jitter")
            && place("ttl").or(place("ttl_by")).is_none()
        {
            errors.at(at, &Mistake::JitterWithoutTtl {});
            self.jitter = None;
        }
        let unread = match &self.policy {
            Policy::Named(variant) if *variant != "Utility" => {
                POLICIES.iter().find(|(_, known)| known == variant)
            }
            Policy::Default | Policy::Named(_) | Policy::Own(_) => None,
        };
        if let Some((policy, _)) = unread
            && let Some(at) = place("utility")
        {
            errors.at(at, &Mistake::UtilityUnread { policy: (*policy).to_owned() });
            self.utility = None;
        }
        if !self.each_alone {
            return;
        }
        if let Some(at) = place("wait_at_most") {
            errors.at(at, &Mistake::WaitWithoutFlight {});
            self.wait_at_most = None;
        }
        if let Some(at) = self.detach.take() {
            errors.at(at, &Mistake::DetachWithoutFlight {});
        }
    }
}

fn scope(option: &Written, errors: &mut Errors) -> Option<&'static str> {
    let instead = "for one cache in each object, `within = self.caches`";
    scope_of(option, instead, errors)
}

/// The value of a `scope`; `instead` is said to who wants another.
pub(crate) fn scope_of(option: &Written, instead: &str, errors: &mut Errors) -> Option<&'static str> {
    let text = option.word("\"global\" or \"thread\"", errors)?;
    let scope = text.value();
    if let Some(known) = SCOPES.iter().find(|known| **known == scope) {
        return Some(known);
    }
    let hint = match nearest(&scope, SCOPES.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("there are \"global\" and \"thread\"; {instead}"),
    };
    errors.over(&text, &Mistake::UnknownScope { scope, hint });
    None
}

fn cost(option: &Written, errors: &mut Errors) -> Option<Cost> {
    if option.text().is_some_and(|text| text.value() == "cpu") {
        return Some(Cost::Cpu);
    }
    let word = option.path().and_then(|path| path.path.get_ident()).map(|ident| ident.unraw().to_string());
    if let Some(found) = word.or_else(|| option.text().map(LitStr::value))
        && found.eq_ignore_ascii_case("cpu")
    {
        errors.over(&option.value, &Mistake::CpuCost { found: show(&option.value) });
        return None;
    }
    // A time, unless it is meant to be a path.
    let is_time = option.text().is_none_or(|text| literal::duration(&text.value()).is_err());
    let is_path = option.text().is_none_or(|text| text.parse::<ExprPath>().is_ok());
    if !option.is_function() && option.text().is_none_or(|text| text.value().trim().is_empty()) {
        return option.wrong_kind("`\"cpu\"`, a duration in quotes, a path or a closure", errors);
    }
    if is_time && is_path {
        return option.function(errors).map(Cost::By);
    }
    option.duration(errors).map(Cost::Fixed)
}

fn refresh(option: &Written, errors: &mut Errors) -> Option<Span> {
    if let Some(text) = option.text() {
        let instead = "`refresh` alone puts a function beside this one that runs the body again, for whoever wants to call \
                       it on time";
        let option = format!("refresh = \"{}\"", text.value());
        errors.over(text, &Mistake::ReservedOption { option, instead: instead.to_owned() });
        return None;
    }
    let on = option.switch(errors)?;
    if on && !option.is_alone {
        errors.over(&option.value, &Mistake::RefreshIsTrue {});
        return None;
    }
    on.then(|| option.name.span())
}

fn handle(option: &Written, errors: &mut Errors) -> Handle {
    match option.text_or_switch("a name in quotes or `false`", errors) {
        None | Some(Err(true)) => Handle::Wanted,
        Some(Err(false)) => Handle::Unwanted,
        Some(Ok(text)) => match text.parse::<Ident>() {
            Ok(name) => Handle::Named(name),
            Err(_) => {
                errors.over(&text, &Mistake::NotAHandle { text: text.value() });
                Handle::Unsaid
            }
        },
    }
}

fn policy(option: &Written, errors: &mut Errors) -> Option<Policy> {
    if let Some(path) = option.path() {
        // By its name alone, or as a variant of ours.
        let mut last = path.path.segments.iter().rev().map(|segment| segment.ident.unraw().to_string());
        let named = last
            .next()
            .filter(|_| last.next().is_none_or(|of| of == "Policy"))
            .map(|name| name.to_lowercase());
        if let Some((policy, _)) = named.and_then(|name| POLICIES.iter().find(|(known, _)| *known == name)) {
            errors.over(path, &Mistake::UnquotedPolicy { policy: (*policy).to_owned() });
            return None;
        }
        return Some(Policy::Own(path.clone()));
    }
    let text = option.word("a name in quotes or a path", errors)?;
    let policy = text.value();
    if let Some((_, variant)) = POLICIES.iter().find(|(name, _)| *name == policy) {
        // The default is not repeated.
        return Some(if policy == "hybrid" { Policy::Default } else { Policy::Named(variant) });
    }
    let hint = match nearest(&policy, POLICIES.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            let names: Vec<String> = POLICIES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            format!("there are {}; the path of an order of your own goes without quotes", names.join(", "))
        }
    };
    errors.over(&text, &Mistake::UnknownPolicy { policy, hint });
    None
}

impl Options {
    /// Where something is asked for that stands beside the function.
    pub(super) fn beside(&self) -> Option<Span> {
        self.handle_at.or(self.refresh).or(self.status).or(self.uncached)
    }

    /// Reports what would stand beside the function and can't.
    pub(super) fn refuse_siblings(&self, instead: &str, errors: &mut Errors) {
        let mut refuse = |option: &str, at: Option<Span>| {
            if let Some(at) = at {
                let (option, instead) = (option.to_owned(), instead.to_owned());
                errors.at(at, &Mistake::NothingBeside { option, instead });
            }
        };
        refuse("refresh", self.refresh);
        refuse("status", self.status);
        refuse("uncached", self.uncached);
        if let Handle::Named(name) = &self.handle {
            refuse("handle", Some(name.span()));
        }
    }
}
