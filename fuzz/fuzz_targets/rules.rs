//! No expression and no document may make a rule panic or run away: what is before the first NUL is
//! the expression, the rest is the document.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use apinizer_gitops::testing::config::{Config, Resolve};
use apinizer_gitops::testing::document::{LoadRequest, ParseCache, load};
use apinizer_gitops::testing::environment::Environment;
use apinizer_gitops::testing::source::{FileEntry, Folder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (when, document) = (String::from_utf8_lossy(&bytes[..cut]), bytes.get(cut + 1..));
    let config = serde_json::json!({
        "targets": [{"name": "t", "url": "https://m.example.com", "project": "p", "token": "${env:T}"}],
        "rules": [{"name": "r", "when": when, "deny": "no"}],
    });
    let environment = Environment::new([("T".to_owned(), "t".to_owned())]);
    let path = Path::new("/config/apinizer-gitops.yaml");
    let Ok(read) = Config::parse(path, config.to_string().as_bytes(), &environment, Resolve::All) else { return };
    let entry = FileEntry { path: Arc::from("connections/a.yaml"), blob: [1; 20] };
    let folder = Folder { path: Arc::from("connections"), exists: true, files: vec![entry] };
    let request = LoadRequest {
        folders: &[folder],
        target: Some("t"),
        known_targets: None,
        vars: None,
        rules: Some(&read.targets[0].rules),
    };
    let document = document.unwrap_or_default();
    let _ = load(&request, &ParseCache::default(), &|_| Ok(document.to_vec()));
});
