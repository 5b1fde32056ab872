//! What git declares: created, updated, replaced, taken over, blocked, or left as it is.

use super::change::{
    CREATE, REPLACE, TAKEN_OVER, change, created_fields, git_moved, whole_digest, written_fields,
};
use super::removed::for_the_shell;
use super::{Planner, State};
use crate::catalog::Field;
use crate::config::Adopt;
use crate::desired::DesiredConnection;
use crate::inventory::{Base, LONGEST_PAUSE, Owned};
use crate::name::ConnectionName;
use crate::plan::agreement::Agreement;
use crate::plan::body::{self, NoBody};
use crate::plan::compare::{Comparison, LiveView, Treatment, compare};
use crate::plan::same::is_the_same;
use crate::plan::{Action, Change, FieldChange, Origin};

impl<'a> Planner<'a> {
    pub(super) fn desired(&mut self, desired: &'a DesiredConnection, agreement: Agreement) {
        let name = &desired.name;
        let type_name = desired.connection_type.name;
        let settled = self.told.contains(name) || self.situation.invalid.contains_key(name);
        if settled || !self.admits(type_name, name) {
            return;
        }
        // A commit that declares another type is none that lifted the protection first.
        let protect = desired.options.protect;
        let lifts = |owned: &Owned| owned.type_name == type_name || protect;
        let owned = self.record.inventory.get(name);
        if owned.is_some_and(|owned| owned.protect != protect && lifts(owned)) {
            self.edit_owned(name, |owned| owned.protect = protect);
        }
        if desired.options.suspend {
            self.state(desired, State::Suspended, None);
            return;
        }
        if let Some(new) = self.locked.get(name) {
            let reason = format!("waits until `{new}` has been renamed from it");
            self.block(desired, reason, None);
            return;
        }
        if let Some(reason) = self.cannot_be_written(desired) {
            self.block(desired, reason, None);
            return;
        }
        // What was read for itself may show more than the texts that agree.
        let was_read = self.situation.singles.contains_key(name);
        if agreement != Agreement::Doubtful && !was_read && !self.freed.contains(name) {
            self.plan.summary.unchanged += 1;
            self.state_with(desired, State::InSync, None, agreement == Agreement::Unverified);
            return;
        }
        match self.view(name).filter(|_| !self.freed.contains(name)) {
            None => self.absent(desired),
            Some(view) if view.entry.type_name == type_name => self.present(desired, &view),
            Some(view) => self.other_type(desired, &view),
        }
    }

    /// Why nothing can be written, whatever live has.
    pub(super) fn cannot_be_written(&self, desired: &DesiredConnection) -> Option<String> {
        if let Some(problem) = desired.unresolved.first() {
            let more = desired.unresolved.len() - 1;
            let and = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            return Some(format!("unresolved: {problem}{and}"));
        }
        let unread = self.situation.unread;
        // What is not there yet may be there under its old name.
        let is_live = self.situation.live.connections.contains_key(&desired.name);
        let old = desired.options.renamed_from.as_ref().filter(|_| !is_live);
        let problem = [Some(&desired.name), old].into_iter().flatten().find_map(|n| unread.get(n));
        if let Some(problem) = problem {
            return Some(format!("could not be read: {problem}"));
        }
        let type_name = desired.connection_type.name;
        self.situation
            .live
            .unsupported
            .iter()
            .any(|t| t == type_name)
            .then(|| format!("this version of the server does not know the type {type_name}"))
    }

    pub(super) fn absent(&mut self, desired: &'a DesiredConnection) {
        let live = self.situation.live;
        if let Some((type_name, problem)) = live.incomplete.iter().next() {
            let reason = format!(
                "not created: whether it exists is not known, since the list of {type_name} failed \
                 ({problem})"
            );
            self.block(desired, reason, None);
            return;
        }
        if self.came_to_nothing(desired, CREATE) {
            let reason = "not converging: the server took it twice and does not list it".to_owned();
            self.push(Change {
                action: Action::Blocked,
                reason: Some(reason.clone()),
                ..change(desired)
            });
            self.state(desired, State::NotConverging, Some(reason));
            return;
        }
        let freed = self.freed.contains(&desired.name);
        let owned = self.situation.context.record.inventory.get(&desired.name).filter(|_| !freed);
        let reason = owned.map(|_| "deleted outside git".to_owned());
        let origin = match owned {
            None => Origin::Git,
            Some(owned) if git_moved(desired, owned, &self.situation.context) => Origin::Both,
            Some(_) => Origin::Drift,
        };
        let fields = created_fields(desired, origin);
        let keeps = origin == Origin::Drift && !self.situation.context.corrects_drift;
        let action = if keeps { Action::Drift } else { Action::Create };
        self.push(Change { action, reason: reason.clone(), fields, ..change(desired) });
        let state = if keeps { State::Drifted } else { State::Pending };
        self.state(desired, state, reason);
    }

