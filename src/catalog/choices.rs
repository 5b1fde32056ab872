//! The allowed words of fields that hold one of a few words, by the vendor's documents.

use super::Choices;

/// Which of the two documents allow one value of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every document that lists words lists this one.
    Allowed,
    /// One document lists it, the other lists words without it.
    OnlyOneDocument,
    /// No document lists it.
    Unknown {
        /// Whether both documents list the same words; where they do not, neither can be taken
        /// as complete.
        documents_agree: bool,
    },
}

impl Choices {
    /// Judges a value by both documents; spelling counts as [`same_choice`] has it.
    pub fn verdict(&self, value: &str) -> Verdict {
        let listed =
            |words: &[&str]| words.is_empty() || words.iter().any(|w| same_choice(w, value));
        match (listed(self.guide), listed(self.openapi)) {
            (true, true) => Verdict::Allowed,
            (false, false) => Verdict::Unknown { documents_agree: self.documents_agree() },
            // The only list there is does not have it.
            (false, true) if self.openapi.is_empty() => Verdict::Unknown { documents_agree: false },
            (true, false) if self.guide.is_empty() => Verdict::Unknown { documents_agree: false },
            _ => Verdict::OnlyOneDocument,
        }
    }

    /// Whether both documents list the same words, spelling aside. A list that only one of them
    /// has is not agreed upon.
    pub fn documents_agree(&self) -> bool {
        let all_in = |words: &[&str], others: &[&str]| {
            words.iter().all(|word| others.iter().any(|other| same_choice(word, other)))
        };
        all_in(self.guide, self.openapi) && all_in(self.openapi, self.guide)
    }

    /// Every allowed word once: as the guide spells it, then what only the OpenAPI file has.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + use<> {
        let (guide, openapi) = (self.guide, self.openapi);
        let more = openapi.iter().filter(|word| !guide.iter().any(|g| same_choice(g, word)));
        guide.iter().chain(more).copied()
    }
}

/// Whether two spellings are one choice: case and a `(n)` suffix do not count.
pub(crate) fn same_choice(a: &str, b: &str) -> bool {
    without_number(a).eq_ignore_ascii_case(without_number(b))
}

fn without_number(word: &str) -> &str {
    word.strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        .filter(|(head, number)| {
            !head.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        })
        .map_or(word, |(head, _)| head)
}
