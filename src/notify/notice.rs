//! One piece of news about a target, its words, and its form for each kind of receiver.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use url::Url;

use crate::config::{Notify, NotifyEvent, NotifyKind, TargetKey};
use crate::digest::hmac_sha256;
use crate::links::without_ending;
use crate::name::ConnectionName;
use crate::plan::with_reason;
use crate::report::FORMAT_VERSION;
use crate::report::words::counted;
use crate::secret::{Redactor, Sensitive};
use crate::source::Commit;

/// How many connections a text names; JSON holds more.
const NAMED: usize = 8;

/// How many connections JSON holds.
const LISTED: usize = 100;

/// Something happened to a target or to the source.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// The kind of event.
    pub event: NotifyEvent,
    /// The target; `None`: it is about the source, and so about all of them.
    pub target: Option<TargetKey>,
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
    pub subjects: Vec<NoticeSubject>,
}

/// A connection that a notice is about.
#[derive(Clone, Debug)]
pub(crate) struct NoticeSubject {
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
            "format_version": FORMAT_VERSION,
            "event": self.event.into_str(),
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
        let listed = self.subjects.iter().take(NAMED).map(NoticeSubject::line);
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
        let count = |noun| counted(self.subjects.len(), noun);
        match self.event {
            NotifyEvent::Applied if self.subjects.is_empty() => {
                "applied, nothing to change".to_owned()
            }
            NotifyEvent::Applied => format!("applied, {}", count("change")),
            NotifyEvent::Failed if self.state == "refused" => "a commit is refused".to_owned(),
            NotifyEvent::Failed if self.subjects.is_empty() => "failed".to_owned(),
            NotifyEvent::Failed => {
                format!("{} {}", count("connection"), self.state.replace('_', " "))
            }
            NotifyEvent::Drift => format!("drift on {}", count("connection")),
            NotifyEvent::Held if self.subjects.len() == 1 => "1 change is held back".to_owned(),
            NotifyEvent::Held => format!("{} are held back", count("change")),
            NotifyEvent::Recovered if self.target.is_none() => {
                "the source can be read again".to_owned()
            }
            NotifyEvent::Recovered => "recovered".to_owned(),
            NotifyEvent::SourceFailed => "the source is failing".to_owned(),
        }
    }
}

