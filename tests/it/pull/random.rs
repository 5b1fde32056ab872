//! Random drift in random documents: the files say all else that they said, byte for byte.
//!
//! `PULL_CASES=N` draws more of them, `PULL_SEED=S` begins with another one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::drawn::{Drawn, Piece, drift};
use super::text;
use crate::model::Random;
use crate::world::{CANARY, World, number_of};

const CASES: u64 = 10;
const USER: &str = "the-user-of-the-environment";

struct File {
    path: &'static str,
    pieces: Vec<Piece>,
}

/// Draws the files of a repository; with them the fields that share their text.
fn draw(random: &mut Random) -> (Vec<File>, BTreeSet<(String, &'static str)>) {
    let mut files = Vec::new();
    let mut shared = BTreeSet::new();
    let emails = ["plain", "patched"];
    for (path, part) in [("base/a.yaml", 0), ("base/b.yml", 1), ("overlay/x.yaml", 2)] {
        let is_crlf = random.one_in(3);
        let has_mark = random.one_in(4);
        let mut drawn = Drawn::new(random);
        match part {
            0 => {
                for name in emails {
                    drawn.email(name, false);
                    drawn.separator();
                }
                drawn.email_in_brackets("brackets");
            }
            1 => {
                drawn.elasticsearch("search");
                drawn.separator();
                drawn.kafka("topic");
            }
            _ => drawn.email("patched", true),
        }
        shared.extend(drawn.shared);
        let mut pieces = drawn.pieces;
        if has_mark {
            pieces.insert(0, Piece::Fixed("\u{feff}".to_owned()));
        }
        if is_crlf {
            for piece in &mut pieces {
                let (Piece::Fixed(text) | Piece::Value { text, .. }) = piece;
                *text = text.replace('\n', "\r\n");
            }
        }
        files.push(File { path, pieces });
    }
    (files, shared)
}

impl File {
    fn text(&self) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Fixed(text) | Piece::Value { text, .. } => text.clone(),
        };
        self.pieces.iter().map(text).collect()
    }

    /// Asserts that a text is this file's with other values in the fields that moved, and that it
    /// has all its comments.
    fn assert_says_all_else(&self, after: &str, moved: &dyn Fn(&str, &str) -> bool) {
        let mut runs = vec![String::new()];
        for piece in &self.pieces {
            match piece {
                Piece::Value { name, path, .. } if moved(name, path) => runs.push(String::new()),
                Piece::Fixed(text) | Piece::Value { text, .. } => {
                    runs.last_mut().unwrap().push_str(text);
                }
            }
        }
        let mut rest = after;
        let last = runs.len() - 1;
        for (index, run) in runs.iter().enumerate() {
            let at = match index {
                0 => Some(0).filter(|_| rest.starts_with(run)),
                _ if index == last => {
                    rest.len().checked_sub(run.len()).filter(|_| rest.ends_with(run))
                }
                _ => rest.find(run.as_str()),
            };
            let at = at.unwrap_or_else(|| panic!("{run:?} is not in {rest:?}\nof {}", self.text()));
            rest = &rest[at + run.len()..];
        }
        for piece in &self.pieces {
            // An item that is removed takes the comment on its line along.
            let stays = !matches!(piece, Piece::Value { path: "/elasticHostList", .. });
            let (Piece::Fixed(text) | Piece::Value { text, .. }) = piece;
            for comment in text.split("# ").skip(1).filter(|_| stays) {
                let comment = format!("# {}.", comment.split('.').next().unwrap());
                assert!(after.contains(&comment), "{comment:?} is not in {after}");
            }
        }
    }
}

/// The fields in which live moved, by the plan of the working tree.
fn drifted(world: &World) -> BTreeSet<(String, String)> {
    let plan = world.plan_json(&["--worktree"]);
    assert_eq!(plan["errors"], json!([]), "{plan:#}");
    let changes = plan["changes"].as_array().unwrap().iter();
    let fields = changes.flat_map(|change| {
        let name = change["name"].as_str().unwrap();
        let fields = change["fields"].as_array().unwrap().iter();
        fields.map(move |field| (name.to_owned(), field["path"].as_str().unwrap().to_owned()))
    });
    fields.collect()
}

/// Moves some fields in live; gives those into which a secret was planted.
fn move_live(random: &mut Random, world: &World, files: &[File]) -> BTreeSet<(String, String)> {
    let mut planted = BTreeSet::new();
    for piece in files.iter().flat_map(|file| &file.pieces) {
        let Piece::Value { name, path, .. } = piece else { continue };
        if !random.one_in(2) {
            continue;
        }
        let field = &path[1..];
        let live = world.live(name)[field].clone();
        let is_text = live.is_string() && *path != "/host";
        if is_text && random.one_in(8) {
            let secret = random.of(&[CANARY, USER]);
            world.edit(name, field, json!(format!("see {secret}")));
            planted.insert((name.clone(), (*path).to_owned()));
        } else {
            world.edit(name, field, drift(random, path, &live));
            planted.remove(&(name.clone(), (*path).to_owned()));
        }
    }
    planted
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let (files, shared) = draw(&mut random);
    let mut world = World::new();
    world.target("paths: [base, overlay]");
    world.env.insert("SMTP_USER".to_owned(), USER.to_owned());
    for file in &files {
        world.write(file.path, &file.text());
    }
    world.commit("random documents");
    world.apply().code(0);
    let planted = move_live(&mut random, &world, &files);
    let before = drifted(&world);
    world.forget_calls();
    let ran = world.run(&["pull", "--output", "json"]);
    assert!(matches!(ran.code, 0 | 2), "{ran:?}");
    assert_eq!(world.writes(), [""; 0]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let left: BTreeSet<(String, String)> = told["not_written"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let field = (
                one["name"].as_str().unwrap().to_owned(),
                format!("/{}", one["field"].as_str().unwrap()),
            );
            let reason = one["reason"].as_str().unwrap();
            let is_shared =
                shared.iter().any(|(name, path)| (name, *path) == (&field.0, &*field.1));
            let is_right = if planted.contains(&field) {
                reason.contains("a secret or a value of the environment")
                    || reason.contains("reference")
            } else if reason.contains("cannot be changed alone") {
                is_shared
            } else {
                reason.contains("would be refused")
                    || reason.contains("reference to the environment")
            };
            assert!(is_right, "{field:?}: {reason}");
            field
        })
        .collect();
    let after = drifted(&world);
    assert_eq!(after, left.intersection(&before).cloned().collect(), "{told:#}");
    for file in &files {
        let text = text(&world, file.path);
        assert!(!text.contains(CANARY) && !text.contains(USER), "{text}");
        let overlaid = |name: &str, path: &str| {
            let is_there = |piece: &Piece| matches!(piece, Piece::Value { name: n, path: p, .. } if n == name && *p == path);
            !file.path.starts_with("overlay") && files[2].pieces.iter().any(is_there)
        };
        file.assert_says_all_else(&text, &|name, path| {
            let field = (name.to_owned(), path.to_owned());
            before.contains(&field) && !left.contains(&field) && !overlaid(name, path)
        });
    }
}

#[test]
fn random_drift_changes_the_values_that_moved_and_nothing_else() {
    let first = number_of("PULL_SEED").unwrap_or(0);
    for seed in first..first + number_of("PULL_CASES").unwrap_or(CASES) {
        let result = std::panic::catch_unwind(|| check(seed));
        result.unwrap_or_else(|_| panic!("PULL_SEED={seed} PULL_CASES=1 fails"));
    }
}
