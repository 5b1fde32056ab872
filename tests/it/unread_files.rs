//! Deletes are held while something below the paths is not read; what is skipped for its name
//! is told and holds nothing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::world::{World, email, git_in};

/// A world in which `a` and `b` are live, and both are declared in the folder `team`.
fn settled() -> World {
    let world = World::new();
    for name in ["a", "b"] {
        world.write(&format!("connections/team/{name}.yaml"), &email(name, ""));
    }
    world.write_email("c", "");
    world.commit("declare them");
    world.apply().code(0);
    world
}

/// Moves what the path has out of the paths, and puts a link to it there.
fn becomes_a_link(world: &World, path: &str) {
    let (repo, away) = (world.repo(), world.repo().join("away"));
    fs::rename(repo.join(path), &away).unwrap();
    let up = "../".repeat(Path::new(path).components().count() - 1);
    symlink(format!("{up}away"), repo.join(path)).unwrap();
    world.git(&["add", "-A"]);
}

fn becomes_a_submodule(world: &World, path: &str) {
    world.git(&["rm", "-rqf", path]);
    let id = world.git(&["rev-parse", "HEAD"]).trim().to_owned();
    world.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},{path}")]);
}

fn gets_a_name_that_is_no_text(world: &World, path: &str) {
    let away = OsStr::from_bytes(b"connections/m\xfcnchen");
    fs::rename(world.repo().join(path), world.repo().join(away)).unwrap();
    world.git(&["add", "-A"]);
}

#[test]
fn files_and_folders_that_are_no_longer_read_hold_deletes() {
    type Becomes = fn(&World, &str);
    let ways: [(&str, Becomes); 3] = [
        ("symbolic links are not followed", becomes_a_link),
        ("it is a repository of its own", becomes_a_submodule),
        ("its name is not UTF-8", gets_a_name_that_is_no_text),
    ];
    for (told, becomes) in ways {
        for path in ["connections/team", "connections/team/a.yaml"] {
            let world = settled();
            becomes(&world, path);
            world.git(&["commit", "-qm", "move it out of sight"]);
            world.plan().code(3).says(told);
            world.apply().code(3).says("is skipped").says(told);
            // That is consent to what a limit or a path holds.
            world.run(&["apply", "--yes", "--allow-deletes"]).code(3);
            assert_eq!(world.names(), ["a", "b", "c"], "{path}: {told}");
        }
    }
}

