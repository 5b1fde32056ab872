//! Random documents in every style of YAML, in pieces: the values that may move, and all the rest.

use serde_json::{Value, json};

use crate::model::Random;

/// A piece of the text of a file.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Text that stays whatever moves.
    Fixed(String),
    /// The value of a field of a connection.
    Value { name: String, path: &'static str, text: String },
}

/// A file in the making.
pub(super) struct Drawn<'r> {
    pub(super) random: &'r mut Random,
    pub(super) pieces: Vec<Piece>,
    /// Comments have numbers, so that each can be looked for.
    comments: usize,
    /// The fields that are written with an anchor or an alias.
    pub(super) shared: Vec<(String, &'static str)>,
}

impl<'r> Drawn<'r> {
    pub(super) fn new(random: &'r mut Random) -> Self {
        Self { random, pieces: Vec::new(), comments: 0, shared: Vec::new() }
    }

    fn fixed(&mut self, text: impl Into<String>) {
        self.pieces.push(Piece::Fixed(text.into()));
    }

    fn value(&mut self, name: &str, path: &'static str, text: impl Into<String>) {
        self.pieces.push(Piece::Value { name: name.to_owned(), path, text: text.into() });
    }

    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("# comment {}.", self.comments)
    }

    /// The rest of a line: blanks, a comment, blank lines, further comments.
    fn line_end(&mut self) -> String {
        let mut text = String::new();
        if self.random.one_in(3) {
            text += &format!("  {}", self.comment());
        }
        text += "\n";
        if self.random.one_in(5) {
            text += "\n";
        }
        if self.random.one_in(5) {
            text += &format!("{}\n", self.comment());
        }
        text
    }

    fn key(&mut self, key: &str) -> String {
        self.random.of(&[key.to_owned(), format!("'{key}'"), format!("\"{key}\"")])
    }

    /// A text without special characters in one of the styles.
    fn styled(&mut self, text: &str, in_flow: bool) -> String {
        let quoted = [text.to_owned(), format!("'{text}'"), format!("\"{text}\"")];
        if in_flow || self.random.one_in(2) {
            return self.random.of(&quoted);
        }
        let header = self.random.of(&["|-", ">-", "|2-"]);
        let comment =
            if self.random.one_in(3) { format!(" {}", self.comment()) } else { String::new() };
        format!("{header}{comment}\n  {text}")
    }

    /// A text of several lines in one of the styles.
    fn lines(&mut self) -> String {
        self.random.of(&["|\n  one\n  two", "|+\n    one\n    two", "\"one\\ntwo\\n\""]).to_owned()
    }

    pub(super) fn separator(&mut self) {
        let end = self.line_end();
        let text = self.random.of(&["---", "...\n---", "--- "]);
        self.fixed(format!("{text}{end}"));
    }

    /// The fields of an email connection in block style, and their values.
    pub(super) fn email(&mut self, name: &str, is_patch: bool) {
        let head = self.line_end();
        self.fixed(head);
        let mut fields = vec!["host", "port", "username", "description", "from", "addressToTest"];
        if is_patch {
            fields.retain(|_| self.random.one_in(2));
        } else {
            let at = self.random.below(fields.len());
            fields.rotate_left(at);
            self.fixed("type: email\n");
        }
        self.fixed(format!("name: {name}\n"));
        let shares = !is_patch && self.random.one_in(2);
        for field in fields {
            let key = self.key(field);
            let anchor = if shares && field == "username" { "&u " } else { "" };
            let blanks = self.random.of(&[" ", "  ", "\t"]);
            // The anchor has to come first.
            let is_alias = shares && field == "from" && self.has("username", name);
            let (path, text) = match field {
                "host" => ("/host", self.styled("smtp.example.com", false)),
                "port" => ("/port", if is_patch { "26" } else { "25" }.to_owned()),
                "username" => ("/username", self.styled("it is me", !anchor.is_empty())),
                "description" => ("/description", self.lines()),
                "from" if is_alias => ("/from", "*u".to_owned()),
                "from" => ("/from", self.styled("a@example.com", false)),
                _ => ("/addressToTest", self.styled("b@example.com", false)),
            };
            if is_alias || !anchor.is_empty() {
                self.shared.push((name.to_owned(), path));
            }
            self.fixed(format!("{key}:{blanks}{anchor}"));
            let is_block = text.contains('\n');
            self.value(name, path, text);
            let end = self.line_end();
            // A comment behind a block would be a line of it.
            self.fixed(if is_block { "\n".to_owned() } else { end });
        }
        if !is_patch {
            self.fixed("auth: true\npassword: ${env:SMTP_PASSWORD}\n");
        }
    }

    fn has(&self, field: &str, name: &str) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Value { name: of, path, .. } => of == name && &path[1..] == field,
            Piece::Fixed(_) => false,
        })
    }

    /// An email connection in brackets, on one line or on several.
    pub(super) fn email_in_brackets(&mut self, name: &str) {
        let separator = self.random.of(&[", ", ",\n  ", " ,  "]);
        let user = if self.random.one_in(3) { "${env:SMTP_USER}" } else { "it is me" };
        self.fixed(format!("{{type: email{separator}name: {name}{separator}auth: true{separator}"));
        for (key, variable) in [("password", "SMTP_PASSWORD"), ("defaultEncoding", "SMTP_USER")] {
            self.fixed(format!("\"{key}\": \"${{env:{variable}}}\"{separator}"));
        }
        let fields =
            [("/host", "smtp.example.com"), ("/username", user), ("/from", "a@example.com")];
        for (path, text) in fields {
            let key = self.key(&path[1..]);
            self.fixed(format!("{key}: "));
            let text =
                if text.contains('$') { format!("\"{text}\"") } else { self.styled(text, true) };
            self.value(name, path, text);
            let comment = if separator.contains('\n') {
                format!(" {}", self.comment())
            } else {
                String::new()
            };
            self.fixed(separator.replace('\n', &format!("{comment}\n")));
        }
        self.fixed("port: ");
        self.value(name, "/port", "25");
        self.fixed("}\n");
    }

    /// An elasticsearch connection with two hosts.
    pub(super) fn elasticsearch(&mut self, name: &str) {
        self.fixed(format!("type: elasticsearch\nname: {name}\nelasticHostList:"));
        let (one, two) = (self.comment(), self.comment());
        let lists = [
            format!(
                "\n  - host: one {one}\n    port: 9200\n  {two}\n  - port: 9200\n    host: 'two'"
            ),
            format!("\n- {{host: one, port: 9200}} {one}\n- {{\"host\": \"two\", \"port\": 9200}}"),
            " [{host: one, port: 9200}, {host: two, port: 9200}]".to_owned(),
            format!("\n  -\n    host: one\n    port: 9200 {two}\n  - host: two\n    port: 9200"),
            format!(
                "\n  - &first\n    host: one\n    port: 9200 {one}\n  - <<: *first\n    host: two"
            ),
        ];
        let list = self.random.of(&lists);
        if list.contains('*') {
            self.shared.push((name.to_owned(), "/elasticHostList"));
        }
        self.value(name, "/elasticHostList", list);
        // Behind the list, since a new item takes its place below the line of the last one.
        let comment = self.comment();
        self.fixed(format!("\n\n{comment}\nindexName: "));
        let text = self.styled("logs", false);
        self.value(name, "/indexName", text);
        self.fixed("\nconnectionTimeoutInMs: ");
        self.value(name, "/connectionTimeoutInMs", "7000");
        self.fixed("\n");
    }

    /// A kafka connection with a map of properties, which git owns whole.
    pub(super) fn kafka(&mut self, name: &str) {
        self.fixed(format!("type: kafka\nname: {name}\ntopicName: "));
        self.value(name, "/topicName", "orders");
        self.fixed("\npropertiesMap:");
        let comment = self.comment();
        let maps = [
            format!(
                "\n  {comment}\n  bootstrap.servers:\n    value: 'k:9092'\n    valueType: STRING\n  acks: \
                 {{value: all, valueType: STRING}}"
            ),
            " {bootstrap.servers: {value: \"k:9092\", valueType: STRING}, acks: {value: all, valueType: \
             STRING}}"
                .to_owned(),
        ];
        let map = self.random.of(&maps);
        self.value(name, "/propertiesMap", map);
        self.fixed("\n");
    }
}

