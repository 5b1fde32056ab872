//! What the payload of a push says: which repository, which branches.

use serde_json::Value;

/// Whether a push is to this branch.
pub(super) fn is_to_branch(payload: &Value, branch: &str) -> bool {
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

/// Whether any URL that the payload names its repository by is this one.
pub(super) fn is_of_repository(payload: &Value, url: &str) -> bool {
    let Some(wanted) = address(url) else { return false };
    [&payload["repository"], &payload["project"]].into_iter().any(|repository| {
        let own = repository.as_object().into_iter().flat_map(serde_json::Map::values);
        let own = own.filter_map(Value::as_str);
        let mut linked = Vec::new();
        collect(&repository["links"], &mut linked);
        own.chain(linked).any(|url| address(url).as_ref() == Some(&wanted))
    })
}

fn collect<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
        Value::Object(map) => map.values().for_each(|value| collect(value, into)),
        _ => {}
    }
}

/// Host and path of a URL, or of the form `user@host:path` that ssh takes: without scheme,
/// user, port and `.git`, which differ between the ways to the same repository.
fn address(url: &str) -> Option<(String, String)> {
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            let host = authority.rsplit('@').next()?;
            let is_port = |port: &str| port.chars().all(|digit| digit.is_ascii_digit());
            let host =
                host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |p| p.0);
            (host, path)
        }
        None => {
            let (authority, path) = url.split_once(':')?;
            (authority.rsplit('@').next()?, path)
        }
    };
    let path = path.split(['?', '#']).next()?.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    if host.is_empty() || host.contains('/') || path.is_empty() {
        return None;
    }
    Some((host.to_ascii_lowercase(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ways_to_a_repository_are_one_address() {
        let expected = address("https://git.example.com/team/config");
        assert!(expected.is_some());
        for way in [
            "https://bot@GIT.example.com:8443/team/config.git",
            "ssh://git@git.example.com:2222/team/config.git",
            "git@git.example.com:team/config.git",
            "git://git.example.com/team/config/",
        ] {
            assert_eq!(address(way), expected, "{way}");
        }
        for other in [
            "https://git.example.com/team/config2",
            "https://git.example.org/team/config",
            "team/config",
            "",
        ] {
            assert_ne!(address(other), expected, "{other}");
        }
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
            assert!(is_to_branch(&payload, "main"), "{payload}");
            assert!(!is_to_branch(&payload, "mai"), "{payload}");
            assert!(is_of_repository(&payload, url), "{payload}");
            assert!(!is_of_repository(&payload, "https://h.example/t/other"), "{payload}");
        }
        let tag = json!({"ref": "refs/tags/main", "push": {"changes": [{"new": null}]}});
        assert!(!is_to_branch(&tag, "main"));
    }
}
