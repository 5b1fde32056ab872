//! How git proves who it is, and which URLs it is sent to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::{Redactor, Sensitive};
use crate::source::SourceError;
use crate::source::git::{Git, without_user_info};

/// The variable by which the header reaches git and nobody else.
const HEADER: &str = "APINIZER_GITOPS_GIT_HEADER";

/// The user name that a token goes with where none is given; git hosts look at the token alone.
const ANY_USER: &str = "git";

/// How git proves who it is.
#[derive(Clone, Debug)]
pub enum Access {
    /// As the user's git does: credential helpers, ssh keys, nothing.
    AsConfigured,
    /// By a token or a password, over http and https.
    Password {
        /// The user; `None` with a token whose host does not care.
        username: Option<String>,
        /// The token or password.
        password: Sensitive,
    },
}

impl Access {
    /// Has all forms of the secret replaced in what git says.
    pub(super) fn teach(&self, redactor: &Redactor) {
        if let Self::Password { password, .. } = self {
            redactor.learn(password.expose());
            if let Some(encoded) = self.encoded() {
                redactor.learn(encoded.expose());
            }
        }
    }

    /// Adds what proves it to a call: the value in the environment, on the command line only
    /// the name of the variable, and for that server only.
    pub(super) fn give(&self, call: Git, url: &str) -> Git {
        let (Some(encoded), Some(origin)) = (self.encoded(), http_origin(url)) else { return call };
        let header = Sensitive::new(format!("Authorization: Basic {}", encoded.expose()));
        call.secret_env(HEADER, &header)
            .arg(format!("--config-env=http.{origin}/.extraHeader={HEADER}"))
    }

    fn encoded(&self) -> Option<Sensitive> {
        let Self::Password { username, password } = self else { return None };
        let user = username.as_deref().unwrap_or(ANY_USER);
        Some(Sensitive::new(STANDARD.encode(format!("{user}:{}", password.expose()))))
    }
}

/// Refuses URLs that carry a secret or make git run a program of their choice.
pub(super) fn check_url(url: &str) -> Result<(), SourceError> {
    let shown = without_user_info(url);
    let refuse = |problem| Err(SourceError::Url { url: shown.clone(), problem });
    if url.trim().is_empty() {
        return refuse("is empty");
    }
    if url.starts_with('-') || url.chars().any(char::is_control) {
        return refuse("is no URL");
    }
    let helper = url.split_once("::").map(|(helper, _)| helper);
    if helper.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')) {
        return refuse("names a remote helper; give an https, ssh or file URL");
    }
    if let Some((scheme, rest)) = url.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // ssh needs a user in its URL; a password never belongs there.
        let carries = authority.rsplit_once('@').is_some_and(|(user, _)| {
            scheme.to_ascii_lowercase().starts_with("http") || user.contains(':')
        });
        if carries {
            return Err(SourceError::UserInfo { url: shown });
        }
    }
    Ok(())
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
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in ["https://token@host/x", "HTTP://u:p@host", "ssh://u:p@host/x"] {
            let error = check_url(url).unwrap_err();
            assert!(matches!(error, SourceError::UserInfo { .. }), "{error}");
            assert!(!error.to_string().contains("token@"), "{error}");
        }
        for url in ["", " ", "--upload-pack=x", "ext::sh -c x", "a\nb"] {
            assert!(matches!(check_url(url), Err(SourceError::Url { .. })), "{url}");
        }
    }

    #[test]
    fn the_secret_goes_to_one_server() {
        assert_eq!(http_origin("https://h:1/a/b").as_deref(), Some("https://h:1"));
        assert_eq!(http_origin("ssh://git@h/a"), None);
        assert_eq!(http_origin("git@h:a"), None);
    }
}
