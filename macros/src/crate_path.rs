//! The paths that expansions start with, in one place.
//!
//! Always `::larder`: an option for a renamed dependency would be read here.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

/// `::larder`, for what users could have written themselves.
pub(crate) fn larder(span: Span) -> TokenStream {
    quote_spanned!(span=> ::larder)
}

/// `::larder::__private`, for everything else.
pub(crate) fn private(span: Span) -> TokenStream {
    quote_spanned!(span=> ::larder::__private)
}
