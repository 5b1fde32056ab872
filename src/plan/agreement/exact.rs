//! A value that a text has to show exactly.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::catalog::Kind;
use crate::live::Text;

/// The most fields of a connection that is looked at here: they are counted in the bits of a word.
pub(super) const MOST_FIELDS: usize = 64;

pub(super) fn note<E: Error>(bits: &Cell<u64>, index: usize) -> Result<(), E> {
    let bit = 1 << index;
    if bits.get() & bit != 0 {
        return Err(in_doubt());
    }
    bits.set(bits.get() | bit);
    Ok(())
}

/// The end of a comparison; nobody reads it.
pub(super) fn in_doubt<E: Error>() -> E {
    E::custom("in doubt")
}

/// A value, to be this very one.
#[derive(Clone, Copy)]
pub(super) struct Same<'a> {
    pub(super) value: &'a Value,
    pub(super) extras: Extras,
}

/// Which keys an object may have beside those of the other.
#[derive(Clone, Copy)]
pub(super) enum Extras {
    /// None.
    None,
    /// Those that a server may add to a value of a kind: any, unless it is a free map.
    Of(Option<&'static Kind>),
}

impl Extras {
    /// Of the items of a list.
    fn of_items(self) -> Self {
        match self {
            Self::Of(Some(Kind::List(item) | Kind::Set(item))) => Self::Of(Some(item)),
            Self::Of(_) => Self::Of(None),
            Self::None => Self::None,
        }
    }

    /// Of the value of a key.
    fn of_key(self, key: &str) -> Self {
        match self {
            Self::Of(Some(Kind::Map(item))) => Self::Of(Some(item)),
            Self::Of(Some(Kind::Object(fields))) => {
                Self::Of(fields.iter().find(|f| f.name == key).map(|f| &f.kind))
            }
            Self::Of(_) => Self::Of(None),
            Self::None => Self::None,
        }
    }

    fn are_allowed(self) -> bool {
        !matches!(self, Self::None | Self::Of(Some(Kind::Map(_))))
    }
}

impl Same<'_> {
    fn if_so<E: Error>(is_same: bool) -> Result<(), E> {
        is_same.then_some(()).ok_or_else(in_doubt)
    }
}

impl<'de> DeserializeSeed<'de> for Same<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Same<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Self::if_so(self.value.is_null())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        Self::if_so(*self.value == Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        Self::if_so(self.value.as_number() == Some(&Number::from(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        Self::if_so(self.value.as_number() == Some(&Number::from(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let number = Number::from_f64(value);
        Self::if_so(number.is_some() && self.value.as_number() == number.as_ref())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        Self::if_so(self.value.as_str() == Some(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let items = self.value.as_array().ok_or_else(in_doubt)?;
        let extras = self.extras.of_items();
        for value in items {
            list.next_element_seed(Same { value, extras })?.ok_or_else(in_doubt)?;
        }
        Self::if_so(list.next_element::<IgnoredAny>()?.is_none())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let object = self.value.as_object().filter(|object| object.len() < MOST_FIELDS);
        let object: &Map<String, Value> = object.ok_or_else(in_doubt)?;
        let met = Cell::new(0_u64);
        while let Some(Text(key)) = map.next_key()? {
            let mut entries = object.iter().enumerate();
            match entries.find(|(_, (known, _))| **known == *key) {
                Some((index, (_, value))) => {
                    note(&met, index)?;
                    map.next_value_seed(Same { value, extras: self.extras.of_key(&key) })?;
                }
                None if self.extras.are_allowed() => _ = map.next_value::<IgnoredAny>()?,
                None => return Err(in_doubt()),
            }
        }
        Self::if_so(met.get() == (1 << object.len()) - 1)
    }
}
