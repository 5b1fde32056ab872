//! Reading a config file as a whole, with its sections `source`, `server` and `kubernetes`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::config::fields::Fields;
use crate::config::keys::{ROOT, SERVER, SOURCE, is_key};
use crate::config::problems::{Problems, error, warning};
use crate::config::read::{ConfigNode, Reader};
use crate::config::{
    Config, Kubernetes, Location, Resolve, ServerConfig, SourceConfig, Target, notify, rules,
    target,
};
use crate::diagnostic::{Chunk, Diagnostic, Excerpt, FileText, Mark, Severity, code, split};
use crate::environment::Environment;
use crate::host::{self, is_this_machine};
use crate::links::Links;
use crate::source::{Verify, problem_with_url};
use crate::yaml;

/// The largest config that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

impl Config {
    /// Reads a config file and resolves the references in the keys that are read at load.
    ///
    /// # Errors
    /// All problems of the file, warnings included, sorted by place.
    pub fn load(
        path: &Path,
        environment: &Environment,
        resolve: Resolve,
    ) -> Result<Config, Vec<Diagnostic>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(path, format!("cannot be read: {error}")))?;
        let config = Self::parse(path, &bytes, environment, resolve)?;
        Ok(Config { file: Some(path.to_owned()), ..config })
    }

    /// Reads the bytes of a config whose file stands, or would stand, at `path`.
    ///
    /// # Errors
    /// All problems, warnings included, sorted by place.
    pub fn parse(
        path: &Path,
        bytes: &[u8],
        environment: &Environment,
        resolve: Resolve,
    ) -> Result<Config, Vec<Diagnostic>> {
        if bytes.len() as u64 > LARGEST {
            return Err(unreadable(path, "is larger than 1 MiB"));
        }
        let text = FileText::decode(bytes.to_vec())
            .map_err(|problem| unreadable(path, format!("cannot be used: {}", problem.message)))?;
        let text = Arc::new(text);
        let mut documents = split(&text).into_iter();
        let document =
            documents.next().unwrap_or(Chunk { range: 0..0, first_line: 1, content_line: None });
        let excerpt = Excerpt::whole(&text, &document, is_key);
        let file = path.display().to_string();
        if let Some(second) = documents.next() {
            let mark = Mark { file, line: second.first_line, column: 1, ..Mark::whole_file() };
            let message = "a config is one document, and a second one begins here".to_owned();
            let problem = Diagnostic::error(&code::CONFIG_SYNTAX, message, mark);
            return Err(vec![Diagnostic { help: None, ..problem }]);
        }
        match yaml::parse(text.slice(document.range.clone())) {
            Ok(root) => {
                from_value(&root, Problems::new(&file, Some(excerpt)), path, environment, resolve)
            }
            Err(failure) => {
                let excerpt = Excerpt::broken(&text, &document, is_key);
                let mut problem = failure.diagnose(&excerpt);
                problem.code = if problem.code == code::DUPLICATE_KEY.id {
                    code::CONFIG_DUPLICATE_KEY.id
                } else {
                    code::CONFIG_SYNTAX.id
                };
                for mark in
                    problem.related.iter_mut().map(|(mark, _)| mark).chain([&mut problem.mark])
                {
                    mark.file.clone_from(&file);
                }
                Err(vec![problem])
            }
        }
    }
}

fn unreadable(path: &Path, problem: impl std::fmt::Display) -> Vec<Diagnostic> {
    let mark = Mark { file: path.display().to_string(), ..Mark::whole_file() };
    vec![Diagnostic::error(&code::CONFIG_UNREADABLE, format!("the config {problem}"), mark)]
}

/// Makes a config of the values of a file that stands, or would stand, at `path`.
pub(super) fn from_value(
    root: &Value,
    problems: Problems,
    path: &Path,
    environment: &Environment,
    resolve: Resolve,
) -> Result<Config, Vec<Diagnostic>> {
    let mut reader = Reader { problems, environment, resolve, resolved: Vec::new() };
    let fields = reader.section(&ROOT, &ConfigNode { value: root, pointer: String::new() });
    let config = build(&mut reader, &fields, folder_of(path));
    let problems = reader.problems.finish(&config.targets);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(problems);
    }
    Ok(Config { resolved: reader.resolved, warnings: problems, ..config })
}

