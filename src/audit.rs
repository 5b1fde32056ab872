//! The audit trail: each write, drift, hold, refusal, consent, suspension and the like is one log
//! line, and one line of the history file beside the state. Of holds, blocks and refusals the run warns by
//! itself, with the same fields.
//!
//! [`Standing`] is pure: it remembers which events were told and still stand, so that an
//! equal hold or drift is told once and not at every resync. [`Trail`] writes the log and the file.
//! No event holds a value, only the names of fields; the state never depends on the history. The file
//! also has a line for each reconcile of a daemon that was news, so that the page shows the reconciles of
//! before a restart.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::name::{CommitId, ConnectionName};
use crate::plan::{Counts, with_reason};

use standing::Standing;
use trail::RECENT;
pub(crate) use trail::{
    MOST_CHANGES, PastReconcile, RecentEvent, ShownPast, Trail, TrailerConsent, Trails,
};

mod standing;
mod trail;

/// Why a run is made, and who asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The command, or what woke the daemon.
    pub cause: String,
    /// The user and host of a command, the address of a request; `None`: nobody in particular.
    pub by: Option<String>,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(crate) enum EventKind {
    Create,
    Update,
    Replace,
    Rename,
    Delete,
    /// A live connection entered the inventory without a write.
    Adopt,
    /// A name left the inventory by `forget`.
    Forget,
    /// Live moved away from the base.
    Drift,
    Held,
    /// It cannot be written as git declares it, or a rule of the user denies it.
    Blocked,
    /// A write does not stay, or the server takes a create and does not list it.
    NotConverging,
    /// A rule of the user warns of it.
    Warned,
    /// The last trouble of a connection (a hold, a block, drift, a failure) ended without a write of the tool.
    Settled,
    /// A commit was refused.
    Refused,
    Consent,
    Suspended,
    Resumed,
    /// The target's state was there and is gone.
    LostState,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WriteResult {
    Done,
    /// Saved, and not deployed.
    Degraded,
    Failed,
}

/// One event of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) time: Timestamp,
    pub(crate) event: EventKind,
    /// The target's name in the config.
    pub(crate) target: String,
    /// The commit; `None`: the working tree, or none had a say in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<CommitId>,
    /// The type of the connection.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) type_name: Option<String>,
    /// The connection; `None`: the target as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connection: Option<ConnectionName>,
    /// JSON pointers of the fields that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<String>,
    /// Of a write: how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<WriteResult>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// The command, or what woke the daemon.
    pub(crate) cause: String,
    /// Who asked for it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// How one reconcile of a daemon ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reconciled {
    /// When it began.
    pub(crate) time: Timestamp,
    /// How it ended, in the word of JSON.
    #[serde(rename = "reconciled")]
    pub(crate) outcome: String,
    /// The commit; `None`: the working tree, or none could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<CommitId>,
    /// The cause that started it.
    pub(crate) cause: String,
    /// How many changes ended how.
    #[serde(default)]
    pub(crate) counts: Counts,
    /// The error of the target as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// How long it took.
    #[serde(default)]
    pub(crate) seconds: f64,
}

impl Reconciled {
    /// Whether it ended as another one did, whatever started it.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.counts, one.commit.clone(), one.outcome.clone());
        of(self) == of(other) && self.words_of_error().eq(other.words_of_error())
    }

    /// The words of the error without those that have a digit: a server may give each failure a number.
    fn words_of_error(&self) -> impl Iterator<Item = &str> {
        let words = self.error.iter().flat_map(|error| error.split_whitespace());
        words.filter(|word| !word.contains(|sign: char| sign.is_ascii_digit()))
    }

    /// Whether it ended as the one before and wrote nothing, so that it is no news.
    fn repeats(&self, before: Option<&Self>) -> bool {
        let Counts { done, degraded, adopted, .. } = self.counts;
        done + degraded + adopted == 0 && before.is_some_and(|before| self.is_like(before))
    }
}

