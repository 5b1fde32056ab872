//! The plan: the one model that text, JSON, markdown, page and metrics are views of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::document::{Diagnostic, Severity};
use crate::links::Links;
use crate::name::ConnectionName;
use crate::parallel::in_parallel;
use crate::source::Commit;

pub(crate) mod body;
pub(crate) mod compare;
mod connection_state;
mod decide;
pub(crate) mod earlier_commits;
mod entry;
pub(crate) mod equality;
mod judge;
mod limits;
mod protection;
pub(crate) mod reading;
pub(crate) mod renames;
mod row;
mod run;
pub(crate) mod saved;
pub(crate) mod unanswered;

pub(crate) use connection_state::{ConnectionState, Counts, Summary, with_reason};
pub(crate) use decide::{ADOPTED, NOT_OURS, for_the_shell, forget_command};
pub use entry::{Action, Change, ChangeResult};
pub(crate) use entry::{Decision, Entry, FieldChange, Origin, Why, all_declared, attempt};
pub(crate) use judge::consent_to_redeploy;
pub(crate) use protection::{keep_protection, marks_that_are_over, raise_protection};
pub(crate) use row::{Judge, Observed, Rows, Settings, Tally, join};
pub use run::{Filter, RunRequests};

use crate::record::Record;
use crate::rules::UserRules;
use crate::secret::{Redactor, SENSITIVE};
use row::Row;

/// A plan, and everything that follows from it without a call.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: TargetPlan,
    /// The record with all changes that need no call: adoptions, agreements, names that left, holds.
    pub(crate) record: Record,
    /// Connections of which the lists do not show enough to decide (see [`Decision`]): the names that are
    /// live now.
    pub(crate) to_read: BTreeSet<ConnectionName>,
    pub(crate) tally: Tally,
}

/// Makes the plan of one target, in up to three rounds: the first two decide without the rules of the
/// user, to learn how many changes there are and which of them the tool holds, where a rule asks for
/// that. The last one asks the rules, which all see those answers.
pub(crate) fn plan(rows: Rows<'_>, record: &Record, settings: &Settings<'_>) -> Planned {
    let user = settings.judge.user;
    let decide_without = |without_consents: bool| {
        let judge = Judge { user: &UserRules::default(), ..settings.judge };
        decide_all(rows.clone(), record, &Settings { judge, without_consents, ..*settings })
    };
    let mut tally = Tally::default();
    if user.asks_for_the_count() {
        tally.count = judge::count(&decide_without(false));
    }
    if user.asks_for_holds() {
        tally.held = judge::held(&decide_without(true), record);
    }
    let judge = Judge { tally: &tally, ..settings.judge };
    let settings = &Settings { judge, ..*settings };
    let mut planned = Planned {
        plan: TargetPlan::default(),
        record: record.clone(),
        to_read: BTreeSet::new(),
        tally: tally.clone(),
    };
    let decisions = decide_all(rows, record, settings);
    planned.plan.entries.reserve_exact(decisions.len());
    for decision in decisions {
        planned.take(decision, record);
    }
    planned.tell(settings);
    judge::tell(&mut planned.plan);
    planned
}

/// Decides each row that the run admits, applies the limits over all deletes, and judges the changes
/// by the rules of the user. Renames are judged as they are decided, since what they free or lock
/// follows from it.
fn decide_all(mut rows: Rows<'_>, record: &Record, settings: &Settings<'_>) -> Vec<Decision> {
    let mut decisions = decide::decide_renames(&mut rows, record, settings);
    let decided: BTreeSet<ConnectionName> =
        decisions.iter().map(|decision| decision.entry.name.clone()).collect();
    let others: Vec<&Row<'_>> = rows.values().filter(|row| !decided.contains(row.name)).collect();
    let others = in_parallel(others, |row| decide::decide(row, settings));
    decisions.extend(others.into_iter().flatten());
    limits::limit(&mut decisions, &rows, settings);
    for decision in decisions.iter_mut().filter(|one| !decided.contains(&one.entry.name)) {
        if let Some(row) = rows.get(&decision.entry.name) {
            judge::judge(decision, row, settings);
        }
    }
    decisions.retain(|one| settings.run.filter.admits(&one.entry.type_name, &one.entry.name));
    decisions
}

