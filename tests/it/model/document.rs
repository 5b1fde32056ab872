//! Documents as the model knows them, and what a commit declares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::memory::Good;

/// The one secret field of the types that the model uses.
pub(crate) const SECRET: &str = "password";

pub(crate) type Fields = BTreeMap<String, Value>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Its secret is used where `auth` is true.
    Email,
    /// Its secret is always used.
    Ftp,
    /// It has no secret.
    Syslog,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Email, Self::Ftp, Self::Syslog];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Ftp => "ftp",
            Self::Syslog => "syslog",
        }
    }

    pub(crate) fn of(body: &Map<String, Value>) -> Self {
        *Self::ALL.iter().find(|kind| body["type"] == kind.name()).unwrap()
    }

    pub(crate) fn host(self) -> &'static str {
        if self == Self::Syslog { "syslogServerHostname" } else { "host" }
    }

    pub(crate) fn port(self) -> &'static str {
        if self == Self::Syslog { "syslogPort" } else { "port" }
    }

    pub(crate) fn has_secret(self) -> bool {
        self != Self::Syslog
    }

    pub(crate) fn uses_secret(self, body: &Map<String, Value>) -> bool {
        match self {
            Self::Email => body.get("auth") == Some(&json!(true)),
            Self::Ftp => true,
            Self::Syslog => false,
        }
    }

    fn default_of(self, field: &str) -> Option<Value> {
        Some(match (self, field) {
            (Self::Email, "port") => json!(587),
            (Self::Ftp, "port") => json!(21),
            (Self::Syslog, "syslogPort") => json!(514),
            (Self::Email, "auth" | "enableStartTls")
            | (Self::Ftp, "useImplicit" | "useExplicit")
            | (Self::Syslog, "syslogSslEnabled") => json!(false),
            (Self::Email, "defaultEncoding") => json!("UTF-8"),
            (Self::Ftp, "workingDir") => json!("/"),
            (Self::Ftp, "timeout") => json!(30000),
            (Self::Ftp, "retryCount") => json!(3),
            (Self::Syslog, "syslogProtocolType") => json!("TCP"),
            (Self::Syslog, "syslogTimeout") => json!(500),
            (Self::Syslog, "syslogMessageFormat") => json!("RFC_3164"),
            (Self::Syslog, "syslogAppName") => json!("Apinizer"),
            (Self::Syslog, "syslogFacility") => json!("AUDIT"),
            (Self::Syslog, "syslogSeverity") => json!("INFORMATIONAL"),
            (_, "enabled" | "deployToWorker") => json!(true),
            _ => return None,
        })
    }

    /// The value, or nothing where it says no more than an undeclared field does.
    pub(crate) fn plain(self, field: &str, value: Option<&Value>) -> Option<Value> {
        let value = value?;
        let is_empty = [json!(null), json!(""), json!([]), json!({})].contains(value);
        let is_default = self.default_of(field).as_ref() == Some(value);
        (!is_empty && !is_default).then(|| value.clone())
    }

    /// The parts of a body that can be told apart.
    pub(crate) fn plain_body(body: &Map<String, Value>) -> Fields {
        let kind = Self::of(body);
        body.iter()
            .filter_map(|(field, value)| Some((field.clone(), kind.plain(field, Some(value))?)))
            .collect()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    pub(crate) kind: Kind,
    pub(crate) fields: Fields,
    pub(crate) protect: bool,
    pub(crate) suspend: bool,
    pub(crate) elsewhere: bool,
    pub(crate) ignore: Option<&'static str>,
    pub(crate) renamed_from: Option<String>,
}

impl Document {
    pub(crate) fn new(kind: Kind, port: u64) -> Self {
        let mut fields = Fields::from([
            (kind.host().to_owned(), json!("${var:host}")),
            (kind.port().to_owned(), json!(port)),
        ]);
        let mut more = |pairs: &[(&str, Value)]| {
            fields.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        };
        match kind {
            Kind::Email => more(&[
                ("auth", json!(true)),
                ("username", json!("u")),
                (SECRET, json!("${env:FIRST}")),
            ]),
            Kind::Ftp => more(&[
                ("username", json!("u")),
                ("protocol", json!("FTP")),
                (SECRET, json!("${env:SECOND}")),
            ]),
            Kind::Syslog => {}
        }
        Self {
            kind,
            fields,
            protect: false,
            suspend: false,
            elsewhere: false,
            ignore: None,
            renamed_from: None,
        }
    }

