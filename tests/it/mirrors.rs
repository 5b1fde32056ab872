//! A mirror that is damaged, as by a loss of power, is made anew whatever the damage.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::git_servers::serve;
use crate::remote::{follow, live_port, mirror, push, push_email};
use crate::running::{Running, eventually};
use crate::world::{World, git_in};

/// Replaces what a file holds, which may be read-only.
fn overwrite(file: &Path, content: &[u8]) {
    let _ = fs::remove_file(file);
    fs::write(file, content).unwrap();
}

/// Fills a file with NULs, which is what a loss of power leaves of one that was just written.
fn nuls(file: &Path) {
    let length = fs::metadata(file).map_or(100, |found| usize::try_from(found.len()).unwrap());
    overwrite(file, &vec![0; length]);
}

fn cut_off(file: &Path) {
    let content = fs::read(file).unwrap();
    overwrite(file, &content[..content.len() / 2]);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The loose objects of a kind; all kinds without one.
fn loose(mirror: &Path, kind: &str) -> Vec<PathBuf> {
    let is_wanted = |file: &PathBuf| {
        let id: String = file
            .components()
            .rev()
            .take(2)
            .collect::<PathBuf>()
            .iter()
            .rev()
            .map(|step| step.to_string_lossy().into_owned())
            .collect();
        id.len() == 40
            && (kind.is_empty() || git_in(mirror, &["cat-file", "-t", &id]).trim() == kind)
    };
    files_below(&mirror.join("objects")).into_iter().filter(is_wanted).collect()
}

fn pack(mirror: &Path) -> PathBuf {
    git_in(mirror, &["repack", "-qad"]);
    let mut files = files_below(&mirror.join("objects")).into_iter();
    files.find(|file| file.extension().is_some_and(|ending| ending == "pack")).unwrap()
}

type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 29] = [
    ("config of NULs", |mirror| nuls(&mirror.join("config"))),
    ("config torn", |mirror| overwrite(&mirror.join("config"), b"[core\n\tbar")),
    ("config empty", |mirror| overwrite(&mirror.join("config"), b"")),
    ("config with an unknown extension", |mirror| {
        let text = b"[core]\nrepositoryformatversion = 1\nbare = true\n[extensions]\nnew = 1\n";
        overwrite(&mirror.join("config"), text);
    }),
    // git reads a bare repository without a config, so it may be gone already.
    ("config gone", |mirror| drop(fs::remove_file(mirror.join("config")))),
    ("packed-refs of NULs", |mirror| {
        git_in(mirror, &["pack-refs", "--all"]);
        nuls(&mirror.join("packed-refs"));
    }),
    ("packed-refs of garbage", |mirror| overwrite(&mirror.join("packed-refs"), b"garbage\n")),
    ("all objects of NULs", |mirror| loose(mirror, "").iter().for_each(|file| nuls(file))),
    ("commits of NULs", |mirror| loose(mirror, "commit").iter().for_each(|file| nuls(file))),
    ("trees of NULs", |mirror| loose(mirror, "tree").iter().for_each(|file| nuls(file))),
    ("files of NULs", |mirror| loose(mirror, "blob").iter().for_each(|file| nuls(file))),
    ("files gone", |mirror| {
        loose(mirror, "blob").iter().for_each(|file| fs::remove_file(file).unwrap());
    }),
    ("trees empty", |mirror| loose(mirror, "tree").iter().for_each(|file| overwrite(file, b""))),
    ("commits cut off", |mirror| loose(mirror, "commit").iter().for_each(|file| cut_off(file))),
    ("trees cut off", |mirror| loose(mirror, "tree").iter().for_each(|file| cut_off(file))),
    ("files cut off", |mirror| loose(mirror, "blob").iter().for_each(|file| cut_off(file))),
    ("pack of NULs", |mirror| nuls(&pack(mirror))),
    ("pack cut off", |mirror| {
        cut_off(&pack(mirror));
    }),
    ("garbage in shallow", |mirror| overwrite(&mirror.join("shallow"), b"garbage\n")),
    ("HEAD of NULs", |mirror| nuls(&mirror.join("HEAD"))),
    ("HEAD empty", |mirror| overwrite(&mirror.join("HEAD"), b"")),
    ("HEAD gone", |mirror| fs::remove_file(mirror.join("HEAD")).unwrap()),
    ("branch of NULs", |mirror| nuls(&mirror.join("refs/heads/main"))),
    ("branch empty", |mirror| overwrite(&mirror.join("refs/heads/main"), b"")),
    ("branch of garbage", |mirror| overwrite(&mirror.join("refs/heads/main"), b"garbage\n")),
    ("objects gone", |mirror| fs::remove_dir_all(mirror.join("objects")).unwrap()),
    ("references gone", |mirror| fs::remove_dir_all(mirror.join("refs")).unwrap()),
    ("a file in its place", |mirror| {
        fs::remove_dir_all(mirror).unwrap();
        fs::write(mirror, "x").unwrap();
    }),
    ("the last good commit's reference of NULs", |mirror| {
        let kept = files_below(&mirror.join("refs/apinizer-gitops"));
        kept.iter().for_each(|file| nuls(file));
    }),
];

