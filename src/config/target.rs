//! The entries of `targets`, what two of them may not share, and which of them come first (`after`).

use std::path::Path;
use std::sync::Arc;

use crate::catalog::did_you_mean;
use crate::config::fields::{Fields, Text};
use crate::config::problems::{error, warning};
use crate::config::read::Reader;
use crate::config::{Adopt, After, Credentials, Manager, OnDrift, Policy, Target};
use crate::diagnostic::{code, quoted};
use crate::digest::sha256;
use crate::host;
use crate::profile::Profile;
use crate::rules::UserRules;

/// Builds the targets that have a name, a URL, a project and credentials; paths are relative to the folder of
/// the config.
pub(super) fn build_all(reader: &mut Reader<'_>, list: &[Fields], folder: &Path) -> Vec<Target> {
    let built: Vec<(Target, &Fields)> =
        list.iter().filter_map(|fields| Some((build(reader, fields, folder)?, fields))).collect();
    check_shared(reader, &built);
    built.into_iter().map(|(target, _)| target).collect()
}

fn build(reader: &mut Reader<'_>, fields: &Fields, folder: &Path) -> Option<Target> {
    let paths = paths(reader, fields);
    let url = fields.text("url").map(|text| (manager_url(reader, fields, &text), text.written));
    let name = fields.text("name");
    let resolved = name.as_ref().filter(|text| text.resolved);
    if let Some(problem) = resolved.and_then(|text| problem_with(&text.value)) {
        let message = format!("the target's name {problem}");
        reader.problems.add(&fields.place_of("name"), error(&code::CONFIG_BAD_NAME, message));
    }
    let (url, written_url) = url?;
    let (name, project) = (name?, fields.text("project")?);
    let vars = fields.get("vars").unwrap_or_default();
    Some(Target {
        manager: Manager {
            url,
            url_as_written: written_url.trim_end_matches('/').to_owned(),
            credentials: credentials(fields)?,
            ca_file: fields.text("ca_file").map(|text| folder.join(&text.value)),
            concurrency: fields.get("concurrency")?,
            timeout: fields.get("timeout")?,
            max_response: fields.get("max_response")?,
        },
        rules: UserRules::of_target(&name.written, &project.written, &vars),
        name: name.value,
        project: project.value,
        project_as_written: project.written,
        paths,
        vars,
        policy: policy(fields)?,
        resync: fields.get("resync")?,
        verify_secrets: fields.get("verify_secrets")?,
        after: None,
        profile: profile(reader, fields, folder),
    })
}

fn profile(reader: &mut Reader<'_>, fields: &Fields, folder: &Path) -> Option<Arc<Profile>> {
    let text = fields.text("profile").filter(|text| text.resolved)?;
    let read = std::fs::read_to_string(folder.join(&text.value));
    match read.map_err(|error| error.to_string()).and_then(|text| Profile::parse(&text)) {
        Ok(profile) => Some(Arc::new(profile)),
        Err(problem) => {
            let message = format!("the `profile` cannot be used: {problem}");
            let problem = error(&code::CONFIG_BAD_VALUE, message)
                .help("`apinizer-gitops probe --out FILE` writes one");
            reader.problems.add(&fields.place_of("profile"), problem);
            None
        }
    }
}

fn policy(fields: &Fields) -> Option<Policy> {
    let drift = fields.get("drift")?;
    let by_default = if drift == OnDrift::Report { Adopt::Equal } else { Adopt::Always };
    Some(Policy {
        prune: fields.get("prune")?,
        max_deletes: fields.get("max_deletes")?,
        adopt: fields.get("adopt").unwrap_or(by_default),
        drift,
        on_invalid: fields.get("on_invalid")?,
    })
}

fn credentials(fields: &Fields) -> Option<Credentials> {
    if let Some(token) = fields.get("token") {
        return Some(Credentials::Token(token));
    }
    let (username, password) = (fields.get("username")?, fields.get("password")?);
    Some(Credentials::ClientCredentials { username, password })
}

fn manager_url(reader: &mut Reader<'_>, fields: &Fields, text: &Text) -> String {
    if !text.resolved {
        return text.written.clone();
    }
    let place = fields.place_of("url");
    match host::manager(&text.value) {
        Ok(manager) => {
            if manager.exposed {
                let message = "the credentials and secrets of this target cross the network \
                               unencrypted";
                reader.problems.add(&place, warning(&code::CONFIG_PLAIN_HTTP, message));
            }
            manager.url
        }
        Err(problem) => {
            let message = format!("the target's `url` cannot be used: {problem}");
            reader.problems.add(&place, error(&code::CONFIG_BAD_URL, message));
            text.value.clone()
        }
    }
}

fn paths(reader: &mut Reader<'_>, fields: &Fields) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    let texts: Vec<(Text, String)> = fields.get("paths").unwrap_or_default();
    if texts.is_empty() {
        let problem = error(&code::CONFIG_BAD_VALUE, "`paths` is empty: no document would be read");
        reader.problems.add(&fields.place_of("paths"), problem);
    }
    for (text, place) in texts {
        let path = match repository_path(&text.value) {
            Ok(path) => path,
            Err(problem) => {
                let message = format!("an entry of `paths` {problem}");
                reader.problems.add(&place, error(&code::CONFIG_OUTSIDE, message));
                continue;
            }
        };
        if paths.contains(&path) {
            let problem = error(&code::CONFIG_CONTRADICTION, "`paths` names a folder twice");
            reader.problems.add(&place, problem);
        } else {
            paths.push(path);
        }
    }
    paths
}

