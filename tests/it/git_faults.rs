//! Repositories in trouble: each is told in the status, deletes nothing, and recovers by itself.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::running::{Running, eventually};
use crate::world::{World, email, git_in};

/// A world with three connections and the daemon, which corrects drift every second.
fn followed(source: &str) -> (World, Running) {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.commit_email(name, "port: 1\n");
    }
    world.source(&format!("path: '{{repo}}'{source}"), "resync: 1s");
    let daemon = Running::start(&world, &[]);
    eventually("created", || world.names() == ["a", "b", "c"]);
    eventually("in sync", || state(&world, &daemon) == json!("in_sync"));
    (world, daemon)
}

fn state(world: &World, daemon: &Running) -> Value {
    daemon.status(world)["targets"][0]["state"].clone()
}

fn source_error(world: &World, daemon: &Running) -> String {
    daemon.status(world)["source"]["error"].as_str().unwrap_or_default().to_owned()
}

fn port(world: &World, name: &str) -> Value {
    let is_live = world.names().contains(&name.to_owned());
    if is_live { world.live(name)["port"].clone() } else { Value::Null }
}

#[track_caller]
fn nothing_was_deleted(world: &World) {
    let writes = world.writes();
    assert!(!writes.iter().any(|call| call.starts_with("DELETE")), "{writes:?}");
}

/// The file of a loose object.
fn object(world: &World, rev: &str) -> PathBuf {
    let id = world.git(&["rev-parse", rev]).trim().to_owned();
    world.repo().join(".git/objects").join(&id[..2]).join(&id[2..])
}

/// Objects are read-only files, which are replaced rather than written.
fn replace(file: &Path, content: &[u8]) {
    let fresh = file.with_extension("fresh");
    fs::write(&fresh, content).unwrap();
    fs::rename(fresh, file).unwrap();
}

