//! Watching real repositories while git works on them.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::source::fixture::{Fixture, eventually, git_in};

struct Watched {
    watcher: Option<Watcher>,
    wakes: Arc<AtomicUsize>,
}

impl Watched {
    fn new(location: &Path, files: &[&str]) -> Self {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&wakes);
        let files: Vec<String> = files.iter().map(|path| (*path).to_owned()).collect();
        let count = move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        let watcher = Watcher::start(location, &files, count).unwrap();
        Self { watcher: Some(watcher), wakes }
    }

    fn count(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }

    /// Waits until what was done before has been passed on. The last of it may be second looks.
    fn quiet(&self) {
        loop {
            let before = self.count();
            thread::sleep(2 * SECOND_LOOK);
            if self.count() == before {
                return;
            }
        }
    }

    #[track_caller]
    fn wakes(&self, what: &str, act: impl FnOnce()) {
        self.quiet();
        let before = self.count();
        act();
        eventually(what, || self.count() > before);
    }

    /// That nothing came can only be seen by something that comes later.
    #[track_caller]
    fn sleeps(&self, what: &str, act: impl FnOnce()) {
        self.quiet();
        let before = self.count();
        act();
        self.quiet();
        assert_eq!(self.count(), before, "woke: {what}");
    }
}

#[test]
fn commits_and_switches_wake_and_reads_do_not() {
    let git = Fixture::new();
    git.commit("first");
    let watched = Watched::new(&git.at, &[]);
    watched.wakes("a commit", || drop(git.commit("second")));
    watched.wakes("an amended commit", || {
        drop(git.git(&["commit", "--quiet", "--allow-empty", "--amend", "--message", "x"]));
    });
    watched.wakes("a new branch", || drop(git.git(&["switch", "--quiet", "--create", "a/b/c"])));
    watched.wakes("a commit on it", || drop(git.commit("third")));
    watched.wakes("a switch back", || drop(git.git(&["switch", "--quiet", "main"])));
    watched.wakes("packing", || drop(git.git(&["pack-refs", "--all"])));
    watched.wakes("a commit after packing", || drop(git.commit("fourth")));
    watched.sleeps("reading", || {
        git.git(&["log", "--all"]);
        let repository = crate::source::Repository::open(&git.at).unwrap();
        repository.head(Some("main")).unwrap();
    });
    watched.sleeps("files and the index", || {
        git.write("c/a.yaml", "a");
        git.git(&["add", "--all"]);
    });
}

#[test]
fn other_kinds_of_repositories_wake() {
    let git = Fixture::new();
    git.commit("first");
    git.git(&["clone", "--quiet", "--bare", ".", "../bare.git"]);
    git.git(&["worktree", "add", "--quiet", "-b", "other", "../linked"]);
    let bare = Watched::new(&git.beside("bare.git"), &[]);
    bare.wakes("a push", || {
        git.commit("second");
        git.git(&["push", "--quiet", "../bare.git", "main"]);
    });
    let linked = git.beside("linked");
    let watched = Watched::new(&linked, &[]);
    let commit = ["commit", "--quiet", "--allow-empty", "--message", "x"];
    watched.wakes("a commit in a linked worktree", || drop(git_in(&linked, &commit)));
    watched.wakes("its HEAD", || drop(git_in(&linked, &["checkout", "--quiet", "--detach"])));
    watched.wakes("a commit there", || drop(git_in(&linked, &commit)));

    let tables = Fixture::with(&["--ref-format=reftable"]);
    let watched = Watched::new(&tables.at, &[]);
    watched.wakes("a commit in reference tables", || drop(tables.commit("first")));
    watched.wakes("another", || drop(tables.commit("second")));
}

