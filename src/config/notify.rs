//! The section `notify`: the receivers that the daemon tells, and of which events.

use serde::Deserialize;
use strum::{IntoStaticStr, VariantArray};

use super::fields::Fields;
use super::problems::{error, warning};
use super::read::Reader;
use super::{Notify, SecretText};
use crate::diagnostic::code;
use crate::host;
use crate::reference::holds_env;

/// Who is told, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, IntoStaticStr, strum::VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum NotifyKind {
    /// A channel, by an incoming webhook as Slack and Mattermost have it.
    Slack,
    /// A program: JSON, signed where there is a secret.
    Webhook,
    /// The status of the commit on GitHub.
    GitHub,
    /// The status of the commit on GitLab.
    GitLab,
    /// The status of the commit on Gitea or Forgejo.
    Gitea,
}

impl NotifyKind {
    /// Whether the commit's status on a git host is what is told.
    pub fn is_git_host(self) -> bool {
        !matches!(self, Self::Slack | Self::Webhook)
    }
}

/// An event of a target, or of the source.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, IntoStaticStr, VariantArray, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum NotifyEvent {
    /// A commit was applied whole.
    Applied,
    /// A reconcile failed, something is blocked, or a commit is refused.
    Failed,
    /// Live moved away from git.
    Drift,
    /// A change has become held.
    Held,
    /// All is well again after a failure or a hold.
    Recovered,
    /// The source cannot be fetched or read, or its newest commit is not signed as it should be.
    SourceFailed,
}

/// Builds the receivers of notifications.
pub(super) fn build(reader: &mut Reader<'_>, list: &[Fields]) -> Vec<Notify> {
    list.iter().filter_map(|fields| receiver(reader, fields)).collect()
}

fn receiver(reader: &mut Reader<'_>, fields: &Fields) -> Option<Notify> {
    let url: SecretText = fields.get("url")?;
    let kind: Option<NotifyKind> = fields.get("kind");
    let place = fields.place_of("url");
    // The URL of a chat or of a webhook is a secret: who knows it may post.
    let is_literal = !kind.is_some_and(NotifyKind::is_git_host) && !url.is_reference();
    if is_literal {
        reader.problems.conceal(&place);
    }
    let kind = kind?;
    if is_literal {
        let message = format!(
            "the `url` of a {} notification is a secret and holds something \
             else than `${{env:NAME}}`",
            kind.into_str()
        );
        let problem = error(&code::CONFIG_LITERAL_SECRET, message)
            .help("put the URL into the environment and write `url: ${env:NOTIFY_URL}`");
        reader.problems.add(&place, problem);
    } else if !holds_env(&url.0) {
        let web = url.0.starts_with("https://") || url.0.starts_with("http://");
        if !web || host::has_user_info(&url.0) {
            let message = "the `url` of a notification is an http or https URL without user info";
            reader.problems.add(&place, error(&code::CONFIG_BAD_URL, message));
        }
    }
    if kind.is_git_host() && !fields.has("secret") {
        let message = format!("a commit status on {} has no `secret`", kind.into_str());
        let problem = error(&code::CONFIG_MISSING_KEY, message)
            .help("write `secret: ${env:NAME}` for a token of the git host");
        reader.problems.add(&fields.pointer, problem);
    }
    if kind == NotifyKind::Slack && fields.has("secret") {
        let message = "a slack receiver has no use for a `secret`: what it is sent is not signed";
        let problem = warning(&code::CONFIG_CONTRADICTION, message)
            .help("leave the key out, or write `kind: webhook`");
        reader.problems.add(&fields.place_of("secret"), problem);
    }
    let events: Vec<NotifyEvent> = fields.get("events").unwrap_or_default();
    let events = if events.is_empty() { NotifyEvent::VARIANTS.to_vec() } else { events };
    Some(Notify { kind, url, secret: fields.get("secret"), events })
}
