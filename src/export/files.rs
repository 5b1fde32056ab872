//! The files of an export, and putting them into a folder without harm to what is there.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::known::slug;
use super::{Export, Exported, template};
use crate::config::FILE_NAME as CONFIG_FILE;
use crate::name::first_few;

/// The file of `--single-file`.
const SINGLE_FILE: &str = "connections.yaml";

/// The file with the names of variables; it begins with a dot, so it is no document.
const TEMPLATE_FILE: &str = ".env.example";

/// The schema of documents for editors, beside them; it begins with a dot too.
pub(crate) const SCHEMA_FILE: &str = ".apinizer-gitops.schema.json";

/// The first line of a document's file, by which an editor finds the schema.
pub(crate) const SCHEMA_LINE: &str =
    "# yaml-language-server: $schema=.apinizer-gitops.schema.json\n";

/// One file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExportFile {
    /// Its name, without any folder.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Why an export cannot be put into a folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Files of these names exist.
    #[error("{} would be overwritten, so nothing was written", list(.0))]
    Exist(Vec<PathBuf>),
    /// The folder or a file in it cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

fn list(paths: &[PathBuf]) -> String {
    const MOST: usize = 5;
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    first_few(&paths, MOST)
}

/// The files of an export: one for each connection, or one with all.
pub(crate) fn files(export: &Export, single_file: bool) -> Vec<ExportFile> {
    let mut files = if single_file {
        let text = SCHEMA_LINE.to_owned() + &stream(&export.documents);
        vec![ExportFile { name: SINGLE_FILE.to_owned(), text }]
    } else {
        new_files(export, &|_| false)
    };
    if !export.variables.is_empty() {
        let text = template(&export.variables);
        files.push(ExportFile { name: TEMPLATE_FILE.to_owned(), text });
    }
    files
}

/// All documents as one text.
pub(crate) fn stream(documents: &[Exported]) -> String {
    let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
    texts.join("---\n")
}

/// A file for each document, under names that are not taken.
pub(crate) fn new_files(export: &Export, is_taken: &dyn Fn(&str) -> bool) -> Vec<ExportFile> {
    let documents = &export.documents;
    let mut taken = BTreeSet::from([CONFIG_FILE.to_owned()]);
    let mut files = Vec::with_capacity(documents.len());
    for document in documents {
        let slug = match slug(document.name.as_str()) {
            empty if empty.is_empty() => document.type_name.to_ascii_lowercase(),
            slug => slug,
        };
        let mut name = format!("{slug}.yaml");
        let mut number = 2;
        while is_taken(&name) || !taken.insert(name.clone()) {
            name = format!("{slug}-{number}.yaml");
            number += 1;
        }
        files.push(ExportFile { name, text: SCHEMA_LINE.to_owned() + &document.text });
    }
    files
}

/// Writes files into a folder, which is made where there is none. Each appears whole or not at
/// all, and keeps the permissions of a file that it replaces; a symbolic link of its name is not followed
/// but replaced.
///
/// # Errors
/// Without `force`, when any of them exists; then nothing is written. The folder or a file in it
/// cannot be written.
pub(crate) fn write(
    folder: &Path,
    files: &[ExportFile],
    force: bool,
) -> Result<Vec<PathBuf>, WriteError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| WriteError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(&file.name)).collect();
    let existing: Vec<PathBuf> =
        paths.iter().filter(|path| path.symlink_metadata().is_ok()).cloned().collect();
    if !force && !existing.is_empty() {
        return Err(WriteError::Exist(existing));
    }
    for (file, path) in files.iter().zip(&paths) {
        let replaced = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file);
        // The permissions asked for here are cut by the umask, as for any new file.
        let permissions = std::fs::Permissions::from_mode(0o666);
        let mut written = tempfile::Builder::new()
            .prefix(".apinizer-gitops-")
            .permissions(permissions)
            .tempfile_in(folder)
            .map_err(at(path))?;
        written.write_all(file.text.as_bytes()).map_err(at(path))?;
        written.as_file().sync_all().map_err(at(path))?;
        if let Some(replaced) = replaced {
            written.as_file().set_permissions(replaced.permissions()).map_err(at(path))?;
        }
        let kept = if force { written.persist(path) } else { written.persist_noclobber(path) };
        kept.map_err(|error| error.error).map_err(at(path))?;
    }
    Ok(paths)
}

/// Writes the schema for editors into a folder, in the place of an older one.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn write_schema(folder: &Path) -> Result<(), WriteError> {
    let text = format!("{:#}\n", crate::catalog::schema::schema_for_any());
    let schema = ExportFile { name: SCHEMA_FILE.to_owned(), text };
    write(folder, &[schema], true).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::ConnectionName;

    fn exported(name: &str) -> Exported {
        Exported { type_name: "email", name: ConnectionName::new(name), text: "a: b\n".to_owned() }
    }

    #[test]
    fn file_names_lead_nowhere_else_and_differ() {
        let documents: Vec<Exported> =
            ["order mails", "Order-Mails", "..", "../../etc/passwd", "apinizer-gitops", "支付"]
                .map(exported)
                .to_vec();
        let export = Export { documents, ..Export::default() };
        let names = files(&export, false).into_iter().map(|file| file.name);
        let names: Vec<String> = names.collect();
        let wanted = [
            "order-mails.yaml",
            "order-mails-2.yaml",
            "email.yaml",
            "etc-passwd.yaml",
            "apinizer-gitops-2.yaml",
            "email-2.yaml",
        ];
        assert_eq!(names, wanted);
    }

    #[test]
    fn nothing_is_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new/place");
        let file = |name: &str, text: &str| ExportFile { name: name.into(), text: text.into() };
        let first = [file("a.yaml", "1")];
        write(&target, &first, false).unwrap();
        let second = [file("b.yaml", "2"), file("a.yaml", "2")];
        assert!(
            matches!(write(&target, &second, false), Err(WriteError::Exist(p)) if p.len() == 1)
        );
        assert!(!target.join("b.yaml").exists());
        assert_eq!(std::fs::read_to_string(target.join("a.yaml")).unwrap(), "1");
        write(&target, &second, true).unwrap();
        assert_eq!(std::fs::read_to_string(target.join("a.yaml")).unwrap(), "2");
        let names: Vec<_> = std::fs::read_dir(&target).unwrap().collect();
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        std::fs::write(&outside, "kept").unwrap();
        let target = folder.path().join("in");
        std::fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&outside, target.join("a.yaml")).unwrap();
        let files = [ExportFile { name: "a.yaml".into(), text: "new".into() }];
        assert!(write(&target, &files, false).is_err());
        write(&target, &files, true).unwrap();
        assert_eq!(std::fs::read_to_string(outside).unwrap(), "kept");
    }
}
