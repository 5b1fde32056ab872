//! What the mirror keeps for targets, wherever branches go: their last good commits.

use std::path::Path;

use super::folder::MirrorLock;
use super::{Inner, OWN_REFERENCES, digest, folder};
use crate::name::CommitId;
use crate::source::git::{Git, Stop};
use crate::source::{Repository, SourceError};

impl Inner {
    /// Takes along what the old mirror keeps for targets, as far as it can still be read.
    pub(super) fn bring_kept(&self, fresh: &Path, stop: &Stop) {
        let list = self.local("list what the mirror keeps".to_owned());
        let kept = format!("{OWN_REFERENCES}/target");
        let list = list.args(&["for-each-ref", "--format=%(refname)", &kept]).run(stop);
        for name in list.map(|output| output.stdout).unwrap_or_default().lines() {
            let bring = Git::to(format!("bring {name}"), self.deadline)
                .arg("--git-dir")
                .arg(fresh)
                .args(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"])
                .arg("--end-of-options")
                .arg(&self.folder)
                .arg(format!("{name}:{name}"));
            if let Err(error) = bring.succeed(stop) {
                tracing::warn!(%error, "a last good commit is lost with the damaged mirror");
            }
        }
    }

    /// Has a reference of the target name the commit.
    pub(super) fn keep(
        &self,
        target: &str,
        commit: CommitId,
        stop: &Stop,
    ) -> Result<CommitId, SourceError> {
        let reference = format!("{OWN_REFERENCES}/target/{}", digest(target));
        let kept = Repository::open_until(&self.folder, stop)?.resolve(&reference);
        if kept.is_ok_and(|kept| kept.id == commit) {
            return Ok(commit);
        }
        let _lock = MirrorLock::to_keep(&self.folder, self.deadline, stop)?;
        let update = || {
            let call = self.local(format!("keep the commit {commit}"));
            call.args(&["update-ref", &reference, &commit.0]).succeed(stop)
        };
        match update() {
            Err(error) if folder::remove_stale_locks(&self.folder, &error, self.deadline) => {
                update()
            }
            outcome => outcome,
        }?;
        Ok(commit)
    }
}
