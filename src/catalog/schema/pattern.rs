//! The regular expressions of the schemas, in the dialect that editors and validators share.

/// A name of a connection that could be a step of a URL's path.
pub(super) const NAME: &str = r"^[^\s/]([^/\u0000-\u001f]*[^\s/])?$";

/// A text with a reference in it, of which nobody knows yet what it will be.
pub(super) const HOLDS_REFERENCE: &str =
    r"\$\{(env:[A-Za-z0-9_]+|var:[A-Za-z0-9_.\-]+|[A-Za-z0-9_.]+)\}";

/// The pattern of a secret field: references that no plain value comes from, and nothing else.
pub(super) const SECRET: &str = r"^(\$\{(env:[A-Za-z0-9_]+|[A-Za-z0-9_.]+)\})+$";

/// A word in any case and with or without a number behind it, as choices are compared.
pub(super) fn any_spelling(word: &str) -> String {
    let stem = word.split('(').next().unwrap_or(word);
    let mut pattern = String::new();
    for c in stem.chars() {
        if c.is_ascii_alphabetic() {
            let (upper, lower) = (c.to_ascii_uppercase(), c.to_ascii_lowercase());
            pattern.extend(['[', upper, lower, ']']);
        } else {
            pattern.push(c);
        }
    }
    pattern.push_str(r"(\([0-9]+\))?");
    pattern
}