impl EventKind {
    /// The end of a sentence about the connection.
    fn past(self) -> &'static str {
        match self {
            Self::Create => "was created",
            Self::Update => "was updated",
            Self::Replace => "was replaced",
            Self::Rename => "was renamed",
            Self::Delete => "was deleted",
            Self::Adopt => "was adopted",
            Self::Forget => "was forgotten",
            Self::Drift => "drifted",
            Self::Held => "is held",
            Self::Blocked => "is blocked",
            Self::NotConverging => "does not converge",
            Self::Warned => "is warned of",
            Self::Settled => "is settled without a write",
            Self::Refused => "is refused",
            Self::Consent => "is consented to",
            Self::Suspended => "is suspended",
            Self::Resumed => "is resumed",
            Self::LostState => "lost its state",
        }
    }
}

impl WriteResult {
    /// The word for it where the write was not simply made.
    fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Degraded => Some("is saved but not deployed"),
            Self::Failed => Some("failed"),
        }
    }
}

impl Event {
    /// Of a consent by a flag: the rule of the user that it is about.
    fn rule(&self) -> Option<&str> {
        self.why.as_deref()?.strip_prefix(ALLOW)
    }
}

/// The flag that consents to what a rule of the user holds, as an event has it.
const ALLOW: &str = "--allow ";

impl fmt::Display for Event {
    /// The event as a sentence, without its time, target, commit and cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.type_name, &self.connection) {
            (Some(kind), Some(name)) => write!(f, "{kind} `{name}`")?,
            (None, Some(name)) => write!(f, "`{name}`")?,
            _ if self.event == EventKind::Refused => f.write_str("the commit")?,
            _ if self.event == EventKind::Warned => f.write_str("a document")?,
            _ if self.event == EventKind::Consent => match self.rule() {
                Some(rule) => write!(f, "whatever the rule `{rule}` holds")?,
                None => {
                    f.write_str("every delete and replace that the limit or a lost path holds")?;
                }
            },
            _ => f.write_str("the target")?,
        }
        let (word, past) = (self.event.into_str(), self.event.past());
        let mut ended = match self.result.and_then(WriteResult::trouble) {
            Some(trouble) => format!(": the {word} {trouble}"),
            None => format!(" {past}"),
        };
        let is_about_fields = matches!(self.event, EventKind::Update | EventKind::Drift);
        if is_about_fields && !self.fields.is_empty() {
            let fields = self.fields.iter().map(|path| path.trim_start_matches('/'));
            ended.push_str(&format!(" in {}", fields.collect::<Vec<_>>().join(", ")));
        }
        match &self.why {
            Some(why) => f.write_str(&with_reason(&ended, why)),
            None => f.write_str(&ended),
        }
    }
}

/// How many events are kept.
const KEPT: usize = 500;

/// How many more lines the file may have before it is written anew.
const SLACK: usize = 100;

/// One line of the history file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Line {
    Event(Event),
    Reconciled(Reconciled),
}

/// The history file of one target, whether it exists or not.
#[derive(Clone, Debug)]
pub(crate) struct HistoryFile(pub(crate) PathBuf);

