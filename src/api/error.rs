//! How a call fails, and what may be done then.

use std::fmt;
use std::time::Duration;

use crate::diagnostic::steers_text;
use crate::secret::{Redactor, SENSITIVE};

/// A call that did not succeed. Its text names the call, the connection or type, and what the
/// server said with every known secret replaced.
#[derive(Clone, Debug)]
pub(crate) struct CallError {
    /// The call in words: ``PUT connection `orders` ``, ``list of type `email` ``, `token request`.
    pub call: String,
    /// The class of the failure.
    pub kind: ErrorKind,
    /// The failure in one sentence.
    pub message: String,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// Why the call was not made again, if it could have been.
    pub gave_up: Option<GiveUp>,
}

impl std::error::Error for CallError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.message)?;
        self.why_given_up().map_or(Ok(()), |why| write!(f, "; {why}"))
    }
}

/// The classes of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Nothing was sent, since no server is there: its name does not resolve, the connection is
    /// refused, TLS is not spoken, or a proxy opens no connection to it. So it is with a wrong address.
    NoServer,
    /// Nothing was sent for another reason: the handshake failed, or the run gave the target up.
    Unreachable,
    /// The proxy asks for a user name and password; nothing was sent.
    ProxyRefused,
    /// The run is ending, so nothing was sent.
    Ending,
    /// The server's certificate is not trusted; nothing was sent.
    Untrusted,
    /// The deadline passed, or the connection broke, after the request may have been read.
    AnswerLost,
    /// A server that is called without TLS ended the connection without an answer in HTTP, after the
    /// request may have been read. So it is where an http URL leads to a port for TLS.
    NotHttp,
    /// The answer is no JSON of the API: HTML of a proxy, cut short, an incomplete list.
    BrokenAnswer,
    /// The answer is over the limit; the next one would be too.
    TooLarge,
    /// 5xx. A 503 with `Retry-After` is one too: it does not prove that a write was not done.
    ServerError,
    /// 429: the request was not carried out.
    RateLimited,
    /// 401, after the one renewal.
    Unauthorized,
    /// 403.
    Forbidden,
    /// The connection does not exist.
    NotFound,
    /// The project does not exist, or these credentials may not see it. Never a proof that a
    /// connection is gone.
    NoProject,
    /// A create on a name that exists.
    AlreadyExists,
    /// Any other 4xx, a redirect, or a failure inside HTTP 200: final.
    Refused,
}

impl CallError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub(crate) fn is_transient(&self) -> bool {
        self.may_be_sent_again() || (self.may_have_been_done() && self.kind != ErrorKind::TooLarge)
    }

    /// Whether a write that ended so may have been carried out all the same.
    pub(crate) fn may_have_been_done(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::AnswerLost
                | ErrorKind::NotHttp
                | ErrorKind::BrokenAnswer
                | ErrorKind::TooLarge
                | ErrorKind::ServerError
        )
    }

    /// Why the call was not made again, where the failure does not say it.
    fn why_given_up(&self) -> Option<GiveUp> {
        self.gave_up.filter(|_| self.kind != ErrorKind::Ending)
    }

    /// The failure without the call and without the number of tries: where many calls fail
    /// for one cause, it is told once.
    pub(crate) fn cause(&self) -> String {
        match self.why_given_up() {
            Some(why @ (GiveUp::LongPause(_) | GiveUp::Ending)) => {
                format!("{}; {why}", self.message)
            }
            _ => self.message.clone(),
        }
    }

    /// Whether nothing answered.
    pub(super) fn is_silence(&self) -> bool {
        use ErrorKind::{AnswerLost, NoServer, NotHttp, Unreachable};
        matches!(self.kind, NoServer | Unreachable | AnswerLost | NotHttp)
    }

    /// Whether a write that ended so may be sent again without reading first: no server did it, and it is
    /// worth another try.
    pub(super) fn may_be_sent_again(&self) -> bool {
        matches!(self.kind, ErrorKind::NoServer | ErrorKind::Unreachable | ErrorKind::RateLimited)
    }
}

/// Longer texts are cut: a stack trace helps nobody in a status line.
const LONGEST: usize = 500;

/// Replaces secrets, control and direction characters in somebody else's text, and cuts it.
///
/// Secrets go first, since a cut or a replaced line break could leave half of one; and once more
/// at the end, since taking characters out can put one together.
pub(crate) fn clean(redactor: &Redactor, text: &str) -> String {
    let line = one_line(&redactor.redact_words(text));
    // Not inside the marks: a secret may be as short as a letter of them.
    let parts: Vec<String> = line.split(SENSITIVE).map(|part| redactor.redact(part)).collect();
    let line = parts.join(SENSITIVE);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Makes one line of a text, without characters that are no text.
pub(super) fn one_line(text: &str) -> String {
    let visible: String = text.chars().map(|c| if steers_text(c) { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Why nothing is sent any more, in the words of every failure of that kind.
pub(crate) const ENDING: &str = "the run is ending";

/// A failure without the words that the run is ending; `None`: it is nothing else.
pub(crate) fn before_the_end(failure: &str) -> Option<&str> {
    match failure.strip_suffix(ENDING) {
        Some(before) => before.strip_suffix("; "),
        None => Some(failure),
    }
}

/// Why a call is not made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GiveUp {
    /// The failure is no passing one.
    #[error("trying again would not help")]
    Final,
    /// The run is ending, or a newer commit is there.
    #[error("{ENDING}")]
    Ending,
    /// This call was attempted often enough.
    #[error("gave up after {0} attempts")]
    Attempts(u32),
    /// This call failed for too long.
    #[error("gave up after {0:?}")]
    Call(Duration),
    /// Too many calls of the run failed.
    #[error("not tried again: too many calls of this run failed")]
    Budget,
    /// Nothing succeeded for too long.
    #[error("gave up on the target: no call succeeded for {0:?}")]
    Target(Duration),
    /// The server asks for a longer pause than this run takes.
    #[error("a pause of {} s is too long to wait for", .0.as_secs())]
    LongPause(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_clean_line() {
        let redactor = Redactor::default();
        assert_eq!(clean(&redactor, " bad\r\n\u{1b}[31mhost\u{202e} "), "bad [31mhost");
        let long = clean(&redactor, &"ü".repeat(LONGEST + 1));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with("ü…"));
    }

    #[test]
    fn of_a_huge_text_only_its_size_is_told() {
        let text = r"\u0041%41&#65;".repeat(64 * 1024 / 10);
        let told = clean(&Redactor::default(), &text);
        assert_eq!(told, format!("(a text of {} bytes)", text.len()));
    }

    #[test]
    fn no_half_of_a_secret_is_left() {
        let redactor = Redactor::default();
        redactor.learn("correct horse");
        redactor.learn("line\nbreak");
        let text = format!("{}correct horse", "x".repeat(LONGEST - 4));
        assert!(!clean(&redactor, &text).contains("corr"));
        assert!(!clean(&redactor, "got line\nbreak").contains("line"));
        assert_eq!(clean(&redactor, "got correct\n\nhorse"), "got (sensitive)");
        redactor.learn("t");
        assert_eq!(clean(&redactor, "got it"), "go(sensitive) i(sensitive)");
    }
}
