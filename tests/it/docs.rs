//! docs/: what is generated is what the code says now, and what a reader types does what is shown.
//!
//! `UPDATE_DOCS=1 cargo test --test it docs` writes all of it again; read the diff before you
//! commit it.

mod commands;
mod config;
mod console;
mod diagnostics;
pub(crate) mod pages;
mod picture;

use std::fs;
use std::path::{Path, PathBuf};

use apinizer_gitops::testing::report;

/// A file below docs/.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// Asserts that a generated file of docs/ holds this text, or makes it so where that is asked for.
#[track_caller]
fn assert_generated(name: &str, text: &str) {
    let found = fs::read_to_string(file(name)).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).find(|(old, new)| old != new);
    if found != text {
        refresh(name, text, &format!("the first line that differs: {differs:?}"));
    }
}

/// Writes a file again where that is asked for; else fails with what is stale in it.
#[track_caller]
fn refresh(name: &str, text: &str, stale: &str) {
    let is_asked_for = std::env::var_os("UPDATE_DOCS").is_some();
    assert!(
        is_asked_for,
        "docs/{name} is stale; write it again with `UPDATE_DOCS=1 cargo test --test it docs` and \
         read the diff: {stale}",
    );
    fs::create_dir_all(file(name).parent().unwrap()).unwrap();
    fs::write(file(name), text).unwrap();
}

/// A text as a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Asserts that a schema for editors is the one that the program prints.
#[test]
fn schemas() {
    let schemas = [
        ("connection", apinizer_gitops::testing::catalog::schema::schema_for_any()),
        ("config", apinizer_gitops::testing::config::schema()),
    ];
    for (name, schema) in schemas {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        assert_generated(&format!("reference/{name}.schema.json"), &text);
    }
}

#[test]
fn connection_types() {
    let explain = |subject| report::explain::explain(subject, &report::Style::default()).unwrap();
    let mut text = "# Connection types\n\nGenerated from the catalog; `apinizer-gitops explain` \
        shows the same, and a single field in full.\n\n"
        .to_owned();
    for kind in apinizer_gitops::testing::catalog::all() {
        let fields = explain(Some(kind.name));
        let fields = fields.trim_end();
        text += &format!("## {}\n\n```text\n{fields}\n```\n\n", kind.name);
    }
    assert_generated("reference/connections.md", &(text.trim_end().to_owned() + "\n"));
}
