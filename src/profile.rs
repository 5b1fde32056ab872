//! How a server behaves: the words that `probe` finds out, that the sandbox serves, and that a plan
//! takes from the `profile` of a target.
//!
//! A profile holds names of types and fields and the words of this file, and never a value of a
//! connection, so that it can be put into a bug report as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Default as Documented, Defaults, Field, nearest_of};
use crate::yaml;

/// The version of the form of profiles.
const VERSION: u32 = 1;

/// The words above a profile that is written.
const HEADER: &str = "# How a server behaves, found by `apinizer-gitops probe`. It holds no value \
                      of a connection.\n";

/// How one server behaves. What was not found out is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The version of its form.
    #[serde(rename = "apinizer_gitops_profile")]
    pub version: u32,
    /// The dialect of its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// The status where a connection is not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<OnMissing>,
    /// The effect of `POST` where the name exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<OnExisting>,
    /// The effect of a `PUT` with another name in its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<Rename>,
    /// How often a name may exist in a project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Names>,
    /// The behaviour of connections of each type.
    #[serde(default)]
    pub types: BTreeMap<String, TypeProfile>,
}

/// How a server treats connections of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TypeProfile {
    /// Whether the server takes connections of the type.
    #[serde(skip_serializing_if = "is_default")]
    pub support: Support,
    /// Fields that the server refuses, with a value that fits their kind.
    #[serde(skip_serializing_if = "is_default")]
    pub refused: BTreeSet<String>,
    /// The treatment of fields that the type does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_fields: Option<UnknownFields>,
    /// Fields that `GET` shows and lists do not, secrets aside.
    #[serde(skip_serializing_if = "is_default")]
    pub unlisted: BTreeSet<String>,
    /// Fields in whose place `GET` shows something else.
    #[serde(skip_serializing_if = "is_default")]
    pub masked: BTreeMap<String, Mask>,
    /// The effect of a `PUT` whose secrets are `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_secret: Option<OnMasked>,
    /// The effect of a `PUT` that leaves its secrets out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted_secret: Option<OnMasked>,
    /// Fields that come back in another form.
    #[serde(skip_serializing_if = "is_default")]
    pub rewritten: BTreeSet<String>,
    /// Fields that read as if they had not been written, no secrets among them.
    #[serde(skip_serializing_if = "is_default")]
    pub forgotten: BTreeSet<String>,
    /// The reading of fields that no write has set.
    #[serde(skip_serializing_if = "is_default")]
    pub unset: BTreeMap<Unset, BTreeSet<String>>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Words of a profile, each with its name in YAML.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $word:ident = $text:literal,)+ })+) => {$(
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub enum $name {
            $($(#[$meaning])* #[serde(rename = $text)] $word,)+
        }
    )+};
}

/// The two shapes of answers that servers in the field give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `status: SUCCESS`; POST on an existing name updates it.
    Current,
    /// `success: true`; POST on an existing name is refused.
    Older,
}

words! {
    /// The status where a project or a connection is not found.
    OnMissing {
        /// 404.
        #[default]
        NotFound = "not_found",
        /// 400.
        BadRequest = "bad_request",
    }

    /// The effect of `POST` where the name exists.
    OnExisting {
        /// It replaces the connection.
        #[default]
        Update = "updates",
        /// It answers 400, that the name already exists.
        Refuse = "refuses",
        /// It answers 409, that the name already exists.
        Conflict = "conflict",
    }

    /// The effect of a `PUT` with another name in its body.
    Rename {
        /// It renames the connection.
        #[default]
        Allowed = "allowed",
        /// It is refused: path and body have to agree.
        Refused = "refused",
    }

    /// How often a name may exist in a project.
    Names {
        /// Once, whatever the type.
        #[default]
        OnceInProject = "once_in_project",
        /// Once in each type. `GET` of the name answers all of them, `DELETE` removes the first.
        OnceInType = "once_in_type",
    }

    /// Whether a server takes connections of a type.
    Support {
        /// It does.
        #[default]
        Full = "full",
        /// This version does not know the type.
        Unknown = "unknown",
        /// It refuses a connection with the fields that are documented as required.
        Refused = "refused",
    }

    /// The treatment of fields that the type does not have.
    UnknownFields {
        /// They are stored and shown.
        #[default]
        Kept = "kept",
        /// They are forgotten.
        Dropped = "dropped",
        /// The write is refused.
        Refused = "refused",
    }

    /// The sight that `GET` gives in the place of a field.
    Mask {
        /// `null`, or no field at all.
        #[default]
        Nothing = "nothing",
        /// Asterisks.
        Asterisks = "asterisks",
        /// Another text, cipher text for example.
        OtherText = "other_text",
    }

    /// The effect of a `PUT` on a field that `GET` does not show as it is, where it brings no value.
    OnMasked {
        /// The stored value is lost.
        #[default]
        Clear = "clears",
        /// The stored value stays.
        Keep = "keeps",
        /// The write is refused if there is a stored value.
        Refuse = "refuses",
    }

    /// The reading of a field that no write has set.
    Unset {
        /// `null`.
        #[default]
        Null = "nothing",
        /// The field is left out.
        LeftOut = "left_out",
        /// An empty text, list or map that is not the documented default.
        Empty = "empty",
        /// The documented default; in a sandbox `null` where there is none.
        Default = "default",
        /// Another default that the vendor's documents give.
        OtherDefault = "other_default",
        /// A value that no document gives.
        OtherValue = "other_value",
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            version: VERSION,
            dialect: None,
            missing: None,
            existing: None,
            rename: None,
            names: None,
            types: BTreeMap::new(),
        }
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// It is none, or names a type or a field that does not exist.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = yaml::parse(text).map_err(|failure| failure.message)?;
        // Of another file nothing is shown.
        if value.get("apinizer_gitops_profile").is_none() {
            return Err(
                "it is not a profile, which begins with `apinizer_gitops_profile`".to_owned()
            );
        }
        let profile: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if profile.version != VERSION {
            return Err(format!("it has version {}, not {VERSION}", profile.version));
        }
        profile.types.iter().try_for_each(|(name, own)| own.check(name)).map(|()| profile)
    }

    /// The profile as YAML.
    pub fn to_yaml(&self) -> String {
        let mut text = HEADER.to_owned();
        match serde_yaml::to_string(self) {
            Ok(yaml) => text.push_str(&yaml),
            // Serialising these types cannot fail.
            Err(error) => drop(writeln!(text, "# {error}")),
        }
        text
    }
}

