//! Connection types as data: what the vendor's guides and OpenAPI file say of every field.
//!
//! Validation, references, comparison, redaction, `explain`, `schema` and the sandbox all read
//! these tables; adding a type is adding a file of data and naming it in this one. Where the guide and
//! the OpenAPI file disagree, a field says so, and what only one of them allows is never more than a
//! warning.

mod active_mq;
mod database;
mod elasticsearch;
mod email;
mod field;
mod ftp;
mod graylog;
pub mod hidden;
mod kafka;
mod ldap;
mod linux_script;
mod logback;
mod rabbit_mq;
pub mod schema;
mod snmp;
mod syslog;
mod webhook;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub(crate) use field::{Verdict, same_choice};

/// One type of connection, one value of the discriminator `type`.
#[derive(Debug)]
pub struct ConnectionType {
    /// The value of `type` in the API, spelled as the API spells it.
    pub name: &'static str,
    /// The purpose of connections of this type, one sentence.
    pub about: &'static str,
    /// The settings that only Apinizer's console knows, in words: no document of the vendor's has a field
    /// for them.
    pub console_only: Option<&'static str>,
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
    /// The other defaults that the vendor's documents give, where they contradict each other about it.
    pub disputed: Option<&'static [Default]>,
    /// Whether its text is a secret, or may hide one.
    pub secrecy: Secrecy,
    /// Of a secret, file or certificate: where the condition does not hold the server has no use for it,
    /// and a PUT may leave it out; `None`: always of use.
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
}

/// Whether a field's text is a secret, or may hide one.
#[derive(Clone, Copy, Debug)]
pub enum Secrecy {
    /// Neither.
    Plain,
    /// The whole value is a secret: lists show `null`, documents hold references only.
    Secret,
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

// Finding types and fields by name, and kinds by JSON pointer.

/// All types, in the order of the vendor's list.
static TYPES: [&ConnectionType; 14] = [
    &email::EMAIL,
    &kafka::KAFKA,
    &elasticsearch::ELASTICSEARCH,
    &rabbit_mq::RABBIT_MQ,
    &ftp::FTP,
    &graylog::GRAYLOG,
    &syslog::SYSLOG,
    &webhook::WEBHOOK,
    &logback::LOGBACK,
    &active_mq::ACTIVE_MQ,
    &snmp::SNMP,
    &linux_script::LINUX_SCRIPT,
    &database::DATABASE,
    &ldap::LDAP,
];

/// `type` and `name`, which every document declares; neither takes references.
pub(crate) static IDENTITY: [Field; 2] = [
    Field::text("type").required().about("The type of the connection; it cannot change."),
    Field::text("name")
        .required()
        .about("The name of the connection, unique in its project whatever its case."),
];

/// The key of a document under which this tool's own options stand.
pub(crate) const OPTIONS_KEY: &str = "x-gitops";

/// The keys of a document that are no fields of a connection: what it is, and how it is treated.
pub(crate) const HEAD: [&str; 3] = ["type", "name", OPTIONS_KEY];

/// The options under `x-gitops`, which are never sent to the API and take no references.
pub(crate) static OPTIONS: [Field; 5] = [
    Field::flag("protect", false).about("Never delete or replace this connection."),
    Field::text("renamedFrom").about("The name that this connection had before."),
    Field::set("ignore", &Kind::Text).about(
        "Fields that others may edit, by name or JSON pointer: sent on create, then left as live \
         has them.",
    ),
    Field::flag("suspend", false).about("Leave this connection alone for now."),
    Field::set("targets", &Kind::Text).about("Only on these targets."),
];

/// The fields that connections of every type have. `type` and `name` stand apart: they are no fields
/// to compare but the identity of a connection.
static COMMON: &[Field] = &[
    Field::text("description").about("What the connection is for, in words for people."),
    Field::flag("deployToWorker", true)
        .about("Whether a saved connection is sent on to the gateway's workers."),
    Field::flag("enabled", true).about("Whether the connection may be used."),
    Field::text("projectName")
        .openapi_only()
        .filled_by_server()
        .about("The project that holds the connection; the path of a call decides it."),
];

/// All connection types, in the order of the vendor's list.
pub fn all() -> impl ExactSizeIterator<Item = &'static ConnectionType> + Clone {
    TYPES.iter().copied()
}

