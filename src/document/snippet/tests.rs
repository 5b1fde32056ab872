use super::*;
use crate::document::split::split;

const CANARY: &str = "hunter2-canary";

/// All lines of a text as they would be shown.
fn shown(text: &str, broken: bool) -> String {
    let file = FileText::decode(text.as_bytes().to_vec()).unwrap();
    let mut lines = String::new();
    for chunk in split(&file) {
        let spans = Spans::of(file.slice(chunk.range.clone()), chunk.first_line);
        assert!(broken || spans.is_some(), "{text}");
        let masks = Masks::of(&file, &chunk, spans.as_ref().filter(|_| !broken));
        for line in 1..=file.line_count() {
            lines.push_str(&masks.mark(&file, point((line, 1))).text);
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
fn carets_keep_their_column() {
    let file =
        FileText::decode(b"{password: abc, secret: abcdefghijklmnop, port: x}".to_vec()).unwrap();
    let chunk = &split(&file)[0];
    let spans = Spans::of(file.as_str(), 1).unwrap();
    let masks = Masks::of(&file, chunk, Some(&spans));
    let mark = masks.mark(&file, spans.value("/port").unwrap());
    assert_eq!(mark.text, "{password: ***, secret: (sensitive)     , port: x}");
    assert_eq!((mark.column, mark.length), (49, 1));
}