fn build(reader: &mut Reader<'_>, fields: &Fields, folder: &Path) -> Config {
    let absent = |reader: &mut Reader<'_>, section| {
        reader
            .section(section, &ConfigNode { value: &Value::Null, pointer: fields.pointer.clone() })
    };
    let from = fields.section("source").unwrap_or_else(|| absent(reader, &SOURCE));
    let served = fields.section("server").unwrap_or_else(|| absent(reader, &SERVER));
    let source = source(reader, &from, folder);
    let targets = fields.list("targets");
    if targets.as_ref().is_some_and(Vec::is_empty) {
        let problem = error(&code::CONFIG_BAD_VALUE, "`targets` is empty: there is nothing to do");
        reader.problems.add(&fields.place_of("targets"), problem);
    }
    let entries = targets.unwrap_or_default();
    let names: Vec<String> = entries.iter().filter_map(|t| Some(t.text("name")?.value)).collect();
    let mut targets = target::build_all(reader, &entries, folder);
    rules::add_all(reader, &fields.list("rules").unwrap_or_default(), &names, &mut targets);
    target::add_after(reader, &entries, &names, &mut targets);
    let kubernetes = kubernetes(reader, fields, &targets, folder);
    Config {
        file: None,
        source,
        target_names: names.into_iter().collect(),
        targets,
        server: ServerConfig {
            listen: served.get("listen"),
            token: served.get("token"),
            webhook_secret: served.get("webhook_secret"),
        },
        notify: notify::build(reader, &fields.list("notify").unwrap_or_default()),
        kubernetes,
        state_dir: match fields.text("state_dir") {
            Some(text) => folder.join(&text.value),
            None => default_state_dir(reader.environment),
        },
        fingerprint_key: fields.get("fingerprint_key"),
        resolved: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Builds the source; paths are relative to the folder of the config.
fn source(reader: &mut Reader<'_>, fields: &Fields, folder: &Path) -> SourceConfig {
    let (location, as_written) = match (fields.text("url"), fields.text("path")) {
        (Some(text), _) => {
            let problem = match problem_with_url(&text.value) {
                _ if !text.resolved => None,
                Some(problem) => {
                    let message = format!("the repository's `url` cannot be used: {problem}");
                    let help = "write what `git fetch` takes, without a password";
                    Some(error(&code::CONFIG_BAD_URL, message).help(help))
                }
                None if host::is_exposed(&text.value) => {
                    let message =
                        "the repository, and the token for it, cross the network unencrypted";
                    Some(warning(&code::CONFIG_PLAIN_HTTP, message).help("use https or ssh"))
                }
                None => None,
            };
            if let Some(problem) = problem {
                reader.problems.add(&fields.place_of("url"), problem);
            }
            (Location::Url(text.value), text.written)
        }
        (None, Some(text)) => (Location::Path(folder.join(&text.value)), text.written),
        (None, None) => (Location::Path(folder.to_path_buf()), folder.display().to_string()),
    };
    SourceConfig {
        location,
        as_written,
        branch: fields.text("branch").map(|text| text.value),
        poll: fields.get("poll").unwrap_or_default(),
        verify: fields.section("verify").and_then(|verify| verification(&verify, folder)),
        links: fields.section("links").and_then(|links| pages(reader, &links)),
    }
}

/// The addresses of pages; one that a browser would not open as a page is a problem.
fn pages(reader: &mut Reader<'_>, fields: &Fields) -> Option<Links> {
    let mut page = |key| {
        let address = fields.text(key)?.value;
        if !["https://", "http://"].iter().any(|scheme| address.starts_with(scheme)) {
            let problem = error(&code::CONFIG_BAD_URL, "a link begins with `https://`");
            reader.problems.add(&fields.place_of(key), problem);
        }
        Some(address)
    };
    Some(Links { commit: page("commit")?, file: page("file")? })
}

fn verification(fields: &Fields, folder: &Path) -> Option<Verify> {
    let file = |key| fields.text(key).map(|text| folder.join(&text.value));
    file("ssh_allowed_signers")
        .map(Verify::SshAllowedSigners)
        .or_else(|| file("gpg_keyring").map(Verify::GpgKeyring))
}

/// The folder that relative paths of a config start from.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The folder of the state by default: systemd's, else the user's.
fn default_state_dir(environment: &Environment) -> PathBuf {
    // systemd gives several folders with colons between them.
    let first = |list: &str| list.split(':').next().map(PathBuf::from);
    let absolute =
        |name: &str| environment.plain(name).map(PathBuf::from).filter(|p| p.is_absolute());
    environment
        .plain("STATE_DIRECTORY")
        .and_then(first)
        .or_else(|| absolute("XDG_STATE_HOME").map(|home| home.join("apinizer-gitops")))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state/apinizer-gitops")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/apinizer-gitops"))
}

/// How many of the longest call have to fit into a lease: one that has just started, and one for
/// the renewals that may fail meanwhile.
const CALLS_PER_LEASE: u32 = 2;

/// Builds the section `kubernetes`, if it is there: how replicas in a cluster share the targets.
fn kubernetes(
    reader: &mut Reader<'_>,
    root: &Fields,
    targets: &[Target],
    folder: &Path,
) -> Option<Kubernetes> {
    let fields = root.section("kubernetes")?;
    let lease = fields.get("lease").unwrap_or_default();
    if let Some(target) =
        targets.iter().find(|target| lease < target.manager.timeout * CALLS_PER_LEASE)
    {
        let message = format!(
            "the `lease` is shorter than {CALLS_PER_LEASE} times the `timeout` of the target `{}`",
            target.name
        );
        let problem = error(&code::CONFIG_BAD_VALUE, message).help(
            "a write has to be over before another replica may begin one: lengthen `lease`, or \
             shorten `timeout`",
        );
        reader.problems.add(&fields.place_of("lease"), problem);
    }
    let api = fields.text("api").map(|text| text.value.trim_end_matches('/').to_owned());
    if let Some(api) = &api
        && !may_carry_a_token(api)
    {
        let message = "the `api` of Kubernetes is not an https URL without user info";
        let problem = error(&code::CONFIG_BAD_URL, message)
            .help("http is allowed only to this machine, where `kubectl proxy` listens");
        reader.problems.add(&fields.place_of("api"), problem);
    }
    Some(Kubernetes {
        lease,
        state_in_secret: fields.get::<String>("state").is_some_and(|state| state == "secret"),
        namespace: fields.text("namespace").map(|text| text.value),
        service_account: folder.join(&fields.text("service_account")?.value),
        api,
    })
}

/// Whether the token of the service account may be sent there.
fn may_carry_a_token(api: &str) -> bool {
    let Ok(parsed) = url::Url::parse(api) else { return false };
    let is_here = parsed.host().is_some_and(|host| is_this_machine(&host));
    let scheme = parsed.scheme();
    !host::has_user_info(api) && (scheme == "https" || (scheme == "http" && is_here))
}
