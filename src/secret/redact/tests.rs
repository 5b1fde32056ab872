//! Secrets in every form that programs give them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

fn knowing(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::default();
    secrets.iter().for_each(|secret| redactor.learn(secret));
    redactor
}

/// Every byte in one form.
fn each(secret: &str, form: impl Fn(u8) -> String) -> String {
    secret.bytes().map(form).collect()
}

/// Every character in one form.
fn each_character(secret: &str, form: impl Fn(char) -> String) -> String {
    secret.chars().map(form).collect()
}

fn forms(secret: &str) -> Vec<String> {
    let json = Value::String(secret.to_owned()).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let twice = Value::String(json.clone()).to_string();
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let in_base64 = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let mut forms = vec![
        secret.to_owned(),
        json.replace('/', "\\/"),
        json,
        twice[1..twice.len() - 1].to_owned(),
        percent.replace("%20", "+"),
        percent.replace("%C3%A4", "%c3%a4").replace("%2F", "%2f"),
        percent,
        secret.replace('%', "%25").replace(' ', "%20"),
        each(secret, |byte| format!("%{byte:02x}")),
        each(secret, |byte| format!("%{byte:02X}")),
        each(secret, |byte| format!("{byte:02x}")),
        each(secret, |byte| format!("{byte:02X}")),
        html.replace('"', "&#34;"),
        html,
        each_character(secret, |c| format!("&#{};", u32::from(c))),
        each_character(secret, |c| format!("&#x{:x};", u32::from(c))),
        each_character(secret, |c| format!("&#X{:06X};", u32::from(c))),
        each_character(secret, |c| {
            c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }),
    ];
    forms.extend(in_base64.map(|engine| engine.encode(secret)));
    forms
}

#[test]
fn every_form_is_replaced() {
    for secret in ["p\"ä/s \u{1f511}w%rd&<", "c0rr3ct-h0rse", "??>>~~~"] {
        let redactor = knowing(&[secret]);
        for form in forms(secret) {
            let said = redactor.redact(&format!("bad value <{form}>!"));
            let said = said.replace("=>!", ">!").replace("=>!", ">!");
            assert_eq!(said, format!("bad value <{SENSITIVE}>!"), "{form}");
            assert!(redactor.is_shown_in(&format!("bad value <{form}>!")), "{form}");
        }
        assert_eq!(redactor.redact("nothing here"), "nothing here");
        let other = "nothing of it: %zz \\ &x; &#; &#xffffffff; \\ud8 c29tZXRoaW5nIGVsc2U= 6f6f";
        assert_eq!(redactor.redact(other), other);
        assert!(!redactor.is_shown_in(other));
    }
}

#[test]
fn the_parts_of_a_url_are_secret_too() {
    let url = "https://OneUser1:pass@chat.example/services/T0/Key%2FOfTheChat?sign=a%20b%26cdefg";
    let redactor = knowing(&[url, "file:///srv/team/repository.git"]);
    for (text, wanted) in [
        ("Cannot POST /services/T0/Key%2FOfTheChat", "Cannot POST (sensitive)"),
        ("no /services/T0/Key/OfTheChat?sign=a+b%26cdefg here", "no (sensitive) here"),
        ("no Key&#x2f;OfTheChat", "no (sensitive)"),
        ("the sign \"a b&cdefg\"", "the sign \"(sensitive)\""),
        ("OneUser1 with pass", "(sensitive) with (sensitive)"),
        ("'/srv/team/repository.git' is gone", "'(sensitive)' is gone"),
        // Words that anybody may use.
        ("the services of a team", "the services of a team"),
        ("another repository.git", "another repository.git"),
    ] {
        assert_eq!(redactor.redact(text), wanted);
    }
}