impl HistoryFile {
    /// The last events, oldest first; none where there is no file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(&self) -> io::Result<Vec<Event>> {
        let event = |line| match line {
            Line::Event(event) => Some(event),
            Line::Reconciled(_) => None,
        };
        Ok(self.lines()?.into_iter().filter_map(event).collect())
    }

    /// The last lines and older ones of what still stands, oldest first. A line that cannot be read is
    /// skipped: a crash leaves half of one.
    fn lines(&self) -> io::Result<Vec<Line>> {
        let bytes = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let parse = |line| {
            let event = serde_json::from_slice(line).map(Line::Event);
            event.or_else(|_| serde_json::from_slice(line).map(Line::Reconciled)).ok()
        };
        let mut lines: Vec<Line> = bytes.split(|byte| *byte == b'\n').filter_map(parse).collect();
        let mut standing = Standing::default();
        for line in &lines {
            if let Line::Event(event) = line {
                standing.note(event);
            }
        }
        let is_event = |line: &&Line| matches!(line, Line::Event(_));
        let mut events = lines.iter().filter(is_event).count();
        let mut reconciles = lines.len() - events;
        lines.retain(|line| {
            let (left, most, stands) = match line {
                Line::Event(event) => (&mut events, KEPT, standing.is_of(event)),
                Line::Reconciled(_) => (&mut reconciles, RECENT, false),
            };
            *left -= 1;
            *left < most || stands
        });
        Ok(lines)
    }

    /// How long the file is; another process may have written to it.
    fn length(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |file| file.len())
    }

    /// Appends a line.
    ///
    /// # Errors
    /// The file cannot be written.
    fn append(&self, line: &impl Serialize) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = self.locked()?;
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        // Half a line that a crash left does not spoil the next one.
        if !ends_a_line(&mut file)? {
            line.insert(0, b'\n');
        }
        file.write_all(&line)
    }

    /// Opens the file for one process at a time: a line that is appended while it is shortened would be lost.
    /// After a second it is taken unlocked, since a process that stands still must stop no reconcile.
    fn locked(&self) -> io::Result<File> {
        let mut tries = 0..100;
        loop {
            let file = private().read(true).append(true).open(&self.0)?;
            while let Err(TryLockError::WouldBlock) = file.try_lock()
                && tries.next().is_some()
            {
                thread::sleep(Duration::from_millis(10));
            }
            // While this waited a shorter file may have taken its place.
            let number = file.metadata()?.ino();
            let is_same = fs::metadata(&self.0).is_ok_and(|now| now.ino() == number);
            if is_same || tries.next().is_none() {
                return Ok(file);
            }
        }
    }

    /// Writes a file anew that has become too long: a new file beside it, and a rename.
    ///
    /// # Errors
    /// The file cannot be read or written.
    fn shorten(&self) -> io::Result<()> {
        let _locked = self.locked()?;
        let lines = fs::read(&self.0)?.into_iter().filter(|byte| *byte == b'\n').count();
        if lines <= KEPT + RECENT + SLACK {
            return Ok(());
        }
        let new = self.0.with_extension("new");
        let mut file = private().write(true).truncate(true).open(&new)?;
        let mut text = Vec::new();
        for line in self.lines()? {
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &self.0)
    }
}