impl TypeProfile {
    /// Whether `GET` shows something else in the place of a field.
    pub fn masks(&self, field: &str) -> bool {
        self.masked.contains_key(field)
    }

    /// Whether the server was seen to keep a field that a `PUT` leaves out. That cannot be
    /// seen of a field for which `GET` shows nothing.
    pub fn keeps_what_is_left_out(&self, field: &str) -> bool {
        let is_seen = self.masked.get(field).is_some_and(|mask| *mask != Mask::Nothing);
        is_seen && self.omitted_secret == Some(OnMasked::Keep)
    }

    /// The reading of a field that no write has set, where it is known.
    pub fn reading_of_unset(&self, field: &str) -> Option<Unset> {
        self.unset.iter().find(|(_, fields)| fields.contains(field)).map(|(reads, _)| *reads)
    }

    /// The defaults of a field on this server: where an unset field reads as a value, that alone is
    /// its default.
    pub fn defaults(&self, field: &Field) -> Defaults {
        let alone = |default: Option<Documented>| Defaults { default, others: &[] };
        match self.reading_of_unset(field.name) {
            Some(Unset::Default) => alone(field.default),
            Some(Unset::OtherDefault) => alone(field.defaults().others.first().copied()),
            Some(Unset::OtherValue) => alone(None),
            Some(Unset::Null | Unset::LeftOut | Unset::Empty) | None => field.defaults(),
        }
    }

    /// All fields that it names.
    fn named(&self) -> impl Iterator<Item = &String> {
        let sets = [&self.refused, &self.unlisted, &self.rewritten, &self.forgotten];
        sets.into_iter().chain(self.unset.values()).flatten().chain(self.masked.keys())
    }

    fn check(&self, type_name: &str) -> Result<(), String> {
        let meant = |near: Option<&str>| {
            near.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default()
        };
        let Some(known) = catalog::find(type_name) else {
            let near = nearest_of(catalog::all(), type_name, |known| known.name);
            let near = meant(near.map(|known| known.name));
            return Err(format!("there is no connection type `{type_name}`{near}"));
        };
        match self.named().find(|name| known.field(name).is_none()) {
            Some(name) => {
                let near = meant(known.nearest_field(name).map(|field| field.name));
                Err(format!("the type {type_name} has no field `{name}`{near}"))
            }
            None => Ok(()),
        }
    }
}

// The points in which a server is not as the tool assumes, in sentences.

impl Profile {
    /// The points in which the server is not as the tool assumes. Points on which servers are known
    /// to differ, and with which the tool copes whatever they are, are none of them.
    pub fn differences(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut add = |differs: bool, sentence: &str| {
            if differs {
                found.push(sentence.to_owned());
            }
        };
        add(
            self.missing.is_none(),
            "a connection that is not there is answered neither with 404 nor with 400",
        );
        add(self.rename == Some(Rename::Refused), "PUT does not rename: `renamedFrom` is blocked");
        add(
            self.names == Some(Names::OnceInType),
            "one name may exist in two types: such a name is blocked",
        );
        for (name, own) in &self.types {
            found.extend(own.differences(name).into_iter().map(|text| format!("{name}: {text}")));
        }
        found
    }
}

impl TypeProfile {
    fn differences(&self, type_name: &str) -> Vec<String> {
        match self.support {
            Support::Full => {}
            Support::Unknown => return vec!["this version does not know the type".to_owned()],
            Support::Refused => {
                return vec!["a connection with the required fields is refused".to_owned()];
            }
        }
        let mut found = Vec::new();
        let mut add = |fields: &BTreeSet<String>, what: &str| {
            if !fields.is_empty() {
                let names: Vec<&str> = fields.iter().map(String::as_str).collect();
                found.push(format!("{what}: {}", names.join(", ")));
            }
        };
        let plain = |name: &&String| {
            let field = catalog::find(type_name).and_then(|known| known.field(name));
            !field.is_some_and(|field| Field::is_secret(field) || Field::is_file(field))
        };
        let masked = self.masked.keys().filter(plain).cloned().collect();
        add(&masked, "GET masks fields that are not secrets");
        add(&self.refused, "fields are refused");
        add(&self.rewritten, "fields come back in another form");
        add(&self.forgotten, "fields read as if they had not been written");
        let none = BTreeSet::new();
        let unset = |reads| self.unset.get(&reads).unwrap_or(&none);
        add(unset(Unset::OtherDefault), "unset fields read as another documented default");
        add(unset(Unset::OtherValue), "unset fields read as a value that no document gives");
        match self.unknown_fields {
            Some(UnknownFields::Kept) | None => {}
            Some(UnknownFields::Dropped) => found.push("unknown fields are dropped".to_owned()),
            Some(UnknownFields::Refused) => found.push("unknown fields are refused".to_owned()),
        }
        found
    }
}
