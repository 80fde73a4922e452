async fn load(&self, __arg1: (u8, u8), log: &Log) -> Result<Page, Failure> {
    let cache = {
        ::larder::__private::declare! {
            static __DESCRIPTOR : ::larder::__private::Descriptor =
            ::larder::__private::Descriptor::cached(::core::concat!(::core::module_path!(),
            "::", "load"), ::core::file!(), ::core::line!(),
            ::larder::__private::CachedOptions { named_by_type : true, ..
            ::larder::__private::CachedOptions::DEFAULT });
        }
        static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
            &__DESCRIPTOR,
        );
        __SITE
            .cache(
                (
                    ::larder::__private::weighed_receiver::<
                        Self,
                        _,
                        _,
                    >(
                        ::larder::__private::Keyed::<Self>::OF.ops(),
                        ::larder::__private::way!(Self),
                    ),
                    (
                        ::larder::__private::weighed_key::<
                            u8,
                            _,
                            _,
                        >(
                            ::larder::__private::Keyed::<u8>::OF.ops(),
                            ::larder::__private::way!(u8),
                        ),
                        ::larder::__private::weighed_key::<
                            u8,
                            _,
                            _,
                        >(
                            ::larder::__private::Keyed::<u8>::OF.ops(),
                            ::larder::__private::way!(u8),
                        ),
                    ),
                ),
                ::larder::__private::value::<
                    Page,
                    _,
                >(::larder::__private::Valued::<Page>::OF.ops())
                    .weighed(::larder::__private::way!(Page)),
                (),
                || (),
            )
    };
    let miss = {
        let query = &(
            ::larder::__private::Keyed::<Self>::OF.by_value(self),
            (
                ::larder::__private::Keyed::<u8>::OF.by_value(&__arg1.0),
                ::larder::__private::Keyed::<u8>::OF.by_value(&__arg1.1),
            ),
        );
        match ::larder::__private::look(
            cache,
            query,
            ::larder::__private::Valued::<Page>::OF.ops(),
        ) {
            ::core::option::Option::Some(value) => {
                return ::larder::__private::Fallible::from_value(value);
            }
            ::core::option::Option::None => ::larder::__private::missed(cache, query),
        }
    };
    let here = ::larder::__private::here(cache);
    match ::larder::__private::begin_async(&here, miss).await {
        ::core::result::Result::Ok(value) => {
            ::larder::__private::Fallible::from_value(value)
        }
        ::core::result::Result::Err(mut loading) => {
            let body = async move {
                if false {
                    return ::larder::__private::never::<Result<Page, Failure>>();
                }
                let (a, mut b) = __arg1;
                {
                    b += a;
                    self.read(b, log).await
                }
            };
            let returned = ::larder::__private::polled(
                    &mut loading,
                    ::core::pin::pin!(body),
                )
                .await;
            ::larder::__private::try_end(loading, returned)
        }
    }
}
