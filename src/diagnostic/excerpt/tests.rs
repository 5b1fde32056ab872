use super::*;
use crate::diagnostic::split;

const CANARY: &str = "hunter2-canary";

/// All lines of a text as they would be shown.
fn shown(text: &str, broken: bool) -> String {
    let file = FileText::decode(text.as_bytes().to_vec()).unwrap();
    let mut lines = String::new();
    for chunk in split(&file) {
        let spans = Places::of(file.slice(chunk.range.clone()), chunk.first_line);
        assert!(broken || spans.is_some(), "{text}");
        let concealed = match spans.filter(|_| !broken) {
            Some(spans) => Concealed::of(&spans),
            None => Concealed::of_broken(&file, &chunk, is_field),
        };
        for line in 1..=file.line_count() {
            lines.push_str(&concealed.mark(&file, Span::point((line, 1))).text);
            lines.push('\n');
        }
    }
    lines
}

#[test]
fn a_document_without_places_shows_its_known_keys_only() {
    let file = Arc::new(FileText::decode(b"name: hunter2-canary\nb: [".to_vec()).unwrap());
    let excerpt = Excerpt::whole(&file, &split(&file)[0], is_field);
    assert!(excerpt.places().is_none());
    assert_eq!(excerpt.mark("/name", &Part::Value).text, "name: ...");
}

#[test]
fn hides_secrets_wherever_they_stand() {
    for text in [
        "password: hunter2-canary",
        "a: 1\npasswrod: 'hunter2-canary'\nb: 2",
        "\"password\": \"hunter2-canary\"",
        "{a: b, password: hunter2-canary, c: d}",
        "password: |\n  x\n  hunter2-canary\nb: 1",
        "password:\n  hunter2-canary",
        "password: \"x\n\n  hunter2-canary\"\n",
        "headerList:\n  - name: Authorization\n    value: hunter2-canary\n",
        "headerList: [{name: Authorization, value: hunter2-canary}]\n",
        "propertiesMap:\n  ssl.keystore.password: {value: hunter2-canary, valueType: x}\n",
        "jdbcUrl: jdbc:mysql://h/d?user=x&password=hunter2-canary",
        "url: https://joe:hunter2-canary@example.com/x",
        "x: 'Bearer hunter2-canary'",
        "my-api-key: hunter2-canary",
        "elasticPasword: hunter2-canary${env:X}",
        "securityOrCommunityName: hunter2-canary",
        "password: !!str hunter2-canary",
        "password: &a hunter2-canary",
        "password: [hunter2-canary]",
    ] {
        for broken in [false, true] {
            let shown = shown(text, broken);
            assert!(!shown.contains(CANARY), "{broken}: {shown}");
            assert!(shown.contains(CONCEALED), "{broken}: {shown}");
        }
    }
    for text in
        ["host: &p hunter2-canary\npassword: *p\n", "x: &p [hunter2-canary]\npassword: *p\n"]
    {
        let alias = shown(text, false);
        assert!(!alias.contains(CANARY), "{alias}");
    }
}

#[test]
fn shows_what_is_no_secret() {
    for (text, of_broken) in [
        ("password: ${env:SMTP_PASSWORD}", "password: ${env:SMTP_PASSWORD}"),
        ("password: \"${A}${env:B}\"", "password: \"${A}${env:B}\""),
        ("password: null", "password: ..."),
        ("keyStoreName: main\nrouting: {x: null}", "keyStoreName: ...\n..."),
        ("hostPortList:\n  - hostName: a", "hostPortList:\n  - hostName: ..."),
        ("port: 25\nhost: smtp.example.com\nusername: joe", "port: ...\nhost: ...\nusername: ..."),
        ("{\"type\": \"email\",\n\"port\": 25}", "{\"type\": ...\n\"port\": ..."),
        ("x-gitops: {targets: [prod]}", "x-gitops: ..."),
    ] {
        assert_eq!(shown(text, false).trim_end(), text);
        assert_eq!(shown(text, true).trim_end(), of_broken);
    }
}

#[test]
fn a_document_that_does_not_parse_shows_no_values() {
    for text in [
        "host: h\npassword hunter2-canary",
        "host: h\npassword\thunter2-canary",
        "host: h\npasswordhunter2-canary",
        "host: h\npasword hunter2-canary",
        "host: h\npassword:hunter2-canary",
        "host: h\npassword; hunter2-canary",
        "host: h\n- password hunter2-canary",
        "host: h\npass word: hunter2-canary",
        "host: h\npas\"sword: hunter2-canary",
        "host: h\n? password\n: hunter2-canary",
        "password:\nhunter2-canary",
        "password\nhunter2-canary",
        "password:\n\nhunter2-canary",
        "password:\nhunter2: x\nhunter2-canary",
        "password: |\nhunter2-canary",
        "password: |\n  first\nhunter2-canary",
        "password: >-\nfirst\n  second\nhunter2-canary",
        "password: !!str\nhunter2-canary",
        "password: first\nhunter2-canary",
        "pass\nword: hunter2-canary",
        "privateKey: |\n-----BEGIN X-----\nhunter2-canary\n",
        "{\"host\":\"h\",\"password\" \"hunter2-canary\"}",
        "{\"host\":\"h\",\"password\"\n\"hunter2-canary\"}",
        "{\n\"host\":\"h\",\n\"password\"\n:\n\"hunter2-canary\"\n}",
        "headerList:\n  - name: Authorization\n    value hunter2-canary\n",
        "headerList:\n  - name Authorization\n    value: hunter2-canary\n",
        "headerList:\n  - value: hunter2-canary\n    name: Authorization\n",
        "headerList:\n  - name: Authorization\n    value:\nhunter2-canary\n",
        "description: the password is hunter2-canary",
        "securityOrCommunityName hunter2-canary",
        "{password: ${env:A}, token hunter2-canary}",
        "{type: email, password hunter2-canary}",
        "{type: email, password\":\"hunter2-canary\"}",
        "apiK\ney: hunter2-canary",
        "pas<<: sword: hunter2-canary",
        "securityOrCommnityName: hunter2-canary",
        "jdbcUrl: jdbc:mysql:  //u:hunter2-canary@h/d",
        "a:\n  ssl.key.password: {valu\ne: hunter2-canary, valueType: x}",
    ] {
        let shown = shown(text, true);
        assert!(!shown.contains(CANARY), "{text}\n{shown}");
        assert!(shown.contains(CONCEALED), "{text}\n{shown}");
    }
}

#[test]
fn a_key_that_holds_its_value_is_hidden_where_it_parses_too() {
    for text in [
        "{type: email, password hunter2-canary}",
        "{type: email, password:hunter2-canary}",
        "? password hunter2-canary\n: x\n",
    ] {
        let shown = shown(text, false);
        assert!(!shown.contains(CANARY) && shown.contains(CONCEALED), "{text}\n{shown}");
    }
}

#[test]
fn carets_keep_their_column() {
    let file =
        FileText::decode(b"{password: ab, secret: abcdefghijklmnop, port: x}".to_vec()).unwrap();
    let spans = Places::of(file.as_str(), 1).unwrap();
    let concealed = Concealed::of(&spans);
    let mark = concealed.mark(&file, spans.value("/port").unwrap());
    assert_eq!(mark.text, "{password: .., secret: ...             , port: x}");
    assert_eq!((mark.column, mark.length), (48, 1));
    let mark = concealed.mark(&file, spans.value("/secret").unwrap());
    assert_eq!((mark.column, mark.length), (24, 3));
}
