async fn load(&self, __arg1: (u8, u8), log: &Log) -> Result<Page, Failure> {
    let cache = {
        static __DESCRIPTOR: ::larder::__private::Descriptor = ::larder::__private::Descriptor::cached(
            ::core::concat!(::core::module_path!(), "::", "load"),
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
            .cache(
                (
                    ::larder::__private::receiver::<Self>()
                        .weighed(::larder::__private::weigher!(Self)),
                    (
                        ::larder::__private::key::<u8>()
                            .weighed(::larder::__private::weigher!(u8)),
                        ::larder::__private::key::<u8>()
                            .weighed(::larder::__private::weigher!(u8)),
                    ),
                ),
                ::larder::__private::value::<Page>()
                    .weighed(::larder::__private::weigher!(Page)),
                ::larder::__private::Extras::NONE,
                || (),
            )
    };
    let miss = match ::larder::__private::probe(
        cache,
        &(
            ::larder::__private::receiver::<Self>().of(self),
            (
                ::larder::__private::key::<u8>().of(&__arg1.0),
                ::larder::__private::key::<u8>().of(&__arg1.1),
            ),
        ),
        ::larder::__private::value::<Page>(),
    ) {
        ::core::result::Result::Ok(value) => {
            return ::larder::__private::Fallible::from_value(value);
        }
        ::core::result::Result::Err(miss) => miss,
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
