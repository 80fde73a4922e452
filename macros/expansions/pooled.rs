#[derive(Default)]
struct Parser {
    tokens: Vec<Token>,
}
impl Parser {
    /// Takes a `Parser` from its pool, or makes one; it goes back when the lease is dropped.
    #[allow(
        dead_code,
        unreachable_pub,
        reason = "a pool may be used through `pool()` only"
    )]
    #[must_use]
    #[track_caller]
    fn acquire() -> ::larder::Pooled<Self> {
        Self::pool().acquire()
    }
    /// The pool that [`acquire`](Self::acquire) takes a `Parser` from.
    #[allow(
        dead_code,
        unreachable_pub,
        reason = "not every pool is looked into by hand"
    )]
    #[must_use]
    fn pool() -> &'static ::larder::Pool<Self> {
        static __DESCRIPTOR: ::larder::__private::Descriptor = ::larder::__private::Descriptor::pooled(
            ::core::concat!(::core::module_path!(), "::", "Parser"),
            ::core::file!(),
            ::core::line!(),
            ::larder::__private::PooledOptions {
                max: ::core::option::Option::Some(64),
                max_bytes: ::core::option::Option::Some(16777216),
                ..::larder::__private::PooledOptions::DEFAULT
            },
        );
        static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
            &__DESCRIPTOR,
        );
        ::larder::__private::submit!(__DESCRIPTOR);
        let recipe = || {
            ::larder::__private::Recipe::<
                Self,
            >::new({
                    let new: fn() -> Self = ::larder::__private::default_of::<Self>;
                    new
                })
                .reset(|object| {
                    let reset: fn(&mut Self) -> _ = Self::clear;
                    ::larder::__private::keep(reset(object))
                })
        };
        __SITE
            .pool(
                ::larder::__private::poolable::<Self>()
                    .weighed(::larder::__private::weigher!(Self)),
                recipe,
                || (),
            )
    }
}
