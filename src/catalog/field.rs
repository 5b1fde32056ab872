//! Builders that make the files of data read like tables.

use super::{Choices, Condition, Default, Fact, Field, HiddenPlace, Kind, Required, Secrecy};

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            required: Required::No,
            default: None,
            default_is_disputed: false,
            other_defaults: &[],
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
        self.default_is_disputed = true;
        self.other_defaults = others;
        self
    }

    /// A secret that the server always has a use for.
    pub(super) const fn secret(mut self) -> Self {
        self.secrecy = Secrecy::Secret { used: None };
        self
    }

    /// A secret that the server has a use for only where the condition holds.
    pub(super) const fn secret_when(mut self, used: Condition) -> Self {
        self.secrecy = Secrecy::Secret { used: Some(used) };
        self
    }

    /// A file or certificate that the server has a use for only where the condition holds.
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
