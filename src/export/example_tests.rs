//! The examples of the repository load without a word and fit the JSON Schema.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;

use crate::catalog;
use crate::config::{Config, Resolve};
use crate::environment::Environment;
use crate::reconcile::{Engine, load_target};
use crate::source::{Files, Snapshot};

fn examples() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
}

#[test]
fn they_load_without_errors_or_warnings_and_show_every_type() {
    let file = examples().join("apinizer-gitops.yaml");
    let config = Config::load(&file, &Environment::default(), Resolve::Known).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let engine = Engine::new(config, Environment::default());
    let snapshot = Snapshot::Disk(Files::of_worktree(examples().to_path_buf()));
    let mut shown = BTreeSet::new();
    for target in &engine.config.targets {
        let loaded = load_target(&engine, target, &snapshot).unwrap().contents;
        let problems: Vec<_> = loaded
            .diagnostics
            .iter()
            .map(|d| format!("{}:{} {}", d.mark.file, d.mark.line, d.message))
            .collect();
        assert_eq!(problems, [""; 0], "{}", target.name);
        shown.extend(loaded.documents.iter().map(|document| document.connection_type.name));
    }
    assert_eq!(shown, catalog::all().map(|t| t.name).collect());
}

#[test]
fn they_fit_the_schema() {
    let schema = catalog::schema::schema_for_any();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let files = Files::named_in(examples().to_path_buf());
    let listing = files.folders(&["connections".to_owned()], None).unwrap();
    let mut count = 0;
    for entry in listing.folders.iter().flat_map(|folder| &folder.files) {
        let text = String::from_utf8(files.read(entry).unwrap()).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document = Value::deserialize(document).unwrap();
            let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
            assert_eq!(errors, [""; 0], "{}", entry.path);
            count += 1;
        }
    }
    assert!(count >= 14);
}
