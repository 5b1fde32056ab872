//! One fetch: what the server has, and only if that is news its objects.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use super::folder::{self, MirrorLock};
use super::{Checked, Inner, KEPT_REFERENCES, access};
use crate::name::CommitId;
use crate::source::git::{Git, Stop};
use crate::source::references::full_name;
use crate::source::{Repository, SourceError};

/// How many deadlines the first copy may take, which brings the whole history.
const FIRST_COPY: u32 = 5;

/// The branch that is followed, as the server has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tip {
    /// Its name without `refs/heads/`.
    pub(super) branch: String,
    pub(super) id: CommitId,
}

impl Inner {
    /// One fetch: asks for the newest commit, and only if that is news for its objects.
    pub(super) fn fetch(&self, stop: &Stop) -> Result<Tip, SourceError> {
        let _lock = self.lock(stop)?;
        let tip = self.ask(stop)?;
        let outcome = match self.update(&tip, stop) {
            Ok(()) => self.check(&tip, stop),
            // The server or the network is at fault.
            Err(error) if !error.is_interruption() && self.is_sound(stop)? => return Err(error),
            failed => failed,
        };
        match outcome {
            Ok(()) => {}
            Err(error) if error.is_interruption() => return Err(error),
            Err(error) => {
                if self.folder.exists() {
                    tracing::warn!(%error, "the mirror is damaged and is created again");
                }
                self.rebuild(&tip, stop)?;
                *self.checked() = Checked::default();
            }
        }
        Ok(tip)
    }

    /// Asks the server for the followed branch and its commit.
    fn ask(&self, stop: &Stop) -> Result<Tip, SourceError> {
        let wanted = self.branch.as_deref().map(full_name);
        // Of an annotated tag the commit is named on a line of its own.
        let peeled = wanted.as_deref().map(|name| format!("{name}^{{}}"));
        let names: Vec<&str> =
            std::iter::once("HEAD").chain(wanted.as_deref()).chain(peeled.as_deref()).collect();
        read_tip(&self.references_of_server(&names, stop)?, wanted.as_deref(), &self.shown_url())
    }

    /// The server's references, in the lines of `git ls-remote`.
    pub(super) fn references_of_server(
        &self,
        names: &[&str],
        stop: &Stop,
    ) -> Result<String, SourceError> {
        // Not in the mirror: git would stop at a damaged one.
        let nowhere = folder::beside(&self.folder, "none");
        let call = self
            .over_network(&nowhere, self.deadline)?
            .args(&["ls-remote", "--symref", "--end-of-options", &self.url])
            .args(names);
        Ok(call.succeed(stop).map_err(access::with_advice)?.stdout)
    }

    /// Brings the mirror up to date; what stands in the way and can be removed is, once.
    fn update(&self, tip: &Tip, stop: &Stop) -> Result<(), SourceError> {
        let Err(error) = self.try_to_update(tip, stop) else { return Ok(()) };
        let unlocked = folder::remove_stale_locks(&self.folder, &error, self.deadline);
        if !unlocked && !self.remove_conflicting(&tip.branch, stop).unwrap_or(false) {
            return Err(error);
        }
        self.try_to_update(tip, stop)
    }

    fn try_to_update(&self, tip: &Tip, stop: &Stop) -> Result<(), SourceError> {
        let repository = Repository::open_until(&self.folder, stop)?;
        let here = repository.head(Some(&tip.branch)).ok().map(|commit| commit.id);
        if here.as_ref() != Some(&tip.id) {
            self.transfer(&self.folder, &tip.refspec(), self.deadline, stop)?;
            self.tidy(stop);
        }
        self.follow(&self.folder, tip, stop)
    }