    pub(crate) fn ignores(&self, field: &str) -> bool {
        self.ignore == Some(field)
    }

    /// A mail server that asks for a password needs one in the document, be it `null`. That of an FTP
    /// server is optional.
    fn lacks_its_secret(&self) -> bool {
        let body = self.fields.clone().into_iter().collect();
        let is_needed = self.kind == Kind::Email && self.kind.uses_secret(&body);
        is_needed && !self.fields.contains_key(SECRET)
    }

    pub(crate) fn yaml(&self, name: &str) -> String {
        let mut options = Map::new();
        for (key, is_set) in [("protect", self.protect), ("suspend", self.suspend)] {
            if is_set {
                options.insert(key.to_owned(), json!(true));
            }
        }
        if self.elsewhere {
            options.insert("targets".to_owned(), json!(["other"]));
        }
        if let Some(field) = self.ignore {
            options.insert("ignore".to_owned(), json!([field]));
        }
        if let Some(old) = &self.renamed_from {
            options.insert("renamedFrom".to_owned(), json!(old));
        }
        let mut text = format!("type: {}\nname: {}\n", self.kind.name(), json!(name));
        text.push_str(&lines(&self.fields));
        if !options.is_empty() {
            text.push_str(&format!("x-gitops: {}\n", Value::Object(options)));
        }
        text
    }
}

fn lines(fields: &Fields) -> String {
    fields.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
}

/// How a file is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Its document has an error, and its name can be read.
    Document,
    /// Nothing in it can be read.
    File,
}

/// The overlay's part of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Patch {
    pub(crate) fields: Fields,
    pub(crate) protect: bool,
}

/// The tree of a commit: a folder of documents and one of patches, each file named after the
/// connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree {
    pub(crate) base: BTreeMap<String, Document>,
    pub(crate) patches: BTreeMap<String, Patch>,
    /// The patches of another folder, which the config may name by mistake.
    pub(crate) other_patches: BTreeMap<String, Patch>,
    /// Names whose file is a link, which is not read.
    pub(crate) links: BTreeSet<String>,
    /// Those whose patch in the first folder is one.
    pub(crate) patch_links: BTreeSet<String>,
    /// The folder of some documents is a link, which is not read either.
    pub(crate) folder_is_link: bool,
    pub(crate) broken: BTreeMap<String, Broken>,
}

#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) tree: Tree,
    pub(crate) consents: bool,
}

pub(crate) const BASE: &str = "connections";
/// A folder in it, and the names of which it has the documents.
pub(crate) const FOLDER: &str = "folder";
pub(crate) const IN_FOLDER: [&str; 2] = ["e", "f%"];
pub(crate) const OVERLAY: &str = "overlay";
pub(crate) const OTHER_OVERLAY: &str = "overlays";
/// A path that no commit ever has.
pub(crate) const MISTYPED: &str = "conections";

/// The declarations of a commit for a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) documents: BTreeMap<String, Document>,
    /// Names with a document that has an error.
    pub(crate) invalid: BTreeSet<String>,
    /// The old names of renames that such documents declare, by the new ones.
    pub(crate) renames_of_invalid: BTreeMap<String, String>,
    /// Names whose file cannot be read.
    pub(crate) unreadable: BTreeSet<String>,
    /// How many documents each path has; nothing for one that is missing.
    pub(crate) counts: BTreeMap<&'static str, Option<usize>>,
}

impl Loaded {
    pub(crate) fn is_whole(&self) -> bool {
        self.invalid.is_empty() && self.unreadable.is_empty()
    }

    fn refuse(&mut self, name: String) {
        let document = self.documents.remove(&name);
        let old = document.and_then(|document| document.renamed_from);
        self.renames_of_invalid.extend(old.map(|old| (name.clone(), old)));
        self.invalid.insert(name);
    }

    /// All names, valid or not.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.documents.keys().chain(&self.invalid).cloned().collect()
    }

    /// And the old names of renames, which count as declared until they are done.
    pub(crate) fn names_and_old_ones(&self) -> BTreeSet<String> {
        let old = self.documents.values().filter_map(|document| document.renamed_from.clone());
        self.names().into_iter().chain(old).collect()
    }
}

