//! Histories in which runs fail and die one after the other while git and live move on. What is
//! in between is not predicted; what may never happen is checked after every run, and what has
//! to be true at the end once the trouble is over.

use std::collections::{BTreeMap, BTreeSet};

use apinizer_gitops::testing::plan::{Action, ChangeResult};
use apinizer_gitops::testing::sandbox::Options;
use serde_json::Value;

use super::document::{Kind, SECRET};
use super::history::History;
use super::memory::{Flags, Live, MaxDeletes, Shows};
use super::setting::Setting;
use super::steps::{Disturbance, Event, Turn};
use crate::world::PROJECT;

/// Fields that some servers of these histories rewrite.
const REWRITTEN: [&str; 2] = ["custom", "description"];

pub(super) fn rewrite(options: &mut Options) {
    let [custom, description] = REWRITTEN.map(str::to_owned);
    options.of_type(Kind::Email.name()).forgotten.insert(custom);
    for kind in [Kind::Email, Kind::Ftp] {
        options.of_type(kind.name()).rewritten.insert(description.clone());
    }
}

/// The observations so far.
#[derive(Default)]
struct Seen {
    /// The ids of connections that a run of the tool made.
    made: BTreeSet<String>,
    /// The ids of those that somebody made in place of another one since the last run.
    replaced: BTreeSet<String>,
    /// All names that any commit declared or renamed from.
    named: BTreeSet<String>,
    /// Somebody consented to deletes, with a flag or a trailer.
    is_consented: bool,
}

/// Carries a history out; what may never happen is the error.
pub(crate) async fn run(setting: &Setting, turns: &[Turn]) -> Result<(), String> {
    let mut history = History::new(setting).await;
    let mut seen = Seen::default();
    let mut result = Ok(());
    for (number, turn) in turns.iter().enumerate() {
        result = history.chaotic_turn(turn, &mut seen).await;
        if let Err(problem) = result {
            result = Err(format!("turn {number}: {problem}"));
            break;
        }
    }
    if result.is_ok() {
        result = history.ends_well(&mut seen).await;
    }
    history.finish(result).await
}

/// Without the events that would make an orphan no orphan, or a delete no surprise.
fn is_kept(event: &Event) -> bool {
    !matches!(
        event,
        Event::Paths(_)
            | Event::Prune(_)
            | Event::Adopt(_)
            | Event::LoseState
            | Event::Isolate(_)
            | Event::ConsoleHabit(_)
    )
}

impl History {
    async fn chaotic_turn(&mut self, turn: &Turn, seen: &mut Seen) -> Result<(), String> {
        self.log(format!("{turn:?}"));
        self.commit_events(turn.events.iter().filter(|event| is_kept(event)));
        self.see_names(seen);
        seen.is_consented |= turn.flags.allow_deletes
            || turn.events.iter().any(|event| matches!(event, Event::Consent));
        let flags = Flags { allow_deletes: turn.flags.allow_deletes, ..Flags::default() };
        let before = self.ground.live();
        let replaced = turn.events.iter().filter_map(|event| match event {
            Event::ConsoleReplace(name) => before.get(*name).map(|live| live.id.clone()),
            _ => None,
        });
        seen.replaced = replaced.collect();
        match &turn.disturbance {
            None if turn.flags.narrow() => return Ok(()),
            None => drop(self.ground.apply(&flags).await),
            Some(Disturbance::Crash(after, moment)) => {
                self.ground.crash(&flags, *after, *moment).await;
            }
            Some(fault) => {
                self.strike(fault);
                self.ground.apply(&flags).await;
                self.ground.control().clear_faults();
            }
        }
        if self.memory.suspended && self.ground.live().len() != before.len() {
            return Err("a suspended target was written to".to_owned());
        }
        self.check_run(&before, seen)
    }

    fn see_names(&self, seen: &mut Seen) {
        for (name, document) in &self.tree.base {
            seen.named.insert(name.clone());
            seen.named.extend(document.renamed_from.clone());
        }
    }

    /// Nothing foreign is touched, nothing that is declared is deleted, nothing is orphaned.
    fn check_run(&self, before: &BTreeMap<String, Live>, seen: &mut Seen) -> Result<(), String> {
        let now = self.ground.live();
        let ids = |live: &BTreeMap<String, Live>| -> BTreeMap<String, String> {
            live.iter().map(|(name, live)| (live.id.clone(), name.clone())).collect()
        };
        let (had, has) = (ids(before), ids(&now));
        seen.made.extend(has.keys().filter(|id| !had.contains_key(*id)).cloned());
        for (id, name) in had.iter().filter(|(id, _)| !has.contains_key(*id)) {
            if !seen.named.contains(name) {
                return Err(format!("`{name}` was deleted, and git never knew it"));
            }
            if seen.replaced.contains(id) {
                return Err(format!("`{name}` was deleted, and somebody had just made it"));
            }
            if self.tree.is_link(name) && !seen.is_consented && seen.made.contains(id) {
                return Err(format!("`{name}` was deleted, and a link that is not read has it"));
            }
            let was = Kind::of(&before[name].body);
            let declared = self.tree.base.get(name).filter(|d| {
                // What is behind a link is not read.
                !d.elsewhere && !d.suspend && !self.tree.is_link(name)
            });
            if declared.is_some_and(|document| document.kind == was) && seen.made.contains(id) {
                return Err(format!("`{name}` was deleted, and git declares it"));
            }
        }
        for (name, live) in before.iter().filter(|(name, _)| !seen.named.contains(*name)) {
            if now.get(name).is_none_or(|now| now.body != live.body) {
                return Err(format!("`{name}` was changed, and git never knew it"));
            }
        }
        self.check_secrets(before, &now)?;
        let record = self.record();
        let memories = record["connections"].as_object().into_iter().flatten();
        let is_known =
            |memory: &Value| ["owned", "intent"].iter().any(|part| memory.get(part).is_some());
        let known: BTreeSet<&String> =
            memories.filter(|(_, memory)| is_known(memory)).map(|(name, _)| name).collect();
        for name in &known {
            if !seen.named.contains(*name) {
                return Err(format!("`{name}` is claimed, and git never knew it"));
            }
        }
        for (id, name) in &has {
            if seen.made.contains(id) && !known.contains(name) {
                return Err(format!("`{name}` was made by the tool and is in no inventory"));
            }
        }
        Ok(())
    }

