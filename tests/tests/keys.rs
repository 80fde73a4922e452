//! Keys: a call, a look-up through the handle, and the stored key hash alike and find one another, for every form
//! that an argument can have.

use std::borrow::{Borrow, Cow};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::__private::{Bits32, Bits64, Keyed, Query, by_ref, hash_of, pair};
use larder::{Cache, Domain, Lookup, Unordered, Weigh, cached};
use proptest::prelude::*;

/// The query, the look-up and the owned key are one key.
#[track_caller]
fn agree<Q>(query: &Q, lookup: impl Lookup<Q::Key>)
where
    Q: Query<Key: Hash + Eq>,
{
    let owned = query.own();
    let hash = hash_of(|state| query.hash(state));
    assert_eq!(hash, hash_of(|state| lookup.hash(state)), "the look-up hashes like the query");
    assert_eq!(hash, hash_of(|state| Hash::hash(&owned, state)), "the owned key hashes like the query");
    assert_eq!(hash, hash_of(|state| Lookup::<Q::Key>::hash(&&owned, state)), "so does a reference to it");
    assert!(query.eq(&owned) && lookup.eq(&owned) && Lookup::<Q::Key>::eq(&&owned, &owned));
}

/// Two keys that are not one another, seen from the query and from the look-up.
#[track_caller]
fn differ<Q: Query>(query: &Q, lookup: impl Lookup<Q::Key>, other: &Q) {
    let owned = other.own();
    assert!(!query.eq(&owned) && !lookup.eq(&owned));
}

