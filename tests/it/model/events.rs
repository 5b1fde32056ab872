//! The events: commits, and people at the console.

use serde_json::{Map, Value, json};

use super::document::{BASE, Document, Kind, SECRET, Tree};
use super::history::{History, secret};
use super::memory::Memory;
use super::setting;
use super::steps::Event;
use crate::world::PROJECT;

impl History {
    pub(super) fn happen(&mut self, event: &Event) {
        let settings = &mut self.ground.settings;
        let tree = &mut self.tree;
        let at = |name: &str| name.to_owned();
        match event {
            Event::Declare(name, kind, port) => {
                let port = json!(port);
                let document = tree.base.entry(at(name)).or_insert_with(|| Document::new(*kind, 0));
                document.fields.insert(document.kind.port().to_owned(), port);
            }
            Event::Set(name, field, value) => {
                if let Some(document) = tree.base.get_mut(*name)
                    && let Some(field) = field_of(document.kind, field)
                {
                    document.fields.insert(field.to_owned(), value.clone());
                }
            }
            Event::Drop(name, field) => {
                if let Some(document) = tree.base.get_mut(*name)
                    && let Some(field) = field_of(document.kind, field)
                {
                    document.fields.remove(field);
                }
            }
            Event::Remove(name) => {
                tree.base.remove(*name);
                unpatch(tree, name);
                tree.other_patches.remove(*name);
                tree.broken.remove(*name);
                tree.links.remove(*name);
            }
            Event::RemoveBase(name) => {
                tree.base.remove(*name);
                tree.broken.remove(*name);
                tree.links.remove(*name);
            }
            Event::Link(name) => {
                if tree.base.contains_key(*name) && !tree.links.remove(*name) {
                    tree.links.insert(at(name));
                }
            }
            Event::LinkPatch(name) => {
                if tree.patches.contains_key(*name) && !tree.patch_links.remove(*name) {
                    tree.patch_links.insert(at(name));
                }
            }
            Event::LinkFolder => tree.folder_is_link = !tree.folder_is_link,
            Event::Protect(name) => flip(tree, name, |d| &mut d.protect),
            Event::Suspend(name) => flip(tree, name, |d| &mut d.suspend),
            Event::Elsewhere(name) => flip(tree, name, |d| &mut d.elsewhere),
            Event::Ignore(name, field) => {
                if let Some(document) = tree.base.get_mut(*name)
                    && let Some(field) = field_of(document.kind, field)
                {
                    let is_ignored = document.ignores(field);
                    document.ignore = (!is_ignored).then_some(field);
                }
            }
            Event::Rename(old, new, with) => {
                if old != new
                    && !tree.base.contains_key(*new)
                    && let Some(mut document) = tree.base.remove(*old)
                {
                    document.renamed_from = with.then(|| at(old));
                    tree.base.insert(at(new), document);
                    tree.broken.remove(*old);
                    tree.links.remove(*old);
                    for patches in [&mut tree.patches, &mut tree.other_patches] {
                        if let Some(patch) = patches.remove(*old) {
                            patches.insert(at(new), patch);
                        }
                    }
                    tree.patch_links.remove(*old);
                }
            }
            Event::RenamedFrom(name, old) => {
                if let Some(document) = tree.base.get_mut(*name) {
                    document.renamed_from = old.filter(|old| old != name).map(at);
                }
            }
            Event::Retype(name, kind) => {
                if let Some(document) = tree.base.get_mut(*name) {
                    let fresh = Document::new(*kind, 7);
                    document.kind = fresh.kind;
                    document.fields = fresh.fields;
                    document.ignore = None;
                }
            }
            Event::Patch(name, field, value) => {
                if tree.base.contains_key(*name) {
                    let patch = tree.patches.entry(at(name)).or_default();
                    patch.fields.insert(at(field), value.clone());
                }
            }
            Event::PatchElsewhere(name, field, value) => {
                if tree.base.contains_key(*name) {
                    let patch = tree.other_patches.entry(at(name)).or_default();
                    patch.fields.insert(at(field), value.clone());
                }
            }
            Event::ProtectByPatch(name) => {
                if tree.base.contains_key(*name) {
                    let patch = tree.patches.entry(at(name)).or_default();
                    patch.protect = !patch.protect;
                }
            }
            Event::Unpatch(name) => unpatch(tree, name),
            Event::EmptyPath(path) => {
                tree.patches.clear();
                tree.patch_links.clear();
                if *path == BASE {
                    tree.base.clear();
                    tree.links.clear();
                    tree.broken.clear();
                }
            }
            Event::Break(name, how) => {
                if tree.base.contains_key(*name) {
                    tree.broken.insert(at(name), *how);
                }
            }
            Event::Mend => tree.broken.clear(),
            Event::Consent => {}
            Event::ConsoleCreate(name, kind) => {
                let control = self.ground.control();
                if control.get(PROJECT, name).is_none() {
                    control.put(PROJECT, console_body(name, *kind)).unwrap();
                }
            }
            Event::ConsoleEdit(name, field, value) => {
                self.ground.control().edit(PROJECT, name, |body| edit(body, field, value));
            }
            Event::ConsoleHabit(name) => {
                if !self.habits.remove(*name) {
                    self.habits.insert(*name);
                }
            }
            Event::ConsoleDelete(name) => drop(self.ground.control().remove(PROJECT, name)),
            Event::ConsoleRecreate(name) => {
                let control = self.ground.control();
                if let Some(body) = control.get(PROJECT, name) {
                    assert!(control.remove(PROJECT, name));
                    control.put(PROJECT, body).unwrap();
                }
            }
            Event::ConsoleReplace(name) => {
                let control = self.ground.control();
                if let Some(body) = control.get(PROJECT, name) {
                    assert!(control.remove(PROJECT, name));
                    let kind = Kind::of(body.as_object().unwrap());
                    control.put(PROJECT, console_body(name, kind)).unwrap();
                }
            }
            Event::Rotate(name, version) => {
                match version {
                    Some(version) => self.ground.env.extend([secret(name, *version)]),
                    None => drop(self.ground.env.remove(*name)),
                }
                self.ground.reconfigured();
            }
            Event::Paths(paths) => settings.paths.clone_from(paths),
            Event::Prune(prune) => settings.prune = *prune,
            Event::Max(max) => settings.max = *max,
            Event::Adopt(adopt) => settings.adopt = *adopt,
            Event::Report(report) => settings.report = *report,
            Event::Isolate(isolate) => settings.isolate = *isolate,
            Event::Host(host) => settings.host = host,
            Event::LoseState => {
                self.ground.lose_state();
                // A process that knows of the suspension keeps it: `suspended_targets` has the test.
                if self.memory.suspended {
                    self.ground.reconfigured();
                }
                self.memory = Memory::default();
            }
            Event::SuspendTarget(suspended) => {
                if self.ground.suspend(*suspended) {
                    self.memory.suspended = *suspended;
                }
            }
            Event::NewProcess => self.ground.reconfigured(),
            Event::Shows(shows) => {
                self.setting.shows = *shows;
                let secrets = setting::secrets_on_get(*shows);
                self.ground.control().alter(|options| options.show(secrets));
            }
        }
        if matches!(
            event,
            Event::Paths(_)
                | Event::Prune(_)
                | Event::Max(_)
                | Event::Adopt(_)
                | Event::Report(_)
                | Event::Isolate(_)
                | Event::Host(_)
        ) {
            self.ground.reconfigured();
        }
    }
}

