//! The pages that people read: their sessions run, their links lead somewhere, and what they say
//! that the program says, it says.

use std::fs;
use std::path::{Path, PathBuf};

use super::console;

#[test]
fn the_tutorial() {
    console::play("tutorial.md", &["tutorial/console.json"], &["typed-by-hand"]);
}

#[test]
fn how_it_decides() {
    console::play("how-it-decides.md", &[], &["made-up"]);
}

#[test]
fn secrets() {
    console::play("secrets.md", &[], &["made-up"]);
}

/// Every page of the repository that is written for people.
pub(crate) fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_path_buf(), root.join("docs"), root.join("docs/reference")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn links_lead_to_files() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            if link.is_empty() || link.contains("://") {
                continue;
            }
            count += 1;
            let file = page.parent().unwrap().join(link);
            assert!(file.exists(), "{}: there is no {link}", page.display());
        }
    }
    assert!(count > 15, "the links were not found");
}

/// All of the program's source as one text, texts that go over several lines in one line.
fn source() -> String {
    fn gather(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, text);
            } else if path.file_name().is_some_and(|name| name != "tests.rs") {
                *text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let mut text = String::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

#[test]
fn operations_quotes_the_program() {
    let page = fs::read_to_string(super::file("operations.md")).unwrap();
    let source = source();
    let said = page.split("## When it says").nth(1).unwrap();
    let quotes: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(quotes.len() > 10, "the table was not found");
    for quote in quotes {
        for part in quote.split('…').map(str::trim).filter(|part| !part.is_empty()) {
            assert!(source.contains(part), "the program never says `{part}`");
        }
    }
    for metric in page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        if metric.starts_with("apinizer_gitops_") {
            assert!(source.contains(&format!("\"{metric}\"")), "there is no {metric}");
        }
    }
}

/// The tests that these pages name hold what the pages promise; so they have to be there.
#[test]
fn named_tests_and_files_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for page in ["ARCHITECTURE.md", "SECURITY.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_name =
                |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || "_.".contains(c));
            match word.split_once("::") {
                Some((file, test)) if is_name(file) && is_name(test) => {
                    let test = format!("fn {}", test.trim_end_matches(".."));
                    let file = root.join(format!("tests/it/{file}.rs"));
                    let found = fs::read_to_string(&file).is_ok_and(|text| text.contains(&test));
                    assert!(found, "{page}: there is no test {word}");
                    count += 1;
                }
                _ if ["tests/", "src/", "fuzz/"].iter().any(|start| word.starts_with(start)) => {
                    assert!(root.join(word).exists(), "{page}: there is no {word}");
                    count += 1;
                }
                _ => {}
            }
        }
    }
    assert!(count > 15, "the names were not found");
}
