//! One piece of news about a target, and its words.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::NotifyEvent;
use crate::name::ConnectionName;
use crate::plan::with_reason;
use crate::secret::Redactor;
use crate::source::Commit;

/// How many connections a text names; JSON holds more.
const NAMED: usize = 8;

/// How many connections JSON holds.
const LISTED: usize = 100;

/// The target of a notice.
#[derive(Clone, Debug)]
pub(crate) struct NoticeTarget {
    /// Its name.
    pub name: String,
    /// The project, as the config has it.
    pub project: String,
    /// The Manager's URL, as the config has it.
    pub url: String,
}

/// Something happened to a target or to the source.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// The kind of event.
    pub event: NotifyEvent,
    /// The target; `None`: it is about the source, and so about all of them.
    pub target: Option<NoticeTarget>,
    /// Where the documents come from, as the config has it.
    pub source: String,
    /// The commit that it happened with; `None`: the working tree.
    pub commit: Option<Commit>,
    /// How the reconcile ended.
    pub state: &'static str,
    /// When.
    pub time: Timestamp,
    /// The problem with the target as a whole.
    pub error: Option<String>,
    /// The connections that it is about.
    pub subjects: Vec<Subject>,
}

/// A connection that a notice is about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Its type.
    pub type_name: String,
    /// Its name.
    pub name: ConnectionName,
    /// The change in one word.
    pub what: &'static str,
    /// The reason, or the fields.
    pub why: Option<String>,
}

impl Notice {
    /// The text for people, without any secret.
    pub(super) fn text(&self, redactor: &Redactor) -> String {
        redactor.redact(&self.message())
    }

    /// The body for programs, without any secret.
    pub(super) fn json(&self, redactor: &Redactor) -> Value {
        let clean = |text: &str| redactor.redact(text);
        let commit = self.commit.as_ref().map(|commit| {
            json!({
                "id": commit.id.0,
                "subject": clean(&commit.subject),
                "author": clean(&commit.author),
                "time": moment(commit.time),
            })
        });
        let subjects = self.subjects.iter().take(LISTED).map(|subject| {
            json!({
                "type": subject.type_name,
                "name": clean(subject.name.as_str()),
                "what": subject.what,
                "why": subject.why.as_deref().map(clean),
            })
        });
        let target = self.target.as_ref().map(|target| {
            json!({
                "name": clean(&target.name),
                "project": clean(&target.project),
                "url": clean(&target.url),
            })
        });
        json!({
            "format_version": "1.0",
            "event": self.event.as_str(),
            "time": moment(self.time.as_second()),
            "target": target,
            "source": clean(&self.source),
            "commit": commit,
            "state": self.state,
            "message": self.text(redactor),
            "error": self.error.as_deref().map(clean),
            "count": self.subjects.len(),
            "connections": subjects.collect::<Vec<_>>(),
        })
    }

    fn message(&self) -> String {
        let about = self.target.as_ref().map_or(self.source.as_str(), |target| &target.name);
        let mut text = format!("{about}: {}", self.headline());
        if let Some(commit) = &self.commit {
            text.push_str(&format!(" at {} ({})", commit.id.short(), commit.subject));
        }
        let listed = self.subjects.iter().take(NAMED).map(Subject::line);
        for line in self.error.iter().cloned().chain(listed) {
            text.push_str(&format!("\n- {line}"));
        }
        if self.subjects.len() > NAMED {
            text.push_str(&format!("\n- and {} more", self.subjects.len() - NAMED));
        }
        text
    }

    /// The event in a few words.
    pub(super) fn headline(&self) -> String {
        let count = |one: &str, several: &str| match self.subjects.len() {
            1 => format!("1 {one}"),
            more => format!("{more} {several}"),
        };
        match self.event {
            NotifyEvent::Applied if self.subjects.is_empty() => {
                "applied, nothing to change".to_owned()
            }
            NotifyEvent::Applied => format!("applied, {}", count("change", "changes")),
            NotifyEvent::Failed if self.state == "refused" => {
                "a commit is refused, the last good one is kept up".to_owned()
            }
            NotifyEvent::Failed if self.subjects.is_empty() => "failed".to_owned(),
            NotifyEvent::Failed => {
                format!("{} {}", count("connection", "connections"), self.state.replace('_', " "))
            }
            NotifyEvent::Drift => format!("drift on {}", count("connection", "connections")),
            NotifyEvent::Held => {
                format!("{} held back", count("delete or replace is", "deletes or replaces are"))
            }
            NotifyEvent::Recovered if self.target.is_none() => {
                "the source can be read again".to_owned()
            }
            NotifyEvent::Recovered => "recovered".to_owned(),
            NotifyEvent::SourceFailed => "the source is failing".to_owned(),
        }
    }
}

impl Subject {
    fn line(&self) -> String {
        let connection = format!("{} `{}`", self.type_name, self.name);
        match &self.why {
            Some(why) => format!("{connection}: {}", with_reason(self.what, why)),
            None => format!("{} {connection}", self.what),
        }
    }
}

fn moment(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}
