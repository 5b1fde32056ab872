//! The events that wake the daemon: real changes of real repositories, with the next resync a day
//! away. The daemon also looks by itself now and then; the history tells that it did not have to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::running::{Running, eventually};
use crate::world::{World, email, git_in};

/// A daemon that follows a place, and what it made of it so far.
struct Followed {
    world: World,
    daemon: Running,
}

/// A world whose repository holds one connection `a` with the port 1.
fn prepared() -> World {
    let world = World::new();
    world.commit_email("a", "port: 1\n");
    world
}

/// Follows a place with further keys of the source, once the connection is there.
fn followed(mut world: World, place: &Path, source: &str, arguments: &[&str]) -> Followed {
    configure(&mut world, place, source);
    let daemon = Running::start(&world, arguments);
    let followed = Followed { world, daemon };
    eventually("created", || followed.port() == json!(1));
    followed
}

fn configure(world: &mut World, place: &Path, source: &str) {
    world.source(&format!("path: '{}'{source}", place.display()), "resync: 24h");
}

/// Commits the connection with another port in a checkout.
fn commit_port(checkout: &Path, port: u16) {
    fs::create_dir_all(checkout.join("connections")).unwrap();
    fs::write(checkout.join("connections/a.yaml"), email("a", &format!("port: {port}\n"))).unwrap();
    git_in(checkout, &["add", "-A"]);
    git_in(checkout, &["commit", "-q", "-m", "another port"]);
}

/// Moves a link to another place in one step, as git-sync and the kubelet do.
fn flip(link: &Path, to: &str) {
    let fresh = link.with_file_name("fresh");
    symlink(to, &fresh).unwrap();
    fs::rename(fresh, link).unwrap();
}

