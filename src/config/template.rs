//! The text of a notification as somebody wants it: words with `{placeholders}`.

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The word for what happened.
    Event,
    /// The target's name.
    Target,
    /// The Apinizer project.
    Project,
    /// The Manager's URL.
    Url,
    /// How the reconcile ended.
    State,
    /// The beginning of the commit's id.
    Commit,
    /// The first line of its message.
    Subject,
    /// Who wrote it.
    Author,
    /// The built-in text.
    Message,
}

impl Placeholder {
    const ALL: [(&str, Self); 9] = [
        ("event", Self::Event),
        ("target", Self::Target),
        ("project", Self::Project),
        ("url", Self::Url),
        ("state", Self::State),
        ("commit", Self::Commit),
        ("subject", Self::Subject),
        ("author", Self::Author),
        ("message", Self::Message),
    ];
}

impl Template {
    /// Reads a template; `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// What of it is no placeholder.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let name = rest.split_once('}').filter(|_| brace == "{");
            let Some((name, after)) = name else {
                return Err(format!("has a `{brace}` that stands alone; write `{brace}{brace}`"));
            };
            let known = Placeholder::ALL.into_iter().find(|(known, _)| *known == name);
            let Some((_, placeholder)) = known else {
                return Err("has a placeholder that does not exist".to_owned());
            };
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Placeholder(placeholder));
            rest = after;
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// The text, with the placeholders filled in.
    #[must_use]
    pub fn fill(&self, value: impl Fn(Placeholder) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Placeholder(placeholder) => value(*placeholder),
        };
        self.0.iter().map(part).collect()
    }

    /// The placeholders that there are, in words.
    #[must_use]
    pub fn placeholders() -> String {
        Placeholder::ALL.map(|(name, _)| format!("{{{name}}}")).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_braces_stay() {
        let template = Template::parse("{{{target}}} {event}: {message}}}").unwrap();
        let filled = template.fill(|placeholder| format!("<{placeholder:?}>"));
        assert_eq!(filled, "{<Target>} <Event>: <Message>}");
        assert_eq!(Template::parse("").unwrap().fill(|_| String::new()), "");
    }

    #[test]
    fn what_is_no_placeholder_is_refused() {
        for text in ["{nope}", "{target", "target}", "{}", "{ target }", "{"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