/// Texts that YAML, or this program, could take for something else.
const TEXTS: [&str; 36] = [
    "mail.example.org",
    "no",
    "123",
    "1e5",
    "a: b # c",
    "it's \"quoted\"",
    "-x",
    " lead",
    "trail ",
    "ünï 😀",
    "several\nlines\nof text\n",
    "no end\nof line",
    "${env:SMTP_PASSWORD}",
    "$${x}",
    "~",
    "{a, b}",
    "[x]",
    "\ttab",
    "a,b",
    "&a",
    "*b",
    "!c",
    "null",
    "x\r\ny",
    "",
    "# x",
    "\u{202e}turned",
    "  \n x\n",
    "a\n\n\nb",
    "%x",
    "@x",
    "last:",
    "${HOST}",
    "\\",
    "'",
    "a\u{0}b",
];

/// Another value that somebody could give a field in the console.
pub(super) fn drift(random: &mut Random, path: &str, live: &Value) -> Value {
    match path {
        "/port" | "/connectionTimeoutInMs" => random.of(&[json!(2525), json!("2526"), json!(1)]),
        "/elasticHostList" => {
            let mut hosts = live.as_array().unwrap().clone();
            match random.below(5) {
                0 => hosts[0]["port"] = json!(9201),
                1 => hosts[1]["host"] = json!("another: host"),
                2 => hosts.push(json!({"host": "three", "port": 9300})),
                3 => drop(hosts.remove(random.below(2))),
                _ => hosts.insert(0, json!({"host": "zero", "port": 1})),
            }
            Value::from(hosts)
        }
        "/propertiesMap" => {
            let mut map = live.clone();
            match random.below(3) {
                0 => map["acks"]["value"] = json!("1"),
                1 => drop(map.as_object_mut().unwrap().remove("acks")),
                _ => map["linger.ms"] = json!({"value": "5", "valueType": "INTEGER"}),
            }
            map
        }
        _ if random.one_in(12) => Value::Null,
        _ => json!(random.of(&TEXTS)),
    }
}