#[test]
fn a_path_that_becomes_a_link_holds_deletes() {
    let world = settled();
    becomes_a_link(&world, "connections");
    world.commit("all of it");
    world.apply().code(3);
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_later_commit_that_removes_the_link_removes_the_connection() {
    let world = settled();
    becomes_a_link(&world, "connections/c.yaml");
    world.commit("a link to it");
    world.apply().code(3);
    world.remove("connections/c.yaml");
    world.commit("and no link");
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn files_that_are_skipped_for_their_names_are_told_and_hold_nothing() {
    let world = settled();
    let rename = |to: &str| {
        fs::rename(world.repo().join("connections/c.yaml"), world.repo().join(to)).unwrap();
    };
    world.write("connections/README.md", "About these connections");
    world.write("connections/.gitkeep", "");
    world.commit("files that nobody takes for documents");
    let plan = world.plan().code(0);
    assert!(!plan.stdout.contains("skipped"), "{}", plan.stdout);
    rename("connections/c.json");
    world.commit("another ending");
    let told = "connections/c.json is skipped: only names that end in .yaml or .yml are read";
    world.plan().code(2).says(told).says("1 to delete");
    world.run(&["validate"]).code(0).says(told);
    world.apply().code(0);
    assert_eq!(world.names(), ["a", "b"]);
    world.write("connections/.d.yaml", &email("d", ""));
    world.commit("a hidden one");
    world.plan().code(0).says("connections/.d.yaml is skipped: its name begins with a dot");
    world.git(&["mv", "connections/team", "connections/.team"]);
    world.commit("a hidden folder");
    let told = "connections/.d.yaml, connections/.team/ are skipped: its name begins with a dot";
    world.plan().says(told).says("2 deletes held");
    world.run(&["validate"]).code(0).says(told);
    world.run(&["plan", "--worktree"]).says(told);
    world.git(&["mv", "connections/.team", "connections/team"]);
    for number in 0..200 {
        world.write(&format!("connections/more/{number:03}.txt"), "x");
    }
    world.commit("many");
    let plan = world.plan().code(0).says("connections/more/000.txt").says("and 19");
    assert!(!plan.stdout.contains("100.txt"), "{}", plan.stdout);
}

#[test]
fn a_git_lfs_pointer_is_told_as_such() {
    let world = settled();
    let pointer = "version https://git-lfs.github.com/spec/v1\n\
                   oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n\
                   size 12345\n";
    world.write("connections/c.yaml", pointer);
    world.commit("tracked by LFS");
    for command in [&["validate"][..], &["plan"], &["apply", "--yes"]] {
        world.run(command).code(1).says("connections/c.yaml is a pointer of Git LFS");
    }
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn a_submodule_is_told_and_nothing_of_it_is_read() {
    let world = World::new();
    let inner = world.path("inner");
    fs::create_dir_all(inner.join("sub")).unwrap();
    git_in(&inner, &["init", "-q", "-b", "main"]);
    fs::write(inner.join("hidden.yaml"), email("hidden", "")).unwrap();
    git_in(&inner, &["add", "-A"]);
    git_in(&inner, &["commit", "-q", "-m", "inner"]);
    world.commit_email("a", "");
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    world.git(&[&add[..], &[inner.to_str().unwrap(), "connections/sub"]].concat());
    world.commit("a submodule");
    world.plan().code(2).says("connections/sub is skipped: it is a repository of its own");
    world.apply().code(0);
    assert_eq!(world.names(), ["a"]);
}

/// `conn` declares `a` to `d` and `extra` declares `z`; all are live.
fn two_paths(keys: &str) -> World {
    let mut world = World::new();
    world.target(&format!("paths: [conn, extra]\n{keys}"));
    for name in ["a", "b", "c", "d"] {
        world.write(&format!("conn/{name}.yaml"), &email(name, ""));
    }
    world.write("extra/z.yaml", &email("z", ""));
    world.commit("declare them");
    world.apply().code(0);
    world.forget_calls();
    world
}

#[test]
fn a_delete_that_was_due_is_held_once_a_path_that_is_not_read_declares_its_name() {
    let mut world = two_paths("max_deletes: 0");
    world.remove("conn/a.yaml");
    world.commit("a leaves");
    world.apply().code(3).says("max_deletes");
    world.write("extra/a.yaml", &email("a", ""));
    world.commit("a is back, in extra");
    world.target("paths: [conn]\nmax_deletes: 5");
    world.apply().code(3).says("`extra`, which the config no longer reads, may still declare it");
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "--yes", "--allow-delete", "a"]).code(3);
    assert_eq!(world.writes(), ["DELETE a"]);
}

#[test]
fn the_old_name_of_a_rename_is_declared_by_a_path_that_is_not_read() {
    let mut world = two_paths("");
    world.remove("conn/a.yaml");
    world.write("extra/new.yaml", &email("new", "x-gitops: {renamedFrom: a}\n"));
    world.commit("a is called new, in extra");
    world.target("paths: [conn]");
    world.apply().code(3).says("`extra`, which the config no longer reads, may still declare it");
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_path_that_is_not_read_may_declare_everything_where_a_file_of_it_cannot_be_read() {
    let ways: [fn(&World); 2] = [
        |world| world.write("extra/f.yaml", "type: email\nname: a\nhost: \"broken\n"),
        |world| becomes_a_link(world, "extra/f.yaml"),
    ];
    for cannot_be_read in ways {
        let mut world = two_paths("");
        world.write("extra/f.yaml", "name: b\nport: 2525\n");
        world.commit("extra patches b");
        world.apply().code(0);
        world.remove("conn/a.yaml");
        cannot_be_read(&world);
        world.commit("a leaves, or moves to extra");
        world.target("paths: [conn]");
        world.forget_calls();
        world.apply().code(3).says("may still declare it");
        assert_eq!(world.writes(), [""; 0]);
    }
}

#[test]
fn paths_that_are_split_or_moved_hold_nothing_that_today_s_paths_read() {
    let ways: [fn(&World) -> &'static str; 2] = [
        |world| {
            world.git(&["mv", "conn", "all"]);
            world.git(&["mv", "extra", "rest"]);
            "all, rest"
        },
        |world| {
            std::fs::create_dir_all(world.repo().join("conn/team")).unwrap();
            world.git(&["mv", "conn/a.yaml", "conn/b.yaml", "conn/c.yaml", "conn/team"]);
            world.git(&["mv", "conn/d.yaml", "extra/z.yaml", "conn/team"]);
            // A broken file that never declared anything.
            world.write("conn/chart/x.yaml", "{{ template }}\n");
            "conn/team"
        },
    ];
    for move_them in ways {
        let mut world = two_paths("");
        let paths = move_them(&world);
        world.commit("move the documents");
        world.target(&format!("paths: [{paths}]"));
        world.apply().code(0);
        let (path, _) = paths.split_once(',').unwrap_or((paths, ""));
        world.write(&format!("{path}/a.yaml"), &email("a", "port: 26\n"));
        world.remove(&format!("{path}/b.yaml"));
        world.commit("a changes and b leaves");
        world.apply().code(0);
        assert_eq!(world.live("a")["port"], serde_json::json!(26));
        assert_eq!(world.names(), ["a", "c", "d", "z"]);
    }
}

#[test]
fn a_broken_file_of_a_path_that_the_config_lost_holds_the_delete_of_any_name() {
    let mut world = World::new();
    world.target("max_deletes: 0");
    world.settle(&["a", "b"]);
    world.commit_without(&["b"]);
    world.apply().code(3);
    world.target("max_deletes: 0\npaths: [conections]");
    world.apply().code(3);
    world.commit_email("b", "");
    world.apply().code(3);
    world.write("connections/b.yaml", "type: [\n");
    world.commit("break the document that declares b again");
    for _ in 0..2 {
        world.run(&["apply", "--yes", "--allow-deletes"]).code(3);
        assert_eq!(world.names(), ["a", "b"]);
    }
}

#[test]
fn consent_to_a_lost_path_deletes_nothing_that_a_link_in_it_may_declare() {
    let mut world = World::settled(&["b", "c"]);
    world.write("connections/folder/a.yaml", &email("a", ""));
    world.commit("a has a folder");
    world.apply().code(0);
    world.git(&["mv", "connections/folder", "elsewhere"]);
    std::os::unix::fs::symlink("../elsewhere", world.repo().join("connections/folder")).unwrap();
    world.commit("the folder is a link");
    world.apply().code(3);
    world.target("paths: [conections]");
    for _ in 0..2 {
        world.run(&["apply", "--yes", "--allow-deletes"]);
        assert!(world.names().contains(&"a".to_owned()));
    }
}

#[test]
fn a_broken_file_that_moves_in_a_path_that_is_not_read_may_still_declare_its_name() {
    for in_one_commit in [false, true] {
        let mut world = two_paths("");
        world.write("conn/z.yaml", &email("z", ""));
        world.write("extra/z.yaml", "name: z\nport: [\n");
        world.commit("z moves to conn, and extra patches it");
        world.target("paths: [conn]");
        world.apply().code(0);
        world.run(&["apply", "--yes", "--allow-deletes"]).code(0);
        world.git(&["mv", "extra/z.yaml", "extra/moved.yaml"]);
        if !in_one_commit {
            world.commit("the broken file moves");
            world.apply().code(0);
        }
        world.remove("conn/z.yaml");
        world.commit("z leaves conn");
        world.apply().code(3).says("may still declare it");
        assert!(world.names().contains(&"z".to_owned()));
    }
}
