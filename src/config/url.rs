//! Checks of the Manager's URL and of the repository's.

use std::net::IpAddr;

use ::url::{Host, Url};

/// A Manager's URL that can be used.
#[derive(Debug)]
pub(super) struct ManagerUrl {
    /// Normalised, without a trailing slash: two spellings of one URL are equal.
    pub(super) url: String,
    /// Whether credentials would cross the network unencrypted.
    pub(super) exposed: bool,
}

/// Reads a Manager's URL.
///
/// # Errors
/// What is wrong with it, never with its text.
pub(super) fn manager(text: &str) -> Result<ManagerUrl, &'static str> {
    let url =
        Url::parse(text).map_err(|_| "it is no URL such as `https://apinizer.example.com`")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its scheme is neither https nor http");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds user info; credentials belong into `token`, or `username` and \
                    `password`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment");
    }
    let exposed = url.scheme() == "http" && !is_this_machine(&url);
    Ok(ManagerUrl { url: url.as_str().trim_end_matches('/').to_owned(), exposed })
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            let mapped = address.to_ipv4_mapped().map(IpAddr::V4);
            mapped.unwrap_or(IpAddr::V6(address)).is_loopback()
        }
        None => false,
    }
}

/// Checks a repository's URL, which is whatever `git fetch` takes.
///
/// # Errors
/// What is wrong with it, never with its text.
pub(super) fn repository(text: &str) -> Result<(), &'static str> {
    if text.starts_with('-') {
        return Err("it begins with `-`, which git would take for an option");
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    if text.split_once("::").is_some_and(|(helper, _)| {
        !helper.is_empty() && helper.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }) {
        return Err("it names a remote helper, which may run any command");
    }
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(()) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return Ok(()) };
    if user.contains(':') {
        Err("it holds a password; use a credential helper of git, or an ssh key")
    } else if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") {
        Err("it holds a user, which may be a token; use a credential helper of git")
    } else {
        Ok(())
    }
}

/// Whether what is fetched from a repository's URL, and the token for it, would cross the network
/// unencrypted.
pub(super) fn is_exposed(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == "http" && !is_this_machine(&url))
}

/// Whether a URL of a notification holds a credential in its user info.
pub(super) fn has_user_info(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_url_are_equal() {
        for text in
            ["https://Host.example:443/a/", "https://host.example/a", "HTTPS://host.example/a//"]
        {
            assert_eq!(manager(text).unwrap().url, "https://host.example/a", "{text}");
        }
    }

    #[test]
    fn only_http_to_other_machines_is_exposed() {
        for (text, exposed) in [
            ("http://localhost:8089", false),
            ("http://127.0.0.9", false),
            ("http://[::1]:1", false),
            ("http://10.0.0.1", true),
            ("http://manager", true),
            ("https://manager", false),
        ] {
            assert_eq!(manager(text).unwrap().exposed, exposed, "{text}");
        }
    }

    #[test]
    fn what_is_no_managers_url() {
        for text in [
            "",
            "host",
            "ftp://host",
            "https://",
            "https://u@h",
            "https://u:p@h",
            "https://h?q",
            "https://h#f",
        ] {
            assert!(manager(text).is_err(), "{text}");
        }
    }

    #[test]
    fn repositories() {
        for good in [
            "https://git.example.com/a.git",
            "ssh://git@host/a.git",
            "git@host:a/b.git",
            "file:///srv/a",
            "/srv/a",
        ] {
            assert_eq!(repository(good), Ok(()), "{good}");
        }
        for bad in [
            "--upload-pack=x",
            "ext::sh -c x",
            "https://u:p@h/a",
            "https://token@h/a",
            "ssh://git:p@h/a",
            "a\nb",
        ] {
            assert!(repository(bad).is_err(), "{bad}");
        }
    }
}
