//! Builders that make the files of data read like tables, and what the data says: which words a choice allows,
//! and whether a condition holds.

use std::fmt;

use serde_json::{Map, Value};

use super::{
    Choices, Condition, ConnectionType, Default, Fact, Field, HiddenPlace, Kind, Required, Secrecy,
};

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            required: Required::No,
            default: None,
            disputed: None,
            secrecy: Secrecy::Plain,
            used: None,
            filled_by_server: false,
            fact: Fact::Both,
            about: "",
        }
    }

    pub(super) const fn text(name: &'static str) -> Self {
        Self::new(name, Kind::Text)
    }

    pub(super) const fn boolean(name: &'static str) -> Self {
        Self::new(name, Kind::Boolean)
    }

    /// A boolean whose default is documented.
    pub(super) const fn flag(name: &'static str, default: bool) -> Self {
        Self::boolean(name).with_default(Default::Boolean(default))
    }

    pub(super) const fn int32(name: &'static str) -> Self {
        Self::new(name, Kind::Integer { min: i32::MIN as i64, max: i32::MAX as i64 })
    }

    pub(super) const fn int64(name: &'static str) -> Self {
        Self::new(name, Kind::Integer { min: i64::MIN, max: i64::MAX })
    }

    pub(super) const fn port(name: &'static str, default: i64) -> Self {
        Self::new(name, Kind::Integer { min: 1, max: u16::MAX as i64 }).default_integer(default)
    }

    /// A choice on which both documents agree word for word.
    pub(super) const fn choice(name: &'static str, words: &'static [&'static str]) -> Self {
        Self::new(name, Kind::Choice(Choices { guide: words, openapi: words }))
    }

    /// A choice that the documents spell or list differently.
    pub(super) const fn disputed_choice(
        name: &'static str,
        guide: &'static [&'static str],
        openapi: &'static [&'static str],
    ) -> Self {
        Self::new(name, Kind::Choice(Choices { guide, openapi }))
    }

    pub(super) const fn bytes(name: &'static str) -> Self {
        Self::new(name, Kind::Bytes)
    }

    pub(super) const fn list(name: &'static str, item: &'static Kind) -> Self {
        Self::new(name, Kind::List(item))
    }

    pub(super) const fn set(name: &'static str, item: &'static Kind) -> Self {
        Self::new(name, Kind::Set(item))
    }

    pub(super) const fn object(name: &'static str, fields: &'static [Field]) -> Self {
        Self::new(name, Kind::Object(fields))
    }

    pub(super) const fn map(name: &'static str, value: &'static Kind) -> Self {
        Self::new(name, Kind::Map(value))
    }

    pub(super) const fn any(name: &'static str) -> Self {
        Self::new(name, Kind::Any)
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = Required::Always;
        self
    }

    pub(super) const fn required_by_the_guide(mut self) -> Self {
        self.required = Required::Disputed;
        self
    }

    pub(super) const fn required_when(mut self, condition: Condition) -> Self {
        self.required = Required::When(condition);
        self
    }

    const fn with_default(mut self, default: Default) -> Self {
        self.default = Some(default);
        self
    }

    pub(super) const fn default_integer(self, default: i64) -> Self {
        self.with_default(Default::Integer(default))
    }

    pub(super) const fn default_text(self, default: &'static str) -> Self {
        self.with_default(Default::Text(default))
    }

    pub(super) const fn default_empty_list(self) -> Self {
        self.with_default(Default::EmptyList)
    }

    pub(super) const fn default_empty_map(self) -> Self {
        self.with_default(Default::EmptyMap)
    }

    /// A default that the documents contradict each other about, with the others that they give.
    pub(super) const fn disputed_default(mut self, others: &'static [Default]) -> Self {
        self.disputed = Some(others);
        self
    }

    /// A secret that the server always has a use for.
    pub(super) const fn secret(mut self) -> Self {
        self.secrecy = Secrecy::Secret;
        self
    }

    /// A secret that the server has a use for only where the condition holds.
    pub(super) const fn secret_when(self, condition: Condition) -> Self {
        self.secret().used_when(condition)
    }

    /// A secret, file or certificate that the server has a use for only where the condition holds.
    pub(super) const fn used_when(mut self, condition: Condition) -> Self {
        self.used = Some(condition);
        self
    }

    pub(super) const fn hides(mut self, place: HiddenPlace) -> Self {
        self.secrecy = Secrecy::Hidden(place);
        self
    }

    pub(super) const fn filled_by_server(mut self) -> Self {
        self.filled_by_server = true;
        self
    }

    pub(super) const fn guide_only(mut self) -> Self {
        self.fact = Fact::GuideOnly;
        self
    }

    pub(super) const fn openapi_only(mut self) -> Self {
        self.fact = Fact::OpenApiOnly;
        self
    }

    pub(super) const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }
}

