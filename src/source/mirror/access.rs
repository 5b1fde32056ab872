//! How git proves who it is, and which URLs it is sent to.

use crate::environment::{Environment, Unset};
use crate::secret::{Redactor, Sensitive};
use crate::source::SourceError;
use crate::source::git::Git;

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
pub(super) enum Access {
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

impl Access {
    /// The environment as it is now: a token that is mounted as a file may have been rotated.
    /// It and the forms it is sent in are replaced in what git says from now on.
    pub(super) fn now(environment: &Environment, redactor: &Redactor) -> Result<Self, SourceError> {
        let password = match environment.lookup(TOKEN) {
            Ok(password) => password,
            Err(Unset::Missing(_)) => return Ok(Self::AsConfigured),
            Err(problem @ Unset::File { .. }) => return Err(SourceError::Token(problem)),
        };
        redactor.learn(password.expose());
        let username = environment.plain(USERNAME).unwrap_or(ANY_USER).to_owned();
        redactor.learn(&encoded(&username, &password));
        Ok(Self::Password { username, password })
    }

    /// Adds what proves it to a call: the values in the environment, on the command line only
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