impl History {
    /// The edits that people make before every run, each time with another value.
    pub(super) fn follow_habits(&mut self) {
        self.edits += 1;
        for name in &self.habits {
            let port = json!(2000 + self.edits);
            self.ground.control().edit(PROJECT, name, |body| edit(body, "port", &port));
        }
    }
}

fn unpatch(tree: &mut Tree, name: &str) {
    tree.patches.remove(name);
    tree.patch_links.remove(name);
}

fn flip(tree: &mut Tree, name: &str, option: impl Fn(&mut Document) -> &mut bool) {
    if let Some(document) = tree.base.get_mut(name) {
        let option = option(document);
        *option = !*option;
    }
}

/// The field as the type has it, if it has it.
fn field_of(kind: Kind, field: &'static str) -> Option<&'static str> {
    match (field, kind) {
        ("port", kind) => Some(kind.port()),
        ("password", kind) => kind.has_secret().then_some(field),
        ("auth" | "from", kind) => (kind == Kind::Email).then_some(field),
        _ => Some(field),
    }
}

fn edit(body: &mut Map<String, Value>, field: &'static str, value: &Value) {
    if let Some(field) = field_of(Kind::of(body), field) {
        body.insert(field.to_owned(), value.clone());
    }
}

fn console_body(name: &str, kind: Kind) -> Value {
    let mut body = json!({"type": kind.name(), "name": name, "description": "by hand"});
    body[kind.host()] = json!("one.example.com");
    body[kind.port()] = json!(1000);
    if kind.has_secret() {
        body["username"] = json!("u");
        body[SECRET] = json!("typed in the console");
    }
    if kind == Kind::Email {
        body["auth"] = json!(true);
    }
    body
}
