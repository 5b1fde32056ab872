//! A comment on a pull request: as much as fits, the most important first.
//!
//! Git hosts refuse a comment that is too long, so everything is written under a budget: the
//! summary always, then what is to be deleted, then the differences, which are the first to go.
//!
//! Foreign text stands in code spans, as entities in a `<summary>`, or in fenced blocks whose lines all begin
//! with a sign, or with a sign's space and four more: no such line can be the fence that ends the block.

use super::escape;
use crate::plan::TargetPlan;

/// The longest comment in bytes; GitHub takes 65,536 characters, and none is longer in its count
/// than in bytes.
pub(super) const LONGEST: usize = 64_000;
/// The room that is kept free for the words at the end.
const RESERVE: usize = 500;
/// The longest line of a block, in bytes; longer ones are cut.
const LONGEST_LINE: usize = 2000;
/// The most sentences of one list: they stand above the changes, which are to be seen as well.
const MOST_SENTENCES: usize = 20;

const OPEN: &str = "```diff\n";
const CLOSE: &str = "```\n";

/// A comment in the making.
#[derive(Debug)]
pub(super) struct Comment {
    text: String,
}

impl Comment {
    /// Begins the comment of a command with a line that nobody sees, by which it is found again to be updated
    /// in place.
    pub(super) fn of(command: &str) -> Self {
        Self { text: format!("<!-- apinizer-gitops:{command} -->\n") }
    }

    /// Writes a heading, which always has room.
    pub(super) fn always(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Writes a line if there is room for it.
    pub(super) fn line(&mut self, text: &str) -> bool {
        let fits = self.room() > text.len();
        if fits {
            self.text.push_str(text);
            self.text.push('\n');
        }
        fits
    }

    /// Writes what is said of targets as a whole: notes, warnings, errors, and the errors of documents.
    pub(super) fn said_of(
        &mut self,
        targets: &[TargetPlan],
        [warnings, invalid]: [Vec<String>; 2],
    ) {
        let several = targets.len() > 1;
        let of_all = |pick: fn(&TargetPlan) -> &Vec<String>| {
            let of_one = move |target: &TargetPlan| -> Vec<String> {
                let name = if several { format!("{}: ", target.name) } else { String::new() };
                pick(target).iter().map(|sentence| format!("{name}{sentence}")).collect()
            };
            targets.iter().flat_map(of_one).collect::<Vec<String>>()
        };
        self.list("Notes", &of_all(|target| &target.notices));
        self.list("Warnings", &warnings);
        self.list("Errors", &[of_all(|target| &target.errors), invalid].concat());
    }

    /// Writes as many of the sentences as have room, up to a limit, as a list of code spans.
    pub(super) fn list(&mut self, title: &str, sentences: &[String]) {
        if sentences.is_empty() || !self.line(&format!("\n**{title}**\n")) {
            return;
        }
        for sentence in sentences.iter().take(MOST_SENTENCES) {
            if !self.line(&format!("- {}", escape::code_span(sentence))) {
                return;
            }
        }
        let more = sentences.len().saturating_sub(MOST_SENTENCES);
        if more > 0 {
            self.line(&format!("- and {more} more"));
        }
    }

    /// Writes as many of the pieces as have room as one block of differences; says how many.
    pub(super) fn block(&mut self, before: &str, pieces: &[Vec<String>], after: &str) -> usize {
        let frame = before.len() + OPEN.len() + CLOSE.len() + after.len();
        let mut room = self.room().saturating_sub(frame);
        let mut body = String::new();
        let mut written = 0;
        for piece in pieces {
            let text: String = piece.iter().map(|line| cut(line) + "\n").collect();
            if text.len() > room {
                break;
            }
            room -= text.len();
            body.push_str(&text);
            written += 1;
        }
        if written > 0 {
            for part in [before, OPEN, &body, CLOSE, after] {
                self.text.push_str(part);
            }
        }
        written
    }

    /// How many bytes are left.
    pub(super) fn room(&self) -> usize {
        LONGEST.saturating_sub(RESERVE + self.text.len())
    }

    /// The comment; its last words say how many had no room, and where all are shown.
    pub(super) fn finish(mut self, left_out: usize, all: &str) -> String {
        if left_out > 0 {
            self.text.push_str(&format!("\n{left_out} more did not fit here{all}.\n"));
        }
        self.text
    }
}

fn cut(line: &str) -> String {
    let kept = &line[..line.floor_char_boundary(LONGEST_LINE)];
    if kept.len() == line.len() { line.to_owned() } else { format!("{kept} ... (cut)") }
}
