//! The changes that `pull` makes to files, and the list of what it does not write.

use serde_json::{Value, json};
use similar::TextDiff;

use super::style::Role;
use super::{FORMAT_VERSION, Style, escape, line};
use crate::pull::NotWritten;

/// One file that is changed, or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileChange {
    /// Its path in the repository.
    pub path: String,
    /// The text that it had; `None`: it is new.
    pub before: Option<String>,
    /// The text that it has then.
    pub after: String,
}

impl FileChange {
    /// The difference in the form that git shows it in.
    fn diff(&self) -> String {
        let before = self.before.as_deref().unwrap_or_default();
        let old =
            self.before.as_ref().map_or("/dev/null".to_owned(), |_| format!("a/{}", self.path));
        let diff = TextDiff::from_lines(before, &*self.after);
        diff.unified_diff().header(&old, &format!("b/{}", self.path)).to_string()
    }
}

/// The differences of the files, and the list of what is not written.
pub(crate) fn text(files: &[FileChange], not_written: &[NotWritten], style: &Style) -> String {
    let mut out = String::new();
    for shown in files.iter().flat_map(|file| diff_lines(&file.diff())) {
        let role = match shown.get(..1) {
            Some("+") => Role::Added,
            Some("-") => Role::Removed,
            _ => Role::Aside,
        };
        out.push_str(&if shown.starts_with(' ') { shown } else { style.paint(role, shown) });
        out.push('\n');
    }
    for one in not_written {
        let field = one.field.as_ref().map_or(String::new(), |field| format!(".{field}"));
        let place = format!("{}: {} {}{field}", one.target, one.type_name, one.name);
        let shown = escape::plain(&format!("not written: {place}: {}", one.reason));
        line(&mut out, style.paint(Role::Attention, shown));
    }
    out
}

/// The lines of a difference, in which nothing can move a cursor.
fn diff_lines(diff: &str) -> Vec<String> {
    diff.split_terminator('\n').map(|line| escape::plain(line.trim_end_matches('\r'))).collect()
}

/// The same for programs.
pub(crate) fn json(
    files: &[FileChange],
    not_written: &[NotWritten],
    redact: &dyn Fn(&str) -> String,
) -> Value {
    let files = files.iter().map(
        |file| json!({ "path": file.path, "new": file.before.is_none(), "diff": redact(&file.diff()) }),
    );
    json!({
        "format_version": FORMAT_VERSION,
        "files": files.collect::<Vec<_>>(),
        "not_written": not_written,
    })
}
