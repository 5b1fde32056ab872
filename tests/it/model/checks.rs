//! Holding what a run did against what the rules say.

use std::collections::{BTreeMap, BTreeSet};

use apinizer_gitops::testing::sandbox::LoggedCall;
use serde_json::{Value, json};

use super::document::Kind;
use super::fields;
use super::history::History;
use super::memory::{Flags, Live};
use super::rules::Expected;

impl History {
    /// A plan shows what the rules say, calls only GET and writes no state.
    pub(super) async fn check_plan(
        &mut self,
        flags: &Flags,
        expected: &Expected,
    ) -> Result<(), String> {
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
                format!("{} {}{}", c.action.into_str(), c.name, if c.held { " held" } else { "" })
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
            let by_group =
                ["max_deletes", "nothing would be left", "missing or empty", "not read now"];
            let is_told = reason.contains(why)
                // A path that the config has no more and that was empty for a while may be known or not.
                || (why == "commit" && reason.contains("that is not read"))
                || (why == "commit" && by_group.iter().any(|w| reason.contains(w)))
                || (why == "no longer reads"
                    && (reason.contains("that is not read may declare")
                        || by_group.iter().any(|w| reason.contains(w))))
                || (why == "missing or empty" && reason.contains("`prune` is off"))
                || (why == "missing or empty" && reason.contains("no longer reads"))
                || (why == "changed its type" && reason.contains("no commit asked for a replace"))
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

    pub(super) async fn check_apply(
        &mut self,
        flags: &Flags,
        expected: Expected,
        before: &BTreeMap<String, Live>,
    ) -> Result<(), String> {
        self.check_exit(flags, &expected).await?;
        self.check_after(expected, before)
    }

    pub(super) async fn check_exit(
        &mut self,
        flags: &Flags,
        expected: &Expected,
    ) -> Result<(), String> {
        let (exit, outcome) = self.ground.apply(flags).await;
        if exit != expected.apply_exit {
            let should = expected.apply_exit;
            let results: Vec<_> = outcome
                .results()
                .map(|(c, r)| format!("{} {}: {r:?}", c.action.into_str(), c.name))
                .collect();
            let errors = outcome.errors;
            return Err(format!("apply exits {exit} and should {should}: {results:?} {errors:?}"));
        }
        Ok(())
    }

    /// Compares live and the record with the rules.
    pub(super) fn check_after(
        &mut self,
        expected: Expected,
        before: &BTreeMap<String, Live>,
    ) -> Result<(), String> {
        self.check_live(&expected, before)?;
        self.memory = expected.memory;
        self.learn_ids();
        self.check_record()
    }

    /// The ids of what a run created are read at its end.
    fn learn_ids(&mut self) {
        let live = self.ground.live();
        for (name, owned) in self.memory.owned.iter_mut().filter(|(_, owned)| owned.id.is_none()) {
            let id = live.get(name).map(|live| live.id.clone());
            owned.id = id.filter(|_| self.setting.ids);
        }
    }

    /// Takes over which secrets can be read, where a run that went wrong found that out earlier;
    /// whether it did.
    pub(super) fn learn_readable(&mut self) -> bool {
        let record = self.record();
        let is_readable = |kind: &Kind| {
            let fields = record["readable"][kind.name()].as_array();
            fields.is_some_and(|fields| !fields.is_empty())
        };
        let known = Kind::ALL.into_iter().filter(is_readable).collect();
        let is_new = self.memory.readable != known;
        self.memory.readable = known;
        is_new
    }

    pub(super) fn check_live(
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

    pub(super) fn check_record(&mut self) -> Result<(), String> {
        let state = self.ground.state();
        if state.contains("xyzzy") || state.contains("typed in the console") {
            return Err("a secret is in the state".to_owned());
        }
        let record = self.record();
        let memories = || record["connections"].as_object().into_iter().flatten();
        let keys = |part: &str| -> BTreeSet<String> {
            let with_part = memories().filter(|(_, memory)| memory.get(part).is_some());
            with_part.map(|(name, _)| name.clone()).collect()
        };
        let owned: BTreeSet<String> = self.memory.owned.keys().cloned().collect();
        if keys("owned") != owned {
            return Err(format!("the inventory is {:?} and should be {owned:?}", keys("owned")));
        }
        if !keys("intent").is_empty() {
            return Err(format!("notes of calls are left: {:?}", keys("intent")));
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
            let memory = &record["connections"][name];
            let kept = &memory["owned"];
            let protect = kept["protect"] == json!(true) || memory["protected_by"].is_string();
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

    /// The same run once more writes nothing, but for what it proves itself: what the first run created
    /// may show that a secret can be read, and so let another connection be updated.
    pub(super) async fn check_quiet(&mut self, flags: &Flags) -> Result<(), String> {
        self.forget_calls();
        let live = self.ground.live();
        let flags = Flags { resend: false, ..flags.clone() };
        let expected = self.expected(&live, &flags);
        let is_refused = |call: &LoggedCall| call.method == "PUT" && call.status == Some(400);
        let (_, outcome) = self.ground.apply(&flags).await;
        let calls = self.ground.control().take_calls();
        let is_proven_since = |call: &LoggedCall| {
            let name = name_of(call);
            let mut updates = expected.changes.iter().filter(|c| c.action == "update");
            call.method == "PUT"
                && (expected.asked.contains(&name) || updates.any(|c| c.name == name))
                && !self.declares_its_secret(&name)
        };
        let is_quiet = |c: &&LoggedCall| c.method == "GET" || is_refused(c) || is_proven_since(c);
        if let Some(call) = calls.iter().find(|call| !is_quiet(call)) {
            let results = outcome.changes();
            return Err(format!("a second apply calls {} {}: {results:?}", call.method, call.path));
        }
        self.check_after(expected, &live)
    }

    fn declares_its_secret(&self, name: &str) -> bool {
        let tree = &self.commits.last().unwrap().tree;
        let documents = tree.load(&self.ground.settings.paths).documents;
        documents.get(name).is_some_and(fields::is_declared)
    }
}

pub(super) fn name_of(call: &LoggedCall) -> String {
    let name = call.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.replace("%2A", "*").replace("%20", " ").replace("%25", "%")
}

/// Every write is one that the rules allow on an undisturbed run.
pub(super) fn check_calls(calls: &[LoggedCall], expected: &Expected) -> Result<(), String> {
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
