//! Type identities of types that may borrow.

use std::any::TypeId;
use std::marker::PhantomData;

trait Identified {
    fn id(&self) -> TypeId
    where
        Self: 'static;
}

impl<T: ?Sized> Identified for PhantomData<T> {
    fn id(&self) -> TypeId
    where
        Self: 'static,
    {
        TypeId::of::<T>()
    }
}

/// The identity of `T` with each lifetime in it taken to be `'static`: types that differ in lifetimes only have the same.
pub(super) fn of<T: ?Sized>() -> TypeId {
    let it: &dyn Identified = &PhantomData::<T>;
    // SAFETY: this only changes the lifetime bound of the trait object, which is not part of its representation, so that a
    // method can be called that asks for it. Code is compiled without regard to lifetimes, and that method looks at no
    // value of the type: what it returns is the same for all of them.
    let it = unsafe { std::mem::transmute::<&dyn Identified, &(dyn Identified + 'static)>(it) };
    it.id()
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    fn of_borrowed<'a, T>(_: &'a T) -> TypeId {
        of::<(&'a T, u8)>()
    }

    #[test]
    fn lifetimes_do_not_count_and_types_do() {
        let (long, short) = (1_u32, 2_u32);
        assert_eq!(of_borrowed(&long), of_borrowed(&short));
        assert_eq!(of_borrowed(&long), TypeId::of::<(&'static u32, u8)>());
        assert_ne!(of_borrowed(&long), of_borrowed(&"text"));
        assert_eq!(of::<str>(), TypeId::of::<str>());
    }
}
