//! One history: its turns are carried out and each run is checked against the rules.

use std::collections::{BTreeMap, BTreeSet};

use apinizer_gitops::testing::sandbox::LoggedCall;
use serde_json::{Value, json};

use super::checks::{check_calls, name_of};
use super::document::{Commit, Kind, SECRET, Tree};
use super::ground::Ground;
use super::memory::{
    Adopt, Agreed, Asked, Flags, Good, Live, Memory, Owned, SecretKnown, Shows, Sight,
};
use super::rules::{Expected, expect};
use super::setting::Setting;
use super::steps::{Disturbance, Event, Turn};

pub(crate) struct History {
    pub(crate) ground: Ground,
    pub(super) setting: Setting,
    pub(crate) tree: Tree,
    pub(super) commits: Vec<Commit>,
    pub(super) memory: Memory,
    /// Connections that people edit before every run, and how often they did.
    pub(super) habits: BTreeSet<&'static str>,
    pub(super) edits: u64,
    /// The log that a failure shows.
    pub(super) log: Vec<String>,
}

/// Carries a history out; what went against the rules is the error.
pub(crate) async fn run(setting: &Setting, turns: &[Turn]) -> Result<(), String> {
    let mut history = History::new(setting).await;
    let mut result = Ok(());
    for (number, turn) in turns.iter().enumerate() {
        result = history.turn(turn).await;
        if let Err(problem) = result {
            result = Err(format!("turn {number}: {problem}"));
            break;
        }
    }
    history.finish(result).await
}

pub(super) fn secret(name: &str, version: u64) -> (String, String) {
    (name.to_owned(), format!("s3cret-{name}-{version}-xyzzy"))
}

/// Whether the model knows what comes of an event.
fn is_predicted(event: &Event) -> bool {
    !matches!(event, Event::Shows(_))
}

impl History {
    pub(crate) async fn new(setting: &Setting) -> Self {
        let env = BTreeMap::from([secret("FIRST", 0), secret("SECOND", 0)]);
        let ground = Ground::new(setting.server(), setting.settings.clone(), env).await;
        let mut history = Self {
            ground,
            setting: setting.clone(),
            tree: Tree::default(),
            commits: Vec::new(),
            memory: Memory::default(),
            habits: BTreeSet::new(),
            edits: 0,
            log: vec![format!("{setting:?}")],
        };
        history.commit(false);
        history
    }

    /// Ends it; a problem is told with the log.
    pub(crate) async fn finish(self, result: Result<(), String>) -> Result<(), String> {
        let (state, live) = (self.ground.state(), self.ground.live());
        self.ground.stop().await;
        let log = self.log.join("\n");
        result.map_err(|problem| format!("{log}\n{problem}\nlive: {live:?}\nstate: {state}"))
    }

    pub(crate) fn log(&mut self, line: String) {
        self.log.push(line);
    }

    fn commit(&mut self, consents: bool) {
        let id = self.ground.commit(&self.tree, consents);
        self.commits.push(Commit { id, tree: self.tree.clone(), consents });
    }

