//! `source.verify`: what is not signed by those who may sign is refused like an invalid commit.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::git_servers::{key, skipped};
use crate::running::{Running, eventually};
use crate::world::World;

/// Signs commits as somebody, or not.
type Signer = Vec<(String, String)>;

/// A world that wants signatures; `Some` if the machine can make them.
struct Signed {
    world: World,
    right: Signer,
    wrong: Signer,
    // Of gpg; its socket wants a short path.
    _home: tempfile::TempDir,
}

impl Signed {
    fn by_ssh() -> Option<Self> {
        let mut world = World::new();
        let signer = |name: &str| {
            let at = world.path(name);
            key(&at)?;
            Some(vec![
                ("gpg.format".to_owned(), "ssh".to_owned()),
                ("user.signingKey".to_owned(), at.display().to_string()),
            ])
        };
        let (right, wrong) = (signer("right")?, signer("wrong")?);
        let public = fs::read_to_string(world.path("right.pub")).unwrap();
        fs::write(world.path("signers"), format!("ada@example.com {public}")).unwrap();
        configure(&mut world, "ssh_allowed_signers");
        Some(Self { world, right, wrong, _home: tempfile::tempdir().unwrap() })
    }

    fn by_gpg() -> Option<Self> {
        let mut world = World::new();
        let home = tempfile::Builder::new().prefix("gpg").tempdir().unwrap();
        let gpg = |arguments: &[&str]| {
            let mut call = Command::new("gpg");
            call.args(["--batch", "--quiet"]).args(arguments).env("GNUPGHOME", home.path());
            call.output().ok().filter(|output| output.status.success())
        };
        for user in ["right@example.com", "wrong@example.com"] {
            let new =
                ["--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never"];
            if gpg(&new).is_none() {
                skipped("gpg makes no key here");
                return None;
            }
        }
        let exported = gpg(&["--armor", "--export", "right@example.com"]).unwrap().stdout;
        fs::write(world.path("signers"), exported).unwrap();
        configure(&mut world, "gpg_keyring");
        // git has no setting for gpg's home, but one for the program.
        let program = world.path("gpg-at-home");
        let script = format!("#!/bin/sh\nGNUPGHOME='{}' exec gpg \"$@\"\n", home.path().display());
        fs::write(&program, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        let signer = |user: &str| {
            vec![
                ("gpg.program".to_owned(), program.display().to_string()),
                ("user.signingKey".to_owned(), user.to_owned()),
            ]
        };
        let (right, wrong) = (signer("right@example.com"), signer("wrong@example.com"));
        Some(Self { world, right, wrong, _home: home })
    }

    /// Commits what there is, signed by somebody.
    fn commit(&self, signer: &Signer, message: &str) {
        self.world.git(&["add", "-A"]);
        let settings: Vec<String> = signer.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let mut arguments: Vec<&str> = settings.iter().flat_map(|s| ["-c", s.as_str()]).collect();
        arguments.extend(["commit", "-q", "--allow-empty", "-m", message]);
        if !signer.is_empty() {
            arguments.push("-S");
        }
        self.world.git(&arguments);
    }

    fn commit_port(&self, signer: &Signer, port: u16) {
        self.world.write_email("a", &format!("port: {port}\n"));
        self.commit(signer, "another port");
    }

    fn port(&self) -> Value {
        let is_live = self.world.names().contains(&"a".to_owned());
        if is_live { self.world.live("a")["port"].clone() } else { Value::Null }
    }

    /// The checks for every kind of signature.
    fn holds(&self, unsigned: &str) {
        let world = &self.world;
        self.commit_port(&Signer::new(), 1);
        world.plan().code(1).says(unsigned);
        world.apply().code(1).says(unsigned);
        world.run(&["run", "--once"]).code(1).says(unsigned);
        self.commit_port(&self.wrong, 2);
        world.plan().code(1).says("is not accepted");
        world.apply().code(1).says("is not accepted");
        world.run(&["plan", "--rev", "HEAD~1"]).code(1).says(unsigned);
        assert!(world.names().is_empty() && world.state().is_empty());
        world.run(&["history"]).code(0).says("default: the commit is refused: ").says("(apply, ");
        self.commit_port(&self.right, 3);
        world.plan().code(2);
        world.apply().code(0);
        assert_eq!(self.port(), json!(3));

        let daemon = Running::start(world, &[]);
        let is = |state: &str| daemon.status(world)["targets"][0]["state"] == json!(state);
        eventually("in sync", || is("in_sync"));
        for (signer, port) in [(&Signer::new(), 4), (&self.wrong, 5)] {
            self.commit_port(signer, port);
            eventually("refused", || is("refused"));
            world.edit("a", "port", json!(9));
            eventually("drift from the last good commit", || self.port() == json!(3));
        }
        world.remove("connections/a.yaml");
        self.commit(&Signer::new(), "Remove all\n\nAllow-Deletes: true");
        let log = world.git(&["log", "-1", "--format=%H"]);
        eventually("seen", || daemon.status(world)["source"]["commit"] == json!(log.trim()));
        self.commit_port(&self.right, 6);
        eventually("a commit that is signed", || self.port() == json!(6));
        eventually("in sync again", || is("in_sync"));
    }
}

fn configure(world: &mut World, kind: &str) {
    let signers = world.path("signers");
    let source = format!("path: '{{repo}}', verify: {{{kind}: '{}'}}", signers.display());
    world.source(&source, "resync: 1s\nmax_deletes: 1");
}

#[test]
fn only_commits_that_are_signed_by_allowed_ssh_keys_are_applied() {
    let Some(signed) = Signed::by_ssh() else { return };
    signed.holds("has no SSH signature");
}

#[test]
fn only_commits_that_are_signed_by_keys_of_the_gpg_keyring_are_applied() {
    let Some(signed) = Signed::by_gpg() else { return };
    signed.holds("has no GPG signature");
}

#[test]
fn an_unsigned_commit_on_the_way_consents_to_nothing() {
    let Some(signed) = Signed::by_ssh() else { return };
    let world = &signed.world;
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.write_email(name, "");
    }
    signed.commit(&signed.right, "six");
    world.apply().code(0);
    for name in ["a", "b"] {
        world.remove(&format!("connections/{name}.yaml"));
    }
    signed.commit(&Signer::new(), "Remove two\n\nAllow-Deletes: true");
    signed.commit(&signed.right, "something else");
    world.apply().code(3);
    assert_eq!(world.names().len(), 6);
    signed.commit(&signed.right, "Yes, remove them\n\nAllow-Deletes: true");
    world.apply().code(0);
    assert_eq!(world.names().len(), 4);
}

#[test]
fn signers_that_cannot_be_read_refuse_everything() {
    let Some(signed) = Signed::by_ssh() else { return };
    signed.commit_port(&signed.right, 1);
    fs::remove_file(signed.world.path("signers")).unwrap();
    signed.world.apply().code(1).says("cannot read the signers in");
    assert!(signed.world.names().is_empty());
}

#[test]
fn a_working_tree_is_planned_and_not_applied() {
    let mut world = World::new();
    fs::write(world.path("signers"), "").unwrap();
    configure(&mut world, "ssh_allowed_signers");
    world.write_email("a", "");
    world.commit("unsigned");
    let file = world.path("plan.json").display().to_string();
    let why = "only signed commits are applied";
    for output in ["text", "json", "markdown"] {
        let plan = ["plan", "--worktree", "--out", &file, "--output", output];
        world.run(&plan).code(2).says(why);
    }
    for command in [
        &["apply", "--yes", "--worktree"][..],
        &["apply", "--yes", &file],
        &["run", "--once", "--worktree"],
        &["run", "--worktree"],
    ] {
        world.run(command).code(1).says(why);
    }
    world.run(&["run", "--once", "--dry-run", "--worktree"]).code(2);
    assert!(world.names().is_empty() && world.state().is_empty());
}
