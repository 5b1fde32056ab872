//! The environment that references are resolved in: variables, files named by `NAME_FILE`, and
//! `--env-file`.

mod dotenv;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{Error as IoError, ErrorKind, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use self::dotenv::Problem;
use crate::secret::Sensitive;

/// Variables by name. `NAME_FILE` is read at every look-up, so that a mounted secret can rotate.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Sensitive>,
    /// The variables whose file was found to begin with a byte-order mark: told once.
    with_mark: Arc<Mutex<BTreeSet<String>>>,
}

/// Why a name has no value; the text never holds one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unset {
    /// Neither `NAME` nor `NAME_FILE` is set to anything.
    #[error("the environment has no {0} (nor {0}_FILE)")]
    Missing(String),
    /// `NAME_FILE` names a file that cannot be used.
    #[error("{name}_FILE names `{path}`, which {problem}")]
    File {
        /// The variable.
        name: String,
        /// The file.
        path: String,
        /// The problem with it.
        problem: String,
    },
}

/// Why `--env-file` cannot be used; the text never holds a line of the file.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It cannot be opened or read.
    #[error("cannot read the env file {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The system's error.
        source: IoError,
    },
    /// A line is not `NAME=value`.
    #[error("line {line} of the env file {path} is not of the form NAME=value")]
    Syntax {
        /// The file.
        path: String,
        /// Which line, counted from 1.
        line: usize,
    },
    /// A value holds a `$` that other programs replace with the value of a variable.
    #[error(
        "the value of {name} on line {line} of the env file {path} holds a `$`, which stands for \
         itself in single quotes only: write {name}='...', or `\\$` for each"
    )]
    Dollar {
        /// The file.
        path: String,
        /// Which line, counted from 1.
        line: usize,
        /// The variable.
        name: String,
    },
    /// A variable is given twice.
    #[error(
        "the env file {path} gives {name} on line {first} and again on line {line}: remove one of \
         the two"
    )]
    Twice {
        /// The file.
        path: String,
        /// The line of the first value, counted from 1.
        first: usize,
        /// The line of the second one.
        line: usize,
        /// The variable.
        name: String,
    },
}

/// The largest file that `NAME_FILE` or `--env-file` may name, in bytes: secrets, not a dump.
const LARGEST_FILE: u64 = 1024 * 1024;

impl Environment {
    /// Takes variables as they are, those of the process for example.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k, Sensitive::new(v))).collect();
        Self { variables, with_mark: Arc::default() }
    }

    /// Adds the variables of a dotenv file; those that are set already keep their value.
    ///
    /// # Errors
    /// The file cannot be read, has a line that is no assignment, or a value that could be meant
    /// otherwise than it is written.
    pub fn add_file(&mut self, path: &Path) -> Result<(), EnvFileError> {
        let shown = || path.display().to_string();
        // It need not be a regular file: shells give what a command writes as a pipe.
        let text = File::open(path)
            .and_then(read_bounded)
            .map_err(|source| EnvFileError::Read { path: shown(), source })?;
        let entries = dotenv::parse(&text).map_err(|problem| match problem {
            Problem::Syntax { line } => EnvFileError::Syntax { path: shown(), line },
            Problem::Dollar { line, name } => EnvFileError::Dollar { path: shown(), line, name },
            Problem::Twice { first, line, name } => {
                EnvFileError::Twice { path: shown(), first, line, name }
            }
        })?;
        for (name, value) in entries {
            let unset = self.variables.get(&name).is_none_or(|v| v.expose().is_empty());
            if unset {
                self.variables.insert(name, Sensitive::new(value));
            }
        }
        Ok(())
    }

    /// The value of `NAME`, else the content of the file that `NAME_FILE` names less one
    /// trailing newline. An empty one counts as unset.
    ///
    /// # Errors
    /// There is no value, or the file cannot be read.
    pub fn lookup(&self, name: &str) -> Result<Sensitive, Unset> {
        if let Some(value) = self.set(name) {
            return Ok(value.clone());
        }
        let Some(path) = self.set(&format!("{name}_FILE")) else {
            return Err(Unset::Missing(name.to_owned()));
        };
        let file = || path.expose().to_owned();
        let (value, has_mark) = read_secret_file(Path::new(path.expose()))
            .map_err(|problem| Unset::File { name: name.to_owned(), path: file(), problem })?;
        if has_mark && self.with_mark.lock().is_ok_and(|mut told| told.insert(name.to_owned())) {
            let file = file();
            tracing::warn!(
                file,
                "the file that {name}_FILE names begins with a byte-order mark, which is ignored"
            );
        }
        Ok(value)
    }

    /// The plain text of a variable that is no secret: `STATE_DIRECTORY`, `NO_COLOR` and the like.
    pub fn plain(&self, name: &str) -> Option<&str> {
        self.set(name).map(Sensitive::expose)
    }

    fn set(&self, name: &str) -> Option<&Sensitive> {
        self.variables.get(name).filter(|value| !value.expose().is_empty())
    }
}

/// The content of a file less one trailing newline and a byte-order mark at its head, which editors
/// of Windows write; and whether it had that mark.
fn read_secret_file(path: &Path) -> Result<(Sensitive, bool), String> {
    let unreadable = |error: IoError| match error.kind() {
        ErrorKind::FileTooLarge => "is larger than 1 MiB".to_owned(),
        ErrorKind::InvalidData => "is not UTF-8".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Before it is opened: opening a pipe waits for a writer.
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err("is no regular file".to_owned());
    }
    let text = File::open(path).and_then(read_bounded).map_err(unreadable)?;
    let without_mark = text.strip_prefix('\u{feff}');
    let value = without_mark.unwrap_or(&text);
    let value =
        value.strip_suffix('\n').map_or(value, |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok((Sensitive::new(value.to_owned()), without_mark.is_some()))
}

/// Reads a file whatever it says of its size, which for a device is nothing.
fn read_bounded(file: File) -> Result<String, IoError> {
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(IoError::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| IoError::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
