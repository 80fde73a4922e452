/// Documented.
pub fn connect(dsn: &str, tls: bool) -> Result<Pooled<Conn>, Failure> {
    #[allow(
        clippy::unnecessary_wraps,
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
    fn __larder_body(dsn: &str, tls: bool) -> Result<Conn, Failure> {
        Conn::open(dsn, tls)
    }
    let __vacancy = match ::larder::__private::look_on_shelf(
        __in_an_impl_write_pooled_assoc__connect_0_0(),
        &&(
            ::larder::__private::by_ref::<str>(dsn),
            ::larder::__private::Keyed::<bool>::OF.by_value(&tls),
        ),
        (
            ::larder::__private::weighed_key::<
                ::std::string::String,
                _,
                _,
            >(
                ::larder::__private::Keyed::<::std::string::String>::OF.ops(),
                ::larder::__private::Weighed::<::std::string::String>::NEW.way(),
            ),
            ::larder::__private::weighed_key::<
                bool,
                _,
                _,
            >(
                ::larder::__private::Keyed::<bool>::OF.ops(),
                ::larder::__private::Weighed::<bool>::NEW.way(),
            ),
        ),
    ) {
        ::core::result::Result::Ok(__lease) => {
            return <Result<Conn, Failure> as ::larder::__private::Made>::lent(__lease);
        }
        ::core::result::Result::Err(__vacancy) => __vacancy,
    };
    __vacancy.try_fill(move || __larder_body(dsn, tls))
}
/// The pool that [`connect()`] takes a `Conn` from.
#[allow(dead_code, unreachable_pub, reason = "not every pool is looked into by hand")]
#[must_use]
pub fn connect_pool() -> &'static ::larder::Shelves<Conn> {
    __in_an_impl_write_pooled_assoc__connect_0_0()
}
#[doc(hidden)]
fn __in_an_impl_write_pooled_assoc__connect_0_0() -> &'static ::larder::Shelves<Conn> {
    ::larder::__private::declare! {
        static __DESCRIPTOR : ::larder::__private::Descriptor =
        ::larder::__private::Descriptor::pooled(::core::concat!(::core::module_path!(),
        "::", "connect"), ::core::file!(), ::core::line!(),
        ::larder::__private::PooledOptions { max : ::core::option::Option::Some(4), ..
        ::larder::__private::PooledOptions::DEFAULT });
    }
    static __SITE: ::larder::__private::Site = ::larder::__private::Site::new(
        &__DESCRIPTOR,
    );
    let __recipe = || {
        ::larder::__private::Recipe::<
            Conn,
        >::new(::larder::__private::made_by_function::<Conn>)
            .reset(|__object| {
                let __reset: fn(&mut Conn) -> _ = |conn| !conn.broken;
                ::larder::__private::keep(__reset(__object))
            })
    };
    __SITE
        .shelves(
            ::larder::__private::poolable::<Conn>()
                .weighed(::larder::__private::weigher!(Conn)),
            __recipe,
            || (),
        )
}
