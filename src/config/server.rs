//! The sections `server` and `notify`: what the daemon serves, and whom it tells.

use crate::reference::holds_env;

use super::code;
use super::fields::Fields;
use super::problems::Problem;
use super::reader::Reader;
use super::{Notify, SecretText, Server, url};

/// Builds the listener.
pub(super) fn build(fields: &Fields) -> Server {
    Server {
        listen: fields.listen("listen"),
        token: fields.secret("token"),
        webhook_secret: fields.secret("webhook_secret"),
    }
}

/// Builds the receivers of notifications.
pub(super) fn build_notify(reader: &mut Reader<'_>, list: &[Fields]) -> Vec<Notify> {
    list.iter().filter_map(|fields| receiver(reader, fields)).collect()
}

fn receiver(reader: &mut Reader<'_>, fields: &Fields) -> Option<Notify> {
    let url = fields.secret("url")?;
    let kind = fields.word("kind");
    if !kind.is_some_and(is_git_host) && !url.is_reference() {
        reader.problems.hide(fields.place_of("url"));
    }
    let kind = kind?;
    let secret = fields.secret("secret");
    check_url(reader, fields, kind, &url);
    if is_git_host(kind) && secret.is_none() {
        let message = format!("a commit status on {kind} has no `secret`");
        let problem = Problem::error(&code::MISSING_KEY, message)
            .help("write `secret: ${env:NAME}` for a token of the git host");
        reader.problems.add(fields.place, problem);
    }
    Some(Notify {
        kind: kind.to_owned(),
        url,
        secret,
        events: fields.words("events").iter().map(|event| (*event).to_owned()).collect(),
        template: fields.text("template").map(|text| text.value.clone()),
    })
}

/// Whether the commit's status on a git host is what is told.
fn is_git_host(kind: &str) -> bool {
    matches!(kind, "github" | "gitlab" | "gitea")
}

/// The URL of a chat or of a webhook is a secret: who knows it may post.
fn check_url(reader: &mut Reader<'_>, fields: &Fields, kind: &str, url: &SecretText) {
    let place = fields.place_of("url");
    if !is_git_host(kind) && !url.is_reference() {
        let message = format!(
            "the `url` of a {kind} notification is a secret and holds something \
                               else than `${{env:NAME}}`"
        );
        let problem = Problem::error(&code::LITERAL_SECRET, message)
            .help("put the URL into the environment and write `url: ${env:NOTIFY_URL}`");
        reader.problems.add(place, problem);
    } else if !holds_env(&url.0) {
        let web = url.0.starts_with("https://") || url.0.starts_with("http://");
        if !web || url::has_user_info(&url.0) {
            let message = "the `url` of a notification is an http or https URL without user info";
            reader.problems.add(place, Problem::error(&code::BAD_URL, message));
        }
    }
}
