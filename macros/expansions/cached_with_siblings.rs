#[allow(dead_code, reason = "those beside it may be all that is called")]
pub fn load(path: &str, reload: bool) -> io::Result<Page> {
    let __cache = __in_an_impl_write_cached_assoc__load_0_0();
    let __miss = {
        let __query = ::larder::__private::by_ref::<str>(path);
        if reload {
            ::larder::__private::forced(__cache, __query)
        } else {
            match ::larder::__private::look(
                __cache,
                __query,
                ::larder::__private::Valued::<
                    <io::Result<Page> as ::larder::__private::Fallible>::Value,
                >::OF
                    .ops(),
            ) {
                ::core::option::Option::Some(__value) => {
                    return ::larder::__private::Fallible::from_value(__value);
                }
                ::core::option::Option::None => {
                    ::larder::__private::missed(__cache, __query)
                }
            }
        }
    };
    ::larder::__private::apart(move || {
        let __here = ::larder::__private::here(__cache);
        match ::larder::__private::begin_or_refresh(&__here, __miss) {
            ::core::result::Result::Ok(__value) => {
                ::larder::__private::Fallible::from_value(__value)
            }
            ::core::result::Result::Err(__loading) => {
                ::larder::__private::Verdict::into_result(
                    ::larder::__private::try_end(
                        __loading,
                        ::larder::__private::judge(
                            load_uncached(path, reload),
                            |page| page.is_whole(),
                        ),
                    ),
                )
            }
        }
    })
}
/// The cache behind [`load()`].
///
/// A key is `path`, without a tuple around it.
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    reason = "not every cache is looked into by hand"
)]
#[must_use]
#[inline]
pub fn load_cache() -> &'static ::larder::Cache<
    ::std::string::String,
    <io::Result<Page> as ::larder::__private::Fallible>::Value,
> {
    __in_an_impl_write_cached_assoc__load_0_0()
}
#[doc(hidden)]
#[inline]
fn __in_an_impl_write_cached_assoc__load_0_0() -> &'static ::larder::Cache<
    ::std::string::String,
    <io::Result<Page> as ::larder::__private::Fallible>::Value,
> {
    ::larder::__private::declare! {
        static __DESCRIPTOR : ::larder::__private::Descriptor =
        ::larder::__private::Descriptor::cached(::core::concat!(::core::module_path!(),
        "::", "load"), ::core::file!(), ::core::line!(),
        ::larder::__private::CachedOptions::DEFAULT);
    }
    static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
        &__DESCRIPTOR,
    );
    __SITE
        .cache(
            ::larder::__private::weighed_key::<
                ::std::string::String,
                _,
                _,
            >(
                ::larder::__private::Keyed::<::std::string::String>::OF.ops(),
                ::larder::__private::Weighed::<::std::string::String>::NEW.way(),
            ),
            ::larder::__private::value::<
                <io::Result<Page> as ::larder::__private::Fallible>::Value,
                _,
            >(
                    ::larder::__private::Valued::<
                        <io::Result<Page> as ::larder::__private::Fallible>::Value,
                    >::OF
                        .ops(),
                )
                .weighed(
                    ::larder::__private::Weighed::<
                        <io::Result<Page> as ::larder::__private::Fallible>::Value,
                    >::NEW
                        .way(),
                ),
            (),
            || (),
        )
}
/// The body of [`load()`], without the cache.
#[allow(
    clippy::unnecessary_wraps,
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
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::missing_safety_doc,
    clippy::must_use_candidate,
    reason = "not every one is used, and what the function says holds for it"
)]
pub fn load_uncached(
    path: &str,
    #[allow(unused_variables, reason = "the attribute reads it")]
    reload: bool,
) -> io::Result<Page> {
    Page::read(path)
}
/// Runs the body of [`load()`] and stores what it returns, over what is there.
#[allow(
    clippy::unnecessary_wraps,
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
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::missing_safety_doc,
    clippy::must_use_candidate,
    reason = "not every one is used, and what the function says holds for it"
)]
pub fn load_refresh(path: &str, reload: bool) -> io::Result<Page> {
    let __cache = __in_an_impl_write_cached_assoc__load_0_0();
    let __miss = {
        let __query = ::larder::__private::by_ref::<str>(path);
        ::larder::__private::forced(__cache, __query)
    };
    ::larder::__private::apart(move || {
        let __here = ::larder::__private::here(__cache);
        match ::larder::__private::begin_or_refresh(&__here, __miss) {
            ::core::result::Result::Ok(__value) => {
                ::larder::__private::Fallible::from_value(__value)
            }
            ::core::result::Result::Err(__loading) => {
                ::larder::__private::Verdict::into_result(
                    ::larder::__private::try_end(
                        __loading,
                        ::larder::__private::judge(
                            load_uncached(path, reload),
                            |page| page.is_whole(),
                        ),
                    ),
                )
            }
        }
    })
}
/// Calls [`load()`], and says whether that was a hit.
#[allow(
    clippy::unnecessary_wraps,
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
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::missing_safety_doc,
    clippy::must_use_candidate,
    reason = "not every one is used, and what the function says holds for it"
)]
pub fn load_with_status(
    path: &str,
    reload: bool,
) -> (io::Result<Page>, ::larder::Status) {
    let __cache = __in_an_impl_write_cached_assoc__load_0_0();
    let __miss = {
        let __query = ::larder::__private::by_ref::<str>(path);
        if reload {
            ::larder::__private::forced(__cache, __query)
        } else {
            match ::larder::__private::look(
                __cache,
                __query,
                ::larder::__private::Valued::<
                    <io::Result<Page> as ::larder::__private::Fallible>::Value,
                >::OF
                    .ops(),
            ) {
                ::core::option::Option::Some(__value) => {
                    return (
                        ::larder::__private::Fallible::from_value(__value),
                        ::larder::Status::Hit,
                    );
                }
                ::core::option::Option::None => {
                    ::larder::__private::missed(__cache, __query)
                }
            }
        }
    };
    ::larder::__private::apart(move || {
        let __here = ::larder::__private::here(__cache);
        match ::larder::__private::begin_or_refresh(&__here, __miss) {
            ::core::result::Result::Ok(__value) => {
                (
                    ::larder::__private::Fallible::from_value(__value),
                    ::larder::Status::Waited,
                )
            }
            ::core::result::Result::Err(__loading) => {
                (
                    ::larder::__private::Verdict::into_result(
                        ::larder::__private::try_end(
                            __loading,
                            ::larder::__private::judge(
                                load_uncached(path, reload),
                                |page| page.is_whole(),
                            ),
                        ),
                    ),
                    ::larder::Status::Miss,
                )
            }
        }
    })
}