/// The type that the API calls by this name, spelled exactly so.
pub fn find(name: &str) -> Option<&'static ConnectionType> {
    all().find(|candidate| candidate.name == name)
}

/// The type that somebody may have meant by a name that is none.
pub(crate) fn nearest(name: &str) -> Option<&'static ConnectionType> {
    // Words that are used elsewhere for these things resemble other types more than the right one.
    let meant = match name.to_ascii_lowercase().as_str() {
        "smtp" | "mail" => "email",
        "sftp" | "ftps" => "ftp",
        "jdbc" | "mysql" | "postgres" | "postgresql" | "oracle" => "database",
        _ => name,
    };
    nearest_of(all(), meant, |candidate| candidate.name)
}

/// The candidate whose name resembles a misspelled one most, if any is near enough to suggest.
pub(crate) fn nearest_of<T>(
    candidates: impl IntoIterator<Item = T>,
    misspelled: &str,
    name_of: impl Fn(&T) -> &str,
) -> Option<T> {
    // Longer input is no misspelling of any name here, and the comparison is quadratic.
    const LONGEST: usize = 100;
    if misspelled.is_empty() || misspelled.len() > LONGEST {
        return None;
    }
    let folded = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = folded(misspelled);
    candidates
        .into_iter()
        .map(|candidate| {
            let likeness = strsim::jaro_winkler(&folded(name_of(&candidate)), &wanted);
            (likeness, candidate)
        })
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// The advice for a misspelled name: the known one that it resembles most, or `otherwise`.
pub(crate) fn did_you_mean<'n>(
    known: impl IntoIterator<Item = &'n str>,
    misspelled: &str,
    otherwise: impl Into<String>,
) -> String {
    match nearest_of(known, misspelled, |name| name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.into(),
    }
}

/// The same for the name of a type.
pub(crate) fn did_you_mean_type(misspelled: &str, otherwise: impl Into<String>) -> String {
    match nearest(misspelled) {
        Some(near) => format!("did you mean `{}`?", near.name),
        None => otherwise.into(),
    }
}

impl Kind {
    /// The field of that name in an object.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        match self {
            Self::Object(fields) => fields.iter().find(|field| field.name == name),
            _ => None,
        }
    }

    /// The kind of an entry of an object or a free map.
    pub(crate) fn of_key(&self, key: &str) -> Option<&'static Kind> {
        match self {
            Self::Map(value) => Some(value),
            _ => self.field(key).map(|field| &field.kind),
        }
    }

    /// The kind of the items of a list.
    pub(crate) fn of_item(&self) -> Option<&'static Kind> {
        match self {
            Self::List(item) | Self::Set(item) => Some(item),
            _ => None,
        }
    }
}

impl ConnectionType {
    /// The fields of this type, the common ones first; `type` and `name` are not among them.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + Clone + use<> {
        COMMON.iter().chain(self.own_fields)
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.name == name)
    }

    /// The field that somebody may have meant by a name that is none.
    pub fn nearest_field(&self, name: &str) -> Option<&'static Field> {
        nearest_of(self.fields(), name, |field| field.name)
    }

    /// The fields whose whole value is a secret.
    pub fn secrets(&self) -> impl Iterator<Item = &'static Field> + Clone + use<> {
        self.fields().filter(|field| field.is_secret())
    }

    /// The field that a JSON pointer leads to or into: of `/hostPortList/0/port` the `port`, of
    /// `/propertiesMap/acks` the `propertiesMap`.
    pub fn field_at(&self, pointer: &str) -> Option<&'static Field> {
        self.at(pointer).map(|(field, _)| field)
    }

    /// The field and the kind of the value at a JSON pointer into a connection, through objects,
    /// items of lists and values of maps; `None` where the catalog knows nothing.
    fn at(&self, pointer: &str) -> Option<(&'static Field, &'static Kind)> {
        let mut steps = pointer.starts_with('/').then(|| crate::pointer::steps(pointer))?;
        let mut field = self.field(&steps.next()?)?;
        let mut kind = &field.kind;
        for step in steps {
            let is_index = !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
            kind = match kind {
                Kind::Object(_) => {
                    field = kind.field(&step)?;
                    &field.kind
                }
                Kind::List(item) | Kind::Set(item) if is_index || step == "-" => item,
                Kind::Map(value) => value,
                Kind::Any => &Kind::Any,
                Kind::Bytes if is_index => &Kind::Text,
                _ => return None,
            };
        }
        Some((field, kind))
    }
}

