//! `init`: writes a config and an example document for one target.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::CommandError;
use super::context::Context;
use crate::config::{Config, FILE_NAME, Resolve};
use crate::export::files::{self, ExportFile, SCHEMA_LINE};
use crate::report::exit::DONE;

/// The name of the example document.
const EXAMPLE: &str = "example.yaml";

/// The variable that the example document takes its password from.
const EXAMPLE_PASSWORD: &str = "EXAMPLE_SMTP_PASSWORD";

/// The folder of the documents where none is named.
const FOLDER: &str = "connections";

/// Runs `init`.
///
/// # Errors
/// Something is not known and nobody can be asked, a file exists, or an answer cannot be used.
pub fn run(target: &str, context: &Context) -> Result<u8, CommandError> {
    let file = context.global.config.clone().unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    if is_there(&file) {
        return Err(exists(&file));
    }
    let flags = context.flags();
    let url = answer(flags.url, "--url", "URL of the Manager, https://...")?;
    let project = answer(flags.project, "--project", "Apinizer project")?;
    let paths = if flags.paths.is_empty() { vec![FOLDER.to_owned()] } else { flags.paths };
    // In a config a path is relative to its folder, and as a flag to the current one.
    let folder = file.parent().unwrap_or(Path::new(""));
    let repository = match context.global.repo.clone() {
        Some(named) if folder != Path::new("") => {
            std::path::absolute(&named).map_err(CommandError::at("cannot use", &named))?
        }
        named => named.unwrap_or_else(|| PathBuf::from(".")),
    };
    let root = folder.join(&repository);
    let root = root.strip_prefix(".").unwrap_or(&root);
    let text = config(target, &url, &project, &repository, &paths)?;
    Config::parse(&file, text.as_bytes(), &context.environment, Resolve::Known)
        .map_err(CommandError::Problems)?;
    let documents = paths.first().map(|path| root.join(path)).unwrap_or_default();
    let is_empty = !is_there(&documents)
        || std::fs::read_dir(&documents).is_ok_and(|mut entries| entries.next().is_none());
    for path in &paths {
        let folder = root.join(path);
        std::fs::create_dir_all(&folder).map_err(CommandError::at("cannot make", &folder))?;
    }
    put(&file, text, context)?;
    if is_empty {
        put(&documents.join(EXAMPLE), example(), context)?;
        files::write_schema(&documents).map_err(CommandError::failed)?;
    } else {
        context.say(&format!("{} already holds files: no example is written", documents.display()));
    }
    let more = if is_empty { format!(" and {EXAMPLE_PASSWORD}") } else { String::new() };
    let begin = if is_in_repository(root) { "" } else { "`git init`, " };
    context.say(&format!(
        "Next: {begin}commit them, set APINIZER_TOKEN{more}, and run `apinizer-gitops plan`.\n\
         `apinizer-gitops export --dir` writes what is live.",
    ));
    Ok(DONE)
}

/// Whether a folder, or one above it, is a git repository.
fn is_in_repository(folder: &Path) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.canonicalize().is_ok_and(|folder| folder.ancestors().any(|up| up.join(".git").exists()))
}

fn exists(path: &Path) -> CommandError {
    CommandError::WithHint(
        format!("{} exists, and is not overwritten", path.display()),
        "name another file with --config, or edit that one".to_owned(),
    )
}

/// Writes a new file; nothing where one of that name exists.
fn put(path: &Path, text: String, context: &Context) -> Result<(), CommandError> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files::write(folder, &[ExportFile { name, text }], false).map_err(|error| match error {
        files::WriteError::Exist(_) => exists(path),
        error => CommandError::failed(error),
    })?;
    context.say(&format!("wrote {}", path.display()));
    Ok(())
}

/// The value of a flag, or the answer to a question at the terminal.
fn answer(given: Option<String>, flag: &str, question: &str) -> Result<String, CommandError> {
    if let Some(given) = given {
        return Ok(given);
    }
    let mut answer = String::new();
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        super::context::say(&format!("{question}:"));
        io::stdin().lock().read_line(&mut answer).map_err(CommandError::failed)?;
    }
    match answer.trim() {
        "" => Err(CommandError::WithHint(
            format!("the {question} is not known"),
            format!("give it with {flag}"),
        )),
        answer => Ok(answer.to_owned()),
    }
}

fn config(
    target: &str,
    url: &str,
    project: &str,
    repository: &Path,
    paths: &[String],
) -> Result<String, CommandError> {
    let quoted = |text: &str| serde_json::to_string(text).map_err(CommandError::failed);
    let paths = paths.iter().map(|path| quoted(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(format!(
        "# `apinizer-gitops explain config` lists all keys.\n\
         source:\n  path: {}\n\
         targets:\n  - name: {}\n    url: {}\n    project: {}\n    \
         # The token comes from the environment, or from the file that APINIZER_TOKEN_FILE names.\n    \
         token: ${{env:APINIZER_TOKEN}}\n    \
         paths: [{}]\n",
        quoted(&repository.display().to_string())?,
        quoted(target)?,
        quoted(url)?,
        quoted(project)?,
        paths.join(", ")
    ))
}

fn example() -> String {
    format!(
        "{SCHEMA_LINE}\
         # An example: replace it by connections of your own. `apinizer-gitops explain email` lists\n\
         # the fields.\n\
         type: email\n\
         name: example-mails\n\
         host: smtp.example.com\n\
         port: 587\n\
         auth: true\n\
         username: gateway\n\
         # A secret is never written into git: its value comes from the environment.\n\
         password: ${{env:{EXAMPLE_PASSWORD}}}\n"
    )
}
