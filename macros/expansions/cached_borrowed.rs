/// Documented.
#[inline]
pub fn describe(name: &str, id: u32, opts: &Opts) -> Arc<str> {
    fn __larder_body(name: &str, id: u32, opts: &Opts) -> Arc<str> {
        format!("{name}{id}{opts:?}").into()
    }
    let cache = __in_an_impl_write_cached_assoc__describe_0_0();
    let miss = match ::larder::__private::probe(
        cache,
        &(
            ::larder::__private::ref_key::<str>().of(name),
            ::larder::__private::key::<u32>().of(&id),
            ::larder::__private::key::<Opts>().of(opts),
        ),
        ::larder::__private::value::<Arc<str>>(),
    ) {
        ::core::result::Result::Ok(value) => return value,
        ::core::result::Result::Err(miss) => miss,
    };
    ::larder::__private::apart(move || {
        let here = ::larder::__private::here(cache);
        match ::larder::__private::begin(&here, miss) {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(loading) => {
                ::larder::__private::end(loading, __larder_body(name, id, opts))
            }
        }
    })
}
/// The cache behind [`describe()`].
///
/// A key is `(name, id, opts)`.
#[allow(dead_code, unreachable_pub, reason = "not every cache is looked into by hand")]
#[must_use]
#[inline]
pub fn describe_cache() -> &'static ::larder::Cache<
    (::std::string::String, u32, Opts),
    Arc<str>,
> {
    __in_an_impl_write_cached_assoc__describe_0_0()
}
#[doc(hidden)]
#[inline]
fn __in_an_impl_write_cached_assoc__describe_0_0() -> &'static ::larder::Cache<
    (::std::string::String, u32, Opts),
    Arc<str>,
> {
    static __DESCRIPTOR: ::larder::__private::Descriptor = ::larder::__private::Descriptor::cached(
        ::core::concat!(::core::module_path!(), "::", "describe"),
        ::core::file!(),
        ::core::line!(),
        ::larder::__private::CachedOptions {
            policy: ::larder::__private::Policy::Lru,
            max_bytes: ::core::option::Option::Some(52428800),
            ttl: ::core::option::Option::Some(::core::time::Duration::new(600, 0)),
            ..::larder::__private::CachedOptions::DEFAULT
        },
    );
    static __SITE: ::larder::__private::Single<
        (::std::string::String, u32, Opts),
        Arc<str>,
    > = ::larder::__private::Single::new(&__DESCRIPTOR);
    ::larder::__private::submit!(__DESCRIPTOR);
    match __SITE.get() {
        ::core::option::Option::Some(cache) => cache,
        ::core::option::Option::None => {
            __SITE
                .first(
                    (
                        ::larder::__private::key::<::std::string::String>()
                            .weighed(
                                ::larder::__private::weigher!(::std::string::String),
                            ),
                        ::larder::__private::key::<u32>()
                            .weighed(::larder::__private::weigher!(u32)),
                        ::larder::__private::key::<Opts>()
                            .weighed(::larder::__private::weigher!(Opts)),
                    ),
                    ::larder::__private::value::<Arc<str>>()
                        .weighed(::larder::__private::weigher!(Arc < str >)),
                    ::larder::__private::Extras::NONE,
                )
        }
    }
}
