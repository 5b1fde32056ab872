//! The addresses of servers: which hosts are this machine, so that what is sent there never leaves it,
//! and what the URLs of a config may hold.

use url::{Host, Url};

/// The names of this machine beside `localhost` and all that is below it.
const NAMES: [&str; 3] = ["localhost.localdomain", "ip6-localhost", "ip6-loopback"];

/// Whether a host is this machine. The unspecified address is: the system connects it to loopback.
pub(crate) fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_lowercase();
            name == "localhost" || name.ends_with(".localhost") || NAMES.contains(&name.as_str())
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
    }
}

/// A Manager's URL that can be used.
#[derive(Debug)]
pub(crate) struct ManagerUrl {
    /// Normalised, without a trailing slash: two spellings of one URL are equal.
    pub(crate) url: String,
    /// Whether credentials would cross the network unencrypted.
    pub(crate) exposed: bool,
}

/// Reads a Manager's URL.
///
/// # Errors
/// Why it cannot be used, without its text.
pub(crate) fn manager(text: &str) -> Result<ManagerUrl, &'static str> {
    let url =
        Url::parse(text).map_err(|_| "it is not a URL such as `https://apinizer.example.com`")?;
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
    let exposed = url.scheme() == "http" && !is_here(&url);
    Ok(ManagerUrl { url: url.as_str().trim_end_matches('/').to_owned(), exposed })
}

fn is_here(url: &Url) -> bool {
    url.host().is_some_and(|host| is_this_machine(&host))
}

/// Whether what is fetched from a repository's URL, and the token for it, would cross the network
/// unencrypted.
pub(crate) fn is_exposed(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == "http" && !is_here(&url))
}

/// Whether a URL of a notification holds a credential in its user info.
pub(crate) fn has_user_info(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

#[cfg(test)]
mod url_tests {
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
}
