//! Saying the same thing less often.

use std::time::Duration;

use tokio::time::Instant;

/// How often the same failure is told.
const EVERY: Duration = Duration::from_secs(300);

/// What was told last of one thing.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    last: Option<Told>,
}

#[derive(Debug)]
struct Told {
    text: String,
    at: Instant,
    kept_back: u64,
}

/// Whether a text is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// It is; it was kept back so often since it was told last.
    Loud(u64),
    /// It was told not long ago; it was kept back so often since.
    Quiet(u64),
}

impl Quiet {
    /// Takes a text; one that differs only in its numbers, the seconds of a pause for example,
    /// is the same.
    pub(super) fn hear(&mut self, text: &str, now: Instant) -> Hearing {
        let text = without_numbers(text);
        if let Some(last) = self.last.as_mut().filter(|last| last.text == text) {
            if now.duration_since(last.at) < EVERY {
                last.kept_back += 1;
                return Hearing::Quiet(last.kept_back);
            }
            last.at = now;
            return Hearing::Loud(std::mem::take(&mut last.kept_back));
        }
        self.last = Some(Told { text, at: now, kept_back: 0 });
        Hearing::Loud(0)
    }

    /// What was wrong is over: whether anything was.
    pub(super) fn is_over(&mut self) -> bool {
        self.last.take().is_some()
    }
}

fn without_numbers(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_once_in_a_while_and_other_things_at_once() {
        let mut quiet = Quiet::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(quiet.hear("refused (12 ms)", at(0)), Hearing::Loud(0));
        assert_eq!(quiet.hear("refused (7 ms)", at(10)), Hearing::Quiet(1));
        assert_eq!(quiet.hear("refused (9 ms)", at(299)), Hearing::Quiet(2));
        assert_eq!(quiet.hear("refused (9 ms)", at(300)), Hearing::Loud(2));
        assert_eq!(quiet.hear("timed out", at(301)), Hearing::Loud(0));
        assert_eq!(quiet.hear("refused (9 ms)", at(302)), Hearing::Loud(0));
        assert!(quiet.is_over());
        assert!(!quiet.is_over());
    }
}
