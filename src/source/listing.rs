//! Which files below the configured paths hold documents, and what is told of the others.
//!
//! A file that is not read may declare a connection that seems to be removed, so deletes are held
//! while there is one. A file that is skipped for its name is the user's decision: it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The name of the config file, which lies beside the documents more often than not. It is found
/// by it in the current folder.
pub(crate) const CONFIG_FILE: &str = "apinizer-gitops.yaml";

/// The most files that one listing may have.
pub(super) const MOST_FILES: usize = 200_000;

/// The largest file that is read, in bytes: a certificate fits a hundred times over.
pub(super) const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// How many files one note names.
const MOST_NAMED: usize = 3;

/// One file of a snapshot, not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The path relative to the root of the repository, `/` between its steps.
    pub path: Arc<str>,
    /// The id of its content: two entries with one id have equal content. For a working tree
    /// it is git's blob id of the file's bytes.
    pub blob: [u8; 20],
}

/// The files below one configured path.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The path as the config has it.
    pub path: Arc<str>,
    /// Whether the snapshot has it at all.
    pub exists: bool,
    /// The YAML files below it, sorted by path.
    pub files: Vec<FileEntry>,
}

/// The files below the configured paths.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The folders, one for each path, in their order.
    pub folders: Vec<Folder>,
    /// Files and folders that cannot be read, with a sentence each. Deletes are held while there is
    /// any.
    pub unread: BTreeMap<String, String>,
    other_ending: BTreeSet<String>,
    hidden: BTreeSet<String>,
}

impl Listing {
    /// Files that were skipped for their names, in sentences.
    pub fn skipped(&self) -> Vec<String> {
        [
            (&self.other_ending, "only names that end in .yaml or .yml are read"),
            (&self.hidden, "its name begins with a dot"),
        ]
        .into_iter()
        .filter_map(|(paths, reason)| {
            let named: Vec<&str> = paths.iter().take(MOST_NAMED).map(String::as_str).collect();
            let named = named.join(", ");
            match (paths.len(), paths.len().saturating_sub(MOST_NAMED)) {
                (0, _) => None,
                (1, _) => Some(format!("{named} is skipped: {reason}")),
                (_, 0) => Some(format!("{named} are skipped: {reason}")),
                (_, more) => Some(format!("{named} and {more} more are skipped: {reason}")),
            }
        })
        .collect()
    }

    /// Whether a file of this name is read. One that is skipped is noted if it may be meant to
    /// be read, which Markdown is not.
    pub(super) fn is_read(&mut self, path: &str, name: &str) -> bool {
        if is_document(name) {
            return true;
        }
        if is_hidden(name.as_bytes()) {
            if has_ending_of_documents(name) {
                self.hidden.insert(path.to_owned());
            }
        } else if name != CONFIG_FILE && ending(name) != "md" {
            self.other_ending.insert(path.to_owned());
        }
        false
    }

    /// Notes a folder that is skipped for its name; those of git and its hosts are no place for
    /// documents.
    pub(super) fn hidden_folder(&mut self, path: &str) {
        if !path.ends_with(".git") && !path.ends_with(".github") {
            self.hidden.insert(format!("{path}/"));
        }
    }

    pub(super) fn not_utf8(&mut self, path: &str) {
        self.skip(path, "its name is not UTF-8");
    }

    pub(super) fn link(&mut self, path: &str) {
        self.skip(path, "symbolic links are not followed");
    }

    pub(super) fn submodule(&mut self, path: &str) {
        self.skip(path, "it is a repository of its own, a submodule");
    }

    pub(super) fn special(&mut self, path: &str) {
        self.skip(path, "it is neither a file nor a folder");
    }

    fn skip(&mut self, path: &str, reason: &str) {
        self.unread.insert(path.to_owned(), format!("{path} is skipped: {reason}"));
    }

    /// Takes in the files of one configured path.
    pub(super) fn add(
        &mut self,
        path: &str,
        exists: bool,
        mut files: Vec<FileEntry>,
        config_file: Option<&str>,
    ) {
        files.retain(|file| Some(&*file.path) != config_file);
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.folders.push(Folder { path: path.into(), exists, files });
    }
}

/// Whether a file of this name holds documents.
pub(super) fn is_document(name: &str) -> bool {
    has_ending_of_documents(name) && !is_hidden(name.as_bytes()) && name != CONFIG_FILE
}

/// Whether a file or folder of this name is skipped with all that is in it.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.first() == Some(&b'.')
}

/// Whether a file is a stand-in for one that Git LFS keeps elsewhere.
pub(super) fn is_lfs_pointer(content: &[u8]) -> bool {
    content.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// A configured path without `.` steps and doubled or trailing slashes; empty is the root.
pub(super) fn normal(path: &str) -> String {
    let steps = path.split('/').filter(|step| !step.is_empty() && *step != ".");
    steps.collect::<Vec<_>>().join("/")
}

/// The path of an entry of a folder.
pub(super) fn joined(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder if folder.ends_with('/') => format!("{folder}{name}"),
        folder => format!("{folder}/{name}"),
    }
}

fn has_ending_of_documents(name: &str) -> bool {
    matches!(ending(name), "yaml" | "yml")
}

fn ending(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yaml_is_read() {
        for name in ["a.yaml", "a.yml", "a.b.yml", "a b.yaml"] {
            assert!(is_document(name), "{name}");
        }
        for name in
            ["a.YAML", "yaml", "a.json", ".a.yaml", ".yaml", "apinizer-gitops.yaml", "a.yaml~"]
        {
            assert!(!is_document(name), "{name}");
        }
    }

    #[test]
    fn paths_are_made_normal() {
        for (path, wanted) in [("", ""), (".", ""), ("./a//b/", "a/b"), ("a/./b", "a/b")] {
            assert_eq!(normal(path), wanted);
        }
    }
}
