//! The context of every verb: the global flags, the environment, and where output goes.

use std::io::{self, BufRead as _, ErrorKind, IsTerminal, Write as _};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tracing::warn;

use super::CommandError;
use super::args::{Color, GlobalArgs, LogFormat};
use crate::api::RetryPolicy;
use crate::audit::Asked;
use crate::config::{Config, FILE_NAME, FlagSource, Location, Resolve};
use crate::document::Diagnostic;
use crate::environment::Environment;
use crate::report::{Style, diagnostics, escape};

/// The context of every verb.
#[derive(Clone)]
pub struct Context {
    /// The flags that every command takes.
    pub global: GlobalArgs,
    /// The environment, with the variables of `--env-file`.
    pub environment: Environment,
    /// Why something could not be written to stdout.
    unwritten: Arc<OnceLock<String>>,
}

impl Context {
    /// Takes flags and an environment as they are.
    pub fn with_environment(global: GlobalArgs, environment: Environment) -> Self {
        Self { global, environment, unwritten: Arc::default() }
    }

    /// Takes the environment of the process and the files of `--env-file`.
    ///
    /// # Errors
    /// Such a file cannot be used.
    pub fn new(
        global: GlobalArgs,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, CommandError> {
        let mut environment = Environment::new(variables);
        for file in &global.env_files {
            environment.add_file(file).map_err(CommandError::Failed)?;
        }
        Ok(Self::with_environment(global, environment))
    }

    /// Reads the config: the flags of the single target, else the file that is named, else the
    /// file of the current folder. Its warnings go to stderr.
    ///
    /// # Errors
    /// The problems of the file.
    pub fn config(&self) -> Result<Config, CommandError> {
        let mut config = self.load_config(Resolve::All).map_err(CommandError::Problems)?;
        let is_text = self.global.log_format == LogFormat::Text;
        if !config.warnings.is_empty() && !self.global.quiet && is_text {
            self.say(&diagnostics::text(&config.warnings, &self.style_stderr()));
        } else {
            // A log in JSON has no other lines.
            config.warnings.iter().for_each(|problem| warn!("{problem}"));
        }
        if let Some(folder) = &self.global.state_dir {
            config.state_dir.clone_from(folder);
        }
        if let Some(repository) = &self.global.repo {
            config.source.location = Location::Path(repository.clone());
            config.source.as_written = repository.display().to_string();
        }
        Ok(config)
    }

    /// Reads the config as it is, without the flags that overrule keys of it.
    pub(super) fn load_config(&self, resolve: Resolve) -> Result<Config, Vec<Diagnostic>> {
        match self.config_path() {
            Some(path) => Config::load(&path, &self.environment, resolve),
            None => Config::from_flags(&self.flags(), &self.environment),
        }
    }

    /// The config file that counts, if one does.
    pub fn config_path(&self) -> Option<PathBuf> {
        let by_flags = self.global.url.is_some() || self.global.project.is_some();
        let here = PathBuf::from(FILE_NAME);
        match &self.global.config {
            _ if by_flags => None,
            Some(path) => Some(path.clone()),
            None if here.is_file() => Some(here),
            None => None,
        }
    }

    /// Who runs this command, for the audit trail.
    pub fn asked(&self, cause: &str) -> Asked {
        let named = |name| self.environment.plain(name);
        let user = named("USER").or_else(|| named("LOGNAME")).map(str::to_owned);
        let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
        let host = rustix::system::uname();
        let by = format!("{user}@{}", host.nodename().to_string_lossy());
        Asked { cause: cause.to_owned(), by: Some(by) }
    }

    /// The flags of the single target.
    pub fn flags(&self) -> FlagSource {
        FlagSource {
            repo: self.global.repo.clone(),
            paths: self.global.paths.clone(),
            url: self.global.url.clone(),
            project: self.global.project.clone(),
        }
    }

    /// How reports are shown on stdout.
    pub fn style(&self) -> Style {
        self.style_on(&io::stdout())
    }

    /// How problems, plans that are asked about and progress are shown on stderr.
    pub fn style_stderr(&self) -> Style {
        self.style_on(&io::stderr())
    }

    fn style_on(&self, stream: &(impl AsFd + IsTerminal)) -> Style {
        let columns = self.environment.plain("COLUMNS").and_then(|c| c.parse().ok());
        let size = || rustix::termios::tcgetwinsize(stream).ok();
        let of_terminal = || size().map(|size| size.ws_col.into()).filter(|c| *c > 0);
        let is_terminal = stream.is_terminal();
        Style {
            color: self.colors(is_terminal),
            width: columns.or_else(of_terminal).unwrap_or(80),
            is_terminal,
            verbose: self.global.verbose > 0,
            ..Style::default()
        }
    }

    fn colors(&self, is_terminal: bool) -> bool {
        match self.global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                is_terminal
                    && self.environment.plain("NO_COLOR").is_none()
                    && self.environment.plain("TERM") != Some("dumb")
            }
        }
    }

    /// Writes a result to stdout. [`Context::written`] says whether that could be done: a command
    /// goes on where it could not, since its work is worth more than the report of it.
    pub fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        match write!(out, "{text}{end}").and_then(|()| out.flush()) {
            // A reader that left, `head` for example, has all that it wants.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.unwritten.get_or_init(|| error.to_string());
            }
            _ => {}
        }
    }

    /// Whether all results are written.
    ///
    /// # Errors
    /// A result could not be written, so its reader has not all of them.
    pub fn written(&self) -> Result<(), CommandError> {
        let Some(problem) = self.unwritten.get() else { return Ok(()) };
        Err(CommandError::Failed(format!("cannot write to stdout: {problem}")))
    }

    /// How calls are made again. On a terminal the person who waits is told of it.
    pub fn retries(&self) -> RetryPolicy {
        let tells = !self.global.quiet && io::stderr().is_terminal();
        RetryPolicy { tell: tells.then_some(say), ..RetryPolicy::command() }
    }

    /// Writes JSON to stdout.
    pub fn print_json(&self, value: &serde_json::Value) {
        self.print(&format!("{value:#}"));
    }

    /// Says something to the person at stderr.
    pub fn say(&self, text: &str) {
        say(text);
    }

    /// Says one line, which may hold texts of a server or a file.
    pub fn say_line(&self, line: &str) {
        say(&escape::plain(line));
    }
}

/// Makes sure that a person can be asked.
pub(super) fn needs_terminal(hint: &str) -> Result<(), CommandError> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        return Ok(());
    }
    Err(CommandError::WithHint("there is no terminal to ask on".to_owned(), hint.to_owned()))
}

/// Waits for the answer to a question that was shown.
pub(super) fn says_yes() -> Result<bool, CommandError> {
    say("Type `yes` to go on; anything else ends.");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(CommandError::failed)?;
    Ok(answer.trim() == "yes")
}

pub(super) fn say(text: &str) {
    let mut err = io::stderr().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(err, "{text}{end}").and_then(|()| err.flush());
}
