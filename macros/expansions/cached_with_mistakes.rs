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
    ::larder::__private::load(cache, miss, move || __larder_body())
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
    static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
        &__DESCRIPTOR,
    );
    ::larder::__private::submit!(__DESCRIPTOR);
    __SITE
        .cache(
            (),
            ::larder::__private::value::<u32>()
                .weighed(::larder::__private::weigher!(u32)),
            || (),
        )
}
::core::compile_error! {
    "unknown option `polcy`: did you mean `policy`?"
}
