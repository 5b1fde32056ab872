//! Overlays: the documents of one name over the paths of a target, merged.

use serde_json::{Map, Value};

use super::file::RawDocument;
use crate::diagnostic::At;
use crate::pointer::{look_up, merge_patch};

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
        all.for_each(|by| merge_patch(&mut fields, by));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::file::ParsedFile;

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
        assert_eq!(json!(merged.fields), json!({"a": 1, "b": {"c": 2, "d": 1}}));
        for (pointer, file) in [("/a", 0), ("/b/c", 1), ("/b/d", 0), ("/e", 1), ("/x", 1), ("", 1)]
        {
            assert_eq!(merged.origin(pointer).map(|at| at.file), Some(file), "{pointer}");
        }
    }
}
