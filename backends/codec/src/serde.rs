//! Keys and values as postcard writes them.

use std::fmt;

use larder_runtime::{Codec, CodecError};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What can be written to a tier and read back. Implemented by everything that can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be kept in a tier",
    label = "keys and values go down to the tiers as bytes",
    note = "a tier needs `serde::Serialize` and `serde::Deserialize` of the key's parts and of the value: derive them (`Arc` and `Rc` need serde's feature `rc`), or leave `tiers` out"
)]
pub trait Storable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Storable for T {}

/// Writes keys and values as their `Serialize` says, in the format of postcard: numbers in as few bytes as they need,
/// no names.
///
/// What is read must be all of the bytes. A type that is written in one way and read in another is found out where the
/// bytes do not fit, and not otherwise.
///
/// # Examples
///
/// ```
/// use larder_codec::Serde;
/// use larder_runtime::{Cache, Domain, Tiers, Warm};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let pages = Cache::<String, Vec<u32>>::builder("pages")
///     .max_entries(1)
///     .tiers(Tiers::new(Serde).warm(Warm::plain()))
///     .build_in(&domain)?;
/// pages.insert("one".to_owned(), vec![1; 500]);
/// pages.insert("two".to_owned(), vec![2; 500]);
/// assert_eq!(pages.get("one"), Some(vec![1; 500]));
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Serde;

impl<K: Storable, V: Storable> Codec<K, V> for Serde {
    fn encode_key(&self, key: &K, into: &mut Vec<u8>) -> Result<(), CodecError> {
        encode(key, into)
    }

    fn encode_value(&self, value: &V, into: &mut Vec<u8>) -> Result<(), CodecError> {
        encode(value, into)
    }

    fn decode_key(&self, bytes: &[u8]) -> Result<K, CodecError> {
        decode(bytes)
    }

    fn decode_value(&self, bytes: &[u8]) -> Result<V, CodecError> {
        decode(bytes)
    }
}

/// Appends what is written.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Append<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Append")
    }
}

fn encode<T: Serialize>(of: &T, into: &mut Vec<u8>) -> Result<(), CodecError> {
    postcard::serialize_with_flavor(of, Append(into)).map_err(|_| CodecError::default())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(bytes) {
        Ok((of, [])) => Ok(of),
        _ => Err(CodecError::default()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use larder_runtime::Codec;
    use serde::{Deserialize, Serialize};

    use super::Serde;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Page {
        title: String,
        lines: Vec<(u32, Option<String>)>,
        links: BTreeMap<String, i64>,
        kind: Kind,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Plain,
        Rich { level: u8, weights: Vec<f32> },
    }

    fn page() -> Page {
        Page {
            title: "a page".to_owned(),
            lines: vec![(1, None), (70_000, Some("line".repeat(50)))],
            links: BTreeMap::from([("up".to_owned(), -1), ("down".to_owned(), i64::MAX)]),
            kind: Kind::Rich { level: 3, weights: vec![0.5, -1.0] },
        }
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        Codec::<u64, Page>::encode_value(&Serde, &page(), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read_back() {
        assert_eq!(Codec::<u64, Page>::decode_value(&Serde, &bytes()), Ok(page()));
        let mut key = Vec::new();
        Codec::<(String, u64), ()>::encode_key(&Serde, &("a".to_owned(), 7), &mut key).unwrap();
        assert_eq!(Codec::<(String, u64), ()>::decode_key(&Serde, &key), Ok(("a".to_owned(), 7)));
    }

    #[test]
    fn bytes_are_appended_and_all_of_them_are_read() {
        let mut behind = b"before".to_vec();
        Codec::<u64, Page>::encode_value(&Serde, &page(), &mut behind).unwrap();
        assert_eq!(behind[..6], *b"before");
        assert_eq!(behind[6..], bytes());
        let long: Vec<u8> = [bytes(), vec![0]].concat();
        assert!(Codec::<u64, Page>::decode_value(&Serde, &long).is_err());
    }

    #[test]
    fn damaged_bytes_are_errors_or_other_values_and_never_more() {
        let bytes = bytes();
        for len in 0..bytes.len() {
            assert!(Codec::<u64, Page>::decode_value(&Serde, &bytes[..len]).is_err(), "{len}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let _ = Codec::<u64, Page>::decode_value(&Serde, &damaged);
            }
        }
        // A length of which there are no bytes.
        assert!(Codec::<u64, Vec<u64>>::decode_value(&Serde, &[0xff, 0xff, 0xff, 0xff, 0x7f, 1]).is_err());
    }
}