impl Planned {
    fn take(&mut self, decision: Decision, before: &Record) {
        let Decision { mut entry, leaves, memory, needs_reading, proven_readable, notices } =
            decision;
        if needs_reading {
            let old = entry.change.as_ref().and_then(|change| change.previous_name.clone());
            self.to_read.insert(old.unwrap_or_else(|| entry.name.clone()));
        }
        for path in proven_readable {
            self.record.readable.add(&entry.type_name, path);
        }
        if let Some(memory) = memory {
            self.record.set(&entry.name, memory);
        }
        self.plan.notices.extend(notices);
        if before.owned(&entry.name).is_some() && self.record.owned(&entry.name).is_none() {
            self.record.leave(&entry.name);
        }
        if !leaves {
            entry.tell_last_write(before.owned(&entry.name));
            self.plan.entries.push(entry);
        }
    }

    /// Says what is about the target as a whole.
    fn tell(&mut self, settings: &Settings<'_>) {
        let TargetPlan { notices, errors, entries, .. } = &mut self.plan;
        for pattern in settings.run.filter.without_match(entries) {
            notices.push(format!("{pattern} matches no connection"));
        }
        for name in &settings.run.allow_delete {
            if self.record.owned(name).is_none() {
                notices.push(format!(
                    "`--allow-delete {name}` consents to nothing: the inventory has no connection of \
                     exactly that name"
                ));
            }
        }
        for type_name in &settings.live.unsupported {
            notices.push(format!(
                "this version of the server does not know the type {type_name}: its documents are blocked"
            ));
        }
        let mut changes = entries.iter().filter_map(|entry| entry.change.as_ref());
        if changes.any(|change| change.action == Action::Rename) {
            let note = "references by name, such as those of log policies, do not follow a rename";
            notices.push(note.to_owned());
        }
        for (name, memory) in &self.record.connections {
            let degraded = memory.degraded.as_ref().filter(|degraded| degraded.deleted.is_some());
            if let Some(degraded) = degraded {
                notices.push(format!(
                    "the delete of `{name}` was saved but not deployed, and is not sent again: {}; \
                     once the workers have it, `{}` ends this note",
                    degraded.reason,
                    forget_command(name)
                ));
            }
        }
        for (type_name, problem) in &settings.live.incomplete {
            errors.push(format!("the list of {type_name} is not complete: {problem}"));
        }
    }

    /// Has the commands that are advised name the target: in others a name may stand for another
    /// connection.
    pub(crate) fn name_target(&mut self, target: &str) {
        let target = for_the_shell(target);
        let changes = self.plan.entries.iter_mut().flat_map(Entry::changes_mut);
        let advice = changes.filter_map(|change| change.advice.as_mut());
        for text in advice.chain(&mut self.plan.notices) {
            for command in ["`apinizer-gitops apply", "`apinizer-gitops forget"] {
                *text = text.replace(command, &format!("{command} --target {target}"));
            }
        }
    }

    /// Hides what live shows of secrets where none belong: somebody typed them there. Names that
    /// git declares are its own.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        for entry in &mut self.plan.entries {
            for change in entry.changes_mut() {
                for field in &mut change.fields {
                    // Git's object is sent with the keys that live has beside it.
                    let is_of_parts = |value: &&mut Value| value.is_object() || value.is_array();
                    let after = field.after.as_mut().filter(is_of_parts);
                    for value in field.before.iter_mut().chain(after) {
                        if redactor.is_shown_by(value) {
                            (*value, field.sensitive) = (Value::from(SENSITIVE), true);
                        }
                    }
                }
                if let Some(by) = change.edited.as_mut().and_then(|edit| edit.by.as_mut()) {
                    *by = redactor.redact(by);
                }
            }
            if entry.state == ConnectionState::Unmanaged
                && redactor.is_shown_in_name(entry.name.as_str())
            {
                entry.name = ConnectionName::new(SENSITIVE);
            }
        }
    }
}

/// The changes that one run would make on its targets.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The commit that was read; `None` with `--worktree`.
    pub commit: Option<Commit>,
    /// The source in words: its path or url.
    pub source: String,
    /// One for each target, in the order of the config.
    pub targets: Vec<TargetPlan>,
    /// Where commits and files are shown on the web.
    pub links: Option<Links>,
}

