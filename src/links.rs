//! Links to commits and files on the web pages of a git host.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters of a path that stay as they are; all others are encoded.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The addresses of pages, with `{commit}`, `{file}` and `{line}` for what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// The page of a commit.
    pub commit: String,
    /// The page of a file in a commit.
    pub file: String,
}

impl Links {
    /// The pages of a repository by its URL: GitHub, GitLab, Gitea and Forgejo, Bitbucket, which the
    /// name of the host tells apart. `None`: the host is none of them.
    pub fn of(url: &str) -> Option<Self> {
        let (host, port, path) = repository_at(url)?;
        let has = |words: &[&str]| words.iter().any(|word| host.contains(word));
        let (commit, file) = if has(&["github"]) {
            ("commit/{commit}", "blob/{commit}/{file}#L{line}")
        } else if has(&["gitlab"]) {
            ("-/commit/{commit}", "-/blob/{commit}/{file}#L{line}")
        } else if has(&["gitea", "forgejo", "codeberg"]) {
            ("commit/{commit}", "src/commit/{commit}/{file}#L{line}")
        } else if has(&["bitbucket"]) {
            ("commits/{commit}", "src/{commit}/{file}#lines-{line}")
        } else {
            return None;
        };
        let path = utf8_percent_encode(&path, PATH);
        let page = |page: &str| format!("https://{host}{port}/{path}/{page}");
        Some(Self { commit: page(commit), file: page(file) })
    }

    /// The page of a commit.
    pub(crate) fn to_commit(&self, commit: &str) -> String {
        self.commit.replace("{commit}", commit)
    }

    /// The page of a line of a file in a commit.
    pub(crate) fn to_line(&self, commit: &str, file: &str, line: u32) -> String {
        let page = self.file.replace("{commit}", commit).replace("{line}", &line.to_string());
        page.replace("{file}", &utf8_percent_encode(file, PATH).to_string())
    }
}

/// The host, the port of http and https with its colon, and the path of what `git fetch` takes from another
/// machine: without user and password.
pub(crate) fn repository_at(url: &str) -> Option<(String, String, String)> {
    if let Ok(parsed) = url::Url::parse(url)
        && let Some(host) = parsed.host_str()
    {
        let is_web = matches!(parsed.scheme(), "http" | "https");
        let port = parsed.port().filter(|_| is_web).map(|port| format!(":{port}"));
        let path = percent_encoding::percent_decode_str(parsed.path()).decode_utf8().ok()?;
        let path = without_ending(&path).to_owned();
        return Some((host.to_owned(), port.unwrap_or_default(), path));
    }
    // `git@host:team/repository.git`, with whatever before the last `@`.
    let (host, path) = url.rsplit_once('@').map_or(url, |(_, place)| place).split_once(':')?;
    let is_host = !host.is_empty() && !host.contains('/') && !path.starts_with("//");
    let path = without_ending(path).to_owned();
    is_host.then(|| (host.to_ascii_lowercase(), String::new(), path))
}

/// The path of a repository without slashes at its ends and without `.git`.
pub(crate) fn without_ending(path: &str) -> &str {
    let path = path.trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_their_names_and_credentials_stay_out() {
        let pages = |url: &str| {
            let links = Links::of(url)?;
            Some((links.to_commit("c0"), links.to_line("c0", "a b/é.yaml", 7)))
        };
        let file = "a%20b/%C3%A9.yaml";
        for url in [
            "https://ada:s3cret@github.com/team/config.git",
            "git@github.com:team/config.git",
            "ssh://git@github.com:22/team/config",
            "gitlab+deploy-token:s3cret@github.com:team/config.git",
        ] {
            let base = "https://github.com/team/config";
            let expected = (format!("{base}/commit/c0"), format!("{base}/blob/c0/{file}#L7"));
            assert_eq!(pages(url), Some(expected), "{url}");
        }
        let others = [
            ("https://gitlab.example.com:8443/a/b/c.git", "/-/commit/c0", "/-/blob/c0/"),
            ("https://codeberg.org/a/c", "/commit/c0", "/src/commit/c0/"),
            ("git@bitbucket.org:a/c.git", "/commits/c0", "/src/c0/"),
        ];
        for (url, commit, file) in others {
            let (to_commit, to_line) = pages(url).unwrap();
            assert!(to_commit.ends_with(commit) && to_line.contains(file), "{to_commit} {to_line}");
        }
        for url in ["https://git.example.com/a/b", "/srv/git/repo", "file:///srv/github/x", "x"] {
            assert_eq!(pages(url), None, "{url}");
        }
    }
}