/// Only its owner may read the file: names are private.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Redactor;

    fn event(number: usize) -> Event {
        Event {
            time: jiff::Timestamp::UNIX_EPOCH,
            event: EventKind::Suspended,
            target: number.to_string(),
            commit: None,
            type_name: None,
            connection: None,
            fields: Vec::new(),
            result: None,
            why: None,
            cause: "suspension".to_owned(),
            by: None,
        }
    }

    #[test]
    fn the_last_events_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("deeper").join("a.history.jsonl"));
        assert_eq!(file.read().unwrap(), []);
        let ended = Reconciled { outcome: "applied".to_owned(), ..Reconciled::default() };
        let most = KEPT + RECENT + SLACK;
        for number in 0..=most {
            file.append(&event(number)).unwrap();
        }
        for _ in 0..=RECENT {
            file.append(&ended).unwrap();
        }
        file.shorten().unwrap();
        let text = fs::read_to_string(&file.0).unwrap();
        assert_eq!(text.lines().count(), KEPT + RECENT);
        let events = file.read().unwrap();
        assert_eq!(events.first(), Some(&event(most + 1 - KEPT)));
        assert_eq!(events.last(), Some(&event(most)));
        file.append(&event(0)).unwrap();
        file.shorten().unwrap();
        assert!(fs::read_to_string(&file.0).unwrap().starts_with(&text), "it is not too long yet");
        assert_eq!(fs::read_dir(file.0.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn an_event_that_still_stands_outlives_newer_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("a.history.jsonl"));
        let of = |kind, name: &str, second| Event {
            time: Timestamp::from_second(second).unwrap(),
            event: kind,
            connection: Some(name.into()),
            fields: vec!["/port".to_owned()],
            ..event(0)
        };
        let stands = of(EventKind::Drift, "a", 3);
        for drift in [
            of(EventKind::Drift, "a", 1),
            of(EventKind::Settled, "a", 2),
            stands.clone(),
            of(EventKind::Drift, "b", 4),
            of(EventKind::Settled, "b", 5),
        ] {
            file.append(&drift).unwrap();
        }
        (0..KEPT + RECENT + SLACK).for_each(|number| file.append(&event(number)).unwrap());
        file.shorten().unwrap();
        let events = file.read().unwrap();
        assert_eq!((events.len(), &events[0]), (KEPT + 1, &stands));
        assert_eq!(Standing::after(&events).drifting(), [("a".into(), stands.time)].into());
    }

    #[test]
    fn warnings_that_were_told_again_do_not_lengthen_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("a.history.jsonl"));
        let warned = Event { event: EventKind::Warned, ..event(0) };
        (0..2 * KEPT).for_each(|_| file.append(&warned).unwrap());
        file.shorten().unwrap();
        assert_eq!(file.read().unwrap().len(), KEPT);
    }

    #[test]
    fn a_line_that_another_process_appends_while_the_file_is_shortened_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("a.history.jsonl"));
        let other = file.clone();
        let writer = std::thread::spawn(move || {
            (0..4000).for_each(|number| other.append(&event(number)).unwrap());
        });
        while !writer.is_finished() {
            file.shorten().unwrap();
        }
        let numbers = file.read().unwrap().into_iter().map(|event| event.target.parse().unwrap());
        assert_eq!(numbers.collect::<Vec<usize>>(), (3500..4000).collect::<Vec<usize>>());
    }

    #[test]
    fn the_file_stays_short_while_a_target_cannot_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("a.history.jsonl"));
        let trail = Trails::default().of("t", &Redactor::default(), || Some(file.clone()));
        let fails = |error: String| {
            trail.reconciled(&Reconciled { error: Some(error), ..Reconciled::default() });
        };
        let lines = || fs::read_to_string(&file.0).unwrap().lines().count();
        for incident in 0..10 {
            fails(format!("the server failed: incident {incident}, id {incident}a-ff"));
        }
        assert_eq!(lines(), 1);
        for number in 0..2_000 {
            fails(format!(
                "{} failed: {}",
                ["the lists", "the token"][number % 2],
                "x".repeat(9_000)
            ));
        }
        assert!(lines() <= KEPT + RECENT + SLACK + 100, "{}", lines());
        assert!(file.length() < 1_000_000, "{}", file.length());
    }

    #[test]
    fn a_line_of_a_reconcile_is_no_event() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("a.history.jsonl"));
        let ended = Reconciled { outcome: "applied".to_owned(), ..Reconciled::default() };
        file.append(&event(1)).unwrap();
        file.append(&ended).unwrap();
        assert_eq!(file.read().unwrap(), [event(1)]);
        assert_eq!(file.lines().unwrap(), [Line::Event(event(1)), Line::Reconciled(ended)]);
    }

    #[test]
    fn half_a_line_is_skipped_and_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = HistoryFile(folder.path().join("a.history.jsonl"));
        file.append(&event(1)).unwrap();
        let whole = fs::read(&file.0).unwrap();
        fs::write(&file.0, [&whole[..], &whole[..20]].concat()).unwrap();
        assert_eq!(file.read().unwrap(), [event(1)]);
        file.append(&event(2)).unwrap();
        assert_eq!(file.read().unwrap(), [event(1), event(2)]);
    }
}
