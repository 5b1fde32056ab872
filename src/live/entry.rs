//! One look at the text of a connection: what it is called, which keys it has, and that the rest
//! can be read when somebody asks for it.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;

use super::Keys;
use super::readable::{Readable, Text};

/// What is looked at of an entry; of a key that it has twice the last counts.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) type_name: Option<Value>,
    pub(super) name: Option<Value>,
    pub(super) id: Option<Value>,
    pub(super) keys: Keys,
}

/// Reads the text of an entry. Where its keys are those of `like`, they are shared.
pub(super) fn read(text: &[u8], like: Option<&Keys>) -> Result<Entry, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let entry = deserializer.deserialize_map(Looking { like })?;
    deserializer.end()?;
    Ok(entry)
}

struct Looking<'l> {
    like: Option<&'l Keys>,
}

impl<'de> Visitor<'de> for Looking<'_> {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a connection")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        let known: &[Box<str>] = self.like.map_or(&[], |keys| keys);
        // Up to here the keys are the known ones; from the first other one on they are kept.
        let mut same = 0;
        let mut others: Option<Vec<Box<str>>> = None;
        while let Some(Text(key)) = map.next_key()? {
            match &mut others {
                None if known.get(same).is_some_and(|known| **known == *key) => same += 1,
                None => {
                    let mut keys = known.get(..same).unwrap_or_default().to_vec();
                    keys.push(Box::from(&*key));
                    others = Some(keys);
                }
                Some(keys) => keys.push(Box::from(&*key)),
            }
            match &*key {
                "type" => entry.type_name = Some(map.next_value()?),
                "name" => entry.name = Some(map.next_value()?),
                "id" => entry.id = Some(map.next_value()?),
                _ => map.next_value_seed(Readable)?,
            }
        }
        entry.keys = match (others, self.like) {
            (Some(keys), _) => keys.into(),
            (None, Some(like)) if same == like.len() => Keys::clone(like),
            (None, _) => known.get(..same).unwrap_or_default().into(),
        };
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    #[test]
    fn keys_are_shared_where_they_are_the_same() {
        let first =
            read(br#"{"type": "a", "name": "x", "n": null, "l": [1, {"k": 2.5}]}"#, None).unwrap();
        let same =
            read(r#"{"type": "b", "name": "y", "n": "é", "l": {}}"#.as_bytes(), Some(&first.keys))
                .unwrap();
        assert!(Keys::ptr_eq(&first.keys, &same.keys));
        let keys = |text: &str| {
            read(text.as_bytes(), Some(&first.keys))
                .unwrap()
                .keys
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(r#"{"type": 1, "name": 2}"#), ["type", "name"]);
        assert_eq!(keys(r#"{"type": 1, "x": 2, "name": 3}"#), ["type", "x", "name"]);
        assert_eq!(keys(r#"{"type": 1, "name": 2, "n": 3, "l": 4, "z": 5}"#).len(), 5);
        assert_eq!(keys("{}").len(), 0);
    }

    #[test]
    fn what_could_not_be_read_later_is_refused_now() {
        for text in ["[]", "3", r#"{"a": "\ud800"}"#, r#"{"a": 1} x"#, r#"{"a"}"#] {
            assert!(read(text.as_bytes(), None).is_err(), "{text}");
        }
        assert_eq!(
            read(br#"{"name": 1, "name": "x"}"#, None).unwrap().name,
            Some(Value::from("x"))
        );
    }

    proptest! {
        /// What is kept as text reads as it would have been read at once; what would not have been
        /// read is refused.
        #[test]
        fn text_is_as_good_as_a_tree(parts in prop::collection::vec(part(), 0..6), close in "\\}?") {
            let text = format!("{{{}{close}", parts.join(","));
            match (serde_json::from_str::<Map<String, Value>>(&text), read(text.as_bytes(), None)) {
                (Ok(tree), Ok(entry)) => {
                    prop_assert_eq!(entry.name.as_ref(), tree.get("name"));
                    prop_assert_eq!(entry.id.as_ref(), tree.get("id"));
                    let keys: BTreeSet<&str> = entry.keys.iter().map(AsRef::as_ref).collect();
                    prop_assert_eq!(keys, tree.keys().map(String::as_str).collect::<BTreeSet<_>>());
                    let again: Map<String, Value> =
                        serde_json::from_str(&serde_json::to_string(&tree).unwrap()).unwrap();
                    prop_assert_eq!(again, tree);
                }
                (Err(_), Err(_)) => {}
                (tree, entry) => prop_assert!(false, "{text}: {} {}", tree.is_ok(), entry.is_ok()),
            }
        }
    }

    /// A key with a value, at times broken.
    fn part() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "\"name\"",
            "\"id\"",
            "\"type\"",
            "\"n\\u0061me\"",
            "\"\"",
            "\"\\ud800\"",
            "\"ä\"",
            "name",
        ]);
        let value = prop::sample::select(vec![
            "1",
            "1.0",
            "1e3",
            "-0.0",
            "0.1",
            "1e999",
            "01",
            "1.7976931348623157e308",
            "18446744073709551616",
            "5e-324",
            "null",
            "true",
            "tru",
            "\"x\"",
            "\"\\ud83d\\ude00\"",
            "\"\\udc00\"",
            "\"\u{1}\"",
            "[1,[2,{}]]",
            "[1,]",
            "{\"a\":1,\"a\":2}",
            "{\"a\":\"\\ud800\"}",
            "",
        ]);
        (key, value).prop_map(|(key, value)| format!("{key}:{value}"))
    }
}
