//! The paths that expansions start with, in one place.
//!
//! `::larder`, unless the attribute says `crate = path`. The path belongs to the expansion at hand, and a macro runs one
//! at a time on its thread.

use std::cell::{Cell, RefCell};

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Path;

thread_local! {
    static RENAMED: RefCell<Option<String>> = const { RefCell::new(None) };
    static PLACE: Cell<Option<Span>> = const { Cell::new(None) };
}

/// Runs an expansion whose tokens stand at this place, unless they say another.
pub(crate) fn located<R>(place: Option<Span>, expand: impl FnOnce() -> R) -> R {
    /// A place means nothing to the next expansion.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            PLACE.set(None);
        }
    }
    PLACE.set(place);
    let _forget = Forget;
    expand()
}

/// Names of ours, at the place of the expansion.
pub(crate) fn here() -> Span {
    let span = Span::mixed_site();
    PLACE.get().map_or(span, |place| span.located_at(place))
}

/// Runs an expansion that calls larder by this path.
pub(crate) fn renamed<R>(path: Option<&Path>, expand: impl FnOnce() -> R) -> R {
    /// Also when the expansion panics, the next one finds things as they were.
    struct Restore(Option<String>);
    impl Drop for Restore {
        fn drop(&mut self) {
            RENAMED.set(self.0.take());
        }
    }
    // As text, because a thread-local outlives the tokens of one expansion.
    let text = path.map(|path| path.to_token_stream().to_string());
    let _restore = Restore(RENAMED.replace(text));
    expand()
}

/// `::larder`, for what users could have written themselves.
pub(crate) fn larder(span: Span) -> TokenStream {
    let renamed = RENAMED.with_borrow(|path| path.as_ref().and_then(|path| path.parse::<TokenStream>().ok()));
    match renamed {
        // Where the user's path means what it says, whatever else is at this place.
        Some(path) => path
            .into_iter()
            .map(|mut token| {
                token.set_span(Span::call_site().located_at(span));
                token
            })
            .collect(),
        None => quote_spanned!(span=> ::larder),
    }
}

/// `::larder::__private`, for everything else.
pub(crate) fn private(span: Span) -> TokenStream {
    let larder = larder(span);
    quote_spanned!(span=> #larder::__private)
}
