//! Weights of other crates' types against a counting allocator, each at small and large sizes.

use super::super::tests::{check, check_within, scattered};
use super::super::*;

/// Numbers of elements: none, one, a few, many.
const SIZES: [u64; 7] = [0, 1, 3, 8, 100, 1000, 20_000];

#[cfg(feature = "arrayvec")]
#[test]
fn arrayvec() {
    use arrayvec::{ArrayString, ArrayVec};

    check(|| (0..16_u64).collect::<ArrayVec<_, 16>>());
    check(|| (0..5).map(|number: u8| number.to_string()).collect::<ArrayVec<_, 8>>());
    check(|| ArrayString::<32>::from("in the value itself").expect("it is short"));
    assert!(!<ArrayVec<u8, 8>>::owns_heap() && !<ArrayString<8>>::owns_heap());
    assert!(<ArrayVec<String, 8>>::owns_heap());
}

#[cfg(feature = "bytes")]
#[test]
fn bytes() {
    use bytes::{Bytes, BytesMut};

    check(Bytes::new);
    check(BytesMut::new);
    for size in [1, 24, 100, 4000, 300_000] {
        // As a cache holds it: one of several clones.
        check(|| {
            let first = Bytes::from(vec![7; size]);
            let stored = first.clone();
            drop(first);
            stored
        });
        check(|| Bytes::from(vec![7; size]).slice(..));
        check(|| BytesMut::with_capacity(size));
        // Not cloned yet, it has no counter; never more than that is over.
        let (value, held) = crate::testing::measured(|| Bytes::copy_from_slice(&vec![7; size]));
        let over = value.heap_bytes() - held.modelled;
        assert_eq!(over, weigh::allocation(24), "{size}");
    }
    check(|| (0..100).map(|size| Bytes::from(vec![7; size]).slice(..)).collect::<Vec<_>>());
}

#[cfg(feature = "chrono")]
#[test]
fn chrono() {
    use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, Utc};

    check(|| DateTime::<Utc>::UNIX_EPOCH);
    check(|| vec![DateTime::<Utc>::UNIX_EPOCH; 1000]);
    assert!(!<(DateTime<Utc>, DateTime<FixedOffset>, NaiveDate, TimeDelta)>::owns_heap());
}

#[cfg(feature = "hashbrown")]
#[test]
fn hashbrown() {
    use foldhash::fast::FixedState;
    use hashbrown::{HashMap, HashSet, HashTable};

    type Map<K, V> = HashMap<K, V, FixedState>;
    for size in SIZES {
        check(|| scattered(size).map(|key| (key, [0_u8; 5])).collect::<Map<_, _>>());
        check(|| scattered(size).map(|key| (key as u8, ())).collect::<Map<_, _>>());
        check(|| scattered(size).map(|key| (key.to_string(), key.to_string())).collect::<Map<_, _>>());
        check(|| scattered(size).collect::<HashSet<_, FixedState>>());
        check(|| {
            let mut table = HashTable::new();
            for key in scattered(size) {
                table.insert_unique(key, key.to_string(), |text| text.len() as u64);
            }
            table
        });
    }
}

#[cfg(feature = "indexmap")]
#[test]
fn indexmap() {
    use foldhash::fast::FixedState;
    use indexmap::{IndexMap, IndexSet};

    type Map<K, V> = IndexMap<K, V, FixedState>;
    for size in SIZES {
        check(|| scattered(size).map(|key| (key, [0_u8; 5])).collect::<Map<_, _>>());
        check(|| scattered(size).map(|key| (key.to_string(), key as u32)).collect::<Map<_, _>>());
        check(|| scattered(size).collect::<IndexSet<_, FixedState>>());
        check(|| {
            let mut map = Map::default();
            for key in scattered(size) {
                map.insert(key, vec![key]);
            }
            map
        });
    }
    check(|| Map::<u64, u64>::with_capacity_and_hasher(1000, FixedState::default()));
}

#[cfg(feature = "serde_json")]
#[test]
fn serde_json() {
    use serde_json::{Map, Value, json};

    check(|| Value::Null);
    check(|| json!(1.5));
    check(|| json!("some text"));
    for size in SIZES {
        check_within(5, || json!(scattered(size).collect::<Vec<_>>()));
        check_within(10, || {
            let pairs =
                scattered(size).map(|key| (format!("key {key}"), json!({ "n": key, "s": [key, null] })));
            Value::Object(pairs.collect())
        });
        // Parsed, as it comes from elsewhere.
        let text = json!({
            "rows": scattered(size).map(|key| json!({ "id": key, "name": key.to_string(), "tags": ["a", "bc"] }))
                .collect::<Vec<_>>(),
        })
        .to_string();
        check_within(10, || serde_json::from_str::<Value>(&text).expect("it was just written"));
        check_within(10, || serde_json::from_str::<Map<String, Value>>(&text).expect("likewise"));
    }
}

#[cfg(feature = "smallvec")]
#[test]
fn smallvec() {
    use smallvec::SmallVec;

    for size in SIZES {
        check(|| scattered(size).collect::<SmallVec<[u64; 8]>>());
        check(|| scattered(size).map(|key| key.to_string()).collect::<SmallVec<[String; 4]>>());
        check(|| vec![SmallVec::<[u8; 16]>::from_elem(7, size as usize); 10]);
    }
}

#[cfg(feature = "url")]
#[test]
fn url() {
    use url::{Host, Origin, Url};

    let parse = |text: &str| Url::parse(text).expect("it is a URL");
    check(|| parse("https://example.org/a/path?with=a&query#and-more"));
    check(|| parse(&format!("https://example.org/{}", "long/".repeat(2000))));
    check(|| (0..1000).map(|page| parse(&format!("http://[::1]:8080/pages/{page}"))).collect::<Vec<_>>());
    // What parsing added left the buffer larger; a clone is as long as its text.
    let added = parse("https://example.org");
    check(|| added.clone());
    check(|| Host::Domain(String::from("example.org")));
    check(|| Host::<String>::Ipv4([127, 0, 0, 1].into()));
    check_within(10, || match added.origin() {
        Origin::Opaque(_) => unreachable!("https has an origin"),
        tuple @ Origin::Tuple(..) => tuple,
    });
    assert!(!<Host<&str>>::owns_heap());
}

#[cfg(feature = "uuid")]
#[test]
fn uuid() {
    use uuid::Uuid;

    check(|| vec![Uuid::from_u128(7); 1000]);
    assert!(!<Option<Uuid>>::owns_heap());
}

#[cfg(feature = "get-size2")]
#[test]
fn get_size() {
    let text = String::from("as the other crate sees it");
    assert_eq!(weigh::get_heap_size(&text), text.capacity() as u64);
    assert_eq!(weigh::get_size(&text), (24 + text.capacity()) as u64);
    // As it is named in an attribute.
    let _: fn(&Vec<u8>) -> u64 = weigh::get_size;
}
