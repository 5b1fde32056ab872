//! `docs/reliability.md` names a test for each promise; each of them has to exist.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("tests/it"), &mut files);
    let text = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let promises = text.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut named = 0;
    for promise in promises {
        let tests = promise.trim_end_matches([' ', '|']).rsplit("| ").next().unwrap();
        for test in tests.split('`').skip(1).step_by(2) {
            let (module, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{test}"));
            let module = module.replace("::", "/");
            let exists = files.iter().any(|file| {
                let path = file.strip_prefix(root).unwrap().with_extension("");
                let path = path.to_str().unwrap().trim_end_matches("/tests").to_owned();
                path.ends_with(&module)
                    && fs::read_to_string(file).unwrap().contains(&format!("fn {name}("))
            });
            assert!(exists, "docs/reliability.md names `{test}`, and there is no such test");
            named += 1;
        }
    }
    assert!(named > 20, "only {named} tests are named");
}
