//! The single target that needs no file: flags become the values that a file would hold.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::load::from_value;
use crate::config::problems::{Problems, error};
use crate::config::{Config, FILE_NAME, Resolve};
use crate::diagnostic::{Diagnostic, code};
use crate::environment::Environment;

/// The flags of the single target.
#[derive(Clone, Debug, Default)]
pub struct FlagSource {
    /// `--repo`; `None`: the current folder.
    pub repo: Option<PathBuf>,
    /// `--path`, in order; none: `connections`.
    pub paths: Vec<String>,
    /// `--url`.
    pub url: Option<String>,
    /// `--project`.
    pub project: Option<String>,
}

impl super::Config {
    /// Makes the config of one target called `default`, whose credentials are `APINIZER_TOKEN`,
    /// or else `APINIZER_USERNAME` and `APINIZER_PASSWORD`.
    ///
    /// # Errors
    /// The flags are incomplete, or one of them cannot be used.
    pub fn from_flags(
        flags: &FlagSource,
        environment: &Environment,
    ) -> Result<Config, Vec<Diagnostic>> {
        let mut problems = Problems::new("command line", None);
        for (flag, missing) in
            [("--url", flags.url.is_none()), ("--project", flags.project.is_none())]
        {
            if missing {
                let message = format!("there is no config, and no `{flag}` either");
                let help = format!("give --url and --project, or write {FILE_NAME}");
                problems.add("", error(&code::CONFIG_MISSING_KEY, message).help(help));
            }
        }
        if flags.url.is_none() || flags.project.is_none() {
            return Err(problems.finish(&[]));
        }
        let repo = flags.repo.as_deref().unwrap_or(Path::new("."));
        let mut target = json!({"name": "default", "url": flags.url, "project": flags.project});
        for (key, name) in credentials(environment) {
            target[*key] = json!(format!("${{env:{name}}}"));
        }
        if !flags.paths.is_empty() {
            target["paths"] = json!(flags.paths);
        }
        let root = json!({"targets": [target]});
        // `--repo` is the folder that a file would be in, so that a `${` in it stays text.
        from_value(&root, problems, &repo.join(FILE_NAME), environment, Resolve::All)
    }
}

/// The keys of the credentials with the variables that hold them.
fn credentials(environment: &Environment) -> &'static [(&'static str, &'static str)] {
    let is_set = |name| environment.lookup(name).is_ok();
    if !is_set("APINIZER_TOKEN") && is_set("APINIZER_USERNAME") {
        &[("username", "APINIZER_USERNAME"), ("password", "APINIZER_PASSWORD")]
    } else {
        &[("token", "APINIZER_TOKEN")]
    }
}