impl NoticeSubject {
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

/// The longest description of a status that all git hosts take, in characters.
const DESCRIPTION: usize = 140;

/// A request to a receiver.
pub(super) struct OutgoingRequest {
    pub(super) url: Url,
    /// Names and values; the values may be secret.
    pub(super) headers: Vec<(&'static str, Sensitive)>,
    pub(super) body: String,
}

/// Puts a notice into the form of a receiver.
///
/// # Errors
/// The address is none that can be used, in words without it.
pub(super) fn request(
    notice: &Notice,
    receiver: &Notify,
    url: &Sensitive,
    secret: Option<&Sensitive>,
    redactor: &Redactor,
) -> Result<OutgoingRequest, &'static str> {
    let given = web_address(url)?;
    let text = || notice.text(redactor);
    let header = |name, value: String| (name, Sensitive::new(value));
    let token = secret.map(Sensitive::expose).unwrap_or_default();
    let event = header("x-apinizer-gitops-event", notice.event.into_str().to_owned());
    let (url, headers, body) = match receiver.kind {
        NotifyKind::Slack => (given, Vec::new(), json!({"text": escaped(&text())})),
        NotifyKind::Webhook => {
            let body = notice.json(redactor).to_string();
            let mut headers = vec![event];
            headers.extend(secret.map(|secret| header(SIGNATURE, signature(secret, &body))));
            return Ok(OutgoingRequest { url: given, headers, body });
        }
        NotifyKind::GitHub => {
            let [owner, name] = two(&given)?;
            let rest = format!("repos/{owner}/{name}/statuses/{}", commit(notice));
            let headers = vec![
                header("authorization", format!("Bearer {token}")),
                header("accept", "application/vnd.github+json".to_owned()),
                header("x-github-api-version", "2022-11-28".to_owned()),
            ];
            (
                github_api(&given, &rest)?,
                headers,
                status(notice, ["success", "failure", "pending"], &text()),
            )
        }
        NotifyKind::Gitea => {
            let [owner, name] = two(&given)?;
            let rest = format!("/api/v1/repos/{owner}/{name}/statuses/{}", commit(notice));
            let headers = vec![header("authorization", format!("token {token}"))];
            (at(&given, &rest), headers, status(notice, ["success", "failure", "pending"], &text()))
        }
        NotifyKind::GitLab => {
            let project = utf8_percent_encode(repository(&given)?, NON_ALPHANUMERIC).to_string();
            let rest = format!("/api/v4/projects/{project}/statuses/{}", commit(notice));
            let headers = vec![header("private-token", token.to_owned())];
            let mut body = status(notice, ["success", "failed", "pending"], &text());
            body["name"] = body["context"].take();
            (at(&given, &rest), headers, body)
        }
    };
    Ok(OutgoingRequest { url, headers, body: body.to_string() })
}

/// The header of the signature of a webhook, which is checked as GitHub's is.
pub(super) const SIGNATURE: &str = "x-hub-signature-256";

fn signature(secret: &Sensitive, body: &str) -> String {
    format!("sha256={}", hmac_sha256(secret.expose().as_bytes(), body.as_bytes()))
}

/// An address that something can be sent to.
///
/// # Errors
/// It is none, in words without it.
pub(super) fn web_address(url: &Sensitive) -> Result<Url, &'static str> {
    Url::parse(url.expose())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or("its `url` is not an http or https URL")
}

fn commit(notice: &Notice) -> &str {
    notice.commit.as_ref().map(|commit| commit.id.0.as_str()).unwrap_or_default()
}

/// The status of a commit; `words` are those for good, bad and waiting.
fn status(notice: &Notice, [good, bad, waiting]: [&str; 3], text: &str) -> Value {
    let state = match notice.event {
        // A dry run leaves changes.
        NotifyEvent::Recovered if notice.state == "pending" => waiting,
        NotifyEvent::Applied | NotifyEvent::Recovered | NotifyEvent::Drift => good,
        NotifyEvent::Failed | NotifyEvent::SourceFailed => bad,
        NotifyEvent::Held => waiting,
    };
    let target = notice.target.as_ref().map(|target| target.name.as_str()).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let mut description: String = line.chars().take(DESCRIPTION).collect();
    if description.len() < line.len() {
        description = description.chars().take(DESCRIPTION - 1).chain(['…']).collect();
    }
    json!({
        "state": state,
        "description": description,
        "context": format!("apinizer-gitops/{target}"),
    })
}

/// The path of a repository on its host.
fn repository(url: &Url) -> Result<&str, &'static str> {
    let path = without_ending(url.path());
    if path.contains('/') {
        Ok(path)
    } else {
        Err("its `url` names no repository, as https://host/owner/name does")
    }
}

fn two(url: &Url) -> Result<[&str; 2], &'static str> {
    let (owner, name) = repository(url)?.split_once('/').unwrap_or_default();
    if name.contains('/') {
        Err("its `url` is not of the form https://host/owner/name")
    } else {
        Ok([owner, name])
    }
}

/// github.com has its API on another host, a server of one's own below a path.
fn github_api(url: &Url, rest: &str) -> Result<Url, &'static str> {
    if url.host_str() != Some("github.com") {
        return Ok(at(url, &format!("/api/v3/{rest}")));
    }
    let mut api = at(url, &format!("/{rest}"));
    api.set_host(Some("api.github.com")).map_err(|_| "its `url` has no host")?;
    Ok(api)
}

fn at(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Escapes the signs that have a meaning in Slack: mentions and links.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
