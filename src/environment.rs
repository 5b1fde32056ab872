//! The environment that references are resolved in: variables, files named by `NAME_FILE`, and
//! `--env-file`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::secret::Sensitive;

/// Variables by name. `NAME_FILE` is read at every look-up, so that a mounted secret can rotate.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Sensitive>,
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
        /// What is wrong with it.
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
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not `NAME=value`.
    #[error("entry {entry} of the env file {path} is not of the form NAME=value")]
    Syntax {
        /// The file.
        path: String,
        /// Which entry, counted from 1.
        entry: usize,
    },
}

/// The largest file that `NAME_FILE` may name, in bytes: a secret, not a dump.
const LARGEST_FILE: u64 = 1024 * 1024;

impl Environment {
    /// Takes variables as they are, those of the process for example.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k, Sensitive::new(v))).collect();
        Self { variables }
    }

    /// Adds the variables of a dotenv file; those that are set already keep their value.
    ///
    /// # Errors
    /// The file cannot be read or has a line that is no assignment.
    pub fn add_file(&mut self, path: &Path) -> Result<(), EnvFileError> {
        let shown = || path.display().to_string();
        let read = |source| EnvFileError::Read { path: shown(), source };
        let file = std::fs::File::open(path).map_err(read)?;
        for (index, entry) in dotenvy::Iter::new(std::io::BufReader::new(file)).enumerate() {
            match entry {
                Ok((name, value)) => {
                    let unset = self.variables.get(&name).is_none_or(|v| v.expose().is_empty());
                    if unset {
                        self.variables.insert(name, Sensitive::new(value));
                    }
                }
                Err(dotenvy::Error::Io(source)) => return Err(read(source)),
                Err(_) => return Err(EnvFileError::Syntax { path: shown(), entry: index + 1 }),
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
        read_secret_file(Path::new(path.expose())).map_err(|problem| Unset::File {
            name: name.to_owned(),
            path: path.expose().to_owned(),
            problem,
        })
    }

    /// The plain text of a variable that is no secret: `STATE_DIRECTORY`, `NO_COLOR` and the like.
    #[must_use]
    pub fn plain(&self, name: &str) -> Option<&str> {
        self.set(name).map(Sensitive::expose)
    }

    fn set(&self, name: &str) -> Option<&Sensitive> {
        self.variables.get(name).filter(|value| !value.expose().is_empty())
    }
}

fn read_secret_file(path: &Path) -> Result<Sensitive, String> {
    let size = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?.len();
    if size > LARGEST_FILE {
        return Err("is larger than 1 MiB".to_owned());
    }
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            return Err("is not UTF-8".to_owned());
        }
        Err(e) => return Err(format!("cannot be read: {e}")),
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(Sensitive::new(text))
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
