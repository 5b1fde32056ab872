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
        let masks = Masks::of(&file, &chunk, spans.as_ref().filter(|_| !broken));
        for line in 1..=file.line_count() {
            lines.push_str(&masks.mark(&file, Span::point((line, 1))).text);
            lines.push('\n');
        }
    }
    lines
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
            assert!(shown.contains(SENSITIVE), "{broken}: {shown}");
        }
    }
    let alias = shown("x: &p hunter2-canary\npassword: *p\n", false);
    assert!(!alias.contains(CANARY), "{alias}");
}

#[test]
fn shows_what_is_no_secret() {
    for text in [
        "password: ${env:SMTP_PASSWORD}",
        "password: \"${A}${env:B}\"",
        "password: null",
        "keyStoreName: main\nkeySerializer: x\nchannelRoutingKey: a.b",
        "headerList:\n  - name: Accept\n    value: text/plain",
        "jdbcUrl: jdbc:mysql://h/d?password=${env:P}",
        "url: https://joe:${env:P}@example.com/x",
        "port: 25\nhost: smtp.example.com\nusername: joe",
    ] {
        for broken in [false, true] {
            assert_eq!(shown(text, broken).trim_end(), text, "{broken}");
        }
    }
}

#[test]
fn what_follows_a_word_for_a_secret_is_hidden_where_a_colon_is_forgotten() {
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
        assert!(shown.contains(SENSITIVE), "{text}\n{shown}");
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
        assert!(!shown.contains(CANARY) && shown.contains(SENSITIVE), "{text}\n{shown}");
    }
}

#[test]
fn what_stands_beside_a_secret_is_shown() {
    for (text, expected) in [
        ("password hunter2-canary\nhost: h", "password (sensitive)\nhost: h"),
        ("password:\nhost: h\nport 1", "password:\nhost: h\nport 1"),
        ("password: ${env:A}\nother: [1", "password: ${env:A}\nother: [1"),
        ("password: |\n  x\nother: [1", "password: |\n  (sensitive)\nother: [1"),
        ("a: {password: ${env:A}}\nb 1", "a: {password: ${env:A}}\nb 1"),
        ("name: order-token\nhost: h\nport 1", "name: order-token\nhost: h\nport 1"),
        ("- name: Authorization\n  x: y", "- name: Authorization\n  x: y"),
    ] {
        assert_eq!(shown(text, true).trim_end(), expected);
    }
}

#[test]
fn carets_keep_their_column() {
    let file =
        FileText::decode(b"{password: abc, secret: abcdefghijklmnop, port: x}".to_vec()).unwrap();
    let chunk = &split(&file)[0];
    let spans = Places::of(file.as_str(), 1).unwrap();
    let masks = Masks::of(&file, chunk, Some(&spans));
    let mark = masks.mark(&file, spans.value("/port").unwrap());
    assert_eq!(mark.text, "{password: ***, secret: (sensitive)     , port: x}");
    assert_eq!((mark.column, mark.length), (49, 1));
}
