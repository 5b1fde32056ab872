//! The single target that needs no file: flags become the tree that a file would be.

use std::path::{Path, PathBuf};

use crate::document::Diagnostic;
use crate::environment::Environment;

use super::FILE_NAME;
use super::load::from_tree;
use super::problems::{Problem, Problems};
use super::yaml::{Entry, Node, Place, Value};
use super::{Loaded, code};

/// What the flags of the single target say.
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
    /// What the flags lack, or what of them cannot be used.
    pub fn from_flags(
        flags: &FlagSource,
        environment: &Environment,
    ) -> Result<Loaded, Vec<Diagnostic>> {
        let mut problems = Problems::new("command line", "");
        for (flag, missing) in
            [("--url", flags.url.is_none()), ("--project", flags.project.is_none())]
        {
            if missing {
                let message = format!("there is no config, and no `{flag}` either");
                let help = format!("give --url and --project, or write {FILE_NAME}");
                let problem = Problem::error(&code::MISSING_KEY, message).help(help);
                problems.add(Place::default(), problem);
            }
        }
        if flags.url.is_none() || flags.project.is_none() {
            return Err(problems.finish());
        }
        let repo = flags.repo.as_deref().unwrap_or(Path::new("."));
        let mut target = vec![entry("name", text("default"))];
        target.extend(flags.url.iter().map(|url| entry("url", text(url))));
        target.extend(flags.project.iter().map(|project| entry("project", text(project))));
        target.extend(
            credentials(environment)
                .iter()
                .map(|(key, name)| entry(key, text(&format!("${{env:{name}}}")))),
        );
        if !flags.paths.is_empty() {
            let paths = flags.paths.iter().map(|path| text(path)).collect();
            target.push(entry("paths", node(Value::List(paths))));
        }
        let targets = node(Value::List(vec![node(Value::Map(target))]));
        let root = node(Value::Map(vec![entry("targets", targets)]));
        // `--repo` is the folder that a file would be in, so that a `${` in it stays text.
        from_tree(&root, problems, &repo.join(FILE_NAME), environment, true)
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

fn node(value: Value) -> Node {
    Node { value, place: Place::default() }
}

fn text(text: &str) -> Node {
    node(Value::Scalar { text: text.to_owned(), plain: false })
}

fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), place: Place::default(), value }
}
