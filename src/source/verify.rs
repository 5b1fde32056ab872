//! Whether a commit is signed by one of those who may sign.
//!
//! `git verify-commit` decides. What the repository's own configuration says about the programs
//! to use is overruled, since who can push a commit may be able to write that too.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use tokio_util::sync::CancellationToken;

use super::git::Git;
use super::{Repository, SourceError};
use crate::name::CommitId;

/// How long one verification may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// How commits are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// A file as ssh's `gpg.ssh.allowedSignersFile` takes it.
    SshAllowedSigners(PathBuf),
    /// A GPG keyring.
    GpgKeyring(PathBuf),
}

/// Checks that a commit carries a signature that is accepted.
///
/// # Errors
/// It carries none, one of another kind, or one by somebody else; or git cannot be asked.
pub(crate) fn verify(
    repository: &Repository,
    commit: &CommitId,
    wanted: &Verify,
) -> Result<(), SourceError> {
    let (kind, opening) = match wanted {
        Verify::SshAllowedSigners(_) => ("SSH", "-----BEGIN SSH SIGNATURE-----"),
        Verify::GpgKeyring(_) => ("GPG", "-----BEGIN PGP "),
    };
    let signature = repository.header(commit, "gpgsig")?.unwrap_or_default();
    // git accepts any kind that it finds, with keys from wherever that kind has them.
    if !signature.trim_ascii_start().starts_with(opening.as_bytes()) {
        return Err(SourceError::Unsigned { commit: commit.clone(), kind });
    }
    let call = Git::to(format!("verify the commit {commit}"), DEADLINE)
        .arg("--git-dir")
        .arg(repository.git_folder())
        .args(&["-c", "gpg.program=gpg", "-c", "gpg.openpgp.program=gpg"])
        .args(&["-c", "gpg.ssh.program=ssh-keygen", "-c", "gpg.x509.program=gpgsm"]);
    // Lives as long as the call.
    let home;
    let call = match wanted {
        Verify::SshAllowedSigners(file) => {
            let mut setting = std::ffi::OsString::from("gpg.ssh.allowedSignersFile=");
            setting.push(absolute(file)?);
            call.args(&["-c", "gpg.format=ssh", "-c"]).arg(setting)
        }
        Verify::GpgKeyring(keyring) => {
            let keyring = absolute(keyring)?;
            let folder = if keyring.is_dir() {
                keyring
            } else {
                home = keyring_home(&keyring)?;
                home.path().to_path_buf()
            };
            call.env("GNUPGHOME", folder)
        }
    };
    let call = call.args(&["verify-commit", "--end-of-options", &commit.0]);
    let output = call.run(&CancellationToken::new())?;
    if output.status.success() {
        return Ok(());
    }
    Err(SourceError::BadSignature { commit: commit.clone(), said: output.said })
}

fn absolute(path: &Path) -> Result<PathBuf, SourceError> {
    fs::canonicalize(path).map_err(|e| SourceError::io("read the signers in", path, e))
}

/// Makes a home for gpg that holds this keyring alone: a commit has to be signed by a key in it.
fn keyring_home(keyring: &Path) -> Result<tempfile::TempDir, SourceError> {
    let read = fs::read(keyring).map_err(|e| SourceError::io("read the keyring", keyring, e))?;
    let keys = dearmoured(&read).unwrap_or(read);
    let fault = |e| SourceError::io("make a folder for", keyring, e);
    let home = tempfile::tempdir().map_err(fault)?;
    fs::write(home.path().join("signers.gpg"), keys).map_err(fault)?;
    let options = "no-default-keyring\nkeyring signers.gpg\ntrust-model always\n\
                   no-auto-key-retrieve\nno-auto-check-trustdb\nlock-never\n";
    fs::write(home.path().join("gpg.conf"), options).map_err(fault)?;
    Ok(home)
}

/// The keys of an armoured export, which gpg does not take as a keyring.
fn dearmoured(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once("-----BEGIN PGP PUBLIC KEY BLOCK-----")?;
    let (body, _) = rest.split_once("-----END PGP PUBLIC KEY BLOCK-----")?;
    let lines = body.lines().map(str::trim).skip(1);
    // Headers end with an empty line, the keys with their checksum.
    let lines = lines.skip_while(|line| !line.is_empty()).filter(|line| !line.is_empty());
    let encoded: String = lines.take_while(|line| !line.starts_with('=')).collect();
    STANDARD.decode(encoded).ok()
}

#[cfg(test)]
mod tests;
