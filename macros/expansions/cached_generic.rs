fn nearest<'a, T: CacheKey, const N: usize>(
    __arg0: (f64, f64),
    among: &'a [T],
    __hint: Option<&T>,
) -> Option<Vec<T>>
where
    T: Point<N>,
{
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
    fn __larder_body<'a, T: CacheKey, const N: usize>(
        ((x, mut y), among, _hint): ((f64, f64), &'a [T], Option<&T>),
    ) -> Option<Vec<T>>
    where
        T: Point<N>,
    {
        search(among, x, y)
    }
    let __cache = __in_an_impl_write_cached_assoc__nearest_0_0::<T, N>();
    let __miss = {
        let __query = &(
            (
                ::larder::__private::Bits64::new(__arg0.0),
                ::larder::__private::Bits64::new(__arg0.1),
            ),
            ::larder::__private::Keyed::<T>::OF.by_slice(among),
            match &__hint {
                ::core::option::Option::Some(__part) => {
                    ::core::option::Option::Some(
                        ::larder::__private::Keyed::<T>::OF.by_value(*__part),
                    )
                }
                ::core::option::Option::None => ::core::option::Option::None,
            },
        );
        match ::larder::__private::look(
            ::larder::__private::Found::cache(&__cache),
            __query,
            ::larder::__private::Valued::<Vec<T>>::OF.ops(),
        ) {
            ::core::option::Option::Some(__value) => {
                return ::larder::__private::Fallible::from_value(__value);
            }
            ::core::option::Option::None => {
                ::larder::__private::missed(
                    ::larder::__private::Found::cache(&__cache),
                    __query,
                )
            }
        }
    };
    ::larder::__private::try_load_with(
        ::larder::__private::Found::cache(&__cache),
        __miss,
        (__arg0, among, __hint),
        __larder_body::<T, N>,
    )
}
/// The cache behind [`nearest()`].
///
/// A key is `(_, among, _hint)`.
#[allow(
    dead_code,
    unreachable_pub,
    non_snake_case,
    reason = "not every cache is looked into by hand"
)]
#[must_use]
#[inline]
fn nearest_cache<T: CacheKey, const N: usize>() -> &'static ::larder::Cache<
    (
        (::larder::Bits64, ::larder::Bits64),
        ::std::vec::Vec<T>,
        ::core::option::Option<T>,
    ),
    Vec<T>,
>
where
    T: Point<N>,
{
    ::larder::__private::Found::forever(
        __in_an_impl_write_cached_assoc__nearest_0_0::<T, N>(),
    )
}
#[doc(hidden)]
#[inline]
fn __in_an_impl_write_cached_assoc__nearest_0_0<T: CacheKey, const N: usize>() -> ::larder::__private::Found<
    (
        (::larder::Bits64, ::larder::Bits64),
        ::std::vec::Vec<T>,
        ::core::option::Option<T>,
    ),
    Vec<T>,
>
where
    T: Point<N>,
{
    ::larder::__private::Found::of({
        ::larder::__private::declare! {
            static __DESCRIPTOR : ::larder::__private::Descriptor =
            ::larder::__private::Descriptor::cached(::core::concat!(::core::module_path!(),
            "::", "nearest"), ::core::file!(), ::core::line!(),
            ::larder::__private::CachedOptions::DEFAULT);
        }
        static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
            &__DESCRIPTOR,
        );
        __SITE
            .cache(
                (
                    (
                        ::larder::__private::key::<::larder::Bits64>(),
                        ::larder::__private::key::<::larder::Bits64>(),
                    ),
                    ::larder::__private::weighed_slice::<
                        T,
                        _,
                        _,
                    >(
                        ::larder::__private::Keyed::<T>::OF.slice_ops(),
                        ::larder::__private::Weighed::<::std::vec::Vec<T>>::NEW.way(),
                    ),
                    ::larder::__private::option_key(
                        ::larder::__private::weighed_key::<
                            T,
                            _,
                            _,
                        >(
                            ::larder::__private::Keyed::<T>::OF.ops(),
                            ::larder::__private::Weighed::<T>::NEW.way(),
                        ),
                    ),
                ),
                ::larder::__private::value::<
                    Vec<T>,
                    _,
                >(::larder::__private::Valued::<Vec<T>>::OF.ops())
                    .weighed(::larder::__private::Weighed::<Vec<T>>::NEW.way()),
                (),
                || (),
            )
    })
}
