//! Whose a record is: a number over the names of what wrote it, and over the shapes of its types.
//!
//! The format has no names in it, so bytes of a struct that has lost a field may well be read as one that never had it.
//! So types are asked for their shapes once: a deserializer hands each of them something small, and writes down what it
//! asks for, with the names of fields and variants. A type that takes nothing we can offer (one that parses a text,
//! say) is known by its name, and by what it asked for until then.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::value::U32Deserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer};
use serde::de::{MapAccess, SeqAccess, VariantAccess, Visitor};

/// So deep are types followed into each other; beyond, lists are empty and options are none.
const DEPTH: u32 = 12;
/// So much is asked of one type at the most.
const STEPS: u32 = 4096;
/// So often is it asked, once more for each variant that has not been seen.
const PASSES: usize = 64;

/// Of the code that writes and reads the records of one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema(u64);

impl Schema {
    /// Of a cache of that name, which has the crate's in it where a macro made it, with these types. `version` is the
    /// user's: a new one makes all older records foreign, for changes that no type shows. The same on every machine;
    /// another compiler may call a type otherwise, which makes them foreign, too.
    #[must_use]
    pub fn of<K: DeserializeOwned, V: DeserializeOwned>(name: &str, version: u32) -> Self {
        let mut hash = Hash::new();
        hash.text("larder 1");
        hash.text(name);
        hash.number(version.into());
        shape_of::<K>(&mut hash);
        shape_of::<V>(&mut hash);
        Self(hash.finish())
    }

    /// The number for [`Record::seal`](crate::Record::seal).
    #[must_use]
    pub fn fingerprint(self) -> u64 {
        self.0
    }
}

fn shape_of<T: DeserializeOwned>(hash: &mut Hash) {
    hash.text(type_name::<T>());
    let mut seen = BTreeMap::new();
    for _ in 0..PASSES {
        let mut trace =
            Trace { hash: Hash::new(), seen: std::mem::take(&mut seen), more: false, steps: STEPS };
        let asked =
            catch_unwind(AssertUnwindSafe(|| T::deserialize(Probe { trace: &mut trace, depth: 0 }).is_ok()));
        trace.hash.number(asked.unwrap_or(false).into());
        hash.number(trace.hash.finish());
        seen = trace.seen;
        if !trace.more {
            break;
        }
    }
}

/// FNV-1a: the same on every machine.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    fn number(&mut self, number: u64) {
        number.to_le_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        text.bytes().for_each(|byte| self.byte(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What was asked for so far.
struct Trace {
    hash: Hash,
    /// How many variants of each enum have been handed out.
    seen: BTreeMap<&'static str, u32>,
    /// Some have not.
    more: bool,
    steps: u32,
}

/// Hands out what is asked for.
struct Probe<'a> {
    trace: &'a mut Trace,
    depth: u32,
}

/// What a type asked for cannot be handed out.
#[derive(Debug)]
struct Opaque;

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its shape cannot be told")
    }
}

impl std::error::Error for Opaque {}

impl de::Error for Opaque {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Probe<'_> {
    fn note(&mut self, what: &str) -> Result<(), Opaque> {
        self.trace.hash.text(what);
        self.trace.steps = self.trace.steps.checked_sub(1).ok_or(Opaque)?;
        Ok(())
    }

    fn deeper(&mut self) -> Probe<'_> {
        Probe { trace: self.trace, depth: self.depth + 1 }
    }

    fn items(&mut self, left: usize) -> Items<'_> {
        Items { probe: self.deeper(), left }
    }
}