// The allowed words of fields that hold one of a few words, by the vendor's documents.

/// Which of the two documents allow one value of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every document that lists words lists this one.
    Allowed,
    /// One document lists it, the other lists words without it.
    OnlyOneDocument,
    /// No document lists it.
    Unknown {
        /// Whether both documents list the same words; where they do not, neither can be taken
        /// as complete.
        documents_agree: bool,
    },
}

impl Choices {
    /// Judges a value by both documents; spelling counts as [`same_choice`] has it.
    pub fn verdict(&self, value: &str) -> Verdict {
        let listed =
            |words: &[&str]| words.is_empty() || words.iter().any(|w| same_choice(w, value));
        match (listed(self.guide), listed(self.openapi)) {
            (true, true) => Verdict::Allowed,
            (false, false) => Verdict::Unknown { documents_agree: self.documents_agree() },
            // The only list there is does not have it.
            (false, true) if self.openapi.is_empty() => Verdict::Unknown { documents_agree: false },
            (true, false) if self.guide.is_empty() => Verdict::Unknown { documents_agree: false },
            _ => Verdict::OnlyOneDocument,
        }
    }

    /// Whether both documents list the same words, spelling aside. A list that only one of them
    /// has is not agreed upon.
    pub fn documents_agree(&self) -> bool {
        let all_in = |words: &[&str], others: &[&str]| {
            words.iter().all(|word| others.iter().any(|other| same_choice(word, other)))
        };
        all_in(self.guide, self.openapi) && all_in(self.openapi, self.guide)
    }

    /// Every allowed word once: as the guide spells it, then what only the OpenAPI file has.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + use<> {
        let (guide, openapi) = (self.guide, self.openapi);
        let more = openapi.iter().filter(|word| !guide.iter().any(|g| same_choice(g, word)));
        guide.iter().chain(more).copied()
    }
}

/// Whether two spellings are one choice: case and a `(n)` suffix do not count.
pub(crate) fn same_choice(a: &str, b: &str) -> bool {
    without_number(a).eq_ignore_ascii_case(without_number(b))
}

fn without_number(word: &str) -> &str {
    word.strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        .filter(|(head, number)| {
            !head.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        })
        .map_or(word, |(head, _)| head)
}

// Conditions over the fields of one object: whether they hold, and how to say them.

impl Condition {
    /// Whether it holds in an object; `field` finds the fields of that object, whose defaults
    /// stand for what is not declared, `null` or an empty text.
    pub fn holds(
        &self,
        field: &dyn Fn(&str) -> Option<&'static Field>,
        object: &Map<String, Value>,
    ) -> bool {
        match self {
            Self::Is(name, wanted) => {
                value_of(name, field, object).is_some_and(|value| match &value {
                    Value::String(text) => same_choice(text, wanted),
                    Value::Bool(value) => {
                        same_choice(if *value { "true" } else { "false" }, wanted)
                    }
                    Value::Number(number) => number.to_string() == *wanted,
                    _ => false,
                })
            }
            Self::Present(name) => value_of(name, field, object).is_some_and(|value| match value {
                Value::Array(items) => !items.is_empty(),
                Value::Object(map) => !map.is_empty(),
                _ => true,
            }),
            Self::Any(conditions) => conditions.iter().any(|c| c.holds(field, object)),
        }
    }

