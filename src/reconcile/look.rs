//! What the lists do not say is read one by one, and then a plan is made.

use std::collections::{BTreeMap, BTreeSet};

use super::past::Past;
use super::{Options, ReadBackMode, now};
use crate::config::{Drift, Target};
use crate::desired::{self, Desired, Keep, Resolution, Resolved};
use crate::document::Document;
use crate::inventory::Record;
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;
use crate::observe;
use crate::plan::compare::Context;
use crate::plan::reading::{self, ReadBack};
use crate::plan::{Agreement, Planned, Situation, agreement, plan};
use crate::secret::FingerprintKey;

/// What was looked at: both sides, and how.
pub(super) struct Looked<'a> {
    pub(super) target: &'a Target,
    pub(super) options: &'a Options,
    pub(super) desired: &'a Desired,
    pub(super) live: &'a Live,
}

/// What else decides the plan.
pub(super) struct Known<'a> {
    pub(super) record: &'a Record,
    pub(super) key: &'a FingerprintKey,
    pub(super) key_is_known: bool,
    pub(super) singles: &'a BTreeMap<ConnectionName, LiveConnection>,
    pub(super) unread: &'a BTreeMap<ConnectionName, String>,
    pub(super) invalid: &'a BTreeMap<ConnectionName, String>,
    pub(super) agreements: &'a [Agreement],
    pub(super) whole: bool,
    pub(super) skipped: &'a [String],
    pub(super) past: &'a Past,
    pub(super) worktree: bool,
}

/// What a comparison looks at beside the connection itself.
pub(super) fn context<'c>(
    target: &Target,
    options: &Options,
    record: &'c Record,
    key: &'c FingerprintKey,
    key_is_known: bool,
) -> Context<'c> {
    Context {
        record,
        key,
        key_is_known,
        stateless: options.base.is_some(),
        corrects_drift: target.drift == Drift::Correct,
        resend_secrets: options.resend_secrets,
    }
}

impl Looked<'_> {
    /// The connections of which the lists do not say enough.
    pub(super) fn needed(
        &self,
        record: &Record,
        agreements: &[Agreement],
    ) -> BTreeSet<ConnectionName> {
        let filter = &self.options.filter;
        let mut needed = reading::to_confirm(self.desired, self.live, record, filter, agreements);
        if self.options.base.is_some() {
            let is_kept = |name: &ConnectionName, type_name: &str| {
                let declared = self.desired.get(name);
                declared.is_some_and(|declared| declared.connection_type.name == type_name)
            };
            let goes = record.inventory.iter().filter(|(name, o)| !is_kept(name, &o.type_name));
            let goes = goes.map(|(name, _)| name);
            needed.extend(goes.filter(|n| self.live.connections.contains_key(n)).cloned());
        }
        needed
    }

    /// Reads those connections, and those whose secrets are due.
    pub(super) async fn singles(
        &self,
        client: &crate::api::Client,
        needed: &BTreeSet<ConnectionName>,
        record: &Record,
        notices: &mut Vec<String>,
    ) -> (BTreeMap<ConnectionName, LiveConnection>, BTreeMap<ConnectionName, String>) {
        let due = self.secrets_due(record);
        let wanted: BTreeSet<ConnectionName> = needed.union(&due).cloned().collect();
        let read = observe::singles(client, wanted, self.target.concurrency).await;
        let mut unread = BTreeMap::new();
        let mut unverified = Vec::new();
        for (name, error) in read.failed {
            if needed.contains(&name) {
                unread.insert(name, error.to_string());
            } else {
                tracing::debug!(connection = %name, "secrets could not be read back: {error}");
                unverified.push(error);
            }
        }
        if let Some(first) = unverified.first() {
            let count = unverified.len();
            notices.push(format!(
                "secrets could not be read back in {count} of the connections where that is due, \
                 and are tried again: {first}"
            ));
        }
        (read.found, unread)
    }

    fn secrets_due(&self, record: &Record) -> BTreeSet<ConnectionName> {
        let mode = self.options.read_back;
        if mode == ReadBackMode::Nothing || !self.options.with_secrets {
            return BTreeSet::new();
        }
        let every = if mode == ReadBackMode::All {
            std::time::Duration::ZERO
        } else {
            self.target.verify_secrets
        };
        let count = self.desired.len();
        let at_most = (mode == ReadBackMode::Spread)
            .then(|| reading::share_per_resync(count, every, self.target.resync))
            .flatten();
        let read_back = ReadBack { now: now(), every, at_most };
        reading::secrets_due(self.desired, self.live, record, &self.options.filter, &read_back)
    }

    /// Makes the plan of it.
    pub(super) fn plan(&self, known: &Known<'_>) -> Planned {
        let Known { record, key, key_is_known, .. } = *known;
        let context = context(self.target, self.options, record, key, key_is_known);
        plan(&Situation {
            desired: self.desired,
            invalid: known.invalid,
            live: self.live,
            singles: known.singles,
            context,
            adopt: self.target.adopt,
            prune: self.target.prune,
            max_deletes: self.target.max_deletes,
            allow_deletes: self.options.allow_deletes,
            worktree: known.worktree,
            loaded_whole: known.whole,
            skipped: known.skipped,
            last_good_unavailable: known.past.unavailable,
            emptied: &known.past.emptied,
            filter: &self.options.filter,
            degraded_at_once: self.options.degraded_at_once,
            unread: known.unread,
            agreements: known.agreements,
            now: now(),
        })
    }
}

/// What git wants. What is in sync needs no more of its documents than their names.
pub(super) fn resolved(
    documents: Vec<Document>,
    resolution: &Resolution<'_>,
    live: &Live,
    context: &Context<'_>,
) -> Resolved<Agreement> {
    tokio::task::block_in_place(|| {
        desired::resolve_and_look(documents, resolution, |connection| {
            match agreement(connection, live, context) {
                Agreement::Doubtful => (Agreement::Doubtful, Keep::Fields),
                agreement => (agreement, Keep::Head),
            }
        })
    })
}
