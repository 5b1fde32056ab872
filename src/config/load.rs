//! Reading a config file as a whole.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::document::{Diagnostic, Severity};
use crate::environment::Environment;

use super::code;
use super::fields::Fields;
use super::keys::{ROOT, SERVER, SOURCE};
use super::problems::{Problem, Problems};
use super::reader::Reader;
use super::yaml::{self, Node, Place};
use super::{Config, kubernetes, notify, server, source, target};

/// The largest config that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A config that can be used, and what should be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// What is no error and worth a word.
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
    let mut problems = Problems::new(&path.display().to_string(), "");
    problems
        .add(Place::default(), Problem::error(&code::UNREADABLE, format!("the config {problem}")));
    problems.finish()
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
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(unreadable(path, "is not UTF-8"));
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\0') {
        return Err(unreadable(path, "holds a NUL character"));
    }
    let mut problems = Problems::new(&path.display().to_string(), text);
    let (root, duplicates) = match yaml::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Without a tree nobody knows what is a secret: no value is shown.
            problems.hide_values();
            let message = format!("this is not well-formed YAML: {}", error.message);
            problems.add(error.place, Problem::error(&code::SYNTAX, message));
            return Err(problems.finish());
        }
    };
    for (key, place, first) in duplicates {
        let shown: String = key.chars().take(60).collect();
        let message = format!("the key `{}` is here for the second time", shown.escape_debug());
        let related = vec![(first, "the first is here".to_owned())];
        problems.hide(Place { start: place.start, end: (place.end.0 + 1, 0) });
        let mut problem = Problem::error(&code::DUPLICATE_KEY, message);
        if key == "<<" {
            problem =
                problem.help("merge several mappings with one `<<` and a list: `<<: [*one, *two]`");
        }
        problems.add_related(place, problem, related);
    }
    from_tree(&root, problems, path, environment, strict)
}

/// Makes a config of the tree of a file that stands, or would stand, at `path`.
pub(super) fn from_tree(
    root: &Node,
    problems: Problems,
    path: &Path,
    environment: &Environment,
    strict: bool,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut reader = Reader { problems, environment, strict, resolved: Vec::new() };
    let fields = reader.section(&ROOT, root);
    let config = build(&mut reader, &fields, folder_of(path));
    let found = reader.problems.finish();
    if found.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(found);
    }
    Ok(Loaded { config: Config { resolved: reader.resolved, ..config }, warnings: found })
}

fn build(reader: &mut Reader<'_>, fields: &Fields, folder: &Path) -> Config {
    let no_source = Fields::new(&SOURCE, fields.place);
    let source = source::build(reader, fields.fields("source").unwrap_or(&no_source), folder);
    let targets = target::build_all(reader, fields.list("targets"), folder);
    if fields.has("targets") && fields.list("targets").is_empty() {
        let problem =
            Problem::error(&code::BAD_VALUE, "`targets` is empty: there is nothing to do");
        reader.problems.add(fields.place_of("targets"), problem);
    }
    let kubernetes = kubernetes::build(reader, fields, &targets, folder);
    let no_server = Fields::new(&SERVER, fields.place);
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

/// The folder that keeps the state where nobody says which: systemd's, else the user's.
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
