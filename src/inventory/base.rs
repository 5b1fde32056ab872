//! The base of one connection, kept as text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::BaseField;
use crate::live::{Readable, Text};

/// Git's value of each field when live last agreed with it, by JSON pointer.
///
/// It is kept as the JSON text that the state holds, a fifth of the size of the map, and is read
/// when its connection is compared. So a state of a hundred thousand connections is neither taken
/// apart to be read nor put together to be written.
#[derive(Clone, Default)]
pub struct Base(Option<Arc<RawValue>>);

impl Base {
    /// Keeps fields.
    #[must_use]
    pub fn of(fields: &BTreeMap<String, BaseField>) -> Self {
        // A map of texts to values always has a JSON text.
        let text = serde_json::value::to_raw_value(fields).ok();
        Self(text.filter(|_| !fields.is_empty()).map(Arc::from))
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<String, BaseField> {
        // The text was made by `of`, or checked when it was read.
        serde_json::from_str(self.text()).unwrap_or_default()
    }

    /// Whether a secret of it was neither sent nor read back.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        // Of most bases the text alone says that they are not.
        self.text().contains("\"unverified\"") && self.fields().values().any(|f| f.unverified)
    }

    /// The JSON text of the fields.
    pub(crate) fn text(&self) -> &str {
        self.0.as_ref().map_or("{}", |text| text.get())
    }
}

impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

impl From<BTreeMap<String, BaseField>> for Base {
    fn from(fields: BTreeMap<String, BaseField>) -> Self {
        Self::of(&fields)
    }
}

impl Serialize for Base {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(text) => text.serialize(serializer),
            None => serializer.collect_map(std::iter::empty::<((), ())>()),
        }
    }
}

impl<'de> Deserialize<'de> for Base {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        // A state that makes no sense is refused when it is read, not when a field is asked for.
        let Checked { fields } =
            serde_json::from_str(text.get()).map_err(serde::de::Error::custom)?;
        Ok(Self((fields > 0).then(|| Arc::from(text))))
    }
}

/// Fields that were looked at without keeping anything of them.
struct Checked {
    fields: usize,
}

/// A field as [`BaseField`] has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckedField<'t> {
    #[serde(rename = "is")]
    _declared: Readable,
    #[serde(borrow, default, rename = "print")]
    _print: Option<Text<'t>>,
    #[serde(default, rename = "unverified")]
    _unverified: bool,
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;

        impl<'de> Visitor<'de> for Counting {
            type Value = Checked;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("fields by pointer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Checked, A::Error> {
                let mut fields = 0;
                while map.next_entry::<Readable, CheckedField<'de>>()?.is_some() {
                    fields += 1;
                }
                Ok(Checked { fields })
            }
        }

        deserializer.deserialize_map(Counting)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keeps_fields_as_text() {
        let field =
            BaseField { declared: json!({"b": 1, "a": [null]}), print: None, unverified: true };
        let fields = BTreeMap::from([("/x~1\"ä".to_owned(), field)]);
        let base = Base::of(&fields);
        assert_eq!(base.fields(), fields);
        assert!(base.is_unverified());
        let text = serde_json::to_string(&base).unwrap();
        assert_eq!(serde_json::from_str::<Base>(&text).unwrap(), base);
        assert_eq!(serde_json::to_string(&Base::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Base>("{ }").unwrap(), Base::default());
    }

    #[test]
    fn what_is_no_base_is_refused_when_it_is_read() {
        let deep = format!(r#"{{"/a": {{"is": {}{}}}}}"#, "[".repeat(500), "]".repeat(500));
        for text in [
            r#"{"/a": 1}"#,
            r#"{"/a": {}}"#,
            r#"{"/a": {"is": 1, "was": 2}}"#,
            r#"{"/a": {"is": 1, "is": 2}}"#,
            r#"{"/a": {"is": 1, "print": 3}}"#,
            r#"{"/a": {"is": "\ud800"}}"#,
            r#"{"/a\ud800": {"is": 1}}"#,
            r#"{"/a": {"is": {"b": 1e999}}}"#,
            &deep,
            "[]",
            "3",
            "null",
        ] {
            let as_fields = serde_json::from_str::<BTreeMap<String, BaseField>>(text);
            assert!(as_fields.is_err(), "{text}");
            assert!(serde_json::from_str::<Base>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Base>(r#"{"/a": {"is": 1}}"#).is_ok());
    }
}
