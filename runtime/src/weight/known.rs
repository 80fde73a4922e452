//! Recognises common types at run time, for builders, which cannot choose an implementation by type.
//!
//! A type that is not here is not wrong: it goes by its size, and the tenant is marked `estimated`.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{CString, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Weigh, Weigher};

/// The weigher of `T`, if `T` is a common std type or owns nothing.
pub(crate) fn known<T: 'static>() -> Option<Weigher<T>> {
    let shallow = Weigher::<T>::shallow();
    if shallow.exact {
        return Some(shallow);
    }
    let mut found = None;
    search(&mut Search {
        wanted: TypeId::of::<T>(),
        found: &mut |weigher| found = weigher.downcast_ref::<Weigher<T>>().copied(),
    });
    found
}

/// What [`search`] looks for. Not generic, so that the list below is compiled once and not for every cache.
struct Search<'a> {
    wanted: TypeId,
    found: &'a mut dyn FnMut(&dyn Any),
}

impl Search<'_> {
    fn offer<U: Weigh + 'static>(&mut self) {
        self.compare(TypeId::of::<U>(), const { &Weigher::<U>::deep() });
    }

    fn compare(&mut self, id: TypeId, weigher: &dyn Any) {
        if self.wanted == id {
            (self.found)(weigher);
        }
    }

    /// Offers the containers that single elements of `U` come in.
    fn offer_in_containers<U: Weigh + 'static>(&mut self) {
        self.offer::<Vec<U>>();
        self.offer::<Box<[U]>>();
        self.offer::<Arc<[U]>>();
        self.offer::<Arc<Vec<U>>>();
        self.offer::<Option<Vec<U>>>();
        self.offer::<Option<Arc<[U]>>>();
        self.offer::<Vec<Vec<U>>>();
        self.offer::<Arc<Vec<Vec<U>>>>();
        self.offer::<VecDeque<U>>();
    }

    /// Offers `U` itself, alone and in containers.
    fn offer_all<U: Weigh + 'static>(&mut self) {
        self.offer::<U>();
        self.offer::<Arc<U>>();
        self.offer::<Box<U>>();
        self.offer::<Option<U>>();
        self.offer::<Option<Arc<U>>>();
        self.offer::<(U, U)>();
        self.offer_in_containers::<U>();
    }
}

fn search(search: &mut Search<'_>) {
    macro_rules! scalars {
        ($($ty:ty),*) => {$(
            search.offer_in_containers::<$ty>();
            search.offer::<Arc<$ty>>();
            search.offer::<Box<$ty>>();
        )*};
    }
    scalars!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char);
    search.offer_all::<String>();
    search.offer_all::<Arc<str>>();
    search.offer_all::<Box<str>>();
    search.offer_all::<Cow<'static, str>>();
    search.offer_all::<PathBuf>();
    search.offer_all::<Arc<Path>>();
    search.offer_all::<OsString>();
    search.offer_all::<CString>();
    search.offer::<Box<Path>>();
    search.offer::<HashMap<String, String>>();
    search.offer::<Arc<HashMap<String, String>>>();
    search.offer::<BTreeMap<String, String>>();
    search.offer::<Arc<BTreeMap<String, String>>>();
    search.offer::<HashSet<String>>();
    search.offer::<Arc<HashSet<String>>>();
    search.offer::<BTreeSet<String>>();
    search.offer::<HashSet<u64>>();
    search.offer::<HashMap<String, u64>>();
    search.offer::<(String, u32)>();
    search.offer::<(String, u64)>();
    search.offer::<(u32, String)>();
    search.offer::<(u64, String)>();
    search.offer::<(String, String, String)>();
    search.offer::<Vec<(String, String)>>();
    #[cfg(feature = "bytes")]
    search.offer_all::<bytes::Bytes>();
    #[cfg(feature = "serde_json")]
    search.offer_all::<serde_json::Value>();
    #[cfg(feature = "url")]
    search.offer_all::<url::Url>();
}
