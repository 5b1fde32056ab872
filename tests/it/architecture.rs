//! The promises of the source about itself: the pure core imports no client, no server and no command
//! line; no modules import each other in a circle; the oldest Rust is the one that is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CORE: [&str; 17] = [
    "catalog",
    "rules",
    "document",
    "diagnostic",
    "places",
    "yaml",
    "reference",
    "secret",
    "name",
    "pointer",
    "digest",
    "links",
    "parallel",
    "desired",
    "live",
    "record",
    "plan",
];

/// The items that the core may take from elsewhere: values without a connection to anything.
const VALUES: [(&str, &[&str]); 4] = [
    ("source", &["Commit", "FileEntry", "Folder"]),
    ("config", &["Adopt", "MaxDeletes", "Policy"]),
    ("environment", &["Environment", "Unset"]),
    ("profile", &["Profile", "TypeProfile"]),
];

/// Crates and modules with effects.
const EFFECTS: [&str; 12] = [
    "reqwest::",
    "axum::",
    "clap::",
    "git2::",
    "tokio::",
    "notify::",
    "rustix::",
    "std::fs",
    "std::env::",
    "std::net",
    "std::process",
    "::now()",
];

/// All Rust files at or below a path.
pub(crate) fn files(path: &Path, found: &mut Vec<PathBuf>) {
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
    found.retain(|file| !is_test(file));
    assert!(found.len() > 40, "the core was not found");
    for file in found {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let effect = EFFECTS.iter().find(|effect| line.contains(*effect));
            assert!(effect.is_none(), "{}: {line}", file.display());
            for path in line.split("crate::").skip(1) {
                assert!(is_of_the_core(path), "{}: {line}", file.display());
            }
        }
    }
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests")
        || ["tests.rs", "properties.rs"].iter().any(|name| file.ends_with(name))
}

/// Whether a path behind `crate::` leads into the core, or to values that it may take.
fn is_of_the_core(path: &str) -> bool {
    let mut words = path.split(|c: char| !c.is_alphanumeric() && c != '_');
    let module = words.next().unwrap_or_default();
    let mut names = words.filter(|word| !word.is_empty()).peekable();
    CORE.contains(&module)
        || VALUES.iter().any(|(from, values)| {
            *from == module && names.peek().is_some() && names.all(|name| values.contains(&name))
        })
}

/// Modules that know each other are one module in several files.
#[test]
fn no_modules_import_each_other_in_a_circle() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![(source.clone(), "crate::".to_owned())];
    let mut edges = 0;
    while let Some((folder, path)) = folders.pop() {
        let mut modules = BTreeSet::new();
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap().path();
            let name = entry.file_stem().unwrap().to_str().unwrap().to_owned();
            if is_test(&entry) || ["main", "lib"].contains(&&*name) {
                continue;
            }
            if entry.is_dir() {
                folders.push((entry, format!("{path}{name}::")));
            }
            modules.insert(name);
        }
        let imports: BTreeMap<&str, BTreeSet<&str>> = modules
            .iter()
            .map(|module| (&**module, imported(&folder, &path, module, &modules)))
            .collect();
        edges += imports.values().map(BTreeSet::len).sum::<usize>();
        // A module without imports that are left is removed, until nothing or a circle is left.
        let mut left = imports.clone();
        while let Some(done) =
            left.iter().find(|(_, i)| i.iter().all(|m| !left.contains_key(m))).map(|(m, _)| *m)
        {
            left.remove(done);
        }
        assert!(left.is_empty(), "in {path} a circle is among {:?}", left.keys());
    }
    assert!(edges > 300, "the imports were not found: {edges}");
}

/// Which of its siblings a module imports, in its own file or in one below it.
fn imported<'m>(
    folder: &Path,
    path: &str,
    module: &str,
    siblings: &'m BTreeSet<String>,
) -> BTreeSet<&'m str> {
    let mut found = Vec::new();
    files(&folder.join(format!("{module}.rs")), &mut found);
    files(&folder.join(module), &mut found);
    let mut imports = BTreeSet::new();
    for file in found.into_iter().filter(|file| file.is_file() && !is_test(file)) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let depth = file.strip_prefix(folder).unwrap().components().count();
        for prefix in [path.to_owned(), "super::".repeat(depth)] {
            for (at, _) in code.match_indices(&prefix) {
                let before = code[..at].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == ':') {
                    continue;
                }
                let rest = &code[at + prefix.len()..];
                let rest = match rest.strip_prefix('{') {
                    Some(group) => group.split('}').next().unwrap(),
                    None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap(),
                };
                let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
                imports.extend(words.filter_map(|word| siblings.get(word)).map(String::as_str));
            }
        }
    }
    imports.remove(module);
    imports
}

#[test]
fn only_leadership_knows_of_leases() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    for file in found.iter().filter(|file| !is_test(file)) {
        let name = file.strip_prefix(&source).unwrap();
        let may_know = ["leadership", "leadership.rs", "config", "config.rs"].map(Path::new);
        let words = ["lease", "leases", "kubernetes"];
        let text = fs::read_to_string(file).unwrap().to_lowercase();
        let mut of_text = text.split(|c: char| !c.is_alphanumeric());
        let word = of_text.find(|word| words.contains(word));
        let is_allowed = may_know.iter().any(|path| name.starts_with(path));
        assert!(word.is_none() || is_allowed, "{}: {}", name.display(), word.unwrap());
    }
}

/// The dependencies' part of what `.ci/run oldest` finds out.
#[test]
fn no_dependency_needs_a_newer_rust_than_is_promised() {
    let features = if cfg!(feature = "otel") { "otel" } else { "" };
    let output = std::process::Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu", "--features", features])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "the dependencies were not found");
    let promised = version(env!("CARGO_PKG_RUST_VERSION"));
    for package in packages {
        let needed = version(package["rust_version"].as_str().unwrap_or("1"));
        assert!(needed <= promised, "{} needs {needed:?}", package["name"]);
    }
}

/// A module that ARCHITECTURE.md passes over is one that a newcomer does not find.
#[test]
fn the_map_names_every_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root.join("src")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        let is_named = map.contains(&format!("`{module}`"));
        assert!(is_named || ["lib", "main"].contains(&module), "ARCHITECTURE.md lacks {module}");
    }
}

/// The tables of ARCHITECTURE.md lead from a rule to the function that decides it.
#[test]
fn the_map_leads_from_each_rule_to_its_function() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut rules = BTreeSet::new();
    for line in map.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some([file, function]) = cells.last_chunk() else { continue };
        let (file, function) = (file.trim_matches('`'), function.trim_matches('`'));
        if !file.starts_with("src/") || !file.ends_with(".rs") {
            continue;
        }
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        let is_there = ["(", "<"].iter().any(|end| text.contains(&format!("fn {function}{end}")));
        assert!(is_there, "ARCHITECTURE.md: {file} has no function {function}");
        rules.insert(cells[0].to_owned());
    }
    let missing = (1..=10).map(|rule| rule.to_string()).find(|rule| !rules.contains(rule));
    assert!(missing.is_none(), "ARCHITECTURE.md does not say where rule {missing:?} is decided");
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap()).collect()
}