    pub(super) fn present(&mut self, desired: &'a DesiredConnection, view: &LiveView<'_>) {
        let owned = self.owned(&desired.name, view.entry);
        let context = &self.situation.context;
        let base = owned.as_ref().map(|o| o.base.fields());
        let comparison = compare(desired, view, base.as_ref(), context);
        self.learn(desired, &comparison);
        let taken_over = owned.is_none();
        if taken_over && !self.may_take_over(desired, &comparison) {
            return;
        }
        let unverified = comparison.unverified;
        self.remember_agreement(desired, view, &comparison);
        if comparison.writes()
            && let Some(reason) = self.would_wipe(desired, view, &comparison)
        {
            self.push(Change {
                action: Action::Blocked,
                reason: Some(reason.clone()),
                fields: written_fields(&comparison),
                ..change(desired)
            });
            self.state_with(desired, State::Blocked, Some(reason), unverified);
        } else if comparison.writes() {
            let differing = desired.connection_type.name;
            if comparison.differences.iter().any(|d| d.read_back) {
                self.canaries.entry(differing).or_default().push(desired.name.clone());
            }
            let reason = taken_over.then(|| TAKEN_OVER.to_owned());
            self.push(Change {
                action: Action::Update,
                reason: reason.clone(),
                fields: written_fields(&comparison),
                ..change(desired)
            });
            self.state_with(desired, State::Pending, reason, unverified);
        } else if let Some(reason) = self.degraded(&desired.name) {
            self.push(Change {
                action: Action::Update,
                reason: Some(reason.clone()),
                ..change(desired)
            });
            self.state_with(desired, State::Degraded, Some(reason), unverified);
        } else {
            if taken_over {
                self.plan.summary.adopt += 1;
            } else if comparison.differences.is_empty() {
                self.plan.summary.unchanged += 1;
            }
            let waiting = self.record.degraded.get(&desired.name).map(|d| d.reason.clone());
            let state = if waiting.is_some() { State::Degraded } else { State::InSync };
            if comparison.differences.is_empty() {
                self.state_with(desired, state, waiting, unverified);
            }
        }
        self.report_kept(desired, &comparison);
    }

    /// Why the PUT will not be sent, where that is certain before its GET: a secret that git does
    /// not declare and that this server was never seen to show, or a mask that it showed.
    fn would_wipe(
        &self,
        desired: &DesiredConnection,
        view: &LiveView<'_>,
        comparison: &Comparison,
    ) -> Option<String> {
        let put = body::for_update(desired, view, comparison, &desired.name, &self.record);
        let Err(NoBody::WouldWipe(name)) = &put else { return None };
        let own_type = desired.connection_type;
        let is_certain = if own_type.field(name).is_some_and(Field::is_secret) {
            !self.record.is_readable(own_type.name, &format!("/{name}"))
        } else {
            view.single.is_some()
        };
        is_certain.then(|| NoBody::WouldWipe(name.clone()).to_string())
    }

    /// Shows what live keeps: drift that is only reported, and fields that the server rewrites.
    pub(super) fn report_kept(&mut self, desired: &'a DesiredConnection, comparison: &Comparison) {
        for (treatment, state) in
            [(Treatment::Keep, State::Drifted), (Treatment::GiveUp, State::NotConverging)]
        {
            let fields: Vec<FieldChange> = comparison
                .differences
                .iter()
                .filter(|d| d.treatment == treatment)
                .map(|d| d.change.clone())
                .collect();
            if fields.is_empty() {
                continue;
            }
            let reason = (treatment == Treatment::GiveUp).then(|| {
                let names: Vec<&str> = fields.iter().map(|f| f.path.as_str()).collect();
                format!(
                    "not converging: the server rewrites {} after every write",
                    names.join(", ")
                )
            });
            if let Some(reason) = &reason {
                self.tell_once(desired, &fields, reason);
            }
            self.push(Change {
                action: Action::Drift,
                reason: reason.clone(),
                fields,
                ..change(desired)
            });
            if !self.told.contains(&desired.name) {
                self.state_with(desired, state, reason, comparison.unverified);
            }
        }
    }

    /// Says that fields were given up, once.
    fn tell_once(&mut self, desired: &DesiredConnection, fields: &[FieldChange], reason: &str) {
        let Some(unstable) = self.record.unstable.get_mut(&desired.name) else { return };
        let mut is_new = false;
        for field in fields {
            if let Some(known) = unstable.get_mut(&field.path) {
                is_new |= !known.reported;
                known.reported = true;
            }
        }
        if is_new {
            self.plan.notices.push(format!("`{}` is {reason}", desired.name));
        }
    }

