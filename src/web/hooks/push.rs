//! The payload of a push: which repository, which branches.

use serde_json::Value;

/// Whether a push is to this branch, which the config may have as its short or its whole name.
pub(super) fn is_to_branch(payload: &Value, branch: &str) -> bool {
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let full = format!("refs/heads/{branch}");
    if payload["ref"].as_str() == Some(&full) {
        return true;
    }
    // Bitbucket tells of several changes at once, its cloud and its server in different words.
    let cloud = payload["push"]["changes"].as_array().into_iter().flatten().any(|change| {
        let new = &change["new"];
        new["type"] == "branch" && new["name"].as_str() == Some(branch)
    });
    let server = payload["changes"].as_array().into_iter().flatten();
    cloud || server.into_iter().any(|change| change["ref"]["id"].as_str() == Some(&full))
}

/// Whether any URL of the payload is this one; hosts put theirs in many places.
pub(super) fn is_of_repository(payload: &Value, url: &str) -> bool {
    address(url).is_some_and(|wanted| names(payload, wanted))
}

fn names(value: &Value, wanted: Address<'_>) -> bool {
    match value {
        Value::String(text) => address(text).is_some_and(|found| found.is(wanted)),
        Value::Array(values) => values.iter().any(|value| names(value, wanted)),
        Value::Object(map) => map.values().any(|value| names(value, wanted)),
        _ => false,
    }
}

/// Host and path of a URL: what is left without scheme, user, port and `.git`, which differ
/// between the ways to one repository.
#[derive(Clone, Copy, Debug)]
struct Address<'a> {
    /// Empty for a file.
    host: &'a str,
    path: &'a str,
}

impl Address<'_> {
    fn is(self, other: Address<'_>) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.path == other.path
    }
}

/// The address in a URL, in the form `user@host:path` that ssh takes, or in a path of this machine.
fn address(url: &str) -> Option<Address<'_>> {
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None if url.starts_with('/') => ("", url),
        None => url.split_once(':').filter(|(host, _)| !host.is_empty() && !host.contains('/'))?,
    };
    let host = authority.rsplit('@').next()?;
    let is_port = |port: &str| port.chars().all(|digit| digit.is_ascii_digit());
    let host =
        host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(host, _)| host);
    let path = path.split(['?', '#']).next()?.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then_some(Address { host, path })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ways_to_a_repository_are_one_address() {
        let url = "https://git.example.com/team/config";
        let says = |way: &str| is_of_repository(&json!({"project": [{"any": way}]}), url);
        for way in [
            "https://bot@GIT.example.com:8443/team/config.git",
            "ssh://git@git.example.com:2222/team/config.git",
            "git@git.example.com:team/config.git",
            "git://git.example.com/team/config/",
        ] {
            assert!(says(way), "{way}");
            assert!(is_of_repository(&json!([url]), way), "{way}");
        }
        for other in [
            "https://git.example.com/team/config2",
            "https://git.example.com/team/Config",
            "https://git.example.org/team/config",
            "https://git.example.com/",
            "/team/config",
            "team/config",
            "",
        ] {
            assert!(!says(other), "{other}");
        }
    }

    #[test]
    fn a_repository_of_this_machine_has_an_address_too() {
        let payload = json!({"repository": {"clone_url": "file:///srv/git/config.git"}});
        for url in ["file:///srv/git/config.git", "file:///srv/git/config", "/srv/git/config.git"] {
            assert!(is_of_repository(&payload, url), "{url}");
        }
        assert!(!is_of_repository(&payload, "file:///srv/git/other.git"));
        assert!(!is_of_repository(&payload, "https://h.example/srv/git/config.git"));
    }

    #[test]
    fn every_host_names_its_branch_and_repository() {
        let url = "https://h.example/t/c.git";
        for payload in [
            json!({"ref": "refs/heads/main", "repository": {"clone_url": "https://h.example/t/c.git"}}),
            json!({"ref": "refs/heads/main", "project": {"git_ssh_url": "git@h.example:t/c.git"}}),
            json!({"push": {"changes": [{"new": {"type": "branch", "name": "main"}}]},
                "repository": {"links": {"html": {"href": "https://h.example/t/c"}}}}),
            json!({"changes": [{"ref": {"id": "refs/heads/main"}}],
                "repository": {"links": {"clone": [{"href": "ssh://git@h.example:7999/t/c.git"}]}}}),
        ] {
            for (branch, is_it) in [
                ("main", true),
                ("refs/heads/main", true),
                ("mai", false),
                ("heads/main", false),
                ("refs/heads/refs/heads/main", false),
            ] {
                assert_eq!(is_to_branch(&payload, branch), is_it, "{branch}: {payload}");
            }
            assert!(is_of_repository(&payload, url), "{payload}");
            assert!(!is_of_repository(&payload, "https://h.example/t/other"), "{payload}");
        }
        let tag = json!({"ref": "refs/tags/main", "push": {"changes": [{"new": null}]}});
        assert!(!is_to_branch(&tag, "main"));
    }
}
