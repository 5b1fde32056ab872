//! The examples of the repository, built into the program.

/// Makes the table of examples: paths relative to `examples/` with their texts.
macro_rules! examples {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../examples/", $path)))),+]
    };
}

/// The files of the examples: path and text.
pub(crate) const EXAMPLES: &[(&str, &str)] = examples![
    "apinizer-gitops.yaml",
    "connections/orders/broker.yaml",
    "connections/orders/files.yaml",
    "connections/orders/legacy.yaml",
    "connections/orders/mails.yaml",
    "connections/payments/database.yaml",
    "connections/payments/kafka.yaml",
    "connections/payments/mails.yaml",
    "connections/payments/webhook.yaml",
    "connections/platform/directory.yaml",
    "connections/platform/hosts.yaml",
    "connections/platform/logs.yaml",
    "connections/platform/monitoring.yaml",
    "overlays/prod/payments.yaml",
    "overlays/staging/mails.yaml",
    "overlays/staging/payments.yaml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
        let files = crate::source::Files::of_worktree(root.into());
        let paths = ["connections".to_owned(), "overlays".to_owned()];
        let listing = files.folders(&paths, None).unwrap();
        let mut on_disk: Vec<String> = listing
            .folders
            .iter()
            .flat_map(|folder| folder.files.iter().map(|file| file.path.to_string()))
            .collect();
        on_disk.push("apinizer-gitops.yaml".to_owned());
        on_disk.sort();
        let built_in: Vec<&str> = EXAMPLES.iter().map(|(path, _)| *path).collect();
        assert_eq!(built_in, on_disk);
    }
}