#[test]
fn forms_may_be_mixed_and_nested() {
    let redactor = knowing(&["p\"ä/s w%rd"]);
    for form in [
        r"p&quot;ä/s w%rd",
        r"p\u0022ä\/s w%rd",
        "p%22%C3%A4/s+w%25rd",
        "p%22%c3%A4/s w%25rd",
        r"p\\u0022\u00e4/s w%rd",
        "p&amp;quot;ä/s w%rd",
        "p%2522%25C3%25A4/s%2520w%2525rd",
    ] {
        let said = redactor.redact(&format!("bad value <{form}>!"));
        assert_eq!(said, format!("bad value <{SENSITIVE}>!"));
    }
}

#[test]
fn a_secret_inside_other_base64_is_not_shown() {
    let redactor = knowing(&["hunter2-and-more"]);
    for before in ["", "u", "us", "use", "user:"] {
        let said = STANDARD.encode(format!("{before}hunter2-and-more:tail"));
        let redacted = redactor.redact(&said);
        assert!(redacted.contains(SENSITIVE), "{before}: {redacted}");
        for digits in 0..redacted.len() {
            let rest = redacted.get(digits..).unwrap_or_default().trim_end_matches('=');
            let text = STANDARD_NO_PAD.decode(rest).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&text).contains("more"), "{redacted}");
        }
    }
}

#[test]
fn secrets_that_overlap_leave_nothing_of_either() {
    let redactor = knowing(&["abc", "abcdef", "efgh"]);
    assert_eq!(redactor.redact("abcdef abc"), format!("{SENSITIVE} {SENSITIVE}"));
    assert_eq!(redactor.redact("xabcdefghx"), format!("x{SENSITIVE}x"));
}

#[test]
fn a_short_secret_in_a_value_shows_only_as_a_word_of_its_own() {
    let redactor = knowing(&["hunter2-and-more", "pass", "25"]);
    for (text, shows) in [
        ("hunter2-and-more", true),
        ("it is hunter2-and-more!", true),
        ("xhunter2-and-morex", true),
        ("the pass, please", true),
        ("a passage", false),
        ("25", true),
        ("port 25", false),
    ] {
        assert_eq!(redactor.is_shown_in(text), shows, "{text}");
        assert_eq!(redactor.is_shown_in_name(text), shows && !text.contains("the pass"), "{text}");
    }
}

#[test]
fn a_secret_that_is_learnt_later_is_found_too() {
    let redactor = Redactor::default();
    assert!(!redactor.is_shown_in("hunter2-and-more"));
    redactor.learn("hunter2-and-more");
    assert!(redactor.is_shown_in("it is hunter2-and-more"));
    redactor.learn("another-one");
    assert!(redactor.is_shown_in("or another-one"));
}

#[test]
fn of_secrets_that_take_each_others_place_the_last_few_are_known() {
    let redactor = Redactor::default();
    for number in 0..1000 {
        redactor.learn_next("a token", &format!("token-{number}-"));
        redactor.learn_next("another", &format!("other-{number}-"));
        let shown = |back: i32| redactor.is_shown_in(&format!("token-{}-", number - back));
        assert!(shown(0) && (number == 0 || shown(1)) && !shown(4));
    }
    assert_eq!(redactor.redact("token-999- other-998-"), "(sensitive) (sensitive)");
    assert_eq!(redactor.known.read().all().count(), 8);
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in ".*") {
        let redactor = knowing(&["secret-that-is-long", "é"]);
        prop_assert!(!redactor.redact(&text).contains("é"));
        let _ = redactor.is_shown_in(&text);
    }

    #[test]
    fn base64_shows_it_wherever_it_stands(before in ".{0,9}", after in ".{0,9}") {
        let redactor = knowing(&["s3cr3t-\u{fc}>>"]);
        let text = format!("{before}s3cr3t-\u{fc}>>{after}");
        for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            let said = format!("x: {encoded}");
            prop_assert!(redactor.is_shown_in(&said));
            prop_assert!(redactor.redact(&said).contains(SENSITIVE));
        }
    }
}
