//! The values that git declares already. A field that holds a reference is sensitive on both sides:
//! the reference is exported, whatever live shows there. And no field that is declared may be left
//! out, since that takes it away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::Variable;
use crate::desired::{each_field, env_names, holds_env};
use crate::document::Document;
use crate::environment::Environment;
use crate::name::{ConnectionName, words};
use crate::pointer::with_texts;
use crate::record::Record;
use crate::reference::{self, Segment};
use crate::secret::{Redactor, Sensitive};

use aho_corasick::{AhoCorasick, MatchKind};

/// A shorter value is replaced only as a whole text: inside a longer one it may be something else.
const LONG: usize = 8;

/// The declarations of git by connection and JSON pointer, with the values that hold references to the
/// environment.
#[derive(Clone, Default)]
pub(crate) struct KnownReferences {
    /// All that is declared is there; `None`: it holds no reference.
    declared: BTreeMap<ConnectionName, BTreeMap<String, Option<Value>>>,
    /// The variables that are set, with what they hold.
    values: Vec<(String, Sensitive)>,
    /// Finds the long ones of them inside a text.
    long: Option<(AhoCorasick, Vec<usize>)>,
    /// Finds all of them in all their forms.
    redactor: Redactor,
}

impl KnownReferences {
    /// Takes the references of the bases, those of the documents, which are newer, and the values that
    /// they stand for.
    pub(crate) fn of(record: &Record, documents: &[Document], environment: &Environment) -> Self {
        let mut known = Self::default();
        known.add_record(record);
        documents.iter().for_each(|document| known.add_document(document));
        known.look_up(environment);
        known
    }

    /// Takes all that the bases declare.
    pub(super) fn add_record(&mut self, record: &Record) {
        for (name, owned) in record.inventory() {
            for (path, field) in owned.base.iter() {
                self.insert(name, path.clone(), &field.declared);
            }
        }
    }

    /// Takes the references of a document, which is newer than the base.
    fn add_document(&mut self, document: &Document) {
        let lookup = |key: &str| document.connection_type.field(key);
        each_field("", &document.fields, &lookup, &mut |path, _, declared| {
            self.insert(&document.name, path, declared);
        });
    }

    fn insert(&mut self, name: &ConnectionName, path: String, declared: &Value) {
        let known = self.declared.entry(name.clone()).or_default().entry(path).or_default();
        if holds_env(declared) {
            *known = Some(declared.clone());
        }
    }

    /// The JSON pointers of what git declares of a connection.
    pub(super) fn declared(&self, name: &ConnectionName) -> impl Iterator<Item = &str> {
        self.declared.get(name).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// The references of a connection, by JSON pointer.
    pub(super) fn references(&self, name: &ConnectionName) -> impl Iterator<Item = (&str, &Value)> {
        let fields = self.declared.get(name).into_iter().flatten();
        fields.filter_map(|(path, declared)| Some((path.as_str(), declared.as_ref()?)))
    }

    /// Looks up what the variables hold, once all are known: where somebody typed that into another
    /// field, it is the reference that is written.
    pub(super) fn look_up(&mut self, environment: &Environment) {
        let value = |name: String| Some((name.clone(), environment.lookup(&name).ok()?));
        self.values = self.variables().into_iter().filter_map(value).collect();
        self.values.iter().for_each(|(_, value)| self.redactor.learn(value.expose()));
        let (long, patterns): (Vec<usize>, Vec<&str>) = self
            .values
            .iter()
            .enumerate()
            .map(|(index, (_, value))| (index, value.expose()))
            .filter(|(_, value)| value.len() >= LONG)
            .unzip();
        let mut searcher = AhoCorasick::builder();
        searcher.match_kind(MatchKind::LeftmostLongest);
        self.long = searcher.build(patterns).ok().map(|searcher| (searcher, long));
    }

    /// Whether a value shows what a variable holds, though references took its place where they can.
    pub(super) fn is_shown_by(&self, value: &Value) -> bool {
        self.redactor.is_shown_by(value)
    }

    /// Whether a name shows what a variable holds.
    pub(super) fn is_shown_in_name(&self, name: &str) -> bool {
        self.redactor.is_shown_in_name(name)
    }

    /// A declared value with references in the place of what variables hold; their names are added.
    pub(super) fn referring(&self, value: &Value, used: &mut BTreeSet<String>) -> Value {
        with_texts(value, &mut |text| Value::String(self.in_text(text, used)))
    }

    fn in_text(&self, template: &str, used: &mut BTreeSet<String>) -> String {
        let Ok(segments) = reference::parse(template) else { return template.to_owned() };
        let mut written = String::with_capacity(template.len());
        for segment in segments {
            match segment {
                Segment::Text(text) => self.in_plain(&text, &mut written, used),
                reference => written.push_str(&reference.to_string()),
            }
        }
        written
    }

    fn in_plain(&self, text: &str, written: &mut String, used: &mut BTreeSet<String>) {
        let mut refer = |written: &mut String, name: &str| {
            written.push_str(&Segment::Env(name).to_string());
            used.insert(name.to_owned());
        };
        let is_it = |(_, value): &&(String, Sensitive)| value.expose() == text;
        if let Some((name, _)) = self.values.iter().find(is_it) {
            return refer(written, name);
        }
        let mut done = 0;
        if let Some((searcher, long)) = &self.long {
            for found in searcher.find_iter(text) {
                let index = long.get(found.pattern().as_usize());
                let Some((name, _)) = index.and_then(|index| self.values.get(*index)) else {
                    continue;
                };
                // A `$` before a reference would make a text of it.
                let before = text[done..found.start()].trim_end_matches('$');
                written.push_str(&reference::escape(before));
                refer(written, name);
                done = found.end();
            }
        }
        written.push_str(&reference::escape(&text[done..]));
    }

    /// The names of all variables.
    pub(super) fn variables(&self) -> BTreeSet<String> {
        let fields = self.declared.values().flat_map(BTreeMap::values);
        fields.flatten().flat_map(env_names).collect()
    }
}

// Names for the variables that stand for secrets: `PROJECT_NAME_FIELD`, each once; and the template of
// an env file for them.

/// The variables of one export.
#[derive(Debug)]
pub(super) struct VariableNames {
    prefix: String,
    /// The connection that is written now, by its name, and with its type in front.
    connection: String,
    owner: String,
    taken: BTreeSet<String>,
    /// In the order in which they were noted.
    pub(super) variables: Vec<Variable>,
    /// Where in the list each of them is.
    noted: BTreeMap<String, usize>,
}

impl VariableNames {
    /// Starts with the names that git has given already, which mean something else.
    pub(super) fn new(prefix: &str, known: &KnownReferences) -> Self {
        Self {
            prefix: upper_snake(prefix),
            connection: String::new(),
            owner: String::new(),
            taken: known.variables(),
            variables: Vec::new(),
            noted: BTreeMap::new(),
        }
    }

