//! The points in which a server is not as the tool assumes, in sentences.

use std::collections::BTreeSet;

use super::{Names, Profile, Rename, Support, TypeProfile, UnknownFields, Unset};
use crate::catalog::{self, Field};

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
