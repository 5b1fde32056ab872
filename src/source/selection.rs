//! Which names in a repository count.

/// The name of the config file, which lies beside the documents more often than not. It is found
/// by it in the current folder.
pub const CONFIG_FILE: &str = "apinizer-gitops.yaml";

/// The most files that one listing may have.
pub(super) const MOST_FILES: usize = 200_000;

/// The largest file that is read, in bytes: a certificate fits a hundred times over.
pub(super) const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// Whether a file of this name holds documents.
pub(super) fn is_document(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    matches!(extension, "yaml" | "yml") && !is_hidden(name.as_bytes()) && name != CONFIG_FILE
}

/// Whether a file or folder of this name is passed over with all that is in it.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.first() == Some(&b'.')
}

/// A configured path without `.` steps and doubled or trailing slashes; empty is the root.
pub(super) fn normal(path: &str) -> String {
    let steps = path.split('/').filter(|step| !step.is_empty() && *step != ".");
    steps.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yaml_counts() {
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
