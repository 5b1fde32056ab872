//! From a branch or another revision to the id of a commit.
//!
//! libgit2 answers where it can. It refuses a repository that another user owns and one with
//! reference tables; there the program `git` is asked, told which folder it is, so that it
//! neither searches nor minds the owner.

use std::time::Duration;

use git2::{ErrorCode, ObjectType, Oid, RepositoryOpenFlags};

use super::SourceError;
use super::git::{Git, Stop};
use super::layout::Layout;
use super::object_database::is_whole;

/// How long the program may take to look up one reference.
const DEADLINE: Duration = Duration::from_secs(20);

/// The references of one repository, as they are now.
pub(super) enum References<'a> {
    Library(git2::Repository, &'a Layout),
    Program(&'a Layout, &'a Stop),
}

impl<'a> References<'a> {
    pub(super) fn open(layout: &'a Layout, stop: &'a Stop) -> Self {
        let none: [&str; 0] = [];
        match git2::Repository::open_ext(&layout.git, RepositoryOpenFlags::NO_SEARCH, none) {
            Ok(repository) => Self::Library(repository, layout),
            Err(_) => Self::Program(layout, stop),
        }
    }

    /// The commit that a branch is at, or HEAD.
    pub(super) fn tip(&self, branch: Option<&str>) -> Result<Oid, SourceError> {
        let Some(branch) = branch else { return self.head() };
        let full = full_name(branch);
        match self.commit_of(&full)? {
            Some(id) => Ok(id),
            // A branch that was just made by `git init -b` or `git switch --orphan`.
            None if self.head_target()?.as_deref() == Some(&full) => Err(self.unborn(branch)),
            None => Err(SourceError::NoSuchBranch {
                branch: branch.to_owned(),
                place: self.layout().place().display().to_string(),
            }),
        }
    }

    /// The commit that a revision names, tags peeled.
    pub(super) fn resolve(&self, rev: &str) -> Result<Oid, SourceError> {
        let (name, _) = split_revision(rev);
        if self.commit_of(&format!("refs/tags/{name}"))?.is_some()
            && self.commit_of(&format!("refs/heads/{name}"))?.is_some()
        {
            warn_of_tag_and_branch(name);
        }
        let found = match self {
            Self::Library(repository, layout) => {
                let named = repository.resolve_reference_from_short_name(name).ok();
                let id =
                    named.and_then(|found| found.target()).or_else(|| Oid::from_str(name).ok());
                // A read of it says that it is damaged.
                if let Some(id) = id.filter(|id| is_whole(layout, *id).is_err()) {
                    return Ok(id);
                }
                match repository.revparse_single(rev).and_then(|o| o.peel(ObjectType::Commit)) {
                    Ok(commit) => Some(commit.id()),
                    Err(_) => None,
                }
            }
            Self::Program(..) => self.asked(rev)?,
        };
        let place = || self.layout().place().to_path_buf();
        found.ok_or_else(|| SourceError::NoSuchRevision { rev: rev.to_owned(), place: place() })
    }

    /// The branch that HEAD names; `None`: it is detached.
    pub(super) fn branch(&self) -> Result<Option<String>, SourceError> {
        let target = match self.branch_left_for_a_while() {
            Some(branch) => Some(branch),
            None => self.head_target()?,
        };
        Ok(target.map(|target| target.trim_start_matches("refs/heads/").to_owned()))
    }

    fn head(&self) -> Result<Oid, SourceError> {
        // The commit that git checks out during a rebase or a bisection is no decision.
        if let Some(branch) = self.branch_left_for_a_while()
            && let Some(id) = self.commit_of(&branch)?
        {
            return Ok(id);
        }
        if let Some(id) = self.commit_of("HEAD")? {
            return Ok(id);
        }
        match self.head_target()? {
            Some(target) => Err(self.unborn(target.strip_prefix("refs/heads/").unwrap_or(&target))),
            None => Err(SourceError::Unsupported {
                path: self.layout().place().to_path_buf(),
                detail: "its HEAD names neither a branch nor a commit".to_owned(),
            }),
        }
    }

