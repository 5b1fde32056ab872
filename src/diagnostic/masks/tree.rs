//! Finds the secrets to hide in a document that parses.

use std::collections::HashSet;

use super::words::{hides_secret, is_secret_in_key, is_secret_key, only_references};
use super::{LONGEST_LOOK, Masks};
use crate::places::{Entry, Places, Shape};

/// Walks the nodes with a stack of its own; an alias below a secret key hides what it stands for.
pub(super) fn hide(places: &Places, masks: &mut Masks) {
    let mut open = vec![(0, false)];
    let mut seen = HashSet::new();
    while let Some((index, secret)) = open.pop() {
        if !seen.insert((index, secret)) {
            continue;
        }
        let Some(node) = places.node(index) else { continue };
        match &node.shape {
            Shape::Scalar { text, plain } => {
                let nothing =
                    *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
                let shown = if secret {
                    nothing || only_references(text)
                } else {
                    text.len() <= LONGEST_LOOK && !hides_secret(text)
                };
                if !shown {
                    masks.hide_span(node.span);
                }
            }
            Shape::List(items) => open.extend(items.iter().map(|item| (*item, secret))),
            Shape::Mapping(entries) => {
                let named = names_a_secret(entries, places);
                for entry in entries {
                    let key = entry.key.as_deref().unwrap_or_default();
                    if is_secret_in_key(key) {
                        masks.hide_span(entry.key_span);
                    }
                    let value = named && key.eq_ignore_ascii_case("value");
                    open.push((entry.value, secret || value || is_secret_key(key)));
                }
            }
            Shape::Alias(anchor) if secret => {
                open.extend(places.anchored(*anchor).map(|target| (target, true)));
            }
            Shape::Alias(_) => {}
        }
    }
}

/// `{name: Authorization, value: ...}` and `{key: ssl.keystore.password, value: ...}`.
fn names_a_secret(entries: &[Entry], places: &Places) -> bool {
    entries.iter().any(|entry| {
        let names = matches!(entry.key.as_deref(), Some("name" | "key"));
        names
            && matches!(
                places.node(entry.value).map(|node| &node.shape),
                Some(Shape::Scalar { text, .. }) if is_secret_key(text)
            )
    })
}
