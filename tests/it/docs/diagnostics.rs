//! docs/reference/diagnostics.md: every code, with cause and cure.

use std::collections::BTreeSet;

use apinizer_gitops::testing::document::code::{self, Code};

#[test]
fn every_code_has_its_cause_and_cure() {
    let mut text = "# Diagnostics\n\nGenerated from the table in `src/diagnostic/code.rs`. A code never changes its meaning, so scripts may filter on it; \
        `validate --output json` carries it.\n"
        .to_owned();
    let mut ids = BTreeSet::new();
    for (heading, codes) in code::groups() {
        text += &format!("\n## {heading}\n");
        for code in codes {
            assert!(ids.insert(code.id), "{} is given twice", code.id);
            let Code { id, title, cause, cure } = code;
            text += &format!("\n### {id}: {title}\n\n{cause}\n\n**What to do:** {cure}\n");
        }
    }
    super::assert_generated("reference/diagnostics.md", &text);
}