impl Followed {
    fn port(&self) -> Value {
        let is_live = self.world.names().contains(&"a".to_owned());
        if is_live { self.world.live("a")["port"].clone() } else { Value::Null }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// Waits until the port arrives, and wants a change of this kind to have been the reason.
    #[track_caller]
    fn arrives(&self, port: u16, what: &str, cause: &str) {
        eventually(what, || self.port() == json!(port));
        let causes = || -> Vec<Value> {
            let status = self.daemon.status(&self.world);
            let history = status["targets"][0]["history"].as_array().unwrap().clone();
            let done = history.into_iter().filter(|entry| entry["outcome"] == json!("applied"));
            done.map(|entry| entry["cause"].clone()).filter(|one| *one != json!("start")).collect()
        };
        eventually("an entry in the history", || !causes().is_empty());
        let causes = causes();
        assert!(causes.iter().all(|one| *one == json!(cause)), "{what}: {causes:?}");
    }
}

#[test]
fn loose_and_packed_references_and_head_are_watched() {
    let followed = prepared();
    let repo = followed.repo();
    let followed = self::followed(followed, &repo, "", &[]);
    commit_port(&repo, 2);
    followed.arrives(2, "a loose reference", "repository");
    git_in(&repo, &["branch", "next"]);
    git_in(&repo, &["pack-refs", "--all"]);
    commit_port(&repo, 3);
    followed.arrives(3, "a commit after packing", "repository");
    // The branch moves, and all there is of it is in one file by the time somebody looks.
    git_in(&repo, &["switch", "-q", "--detach"]);
    commit_port(&repo, 4);
    followed.arrives(4, "a commit on a detached HEAD", "repository");
    git_in(&repo, &["switch", "-q", "next"]);
    followed.arrives(2, "a switch of HEAD", "repository");
}

#[test]
fn a_reference_that_moves_in_packed_refs_alone_is_seen() {
    let world = prepared();
    let repo = world.repo();
    git_in(&repo, &["pack-refs", "--all"]);
    let followed = followed(world, &repo, ", branch: main", &[]);
    git_in(&repo, &["switch", "-q", "--detach"]);
    commit_port(&repo, 2);
    let id = git_in(&repo, &["rev-parse", "HEAD"]);
    let packed = repo.join(".git/packed-refs");
    let old = git_in(&repo, &["rev-parse", "main"]);
    let text = fs::read_to_string(&packed).unwrap().replace(old.trim(), id.trim());
    fs::write(packed.with_extension("new"), text).unwrap();
    fs::rename(packed.with_extension("new"), &packed).unwrap();
    followed.arrives(2, "a reference in packed-refs", "repository");
}

#[test]
fn reference_tables_are_watched() {
    let world = prepared();
    let place = world.path("tables");
    let made = Command::new("git")
        .args(["init", "-q", "-b", "main", "--ref-format=reftable"])
        .arg(&place)
        .output();
    if !made.unwrap().status.success() {
        crate::git_servers::skipped("this git has no reference tables");
        return;
    }
    commit_port(&place, 1);
    let followed = followed(world, &place, "", &[]);
    commit_port(&place, 2);
    followed.arrives(2, "a commit", "repository");
    git_in(&place, &["switch", "-qc", "other"]);
    commit_port(&place, 3);
    followed.arrives(3, "a commit on another branch", "repository");
    git_in(&place, &["pack-refs", "--all"]);
    git_in(&place, &["switch", "-q", "main"]);
    followed.arrives(2, "a switch of HEAD", "repository");
}

#[test]
fn a_linked_worktree_is_watched() {
    let world = prepared();
    git_in(&world.repo(), &["worktree", "add", "-q", "-b", "linked", "../linked"]);
    let place = world.path("linked");
    let followed = followed(world, &place, "", &[]);
    commit_port(&place, 2);
    followed.arrives(2, "a commit in it", "repository");
    git_in(&place, &["checkout", "-q", "--detach", "main"]);
    followed.arrives(1, "its HEAD", "repository");
}

#[test]
fn a_bare_repository_is_watched() {
    let world = prepared();
    git_in(&world.repo(), &["clone", "-q", "--bare", ".", "../bare.git"]);
    let place = world.path("bare.git");
    let followed = followed(world, &place, "", &[]);
    commit_port(&followed.world.repo(), 2);
    git_in(&followed.world.repo(), &["push", "-q", place.to_str().unwrap(), "main"]);
    followed.arrives(2, "a push", "repository");
}

#[test]
fn a_link_that_git_sync_flips_is_followed() {
    // git-sync makes a worktree for each commit, whose way to the repository is relative, and
    // then moves the link; other containers see the volume elsewhere.
    let world = prepared();
    let root = world.path("git");
    git_in(&world.repo(), &["clone", "-q", "--bare", ".", "../git/.repo"]);
    fs::create_dir_all(root.join(".worktrees")).unwrap();
    let sync = |rev: &str| {
        let id = git_in(&root.join(".repo"), &["rev-parse", rev]).trim().to_owned();
        let at = root.join(".worktrees").join(&id);
        let add = ["worktree", "add", "-q", "--detach", at.to_str().unwrap(), &id];
        git_in(&root.join(".repo"), &add);
        fs::write(at.join(".git"), format!("gitdir: ../../.repo/worktrees/{id}\n")).unwrap();
        flip(&root.join("current"), &format!(".worktrees/{id}"));
        id
    };
    let first = sync("main");
    fs::rename(&root, root.with_file_name("mounted")).unwrap();
    symlink("mounted", &root).unwrap();
    let place = world.path("mounted/current");
    let followed = followed(world, &place, "", &[]);
    let bare = followed.path("git/.repo");
    commit_port(&followed.world.repo(), 2);
    git_in(&followed.world.repo(), &["push", "-q", bare.to_str().unwrap(), "main"]);
    sync("main");
    followed.arrives(2, "a flip", "repository");
    fs::remove_dir_all(root.join(".worktrees").join(&first)).unwrap();
    git_in(&bare, &["worktree", "prune"]);
    git_in(&bare, &["gc", "-q", "--prune=now"]);
    commit_port(&followed.world.repo(), 3);
    git_in(&followed.world.repo(), &["push", "-q", bare.to_str().unwrap(), "main"]);
    sync("main");
    followed.arrives(3, "a flip after tidying", "repository");
}

/// A folder as the kubelet fills it: what is in it are links through `..data`.
fn volume(world: &World) -> PathBuf {
    let volume = world.path("volume");
    fs::create_dir(&volume).unwrap();
    git_in(&world.repo(), &["clone", "-q", ".", "../volume/..1/config"]);
    symlink("..1", volume.join("..data")).unwrap();
    symlink("..data/config", volume.join("config")).unwrap();
    volume
}

#[test]
fn a_folder_that_is_replaced_as_a_kubernetes_volume_is_followed() {
    let world = prepared();
    let volume = volume(&world);
    let followed = followed(world, &volume.join("config"), "", &[]);
    for (number, port) in [(2, 2), (3, 3)] {
        commit_port(&followed.world.repo(), port);
        let clone = ["clone", "-q", ".", &format!("../volume/..{number}/config")];
        git_in(&followed.world.repo(), &clone);
        flip(&volume.join("..data"), &format!("..{number}"));
        fs::remove_dir_all(volume.join(format!("..{}", number - 1))).unwrap();
        followed.arrives(port, "a replaced volume", "repository");
    }
}

#[test]
fn with_worktree_the_files_are_watched_also_in_a_volume() {
    let world = prepared();
    let volume = volume(&world);
    let followed = followed(world, &volume.join("config"), "", &["--worktree"]);
    let write = |port: u16| {
        let file = volume.join("config/connections/a.yaml");
        fs::write(file, email("a", &format!("port: {port}\n"))).unwrap();
    };
    write(2);
    followed.arrives(2, "a file", "files");
    let clone = ["clone", "-q", ".", "../volume/..2/config"];
    git_in(&followed.world.repo(), &clone);
    flip(&volume.join("..data"), "..2");
    eventually("the files of the replaced volume", || followed.port() == json!(1));
    write(4);
    eventually("a file in it", || followed.port() == json!(4));
    // A checkout in the middle of a change is no decision to delete.
    fs::remove_file(volume.join("config/connections/a.yaml")).unwrap();
    eventually("a held delete", || {
        followed.daemon.status(&followed.world)["targets"][0]["state"] == json!("held")
    });
    assert_eq!(followed.port(), json!(4));
}

#[test]
fn without_inotify_the_repository_is_looked_at_and_the_log_says_so() {
    for limit in ["max_inotify_instances", "max_inotify_watches"] {
        let mut world = prepared();
        let repo = world.repo();
        configure(&mut world, &repo, "");
        // A user namespace has limits of its own.
        let script = format!("echo 0 > /proc/sys/user/{limit} && exec \"$@\"");
        let confine = ["unshare", "--user", "--map-root-user", "sh", "-c", &script, "sh"];
        let works = Command::new(confine[0]).args(&confine[1..]).arg("true").output();
        if !works.is_ok_and(|output| output.status.success()) {
            crate::git_servers::skipped("no user namespace whose inotify limits can be lowered");
            return;
        }
        let daemon = Running::within(&world, &confine, &[]);
        let followed = Followed { world, daemon };
        eventually("created", || followed.port() == json!(1));
        commit_port(&repo, 2);
        followed.arrives(2, "a commit", "repository");
        let logs = followed.daemon.logs();
        assert!(logs.contains("the system gives no events for the repository"), "{logs}");
        assert!(logs.contains("fs.inotify.max_user_watches"), "{logs}");
    }
}