    /// Whether it holds, or may hold: not known is a choice that no document has, and a default that the
    /// documents dispute, where the rest of the object hints at it.
    pub(crate) fn may_hold(
        &self,
        field: &dyn Fn(&str) -> Option<&'static Field>,
        object: &Map<String, Value>,
        is_hinted_at: &dyn Fn(&str) -> bool,
    ) -> bool {
        match self {
            Self::Is(name, _) => {
                self.holds(field, object)
                    || field(name).is_some_and(|found| match object.get(*name) {
                        Some(Value::String(text)) if !text.is_empty() => found.is_no_choice(text),
                        None | Some(Value::Null | Value::String(_)) if is_hinted_at(name) => {
                            found.defaults().others.iter().any(|default| {
                                let with =
                                    Map::from_iter([((*name).to_owned(), default.to_json())]);
                                self.holds(field, &with)
                            })
                        }
                        _ => false,
                    })
            }
            Self::Present(_) => self.holds(field, object),
            Self::Any(conditions) => {
                conditions.iter().any(|c| c.may_hold(field, object, is_hinted_at))
            }
        }
    }

    /// The fields that it looks at.
    pub fn fields(&self) -> Vec<&'static str> {
        match self {
            Self::Is(name, _) | Self::Present(name) => vec![name],
            Self::Any(all) => all.iter().flat_map(Self::fields).collect(),
        }
    }
}

impl Field {
    /// Whether it is a choice, and no document has this word.
    fn is_no_choice(&self, word: &str) -> bool {
        match &self.kind {
            Kind::Choice(choices) => matches!(choices.verdict(word), Verdict::Unknown { .. }),
            _ => false,
        }
    }
}

impl Required {
    /// Whether an object needs the field; `field` finds the fields of that object.
    pub(crate) fn holds(
        &self,
        field: &dyn Fn(&str) -> Option<&'static Field>,
        object: &Map<String, Value>,
    ) -> bool {
        match self {
            Self::No => false,
            Self::Always | Self::Disputed => true,
            Self::When(condition) => condition.holds(field, object),
        }
    }
}

impl ConnectionType {
    /// Whether a connection has a field, and no secret, that only serves where this one is set: a user's name
    /// where it may authenticate.
    pub(crate) fn hints_at(&self, name: &str, fields: &Map<String, Value>) -> bool {
        let serves = |field: &&Field| match &field.required {
            Required::When(condition) => condition.fields().contains(&name),
            _ => false,
        };
        let mut plain = self.fields().filter(serves).filter(|f| !f.is_secret() && !f.is_file());
        plain.any(|field| {
            fields.get(field.name).and_then(Value::as_str).is_some_and(|t| !t.is_empty())
        })
    }

    /// Whether a condition over top-level fields holds in a connection.
    pub fn holds(&self, condition: &Condition, fields: &Map<String, Value>) -> bool {
        condition.holds(&|name| self.field(name), fields)
    }
}

/// The declared value, else the default; nothing for what counts as not there.
fn value_of(
    name: &str,
    field: &dyn Fn(&str) -> Option<&'static Field>,
    object: &Map<String, Value>,
) -> Option<Value> {
    let there = |value: &Value| !value.is_null() && value.as_str() != Some("");
    object
        .get(name)
        .filter(|value| there(value))
        .cloned()
        .or_else(|| field(name)?.default.map(super::Default::to_json))
        .filter(there)
}

/// A condition in words: "`auth` is `true`".
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(name, value) => write!(f, "`{name}` is `{value}`"),
            Self::Present(name) => write!(f, "`{name}` is set"),
            Self::Any(conditions) => {
                let words: Vec<String> = conditions.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(" or "))
            }
        }
    }
}
