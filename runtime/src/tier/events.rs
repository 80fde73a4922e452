//! What tiers tell whoever listens: that one is off, and on again. Nothing of what is in them.

use super::StoreError;

/// Something that happened to a tier.
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "nobody listens"))]
pub(super) enum Event<'a> {
    /// It could not be opened.
    Off { cache: &'a str, why: &'a StoreError },
    /// It fails, and is left alone for a while.
    Broke { cache: &'a str, why: &'a StoreError },
    /// It works again.
    Mended { cache: &'a str },
}

#[cfg(feature = "tracing")]
pub(super) fn tell(event: &Event<'_>) {
    match event {
        Event::Off { cache, why } => {
            tracing::warn!(target: "larder", cache, tier = "disk", "a tier is off: {why}");
        }
        Event::Broke { cache, why } => {
            tracing::warn!(target: "larder", cache, tier = "disk", "a tier fails, and is left alone for a while: {why}");
        }
        Event::Mended { cache } => {
            tracing::info!(target: "larder", cache, tier = "disk", "a tier works again");
        }
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) fn tell(_: &Event<'_>) {}
