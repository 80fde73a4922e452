//! Bytes that were never written, as keys, values, compressed pieces, labels on a disk and curves: each is an error or a value, and takes no more
//! memory than it declares; what comes back of what was written is what went in.
//!
//! The first byte says which decoder, the next two how many bytes are declared.

#![no_main]

use std::collections::BTreeMap;

use larder_codec::{Lz4, Serde, Zstd};
use larder_runtime::{Codec, Compress};

type Key = (String, Option<u64>, [i16; 3]);
type Value = BTreeMap<String, Vec<(f32, Result<char, Box<str>>)>>;

fn compressed(compress: &dyn Compress, len: usize, bytes: &[u8]) {
    let mut plain = Vec::new();
    let whole = compress.expand(bytes, len, &mut plain).is_ok();
    assert!(plain.len() <= len && (!whole || plain.len() == len));
    let (mut packed, mut back) = (Vec::new(), Vec::new());
    compress.compress(bytes, &mut packed);
    assert_eq!(compress.expand(&packed, bytes.len(), &mut back), Ok(()));
    assert!(back == bytes);
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [which, low, high, bytes @ ..] = input else { return };
    let len = usize::from(u16::from_le_bytes([*low, *high]));
    match which % 6 {
        0 => compressed(&Lz4::default(), len, bytes),
        1 => compressed(&Zstd::default().level(1), len, bytes),
        2 => {
            let Ok(key) = Codec::<Key, Value>::decode_key(&Serde, bytes) else { return };
            let mut again = Vec::new();
            Codec::<Key, Value>::encode_key(&Serde, &key, &mut again).unwrap();
            assert_eq!(Codec::<Key, Value>::decode_key(&Serde, &again), Ok(key));
        }
        3 => {
            let again = larder_disk::__frames(bytes);
            assert!(bytes.starts_with(&again) && larder_disk::__frames(&again) == again);
        }
        4 => {
            if let Some(again) = larder_runtime::__curve(bytes) {
                assert_eq!(larder_runtime::__curve(&again), Some(again));
            }
        }
        _ => {
            let Ok(value) = Codec::<Key, Value>::decode_value(&Serde, bytes) else { return };
            let mut again = Vec::new();
            Codec::<Key, Value>::encode_value(&Serde, &value, &mut again).unwrap();
            // Floats may be no numbers, which are equal to nothing.
            let mut same = Vec::new();
            let back = Codec::<Key, Value>::decode_value(&Serde, &again).unwrap();
            Codec::<Key, Value>::encode_value(&Serde, &back, &mut same).unwrap();
            assert!(same == again);
        }
    }
});
