//! Whether a text that somebody typed shows a secret, as it is or in a form that programs give it.

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;

/// Shorter secrets count only where they stand as a word of their own, or as the whole text: inside
/// words they would strike text that has nothing to do with them.
const SHORTEST_PIECE: usize = 8;

/// Shorter secrets count only as the whole text.
const SHORTEST_WORD: usize = 4;

/// Finds secrets in texts.
#[derive(Debug)]
pub(super) struct Shown {
    searcher: AhoCorasick,
}

impl Shown {
    /// `None`: they are too many or too large to be searched for.
    pub(super) fn of<'s>(secrets: impl Iterator<Item = &'s String>) -> Option<Self> {
        // Overlapping matches are asked for, which only this kind can tell.
        AhoCorasick::new(secrets).ok().map(|searcher| Self { searcher })
    }

    /// Whether one of them is in a text, in whatever form.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.is_in_some_reading(text, SHORTEST_WORD)
    }

    /// The same of a name, whose words are short ones that stand for much else, such as a stage.
    pub(super) fn is_in_name(&self, name: &str) -> bool {
        self.is_in_some_reading(name, SHORTEST_PIECE)
    }

    fn is_in_some_reading(&self, text: &str, shortest_word: usize) -> bool {
        self.is_plain_in(text.as_bytes(), shortest_word)
            || readings(text).iter().any(|reading| self.is_plain_in(reading, shortest_word))
    }

    fn is_plain_in(&self, text: &[u8], shortest_word: usize) -> bool {
        let is_part_of_word = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
        };
        self.searcher.find_overlapping_iter(text).any(|found| {
            let before = found.start().checked_sub(1).and_then(|at| text.get(at));
            let is_word = !is_part_of_word(before) && !is_part_of_word(text.get(found.end()));
            found.len() >= SHORTEST_PIECE
                || found.len() == text.len()
                || (found.len() >= shortest_word && is_word)
        })
    }
}

/// What a text says to programs that take escapes out of it.
fn readings(text: &str) -> Vec<Vec<u8>> {
    let mut readings = Vec::new();
    if text.contains('%') {
        readings.push(percent_decode_str(text).collect());
        readings.push(percent_decode_str(&text.replace('+', " ")).collect());
    }
    if text.contains('\\') {
        // Text that is quoted in a text that is quoted needs it twice.
        let once = unquoted(text);
        readings.push(unquoted(&once).into_bytes());
        readings.push(once.into_bytes());
    }
    if text.contains('&') {
        readings.push(unescaped_html(text).into_bytes());
    }
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    for run in text.split(|c| !is_base64(c)).filter(|run| run.len() >= SHORTEST_PIECE) {
        let run = run.replace('-', "+").replace('_', "/");
        // A word before it may have been taken for a part of it.
        readings.extend((0..4).filter_map(|skipped| {
            let rest = run.get(skipped..)?;
            // A single character too many is no group.
            let whole = rest.len() - usize::from(rest.len() % 4 == 1);
            UNPADDED.decode(rest.get(..whole)?).ok()
        }));
    }
    readings
}

const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A text without the escapes of JSON; what is none stands for itself.
fn unquoted(text: &str) -> String {
    // Two escapes may be one character, as UTF-16 has it.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        units.extend(before.encode_utf16());
        let hex = escape.strip_prefix('u').and_then(|digits| digits.get(..4));
        if let Some(unit) = hex.and_then(|hex| u16::from_str_radix(hex, 16).ok()) {
            units.push(unit);
            rest = escape.get(5..).unwrap_or_default();
            continue;
        }
        let mut characters = escape.chars();
        let plain = match characters.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(itself) => itself,
            None => '\\',
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
        rest = characters.as_str();
    }
    units.extend(rest.encode_utf16());
    String::from_utf16_lossy(&units)
}

fn unescaped_html(text: &str) -> String {
    const NAMED: [(&str, &str); 7] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    NAMED.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(secrets: &[&str], text: &str) -> bool {
        let secrets: Vec<String> = secrets.iter().map(|&secret| secret.to_owned()).collect();
        Shown::of(secrets.iter()).unwrap().is_in(text)
    }

    #[test]
    fn a_short_secret_shows_only_as_a_word_of_its_own() {
        let secrets = ["hunter2-and-more", "pass", "25"];
        for (text, shows) in [
            ("hunter2-and-more", true),
            ("it is hunter2-and-more!", true),
            ("xhunter2-and-morex", true),
            ("the pass, please", true),
            ("a passage", false),
            ("25", true),
            ("port 25", false),
        ] {
            assert_eq!(shown(&secrets, text), shows, "{text}");
            let secrets = Shown::of(secrets.map(str::to_owned).iter()).unwrap();
            assert_eq!(secrets.is_in_name(text), shows && !text.contains("the pass"), "{text}");
        }
    }

    #[test]
    fn a_secret_shows_in_every_form() {
        let secret = "p\"ä/s \u{1f511}w%rd&<";
        for text in [
            r#"p\"\u00e4\/s \ud83d\uDD11w%rd\u0026\u003c"#,
            r#"{\"p\": \"p\\\"ä/s \u{1f511}w%rd&<\"}"#,
            "q=p%22%C3%A4%2Fs%20%F0%9F%94%91w%25rd%26%3C",
            "q=p%22%C3%A4%2Fs+%F0%9F%94%91w%25rd%26%3C",
            "p&quot;ä/s \u{1f511}w%rd&amp;&lt;",
            "Basic dTpwIsOkL3Mg8J+UkXclcmQmPA==",
            "cCLDpC9zIPCflJF3JXJkJjw",
        ] {
            let text = text.replace("\\u{1f511}", "\u{1f511}");
            assert!(shown(&[secret], &text), "{text}");
        }
        assert!(!shown(&[secret], "nothing of it: %zz \\ &x; c29tZXRoaW5nIGVsc2U="));
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".*") {
            let _ = shown(&["secret-that-is-long"], &text);
        }

        #[test]
        fn base64_shows_it_wherever_it_stands(before in ".{0,9}", after in ".{0,9}") {
            use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
            let text = format!("{before}s3cr3t-\u{fc}>>{after}");
            for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                let is_shown = shown(&["s3cr3t-\u{fc}>>"], &format!("x: {encoded}"));
                proptest::prop_assert!(is_shown);
            }
        }
    }
}
