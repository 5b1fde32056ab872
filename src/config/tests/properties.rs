//! Properties of any text, and of all keys.

use proptest::prelude::*;

use super::*;

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let as_json = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
    for good in [WHOLE.replace("long: 017", "long: '017'"), target("")] {
        let errors: Vec<String> =
            validator.iter_errors(&as_json(&good)).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{good}");
    }
    for bad in [
        target("    username: u\n"),
        target("").replace("${env:T}", "literal"),
        target("    resync: soon\n"),
        target("    adopt: allways\n"),
        target("    max_response: 10k\n"),
        target("    max_response: 10 Mi\n"),
        target("    max_deletes: 101%\n"),
        target("    max_deletes: 0%\n"),
        target("source: {path: a, url: b}\n"),
        target("source: {verify: {}}\n"),
        target("").replace("project", "projekt"),
        "{}".to_owned(),
    ] {
        assert!(!validator.is_valid(&as_json(&bad)), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Config::parse(Path::new("x"), &bytes, &environment(), Resolve::All);
    }

    #[test]
    fn no_text_panics(text in "[-a-z:\\[\\]{}&*|>'\"#%\t\n $!?,<]{0,120}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_damage_to_a_whole_config_panics(at in 0..WHOLE.len(), with in "[\\PC\t\n]{0,3}", cut in 0..40_usize) {
        let end = (at + cut).min(WHOLE.len());
        let _ = parse(&format!("{}{with}{}", &WHOLE[..at], &WHOLE[end..]));
    }
}
