//! The repository of the demo: the examples in one commit, and a config that points to the
//! sandbox. It is made without the git program and without the user's git configuration.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use git2::{ConfigLevel, Repository, RepositoryInitOptions, Signature};
use serde_json::json;

use super::{DemoError, EXAMPLES};
use crate::config::FILE_NAME as CONFIG_FILE;

const AUTHOR: (&str, &str) = ("Demo", "demo@example.com");

/// Makes the repository in a folder that is empty or not there yet.
pub(super) fn make(folder: &Path, url: &str, listen: SocketAddr) -> Result<(), DemoError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| DemoError::Io { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    if fs::read_dir(folder).map_err(failed(folder))?.next().is_some() {
        return Err(DemoError::NotEmpty(folder.to_path_buf()));
    }
    for (path, text) in EXAMPLES {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(failed(parent))?;
        }
        let text = if *path == CONFIG_FILE {
            config(text, folder, url, listen)
        } else {
            (*text).to_owned()
        };
        fs::write(&file, text).map_err(failed(&file))?;
    }
    commit(folder)
}

/// The config of the examples, for the two projects of the sandbox.
fn config(example: &str, folder: &Path, url: &str, listen: SocketAddr) -> String {
    let config = example
        .replace("https://apinizer.staging.example.com", url)
        .replace("https://apinizer.example.com", url)
        // The plan names the source as it is written.
        .replacen("path: . ", &format!("path: {} ", json!(folder)), 1)
        // Soon enough to watch a change in the console being undone.
        .replace("    token:", "    resync: 10s\n    token:");
    format!("{config}server:\n  listen: {listen}\n")
}

fn commit(folder: &Path) -> Result<(), DemoError> {
    let mut options = RepositoryInitOptions::new();
    options.initial_head("main").external_template(false);
    let repository = Repository::init_opts(folder, &options)?;
    // For the commits that the user is invited to make; theirs are neither needed nor touched.
    let mut config = repository.config()?.open_level(ConfigLevel::Local)?;
    let (name, email) = AUTHOR;
    config.set_str("user.name", name)?;
    config.set_str("user.email", email)?;
    config.set_bool("commit.gpgsign", false)?;
    let mut index = repository.index()?;
    for (path, _) in EXAMPLES {
        index.add_path(Path::new(path))?;
    }
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = Signature::now(name, email)?;
    let message = "Declare the connections of the shop";
    repository.commit(Some("HEAD"), &author, &author, message, &tree, &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::environment::Environment;

    #[test]
    fn the_repository_holds_one_commit_and_a_config_that_loads() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("repository");
        make(&at, "http://127.0.0.1:8089", ([127, 0, 0, 1], 8080).into()).unwrap();
        let repository = Repository::open(&at).unwrap();
        assert!(repository.statuses(None).unwrap().is_empty());
        let file = at.join(CONFIG_FILE);
        let loaded = Config::load_unresolved(&file, &Environment::default()).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let targets = &loaded.config.targets;
        assert!(targets.iter().all(|target| target.manager.url == "http://127.0.0.1:8089"));
        assert_eq!(targets[0].resync, std::time::Duration::from_secs(10));
        assert!(matches!(
            make(&at, "http://x", ([127, 0, 0, 1], 1).into()),
            Err(DemoError::NotEmpty(_))
        ));
    }
}