impl Tree {
    /// Whether the document of a name is not read, since it is a link or lies behind one.
    pub(crate) fn is_link(&self, name: &str) -> bool {
        let is_behind_one = self.folder_is_link && IN_FOLDER.contains(&name);
        self.base.contains_key(name) && (self.links.contains(name) || is_behind_one)
    }

    /// Whether a document of that name may lie behind the folder that is a link.
    pub(crate) fn may_hide(&self, name: &str) -> bool {
        let is_there = self.base.keys().any(|other| IN_FOLDER.contains(&other.as_str()));
        self.folder_is_link && is_there && IN_FOLDER.contains(&name)
    }

    /// Names whose patch in the first overlay is not read, since it is a link.
    pub(crate) fn linked_patches(&self) -> BTreeSet<String> {
        let linked = self.patches.keys().filter(|name| self.patch_links.contains(*name));
        linked.cloned().collect()
    }

    /// Whether anything below a path is not read.
    pub(crate) fn has_links(&self, path: &str) -> bool {
        match path {
            BASE => self.base.keys().any(|name| self.is_link(name)),
            OVERLAY => !self.linked_patches().is_empty(),
            _ => false,
        }
    }

    /// The patches that are read below a path.
    fn patches_of(&self, path: &str) -> BTreeMap<&String, &Patch> {
        match path {
            OVERLAY => {
                let read = |name: &&String| !self.patch_links.contains(*name);
                self.patches.iter().filter(|(name, _)| read(name)).collect()
            }
            OTHER_OVERLAY => self.other_patches.iter().collect(),
            _ => BTreeMap::new(),
        }
    }

    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::from([
            (format!("{BASE}/.keep"), String::new()),
            (format!("{OVERLAY}/.keep"), String::new()),
            (format!("{OTHER_OVERLAY}/.keep"), String::new()),
        ]);
        for (name, document) in &self.base {
            let text = match self.broken.get(name) {
                None => document.yaml(name),
                Some(Broken::Document) => format!(
                    "{}unknown: {{a: b}}\nx-gitops: {{bogus: 1}}\n",
                    strip_options(&document.yaml(name))
                ),
                Some(Broken::File) => "type: [\n".to_owned(),
            };
            let is_in_folder = IN_FOLDER.contains(&name.as_str());
            let folder = if is_in_folder { format!("{BASE}/{FOLDER}") } else { BASE.to_owned() };
            files.insert(format!("{folder}/{name}.yaml"), text);
        }
        let patches = self.patches.iter().map(|(name, patch)| (OVERLAY, name, patch));
        let others = self.other_patches.iter().map(|(name, patch)| (OTHER_OVERLAY, name, patch));
        for (folder, name, patch) in patches.chain(others) {
            let mut text = format!("name: {}\n{}", json!(name), lines(&patch.fields));
            if patch.protect {
                text.push_str("x-gitops: {protect: true}\n");
            }
            files.insert(format!("{folder}/{name}.yaml"), text);
        }
        files
    }

    /// The names in which a path has a say, and the old names of their renames. A document for other
    /// targets is one only where it is patched: the patch may say that.
    pub(crate) fn touched_by(&self, path: &str) -> BTreeSet<String> {
        let is_patched = |name: &String| {
            [OVERLAY, OTHER_OVERLAY].iter().any(|p| self.patches_of(p).contains_key(name))
        };
        let base = self.base.iter().filter(|(name, document)| match path {
            BASE => !self.is_link(name) && (!document.elsewhere || is_patched(name)),
            _ => self.patches_of(path).contains_key(name),
        });
        base.flat_map(|(name, document)| document.renamed_from.iter().chain([name]))
            .cloned()
            .collect()
    }

    /// The names of the documents of a path when it is read alone, and the old names of their renames.
    pub(crate) fn declared_by(&self, path: &str) -> BTreeSet<String> {
        let patches = self.patches_of(path).into_keys().cloned();
        let base = self
            .base
            .iter()
            .filter(|(name, document)| path == BASE && !self.is_link(name) && !document.elsewhere);
        let base = base.flat_map(|(name, document)| document.renamed_from.iter().chain([name]));
        patches.chain(base.cloned()).collect()
    }

    /// Whether a file of a path that declared something before cannot be read, or is a link.
    pub(crate) fn hides_some_of(&self, path: &str, good: &Good) -> bool {
        let is_known = |name: &String| {
            good.touched.get(path).is_some_and(|names| names.contains(name))
                && !good.left.contains(name)
        };
        let is_broken = |name: &&String| self.broken.get(*name) == Some(&Broken::File);
        match path {
            BASE => {
                let hidden = self.base.keys().filter(|name| self.is_link(name) || is_broken(name));
                let is_behind = |name: &String| self.may_hide(name) && is_known(name);
                hidden.into_iter().any(is_known)
                    || good.touched.get(path).into_iter().flatten().any(is_behind)
            }
            OVERLAY => self.linked_patches().iter().any(is_known),
            _ => false,
        }
    }

    /// The paths with links that are known as such, also after a consent to them, where today's are `read`.
    pub(crate) fn paths_with_links(
        &self,
        read: &[&'static str],
        good: Option<&Good>,
    ) -> BTreeSet<&'static str> {
        let is_known = |path: &&'static str| {
            read.contains(path)
                || good.is_some_and(|g| g.links.contains(path) || self.hides_some_of(path, g))
        };
        let paths = [BASE, OVERLAY].into_iter();
        paths.filter(|path| self.has_links(path)).filter(is_known).collect()
    }

    pub(crate) fn load(&self, paths: &[&'static str]) -> Loaded {
        let mut loaded = Loaded::default();
        for path in paths {
            let count = match *path {
                BASE => Some(
                    self.base
                        .keys()
                        .filter(|n| self.broken.get(*n) != Some(&Broken::File))
                        .filter(|n| !self.is_link(n))
                        .count(),
                ),
                MISTYPED => None,
                _ => Some(self.patches_of(path).len()),
            };
            loaded.counts.insert(path, count);
        }
        if paths.contains(&BASE) {
            for (name, document) in &self.base {
                match self.broken.get(name) {
                    _ if self.is_link(name) => {}
                    None if document.elsewhere => {}
                    None => {
                        loaded.documents.insert(name.clone(), document.clone());
                    }
                    Some(Broken::Document) => {
                        loaded.invalid.insert(name.clone());
                    }
                    Some(Broken::File) => {
                        loaded.unreadable.insert(name.clone());
                    }
                }
            }
        }
        for path in paths {
            for (name, patch) in self.patches_of(path) {
                let is_declared =
                    paths.contains(&BASE) && self.base.contains_key(name) && !self.is_link(name);
                match loaded.documents.get_mut(name) {
                    Some(document) => {
                        merge(&mut document.fields, &patch.fields);
                        document.protect |= patch.protect;
                    }
                    // Of a document that is for other targets, or broken already.
                    None if is_declared && self.broken.get(name) != Some(&Broken::File) => {}
                    // It patches nothing, and is not complete by itself.
                    None => {
                        loaded.invalid.insert(name.clone());
                    }
                }
            }
        }
        let incomplete: Vec<String> = loaded
            .documents
            .iter()
            .filter(|(_, document)| document.lacks_its_secret())
            .map(|(name, _)| name.clone())
            .collect();
        for name in incomplete {
            loaded.refuse(name);
        }
        refuse_renames(&mut loaded);
        loaded
    }
}

fn strip_options(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("x-gitops"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// RFC 7386, for the flat fields of the model.
fn merge(fields: &mut Fields, patch: &Fields) {
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            fields.insert(key.clone(), value.clone());
        }
    }
}

/// Two documents with one `renamedFrom`, a rename to itself and a cycle are errors.
fn refuse_renames(loaded: &mut Loaded) {
    let olds: BTreeMap<String, String> = loaded
        .documents
        .iter()
        .filter_map(|(name, document)| Some((name.clone(), document.renamed_from.clone()?)))
        .collect();
    for (name, old) in &olds {
        let twice = olds.values().filter(|other| *other == old).count() > 1;
        let mut at = Some(old);
        let mut cycle = false;
        for _ in 0..=olds.len() {
            cycle |= at == Some(name);
            at = at.and_then(|at| olds.get(at));
        }
        if twice || cycle {
            loaded.refuse(name.clone());
        }
    }
}
