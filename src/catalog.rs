//! Connection types as data: what the vendor's guides and OpenAPI file say of every field.
//!
//! Validation, references, comparison, redaction, `explain`, `schema` and the sandbox all read
//! these tables; adding a type is adding a file of data. Where the guide and the OpenAPI file
//! disagree, a field says so, and what only one of them allows is never more than a warning.

mod choices;
mod condition;
mod console;
mod field;
pub mod hidden;
mod lookup;
pub mod schema;

mod active_mq;
mod database;
mod elasticsearch;
mod email;
mod ftp;
mod graylog;
mod kafka;
mod ldap;
mod linux_script;
mod logback;
mod rabbit_mq;
mod snmp;
mod syslog;
mod webhook;

#[cfg(test)]
mod tests;

pub(crate) use choices::{Verdict, same_choice};
pub(crate) use console::console_only;
pub(crate) use lookup::{
    Bookkeeping, IDENTITY, bookkeeping, did_you_mean, did_you_mean_type, is_bookkeeping, nearest,
    nearest_of,
};
pub use lookup::{all, find};

/// One type of connection, one value of the discriminator `type`.
#[derive(Debug)]
pub struct ConnectionType {
    /// The value of `type` in the API, spelled as the API spells it.
    pub name: &'static str,
    /// The purpose of connections of this type, one sentence.
    pub about: &'static str,
    /// Whether `GET` of one connection shows its secrets, by the guide of the type.
    pub secrets_on_get: SecretsOnGet,
    /// The fields of this type alone; [`ConnectionType::fields`] adds the common ones.
    pub own_fields: &'static [Field],
}

/// Whether `GET` of one connection shows secret fields, by the guide of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretsOnGet {
    /// Shown in full.
    Shown,
    /// Shown as `null`.
    Masked,
    /// The guide does not say.
    NotStated,
}

/// One field of a connection, or of an object inside one.
#[derive(Debug)]
pub struct Field {
    /// The key in the JSON body.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// Whether a document has to declare it.
    pub required: Required,
    /// The documented value of an undeclared field, if there is one.
    pub default: Option<Default>,
    /// The vendor's documents contradict each other about the default.
    pub default_is_disputed: bool,
    /// The other defaults that they give.
    pub other_defaults: &'static [Default],
    /// Whether its text is a secret, or may hide one.
    pub secrecy: Secrecy,
    /// Of a file or certificate: where the condition does not hold the server has no use for it.
    pub used: Option<Condition>,
    /// The server fills it by itself (ids of named stores, `projectName`, a log pod's name), so
    /// it never counts as a difference and `export` leaves it out.
    pub filled_by_server: bool,
    /// Which of the vendor's documents has the field.
    pub fact: Fact,
    /// Its meaning, in our own words.
    pub about: &'static str,
}

/// Which of the vendor's documents has a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The guide page and the OpenAPI file.
    Both,
    /// Only the guide page.
    GuideOnly,
    /// Only the OpenAPI file.
    OpenApiOnly,
}

/// The kind of a field's value.
#[derive(Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of a few words, compared without regard to case and to a `(n)` suffix.
    Choice(Choices),
    /// A whole number between two bounds, both included.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// A file's content: a base64 string in the guide, an array of base64 strings in OpenAPI.
    Bytes,
    /// An array whose order matters, owned whole.
    List(&'static Kind),
    /// An array whose order does not matter, owned whole.
    Set(&'static Kind),
    /// An object with named fields: at the top of a connection it is owned field by field.
    Object(&'static [Field]),
    /// A free map, owned whole.
    Map(&'static Kind),
    /// A value that neither document describes.
    Any,
}

/// The words that a [`Kind::Choice`] may hold, by document.
#[derive(Debug)]
pub struct Choices {
    /// Those of the guide page, as it spells them.
    pub guide: &'static [&'static str],
    /// Those of the OpenAPI file, as it spells them; empty where it lists none.
    pub openapi: &'static [&'static str],
}

/// The documented value of an undeclared field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Integer(i64),
    /// A text.
    Text(&'static str),
    /// `[]`.
    EmptyList,
    /// `{}`.
    EmptyMap,
}

/// The defaults of a field.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// The value of an undeclared field, if it is known.
    pub default: Option<Default>,
    /// Other values that may be it.
    pub others: &'static [Default],
}

/// Whether a document has to declare a field.
#[derive(Clone, Copy, Debug)]
pub enum Required {
    /// It may be left out.
    No,
    /// Always.
    Always,
    /// By the guide, while the console takes connections without it.
    Disputed,
    /// Where the condition holds.
    When(Condition),
}

/// A condition over the other fields of the same object; an undeclared field counts with its
/// documented default.
#[derive(Clone, Copy, Debug)]
pub enum Condition {
    /// The field has this value; booleans are written `true` and `false`, words compare as
    /// choices do.
    Is(&'static str, &'static str),
    /// The field holds something.
    Present(&'static str),
    /// One of them holds.
    Any(&'static [Condition]),
    /// All of them hold.
    All(&'static [Condition]),
}

/// Whether a field's text is a secret, or may hide one.
#[derive(Clone, Copy, Debug)]
pub enum Secrecy {
    /// Neither.
    Plain,
    /// The whole value is a secret: lists show `null`, documents hold references only.
    Secret {
        /// Where the condition does not hold the server has no use for the secret, and a PUT
        /// may leave it out; `None`: always of use.
        used: Option<Condition>,
    },
    /// A secret may hide in it.
    Hidden(HiddenPlace),
}

/// How a secret hides in a field that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenPlace {
    /// `user:password@` or `password=` inside a URL (also JDBC and broker URLs).
    Url,
    /// A list of `{name, value}` headers, of which `Authorization` and its like are secret.
    Headers,
    /// Kafka's map of `{value, valueType}`: `sasl.jaas.config`, `ssl.*.password`.
    KafkaProperties,
    /// A list of `{key, value}`: a value is secret where its key says so.
    KeyValueList,
    /// A map whose value is secret where its key says so.
    NamedValues,
    /// SNMP's community name: the credential of versions 1 and 2c.
    Community,
    /// A host name in which some cloud services carry a key.
    HostnameOrKey,
}
