pub struct Stack<T: Copy>(Vec<T>);
impl<T: Copy> Stack<T>
where
    Self: ::larder::__private::Poolable,
{
    /// Takes a `Stack` from its pool, or makes one; it goes back when the lease is dropped.
    #[allow(
        dead_code,
        unreachable_pub,
        reason = "a pool may be used through `pool()` only"
    )]
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn acquire() -> ::larder::Pooled<Self> {
        Self::pool().acquire()
    }
    /// The pool that [`acquire`](Self::acquire) takes a `Stack` from.
    #[allow(
        dead_code,
        unreachable_pub,
        reason = "not every pool is looked into by hand"
    )]
    #[must_use]
    #[inline]
    pub fn pool() -> &'static ::larder::Pool<Self, ::larder::Always> {
        ::larder::__private::declare! {
            static __DESCRIPTOR : ::larder::__private::Descriptor =
            ::larder::__private::Descriptor::pooled(::core::concat!(::core::module_path!(),
            "::", "Stack"), ::core::file!(), ::core::line!(),
            ::larder::__private::PooledOptions::DEFAULT);
        }
        static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
            &__DESCRIPTOR,
        );
        __SITE
            .pool(
                ::larder::__private::poolable::<Self>()
                    .weighed(::larder::__private::weigher!(Self)),
                || {
                    ::larder::__private::Recipe::<
                        Self,
                    >::new({
                            let __new: fn() -> Self = || Self::new(16);
                            __new
                        })
                        .weighed_at_once(|__object| ::core::option::Option::Some(
                            (::larder::__private::weigher!(Self).heap)(__object),
                        ))
                },
                || (),
            )
    }
}
