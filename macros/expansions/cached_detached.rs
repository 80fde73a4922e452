async fn fetch(
    client: &Client,
    path: String,
    __fixed: &'static str,
) -> Result<Page, Failure> {
    #[allow(
        clippy::too_many_arguments,
        clippy::type_complexity,
        clippy::option_option,
        clippy::vec_box,
        clippy::box_collection,
        clippy::rc_buffer,
        clippy::redundant_allocation,
        clippy::result_large_err,
        reason = "it is said of the function itself"
    )]
    async fn __larder_body(
        client: &Client,
        path: String,
        _fixed: &'static str,
    ) -> Result<Page, Failure> {
        client.get(path).await
    }
    let __cache = __in_an_impl_write_cached_assoc__fetch_0_0();
    let __miss = {
        let __query = &(
            ::larder::__private::Keyed::<Client>::OF.by_value(client),
            ::larder::__private::Keyed::<String>::OF.by_value(&path),
            ::larder::__private::by_ref::<str>(__fixed),
        );
        match ::larder::__private::look(
            __cache,
            __query,
            ::larder::__private::Valued::<Page>::OF.ops(),
        ) {
            ::core::option::Option::Some(__value) => {
                return ::larder::__private::Fallible::from_value(__value);
            }
            ::core::option::Option::None => ::larder::__private::missed(__cache, __query),
        }
    };
    let client = ::larder::__private::Keyed::<Client>::OF.copied(client);
    ::larder::__private::try_load_detached(
            __cache,
            __miss,
            async move { __larder_body(&client, path, __fixed).await },
            ::larder::__private::returned::<Result<Page, Failure>>(),
        )
        .await
}
/// The cache behind [`fetch()`].
///
/// A key is `(client, path, _fixed)`.
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    reason = "not every cache is looked into by hand"
)]
#[must_use]
#[inline]
fn fetch_cache() -> &'static ::larder::Cache<
    (Client, String, ::std::string::String),
    Page,
> {
    __in_an_impl_write_cached_assoc__fetch_0_0()
}
#[doc(hidden)]
#[inline]
fn __in_an_impl_write_cached_assoc__fetch_0_0() -> &'static ::larder::Cache<
    (Client, String, ::std::string::String),
    Page,
> {
    ::larder::__private::declare! {
        static __DESCRIPTOR : ::larder::__private::Descriptor =
        ::larder::__private::Descriptor::cached(::core::concat!(::core::module_path!(),
        "::", "fetch"), ::core::file!(), ::core::line!(),
        ::larder::__private::CachedOptions { ttl :
        ::core::option::Option::Some(::core::time::Duration::new(300, 0)), jitter :
        ::core::option::Option::Some(0.1), ttl_by : true, wait_at_most :
        ::core::option::Option::Some(::core::time::Duration::new(2, 0)), ..
        ::larder::__private::CachedOptions::DEFAULT });
    }
    static __SITE: ::larder::__private::Single<
        (Client, String, ::std::string::String),
        Page,
    > = ::larder::__private::Single::new(&__DESCRIPTOR);
    match __SITE.get() {
        ::core::option::Option::Some(__cache) => __cache,
        ::core::option::Option::None => {
            __SITE
                .first(
                    (
                        ::larder::__private::weighed_key::<
                            Client,
                            _,
                            _,
                        >(
                            ::larder::__private::Keyed::<Client>::OF.ops(),
                            ::larder::__private::Weighed::<Client>::NEW.way(),
                        ),
                        ::larder::__private::weighed_key::<
                            String,
                            _,
                            _,
                        >(
                            ::larder::__private::Keyed::<String>::OF.ops(),
                            ::larder::__private::Weighed::<String>::NEW.way(),
                        ),
                        ::larder::__private::weighed_key::<
                            ::std::string::String,
                            _,
                            _,
                        >(
                            ::larder::__private::Keyed::<::std::string::String>::OF
                                .ops(),
                            ::larder::__private::Weighed::<::std::string::String>::NEW
                                .way(),
                        ),
                    ),
                    ::larder::__private::value::<
                        Page,
                        _,
                    >(::larder::__private::Valued::<Page>::OF.ops())
                        .weighed(::larder::__private::Weighed::<Page>::NEW.way()),
                    ::larder::__private::extras::<
                        _,
                        Page,
                    >(
                        &(
                            ::larder::__private::weighed_key::<
                                Client,
                                _,
                                _,
                            >(
                                ::larder::__private::Keyed::<Client>::OF.ops(),
                                ::larder::__private::Weighed::<Client>::NEW.way(),
                            ),
                            ::larder::__private::weighed_key::<
                                String,
                                _,
                                _,
                            >(
                                ::larder::__private::Keyed::<String>::OF.ops(),
                                ::larder::__private::Weighed::<String>::NEW.way(),
                            ),
                            ::larder::__private::weighed_key::<
                                ::std::string::String,
                                _,
                                _,
                            >(
                                ::larder::__private::Keyed::<::std::string::String>::OF
                                    .ops(),
                                ::larder::__private::Weighed::<::std::string::String>::NEW
                                    .way(),
                            ),
                        ),
                        ::larder::__private::Extras {
                            ttl_by: ::core::option::Option::Some(time_of),
                            ..::larder::__private::Extras::NONE
                        },
                    ),
                )
        }
    }
}
