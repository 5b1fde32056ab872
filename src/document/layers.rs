//! Overlays: the documents of one name over the paths of a target, merged.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::file::{ParsedFile, RawDocument};
use super::finding::At;
use super::pointer;

/// One document in one path.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Where it stands.
    pub(crate) at: At,
    /// Which path it belongs to, by its place in the target's `paths`.
    pub(crate) path: usize,
    /// Its keys and values, `type`, `name` and `x-gitops` too; read when the layers are merged.
    pub(crate) fields: Map<String, Value>,
}

/// All documents of one name, in the order of the paths, and what they come to.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The layers, the first one the base; their fields are gone where there is only one.
    pub(crate) layers: Vec<Layer>,
    /// What they declare together.
    pub(crate) fields: Map<String, Value>,
}

impl Merged {
    /// Reads the layers of a name from their files and merges them; there is at least one.
    pub(crate) fn of(mut layers: Vec<Layer>, files: &[Arc<ParsedFile>]) -> Self {
        for layer in &mut layers {
            let file = files.get(layer.at.file);
            let document = file.and_then(|file| file.documents.get(layer.at.document));
            layer.fields = document.map(RawDocument::fields).unwrap_or_default();
        }
        Self::new(layers)
    }

    /// Merges layers; there is at least one.
    fn new(mut layers: Vec<Layer>) -> Self {
        let fields = match layers.as_mut_slice() {
            [only] => std::mem::take(&mut only.fields),
            several => {
                let mut fields = Map::new();
                for (index, layer) in several.iter().enumerate() {
                    if index == 0 {
                        fields = layer.fields.clone();
                    } else {
                        patch(&mut fields, &layer.fields);
                    }
                }
                fields
            }
        };
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
            let brings = |layer: &&Layer| pointer::lookup(&layer.fields, pointer).is_some();
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
        let layer = |path: usize, fields: Value| Layer {
            at: At { file: path, document: 0 },
            path,
            fields: fields.as_object().unwrap().clone(),
        };
        let merged = Merged::new(vec![
            layer(0, json!({"a": 1, "b": {"c": 1, "d": 1}, "e": 1})),
            layer(1, json!({"b": {"c": 2}, "e": null})),
        ]);
        assert_eq!(serde_json::json!(merged.fields), json!({"a": 1, "b": {"c": 2, "d": 1}}));
        for (pointer, file) in [("/a", 0), ("/b/c", 1), ("/b/d", 0), ("/e", 1), ("/x", 1), ("", 1)]
        {
            assert_eq!(merged.origin(pointer).map(|at| at.file), Some(file), "{pointer}");
        }
    }
}