#[test]
fn a_link_that_flips_is_followed() {
    let git = Fixture::new();
    git.commit("first");
    git.git(&["clone", "--quiet", ".", "../next"]);
    let current = git.beside("current");
    symlink("checkout", &current).unwrap();
    // As Kubernetes does it: what is mounted is a link to a link.
    symlink("current", git.beside("mounted")).unwrap();
    let watched = Watched::new(&git.beside("mounted"), &[]);
    let flip = |to: &str| {
        symlink(to, git.beside("tmp")).unwrap();
        fs::rename(git.beside("tmp"), &current).unwrap();
    };
    watched.wakes("the flip", || flip("next"));
    let commit = ["commit", "--quiet", "--allow-empty", "--message", "x"];
    watched.wakes("a commit there", || drop(git_in(&git.beside("next"), &commit)));
    watched.sleeps("a commit where it was", || drop(git.commit("unseen")));
    watched.wakes("the flip back", || flip("checkout"));
    watched.wakes("a commit here", || drop(git.commit("seen")));
}

#[test]
fn a_repository_that_vanishes_is_watched_again_when_it_is_back() {
    let git = Fixture::new();
    git.commit("first");
    let watched = Watched::new(&git.at, &[]);
    watched.wakes("that it vanished", || fs::rename(&git.at, git.beside("away")).unwrap());
    let clone = ["clone", "--quiet", "away", "checkout"];
    watched.wakes("a new clone", || drop(git_in(&git.beside(""), &clone)));
    watched.wakes("a commit in it", || drop(git.commit("second")));
    watched.wakes("that it is removed", || fs::remove_dir_all(git.at.join(".git")).unwrap());
    watched.wakes("that it is made anew", || drop(git.git(&["init", "--quiet", "-b", "main"])));
    watched.wakes("its first commit", || drop(git.commit("first again")));
}

#[test]
fn a_place_that_does_not_exist_yet_is_waited_for() {
    let git = Fixture::new();
    git.commit("first");
    let place = git.beside("deep/er/place");
    let watched = Watched::new(&place, &[]);
    watched.wakes("its parent", || fs::create_dir_all(place.parent().unwrap()).unwrap());
    let source = git.at.to_str().unwrap().to_owned();
    let clone = ["clone", "--quiet", &source, "place"];
    watched.wakes("the clone", || drop(git_in(place.parent().unwrap(), &clone)));
    let commit = ["commit", "--quiet", "--allow-empty", "--message", "x"];
    watched.wakes("a commit", || drop(git_in(&place, &commit)));
}

#[test]
fn files_wake_where_they_are_asked_for() {
    let git = Fixture::new();
    git.write("c/a.yaml", "a");
    git.commit("first");
    let watched = Watched::new(&git.at, &["c", "later/d"]);
    watched.wakes("a write", || git.write("c/a.yaml", "b"));
    watched.wakes("a new folder with a file", || git.write("c/x/y/b.yaml", "b"));
    watched.wakes("a write in it", || git.write("c/x/y/b.yaml", "c"));
    watched.wakes("a folder that was missing", || git.write("later/d/c.yaml", "c"));
    watched.wakes("a write in that", || git.write("later/d/c.yaml", "d"));
    watched.wakes("a rename", || fs::rename(git.at.join("c/x"), git.at.join("c/z")).unwrap());
    watched.wakes("a removal", || fs::remove_file(git.at.join("c/z/y/b.yaml")).unwrap());
    watched.wakes("a commit", || drop(git.commit("second")));
    watched.sleeps("other files", || {
        git.write("c/notes.md", "x");
        git.write("c/.a.yaml.swp", "x");
        git.write("elsewhere.yaml", "x");
    });
    watched.sleeps("reading", || drop(fs::read(git.at.join("c/a.yaml")).unwrap()));
}

#[test]
fn a_watcher_that_is_dropped_is_silent() {
    let git = Fixture::new();
    git.commit("first");
    let mut watched = Watched::new(&git.at, &[]);
    watched.watcher = None;
    git.commit("second");
    assert_eq!(watched.count(), 0);
}