    /// No secret is lost: neither to what the server shows in its place nor to nothing at all.
    fn check_secrets(
        &self,
        before: &BTreeMap<String, Live>,
        now: &BTreeMap<String, Live>,
    ) -> Result<(), String> {
        for (name, live) in now {
            let secret = live.body.get(SECRET).and_then(Value::as_str).unwrap_or_default();
            if secret.starts_with("{cipher}") || secret.starts_with('*') {
                return Err(format!("`{name}` has `{secret}` for a secret"));
            }
            let had = before.values().find(|old| old.id == live.id);
            let had = had.and_then(|old| old.body.get(SECRET)).and_then(Value::as_str);
            let is_lost = secret.is_empty() && had.is_some_and(|had| !had.is_empty());
            let is_used = Kind::of(&live.body).uses_secret(&live.body);
            let may_be_null = |commit: &super::document::Commit| {
                let document = commit.tree.base.get(name);
                document.is_some_and(|d| d.fields.get(SECRET).is_some_and(Value::is_null))
            };
            if is_lost && is_used && !self.commits.iter().any(may_be_null) {
                return Err(format!("`{name}` lost its secret"));
            }
        }
        Ok(())
    }

    /// Once nothing goes wrong any more, git is what is live.
    async fn ends_well(&mut self, seen: &mut Seen) -> Result<(), String> {
        self.ground.settings.max = MaxDeletes::Count(100);
        self.ground.settings.report = false;
        self.commit_events(
            [
                Event::Mend,
                Event::Consent,
                Event::Shows(Shows::All),
                Event::SuspendTarget(false),
                Event::Rotate("FIRST", Some(7)),
                Event::Rotate("SECOND", Some(7)),
            ]
            .iter(),
        );
        seen.is_consented = true;
        self.log("the trouble is over".to_owned());
        for _ in 0..4 {
            let before = self.ground.live();
            self.ground.apply(&Flags::default()).await;
            self.check_run(&before, seen)?;
        }
        self.forget_calls();
        let (_, last) = self.ground.apply(&Flags::default()).await;
        let calls = self.ground.control().take_calls();
        if let Some(call) = calls.iter().find(|c| c.method != "GET" && c.status != Some(400)) {
            return Err(format!("it goes on with {} {}", call.method, call.path));
        }
        let loaded = self.tree.load(&self.ground.settings.paths);
        if !loaded.is_whole() {
            return Ok(());
        }
        let shown = self.ground.plan(&Flags::default()).await;
        let excused: BTreeSet<String> = last
            .results()
            .filter(|(change, result)| match result {
                // No path changes here, so whatever leaves was removed by a commit.
                ChangeResult::Held(why) => !why.contains("no commit removed it"),
                other => change.action != Action::Drift && **other != ChangeResult::Done,
            })
            .flat_map(|(change, _)| [Some(&change.name), change.previous_name.as_ref()])
            .flatten()
            .map(ToString::to_string)
            .collect();
        for (name, document) in &loaded.documents {
            if document.suspend || excused.contains(name) {
                continue;
            }
            let Some(live) = self.ground.control().get(PROJECT, name) else {
                return Err(format!("`{name}` is declared and not there: {:?}", shown.changes));
            };
            let body = live.as_object().unwrap();
            for (field, declared) in &document.fields {
                let skips = document.ignores(field)
                    || REWRITTEN.contains(&field.as_str())
                    || (field == SECRET && self.hides_drift());
                let wanted = document.kind.plain(field, self.value(declared).as_ref());
                let has = document.kind.plain(field, body.get(field));
                if !skips && wanted != has {
                    return Err(format!("`{name}` has {has:?} for {field}, not {wanted:?}"));
                }
            }
        }
        for (name, live) in self.ground.live() {
            let is_left = seen.made.contains(&live.id)
                && !loaded.documents.contains_key(&name)
                && !excused.contains(&name)
                && !loaded.documents.values().any(|d| d.renamed_from.as_ref() == Some(&name));
            if is_left {
                return Err(format!("`{name}` is left over: {:?}", shown.changes));
            }
        }
        Ok(())
    }
}
