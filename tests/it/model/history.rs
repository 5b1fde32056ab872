//! One history: its turns are carried out and each run is checked against the rules.

use std::collections::{BTreeMap, BTreeSet};

use apinizer_gitops::sandbox::{self, Fault, LoggedCall};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::document::{BASE, Commit, Document, Kind, OVERLAY, SECRET, Tree};
use super::ground::Ground;
use super::memory::{
    Adopt, Agreed, Flags, Good, Live, MaxDeletes, Memory, Owned, Settings, Shows, Sight,
};
use super::rules::{Expected, expect};
use super::steps::{Disturbance, Event, Failure, ListFailure, Random, Turn};
use crate::world::PROJECT;

/// What a server and a target are like, drawn once for a history.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    shows: Shows,
    renames: bool,
    older: bool,
    ids: bool,
    omits_nulls: bool,
    summary: bool,
    unset: sandbox::Unset,
    rewrites: bool,
    settings: Settings,
}

impl Setting {
    /// One for histories that are not predicted.
    pub(crate) fn draw_chaotic(random: &mut Random) -> Self {
        let mut setting = Self::draw(random);
        setting.ids = true;
        setting.rewrites = random.one_in(3);
        setting.settings.isolate = false;
        setting
    }

    pub(crate) fn draw(random: &mut Random) -> Self {
        let settings = Settings {
            paths: vec![BASE, OVERLAY],
            prune: true,
            max: random.of(&[MaxDeletes::Percent(30), MaxDeletes::Count(1), MaxDeletes::Count(9)]),
            adopt: Adopt::Always,
            report: random.one_in(4),
            isolate: random.one_in(3),
            host: "one.example.com",
        };
        Self {
            shows: random.of(&[Shows::Some, Shows::All, Shows::Nothing, Shows::CipherText]),
            renames: !random.one_in(5),
            older: random.one_in(2),
            ids: !random.one_in(6),
            omits_nulls: random.one_in(3),
            summary: random.one_in(5),
            unset: random.of(&[
                sandbox::Unset::Null,
                sandbox::Unset::Default,
                sandbox::Unset::Absent,
            ]),
            rewrites: false,
            settings,
        }
    }

    fn server(&self) -> sandbox::Options {
        sandbox::Options {
            dialect: if self.older { sandbox::Dialect::Older } else { sandbox::Dialect::Current },
            secrets: match self.shows {
                Shows::All => sandbox::SecretsOnGet::Shown,
                Shows::Nothing => sandbox::SecretsOnGet::Masked,
                Shows::Some => sandbox::SecretsOnGet::ByGuide,
                Shows::CipherText => sandbox::SecretsOnGet::Cipher,
            },
            rename: if self.renames { sandbox::Rename::Allowed } else { sandbox::Rename::Refused },
            show_ids: self.ids,
            omit_nulls: self.omits_nulls,
            list_fields: match self.summary {
                true => sandbox::ListFields::Summary,
                false => sandbox::ListFields::All,
            },
            unset: self.unset,
            rewrites: if self.rewrites { super::chaos::rewrites() } else { Vec::new() },
            ..sandbox::Options::default()
        }
    }
}

