//! No bytes of a file may make loading panic or run away.
#![no_main]

use std::sync::Arc;

use apinizer_gitops::testing::document::{LoadRequest, ParseCache, load};
use apinizer_gitops::testing::report::diagnostics;
use apinizer_gitops::testing::source::{FileEntry, Folder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let entry = FileEntry { path: Arc::from("connections/a.yaml"), blob: [1; 20] };
    let folder = Folder { path: Arc::from("connections"), exists: true, files: vec![entry] };
    let folders = [folder];
    let request = LoadRequest::without_config(&folders);
    let loaded = load(&request, &ParseCache::default(), &|_| Ok(bytes.to_vec()));
    let _ = diagnostics::text(&loaded.diagnostics, true);
});
