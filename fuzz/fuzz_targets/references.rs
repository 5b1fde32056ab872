//! Parsing a text gives it back, and what is escaped stands for itself.
#![no_main]

use apinizer_gitops::testing::reference::{Segment, escape, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse(text);
    let escaped = escape(text);
    let back: String = parse(&escaped)
        .expect("escaped text is well-formed")
        .iter()
        .map(|segment| match segment {
            Segment::Text(text) => text.to_string(),
            Segment::Apinizer(name) => format!("${{{name}}}"),
            other => panic!("{other:?} in escaped text"),
        })
        .collect();
    assert_eq!(back, text);
});