pub(crate) struct History {
    pub(crate) ground: Ground,
    setting: Setting,
    pub(crate) tree: Tree,
    commits: Vec<Commit>,
    memory: Memory,
    /// The log that a failure shows.
    log: Vec<String>,
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

fn secret(name: &str, version: u64) -> (String, String) {
    (name.to_owned(), format!("s3cret-{name}-{version}-xyzzy"))
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
            log: vec![format!("{setting:?}")],
        };
        history.commit(false);
        history
    }

    /// Ends it; a problem is told with the log.
    pub(crate) async fn finish(self, result: Result<(), String>) -> Result<(), String> {
        let state = self.ground.state();
        self.ground.stop().await;
        result.map_err(|problem| format!("{}\n{problem}\nstate: {state}", self.log.join("\n")))
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
        self.commit_events(turn.events.iter());
        if turn.stateless && self.stateless_run(&turn.flags).await? {
            return Ok(());
        }
        let live = self.ground.live();
        let expected = self.expected(&live, &turn.flags);
        self.check_plan(&turn.flags, &expected).await?;
        match &turn.disturbance {
            None => self.check_apply(&turn.flags, expected, &live).await?,
            Some(disturbance) => self.disturbed(disturbance, &turn.flags, expected, &live).await?,
        }
        self.check_quiet(&turn.flags).await
    }

    fn expected(&self, live: &BTreeMap<String, Live>, flags: &Flags) -> Expected {
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

    /// What a revision stands for: all that it declared is owned.
    fn memory_of(&self, at: usize) -> Memory {
        let paths = &self.ground.settings.paths;
        let now = self.commits[self.commits.len() - 1].tree.load(paths);
        let loaded = self.commits[at].tree.load(paths);
        let agreed = |name: &str, field: &str, declared: &Value| {
            // A secret is sent where its text differs.
            let same = now.documents.get(name).and_then(|d| d.fields.get(field)) == Some(declared);
            let value = (field != SECRET || same).then(|| self.value(declared)).flatten();
            Agreed { declared: declared.clone(), value: value.unwrap_or(json!("another")) }
        };
        let owned = loaded.documents.iter().map(|(name, document)| {
            let fields = document.fields.iter().filter(|(field, _)| !document.ignores(field));
            let base = fields.map(|(f, v)| (f.clone(), agreed(name, f, v))).collect();
            let owned = Owned { kind: document.kind, id: None, base, protect: document.protect };
            (name.clone(), owned)
        });
        Memory {
            owned: owned.collect(),
            good: Some(Good { commit: at, loaded: loaded.clone() }),
            stateless: true,
            ..Memory::default()
        }
    }

    /// A plan shows what the rules say, calls only GET and writes no state.
    async fn check_plan(&mut self, flags: &Flags, expected: &Expected) -> Result<(), String> {
        self.forget_calls();
        let state = self.ground.state();
        let shown = self.ground.plan(flags).await;
        if let Some(call) = self.ground.control().take_calls().iter().find(|c| c.method != "GET") {
            return Err(format!("a plan called {} {}", call.method, call.path));
        }
        if self.ground.state() != state {
            return Err("a plan wrote the state".to_owned());
        }
        let mut wanted: Vec<String> = expected
            .changes
            .iter()
            .map(|c| {
                format!("{} {}{}", c.action, c.name, if c.held.is_some() { " held" } else { "" })
            })
            .collect();
        wanted.sort();
        let mut found: Vec<String> = shown
            .changes
            .iter()
            .map(|c| {
                format!("{} {}{}", c.action.as_str(), c.name, if c.held { " held" } else { "" })
            })
            .collect();
        found.sort();
        let reasons = || {
            let reasons = shown.changes.iter().map(|c| (c.name.to_string(), c.reason.clone()));
            format!("{:?}; {:?}", reasons.collect::<Vec<_>>(), shown.errors)
        };
        if wanted != found {
            return Err(format!("the plan is {found:?} and should be {wanted:?}: {}", reasons()));
        }
        for change in expected.changes.iter().filter(|c| c.held.is_some()) {
            let same = shown.changes.iter().find(|c| c.name.as_str() == change.name && c.held);
            let reason = same.and_then(|c| c.reason.clone()).unwrap_or_default();
            let why = change.held.unwrap_or_default();
            // Where several rules hold a whole group, any of them may be told.
            let by_group = ["max_deletes", "all ", "missing or empty"];
            let is_told = reason.contains(why)
                || (by_group.contains(&why) && by_group.iter().any(|w| reason.contains(w)));
            if !is_told {
                return Err(format!("{} is held with `{reason}`, not for `{why}`", change.name));
            }
        }
        if shown.exit != expected.plan_exit {
            let (is, should) = (shown.exit, expected.plan_exit);
            return Err(format!("plan exits {is} and should {should}: {}", reasons()));
        }
        Ok(())
    }

    async fn check_apply(
        &mut self,
        flags: &Flags,
        expected: Expected,
        before: &BTreeMap<String, Live>,
    ) -> Result<(), String> {
        self.check_exit(flags, &expected).await?;
        self.check_after(expected, before)
    }

    async fn check_exit(&mut self, flags: &Flags, expected: &Expected) -> Result<(), String> {
        let (exit, outcome) = self.ground.apply(flags).await;
        if exit != expected.apply_exit {
            let should = expected.apply_exit;
            let results: Vec<_> = outcome
                .target
                .results
                .iter()
                .map(|(c, r)| format!("{} {}: {r:?}", c.action.as_str(), c.name))
                .collect();
            let errors = outcome.target.errors;
            return Err(format!("apply exits {exit} and should {should}: {results:?} {errors:?}"));
        }
        Ok(())
    }

    /// What is live, and what is remembered.
    fn check_after(
        &mut self,
        expected: Expected,
        before: &BTreeMap<String, Live>,
    ) -> Result<(), String> {
        self.check_live(&expected, before)?;
        self.memory = expected.memory;
        self.check_record()
    }

    fn check_live(
        &self,
        expected: &Expected,
        before: &BTreeMap<String, Live>,
    ) -> Result<(), String> {
        let now = self.ground.live();
        let names = |n: &mut dyn Iterator<Item = &String>| n.cloned().collect::<BTreeSet<_>>();
        let (are, should) = (names(&mut now.keys()), names(&mut expected.live.keys()));
        if are != should {
            return Err(format!("live are {are:?} and should be {should:?}"));
        }
        for (name, live) in &now {
            let (is, should) =
                (Kind::plain_body(&live.body), Kind::plain_body(&expected.live[name]));
            if is != should {
                return Err(format!("`{name}` is {is:?} and should be {should:?}"));
            }
            let untouched = !expected.written.contains(name);
            if untouched && before.get(name).is_none_or(|b| b.body != live.body || b.id != live.id)
            {
                return Err(format!("`{name}` was not to be touched"));
            }
        }
        Ok(())
    }

    fn check_record(&mut self) -> Result<(), String> {
        let state = self.ground.state();
        if state.contains("xyzzy") || state.contains("typed in the console") {
            return Err("a secret is in the state".to_owned());
        }
        let record = self.record();
        let keys = |of: &str| -> BTreeSet<String> {
            record[of].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
        };
        let owned: BTreeSet<String> = self.memory.owned.keys().cloned().collect();
        if keys("inventory") != owned {
            return Err(format!(
                "the inventory is {:?} and should be {owned:?}",
                keys("inventory")
            ));
        }
        if !keys("intents").is_empty() {
            return Err(format!("notes of calls are left: {:?}", keys("intents")));
        }
        let id = |at: Option<usize>| at.map_or(Value::Null, |at| json!(self.commits[at].id));
        let good = id(self.memory.good.as_ref().map(|good| good.commit));
        if record["last_good"]["commit"] != good {
            return Err(format!(
                "last good is {} and should be {good}",
                record["last_good"]["commit"]
            ));
        }
        if record["last_applied"] != id(self.memory.applied) {
            let should = id(self.memory.applied);
            return Err(format!(
                "last applied is {} and should be {should}",
                record["last_applied"]
            ));
        }
        for (name, owned) in &self.memory.owned {
            let kept = &record["inventory"][name];
            let protect = kept["protect"] == json!(true);
            let base: BTreeSet<&str> = kept["base"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(path, _)| path.trim_start_matches('/'))
                .collect();
            let should: BTreeSet<&str> = owned.base.keys().map(String::as_str).collect();
            if protect != owned.protect || kept["type"] != owned.kind.name() || base != should {
                return Err(format!("`{name}` is remembered as {kept} and should be {owned:?}"));
            }
        }
        Ok(())
    }

    /// A run that goes wrong touches nothing but what was to be touched; the next one brings
    /// everything to where it would have been without it.
    async fn disturbed(
        &mut self,
        disturbance: &Disturbance,
        flags: &Flags,
        expected: Expected,
        before: &BTreeMap<String, Live>,
    ) -> Result<(), String> {
        self.forget_calls();
        match disturbance {
            Disturbance::Crash(after, moment) => self.ground.crash(flags, *after, *moment).await,
            fault => {
                self.strike(fault);
                self.ground.apply(flags).await;
                self.ground.control().clear_faults();
            }
        }
        let calls = self.ground.control().take_calls();
        check_calls(&calls, &expected)?;
        if matches!(disturbance, Disturbance::RefusePosts) {
            self.refused(&expected, &calls);
            let live = self.ground.live();
            let again = self.expected(&live, flags);
            return self.check_apply(flags, again, &live).await;
        }
        self.ground.apply(flags).await;
        let untouched: BTreeMap<String, Live> = before
            .iter()
            .filter(|(name, _)| !expected.written.contains(*name))
            .map(|(name, live)| (name.clone(), live.clone()))
            .collect();
        self.check_after(expected, &untouched)
    }

    /// What is remembered after a POST was refused: a create is due again, a replace is not,
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
                    let secret = document.fields.get(SECRET).and_then(|s| self.secret(s));
                    self.memory.refused.insert(name.clone(), (document.clone(), secret));
                }
                if let Some(note) = before.notes.get(name) {
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

    /// The same run once more writes nothing.
    async fn check_quiet(&mut self, flags: &Flags) -> Result<(), String> {
        self.forget_calls();
        let live = self.ground.live();
        let flags = Flags { resend: false, ..flags.clone() };
        let expected = self.expected(&live, &flags);
        let is_refused = |call: &LoggedCall| call.method == "PUT" && call.status == Some(400);
        let (_, outcome) = self.ground.apply(&flags).await;
        let calls = self.ground.control().take_calls();
        if let Some(call) = calls.iter().find(|c| c.method != "GET" && !is_refused(c)) {
            let results = outcome.target.results;
            return Err(format!("a second apply calls {} {}: {results:?}", call.method, call.path));
        }
        self.check_after(expected, &live)
    }

    pub(crate) fn forget_calls(&self) {
        drop(self.ground.control().take_calls());
    }

    pub(crate) fn strike(&self, fault: &Disturbance) {
        let control = self.ground.control();
        let single = "/connections/";
        match fault {
            Disturbance::Writes(failure, times) => {
                for method in [Method::POST, Method::PUT, Method::DELETE] {
                    control.fail_next(Some(method), single, failure.fault(), *times);
                }
            }
            Disturbance::Reads(times) => {
                for name in super::steps::NAMES {
                    let path = format!("/{}/", name.replace('%', "%25").replace(' ', "%20"));
                    control.fail_next(Some(Method::GET), &path, Fault::Error, *times);
                }
            }
            Disturbance::Lists(failure) => {
                control.fail_next(Some(Method::GET), "?type=ftp", failure.fault(), 9);
            }
            Disturbance::RefusePosts => {
                let refusal = Fault::Answer {
                    status: StatusCode::BAD_REQUEST,
                    body: r#"{"status":"FAILURE","resultMessage":"no"}"#.to_owned(),
                    retry_after: None,
                };
                // Its way back is taken.
                control.fail_next(Some(Method::POST), single, refusal, 1);
            }
            Disturbance::Crash(..) => {}
        }
    }

    fn happen(&mut self, event: &Event) {
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
                tree.patches.remove(*name);
                tree.broken.remove(*name);
            }
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
                    if let Some(patch) = tree.patches.remove(*old) {
                        tree.patches.insert(at(new), patch);
                    }
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
                    patch.insert(at(field), value.clone());
                }
            }
            Event::Unpatch(name) => drop(tree.patches.remove(*name)),
            Event::EmptyPath(path) => {
                tree.patches.clear();
                if *path == BASE {
                    tree.base.clear();
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
            Event::ConsoleDelete(name) => drop(self.ground.control().remove(PROJECT, name)),
            Event::ConsoleRecreate(name) => {
                let control = self.ground.control();
                if let Some(body) = control.get(PROJECT, name) {
                    assert!(control.remove(PROJECT, name));
                    control.put(PROJECT, body).unwrap();
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
                self.memory = Memory::default();
            }
            Event::NewProcess => self.ground.reconfigured(),
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

fn name_of(call: &LoggedCall) -> String {
    let name = call.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.replace("%20", " ").replace("%25", "%")
}

/// Every write is one that the rules allow on an undisturbed run.
fn check_calls(calls: &[LoggedCall], expected: &Expected) -> Result<(), String> {
    for call in calls.iter().filter(|call| call.method != "GET") {
        let name = name_of(call);
        let is_planned = |actions: &[&str]| {
            expected
                .changes
                .iter()
                .any(|c| c.held.is_none() && c.name == name && actions.contains(&c.action))
        };
        let allowed = match call.method.as_str() {
            "DELETE" => is_planned(&["delete", "replace"]),
            "POST" => is_planned(&["create", "replace"]),
            // A rename is sent under its old name; where the answer of a create or rename was
            // lost, its secrets are sent again.
            _ => {
                is_planned(&["update", "create", "replace", "rename"])
                    || expected.asked.contains(&name)
            }
        };
        if !allowed {
            return Err(format!("{} {name} is not in the plan", call.method));
        }
    }
    Ok(())
}

impl Failure {
    fn fault(self) -> Fault {
        match self {
            Self::Lost => Fault::Lost,
            Self::Truncated => Fault::Truncated,
            Self::LateError => Fault::LateError,
            Self::LateHtml => Fault::LateHtml,
            Self::Undeployed => Fault::Undeployed,
            Self::Error => Fault::Error,
            Self::RateLimited => Fault::RateLimited { after: 0 },
            Self::Reset => Fault::Reset,
            Self::Html => Fault::Html(StatusCode::BAD_GATEWAY),
            Self::SaysFailed => Fault::Failure,
        }
    }
}

impl ListFailure {
    fn fault(self) -> Fault {
        match self {
            Self::Error => Fault::Error,
            Self::Short => Fault::ShortList,
            Self::NoName => Fault::NoName,
            Self::Html => Fault::Html(StatusCode::BAD_GATEWAY),
        }
    }
}
