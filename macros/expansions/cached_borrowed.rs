/// Documented.
#[inline]
pub fn describe(name: &str, id: u32, opts: &Opts) -> Arc<str> {
    fn __larder_body((name, id, opts): (&str, u32, &Opts)) -> Arc<str> {
        format!("{name}{id}{opts:?}").into()
    }
    let __cache = __in_an_impl_write_cached_assoc__describe_0_0();
    let __miss = {
        let __query = &(
            ::larder::__private::by_ref::<str>(name),
            ::larder::__private::Keyed::<u32>::OF.by_value(&id),
            ::larder::__private::Keyed::<Opts>::OF.by_value(opts),
        );
        match ::larder::__private::look(
            __cache,
            __query,
            ::larder::__private::Valued::<Arc<str>>::OF.ops(),
        ) {
            ::core::option::Option::Some(__value) => return __value,
            ::core::option::Option::None => ::larder::__private::missed(__cache, __query),
        }
    };
    ::larder::__private::load_with(__cache, __miss, (name, id, opts), __larder_body)
}
/// The cache behind [`describe()`].
///
/// A key is `(name, id, opts)`.
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    reason = "not every cache is looked into by hand"
)]
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
    ::larder::__private::declare! {
        static __DESCRIPTOR : ::larder::__private::Descriptor =
        ::larder::__private::Descriptor::cached(::core::concat!(::core::module_path!(),
        "::", "describe"), ::core::file!(), ::core::line!(),
        ::larder::__private::CachedOptions { policy : ::larder::__private::Policy::Lru,
        max_bytes : ::core::option::Option::Some(52428800), ttl :
        ::core::option::Option::Some(::core::time::Duration::new(600, 0)), ..
        ::larder::__private::CachedOptions::DEFAULT });
    }
    static __SITE: ::larder::__private::Single<
        (::std::string::String, u32, Opts),
        Arc<str>,
    > = ::larder::__private::Single::new(&__DESCRIPTOR);
    __SITE
        .cache(
            (
                ::larder::__private::weighed_key::<
                    ::std::string::String,
                    _,
                    _,
                >(
                    ::larder::__private::Keyed::<::std::string::String>::OF.ops(),
                    ::larder::__private::Weighed::<::std::string::String>::NEW.way(),
                ),
                ::larder::__private::weighed_key::<
                    u32,
                    _,
                    _,
                >(
                    ::larder::__private::Keyed::<u32>::OF.ops(),
                    ::larder::__private::Weighed::<u32>::NEW.way(),
                ),
                ::larder::__private::weighed_key::<
                    Opts,
                    _,
                    _,
                >(
                    ::larder::__private::Keyed::<Opts>::OF.ops(),
                    ::larder::__private::Weighed::<Opts>::NEW.way(),
                ),
            ),
            ::larder::__private::value::<
                Arc<str>,
                _,
            >(::larder::__private::Valued::<Arc<str>>::OF.ops())
                .weighed(::larder::__private::Weighed::<Arc<str>>::NEW.way()),
        )
}