/// The entries of one target, with their results once the plan is carried out.
#[derive(Clone, Debug, Default)]
pub struct TargetPlan {
    /// The target's name in the config.
    pub name: String,
    /// The Apinizer project.
    pub project: String,
    /// The Manager's URL, without user info.
    pub url: String,
    /// Its connections, one entry for each: renames first, each chain from its free end, then the others by
    /// name. Changes of one action are made and told in this order.
    pub entries: Vec<Entry>,
    /// The errors that stopped the target as a whole, or one document of it: one sentence each.
    pub errors: Vec<String>,
    /// The notices that come first, in every output: that deletes cannot be known without a state,
    /// that secrets were not compared, and the like.
    pub notices: Vec<String>,
    /// The problems of its documents.
    pub diagnostics: Vec<Diagnostic>,
    /// How many documents and changes each rule of the user matches, by name and effect.
    pub rule_matches: BTreeMap<(String, &'static str), usize>,
    /// Whether the newest commit is held back: the target waits for another one (rule 11).
    pub waits: bool,
}

impl TargetPlan {
    /// The changes in the order in which they are made (rule 7).
    pub fn changes(&self) -> Vec<&Change> {
        let mut changes: Vec<&Change> = self.entries.iter().flat_map(Entry::changes).collect();
        changes.sort_by_key(|change| change.action);
        changes
    }

    /// The changes with their results, in the same order; none where it was only planned.
    pub fn results(&self) -> impl Iterator<Item = (&Change, &ChangeResult)> {
        self.changes().into_iter().filter_map(|change| Some((change, change.result.as_ref()?)))
    }

    /// The counts of the changes that would be made.
    pub fn summary(&self) -> Summary {
        Summary::of(&self.entries)
    }

    /// Live connections that git neither declares nor owns.
    pub fn unmanaged(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.state == ConnectionState::Unmanaged)
    }

    /// Whether a connection stands so.
    pub fn has(&self, state: ConnectionState) -> bool {
        self.entries.iter().any(|entry| entry.state == state)
    }

    /// Counts the documents and changes that rules of the user match.
    pub(crate) fn count_matches(&mut self, rules: &UserRules) {
        let zero = rules.iter().map(|rule| ((rule.name.clone(), rule.effect.into_str()), 0));
        let mut counts: BTreeMap<_, usize> = zero.collect();
        let of_documents: Vec<&String> =
            self.diagnostics.iter().filter_map(|problem| problem.rule.as_ref()).collect();
        let changes = self.entries.iter().filter_map(|entry| entry.change.as_ref());
        let of_changes = changes.flat_map(|change| &change.rules).map(|found| &found.rule);
        // A document that is denied blocks its connection, which names the rule too.
        let of_changes = of_changes.filter(|rule| !of_documents.contains(rule));
        for name in of_documents.iter().copied().chain(of_changes) {
            let of_rule = counts.iter_mut().filter(|((rule, _), _)| rule == name);
            of_rule.for_each(|(_, count)| *count += 1);
        }
        self.rule_matches = counts;
    }

    /// The warnings about its documents.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|problem| problem.severity == Severity::Warning)
    }

    /// The plan of a run that makes no call: changes that would be sent are not started.
    #[must_use]
    pub fn without_calls(mut self) -> Self {
        for entry in &mut self.entries {
            for change in entry.changes_mut() {
                change.result = Some(change.without_call());
            }
        }
        self
    }

    /// Holds every change, since the target is suspended.
    pub fn hold_suspended(&mut self) {
        let target = for_the_shell(&self.name);
        for entry in &mut self.entries {
            if entry.change.as_ref().is_some_and(|change| change.action.is_write()) {
                let advice = format!("run `apinizer-gitops resume --target {target}`");
                entry.hold(Why::new("held: the target is suspended").advice(advice));
            }
        }
        self.notices.push("the target is suspended: nothing is written".to_owned());
    }

    /// Whether it was carried out whole: nothing failed, nothing was held, nothing is left, and nothing
    /// waits to be deployed.
    pub fn is_applied(&self) -> bool {
        let is_success =
            |change: &Change| change.result.as_ref().is_some_and(ChangeResult::is_success);
        self.errors.is_empty()
            && !self.has(ConnectionState::Degraded)
            && self.entries.iter().flat_map(Entry::changes).all(is_success)
    }
}
