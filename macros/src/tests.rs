//! Expansions as a reader sees them, against files in `expansions/`.
//!
//! After an intended change: `LARDER_UPDATE_EXPANSIONS=1 cargo test -p larder-macros`, and read the difference.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;

#[track_caller]
fn check(name: &str, on_file: &str, expanded: TokenStream) {
    let expanded = prettyplease::unparse(&syn::parse2(expanded).expect("a file of items"));
    if std::env::var_os("LARDER_UPDATE_EXPANSIONS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("expansions").join(format!("{name}.rs"));
        std::fs::write(path, expanded).expect("a writable checkout");
    } else {
        assert!(expanded == on_file, "`{name}` expands differently:\n{expanded}");
    }
}

macro_rules! expansion {
    ($name:ident, $expanded:expr) => {
        #[test]
        fn $name() {
            check(
                stringify!($name),
                include_str!(concat!("../expansions/", stringify!($name), ".rs")),
                $expanded,
            );
        }
    };
}

expansion!(
    cached_borrowed,
    crate::cached::cached(
        quote!(policy = "lru", max_mb = 50, ttl = "10m"),
        quote! {
            /// Documented.
            #[inline]
            pub fn describe(name: &str, id: u32, opts: &Opts) -> Arc<str> {
                format!("{name}{id}{opts:?}").into()
            }
        },
    )
);

expansion!(
    cached_fallible,
    crate::cached::cached(
        quote!(weigh = page_bytes, name = "pages"),
        quote!(
            fn load(path: impl AsRef<Path>) -> io::Result<Page> {
                Page::read(path.as_ref())
            }
        ),
    )
);

expansion!(
    cached_generic,
    crate::cached::cached(
        quote!(),
        quote!(
            fn nearest<'a, T: CacheKey, const N: usize>(
                (x, mut y): (f64, f64),
                among: &'a [T],
                _hint: Option<&T>,
            ) -> Option<Vec<T>>
            where
                T: Point<N>,
            {
                search(among, x, y)
            }
        ),
    )
);

expansion!(
    cached_detached,
    crate::cached::cached(
        quote!(detach, wait_at_most = "2s", ttl = "5m", jitter = 10%, ttl_by = time_of),
        quote!(
            async fn fetch(client: &Client, path: String, _fixed: &'static str) -> Result<Page, Failure> {
                client.get(path).await
            }
        ),
    )
);

expansion!(
    cached_method,
    crate::cached::cached(
        quote!(skip(log)),
        quote! {
            async fn load(&self, (a, mut b): (u8, u8), log: &Log) -> Result<Page, Failure> {
                b += a;
                self.read(b, log).await
            }
        },
    )
);

expansion!(
    cached_in_objects,
    crate::cached::cached(
        quote!(within = self.caches, key(name.trim(): &str), cost = "20ms"),
        quote! {
            /// Documented.
            pub fn find(&self, name: &str) -> Option<usize> {
                self.text.find(name.trim())
            }
        },
    )
);

expansion!(
    cached_with_siblings,
    crate::cached::cached(
        quote!(uncached, refresh, status, force_if = reload, skip(reload), cache_if = |page| page.is_whole()),
        quote! {
            pub fn load(path: &str, reload: bool) -> io::Result<Page> {
                Page::read(path)
            }
        },
    )
);

expansion!(
    cached_with_mistakes,
    crate::cached::cached(
        quote!(polcy = "lru"),
        quote!(
            fn answer() -> u32 {
                42
            }
        ),
    )
);

expansion!(
    pooled,
    crate::pooled::pooled(
        quote!(max = 64, max_mb = 16, reset = Self::clear),
        quote!(
            #[derive(Default)]
            struct Parser {
                tokens: Vec<Token>,
            }
        ),
    )
);

expansion!(
    pooled_generic,
    crate::pooled::pooled(
        quote!(new = || Self::new(16)),
        quote!(
            pub struct Stack<T: Copy>(Vec<T>);
        )
    )
);

expansion!(
    pooled_function,
    crate::pooled::pooled(
        quote!(max = 4, reset = |conn| !conn.broken),
        quote! {
            /// Documented.
            pub fn connect(dsn: &str, tls: bool) -> Result<Pooled<Conn>, Failure> {
                Conn::open(dsn, tls)
            }
        },
    )
);

expansion!(
    weigh,
    crate::weigh::derive(quote!(
        enum Shape<T> {
            Empty,
            Circle(T, #[weigh(skip)] Arc<Canvas>),
            Polygon {
                corners: Vec<T>,
                #[weigh(with = image_bytes)]
                fill: Image,
            },
        }
    ))
);
