//! Rules of the user on changes (rule 10): what is denied is blocked, what is held waits for a
//! consent of its own, whatever else holds it. The types are in `row`, since `Settings` holds them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::entry::{Decision, Why};
use super::row::{Judge, Row, Settings};
use super::{
    Action, Change, ChangeResult, ConnectionState, Entry, FieldChange, Origin, TargetPlan,
};
use crate::catalog::OPTIONS_KEY;
use crate::desired::DesiredConnection;
use crate::digest::sha256_hex;
use crate::name::{CommitId, ConnectionName, first_few};
use crate::pointer;
use crate::record::{Consent, Memory, Owned, Record};
use crate::rules::{Effect, Match};
use crate::secret::canonical;

impl Judge<'_> {
    /// The rules that match a change, and the consents of commits that are to be remembered with it: those
    /// that `given` knows now, and earlier ones to this very change.
    fn matches_of(
        &self,
        connection: &Value,
        change: &Change,
        remembered: Option<&BTreeMap<String, Consent>>,
        given: impl Fn(&str) -> Option<CommitId>,
    ) -> (Vec<Match>, BTreeMap<String, Consent>) {
        let is_redeploy = change.action == Action::Update && change.fields.is_empty();
        let action = if is_redeploy { REDEPLOY } else { change.action.into_str() };
        let digest = digest_of(action, connection);
        let mut found = self.user.of_change(connection, &self.for_rules(change), self.now);
        let mut consents = BTreeMap::new();
        for hold in found.iter_mut().filter(|found| found.effect == Effect::Hold) {
            let remembered = remembered.and_then(|all| all.get(&hold.rule));
            let remembered = remembered.filter(|consent| consent.change == digest);
            let by = given(&hold.rule).or_else(|| Some(remembered?.by.clone()));
            if let Some(by) = &by {
                let consent = Consent { by: by.clone(), change: digest.clone() };
                consents.insert(hold.rule.clone(), consent);
            }
            hold.consent = if self.allow.contains(&hold.rule) {
                Some(format!("--allow {}", hold.rule))
            } else {
                by.map(|by| format!("the commit {}", by.short()))
            };
        }
        (found, consents)
    }

    /// Why a change that is made again from a fresh answer must not be made after all: the result
    /// that says so.
    pub(crate) fn stops(
        &self,
        desired: &DesiredConnection,
        action: Action,
        fields: Vec<FieldChange>,
        remembered: Option<&BTreeMap<String, Consent>>,
    ) -> Option<ChangeResult> {
        if self.user.is_empty() {
            return None;
        }
        let type_name = desired.connection_type.name.to_owned();
        let name = desired.name.clone();
        let change = Change { fields, ..Change::bare(action, type_name, name) };
        let (found, _) =
            self.matches_of(&declared_for_rules(desired), &change, remembered, |_| None);
        let said = |effect| in_words(found.iter().filter(|m| stands(m, effect)));
        let denied = said(Effect::Deny).map(ChangeResult::Blocked);
        denied.or_else(|| said(Effect::Hold).map(ChangeResult::Held))
    }

    /// A change as rules see it: which fields differ, and none of their values.
    fn for_rules(&self, change: &Change) -> Value {
        let has = |origin| change.fields.iter().any(|field| field.origin == origin);
        let (git, drift) = (has(Origin::Git), has(Origin::Drift));
        let origin = match (git || change.fields.is_empty(), drift) {
            _ if has(Origin::Both) => Origin::Both,
            (true, true) => Origin::Both,
            (_, false) => Origin::Git,
            (false, true) => Origin::Drift,
        };
        // A delete moves no field.
        let fields = change.fields.iter().filter(|_| change.action != Action::Delete);
        let fields: Vec<Value> =
            fields.map(|field| json!({"path": field.path, "origin": field.origin})).collect();
        let held = change.held || self.tally.held.contains(&change.name);
        json!({
            "action": change.action, "origin": origin, "fields": fields, "held": held,
            "count": self.tally.count,
        })
    }
}

/// How many changes the run would make if there were no rules of the user: those that nothing else
/// holds or blocks. The rules all see this number, which none of them changes.
pub(super) fn count(decisions: &[Decision]) -> usize {
    let changes = decisions.iter().filter_map(|decision| decision.entry.change.as_ref());
    changes.filter(|change| change.needs_call()).count()
}

/// The connections whose change a rule of the tool holds without consent, or held until somebody
/// consented. `decisions` count no consents and no rules of the user.
pub(super) fn held(decisions: &[Decision], record: &Record) -> BTreeSet<ConnectionName> {
    let is_held = |entry: &&Entry| entry.change.as_ref().is_some_and(|change| change.held);
    let now = decisions.iter().map(|decision| &decision.entry).filter(is_held);
    let was_held = |memory: &Memory| memory.due.as_ref().is_some_and(|due| due.was_held);
    let before = record.connections.iter().filter(|(_, memory)| was_held(memory));
    now.map(|entry| &entry.name).chain(before.map(|(name, _)| name)).cloned().collect()
}

/// The word by which a consent tells a PUT that changes no field from an update.
const REDEPLOY: &str = "redeploy";

/// The digest by which a consent tells its change from others.
fn digest_of(action: &str, connection: &Value) -> String {
    let mut digest = sha256_hex(&canonical(&json!([action, connection])));
    // The state keeps one for each consent.
    digest.truncate(digest.len() / 2);
    digest
}

/// Has the consents to a change that was not deployed count for its redeploy, and for nothing else.
pub(crate) fn consent_to_redeploy(
    consents: &mut BTreeMap<String, Consent>,
    desired: &DesiredConnection,
) {
    let redeploy = digest_of(REDEPLOY, &declared_for_rules(desired));
    consents.values_mut().for_each(|consent| consent.change.clone_from(&redeploy));
}

