/// Documented.
pub fn find(&self, name: &str) -> Option<usize> {
    let (cache, miss) = {
        let __key0: &str = name.trim();
        let cache = Self::__not_in_an_impl_of_a_trait__find_0_0(&self);
        let miss = match ::larder::__private::probe(
            cache,
            &::larder::__private::ref_key::<str>().of(__key0),
            ::larder::__private::value::<usize>(),
        ) {
            ::core::result::Result::Ok(value) => {
                return ::larder::__private::Fallible::from_value(value);
            }
            ::core::result::Result::Err(miss) => miss,
        };
        (cache, miss)
    };
    ::larder::__private::apart(move || {
        let here = ::larder::__private::here(cache);
        match ::larder::__private::begin(&here, miss) {
            ::core::result::Result::Ok(value) => {
                ::larder::__private::Fallible::from_value(value)
            }
            ::core::result::Result::Err(loading) => {
                ::larder::__private::try_end(
                    loading,
                    (move || -> Option<usize> { self.text.find(name.trim()) })(),
                )
            }
        }
    })
}
/// The cache behind [`find()`](Self::find), this object's own.
///
/// A key is `name.trim()`, without a tuple around it.
#[allow(dead_code, unreachable_pub, reason = "not every cache is looked into by hand")]
#[must_use]
#[inline]
pub fn find_cache(&self) -> &::larder::Cache<::std::string::String, usize> {
    Self::__not_in_an_impl_of_a_trait__find_0_0(self)
}
#[doc(hidden)]
#[inline]
fn __not_in_an_impl_of_a_trait__find_0_0(
    &self,
) -> &::larder::Cache<::std::string::String, usize> {
    static __DESCRIPTOR: ::larder::__private::Descriptor = ::larder::__private::Descriptor::cached(
        ::core::concat!(::core::module_path!(), "::", "find"),
        ::core::file!(),
        ::core::line!(),
        ::larder::__private::CachedOptions {
            named_by_type: true,
            ..::larder::__private::CachedOptions::DEFAULT
        },
    );
    static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
        &__DESCRIPTOR,
    );
    ::larder::__private::submit!(__DESCRIPTOR);
    __SITE
        .cache_within(
            &self.caches,
            ::larder::__private::key::<::std::string::String>()
                .weighed(::larder::__private::weigher!(::std::string::String)),
            ::larder::__private::value::<usize>()
                .weighed(::larder::__private::weigher!(usize)),
            ::larder::__private::Extras {
                cost: ::core::option::Option::Some(|_, _| ::core::time::Duration::new(
                    0,
                    20000000,
                )),
                ..::larder::__private::Extras::NONE
            },
            || (),
        )
}