    /// Checks that git can read the mirror, and that the documents of the tip and of the kept
    /// commits are there: once for each tip, and again after a read that found damage.
    fn check(&self, tip: &Tip, stop: &Stop) -> Result<(), SourceError> {
        let repository = self.repository()?;
        let mut checked = self.checked();
        if repository.take_damaged() {
            *checked = Checked::default();
        } else if checked.tip.as_ref() == Some(&tip.id) {
            return Ok(());
        }
        let list = self.local("read the references of the mirror".to_owned());
        let list = list.args(&["for-each-ref", "--format=%(objectname)", KEPT_REFERENCES]);
        let kept = list.succeed(stop)?.stdout;
        let mut found = HashSet::new();
        for commit in std::iter::once(&*tip.id.0).chain(kept.lines()).collect::<BTreeSet<_>>() {
            let listing = repository.folders(&CommitId(commit.to_owned()), &[String::new()], None);
            let folders = match listing {
                Ok(listing) => listing.folders,
                Err(SourceError::TooManyFiles { .. }) => continue,
                Err(error) => return Err(error),
            };
            for file in folders.iter().flat_map(|folder| &folder.files) {
                let is_new = found.insert(file.blob) && !checked.blobs.contains(&file.blob);
                if is_new
                    && let Err(error) = repository.read(file)
                    && error.is_damage()
                {
                    return Err(error);
                }
            }
        }
        repository.take_damaged();
        *checked = Checked { tip: Some(tip.id.clone()), blobs: found };
        Ok(())
    }

    /// Whether git finds no fault with the mirror, whatever it said about the fetch.
    fn is_sound(&self, stop: &Stop) -> Result<bool, SourceError> {
        if !self.folder.is_dir() {
            return Ok(false);
        }
        let call = self.local("check the mirror".to_owned());
        // With `--connectivity-only` it takes an empty folder object for none.
        let call = call.args(&["fsck", "--no-dangling", "--no-progress"]);
        Ok(call.run(stop)?.status.success())
    }

    /// Makes the mirror beside its place and puts it there when it is whole, so that one that
    /// was interrupted is never taken for one.
    fn rebuild(&self, tip: &Tip, stop: &Stop) -> Result<(), SourceError> {
        let fresh = folder::beside(&self.folder, "new");
        folder::remove(&fresh)?;
        let init = Git::to("make the mirror", self.deadline)
            .env("GIT_DEFAULT_REF_FORMAT", "files")
            .env("GIT_DEFAULT_HASH", "sha1")
            .args(&["init", "--quiet", "--bare", "--template="])
            .arg(&fresh);
        init.succeed(stop)?;
        self.transfer(&fresh, &tip.refspec(), self.deadline * FIRST_COPY, stop)?;
        self.follow(&fresh, tip, stop)?;
        // A commit that is kept in the mirror after that would go with it.
        let _keeping = MirrorLock::to_keep(&self.folder, self.deadline, stop)?;
        for (name, id) in folder::kept_references(&self.folder, KEPT_REFERENCES) {
            if let Err(error) = self.bring_kept(&fresh, &name, &id, stop) {
                tracing::warn!(
                    commit = %id, %error,
                    "a last good commit is lost with the damaged mirror; deletes that need it are held"
                );
            }
        }
        folder::replace(&self.folder, &fresh)
    }

