//! Where the calls go: the paths of the API with every name percent-encoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

/// The characters that RFC 3986 allows in a path segment; all others are encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The addresses of one target.
#[derive(Clone)]
pub(super) struct Addresses {
    project: String,
    token: Url,
    host: String,
}

/// Why no address can be made; the texts never repeat a URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// It does not parse.
    #[error("the target's `url` is not an absolute http or https URL")]
    NotHttp,
    /// User info in it.
    #[error(
        "the target's `url` holds a user name or password: use `token`, or `username` and `password`"
    )]
    UserInfo,
    /// `?` or `#` in it.
    #[error("the target's `url` holds a `?` or a `#`: give only the address of the Manager")]
    Query,
    /// A project or connection whose name a URL would swallow.
    #[error("a name that is empty, `.` or `..` has no address in the API")]
    Swallowed,
}

impl Addresses {
    pub(super) fn new(url: &str, project: &str) -> Result<Self, AddressError> {
        let base = Url::parse(url).map_err(|_| AddressError::NotHttp)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(AddressError::NotHttp);
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(AddressError::UserInfo);
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(AddressError::Query);
        }
        let host = base.host_str().ok_or(AddressError::NotHttp)?;
        let host = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let root = base.as_str().trim_end_matches('/');
        let project = segment(project)?;
        Ok(Self {
            project: format!("{root}/apiops/projects/{project}"),
            token: parse(&format!("{root}/apiops/auth/token"))?,
            host,
        })
    }

    /// The list of one type.
    pub(super) fn list(&self, type_name: &str) -> Result<Url, AddressError> {
        let type_name = utf8_percent_encode(type_name, SEGMENT);
        parse(&format!("{}/connections/?type={type_name}", self.project))
    }

    /// One connection; the trailing slash is part of the path.
    pub(super) fn connection(&self, name: &str) -> Result<Url, AddressError> {
        parse(&format!("{}/connections/{}/", self.project, segment(name)?))
    }

    /// The environment variables of the project.
    pub(super) fn variables(&self) -> Result<Url, AddressError> {
        parse(&format!("{}/environmentVariables/", self.project))
    }

    /// Where tokens come from.
    pub(super) fn token(&self) -> &Url {
        &self.token
    }

    /// Host and port, to be shown.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Whether calls go out in the clear.
    pub(super) fn is_plain(&self) -> bool {
        self.token.scheme() == "http"
    }
}

fn segment(name: &str) -> Result<String, AddressError> {
    if matches!(name, "" | "." | "..") {
        return Err(AddressError::Swallowed);
    }
    Ok(utf8_percent_encode(name, SEGMENT).to_string())
}

fn parse(url: &str) -> Result<Url, AddressError> {
    Url::parse(url).map_err(|_| AddressError::NotHttp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    #[test]
    fn names_are_encoded_and_the_prefix_is_kept() {
        let addresses = Addresses::new("https://h:8443/manager/", "My Project").unwrap();
        assert_eq!(addresses.host(), "h:8443");
        assert_eq!(
            addresses.connection("ä %?#;+.").unwrap().as_str(),
            "https://h:8443/manager/apiops/projects/My%20Project/connections/%C3%A4%20%25%3F%23%3B%2B./"
        );
        assert_eq!(
            addresses.list("linux-script").unwrap().as_str(),
            "https://h:8443/manager/apiops/projects/My%20Project/connections/?type=linux-script"
        );
        assert_eq!(addresses.token().as_str(), "https://h:8443/manager/apiops/auth/token");
    }

    #[test]
    fn a_name_without_an_address_is_refused_without_an_echo() {
        assert_eq!(Addresses::new("h:8443", "p").err(), Some(AddressError::NotHttp));
        assert_eq!(Addresses::new("https://u:secret@h", "p").err(), Some(AddressError::UserInfo));
        assert_eq!(Addresses::new("https://h?token=x", "p").err(), Some(AddressError::Query));
        assert_eq!(Addresses::new("https://h", "..").err(), Some(AddressError::Swallowed));
        let addresses = Addresses::new("https://h", "p").unwrap();
        for name in ["", ".", ".."] {
            assert_eq!(addresses.connection(name), Err(AddressError::Swallowed));
        }
    }

    proptest! {
        #[test]
        fn every_name_stays_one_segment(name in "\\PC{1,20}") {
            prop_assume!(!matches!(&*name, "." | ".."));
            let addresses = Addresses::new("http://h", "p").unwrap();
            let url = addresses.connection(&name).unwrap();
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 6);
            prop_assert_eq!(percent_decode_str(segments[4]).decode_utf8().unwrap(), name);
        }
    }
}