    /// The names and notes that follow are of this connection.
    pub(super) fn begin(&mut self, type_name: &str, connection: &str) {
        self.owner = format!("{type_name} {connection}");
        connection.clone_into(&mut self.connection);
    }

    /// Makes a name that no other secret has.
    pub(super) fn invent(&mut self, label: &str) -> String {
        let words = [self.prefix.clone(), upper_snake(&self.connection), upper_snake(label)];
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let mut name = words.join("_");
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert(0, '_');
        }
        let mut candidate = name.clone();
        let mut number = 2;
        while !self.taken.insert(candidate.clone()) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        candidate
    }

    /// Notes that a document refers to a variable, or offers to.
    pub(super) fn note(
        &mut self,
        name: String,
        about: &str,
        offered: bool,
        value: Option<Sensitive>,
    ) {
        let known = self.noted.get(&name).and_then(|index| self.variables.get_mut(*index));
        if let Some(noted) = known {
            noted.offered &= offered;
            return;
        }
        // It ends in a comment: a line break in the name of a property may not leave it.
        let about = format!("{}: {about}", self.owner);
        let about = about.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.noted.insert(name.clone(), self.variables.len());
        self.variables.push(Variable { name, about, offered, value });
    }
}

/// The lines of an env file with the names of the variables, none of their values; those that
/// documents only offer are commented out.
pub(crate) fn template(variables: &[Variable]) -> String {
    let mut text = String::from(
        "# The variables that the exported documents refer to: names only. Keep the file with\n\
         # their values out of git, and name it with --env-file.\n",
    );
    for Variable { name, about, offered, .. } in variables {
        let comment = if *offered { "# " } else { "" };
        // Writing to a string cannot fail.
        write!(text, "\n# {about}\n{comment}{name}=\n").unwrap_or_default();
    }
    text
}

// Names that people gave, spelled so that file systems and shells take them.

/// A text in upper snake case, of ASCII letters and digits: `ödeme-mails` is `ODEME_MAILS`.
pub(super) fn upper_snake(text: &str) -> String {
    words(text).join("_").to_ascii_uppercase()
}

/// A text as a file name without its extension: `Ödeme Mails` is `odeme-mails`. It holds nothing
/// but `a-z`, `0-9` and `-`, so it cannot lead anywhere else; it may be empty.
pub(super) fn slug(text: &str) -> String {
    /// File systems take 255 bytes; people read fewer.
    const LONGEST: usize = 100;
    let slug = words(text).join("-");
    slug.chars().take(LONGEST).collect::<String>().trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_share_a_name() {
        let mut names = VariableNames::new("Payments", &KnownReferences::default());
        for (name, wanted) in [
            ("order-mails", "PAYMENTS_ORDER_MAILS_PASSWORD"),
            ("order_mails", "PAYMENTS_ORDER_MAILS_PASSWORD_2"),
            ("Order Mails", "PAYMENTS_ORDER_MAILS_PASSWORD_3"),
        ] {
            names.begin("email", name);
            assert_eq!(names.invent("password"), wanted);
        }
        let mut names = VariableNames::new("24-7", &KnownReferences::default());
        names.begin("email", "支付");
        assert_eq!(names.invent("password"), "_24_7_PASSWORD");
    }

    #[test]
    fn variables_are_in_upper_snake_case() {
        for (text, wanted) in [
            ("orders", "ORDERS"),
            ("order-mails v2", "ORDER_MAILS_V2"),
            ("elasticPassword", "ELASTIC_PASSWORD"),
            ("JDBC_URL_PASSWORD", "JDBC_URL_PASSWORD"),
            ("İade Ödemesi", "IADE_ODEMESI"),
            ("支付", ""),
        ] {
            assert_eq!(upper_snake(text), wanted, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_slug_is_a_plain_file_name(text in ".{0,300}") {
            let slug = slug(&text);
            proptest::prop_assert!(slug.len() <= 100);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            proptest::prop_assert!(slug.chars().all(plain), "{slug:?}");
            proptest::prop_assert!(!slug.starts_with('-') && !slug.ends_with('-'));
        }
    }
}
