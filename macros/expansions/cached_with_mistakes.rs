fn answer() -> u32 {
    fn __larder_body() -> u32 {
        42
    }
    let cache = __in_an_impl_write_cached_assoc__answer_0_0();
    let miss = match ::larder::__private::probe(
        cache,
        &(),
        ::larder::__private::value::<u32>(),
    ) {
        ::core::result::Result::Ok(value) => return value,
        ::core::result::Result::Err(miss) => miss,
    };
    ::larder::__private::apart(move || {
        let here = ::larder::__private::here(cache);
        match ::larder::__private::begin(&here, miss) {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(loading) => {
                ::larder::__private::end(loading, __larder_body())
            }
        }
    })
}
/// The cache behind [`answer()`].
///
/// A key is `()`.
#[allow(dead_code, unreachable_pub, reason = "not every cache is looked into by hand")]
#[must_use]
#[inline]
fn answer_cache() -> &'static ::larder::Cache<(), u32> {
    __in_an_impl_write_cached_assoc__answer_0_0()
}
#[doc(hidden)]
#[inline]
fn __in_an_impl_write_cached_assoc__answer_0_0() -> &'static ::larder::Cache<(), u32> {
    static __DESCRIPTOR: ::larder::__private::Descriptor = ::larder::__private::Descriptor::cached(
        ::core::concat!(::core::module_path!(), "::", "answer"),
        ::core::file!(),
        ::core::line!(),
        ::larder::__private::CachedOptions::DEFAULT,
    );
    static __SITE: ::larder::__private::Single<(), u32> = ::larder::__private::Single::new(
        &__DESCRIPTOR,
    );
    ::larder::__private::submit!(__DESCRIPTOR);
    match __SITE.get() {
        ::core::option::Option::Some(cache) => cache,
        ::core::option::Option::None => {
            __SITE
                .first(
                    (),
                    ::larder::__private::value::<u32>()
                        .weighed(::larder::__private::weigher!(u32)),
                    ::larder::__private::Extras::NONE,
                )
        }
    }
}
::core::compile_error! {
    "unknown option `polcy`: did you mean `policy`?"
}