/// Writes a path of the repository in one way: no `./`, no doubled or trailing slash. The root
/// itself is `.`.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn repository_path(path: &str) -> Result<String, &'static str> {
    let drive = path.as_bytes().get(1) == Some(&b':');
    if path.starts_with(['/', '\\', '~']) || drive {
        return Err("is absolute");
    }
    if path.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    let mut steps = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => return Err("leads out of the repository with `..`"),
            step => steps.push(step),
        }
    }
    Ok(if steps.is_empty() { ".".to_owned() } else { steps.join("/") })
}

fn problem_with(name: &str) -> Option<&'static str> {
    if name.trim() != name {
        Some("begins or ends with a space")
    } else if name.chars().any(char::is_control) {
        Some("holds a control character")
    } else if name.chars().count() > 100 {
        Some("is longer than 100 characters")
    } else {
        None
    }
}

/// Notes what two targets may not share.
fn check_shared(reader: &mut Reader<'_>, built: &[(Target, &Fields)]) {
    let names = built.iter().map(|(target, at)| (target.name.clone(), at.place_of("name")));
    reader.problems.refuse_twice(names, &|| {
        error(&code::CONFIG_DUPLICATE_TARGET, "two targets have this name")
    });
    let projects = built.iter().map(|(target, at)| {
        let url = host::to_compare(&target.manager.url);
        ((url, target.project.clone()), at.place_of("project"))
    });
    reader.problems.refuse_twice(projects, &|| {
        error(&code::CONFIG_SAME_PROJECT, "two targets have this URL and project")
    });
}

/// A stable digest of what decides which documents a target reads: its name and its paths.
///
/// The state keeps it beside what a commit declared; while it is the same, that record answers
/// for the commit, and the repository need not be asked.
pub(crate) fn config_digest(target: &Target) -> String {
    let mut named = Vec::new();
    for part in std::iter::once(&target.name).chain(&target.paths) {
        // The length keeps ["ab", "c"] and ["a", "bc"] apart.
        named.extend((part.len() as u64).to_be_bytes());
        named.extend(part.as_bytes());
    }
    sha256(&named)
}

/// Adds to each target the one that it comes after; `names` are those of all targets.
pub(super) fn add_after(
    reader: &mut Reader<'_>,
    list: &[Fields],
    names: &[String],
    targets: &mut [Target],
) {
    for fields in list {
        let Some(after) = fields.section("after") else { continue };
        let (Some(name), Some(first)) = (fields.text("name"), after.text("target")) else {
            continue;
        };
        if !is_target(reader, names, &first, &after.place_of("target")) {
            continue;
        }
        let soak = after.get("soak").unwrap_or_default();
        let after = After { target: first.value, soak };
        let target = targets.iter_mut().find(|target| target.name == name.value);
        target.into_iter().for_each(|target| target.after = Some(after.clone()));
    }
    check_cycles(reader, list, targets);
}

/// Whether a target of that name exists; one that does not is a problem.
pub(super) fn is_target(
    reader: &mut Reader<'_>,
    names: &[String],
    text: &Text,
    place: &str,
) -> bool {
    if !text.resolved || names.contains(&text.value) {
        return text.resolved;
    }
    let message = format!("no target is called {}", quoted(&text.written));
    let targets = format!("the targets are {}", names.join(", "));
    let help = did_you_mean(names.iter().map(String::as_str), &text.value, targets);
    reader.problems.add(place, error(&code::CONFIG_BAD_VALUE, message).help(help));
    false
}

/// A target that comes after itself, be it through others, would wait for ever.
fn check_cycles(reader: &mut Reader<'_>, list: &[Fields], targets: &[Target]) {
    let before = |target: &Target| {
        let first = &target.after.as_ref()?.target;
        targets.iter().find(|other| other.name == *first)
    };
    for target in targets {
        let chain = std::iter::successors(before(target), |earlier| before(earlier));
        let chain: Vec<&str> = chain.take(targets.len()).map(|t| t.name.as_str()).collect();
        let Some(end) = chain.iter().position(|name| *name == target.name) else { continue };
        let fields = list.iter().find(|f| f.text("name").is_some_and(|t| t.value == target.name));
        let place = fields.and_then(|f| f.section("after")).map(|after| after.place_of("target"));
        let others = chain[..end].iter().map(|name| quoted(name)).collect::<Vec<_>>();
        let through = match others.as_slice() {
            [] => String::new(),
            others => format!(" through {}", others.join(" and ")),
        };
        let message = format!("the target {} comes after itself{through}", quoted(&target.name));
        let problem = error(&code::CONFIG_CONTRADICTION, message)
            .help("one of the targets has to come first, without `after`");
        reader.problems.add(&place.unwrap_or_default(), problem);
    }
}