#[test]
fn a_rebase_under_way_is_not_followed_and_its_end_is() {
    let (world, daemon) = followed("");
    world.git(&["switch", "-qc", "mine"]);
    world.write_email("a", "port: 2\n");
    world.commit("mine");
    eventually("mine", || port(&world, "a") == json!(2));
    world.git(&["switch", "-q", "main"]);
    eventually("main", || port(&world, "a") == json!(1));
    for name in ["b", "c"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    world.write_email("a", "port: 3\n");
    world.commit("theirs");
    eventually("theirs", || world.names() == ["a"]);
    world.git(&["switch", "-q", "mine"]);
    eventually("mine again", || world.names() == ["a", "b", "c"]);
    world.forget_calls();

    // It stops at a conflict, with HEAD at what main has.
    let mut rebase = Command::new("git");
    rebase.args(["rebase", "-q", "main"]).current_dir(world.repo());
    rebase.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(!rebase.status().unwrap().success());
    world.edit("a", "port", json!(9));
    eventually("drift from the branch", || port(&world, "a") == json!(2));
    assert_eq!(daemon.status(&world)["source"]["branch"], json!("mine"));
    nothing_was_deleted(&world);
    world.write_email("a", "port: 4\n");
    world.git(&["add", "-A"]);
    world.git(&["-c", "core.editor=true", "rebase", "--continue"]);
    eventually("the rebased commit", || port(&world, "a") == json!(4) && world.names() == ["a"]);
}

#[test]
fn a_branch_that_is_missing_is_told_and_waited_for() {
    let mut world = World::new();
    world.commit_email("a", "port: 1\n");
    world.source("path: '{repo}', branch: prod", "resync: 24h");
    world.apply().code(1).says("no branch `prod`");
    let daemon = Running::start(&world, &[]);
    eventually("told", || source_error(&world, &daemon).contains("no branch `prod`"));
    eventually("failing", || state(&world, &daemon) == json!("failing"));
    assert_eq!(daemon.get(&world, "/readyz").0, 200);
    world.git(&["branch", "-q", "prod"]);
    eventually("followed", || port(&world, "a") == json!(1));
}

#[test]
fn a_branch_that_vanishes_is_told_and_followed_when_it_is_back() {
    let (world, daemon) = followed(", branch: main");
    world.git(&["switch", "-q", "--detach"]);
    world.git(&["branch", "-q", "-D", "main"]);
    world.forget_calls();
    eventually("told", || source_error(&world, &daemon).contains("no branch `main`"));
    world.edit("a", "port", json!(9));
    eventually("drift from what was read", || port(&world, "a") == json!(1));
    world.plan().code(1).says("no branch `main`");
    nothing_was_deleted(&world);
    world.write_email("a", "port: 2\n");
    world.commit("a commit");
    world.git(&["switch", "-qc", "main"]);
    eventually("followed again", || port(&world, "a") == json!(2));
    assert_eq!(source_error(&world, &daemon), "");
}

#[test]
fn a_repository_that_disappears_deletes_nothing_and_is_followed_when_it_is_back() {
    let (world, daemon) = followed("");
    let aside = world.path("aside");
    world.forget_calls();
    fs::rename(world.repo(), &aside).unwrap();
    eventually("told", || source_error(&world, &daemon).starts_with("there is no "));
    world.plan().code(1).says("there is no ");
    // An empty folder, and one that is only just becoming a repository, are none yet.
    fs::create_dir(world.repo()).unwrap();
    eventually("no repository", || source_error(&world, &daemon).contains("no git repository"));
    world.git(&["init", "-q", "-b", "main"]);
    eventually("no commit", || source_error(&world, &daemon).contains("no commit yet"));
    fs::remove_dir_all(world.repo()).unwrap();
    fs::rename(&aside, world.repo()).unwrap();
    eventually("back", || {
        source_error(&world, &daemon).is_empty() && state(&world, &daemon) == json!("in_sync")
    });
    nothing_was_deleted(&world);
    world.commit_email("a", "port: 2\n");
    eventually("followed again", || port(&world, "a") == json!(2));
}

#[test]
fn damaged_and_lost_objects_delete_nothing_and_are_recovered_from() {
    let (world, daemon) = followed("");
    for (rev, damage) in [
        ("HEAD", &b"damaged"[..]),
        ("HEAD^{tree}", b""),
        ("HEAD:connections", b"damaged"),
        ("HEAD:connections/a.yaml", b"damaged"),
    ] {
        let before = port(&world, "a").as_u64().unwrap();
        world.forget_calls();
        // Made aside, so that the daemon does not see it whole.
        world.git(&["switch", "-q", "--detach"]);
        eventually("detached", || daemon.status(&world)["source"]["branch"] == Value::Null);
        world.git(&["update-ref", "refs/heads/start", "HEAD"]);
        fs::write(
            world.repo().join("connections/a.yaml"),
            email("a", &format!("port: {}\n", before + 1)),
        )
        .unwrap();
        world.git(&["add", "-A"]);
        let tree = world.git(&["write-tree"]);
        let new = world.git(&["commit-tree", "-p", "HEAD", "-m", rev, tree.trim()]);
        let new = new.trim();
        let file = object(&world, &rev.replace("HEAD", new));
        let whole = fs::read(&file).unwrap();
        replace(&file, damage);
        fs::write(world.repo().join(".git/refs/heads/start"), format!("{new}\n")).unwrap();
        fs::write(world.repo().join(".git/HEAD"), "ref: refs/heads/start\n").unwrap();
        eventually(rev, || {
            let status = daemon.status(&world).to_string();
            status.contains("is damaged") || status.contains("lacks ")
        });
        world.plan().code(1);
        nothing_was_deleted(&world);
        assert_eq!(port(&world, "a").as_u64(), Some(before));
        replace(&file, &whole);
        eventually("recovered", || port(&world, "a").as_u64() == Some(before + 1));
        eventually("in sync", || state(&world, &daemon) == json!("in_sync"));
        assert_eq!(source_error(&world, &daemon), "");
    }
}

#[test]
fn a_head_that_lost_its_content_is_told_and_recovered_from() {
    let (world, daemon) = followed("");
    let head = world.repo().join(".git/HEAD");
    world.forget_calls();
    fs::write(&head, "").unwrap();
    eventually("told", || !source_error(&world, &daemon).is_empty());
    world.plan().code(1);
    fs::write(&head, "ref: refs/heads/main\n").unwrap();
    eventually("recovered", || source_error(&world, &daemon).is_empty());
    nothing_was_deleted(&world);
    world.commit_email("a", "port: 2\n");
    eventually("followed again", || port(&world, "a") == json!(2));
}

#[test]
fn gc_and_a_force_push_are_followed() {
    let (world, daemon) = followed("");
    world.git(&["reset", "-q", "--hard", "HEAD~2"]);
    world.write_email("a", "port: 2\n");
    world.write_email("b", "port: 2\n");
    world.commit("history is rewritten");
    world.git(&["reflog", "expire", "--expire=now", "--all"]);
    world.git(&["gc", "-q", "--prune=now"]);
    // A commit removed `c`, though not one that came after the last good one.
    eventually("followed", || world.names() == ["a", "b"] && port(&world, "b") == json!(2));
    eventually("in sync", || state(&world, &daemon) == json!("in_sync"));
    world.git(&["repack", "-q", "-a", "-d", "-f"]);
    world.commit_email("a", "port: 3\n");
    eventually("a commit after packing", || port(&world, "a") == json!(3));
}

#[test]
fn a_shallow_clone_deletes_by_its_state_and_holds_deletes_that_it_cannot_check() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.commit_email(name, "");
    }
    let shallow = world.path("shallow");
    let from = format!("file://{}", world.repo().display());
    let clone = ["clone", "-q", "--depth", "1", &from, shallow.to_str().unwrap()];
    git_in(&world.repo(), &clone);
    let update = || {
        git_in(&shallow, &["fetch", "-q", "--depth", "1", "origin", "main"]);
        git_in(&shallow, &["reset", "-q", "--hard", "FETCH_HEAD"]);
        git_in(&shallow, &["reflog", "expire", "--expire=now", "--all"]);
        git_in(&shallow, &["gc", "-q", "--prune=now"]);
    };
    let place = format!("path: '{}'", shallow.display());
    world.source(&place, "");
    world.apply().code(0);
    world.commit_without(&["a"]);
    update();
    world.apply().code(0);
    assert_eq!(world.names(), ["b", "c"]);
    // Under another config the last good commit would have to be read, and it is gone.
    world.source(&place, "paths: [connections, overlay]");
    world.write("overlay/c.yaml", "type: email\nname: c\nport: 26\n");
    world.commit_without(&["b"]);
    update();
    world.apply().code(3);
    assert_eq!(world.names(), ["b", "c"]);
    assert_eq!(port(&world, "c"), json!(26));
}

