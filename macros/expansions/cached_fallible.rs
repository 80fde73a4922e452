fn load(path: impl AsRef<Path>) -> io::Result<Page> {
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
    fn __larder_body((path,): (impl AsRef<Path>,)) -> io::Result<Page> {
        Page::read(path.as_ref())
    }
    let __cache = __in_an_impl_write_cached_assoc__load_0_0();
    let __miss = {
        let __query = ::larder::__private::by_ref::<
            Path,
        >(::core::convert::AsRef::<Path>::as_ref(&path));
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
            ::core::option::Option::None => ::larder::__private::missed(__cache, __query),
        }
    };
    ::larder::__private::try_load_with(__cache, __miss, (path,), __larder_body)
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
fn load_cache() -> &'static ::larder::Cache<
    <Path as ::std::borrow::ToOwned>::Owned,
    <io::Result<Page> as ::larder::__private::Fallible>::Value,
> {
    __in_an_impl_write_cached_assoc__load_0_0()
}
#[doc(hidden)]
#[inline]
fn __in_an_impl_write_cached_assoc__load_0_0() -> &'static ::larder::Cache<
    <Path as ::std::borrow::ToOwned>::Owned,
    <io::Result<Page> as ::larder::__private::Fallible>::Value,
> {
    ::larder::__private::declare! {
        static __DESCRIPTOR : ::larder::__private::Descriptor =
        ::larder::__private::Descriptor::cached("pages", ::core::file!(),
        ::core::line!(), ::larder::__private::CachedOptions::DEFAULT);
    }
    static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
        &__DESCRIPTOR,
    );
    __SITE
        .cache(
            ::larder::__private::weighed_key::<
                <Path as ::std::borrow::ToOwned>::Owned,
                _,
                _,
            >(
                ::larder::__private::Keyed::<<Path as ::std::borrow::ToOwned>::Owned>::OF
                    .ops(),
                ::larder::__private::Weighed::<
                    <Path as ::std::borrow::ToOwned>::Owned,
                >::NEW
                    .way(),
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
                .weigh_with(page_bytes),
            (),
            || (),
        )
}