    pub(super) fn other_type(&mut self, desired: &'a DesiredConnection, view: &LiveView<'_>) {
        let live_type = &view.entry.type_name;
        let wanted = desired.connection_type.name;
        if self.owned(&desired.name, view.entry).is_none_or(|owned| owned.type_name == wanted) {
            let reason = format!("is of type {live_type} on the server, and git declares {wanted}");
            let advice = "give it another name in git, or delete it in the console".to_owned();
            self.block(desired, reason, Some(advice));
            return;
        }
        if self.replaces(desired, view).is_none() {
            let reason = format!(
                "the server did not take a {wanted} connection in the place of the {live_type} one, \
                 and the document has not changed since"
            );
            let word = for_the_shell(desired.name.as_str());
            let advice = format!(
                "change the document; where the server takes it now, `apinizer-gitops apply \
                 --allow-deletes --name={word}` tries it once more"
            );
            self.block(desired, reason, Some(advice));
            return;
        }
        self.replaces.insert(desired.name.clone());
        self.push(Change {
            action: Action::Replace,
            reason: Some(format!("the type changes from {live_type} to {wanted}")),
            fields: created_fields(desired, Origin::Git),
            ..change(desired)
        });
        self.state(desired, State::Pending, None);
    }

    /// What the inventory knows of a connection that git replaces by one of another type.
    pub(super) fn replaces(
        &self,
        desired: &DesiredConnection,
        view: &LiveView<'_>,
    ) -> Option<Owned> {
        let owned = self.owned(&desired.name, view.entry)?;
        let git_changed_it = owned.type_name != desired.connection_type.name;
        let may_be_tried = !self.came_to_nothing(desired, REPLACE) || self.is_exact(&desired.name);
        (git_changed_it && may_be_tried).then_some(owned)
    }

    /// Whether a step was tried often enough for what is declared today.
    pub(super) fn came_to_nothing(&self, desired: &DesiredConnection, step: &str) -> bool {
        let context = &self.situation.context;
        let tried = context.record.unstable.get(&desired.name).and_then(|f| f.get(step));
        tried.is_some_and(|tried| {
            tried.is_given_up() && context.key.matches(&tried.print, step, &whole_digest(desired))
        })
    }

    pub(super) fn may_take_over(
        &mut self,
        desired: &'a DesiredConnection,
        found: &Comparison,
    ) -> bool {
        let differs = !found.differences.is_empty();
        let (blocked, advice) = match self.situation.adopt {
            Adopt::Always => return true,
            Adopt::Equal if !differs => return true,
            Adopt::Equal => ("it differs from git", "make git equal to it, or set `adopt: always`"),
            Adopt::Never => ("`adopt` is `never`", "set `adopt: equal` or `adopt: always`"),
        };
        let reason = format!("not taken over: it was made outside git, and {blocked}");
        let fields = found.differences.iter().map(|d| d.change.clone()).collect();
        self.plan.summary.blocked += 1;
        self.plan.changes.push(Change {
            action: Action::Blocked,
            reason: Some(reason.clone()),
            advice: Some(advice.to_owned()),
            fields,
            ..change(desired)
        });
        self.state(desired, State::Blocked, Some(reason));
        false
    }

    pub(super) fn learn(&mut self, desired: &DesiredConnection, comparison: &Comparison) {
        let type_name = desired.connection_type.name;
        for path in &comparison.proven_readable {
            self.record.readable.entry(type_name.to_owned()).or_default().insert(path.clone());
        }
        if let Some(unstable) = self.record.unstable.get_mut(&desired.name) {
            unstable.remove(CREATE);
            for path in &comparison.settled {
                // What agrees while something else is written may be pushed aside by that.
                match unstable.get_mut(path).filter(|_| comparison.writes()) {
                    Some(known) => known.puts = 0,
                    None => _ = unstable.remove(path),
                }
            }
            if unstable.is_empty() {
                self.record.unstable.remove(&desired.name);
            }
        }
    }

    /// Keeps what agrees now. A connection that is taken over enters the inventory here if
    /// nothing has to be written for it; otherwise its write does that.
    pub(super) fn remember_agreement(
        &mut self,
        desired: &DesiredConnection,
        view: &LiveView<'_>,
        comparison: &Comparison,
    ) {
        let was_read = view.single.is_some();
        let base = Base::of(&comparison.base);
        match self.record.inventory.get(&desired.name).filter(|o| is_the_same(o, view.entry)) {
            Some(owned) => {
                if owned.base != base {
                    self.edit_owned(&desired.name, |owned| owned.base = base);
                }
            }
            None if !comparison.writes() => {
                self.record.forget(&desired.name);
                self.record.inventory.insert(
                    desired.name.clone(),
                    Owned {
                        type_name: view.entry.type_name.clone(),
                        id: view.entry.id.clone(),
                        base,
                        protect: desired.options.protect,
                        secrets_checked: None,
                        last_change: None,
                    },
                );
            }
            None => return,
        }
        if was_read && desired.declares_secret {
            let now = self.situation.now;
            self.edit_owned(&desired.name, |owned| owned.secrets_checked = Some(now));
        }
    }

    pub(super) fn degraded(&self, name: &ConnectionName) -> Option<String> {
        let degraded = self.record.degraded.get(name).filter(|d| !d.deleted)?;
        let now = self.situation.now;
        // A clock that was set back must not put the write off for longer than any pause.
        let is_due = degraded.next <= now || degraded.next > now.saturating_add(LONGEST_PAUSE);
        let due = self.situation.degraded_at_once || is_due;
        due.then(|| format!("saved but not deployed: {}", degraded.reason))
    }
}
