fn load(path: impl AsRef<Path>) -> io::Result<Page> {
    fn __larder_body((path,): (impl AsRef<Path>,)) -> io::Result<Page> {
        Page::read(path.as_ref())
    }
    let cache = __in_an_impl_write_cached_assoc__load_0_0();
    let miss = {
        let query = ::larder::__private::by_ref::<
            Path,
        >(::core::convert::AsRef::<Path>::as_ref(&path));
        match ::larder::__private::look(
            cache,
            query,
            ::larder::__private::Valued::<
                <io::Result<Page> as ::larder::__private::Fallible>::Value,
            >::OF
                .ops(),
        ) {
            ::core::option::Option::Some(value) => {
                return ::larder::__private::Fallible::from_value(value);
            }
            ::core::option::Option::None => ::larder::__private::missed(cache, query),
        }
    };
    ::larder::__private::try_load_with(cache, miss, (path,), __larder_body)
}
/// The cache behind [`load()`].
///
/// A key is `path`, without a tuple around it.
#[allow(dead_code, unreachable_pub, reason = "not every cache is looked into by hand")]
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
                ::larder::__private::way!(< Path as ::std::borrow::ToOwned > ::Owned),
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
