fn answer() -> u32 {
    fn __larder_body((): ()) -> u32 {
        42
    }
    let __cache = __in_an_impl_write_cached_assoc__answer_0_0();
    let __miss = {
        let __query = ();
        match ::larder::__private::look(
            __cache,
            __query,
            ::larder::__private::Valued::<u32>::OF.ops(),
        ) {
            ::core::option::Option::Some(__value) => return __value,
            ::core::option::Option::None => ::larder::__private::missed(__cache, __query),
        }
    };
    ::larder::__private::load_with(__cache, __miss, (), __larder_body)
}
/// The cache behind [`answer()`].
///
/// A key is `()`.
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    reason = "not every cache is looked into by hand"
)]
#[must_use]
#[inline]
fn answer_cache() -> &'static ::larder::Cache<(), u32> {
    __in_an_impl_write_cached_assoc__answer_0_0()
}
#[doc(hidden)]
#[inline]
fn __in_an_impl_write_cached_assoc__answer_0_0() -> &'static ::larder::Cache<(), u32> {
    ::larder::__private::declare! {
        static __DESCRIPTOR : ::larder::__private::Descriptor =
        ::larder::__private::Descriptor::cached(::core::concat!(::core::module_path!(),
        "::", "answer"), ::core::file!(), ::core::line!(),
        ::larder::__private::CachedOptions::DEFAULT);
    }
    static __SITE: ::larder::__private::Single<(), u32> = ::larder::__private::Single::new(
        &__DESCRIPTOR,
    );
    __SITE
        .cache(
            (),
            ::larder::__private::value::<
                u32,
                _,
            >(::larder::__private::Valued::<u32>::OF.ops())
                .weighed(::larder::__private::Weighed::<u32>::NEW.way()),
        )
}
::core::compile_error! {
    "unknown option `polcy`: did you mean `policy`?"
}
