//! The pure core imports no client, no server and no command line.

use std::fs;
use std::path::{Path, PathBuf};

const CORE: [&str; 9] = [
    "catalog", "document", "reference", "secret", "name", "desired", "live", "inventory", "plan",
];

const OUTSIDE: [&str; 15] = [
    "crate::api", "crate::web", "crate::cli", "crate::daemon", "crate::sandbox", "crate::state",
    "crate::apply", "crate::reconcile", "crate::observe", "reqwest::", "axum::", "clap::",
    "git2::", "tokio::", "notify::",
];

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|e| e == "rs") {
        found.push(path.to_path_buf());
    }
}

#[test]
fn the_core_knows_nothing_of_its_surroundings() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for module in CORE {
        files(&source.join(format!("{module}.rs")), &mut found);
        files(&source.join(module), &mut found);
    }
    assert!(found.len() > 40, "the core was not found");
    for file in found.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let foreign = OUTSIDE.iter().find(|outside| line.contains(*outside));
            assert!(foreign.is_none(), "{}: {line}", file.display());
        }
    }
}
