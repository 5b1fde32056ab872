//! What the server has: which branch to follow, and the commit it is at.

use super::Inner;
use super::access::with_advice;
use crate::name::CommitId;
use crate::source::SourceError;
use crate::source::git::Stop;
use crate::source::references::full_name;

/// The branch that is followed as the server has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tip {
    /// Its name without `refs/heads/`.
    pub(super) branch: String,
    pub(super) id: CommitId,
}

impl Tip {
    /// What brings it here, even where history was rewritten.
    pub(super) fn refspec(&self) -> String {
        let name = full_name(&self.branch);
        format!("+{name}:{name}")
    }
}

/// Asks the server.
pub(super) fn ask(mirror: &Inner, stop: &Stop) -> Result<Tip, SourceError> {
    let wanted = mirror.branch.as_deref().map(full_name);
    let call = mirror
        .over_network(&mirror.folder, mirror.deadline)?
        .args(&["ls-remote", "--symref", "--end-of-options", &mirror.url, "HEAD"])
        .args(wanted.as_deref().as_slice());
    let said = call.succeed(stop).map_err(with_advice)?.stdout;
    read(&said, wanted.as_deref(), &mirror.shown_url())
}

fn read(said: &str, wanted: Option<&str>, url: &str) -> Result<Tip, SourceError> {
    let mut lines = said.lines().filter_map(|line| line.split_once('\t'));
    let mut pairs = lines.clone();
    let head = lines.find_map(|(left, name)| left.strip_prefix("ref: ").filter(|_| name == "HEAD"));
    let Some(name) = wanted.or(head) else {
        // An empty repository says nothing of its HEAD.
        return Err(if said.trim().is_empty() {
            SourceError::Unborn { branch: "HEAD".to_owned(), place: url.to_owned() }
        } else {
            SourceError::NoSuchBranch { branch: "HEAD".to_owned(), place: url.to_owned() }
        });
    };
    let branch = name.strip_prefix("refs/heads/").unwrap_or(name).to_owned();
    let at = if wanted.is_some() { name } else { "HEAD" };
    match pairs.find(|(left, right)| *right == at && !left.starts_with("ref: ")) {
        Some((id, _)) => Ok(Tip { branch, id: CommitId(id.to_owned()) }),
        None if wanted.is_none() => Err(SourceError::Unborn { branch, place: url.to_owned() }),
        None => Err(SourceError::NoSuchBranch { branch, place: url.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "ref: refs/heads/trunk\tHEAD\naaa\tHEAD\nbbb\trefs/heads/x/refs/heads/main\n\
                        ccc\trefs/heads/main\n";

    #[test]
    fn the_branch_is_the_wanted_one_or_the_default() {
        let tip = |branch: &str, id: &str| Tip { branch: branch.into(), id: CommitId(id.into()) };
        assert_eq!(read(SAID, None, "u").unwrap(), tip("trunk", "aaa"));
        assert_eq!(read(SAID, Some("refs/heads/main"), "u").unwrap(), tip("main", "ccc"));
        let missing = read(SAID, Some("refs/heads/no"), "u").unwrap_err();
        assert!(matches!(missing, SourceError::NoSuchBranch { .. }), "{missing}");
        assert!(matches!(read("", None, "u"), Err(SourceError::Unborn { .. })));
        assert!(matches!(read("aaa\tHEAD\n", None, "u"), Err(SourceError::NoSuchBranch { .. })));
    }
}