    /// Brings a commit that a target needs into a fresh mirror: by its id from the server, else
    /// from the damaged mirror.
    fn bring_kept(
        &self,
        fresh: &Path,
        name: &str,
        id: &CommitId,
        stop: &Stop,
    ) -> Result<(), SourceError> {
        let doing = format!("keep the commit {id}");
        if Repository::open_until(fresh, stop)?.has_commit(id)? {
            let call = Git::to(doing, self.deadline).arg("--git-dir").arg(fresh);
            return call.args(&["update-ref", name, &id.0]).succeed(stop).map(drop);
        }
        let refspec = format!("+{id}:{name}");
        let Err(error) = self.transfer(fresh, &refspec, self.deadline, stop) else { return Ok(()) };
        let from_old = Git::to(doing, self.deadline)
            .arg("--git-dir")
            .arg(fresh)
            .args(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options"])
            .arg(&self.folder)
            .arg(&refspec);
        from_old.succeed(stop).map(drop).map_err(|_| error)
    }

    /// Removes branches that cannot be beside the followed one, as `a` and `a/b` cannot; says
    /// whether there were any.
    fn remove_conflicting(&self, branch: &str, stop: &Stop) -> Result<bool, SourceError> {
        let wanted = full_name(branch);
        let list = self.local("list the branches of the mirror".to_owned());
        let list = list.args(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
        let mut removed = false;
        for name in list.succeed(stop)?.stdout.lines() {
            let (short, long) =
                if name.len() < wanted.len() { (name, &*wanted) } else { (&*wanted, name) };
            if long.strip_prefix(short).is_some_and(|rest| rest.starts_with('/')) {
                let remove = self.local(format!("remove the branch {name} from the mirror"));
                remove.args(&["update-ref", "-d", name]).succeed(stop)?;
                removed = true;
            }
        }
        Ok(removed)
    }

    pub(super) fn transfer(
        &self,
        folder: &Path,
        refspec: &str,
        deadline: Duration,
        stop: &Stop,
    ) -> Result<(), SourceError> {
        let call = self
            .over_network(folder, deadline)?
            .args(&["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            // A mirror that lost its config is taken for a checkout of the branch.
            .args(&["fetch", "--quiet", "--update-head-ok", "--no-tags", "--no-write-fetch-head"])
            .args(&["--force", "--no-recurse-submodules", "--end-of-options", &self.url, refspec]);
        call.succeed(stop).map(drop).map_err(access::with_advice)
    }

    /// Makes HEAD name the server's own branch, which is followed where the config names none.
    /// Other configs that share the mirror may follow others.
    fn follow(&self, folder: &Path, tip: &Tip, stop: &Stop) -> Result<(), SourceError> {
        if self.branch.is_some() {
            return Ok(());
        }
        let named = std::fs::read_to_string(folder.join("HEAD")).unwrap_or_default();
        let wanted = full_name(&tip.branch);
        if named.strip_prefix("ref: ").map(str::trim_end) == Some(&wanted) {
            return Ok(());
        }
        let call = Git::to("set the branch of the mirror", self.deadline).arg("--git-dir");
        call.arg(folder).args(&["symbolic-ref", "HEAD", &wanted]).succeed(stop).map(drop)
    }

    /// Packs what many fetches left, in the foreground, so that it cannot outlive its deadline.
    fn tidy(&self, stop: &Stop) {
        let call = self
            .local("tidy the mirror".to_owned())
            .args(&["-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"])
            // Another process may be about to keep what no reference names any more.
            .args(&["-c", "gc.pruneExpire=2.weeks.ago"])
            .args(&["gc", "--auto", "--quiet"]);
        if let Err(error) = call.succeed(stop) {
            tracing::debug!(%error, "the mirror was not tidied");
        }
    }
}

impl Tip {
    /// The refspec that brings it here, even where history was rewritten.
    fn refspec(&self) -> String {
        let name = full_name(&self.branch);
        format!("+{name}:{name}")
    }
}

/// Reads what the server said of HEAD and of the wanted branch.
pub(super) fn read_tip(said: &str, wanted: Option<&str>, url: &str) -> Result<Tip, SourceError> {
    let lines: Vec<_> = said.lines().filter_map(|line| line.split_once('\t')).collect();
    let id_of = |name: &str| {
        let mut lines = lines.iter().filter(|(left, _)| !left.starts_with("ref: "));
        lines.find(|(_, right)| *right == name).map(|(id, _)| CommitId((*id).to_owned()))
    };
    let mut heads = lines.iter().filter(|(_, name)| *name == "HEAD");
    let head = heads.find_map(|(left, _)| left.strip_prefix("ref: "));
    let place = url.to_owned();
    let Some(name) = wanted.or(head) else {
        let branch = "HEAD".to_owned();
        // An empty repository says nothing of its HEAD.
        return Err(if lines.is_empty() {
            SourceError::Unborn { branch, place }
        } else {
            SourceError::NoSuchBranch { branch, place }
        });
    };
    let branch = name.strip_prefix("refs/heads/").unwrap_or(name).to_owned();
    match wanted {
        Some(_) => match id_of(&format!("{name}^{{}}")).or_else(|| id_of(name)) {
            Some(id) => Ok(Tip { branch, id }),
            None => Err(SourceError::NoSuchBranch { branch, place }),
        },
        None => match id_of("HEAD") {
            Some(id) => Ok(Tip { branch, id }),
            None => Err(SourceError::Unborn { branch, place }),
        },
    }
}
