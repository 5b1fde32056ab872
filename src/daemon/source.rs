//! The source as the daemon follows it: the snapshot that is to be read now.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Location};
use crate::environment::Environment;
use crate::name::CommitId;
use crate::source::{self, Mirror, Repository, Snapshot, SourceError, Stop};

/// The source of a daemon.
#[derive(Clone, Debug)]
pub(super) struct Source {
    branch: Option<String>,
    verify: Option<source::Verify>,
    place: Place,
    worktree: bool,
    opened: Arc<std::sync::Mutex<Option<Arc<Repository>>>>,
}

#[derive(Clone, Debug)]
enum Place {
    Path(std::path::PathBuf),
    Mirror(Mirror),
}

/// The snapshot to read now, and why it may not be the newest commit.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The branch that was read.
    pub(super) branch: Option<String>,
    /// The newest commit, or the files.
    pub(super) snapshot: Snapshot,
    /// Its signature is not what the config asks for.
    pub(super) refused: Option<String>,
}

impl Source {
    /// Names the source of a config; nothing is read yet.
    ///
    /// # Errors
    /// The url may not be fetched.
    pub(super) fn new(
        config: &Config,
        worktree: bool,
        environment: &Environment,
        redactor: &crate::secret::Redactor,
    ) -> Result<Self, SourceError> {
        let branch = config.source.branch.clone();
        let place = match &config.source.location {
            Location::Path(path) => Place::Path(path.clone()),
            Location::Url(url) => Place::Mirror(Mirror::new(
                url,
                branch.as_deref(),
                &config.state_dir,
                environment,
                redactor,
            )?),
        };
        Ok(Self {
            branch,
            verify: config.source.verify.clone(),
            place,
            worktree,
            opened: Arc::default(),
        })
    }

    /// The mirror of a url.
    pub(super) fn mirror(&self) -> Option<&Mirror> {
        match &self.place {
            Place::Mirror(mirror) => Some(mirror),
            Place::Path(_) => None,
        }
    }

    /// Where the repository is on this machine.
    pub(super) fn path(&self) -> &Path {
        match &self.place {
            Place::Path(path) => path,
            Place::Mirror(mirror) => mirror.path(),
        }
    }

    /// Reads what there is now. Blocks.
    pub(super) fn look(&self) -> Result<Seen, SourceError> {
        let repository = self.repository()?;
        if self.worktree {
            let snapshot = Snapshot::Disk(repository.worktree()?);
            return Ok(Seen { branch: repository.branch()?, snapshot, refused: None });
        }
        // Without a configured branch that of the mirror's HEAD, which is the server's.
        let fetched = self.mirror().and_then(|mirror| mirror.status().branch);
        let branch = self.branch.clone().or(fetched);
        let commit = repository.head(branch.as_deref())?;
        let refused = self.verify.as_ref().and_then(|wanted| {
            let checked = source::verify(&repository, &commit.id, wanted, &Stop::default());
            checked.err().map(|error| error.to_string())
        });
        let branch = match branch {
            Some(branch) => Some(branch),
            None => repository.branch()?,
        };
        Ok(Seen { branch, snapshot: Snapshot::Commit { repository, commit }, refused })
    }

    /// An older commit, if the repository has it. Blocks.
    pub(super) fn older(&self, id: &CommitId) -> Result<Option<Snapshot>, SourceError> {
        let repository = self.repository()?;
        let commit = repository.commit(id)?;
        Ok(commit.map(|commit| Snapshot::Commit { repository, commit }))
    }

    /// The repository, kept open for what it remembers; it finds by itself what was replaced
    /// under its path.
    fn repository(&self) -> Result<Arc<Repository>, SourceError> {
        if let Some(mirror) = self.mirror() {
            return mirror.repository();
        }
        let mut opened = self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(repository) = &*opened {
            return Ok(Arc::clone(repository));
        }
        let repository = Arc::new(Repository::open(self.path())?);
        *opened = Some(Arc::clone(&repository));
        Ok(repository)
    }
}
