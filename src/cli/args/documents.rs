//! The arguments of the commands about documents: `validate`, `init`, `export`,
//! `explain`, `schema`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The form in which problems are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ValidateOutput {
    /// For people at a terminal, with the source lines.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
    /// Workflow commands that GitHub shows beside the lines.
    Github,
}

/// The arguments of `validate`.
#[derive(Args, Clone, Debug)]
pub struct ValidateArgs {
    /// Files and folders to check, as they are on disk; without any, what the config's targets
    /// read.
    #[arg(value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Check the files of this commit instead of those on disk.
    #[arg(long, value_name = "REV", conflicts_with = "files")]
    pub rev: Option<String>,
    /// Only what this target of the config reads (repeatable).
    #[arg(long = "target", value_name = "NAME", conflicts_with = "files")]
    pub targets: Vec<String>,
    /// Take warnings for errors.
    #[arg(long)]
    pub strict: bool,
    /// The form of the problems.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: ValidateOutput,
}

/// The arguments of `export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Write into this folder, one file for each connection, instead of to stdout.
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// Write one file with all documents.
    #[arg(long, requires = "dir")]
    pub single_file: bool,
    /// Only connections of this type (repeatable).
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only connections whose name matches, without regard to case (repeatable).
    #[arg(long = "name", value_name = "GLOB")]
    pub names: Vec<String>,
    /// Also write the fields that hold their documented default.
    #[arg(long)]
    pub full: bool,
    /// Overwrite files that exist.
    #[arg(long)]
    pub force: bool,
    /// The target to read; needed where the config has several.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
}

/// The arguments of `init`. The flags of a single target say what it writes.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// The target's name.
    #[arg(long, value_name = "NAME", default_value = "prod")]
    pub target: String,
}

/// The arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// A connection type or a field of one, `config`, `x-gitops`, `rules`, or the code of a problem,
    /// AG303 for example; without it, all types are listed.
    #[arg(value_name = "TYPE[.FIELD]|config|x-gitops|rules|CODE")]
    pub subject: Option<String>,
}

/// The arguments of `schema`.
#[derive(Args, Clone, Debug)]
pub struct SchemaArgs {
    /// A connection type, or `config`; without it, the schema of any document.
    #[arg(value_name = "TYPE|config")]
    pub subject: Option<String>,
}
