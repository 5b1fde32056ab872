//! The events that were told and still stand. Pure: events and entries in, a decision out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Event, EventKind, WriteResult};
use crate::name::{CommitId, ConnectionName};
use crate::plan::{ConnectionState, Entry};

/// The holds, blocks, drifts, failures and the refusal that were told and still stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    connections: BTreeMap<ConnectionName, StandingEvents>,
    refused: Option<(Option<CommitId>, Option<String>)>,
    /// When the state was last lost.
    lost_at: Option<Timestamp>,
    /// The warnings of rules of the user, of a connection or of a document.
    warned: BTreeSet<(Option<ConnectionName>, Option<String>)>,
}

/// The events that were told of one connection and still stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct StandingEvents {
    type_name: String,
    /// The reasons for which it is held, blocked or does not converge; one that comes and goes is told once.
    kept_back: BTreeSet<String>,
    drifted: BTreeSet<String>,
    /// Since when it drifts.
    since: Option<Timestamp>,
    failed: BTreeSet<String>,
}

impl Standing {
    /// The standing that a history leaves.
    #[cfg(test)]
    pub(super) fn after<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut standing = Self::default();
        events.into_iter().for_each(|event| standing.note(event));
        standing
    }

    /// Whether it was told and still stands: a hold for that reason, drift without a further field, a
    /// failure of that action for whatever reason.
    pub(super) fn has(&self, event: &Event) -> bool {
        match event.event {
            EventKind::Refused => {
                let refused = (event.commit.clone(), event.why.clone());
                return self.refused.as_ref() == Some(&refused);
            }
            EventKind::LostState => return self.lost_at == Some(event.time),
            EventKind::Warned => return self.warned.contains(&key_of(event)),
            _ => {}
        }
        let told = event.connection.as_ref().and_then(|name| self.connections.get(name));
        let Some(told) = told else { return false };
        match event.event {
            EventKind::Held | EventKind::Blocked | EventKind::NotConverging => {
                event.why.as_ref().is_some_and(|why| told.kept_back.contains(why))
            }
            EventKind::Drift => event.fields.iter().all(|path| told.drifted.contains(path)),
            _ if event.result == Some(WriteResult::Failed) => {
                told.failed.contains(event.event.into_str())
            }
            _ => false,
        }
    }

    /// Whether an event of the past is one that still stands. A warning is none: no event tells its end.
    pub(super) fn is_of(&self, event: &Event) -> bool {
        let told = event.connection.as_ref().and_then(|name| self.connections.get(name));
        let since = told.filter(|_| event.event == EventKind::Drift).and_then(|told| told.since);
        let ends = event.event != EventKind::Warned;
        ends && self.has(event) && since.is_none_or(|since| since <= event.time)
    }

    /// Notes an event as told.
    pub(super) fn note(&mut self, event: &Event) {
        match event.event {
            EventKind::Refused => self.refused = Some((event.commit.clone(), event.why.clone())),
            EventKind::LostState => self.lost_at = Some(event.time),
            EventKind::Warned => {
                self.warned.insert(key_of(event));
                return;
            }
            _ => {}
        }
        let Some(name) = &event.connection else { return };
        let type_name = event.type_name.clone().unwrap_or_default();
        let told = self.connections.entry(name.clone()).or_default();
        told.type_name = type_name;
        match event.event {
            EventKind::Held | EventKind::Blocked | EventKind::NotConverging => {
                told.kept_back.extend(event.why.clone());
            }
            EventKind::Drift => {
                told.drifted.extend(event.fields.iter().cloned());
                told.since.get_or_insert(event.time);
            }
            // Consent does not end a hold by itself.
            EventKind::Consent => {}
            _ if event.result == Some(WriteResult::Failed) => {
                told.failed.insert(event.event.into_str().to_owned());
            }
            // A write, or the end of the rest.
            _ => {
                *told = StandingEvents::default();
                self.warned.retain(|(warned, _)| warned.as_ref() != Some(name));
            }
        }
        self.connections.retain(|_, told| !told.is_empty());
    }

    /// Since when connections drift.
    pub(super) fn drifting(&self) -> BTreeMap<ConnectionName, Timestamp> {
        let since =
            self.connections.iter().filter_map(|(name, told)| Some((name.clone(), told.since?)));
        since.collect()
    }

    /// Forgets the refusal: the newest commit loads now. One that comes back is told again.
    pub(super) fn forget_refusal(&mut self) {
        self.refused = None;
    }

    /// Forgets the warnings that are not among those of the newest look.
    pub(super) fn keep_warnings(&mut self, now: &[Event]) {
        let now: BTreeSet<_> = now.iter().map(key_of).collect();
        self.warned.retain(|warning| now.contains(warning));
    }

    /// Forgets the trouble that the newest look no longer shows; type and name of each connection
    /// that has none left. `stands` gives `None` for a connection that was not looked at.
    pub(super) fn forget_trouble(
        &mut self,
        stands: impl Fn(&str, &ConnectionName) -> Option<Stands>,
    ) -> Vec<(String, ConnectionName)> {
        let mut settled = Vec::new();
        for (name, told) in &mut self.connections {
            let Some(stands) = stands(&told.type_name, name) else { continue };
            if !stands.kept_back {
                told.kept_back.clear();
            }
            if !stands.drifted {
                told.drifted.clear();
                told.since = None;
            }
            if !stands.failing {
                told.failed.clear();
            }
            if told.is_empty() {
                settled.push((told.type_name.clone(), name.clone()));
            }
        }
        self.connections.retain(|_, told| !told.is_empty());
        settled
    }
}

