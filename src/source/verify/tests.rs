//! Commits signed with real keys.

use std::fs;
use std::process::Command;

use super::*;
use crate::source::fixture::Fixture;

/// Makes an ssh key; `None` where the machine cannot.
fn key(git: &Fixture, name: &str) -> Option<(String, String)> {
    let path = git.beside(name).to_str().unwrap().to_owned();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path])
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: ssh-keygen makes no key here");
        return None;
    }
    let public = fs::read_to_string(format!("{path}.pub")).unwrap();
    Some((path, public))
}

fn sign(git: &Fixture, key: &str, message: &str) -> CommitId {
    let setting = format!("user.signingkey={key}");
    git.git(&[
        "-c",
        "gpg.format=ssh",
        "-c",
        &setting,
        "commit",
        "--quiet",
        "--allow-empty",
        "-S",
        "--message",
        message,
    ]);
    git.id("HEAD")
}

fn check(git: &Fixture, id: &CommitId, wanted: &Verify) -> Result<(), SourceError> {
    verify(&Repository::open(&git.at).unwrap(), id, wanted)
}

#[test]
fn only_allowed_ssh_signers_pass() {
    let git = Fixture::new();
    let Some((ada, public)) = key(&git, "ada") else { return };
    let Some((eve, _)) = key(&git, "eve") else { return };
    let signers = git.beside("signers");
    fs::write(&signers, format!("ada@example.com {public}")).unwrap();
    let wanted = Verify::SshAllowedSigners(signers.clone());

    let signed = sign(&git, &ada, "by ada");
    check(&git, &signed, &wanted).unwrap();
    let foreign = sign(&git, &eve, "by eve");
    let error = check(&git, &foreign, &wanted).unwrap_err();
    assert!(matches!(error, SourceError::BadSignature { .. }), "{error}");
    let unsigned = git.commit("by nobody");
    let error = check(&git, &unsigned, &wanted).unwrap_err();
    assert!(matches!(error, SourceError::Unsigned { .. }), "{error}");
    let error = check(&git, &signed, &Verify::GpgKeyring(signers.clone())).unwrap_err();
    assert!(matches!(error, SourceError::Unsigned { kind: "GPG", .. }), "{error}");

    // The repository's own configuration and replaced objects have no weight.
    git.git(&["config", "gpg.ssh.program", "true"]);
    git.git(&["config", "gpg.ssh.allowedSignersFile", "/dev/null"]);
    git.git(&["replace", &foreign.0, &signed.0]);
    check(&git, &signed, &wanted).unwrap();
    assert!(check(&git, &foreign, &wanted).is_err());
    assert!(check(&git, &signed, &Verify::SshAllowedSigners(git.beside("no"))).is_err());
}

#[test]
fn only_keys_of_the_gpg_keyring_pass() {
    let git = Fixture::new();
    let home = tempfile::Builder::new().prefix("gpg").tempdir().unwrap();
    let gpg = |args: &[&str]| {
        let mut call = Command::new("gpg");
        call.args(["--batch", "--quiet"]).args(args).env("GNUPGHOME", home.path()).output()
    };
    let made = ["ada@example.com", "eve@example.com"].map(|user| {
        gpg(&["--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never"])
    });
    if !made.iter().all(|made| made.as_ref().is_ok_and(|made| made.status.success())) {
        eprintln!("skipped: gpg makes no key here");
        return;
    }
    let sign = |user: &str| {
        let done = Command::new("git")
            .args(["-c", &format!("user.signingkey={user}")])
            .args(["commit", "--quiet", "--allow-empty", "-S", "--message", user])
            .current_dir(&git.at)
            .env("GNUPGHOME", home.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", user)])
            .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", user)])
            .status();
        assert!(done.unwrap().success());
        git.id("HEAD")
    };
    let (ada, eve) = (sign("ada@example.com"), sign("eve@example.com"));
    for format in [&["--export"][..], &["--armor", "--export"]] {
        let args = [format, &["ada@example.com"]].concat();
        let keyring = git.beside("keyring");
        fs::write(&keyring, gpg(&args).unwrap().stdout).unwrap();
        let wanted = Verify::GpgKeyring(keyring);
        check(&git, &ada, &wanted).unwrap();
        let error = check(&git, &eve, &wanted).unwrap_err();
        assert!(matches!(error, SourceError::BadSignature { .. }), "{error}");
    }
    let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", home.path()).status();
}
