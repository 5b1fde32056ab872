//! Real git repositories for tests, made by the program `git` with nobody's configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::name::CommitId;

/// A repository in a folder that goes away with it.
pub(super) struct Fixture {
    pub(super) folder: TempDir,
    pub(super) at: PathBuf,
}

impl Fixture {
    /// An empty checkout on the branch `main`.
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(init: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap().join("checkout");
        fs::create_dir(&at).unwrap();
        let fixture = Self { folder, at };
        let mut args = vec!["init", "--quiet", "--initial-branch=main"];
        args.extend(init);
        fixture.git(&args);
        fixture
    }

    /// A path beside the checkout.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let file = self.at.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Commits everything that is there.
    pub(super) fn commit(&self, message: &str) -> CommitId {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.id("HEAD")
    }

    pub(super) fn id(&self, rev: &str) -> CommitId {
        CommitId(self.git(&["rev-parse", rev]).trim().to_owned())
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        git_in(&self.at, args)
    }
}

/// Runs git in a folder and wants it to succeed.
pub(super) fn git_in(folder: &Path, args: &[&str]) -> String {
    let output = call(folder, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs git in a folder, whatever comes of it.
pub(super) fn call(folder: &Path, args: &[&str]) -> Output {
    Command::new("git")
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")])
        .env_remove("GIT_DIR")
        .output()
        .unwrap()
}

/// Waits until something holds, for as long as a slow machine may need.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
