//! Where the lines of a plan at a terminal begin, and how they end.

/// Where the lines below the head of a change begin.
pub(super) const INDENT: usize = 6;

/// Ends a line, without blanks at its end.
pub(super) fn line(out: &mut String, text: impl AsRef<str>) {
    out.push_str(text.as_ref().trim_end());
    out.push('\n');
}
