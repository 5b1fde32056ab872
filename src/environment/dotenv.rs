//! Lines of `NAME=value`, as `--env-file` takes them.
//!
//! Programs that read such files differ in one thing that matters: what a `$` means. Some put the
//! value of a variable in its place, others take it as it is, and a secret may well hold one. So
//! it is refused wherever they differ, and nobody sends half a password.

/// One variable of a file.
pub(super) type Entry = (String, String);

/// Why a file cannot be read, without a word of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// A line is not `NAME=value`.
    Syntax { line: usize },
    /// The value of a variable holds a `$` that is not in single quotes.
    Dollar { line: usize, name: String },
}

/// Reads a text to its end. The parser puts values in the place of `$name` and cannot be told not to,
/// so the text is read once more with another character for each `$`: what differs was put there.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(stand_in) = ('\u{e000}'..'\u{f8ff}').find(|c| !text.contains(*c)) else {
        return Err(Problem::Syntax { line: 1 });
    };
    // Blanks behind a value are none of it, but at the very end the parser takes them for a mistake.
    let text = &format!("{}\n", text.trim_end());
    // To the parser it joins two lines, to others it is the end of a password.
    let is_cut = |line: &str| {
        let escapes = line.len() - line.trim_end_matches('\\').len();
        escapes % 2 == 1 && !line.trim_start().starts_with('#')
    };
    if let Some(index) = text.lines().position(is_cut) {
        return Err(Problem::Syntax { line: index + 1 });
    }
    let as_written = without_dollars(text, stand_in);
    let mut as_read = dotenvy::Iter::new(text.as_bytes());
    let mut entries = Vec::new();
    for entry in dotenvy::Iter::new(as_written.as_bytes()) {
        let (name, value) =
            entry.map_err(|error| Problem::Syntax { line: line_of(&error, &as_written) })?;
        let value = value.replace(stand_in, "$");
        if !matches!(as_read.next(), Some(Ok((_, read))) if read == value) {
            let assigns = |line: &str| {
                let line = line.trim_start();
                let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
                let rest = line.strip_prefix(&name).map(str::trim_start);
                rest.is_some_and(|rest| rest.starts_with('=')) && line.contains('$')
            };
            let line = text.lines().position(assigns).map_or(1, |index| index + 1);
            return Err(Problem::Dollar { line, name });
        }
        entries.push((name, value));
    }
    Ok(entries)
}

/// The line on which the parser gave up.
fn line_of(error: &dotenvy::Error, text: &str) -> usize {
    let begins = match error {
        dotenvy::Error::LineParse(line, _) => text.find(line.as_str()),
        _ => None,
    };
    text.get(..begins.unwrap_or_default()).unwrap_or_default().matches('\n').count() + 1
}

/// The text with a stand-in for each `$` that no `\` escapes.
fn without_dollars(text: &str, stand_in: char) -> String {
    let mut is_escaped = false;
    let replaced = text.chars().map(|c| {
        let escapes = c == '\\' && !is_escaped;
        let shown = if c == '$' && !is_escaped { stand_in } else { c };
        is_escaped = escapes;
        shown
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_that_are_written() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("  export A=b", "b"),
            ("A=b\r\n", "b"),
            ("\u{feff}A=b # c $d", "b"),
            ("# c\n\nA=b#c\n", "b#c"),
            ("A=b=c", "b=c"),
            ("A=", ""),
            ("A= # c", ""),
            ("A='a $b \\n \"c\"'", "a $b \\n \"c\""),
            ("A='$a'\"b c\"d", "$ab cd"),
            ("A=\"a \\\"b\\\" \\$c\\n\"", "a \"b\" $c\n"),
            ("A=a\\ b\\$c\\\\", "a b$c\\"),
            ("# c\\\nA=b", "b"),
            ("A=\"a\nb\"", "a\nb"),
            ("A='a\nb' # c", "a\nb"),
            ("A=ü`id`", "ü`id`"),
        ] {
            assert_eq!(parse(text), Ok(vec![("A".to_owned(), value.to_owned())]), "{text}");
        }
        let two = parse("export=1\nB.c_2='x'").unwrap();
        assert_eq!(two, [("export".into(), "1".into()), ("B.c_2".into(), "x".into())]);
    }

    #[test]
    fn a_dollar_is_refused_where_programs_differ_about_it() {
        for value in ["pa$word", "$word", "pa$", "${A}", "a$$b", "\"a$b\"", "'a'$b", "$(id)"] {
            let text = format!("A='\n'\nPW={value}\n");
            assert_eq!(parse(&text), Err(Problem::Dollar { line: 3, name: "PW".into() }), "{text}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_refused_with_its_line() {
        for line in [
            "a",
            "=b",
            "1=b",
            "A b",
            "A=b c",
            "A='b",
            "A=\"b",
            "A='it\\'s'",
            "A=\\x",
            "A=b\\",
            "export",
            "A-B=c",
        ] {
            assert_eq!(parse(&format!("X=y\n{line}")), Err(Problem::Syntax { line: 2 }), "{line}");
        }
    }
}
