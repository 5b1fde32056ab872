//! One fetch: it asks the server for its references, and for objects only if a reference is new. Also the
//! credentials of git, and the URLs that they are sent to.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Checked, Inner, KEPT_REFERENCES};
use super::{MirrorLock, TO_KEEP, beside, kept_references, remove_folder, replace_folder};
use crate::environment::{Environment, Unset};
use crate::name::CommitId;
use crate::secret::{Redactor, Sensitive};
use crate::source::git::Git;
use crate::source::object_database::full_name;
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
    pub(super) fn fetch(&self, stop: &CancellationToken) -> Result<Tip, SourceError> {
        let _lock = self.lock(stop)?;
        let tip = self.ask(stop)?;
        let outcome = match self.update(&tip, stop) {
            Ok(()) => self.check(&tip, stop),
            // The server or the network is at fault.
            Err(error)
                if !error.is_interruption()
                    && !is_about_references(&error)
                    && self.is_sound(stop)? =>
            {
                return Err(error);
            }
            failed => failed,
        };
        match outcome {
            Ok(()) => {}
            Err(error) if error.is_interruption() => return Err(error),
            Err(error) => {
                if self.folder.exists() {
                    tracing::warn!(%error, "the mirror cannot be used and is created again");
                }
                self.rebuild(&tip, stop)?;
                *self.checked.lock() = Checked::default();
            }
        }
        Ok(tip)
    }

    /// Asks the server for the followed branch and its commit.
    fn ask(&self, stop: &CancellationToken) -> Result<Tip, SourceError> {
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
        stop: &CancellationToken,
    ) -> Result<String, SourceError> {
        // Not in the mirror: git would stop at a damaged one.
        let nowhere = beside(&self.folder, "none");
        let call = self
            .over_network(&nowhere, self.deadline)?
            .args(&["ls-remote", "--symref", "--end-of-options", &self.url])
            .args(names);
        Ok(call.succeed(stop).map_err(with_advice)?.stdout)
    }

    /// Brings the mirror up to date.
    fn update(&self, tip: &Tip, stop: &CancellationToken) -> Result<(), SourceError> {
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
    fn check(&self, tip: &Tip, stop: &CancellationToken) -> Result<(), SourceError> {
        let repository = self.repository()?;
        let mut checked = self.checked.lock();
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
    fn is_sound(&self, stop: &CancellationToken) -> Result<bool, SourceError> {
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
    fn rebuild(&self, tip: &Tip, stop: &CancellationToken) -> Result<(), SourceError> {
        let fresh = beside(&self.folder, "new");
        remove_folder(&fresh)?;
        let init = Git::to("make the mirror", self.deadline)
            .env("GIT_DEFAULT_REF_FORMAT", "files")
            .env("GIT_DEFAULT_HASH", "sha1")
            .args(&["init", "--quiet", "--bare", "--template="])
            .arg(&fresh);
        init.succeed(stop)?;
        self.transfer(&fresh, &tip.refspec(), self.deadline * FIRST_COPY, stop)?;
        self.follow(&fresh, tip, stop)?;
        // A commit that is kept in the mirror after that would go with it.
        let _keeping = MirrorLock::take(&self.folder, TO_KEEP, self.deadline, stop)?;
        for (name, id) in kept_references(&self.folder) {
            if let Err(error) = self.bring_kept(&fresh, &name, &id, stop) {
                tracing::warn!(
                    commit = %id, %error,
                    "a last good commit is lost with the damaged mirror; deletes that need it are held"
                );
            }
        }
        replace_folder(&self.folder, &fresh)
    }

    /// Brings a commit that a target needs into a fresh mirror: by its id from the server, else
    /// from the damaged mirror.
    fn bring_kept(
        &self,
        fresh: &Path,
        name: &str,
        id: &CommitId,
        stop: &CancellationToken,
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

    pub(super) fn transfer(
        &self,
        folder: &Path,
        refspec: &str,
        deadline: Duration,
        stop: &CancellationToken,
    ) -> Result<(), SourceError> {
        let call = self
            .over_network(folder, deadline)?
            .args(&["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            // A mirror that lost its config is taken for a checkout of the branch.
            .args(&["fetch", "--quiet", "--update-head-ok", "--no-tags", "--no-write-fetch-head"])
            .args(&["--force", "--no-recurse-submodules", "--end-of-options", &self.url, refspec]);
        call.succeed(stop).map(drop).map_err(with_advice)
    }

    /// Makes HEAD name the server's own branch, which is followed where the config names none.
    /// Other configs that share the mirror may follow others.
    fn follow(
        &self,
        folder: &Path,
        tip: &Tip,
        stop: &CancellationToken,
    ) -> Result<(), SourceError> {
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

    /// Packs the objects of many fetches, in the foreground, so that it cannot outlive its deadline.
    fn tidy(&self, stop: &CancellationToken) {
        let call = self
            .local("tidy the mirror".to_owned())
            .args(&["-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"])
            // Another process may be about to keep an object that no reference names any more.
            .args(&["-c", "gc.pruneExpire=2.weeks.ago"])
            .args(&["gc", "--auto", "--quiet"]);
        if let Err(error) = call.succeed(stop) {
            tracing::debug!(%error, "the mirror was not tidied");
        }
    }
}

/// Whether references of the mirror are in the way: a lock that a killed child left, or a branch that cannot be
/// beside the followed one, as `a` and `a/b` cannot.
fn is_about_references(error: &SourceError) -> bool {
    let words = ["Unable to create '", "cannot lock ref", "local refs could not be updated"];
    let SourceError::Failed { said, .. } = error else { return false };
    // The words of the server are not about the mirror.
    let mut own = said.lines().filter(|line| !line.starts_with("remote:"));
    own.any(|line| words.iter().any(|word| line.contains(word)))
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

/// The variable that holds the token or password, here and in the environment of git.
const TOKEN: &str = "APINIZER_GITOPS_GIT_TOKEN";

/// The variable that holds the user name, here and in the environment of git.
const USERNAME: &str = "APINIZER_GITOPS_GIT_USERNAME";

/// The user name that a token goes with where none is given; git hosts look at the token alone.
const ANY_USER: &str = "git";

/// Answers git from its environment.
const HELPER: &str = "!f() { if test \"$1\" = get; then printf 'username=%s\\npassword=%s\\n' \
                      \"$APINIZER_GITOPS_GIT_USERNAME\" \"$APINIZER_GITOPS_GIT_TOKEN\"; fi; }; f";

/// How git proves who it is.
#[derive(Clone, Debug)]
pub(super) enum GitAccess {
    /// As the user's git does: credential helpers, ssh keys, nothing.
    AsConfigured,
    /// By a token or a password, over http and https.
    Password {
        /// The user.
        username: String,
        /// The token or password.
        password: Sensitive,
    },
}

impl GitAccess {
    /// The environment as it is now: a token that is mounted as a file may have been rotated.
    /// The token, in each form in which it is sent, is replaced in the words of git from now on.
    pub(super) fn now(environment: &Environment, redactor: &Redactor) -> Result<Self, SourceError> {
        let password = match environment.lookup(TOKEN) {
            Ok(password) => password,
            Err(Unset::Missing(_)) => return Ok(Self::AsConfigured),
            Err(problem @ Unset::File { .. }) => return Err(SourceError::Token(problem)),
        };
        redactor.learn_next("git token", password.expose());
        let username = environment.plain(USERNAME).unwrap_or(ANY_USER).to_owned();
        redactor.learn_next("git token as sent", &encoded(&username, &password));
        Ok(Self::Password { username, password })
    }

    /// Adds the credentials to a call: the values in the environment, on the command line only
    /// the names of their variables, and for that server only. The user's own helpers are left
    /// out: git would hand them the token to store.
    pub(super) fn give(&self, call: Git, url: &str) -> Git {
        let (Self::Password { username, password }, Some(origin)) = (self, http_origin(url)) else {
            return call;
        };
        call.env(USERNAME, username)
            .secret_env(TOKEN, password)
            .args(&["-c", &format!("credential.{origin}.helper=")])
            .args(&["-c", &format!("credential.{origin}.helper={HELPER}")])
            // git would send a password, and a header too, on to wherever it is redirected.
            .args(&["-c", "http.followRedirects=false"])
            // Saves the answer 401 at every poll; git before 2.46 does not know it.
            .args(&["-c", "http.proactiveAuth=basic"])
    }
}

/// The form in which it is sent.
fn encoded(username: &str, password: &Sensitive) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("{username}:{}", password.expose()))
}

const HOLDS_PASSWORD: &str = "it holds a password; use a credential helper of git, or an ssh key";

/// The problem with the URL of a repository: it carries a secret, or makes git run a
/// program of its choice; `None`: nothing.
pub(crate) fn problem_with_url(url: &str) -> Option<&'static str> {
    if url.trim().is_empty() {
        return Some("it is empty");
    }
    if url.starts_with('-') {
        return Some("it begins with `-`, which git would take for an option");
    }
    if url.chars().any(char::is_control) {
        return Some("it holds a control character");
    }
    let helper = url.split_once("::").map(|(helper, _)| helper);
    if helper.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')) {
        return Some("it names a remote helper, which may run any command");
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        // `user@host:path`, in which a password never belongs either.
        let user = url.split_once('@').map_or("", |(user, _)| user);
        return (user.contains(':') && !user.contains('/')).then_some(HOLDS_PASSWORD);
    };
    if scheme.to_ascii_lowercase().starts_with("http") && rest.contains('?') {
        return Some("it holds a query, which may be a token; use a credential helper of git");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, _) = authority.rsplit_once('@')?;
    // ssh needs a user in its URL; a password never belongs there.
    if user.contains(':') {
        Some(HOLDS_PASSWORD)
    } else if scheme.to_ascii_lowercase().starts_with("http") {
        Some("it holds a user, which may be a token; use a credential helper of git")
    } else {
        None
    }
}

/// Scheme, host and port of an http or https URL.
fn http_origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let host = rest.split(['/', '?', '#']).next()?;
    matches!(scheme.as_str(), "http" | "https").then(|| format!("{scheme}://{host}"))
}

/// Says what to do where git found no way to prove who it is.
pub(super) fn with_advice(error: SourceError) -> SourceError {
    let SourceError::Failed { doing, said } = error else { return error };
    let advice = if ["could not read Username", "could not read Password", "Authentication failed"]
        .iter()
        .any(|words| said.contains(words))
    {
        "; give a token that may read the repository by the environment"
    } else if ["301", "302", "307", "308"].iter().any(|s| said.contains(&format!("error: {s}"))) {
        "; the server redirects, and a token is not sent on: give the url that it redirects to, \
         which often is the same with `.git` at its end"
    } else if said.contains("Host key verification failed") {
        "; add the key of the server to the known_hosts file of ssh"
    } else {
        ""
    };
    SourceError::Failed { doing, said: said + advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_with_secrets_or_programs_are_refused() {
        for url in [
            "https://host/team/repo.git",
            "https://host:8443/a@b",
            "ssh://git@host:22/repo",
            "git@host:team/repo.git",
            "file:///srv/repo",
            "/srv/a::b",
        ] {
            assert_eq!(problem_with_url(url), None, "{url}");
        }
        for url in [
            "user:s3cret@host:team/x.git",
            "https://host/x?access_token=t",
            "",
            " ",
            "--upload-pack=x",
            "ext::sh -c x",
            "a\nb",
            "https://token@host/x",
            "HTTP://u:p@host",
            "ssh://u:p@host/x",
        ] {
            assert!(problem_with_url(url).is_some(), "{url}");
        }
    }

    #[test]
    fn the_secret_goes_to_one_server() {
        assert_eq!(http_origin("https://h:1/a/b").as_deref(), Some("https://h:1"));
        assert_eq!(http_origin("ssh://git@h/a"), None);
        assert_eq!(http_origin("git@h:a"), None);
    }
}