    /// The branch that HEAD comes back to when what is under way ends.
    fn branch_left_for_a_while(&self) -> Option<String> {
        let notes = ["rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"];
        let note = |name: &&str| std::fs::read_to_string(self.layout().git.join(name)).ok();
        let named = notes.iter().find_map(note)?;
        let branch = named.trim_end();
        // HEAD may have been detached before.
        let detached = branch == "detached HEAD" || Oid::from_str(branch).is_ok();
        (!detached && !branch.is_empty()).then(|| full_name(branch))
    }

    fn commit_of(&self, name: &str) -> Result<Option<Oid>, SourceError> {
        match self {
            Self::Library(repository, layout) => match repository.refname_to_id(name) {
                Ok(id) => {
                    // A read of it says that it is damaged.
                    let tag = is_whole(layout, id).and_then(|()| repository.find_tag(id));
                    let tagged = tag.and_then(|tag| tag.as_object().peel_to_commit());
                    Ok(Some(tagged.map_or(id, |commit| commit.id())))
                }
                Err(error) if is_absence(&error) => Ok(None),
                Err(error) => Err(fault(layout, name, &error)),
            },
            Self::Program(..) => self.asked(name),
        }
    }

    /// The branch that HEAD names; `None` where it names a commit.
    fn head_target(&self) -> Result<Option<String>, SourceError> {
        match self {
            Self::Library(repository, layout) => {
                let head =
                    repository.find_reference("HEAD").map_err(|e| fault(layout, "HEAD", &e))?;
                let target = head.symbolic_target().map_err(|e| fault(layout, "HEAD", &e))?;
                Ok(target.map(str::to_owned))
            }
            Self::Program(layout, stop) => {
                let call = program(layout).args(&["symbolic-ref", "--quiet", "HEAD"]);
                let output = call.run(stop)?;
                Ok(output.status.success().then(|| output.stdout.trim().to_owned()))
            }
        }
    }

    fn asked(&self, rev: &str) -> Result<Option<Oid>, SourceError> {
        let Self::Program(layout, stop) = self else { return Ok(None) };
        let call = program(layout)
            .args(&["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{rev}^{{commit}}"));
        let output = call.run(stop)?;
        let said = output.stdout.trim();
        if !output.status.success() || said.is_empty() {
            // Silence is git's way to say that there is no such thing; words are another matter.
            return match output.said {
                silence if silence.is_empty() => Ok(None),
                detail => {
                    Err(SourceError::Unsupported { path: layout.place().to_path_buf(), detail })
                }
            };
        }
        Oid::from_str(said).map(Some).map_err(|_| SourceError::Unsupported {
            path: layout.place().to_path_buf(),
            detail: "its objects are named by SHA-256; only SHA-1 repositories are read".to_owned(),
        })
    }

    fn unborn(&self, branch: &str) -> SourceError {
        SourceError::Unborn {
            branch: branch.to_owned(),
            place: self.layout().place().display().to_string(),
        }
    }

    fn layout(&self) -> &Layout {
        match self {
            Self::Library(_, layout) | Self::Program(layout, _) => layout,
        }
    }
}

/// The whole name of a branch, however the config spells it.
pub(super) fn full_name(branch: &str) -> String {
    if branch.starts_with("refs/") { branch.to_owned() } else { format!("refs/heads/{branch}") }
}

/// Splits `main~2` into the name and the steps from it.
pub(super) fn split_revision(rev: &str) -> (&str, &str) {
    let steps = [rev.find(['~', '^', ':']), rev.find("@{")].into_iter().flatten().min();
    rev.split_at(steps.unwrap_or(rev.len()))
}

pub(super) fn warn_of_tag_and_branch(name: &str) {
    tracing::warn!(
        "`{name}` is a tag and a branch: the tag is read; write refs/heads/{name} for the branch"
    );
}

fn program(layout: &Layout) -> Git {
    let doing = format!("read the references of {}", layout.place().display());
    Git::to(doing, DEADLINE).arg("--git-dir").arg(&layout.git)
}

fn is_absence(error: &git2::Error) -> bool {
    matches!(error.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch | ErrorCode::InvalidSpec)
}

fn fault(layout: &Layout, name: &str, error: &git2::Error) -> SourceError {
    SourceError::Git {
        doing: format!("read the reference {name}"),
        place: layout.place().to_path_buf(),
        detail: error.message().to_owned(),
    }
}