    /// Lets events happen and commits what they did to git.
    pub(crate) fn commit_events<'e>(&mut self, events: impl Iterator<Item = &'e Event>) {
        let before = self.tree.clone();
        let mut consents = false;
        for event in events {
            consents |= matches!(event, Event::Consent);
            self.happen(event);
        }
        if self.tree != before || consents {
            self.commit(consents);
        }
    }

    pub(crate) fn record(&self) -> Value {
        match self.ground.state().as_str() {
            "" => json!({}),
            text => serde_json::from_str::<Value>(text).unwrap()["record"].clone(),
        }
    }

    /// Whether somebody may have changed a secret that no reading shows.
    pub(crate) fn hides_drift(&self) -> bool {
        self.setting.shows != Shows::All
    }

    /// The value of what is declared.
    pub(crate) fn value(&self, declared: &Value) -> Option<Value> {
        match declared.as_str() {
            Some("${var:host}") => Some(json!(self.ground.settings.host)),
            _ => self.secret(declared),
        }
    }

    async fn turn(&mut self, turn: &Turn) -> Result<(), String> {
        self.log(format!("{turn:?}"));
        self.commit_events(turn.events.iter().filter(|event| is_predicted(event)));
        self.follow_habits();
        if turn.stateless && self.stateless_run(&turn.flags).await? {
            return Ok(());
        }
        let live = self.ground.live();
        let expected = self.expected(&live, &turn.flags);
        self.check_plan(&turn.flags, &expected).await?;
        match turn.disturbance.as_ref().filter(|_| !expected.lifts_next) {
            None => self.check_apply(&turn.flags, expected, &live).await?,
            Some(disturbance) => self.disturbed(disturbance, &turn.flags, expected, &live).await?,
        }
        if turn.is_last_look && turn.disturbance.is_none() {
            return Ok(());
        }
        self.check_quiet(&turn.flags).await
    }

    pub(super) fn expected(&self, live: &BTreeMap<String, Live>, flags: &Flags) -> Expected {
        self.expected_of(&self.memory, live, flags)
    }

    fn expected_of(
        &self,
        memory: &Memory,
        live: &BTreeMap<String, Live>,
        flags: &Flags,
    ) -> Expected {
        expect(
            Sight {
                settings: &self.ground.settings,
                shows: self.setting.shows,
                renames: self.setting.renames,
                ids: self.setting.ids,
                env: &self.ground.env,
                commits: &self.commits,
                live,
                flags,
            },
            memory,
        )
    }

    /// A run with `--base`, if there is a commit to take for it; it knows no state.
    async fn stateless_run(&mut self, flags: &Flags) -> Result<bool, String> {
        let paths = self.ground.settings.paths.clone();
        let Some(at) = self.memory.applied else { return Ok(false) };
        let is_fit = self.commits[at].tree.load(&paths).is_whole();
        if !is_fit || self.ground.settings.adopt != Adopt::Always {
            return Ok(false);
        }
        let flags = Flags { base: Some(at), resend: false, ..flags.clone() };
        let memory = self.memory_of(at);
        let state = self.ground.state();
        let live = self.ground.live();
        let expected = self.expected_of(&memory, &live, &flags);
        self.check_plan(&flags, &expected).await?;
        self.check_exit(&flags, &expected).await?;
        self.check_live(&expected, &live)?;
        let live = self.ground.live();
        self.forget_calls();
        self.ground.apply(&flags).await;
        let calls = self.ground.control().take_calls();
        // A secret whose text differs from the revision's is sent each time.
        let again = self.expected_of(&memory, &live, &flags);
        check_calls(&calls, &again)?;
        self.check_live(&again, &live)?;
        match self.ground.state() == state {
            true => Ok(true),
            false => Err("--base wrote the state".to_owned()),
        }
    }

    /// The memory that a revision stands for: all that it declared is owned.
    fn memory_of(&self, at: usize) -> Memory {
        let paths = &self.ground.settings.paths;
        let now = self.commits[self.commits.len() - 1].tree.load(paths);
        let loaded = self.commits[at].tree.load(paths);
        let agreed = |name: &str, field: &str, declared: &Value| {
            // A secret is sent where its text differs.
            let now = now.documents.get(name).and_then(|d| d.fields.get(field));
            let is_moved = field == SECRET && now.is_some_and(|now| now != declared);
            let value = (!is_moved).then(|| self.value(declared)).flatten();
            Agreed { declared: declared.clone(), value: value.unwrap_or(json!("another")) }
        };
        let owned = loaded.documents.iter().map(|(name, document)| {
            let fields = document.fields.iter().filter(|(field, _)| !document.ignores(field));
            let base = fields.map(|(f, v)| (f.clone(), agreed(name, f, v))).collect();
            let secret = SecretKnown::default();
            let (kind, protect) = (document.kind, document.protect);
            let renamed_from = document.renamed_from.clone();
            let owned = Owned { kind, id: None, base, protect, renamed_from, secret };
            (name.clone(), owned)
        });
        Memory {
            owned: owned.collect(),
            good: Some(Good {
                commit: at,
                loaded: loaded.clone(),
                touched: paths
                    .iter()
                    .map(|path| (*path, self.commits[at].tree.touched_by(path)))
                    .collect(),
                seen: BTreeSet::new(),
                left: BTreeSet::new(),
                old_names: BTreeSet::new(),
                hidden: BTreeSet::new(),
                links: BTreeSet::new(),
                lost: BTreeSet::new(),
            }),
            stateless: true,
            ..Memory::default()
        }
    }

    /// A run that goes wrong touches nothing but what was to be touched; the next one brings
    /// everything to where it would have been without it.
    async fn disturbed(
        &mut self,
        disturbance: &Disturbance,
        flags: &Flags,
        mut expected: Expected,
        before: &BTreeMap<String, Live>,
    ) -> Result<(), String> {
        self.forget_calls();
        match disturbance {
            Disturbance::Crash(after, moment) => self.ground.crash(flags, *after, *moment).await,
            // Of a name outside the inventory a list is believed: what it lacks may be created.
            Disturbance::LateList(name) if !self.memory.owned.contains_key(*name) => {}
            fault => {
                self.strike(fault);
                self.ground.apply(flags).await;
                self.ground.control().clear_faults();
            }
        }
        let calls = self.ground.control().take_calls();
        check_calls(&calls, &expected)?;
        if let Disturbance::LateList(name) = disturbance
            && self.memory.owned.contains_key(*name)
            && before.contains_key(*name)
            && !flags.narrow()
            && let Some(call) = calls.iter().find(|c| ["POST", "DELETE"].contains(&&*c.method))
        {
            return Err(format!("{} {}, though a list lacks `{name}`", call.method, call.path));
        }
        if matches!(disturbance, Disturbance::RefusePosts) {
            self.refused(&expected, &calls);
            let live = self.ground.live();
            let again = self.expected(&live, flags);
            return self.check_apply(flags, again, &live).await;
        }
        let deletes = expected.changes.iter().filter(|c| c.action == "delete" && c.held.is_none());
        let undeployed = deletes
            .map(|change| change.name.clone())
            .filter(|name| !self.record()["connections"][name]["degraded"].is_null());
        let undeployed: BTreeSet<String> = undeployed.collect();
        if !undeployed.is_empty() {
            expected.memory.applied = self.memory.applied;
            expected.memory.undeployed.extend(undeployed);
        }
        self.ground.apply(flags).await;
        let untouched: BTreeMap<String, Live> = before
            .iter()
            .filter(|(name, _)| !expected.written.contains(*name))
            .map(|(name, live)| (name.clone(), live.clone()))
            .collect();
        self.check_after(expected, &untouched)?;
        if self.learn_readable() {
            let live = self.ground.live();
            let again = self.expected(&live, &Flags { resend: false, ..flags.clone() });
            self.check_apply(flags, again, &live).await?;
        }
        Ok(())
    }

    /// The memory after a POST was refused: a create is due again, a replace is not,
    /// until its document changes.
    fn refused(&mut self, expected: &Expected, calls: &[LoggedCall]) {
        let live = self.ground.live();
        let before = std::mem::replace(&mut self.memory, expected.memory.clone());
        let loaded = self.commits.last().unwrap().tree.load(&self.ground.settings.paths);
        let posts = expected.changes.iter().filter(|c| ["create", "replace"].contains(&c.action));
        for change in posts.filter(|c| c.held.is_none()) {
            let name = &change.name;
            let document = &loaded.documents[name];
            let is_there = live.get(name).is_some_and(|l| Kind::of(&l.body) == document.kind);
            if is_there {
                continue;
            }
            self.memory.applied = before.applied;
            match before.owned.get(name) {
                Some(owned) => self.memory.owned.insert(name.clone(), owned.clone()),
                None => self.memory.owned.remove(name),
            };
            if change.action == "replace" {
                // The old one was made again, so it may have another id.
                let was_refused = calls.iter().any(|call| {
                    call.method == "POST" && call.status == Some(400) && name_of(call) == *name
                });
                if let Some(owned) = self.memory.owned.get_mut(name)
                    && was_refused
                {
                    owned.id = None;
                    let asked = Asked::of(document, &self.ground.settings, &self.ground.env);
                    self.memory.refused.insert(name.clone(), asked);
                }
                if let Some(note) = expected.replacing.get(name) {
                    self.memory.notes.insert(name.clone(), note.clone());
                }
            }
        }
    }

    fn secret(&self, declared: &Value) -> Option<Value> {
        let reference = declared.as_str().and_then(|text| text.strip_prefix("${env:"));
        let Some(reference) = reference else { return Some(declared.clone()) };
        Some(json!(self.ground.env.get(reference.strip_suffix('}')?)?))
    }

    pub(crate) fn forget_calls(&self) {
        drop(self.ground.control().take_calls());
    }
}