/// Judges one decision by the rules of the user.
pub(super) fn judge(decision: &mut Decision, row: &Row<'_>, settings: &Settings<'_>) {
    let remembered = row.memory.map(|memory| &memory.consents).filter(|all| !all.is_empty());
    if settings.judge.user.is_empty() && remembered.is_none() {
        return;
    }
    let is_made = |c: &&mut Change| c.action.is_write();
    let mut consents = BTreeMap::new();
    if let Some(change) = decision.entry.change.as_deref_mut().filter(is_made) {
        let connection = match (row.wanted(), row.owned()) {
            (Some(desired), _) => declared_for_rules(desired),
            (None, Some(owned)) => written_for_rules(&change.name, owned),
            (None, None) => return,
        };
        let name = change.name.clone();
        // A run that looks at a part does not remember that a commit consented.
        let given = |rule: &str| {
            let is_whole = settings.loaded_whole && !settings.run.filter.is_narrow();
            settings.earlier.consents.to_rule(rule, &name).filter(|_| is_whole)
        };
        (change.rules, consents) =
            settings.judge.matches_of(&connection, change, remembered, given);
        decision.entry.follow_rules();
    }
    if let (Some(remembered), Some(desired)) = (remembered, row.wanted())
        && row.memory.is_some_and(|memory| memory.degraded.is_some())
    {
        // A redeploy may come later: it waits for its time, or another change is due before.
        let redeploy = digest_of(REDEPLOY, &declared_for_rules(desired));
        let to_redeploy = remembered.clone().into_iter().filter(|(_, c)| c.change == redeploy);
        consents = to_redeploy.chain(consents).collect();
    }
    if remembered.is_some() || !consents.is_empty() {
        decision.memory(row).consents = consents;
    }
}

impl Entry {
    /// Blocks or holds the change as the rules that matched it say.
    fn follow_rules(&mut self) {
        let Some(change) = &mut self.change else { return };
        if let Some(reason) = in_words(change.rules.iter().filter(|m| stands(m, Effect::Deny))) {
            (change.action, change.held) = (Action::Blocked, false);
            change.reason = Some(reason.clone());
            change.advice = Some("change what is declared, or the rule in the config".to_owned());
            (self.state, self.reason) = (ConnectionState::Blocked, Some(reason));
            return;
        }
        let holds: Vec<&Match> = change.rules.iter().filter(|m| stands(m, Effect::Hold)).collect();
        let Some(reason) = in_words(holds.iter().copied()) else { return };
        let ways = holds.iter().map(|hold| {
            let rule = &hold.rule;
            format!(
                "run `apinizer-gitops apply --allow {rule}`, or commit with the trailer \
                 `Allow-Rule: {rule}`"
            )
        });
        let advice = ways.collect::<Vec<_>>().join("; and ");
        if !change.held {
            return self.hold(Why::new(reason).advice(advice));
        }
        // Another rule holds it already: each is consented to by itself.
        let join = |text: &mut Option<String>, with: &str, more: &str| {
            *text =
                Some(text.take().map_or_else(|| more.to_owned(), |t| format!("{t}{with}{more}")));
        };
        join(&mut change.advice, "; and ", &advice);
        join(&mut change.reason, "; ", &reason);
        join(&mut self.reason, "; ", &reason);
    }
}

/// Whether a match acts: a hold that is consented to does not.
fn stands(found: &Match, effect: Effect) -> bool {
    found.effect == effect && found.consent.is_none()
}

fn in_words<'m>(found: impl Iterator<Item = &'m Match>) -> Option<String> {
    let words: Vec<String> = found.map(Match::in_words).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// A connection as git declares it, references as text.
fn declared_for_rules(desired: &DesiredConnection) -> Value {
    let fields = desired.fields.iter().map(|field| (&*field.path, &field.declared));
    let options = desired.options.for_rules();
    put_together(desired.connection_type.name, &desired.name, fields, options)
}

/// A connection that git does not declare any more, as it was last written.
fn written_for_rules(name: &ConnectionName, owned: &Owned) -> Value {
    let fields = owned.base.iter().map(|(path, field)| (path.as_str(), &field.declared));
    let options = crate::document::Options { protect: owned.protect, ..Default::default() };
    put_together(&owned.type_name, name, fields, options.for_rules())
}

fn put_together<'f>(
    type_name: &str,
    name: &ConnectionName,
    fields: impl Iterator<Item = (&'f str, &'f Value)>,
    options: Value,
) -> Value {
    let mut connection = Value::Object(pointer::assemble(fields));
    connection["type"] = type_name.into();
    connection["name"] = name.as_str().into();
    connection[OPTIONS_KEY] = options;
    connection
}

/// Says which rules warn of changes, and which holds were consented to.
pub(super) fn tell(plan: &mut TargetPlan) {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in plan.entries.iter().filter_map(|entry| entry.change.as_ref()) {
        let action = match change.action {
            Action::Blocked => "blocked change",
            action => action.into_str(),
        };
        let what = format!("the {action} of `{}`", change.name);
        for found in &change.rules {
            let text = match (found.effect, &found.consent) {
                (Effect::Warn, _) => found.in_words(),
                (_, Some(consent)) => format!("the rule `{}` is met by {consent}", found.rule),
                _ => continue,
            };
            said.entry(text).or_default().push(what.clone());
        }
    }
    // One line says it; the plan shows each change anyway.
    const MOST_NAMED: usize = 5;
    plan.notices.extend(
        said.into_iter().map(|(text, changes)| {
            format!("{text}; it is about {}", first_few(&changes, MOST_NAMED))
        }),
    );
}
