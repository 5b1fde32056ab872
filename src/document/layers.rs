//! Overlays: the documents of one name over the paths of a target, merged.

use serde_json::{Map, Value};

use super::file::RawDocument;
use crate::diagnostic::At;
use crate::pointer::look_up;

/// One document in one path.
#[derive(Debug)]
pub(crate) struct Layer<'f> {
    /// Where it stands.
    pub(crate) at: At,
    /// Which path it belongs to, by its place in the target's `paths`.
    pub(crate) path: usize,
    /// The document.
    pub(crate) document: &'f RawDocument,
}

/// All documents of one name, in the order of the paths, and what they come to.
#[derive(Debug)]
pub(crate) struct Merged<'f> {
    /// The layers, the first one the base.
    pub(crate) layers: Vec<Layer<'f>>,
    /// The fields that they declare together.
    pub(crate) fields: Map<String, Value>,
}

impl<'f> Merged<'f> {
    /// Merges layers.
    pub(crate) fn of(layers: Vec<Layer<'f>>) -> Self {
        let mut all = layers.iter().map(|layer| &layer.document.fields);
        let mut fields = all.next().cloned().unwrap_or_default();
        all.for_each(|by| patch(&mut fields, by));
        Self { layers, fields }
    }

    /// The document that brought the value at a pointer, or took it away.
    pub(crate) fn origin(&self, pointer: &str) -> Option<At> {
        let last = self.layers.last()?;
        if self.layers.len() == 1 {
            return Some(last.at);
        }
        let mut pointer = pointer;
        while !pointer.is_empty() {
            let brings = |layer: &&Layer| look_up(&layer.document.fields, pointer).is_some();
            if let Some(layer) = self.layers.iter().rev().find(brings) {
                return Some(layer.at);
            }
            pointer = pointer.rfind('/').and_then(|at| pointer.get(..at)).unwrap_or_default();
        }
        Some(last.at)
    }
}

/// RFC 7386: objects merge, `null` removes, everything else replaces.
pub(crate) fn patch(target: &mut Map<String, Value>, by: &Map<String, Value>) {
    for (key, value) in by {
        match value {
            Value::Null => {
                target.shift_remove(key);
            }
            Value::Object(inner) => match target.get_mut(key) {
                Some(Value::Object(existing)) => patch(existing, inner),
                _ => {
                    let mut fresh = Map::new();
                    patch(&mut fresh, inner);
                    target.insert(key.clone(), Value::Object(fresh));
                }
            },
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::file::ParsedFile;

    fn patched(target: Value, by: Value) -> Value {
        let (Value::Object(mut target), Value::Object(by)) = (target, by) else { panic!() };
        patch(&mut target, &by);
        Value::Object(target)
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (target, by, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(patched(target, by), result);
        }
    }

    #[test]
    fn knows_which_layer_brought_a_value() {
        let files = ["{a: 1, b: {c: 1, d: 1}, e: 1}", "{b: {c: 2}, e: null}"]
            .map(|text| ParsedFile::parse(text.as_bytes().to_vec()));
        let layers = files.iter().enumerate().map(|(path, file)| Layer {
            at: At { file: path, document: 0 },
            path,
            document: &file.documents[0],
        });
        let merged = Merged::of(layers.collect());
        assert_eq!(serde_json::json!(merged.fields), json!({"a": 1, "b": {"c": 2, "d": 1}}));
        for (pointer, file) in [("/a", 0), ("/b/c", 1), ("/b/d", 0), ("/e", 1), ("/x", 1), ("", 1)]
        {
            assert_eq!(merged.origin(pointer).map(|at| at.file), Some(file), "{pointer}");
        }
    }
}