macro_rules! plain {
    ($($deserialize:ident $what:literal $visit:ident $value:expr;)*) => { $(
        fn $deserialize<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Opaque> {
            self.note($what)?;
            visitor.$visit($value)
        }
    )* };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Opaque;

    plain! {
        deserialize_bool "bool" visit_bool false;
        deserialize_i8 "i8" visit_i8 1;
        deserialize_i16 "i16" visit_i16 1;
        deserialize_i32 "i32" visit_i32 1;
        deserialize_i64 "i64" visit_i64 1;
        deserialize_i128 "i128" visit_i128 1;
        deserialize_u8 "u8" visit_u8 1;
        deserialize_u16 "u16" visit_u16 1;
        deserialize_u32 "u32" visit_u32 1;
        deserialize_u64 "u64" visit_u64 1;
        deserialize_u128 "u128" visit_u128 1;
        deserialize_f32 "f32" visit_f32 1.0;
        deserialize_f64 "f64" visit_f64 1.0;
        deserialize_char "char" visit_char 'a';
        deserialize_str "text" visit_str "";
        deserialize_string "text" visit_str "";
        deserialize_bytes "bytes" visit_bytes &[];
        deserialize_byte_buf "bytes" visit_bytes &[];
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, _: V) -> Result<V::Value, Opaque> {
        self.note("any")?;
        Err(Opaque)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Opaque> {
        self.deserialize_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Opaque> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Opaque> {
        self.note("unit")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Opaque> {
        self.note(name)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Opaque> {
        self.note(name)?;
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Opaque> {
        self.note("option")?;
        if self.depth >= DEPTH { visitor.visit_none() } else { visitor.visit_some(self.deeper()) }
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Opaque> {
        self.note("list")?;
        let items = usize::from(self.depth < DEPTH);
        visitor.visit_seq(self.items(items))
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Opaque> {
        self.note("map")?;
        let items = usize::from(self.depth < DEPTH);
        visitor.visit_map(self.items(items))
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Opaque> {
        self.note("tuple")?;
        self.trace.hash.number(len as u64);
        visitor.visit_seq(self.items(len))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Opaque> {
        self.note(name)?;
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Opaque> {
        self.note(name)?;
        for field in fields {
            self.note(field)?;
        }
        visitor.visit_seq(self.items(fields.len()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Opaque> {
        self.note(name)?;
        for variant in variants {
            self.note(variant)?;
        }
        let next = self.trace.seen.entry(name).or_insert(0);
        let variant = *next % variants.len().max(1) as u32;
        *next += 1;
        self.trace.more |= (*next as usize) < variants.len();
        self.trace.hash.number(variant.into());
        visitor.visit_enum(Variant { probe: self.deeper(), variant })
    }

    /// As the format.
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// So many of what is asked for.
struct Items<'a> {
    probe: Probe<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Opaque;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Opaque> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let Probe { trace, depth } = &mut self.probe;
        seed.deserialize(Probe { trace, depth: *depth }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Items<'_> {
    type Error = Opaque;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Opaque> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Opaque> {
        let Probe { trace, depth } = &mut self.probe;
        seed.deserialize(Probe { trace, depth: *depth })
    }
}

/// One variant of an enum.
struct Variant<'a> {
    probe: Probe<'a>,
    variant: u32,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Opaque;
    type Variant = Probe<'a>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Probe<'a>), Opaque> {
        let variant: U32Deserializer<Opaque> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self.probe))
    }
}

impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Opaque;

    fn unit_variant(mut self) -> Result<(), Opaque> {
        self.note("unit")
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Opaque> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Opaque> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Opaque> {
        self.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroU64;

    use serde::Deserialize;

    use super::Schema;

    /// Types of one name, so that only their shapes differ.
    macro_rules! shapes {
        ($($of:ident { $($item:item)* })*) => { $(
            mod $of {
                use super::*;
                $(#[derive(Deserialize)] #[expect(dead_code, reason = "nobody makes one")] $item)*

                pub(super) fn shape() -> u64 {
                    let mut hash = super::super::Hash::new();
                    let mut seen = std::collections::BTreeMap::new();
                    // Without the name of the type, which has the module in it.
                    for _ in 0..super::super::PASSES {
                        let seen_before = std::mem::take(&mut seen);
                        let mut trace = super::super::Trace {
                            hash: super::super::Hash::new(), seen: seen_before, more: false, steps: 4096,
                        };
                        let probe = super::super::Probe { trace: &mut trace, depth: 0 };
                        hash.number(Page::deserialize(probe).is_ok().into());
                        hash.number(trace.hash.finish());
                        seen = trace.seen;
                        if !trace.more { break; }
                    }
                    hash.finish()
                }
            }
        )* };
    }

    shapes! {
        first {
            pub(super) struct Page { title: String, count: u32, kind: Kind }
            enum Kind { A, B(u8), C { x: f32 } }
        }
        again {
            pub(super) struct Page { title: String, count: u32, kind: Kind }
            enum Kind { A, B(u8), C { x: f32 } }
        }
        renamed {
            pub(super) struct Page { name: String, count: u32, kind: Kind }
            enum Kind { A, B(u8), C { x: f32 } }
        }
        retyped {
            pub(super) struct Page { title: String, count: u64, kind: Kind }
            enum Kind { A, B(u8), C { x: f32 } }
        }
        fewer {
            pub(super) struct Page { title: String, kind: Kind }
            enum Kind { A, B(u8), C { x: f32 } }
        }
        swapped {
            pub(super) struct Page { count: u32, title: String, kind: Kind }
            enum Kind { A, B(u8), C { x: f32 } }
        }
        of_variants {
            pub(super) struct Page { title: String, count: u32, kind: Kind }
            enum Kind { A, B(u8), C { x: f64 } }
        }
        in_lists {
            pub(super) struct Page { title: String, count: u32, kind: Vec<Option<Kind>> }
            enum Kind { A, B(u8), C { x: f32 } }
        }
        recursive {
            pub(super) struct Page { title: String, pages: Vec<Page>, next: Option<Box<Page>> }
        }
    }

    #[test]
    fn a_change_of_a_type_is_another_shape() {
        let shapes = [
            first::shape(),
            renamed::shape(),
            retyped::shape(),
            fewer::shape(),
            swapped::shape(),
            of_variants::shape(),
            in_lists::shape(),
            recursive::shape(),
        ];
        for (at, shape) in shapes.iter().enumerate() {
            assert!(!shapes[at + 1..].contains(shape), "number {at} looks like another");
        }
        assert_eq!(first::shape(), again::shape());
    }

    #[test]
    fn names_and_versions_make_others_foreign() {
        let of = |name, version| Schema::of::<u64, HashMap<String, NonZeroU64>>(name, version);
        assert_eq!(of("app::pages", 1), of("app::pages", 1));
        assert_ne!(of("app::pages", 1), of("app::pages", 2));
        assert_ne!(of("app::pages", 1), of("app::texts", 1));
        assert_ne!(of("app::pages", 1), Schema::of::<u64, HashMap<String, u64>>("app::pages", 1));
    }
}
