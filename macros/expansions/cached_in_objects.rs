/// Documented.
pub fn find(&self, name: &str) -> Option<usize> {
    let (__cache, __miss) = {
        let __key0: &str = name.trim();
        let __cache = Self::__not_in_an_impl_of_a_trait__find_0_0(&self);
        let __miss = {
            let __query = ::larder::__private::by_ref::<str>(__key0);
            match ::larder::__private::look(
                __cache,
                __query,
                ::larder::__private::Valued::<usize>::OF.ops(),
            ) {
                ::core::option::Option::Some(__value) => {
                    return ::larder::__private::Fallible::from_value(__value);
                }
                ::core::option::Option::None => {
                    ::larder::__private::missed(__cache, __query)
                }
            }
        };
        (__cache, __miss)
    };
    ::larder::__private::try_load(
        __cache,
        __miss,
        move || (move || -> Option<usize> { self.text.find(name.trim()) })(),
    )
}
/// The cache behind [`find()`](Self::find), this object's own.
///
/// A key is `name.trim()`, without a tuple around it.
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    reason = "not every cache is looked into by hand"
)]
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
    ::larder::__private::declare! {
        static __DESCRIPTOR : ::larder::__private::Descriptor =
        ::larder::__private::Descriptor::cached(::core::concat!(::core::module_path!(),
        "::", "find"), ::core::file!(), ::core::line!(),
        ::larder::__private::CachedOptions { named_by_type : true, ..
        ::larder::__private::CachedOptions::DEFAULT });
    }
    static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
        &__DESCRIPTOR,
    );
    __SITE
        .cache_within(
            &self.caches,
            ::larder::__private::weighed_key::<
                ::std::string::String,
                _,
                _,
            >(
                ::larder::__private::Keyed::<::std::string::String>::OF.ops(),
                ::larder::__private::Weighed::<::std::string::String>::NEW.way(),
            ),
            ::larder::__private::value::<
                usize,
                _,
            >(::larder::__private::Valued::<usize>::OF.ops())
                .weighed(::larder::__private::Weighed::<usize>::NEW.way()),
            ::larder::__private::extras::<
                _,
                usize,
            >(
                &::larder::__private::weighed_key::<
                    ::std::string::String,
                    _,
                    _,
                >(
                    ::larder::__private::Keyed::<::std::string::String>::OF.ops(),
                    ::larder::__private::Weighed::<::std::string::String>::NEW.way(),
                ),
                ::larder::__private::Extras {
                    cost: ::core::option::Option::Some(|_, _| ::core::time::Duration::new(
                        0,
                        20000000,
                    )),
                    ..::larder::__private::Extras::NONE
                },
            ),
            || (),
        )
}
