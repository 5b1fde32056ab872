//! The addresses of servers: which hosts are this machine, so that what is sent there never leaves it,
//! and what the URLs of a config may hold.

use percent_encoding::percent_decode_str;
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

/// A URL of a Manager, or of a daemon, that can be used.
#[derive(Debug)]
pub(crate) struct ManagerUrl {
    /// Normalised, without a trailing slash: two spellings of one URL are equal.
    pub(crate) url: String,
    /// Whether credentials would cross the network unencrypted.
    pub(crate) exposed: bool,
}

/// Reads the URL of a Manager or a daemon.
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
        return Err("it holds user info; credentials belong into the environment");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment");
    }
    let exposed = url.scheme() == "http" && !is_here(&url);
    Ok(ManagerUrl { url: url.as_str().trim_end_matches('/').to_owned(), exposed })
}

/// The text by which two URLs of Managers are compared: those that lead to one server are equal, whatever
/// their spelling.
pub(crate) fn to_compare(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return url.to_owned() };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let port = url.port_or_known_default().unwrap_or_default();
    let path = percent_decode_str(url.path().trim_end_matches('/')).decode_utf8_lossy();
    format!("{}://{host}:{port}{path}", url.scheme())
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
    fn spellings_that_lead_to_one_server_are_compared_as_equal() {
        for text in ["https://h./%61pi", "https://H:443/api/", "https://h/a%70i"] {
            assert_eq!(to_compare(text), to_compare("https://h/api"), "{text}");
        }
        for other in ["http://h/api", "https://h:8443/api", "https://h/API", "https://h"] {
            assert_ne!(to_compare(other), to_compare("https://h/api"), "{other}");
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
