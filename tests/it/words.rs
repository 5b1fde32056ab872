//! The words of the source: one word for one thing, and sentences whose subject comes first.

use std::fs;
use std::path::{Path, PathBuf};

use super::architecture::files;

/// A word that the source avoids, the word to write instead, and where it is allowed.
struct Avoided {
    word: &'static str,
    instead: &'static str,
    /// Looked for in comments alone.
    in_comments: bool,
    allowed_in: &'static str,
}

const AVOIDED: [Avoided; 11] = [
    Avoided::everywhere("take over", "adopt"),
    Avoided::everywhere("takes over", "adopts"),
    Avoided::everywhere("taken over", "adopted"),
    Avoided::everywhere("took over", "adopted"),
    Avoided::everywhere("keeper", "TargetLoop, or the noun of the field"),
    Avoided::everywhere("server hides", "the server masks"),
    Avoided::in_comments("live hides", "live masks"),
    Avoided::in_comments("begun", "started, sent, in flight"),
    Avoided::in_comments("manner", "mode"),
    Avoided { allowed_in: "src/daemon/event.rs", ..Avoided::in_comments("burst", "debounce") },
    Avoided::in_comments("DESIGN", "the rule's number in ARCHITECTURE.md"),
];

/// A sentence that begins with one of these says late what it is about.
const LATE_SUBJECTS: [&str; 4] = ["What", "Whoever", "Nobody", "Somebody"];

impl Avoided {
    const fn everywhere(word: &'static str, instead: &'static str) -> Self {
        Self { word, instead, in_comments: false, allowed_in: "src/leadership" }
    }

    const fn in_comments(word: &'static str, instead: &'static str) -> Self {
        Self { in_comments: true, ..Self::everywhere(word, instead) }
    }

    fn is_in(&self, file: &str, line: &str) -> bool {
        let text = if self.in_comments { comment(line).unwrap_or_default() } else { line };
        let is_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        let stands_alone = text.match_indices(self.word).any(|(at, word)| {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            !before.is_some_and(is_of_a_word) && !after.is_some_and(is_of_a_word)
        });
        stands_alone && !file.starts_with(self.allowed_in)
    }
}

/// The text of a line that is a comment.
fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//").map(|text| text.trim_start_matches(['/', '!']).trim())
}

#[test]
fn the_source_uses_the_words_of_the_field() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<PathBuf> = Vec::new();
    files(&root.join("src"), &mut found);
    assert!(found.len() > 100, "the source was not found");
    let mut problems = Vec::new();
    for path in found {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let place = format!("{name}:{}", index + 1);
            for avoided in AVOIDED.iter().filter(|avoided| avoided.is_in(&name, line)) {
                let Avoided { word, instead, .. } = avoided;
                problems.push(format!("{place}: `{word}`, write: {instead}"));
            }
            let first = comment(line).and_then(|text| text.split_whitespace().next());
            if first.is_some_and(|word| LATE_SUBJECTS.contains(&word)) {
                problems.push(format!("{place}: a comment begins with `{}`", first.unwrap()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The pages for users say `adopt` too.
#[test]
fn the_pages_say_adopt() {
    let mut count = 0;
    for page in super::docs::pages::pages() {
        let text = fs::read_to_string(&page).unwrap();
        let found = AVOIDED.iter().take(4).find(|avoided| text.contains(avoided.word));
        assert!(found.is_none(), "{}: {}", page.display(), found.unwrap().word);
        count += 1;
    }
    assert!(count > 10, "the pages were not found");
}