impl Field {
    /// Whether the whole value is a secret.
    pub fn is_secret(&self) -> bool {
        matches!(self.secrecy, Secrecy::Secret)
    }

    /// The JSON pointer to it, as a field of its type.
    pub(crate) fn pointer(&self) -> String {
        crate::pointer::child("", self.name)
    }

    /// Whether it holds a file or certificate that is no secret, for which some servers answer `null` as they do for a
    /// secret (graylog's `tlsTrustCertChainFile`).
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::Bytes) && !self.is_secret()
    }

    /// Whether the server has, or may have, a use for this secret or file in a connection with those fields.
    pub fn is_used(&self, own_type: &ConnectionType, fields: &Map<String, Value>) -> bool {
        self.used.as_ref().is_none_or(|condition| {
            let is_hinted_at = |name: &str| own_type.hints_at(name, fields);
            condition.may_hold(&|name| own_type.field(name), fields, &is_hinted_at)
        })
    }

    /// Its documented defaults.
    pub fn defaults(&self) -> Defaults {
        Defaults { default: self.default, others: self.disputed.unwrap_or_default() }
    }

    /// Whether documents have to declare it wherever they stand: always required, and not
    /// something that the server fills by itself.
    pub fn must_be_declared(&self) -> bool {
        matches!(self.required, Required::Always) && !self.filled_by_server
    }
}

impl Default {
    /// The value as JSON.
    pub fn to_json(self) -> Value {
        match self {
            Self::Boolean(value) => Value::Bool(value),
            Self::Integer(value) => Value::from(value),
            Self::Text(value) => Value::from(value),
            Self::EmptyList => Value::Array(Vec::new()),
            Self::EmptyMap => Value::Object(serde_json::Map::new()),
        }
    }
}

/// The subject of a key of the server's own bookkeeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bookkeeping {
    /// Who edited the connection last.
    EditedBy,
    /// When that was.
    EditedAt,
    /// Its id, revision, author and the like.
    Other,
}

/// The subject of a top-level key that is the server's own bookkeeping, which is never compared,
/// stored or sent. A key that the catalog has for the type never is.
pub(crate) fn bookkeeping(connection_type: &ConnectionType, key: &str) -> Option<Bookkeeping> {
    if connection_type.field(key).is_some() {
        return None;
    }
    let folded: String =
        key.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect();
    match folded.as_str() {
        "lastmodifiedby" | "lastupdatedby" | "modifiedby" | "updatedby" | "updateuser" => {
            Some(Bookkeeping::EditedBy)
        }
        "lastmodified" | "lastmodifiedat" | "lastmodifieddate" | "lastupdated"
        | "lastupdatedat" | "lastupdateddate" | "modified" | "modifiedat" | "modifieddate"
        | "updated" | "updatedat" | "updatedate" | "updateddate" => Some(Bookkeeping::EditedAt),
        "author" | "created" | "createdat" | "createdate" | "createdby" | "createddate"
        | "createuser" | "creationdate" | "creator" | "etag" | "id" | "rev" | "revision"
        | "revisionid" | "revisionnumber" => Some(Bookkeeping::Other),
        _ => None,
    }
}

/// Whether a top-level key is the server's own bookkeeping.
#[must_use]
pub(crate) fn is_bookkeeping(connection_type: &ConnectionType, key: &str) -> bool {
    bookkeeping(connection_type, key).is_some()
}
