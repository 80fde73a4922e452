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
    #[inline]
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
    #[inline]
    fn pool() -> &'static ::larder::Pool<Self, ::larder::Always> {
        ::larder::__private::declare! {
            static __DESCRIPTOR : ::larder::__private::Descriptor =
            ::larder::__private::Descriptor::pooled(::core::concat!(::core::module_path!(),
            "::", "Parser"), ::core::file!(), ::core::line!(),
            ::larder::__private::PooledOptions { max : ::core::option::Option::Some(64),
            max_bytes : ::core::option::Option::Some(16777216), ..
            ::larder::__private::PooledOptions::DEFAULT });
        }
        static __POOL: ::larder::__private::SinglePool<Parser, ::larder::Always> = ::larder::__private::SinglePool::new(
            &__DESCRIPTOR,
        );
        match __POOL.get() {
            ::core::option::Option::Some(__pool) => __pool,
            ::core::option::Option::None => {
                __POOL
                    .first(
                        ::larder::__private::poolable::<Self>()
                            .weighed(::larder::__private::weigher!(Self)),
                        || {
                            ::larder::__private::Recipe::<
                                Self,
                            >::new({
                                    let __new: fn() -> Self = ::larder::__private::default_of::<
                                        Self,
                                    >;
                                    __new
                                })
                                .at_once(|__object| {
                                    let __reset: fn(&mut Self) -> _ = Self::clear;
                                    if !::larder::__private::keep(__reset(__object)) {
                                        return ::core::option::Option::None;
                                    }
                                    ::core::option::Option::Some(
                                        (::larder::__private::weigher!(Self).heap)(__object),
                                    )
                                })
                        },
                    )
            }
        }
    }
}