#[test]
fn a_tree_of_50_000_files_is_read_beside_the_documents() {
    let world = World::new();
    world.commit_email("a", "");
    let mut import = Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(world.repo())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stream = std::io::BufWriter::new(import.stdin.take().unwrap());
    let committer = "committer Ada <ada@example.com> 1700000000 +0000";
    write!(stream, "commit refs/heads/main\n{committer}\ndata 4\nmany\n").unwrap();
    writeln!(stream, "from refs/heads/main^0").unwrap();
    for number in 0..50_000 {
        let path = format!("connections/{}/{number}.txt", number % 100);
        write!(stream, "M 100644 inline {path}\ndata 5\n{number:05}\n").unwrap();
    }
    drop(stream);
    assert!(import.wait().unwrap().success());
    world.plan().code(2).says("1 to create");
    world.apply().code(0);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_checkout_that_another_user_owns_is_read() {
    fn give_away(path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::lchown(path, Some(12_345), Some(12_345))?;
        if path.symlink_metadata()?.is_dir() {
            for entry in fs::read_dir(path)? {
                give_away(&entry?.path())?;
            }
        }
        Ok(())
    }
    let (world, daemon) = followed("");
    if give_away(&world.repo()).is_err() {
        crate::git_servers::skipped("only root can give a repository to another user");
        return;
    }
    world.plan().code(0);
    // Its owner commits, which git does as nobody else.
    let safe = format!("safe.directory={}", world.repo().display());
    world.write_email("a", "port: 2\n");
    world.git(&["-c", &safe, "add", "-A"]);
    world.git(&["-c", &safe, "commit", "-q", "-m", "another port"]);
    eventually("followed", || port(&world, "a") == json!(2));
    assert_eq!(source_error(&world, &daemon), "");
}
