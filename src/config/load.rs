//! Reading a config file as a whole.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::diagnostic::{Chunk, Diagnostic, Excerpt, FileText, Mark, Severity, split};
use crate::environment::Environment;
use crate::yaml::{self, Cause};

use super::code;
use super::fields::Fields;
use super::keys::{ROOT, SERVER, SOURCE};
use super::problems::{Problems, error, key_alone};
use super::reader::{Node, Reader};
use super::{Config, kubernetes, notify, server, source, target};

/// The largest config that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A config that can be used, and what should be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// Problems that do not refuse it.
    pub warnings: Vec<Diagnostic>,
}

impl Config {
    /// Reads a config file and resolves the references in its plain keys.
    ///
    /// # Errors
    /// All problems of the file, warnings included, sorted by place.
    pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Vec<Diagnostic>> {
        read(path, environment, true)
    }

    /// Reads a config file where the environment may lack what it refers to, as `validate` does:
    /// such a value stays as it is written and is not checked.
    ///
    /// # Errors
    /// All problems of the file, warnings included, sorted by place.
    pub fn load_unresolved(
        path: &Path,
        environment: &Environment,
    ) -> Result<Loaded, Vec<Diagnostic>> {
        read(path, environment, false)
    }

    /// Reads the bytes of a config whose file would stand at `path`.
    ///
    /// # Errors
    /// All problems, warnings included, sorted by place.
    pub fn parse(
        path: &Path,
        bytes: &[u8],
        environment: &Environment,
    ) -> Result<Loaded, Vec<Diagnostic>> {
        parse(path, bytes, environment, true)
    }
}

fn read(path: &Path, environment: &Environment, strict: bool) -> Result<Loaded, Vec<Diagnostic>> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => parse(path, &bytes, environment, strict),
        Err(error) => Err(unreadable(path, format!("cannot be read: {error}"))),
    }
}

fn unreadable(path: &Path, problem: impl std::fmt::Display) -> Vec<Diagnostic> {
    let mark = Mark { file: path.display().to_string(), ..Mark::whole_file() };
    vec![Diagnostic::error(&code::UNREADABLE, format!("the config {problem}"), mark)]
}

fn parse(
    path: &Path,
    bytes: &[u8],
    environment: &Environment,
    strict: bool,
) -> Result<Loaded, Vec<Diagnostic>> {
    if bytes.len() as u64 > LARGEST {
        return Err(unreadable(path, "is larger than 1 MiB"));
    }
    let text = FileText::decode(bytes.to_vec())
        .map_err(|problem| unreadable(path, format!("cannot be used: {}", problem.message)))?;
    let text = Arc::new(text);
    let mut documents = split(&text).into_iter();
    let document =
        documents.next().unwrap_or(Chunk { range: 0..0, first_line: 1, content_line: None });
    let excerpt = Excerpt::unmasked(&text, &document);
    let file = path.display().to_string();
    if let Some(second) = documents.next() {
        let mark = Mark { file, line: second.first_line, column: 1, ..Mark::whole_file() };
        let message = "a config is one document, and here begins a second".to_owned();
        return Err(vec![Diagnostic::error(&code::SYNTAX, message, mark)]);
    }
    match yaml::parse(text.slice(document.range.clone())) {
        Ok(root) => {
            from_value(&root, Problems::new(&file, Some(excerpt)), path, environment, strict)
        }
        Err(failure) => {
            let mut problem = failure.diagnose(&excerpt);
            problem.code = match failure.cause {
                Cause::DuplicateKey(_) => code::DUPLICATE_KEY.id,
                _ => code::SYNTAX.id,
            };
            // Without keys there is no telling which values are secrets, so none is shown.
            for mark in problem.related.iter_mut().map(|(mark, _)| mark).chain([&mut problem.mark])
            {
                mark.text = key_alone(&mark.text);
                mark.file.clone_from(&file);
            }
            Err(vec![problem])
        }
    }
}

/// Makes a config of the values of a file that stands, or would stand, at `path`.
pub(super) fn from_value(
    root: &Value,
    problems: Problems,
    path: &Path,
    environment: &Environment,
    strict: bool,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut reader = Reader { problems, environment, strict, resolved: Vec::new() };
    let fields = reader.section(&ROOT, &Node { value: root, pointer: String::new() });
    let config = build(&mut reader, &fields, folder_of(path));
    let found = reader.problems.finish();
    if found.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(found);
    }
    Ok(Loaded { config: Config { resolved: reader.resolved, ..config }, warnings: found })
}

fn build(reader: &mut Reader<'_>, fields: &Fields, folder: &Path) -> Config {
    let no_source = Fields::new(&SOURCE, &fields.pointer);
    let source = source::build(reader, fields.fields("source").unwrap_or(&no_source), folder);
    let targets = target::build_all(reader, fields.list("targets"), folder);
    if fields.has("targets") && fields.list("targets").is_empty() {
        let problem = error(&code::BAD_VALUE, "`targets` is empty: there is nothing to do");
        reader.problems.add(&fields.place_of("targets"), problem);
    }
    let kubernetes = kubernetes::build(reader, fields, &targets, folder);
    let no_server = Fields::new(&SERVER, &fields.pointer);
    Config {
        source,
        targets,
        server: server::build(fields.fields("server").unwrap_or(&no_server)),
        notify: notify::build(reader, fields.list("notify")),
        kubernetes,
        state_dir: match fields.text("state_dir") {
            Some(text) => folder.join(&text.value),
            None => default_state_dir(reader.environment),
        },
        fingerprint_key: fields.secret("fingerprint_key"),
        resolved: Vec::new(),
    }
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
