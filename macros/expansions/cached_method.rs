async fn load(&self, __arg1: (u8, u8), log: &Log) -> Result<Page, Failure>
where
    for<'__any> Self: ::core::marker::Sized,
{
    let __cache = {
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
                        ::larder::__private::Weighed::<Self>::NEW.way(),
                    ),
                    (
                        ::larder::__private::weighed_key::<
                            u8,
                            _,
                            _,
                        >(
                            ::larder::__private::Keyed::<u8>::OF.ops(),
                            ::larder::__private::Weighed::<u8>::NEW.way(),
                        ),
                        ::larder::__private::weighed_key::<
                            u8,
                            _,
                            _,
                        >(
                            ::larder::__private::Keyed::<u8>::OF.ops(),
                            ::larder::__private::Weighed::<u8>::NEW.way(),
                        ),
                    ),
                ),
                ::larder::__private::value::<
                    Page,
                    _,
                >(::larder::__private::Valued::<Page>::OF.ops())
                    .weighed(::larder::__private::Weighed::<Page>::NEW.way()),
                (),
                || (),
            )
    };
    let __miss = {
        let __query = &(
            ::larder::__private::Keyed::<Self>::OF.by_value(self),
            (
                ::larder::__private::Keyed::<u8>::OF.by_value(&__arg1.0),
                ::larder::__private::Keyed::<u8>::OF.by_value(&__arg1.1),
            ),
        );
        match ::larder::__private::look(
            __cache,
            __query,
            ::larder::__private::Valued::<Page>::OF.ops(),
        ) {
            ::core::option::Option::Some(__value) => {
                return ::larder::__private::Fallible::from_value(__value);
            }
            ::core::option::Option::None => ::larder::__private::missed(__cache, __query),
        }
    };
    {
        let __here = ::larder::__private::here(__cache);
        match ::larder::__private::begin_async(&__here, __miss).await {
            ::core::result::Result::Ok(__value) => {
                ::larder::__private::Fallible::from_value(__value)
            }
            ::core::result::Result::Err(mut __loading) => {
                let __body = async move {
                    if false {
                        return ::larder::__private::never::<Result<Page, Failure>>();
                    }
                    let (a, mut b) = __arg1;
                    {
                        b += a;
                        self.read(b, log).await
                    }
                };
                let __returned = ::larder::__private::polled(
                        &mut __loading,
                        ::core::pin::pin!(__body),
                    )
                    .await;
                ::larder::__private::try_end(__loading, __returned)
            }
        }
    }
}