#[test]
fn borrowed_forms_agree_with_their_owners() {
    agree(&by_ref::<str>("text"), "text");
    agree(&by_ref::<Path>(Path::new("a/b")), Path::new("a/b"));
    agree(&by_ref::<OsStr>(OsStr::new("a")), OsStr::new("a"));
    agree(&by_ref::<CStr>(c"a"), c"a");
    agree(&Keyed::<u8>::OF.by_slice(&[1, 2]), &[1_u8, 2][..]);
    agree(&Keyed::<String>::OF.by_slice(&["a".to_owned()]), &["a".to_owned()][..]);
    agree(&Keyed::<Arc<str>>::OF.by_value(&"a".into()), "a");
    agree(&Keyed::<String>::OF.by_value(&"a".to_owned()), "a");
    agree(&Keyed::<Cow<'static, str>>::OF.by_value(&"a".into()), "a");
    // Equal paths need not be equal as text.
    agree(&by_ref::<Path>(Path::new("a//b/.")), Path::new("a/b"));
}

#[test]
fn values_agree_with_themselves() {
    agree(&Keyed::<u8>::OF.by_value(&1), 1);
    agree(&Keyed::<i128>::OF.by_value(&-1), -1);
    agree(&Keyed::<usize>::OF.by_value(&1), 1);
    agree(&Keyed::<bool>::OF.by_value(&true), true);
    agree(&Keyed::<char>::OF.by_value(&'ä'), 'ä');
    agree(&Keyed::<[u16; 3]>::OF.by_value(&[1, 2, 3]), &[1, 2, 3]);
    agree(&Keyed::<()>::OF.by_value(&()), ());
}

#[test]
fn options_agree_discriminant_included() {
    agree(&Some(by_ref::<str>("a")), Some("a"));
    agree(&None::<Bits64>, None::<f64>);
    agree(&Some(Some(Keyed::<u8>::OF.by_value(&1))), Some(Some(1)));
    let empty = Some(by_ref::<str>(""));
    differ(&empty, Some(""), &None);
    differ(&None, None::<&str>, &empty);
    differ(&Some(None::<Bits32>), Some(None::<f32>), &None);
}

#[test]
fn tuples_agree() {
    agree(&(), ());
    agree(&(Keyed::<u8>::OF.by_value(&1),), (1,));
    agree(&(by_ref::<str>("ab"), Keyed::<u32>::OF.by_value(&7)), ("ab", 7));
    let twelve = [0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    let [a, b, c, d, e, f, g, h, i, j, k, l] = twelve.each_ref().map(|n| Keyed::<u8>::OF.by_value(n));
    agree(&(a, b, c, d, e, f, g, h, i, j, k, l), (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    let parts = |a, b| (by_ref::<str>(a), by_ref::<str>(b));
    // Where one text ends and the next begins is part of the key.
    let hash = |query: &(_, _)| hash_of(|state| Query::hash(query, state));
    assert_ne!(hash(&parts("ab", "c")), hash(&parts("a", "bc")));
    differ(&parts("ab", "c"), ("ab", "c"), &parts("a", "bc"));
}

#[test]
fn pairs_agree_in_either_order() {
    let of = |a, b| pair(by_ref::<str>(a), by_ref::<str>(b));
    agree(&of("a", "b"), Unordered("a", "b"));
    agree(&of("a", "b"), Unordered("b", "a"));
    agree(&of("a", "a"), Unordered("a", "a"));
    agree(&pair(Bits64::new(f64::NAN), Bits64::new(0.0)), Unordered(0.0, f64::NAN));
    agree(&(of("b", "a"), Keyed::<u8>::OF.by_value(&1)), (Unordered("a", "b"), 1));
    differ(&of("a", "b"), Unordered("a", "b"), &of("a", "a"));
    differ(&of("a", "a"), Unordered("a", "a"), &of("b", "b"));
    differ(&of("ab", ""), Unordered("ab", ""), &of("a", "b"));
    let (one, other) = (Unordered("a", "b"), Unordered("b", "a"));
    assert!(one == other && Unordered("a", "a") != one);
    assert!(Unordered("abc".to_owned(), String::new()).heap_bytes() > 0);
}

#[test]
fn floats_are_their_bits() {
    let other_nan = f64::from_bits(f64::NAN.to_bits() ^ 1);
    agree(&Bits64::new(f64::NAN), f64::NAN);
    agree(&Bits32::new(-0.0), -0.0_f32);
    agree(&Bits64::new(1.5), Bits64::from(1.5));
    differ(&Bits64::new(0.0), 0.0, &Bits64::new(-0.0));
    differ(&Bits64::new(f64::NAN), f64::NAN, &Bits64::new(other_nan));
    assert_eq!(Bits64::from(0.1).float().to_bits(), 0.1_f64.to_bits());
    assert_eq!(f32::from(Bits32::new(f32::MIN)).to_bits(), f32::MIN.to_bits());
    assert_eq!(
        (format!("{:?}", Bits64::new(1.0)), Bits32::new(0.5).to_string()),
        ("1.0".into(), "0.5".into())
    );
}

proptest! {
    #[test]
    fn any_text_and_number_agree(text: String, list: Vec<u16>, maybe: Option<String>, bits: u64, n: i64) {
        let float = f64::from_bits(bits);
        let query = (
            by_ref::<str>(&text),
            Keyed::<u16>::OF.by_slice(&list),
            maybe.as_deref().map(|text| by_ref::<str>(text)),
            (Bits64::new(float), Keyed::<i64>::OF.by_value(&n)),
        );
        agree(&query, (&*text, &*list, maybe.as_deref(), (float, n)));
    }
}

/// Numbers need no suffix: the cache knows what its keys are.
#[test]
fn keys_are_inferred_from_the_cache() {
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    fn cache<K: Hash + Eq + Send + Sync + 'static>(domain: &Domain, key: K) -> Cache<K, u8> {
        let cache = Cache::builder("inferred").build_in(domain).expect("a sound configuration");
        cache.insert(key, 1);
        cache
    }
    assert_eq!(cache::<u64>(&domain, 80).get(80), Some(1));
    let by_reference = &80;
    assert_eq!(cache::<u64>(&domain, 80).get(by_reference), Some(1));
    assert_eq!(cache::<i8>(&domain, -1).get(-1), Some(1));
    assert_eq!(cache::<Bits64>(&domain, 0.5.into()).get(0.5), Some(1));
    assert_eq!(cache::<Bits32>(&domain, 0.5.into()).get(0.5), Some(1));
    assert_eq!(cache::<String>(&domain, "a".into()).get("a"), Some(1));
    assert_eq!(cache::<String>(&domain, "a".into()).get(&"a".to_owned()), Some(1));
    assert_eq!(cache::<PathBuf>(&domain, "a".into()).get(Path::new("a")), Some(1));
    assert_eq!(cache::<OsString>(&domain, "a".into()).get(OsStr::new("a")), Some(1));
    assert_eq!(cache::<CString>(&domain, c"a".into()).get(c"a"), Some(1));
    assert_eq!(cache::<Vec<u8>>(&domain, vec![1]).get(&[1][..]), Some(1));
    assert_eq!(cache::<()>(&domain, ()).get(()), Some(1));
    assert_eq!(cache::<(String, u32)>(&domain, ("ab".into(), 7)).get(("ab", 7)), Some(1));
    assert_eq!(cache::<(String, u32)>(&domain, ("ab".into(), 7)).get(&("ab".to_owned(), 7)), Some(1));
    assert_eq!(cache::<Option<(String, u8)>>(&domain, None).get(None::<(&str, u8)>), Some(1));
    assert_eq!(cache::<(char, bool)>(&domain, ('a', true)).get(('a', true)), Some(1));
}

/// A key that borrows as something else finds its entry by it.
#[test]
fn a_key_of_ones_own_is_found_by_what_it_borrows_as() {
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Id(String);
    impl Borrow<str> for Id {
        fn borrow(&self) -> &str {
            &self.0
        }
    }
    agree(&Keyed::<Id>::OF.by_value(&Id("a".into())), "a");
}

#[cached]
fn described(name: &str, id: u32, opts: &(u8, Option<String>), scale: f64) -> String {
    format!("{name} {id} {opts:?} {scale}")
}

#[test]
fn the_handle_and_the_call_find_one_another() {
    let opts = (1, Some("a".to_owned()));
    assert_eq!(described("x", 7, &opts, f64::NAN), "x 7 (1, Some(\"a\")) NaN");
    let key = ("x", 7, (1, Some("a")), f64::NAN);
    assert!(described_cache().contains(key));
    described_cache().insert(("y".into(), 7, opts.clone(), 0.0.into()), "by hand".into());
    assert_eq!(described("y", 7, &opts, 0.0), "by hand");
    assert_ne!(described("y", 7, &opts, -0.0), "by hand");
    assert!(described_cache().invalidate(key));
    assert!(!described_cache().contains(key));
}
