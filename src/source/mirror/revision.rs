//! Revisions that are named by `--rev` and `--base`.

use super::{Inner, OWN_REFERENCES, digest};
use crate::name::CommitId;
use crate::source::SourceError;
use crate::source::git::Stop;
use crate::source::references::{full_name, split_revision, warn_of_tag_and_branch};

impl Inner {
    /// Brings a revision here: the commit of an id, or what a branch, a tag or HEAD leads to by
    /// steps like `~1`. HEAD is the followed branch.
    pub(super) fn revision(&self, rev: &str, stop: &Stop) -> Result<CommitId, SourceError> {
        let _lock = self.lock(stop)?;
        let repository = self.repository()?;
        if let Some(commit) = repository.commit(&CommitId(rev.to_owned()))? {
            return Ok(commit.id);
        }
        let absent = |place| SourceError::NoSuchRevision { rev: rev.to_owned(), place };
        let (name, steps) = split_revision(rev);
        let is_head = matches!(name, "HEAD" | "@");
        let name = match &self.branch {
            Some(branch) if is_head => full_name(branch),
            _ => name.to_owned(),
        };
        let is_id = name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let on_server = if is_head && self.branch.is_none() {
            None
        } else {
            self.find_on_server(&name, stop)?
                .or_else(|| (is_id && name.len() == 40).then(|| name.clone()))
        };
        let local = match on_server {
            Some(found) => {
                let own = format!("{OWN_REFERENCES}/revision/{}", digest(&name));
                let fetched =
                    self.transfer(&self.folder, &format!("+{found}:{own}"), self.deadline, stop);
                fetched.map_err(|error| if is_id { absent(self.folder.clone()) } else { error })?;
                own
            }
            // The mirror may have another name that is gone from the server.
            None if is_head || is_id => name,
            None => return Err(absent(self.folder.clone())),
        };
        let resolved = repository.resolve(&format!("{local}{steps}"));
        resolved.map(|commit| commit.id).map_err(|error| match error {
            SourceError::NoSuchRevision { place, .. } => absent(place),
            error => error,
        })
    }

    /// The whole name of a reference of the server, by git's rules: of a tag and a branch of one
    /// name it is the tag.
    fn find_on_server(&self, name: &str, stop: &Stop) -> Result<Option<String>, SourceError> {
        let [other, tag, branch] =
            [format!("refs/{name}"), format!("refs/tags/{name}"), full_name(name)];
        if !git2::Reference::is_valid_name(&other) {
            return Ok(None);
        }
        let said = self.references_of_server(&[&other, &tag, &branch], stop)?;
        let is_there = |name: &String| {
            said.lines().any(|line| line.split_once('\t').is_some_and(|(_, found)| found == *name))
        };
        if is_there(&tag) && is_there(&branch) {
            warn_of_tag_and_branch(name);
        }
        Ok([other, tag, branch].into_iter().find(is_there))
    }
}
