fn load(path: impl AsRef<Path>) -> io::Result<Page> {
    fn __larder_body(path: impl AsRef<Path>) -> io::Result<Page> {
        Page::read(path.as_ref())
    }
    let cache = __in_an_impl_write_cached_assoc__load_0_0();
    let miss = match ::larder::__private::probe(
        cache,
        &::larder::__private::ref_key::<Path>()
            .of(::core::convert::AsRef::<Path>::as_ref(&path)),
        ::larder::__private::value::<
            <io::Result<Page> as ::larder::__private::Fallible>::Value,
        >(),
    ) {
        ::core::result::Result::Ok(value) => {
            return ::larder::__private::Fallible::from_value(value);
        }
        ::core::result::Result::Err(miss) => miss,
    };
    ::larder::__private::apart(move || {
        let here = ::larder::__private::here(cache);
        match ::larder::__private::begin(&here, miss) {
            ::core::result::Result::Ok(value) => {
                ::larder::__private::Fallible::from_value(value)
            }
            ::core::result::Result::Err(loading) => {
                ::larder::__private::try_end(loading, __larder_body(path))
            }
        }
    })
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
    static __DESCRIPTOR: ::larder::__private::Descriptor = ::larder::__private::Descriptor::cached(
        "pages",
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
            ::larder::__private::key::<<Path as ::std::borrow::ToOwned>::Owned>()
                .weighed(
                    ::larder::__private::weigher!(
                        < Path as ::std::borrow::ToOwned > ::Owned
                    ),
                ),
            ::larder::__private::value::<
                <io::Result<Page> as ::larder::__private::Fallible>::Value,
            >()
                .weigh_with(page_bytes),
            ::larder::__private::Extras::NONE,
            || (),
        )
}