/// The place of the mirror, whatever is there.
fn place(world: &World) -> PathBuf {
    let locks = fs::read_dir(world.state_dir().join("mirrors")).unwrap();
    let mut locks = locks.map(|entry| entry.unwrap().path());
    locks.find(|path| path.extension().is_some_and(|e| e == "lock")).unwrap().with_extension("")
}

/// Every other kind of damage, beginning with the one at this place in the list.
fn is_recovered_from(first: usize, branch: &str) {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    world.write_email("keep", "");
    push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &format!("file://{}", bare.display()), branch, "");
    world.apply().code(0);
    for (number, (name, damage)) in DAMAGES.iter().skip(first).step_by(2).enumerate() {
        // With nothing new at the host, and with a commit that it has and the mirror lacks.
        damage(&place(&world));
        let plan = world.plan();
        assert_eq!(plan.code, 0, "{name}{branch}: {}{}", plan.stdout, plan.stderr);
        damage(&place(&world));
        world.write_email(&format!("n{number}"), "");
        if number > 0 {
            world.remove(&format!("connections/n{}.yaml", number - 1));
        }
        world.commit(name);
        push(&world, &bare);
        let apply = world.apply();
        assert_eq!(apply.code, 0, "{name}{branch}: {}{}", apply.stdout, apply.stderr);
        assert_eq!(world.names(), ["a", "keep", &format!("n{number}")], "{name}{branch}");
    }
}

#[test]
fn every_kind_of_damage_is_recovered_from() {
    is_recovered_from(0, "");
}

#[test]
fn every_other_kind_of_damage_is_recovered_from_with_a_branch() {
    is_recovered_from(1, ", branch: main");
}

/// Force-pushes the last good commit away, so that only its id leads to it.
fn rewritten() -> (World, PathBuf, String) {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    world.write_email("b", "");
    push_email(&world, &bare, "a", "port: 1\n");
    let good = push_email(&world, &bare, "a", "port: 2\n");
    follow(&mut world, &format!("file://{}", bare.display()), "", "");
    world.apply().code(0);
    world.git(&["reset", "-q", "--hard", "HEAD~"]);
    world.commit_without(&["b"]);
    push(&world, &bare);
    // Under another config the last good commit itself has to be read.
    let url = format!("file://{}", bare.display());
    follow(&mut world, &url, "", "paths: [connections, overlay]");
    world.write("overlay/a.yaml", "type: email\nname: a\nport: 26\n");
    world.commit("an overlay");
    push(&world, &bare);
    (world, bare, good)
}

#[test]
fn commits_that_targets_need_are_fetched_by_their_ids() {
    let (world, _, good) = rewritten();
    nuls(&mirror(&world).join("config"));
    for file in loose(&mirror(&world), "") {
        nuls(&file);
    }
    world.apply().code(0);
    assert_eq!(world.names(), ["a"]);
    assert_eq!(live_port(&world, "a"), json!(26));
    git_in(&mirror(&world), &["cat-file", "-e", &good]);
}

#[test]
fn deletes_are_held_where_the_host_no_longer_has_the_last_good_commit() {
    let (world, bare, _) = rewritten();
    git_in(&bare, &["gc", "-q", "--prune=now"]);
    for file in loose(&mirror(&world), "") {
        nuls(&file);
    }
    world.apply().code(3);
    assert_eq!(world.names(), ["a", "b"]);
    assert_eq!(live_port(&world, "a"), json!(26));
}

#[test]
fn a_running_daemon_recovers_from_a_damaged_mirror() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &format!("file://{}", bare.display()), "", "resync: 24h");
    let daemon = Running::start(&world, &[]);
    eventually("created", || live_port(&world, "a") == json!(1));
    for (port, damage) in [2, 3, 4].into_iter().zip([0, 6, 24]) {
        DAMAGES[damage].1(&mirror(&world));
        push_email(&world, &bare, "a", &format!("port: {port}\n"));
        eventually(DAMAGES[damage].0, || live_port(&world, "a") == json!(port));
    }
    eventually("no error is left", || daemon.status(&world)["source"]["error"].is_null());
}

#[test]
fn a_host_that_fails_leaves_the_mirror_as_it_is() {
    let mut world = World::new();
    let bare = serve(&world, "gateway.git");
    push_email(&world, &bare, "a", "port: 1\n");
    follow(&mut world, &format!("file://{}", bare.display()), "", "");
    world.apply().code(0);
    fs::write(mirror(&world).join("description"), "this very mirror").unwrap();
    push_email(&world, &bare, "a", "port: 2\n");
    // It says what it has, and cannot send it.
    let objects = loose(&bare, "");
    let aside = world.path("aside");
    fs::create_dir(&aside).unwrap();
    for (number, file) in objects.iter().enumerate() {
        fs::rename(file, aside.join(number.to_string())).unwrap();
    }
    world.plan().code(1).says("git failed to fetch");
    assert!(mirror(&world).join("description").exists());
    for (number, file) in objects.iter().enumerate() {
        fs::rename(aside.join(number.to_string()), file).unwrap();
    }
    world.apply().code(0);
    assert_eq!(live_port(&world, "a"), json!(2));
}