fn key_of(warning: &Event) -> (Option<ConnectionName>, Option<String>) {
    (warning.connection.clone(), warning.why.clone())
}

/// The trouble of a connection that the newest look shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stands {
    pub(super) kept_back: bool,
    pub(super) drifted: bool,
    /// A change is still to be made.
    pub(super) failing: bool,
}

impl Stands {
    /// The trouble that an entry shows.
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            kept_back: matches!(
                entry.state,
                ConnectionState::Held | ConnectionState::Blocked | ConnectionState::NotConverging
            ),
            drifted: entry.changes().any(|change| change.drifted_fields().next().is_some()),
            failing: entry.change.as_ref().is_some_and(|change| !change.is_made()),
        }
    }
}

impl StandingEvents {
    fn is_empty(&self) -> bool {
        self.kept_back.is_empty() && self.drifted.is_empty() && self.failed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event: EventKind, name: &str, why: &str) -> Event {
        Event {
            time: jiff::Timestamp::UNIX_EPOCH,
            event,
            target: "t".to_owned(),
            commit: None,
            type_name: Some("email".to_owned()),
            connection: Some(name.into()),
            fields: Vec::new(),
            result: None,
            why: Some(why.to_owned()),
            cause: "resync".to_owned(),
            by: None,
        }
    }

    fn drift(name: &str, fields: &[&str]) -> Event {
        let fields = fields.iter().map(|path| (*path).to_owned()).collect();
        Event { fields, ..event(EventKind::Drift, name, "") }
    }

    #[test]
    fn an_equal_event_is_told_once_while_it_stands() {
        let held = event(EventKind::Held, "a", "over the limit");
        let mut standing = Standing::after([&held, &drift("b", &["/host", "/port"])]);
        assert!(standing.has(&held));
        assert!(!standing.has(&event(EventKind::Held, "a", "it is protected")));
        assert!(standing.has(&drift("b", &["/port"])));
        assert!(!standing.has(&drift("b", &["/port", "/user"])));
        let both = |_: &str, _: &ConnectionName| {
            Some(Stands { kept_back: true, drifted: true, failing: true })
        };
        assert!(standing.forget_trouble(both).is_empty());
        assert!(standing.forget_trouble(|_, _| None).is_empty());
        assert!(standing.has(&held));
        let settled = standing.forget_trouble(|_, _| Some(Stands::default()));
        let names: Vec<&str> = settled.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(!standing.has(&held), "it is told again when it comes up again");
    }

    #[test]
    fn a_write_ends_what_stood_and_a_failed_one_is_told_once() {
        let failed = Event {
            result: Some(WriteResult::Failed),
            ..event(EventKind::Update, "a", "timed out")
        };
        let mut standing = Standing::after([&drift("a", &["/host"]), &failed]);
        let other_words = Event { why: Some("refused".to_owned()), ..failed };
        assert!(standing.has(&other_words) && standing.has(&drift("a", &["/host"])));
        let done = Event { result: Some(WriteResult::Done), ..other_words };
        assert!(!standing.has(&done), "each write is told");
        standing.note(&done);
        assert_eq!(standing, Standing::default());
    }

    #[test]
    fn a_refusal_is_told_once_for_each_commit() {
        let refused = |commit: &str| Event {
            commit: Some(CommitId(commit.to_owned())),
            connection: None,
            ..event(EventKind::Refused, "", "not signed")
        };
        let mut standing = Standing::after([&refused("a")]);
        assert!(standing.has(&refused("a")) && !standing.has(&refused("b")));
        standing.forget_refusal();
        assert!(!standing.has(&refused("a")));
    }
}
