//! The texts of `explain`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::catalog::{
    self, Choices, ConnectionType, Fact, Field, HiddenPlace, IDENTITY, Kind, Required, Secrecy,
    SecretsOnGet, all, did_you_mean, did_you_mean_type,
};
use crate::report::style::{Role, Style, Table, WIDTH, wrapped};
use crate::{config, diagnostic, rules};

/// Where the texts about a code begin.
const INDENT: usize = 8;

/// Explains all types, the keys of the config (`config`), those of `x-gitops`, what `rules` see, a
/// code (`AG303`), one type (`email`) or one field (`email.port`,
/// `rabbitMq.hostPortList.host`), in the colours of the style.
///
/// # Errors
/// There is no such type, field, key or code; the error names the nearest type or field.
pub fn explain(path: Option<&str>, style: &Style) -> Result<String, String> {
    let Some(path) = path.map(str::trim).filter(|path| !path.is_empty()) else {
        return Ok(types(style));
    };
    if path == "rules" {
        return Ok(rules_context());
    }
    if let Some(text) = code(path, style) {
        return Ok(text);
    }
    match path.split_once('.').unwrap_or((path, "")) {
        ("config", key) => return keys("config", &config::schema(), key, style),
        ("x-gitops", key) => return keys("x-gitops", &catalog::schema::options(), key, style),
        _ => {}
    }
    let mut steps = path.split('.');
    let name = steps.next().unwrap_or_default();
    let connection_type = catalog::find(name).ok_or_else(|| {
        let hint = did_you_mean_type(name, "`explain` lists what there is");
        format!("there is no connection type `{name}`: {hint}")
    })?;
    let mut steps = steps.filter(|step| !step.is_empty());
    let Some(first) = steps.next() else { return Ok(one_type(connection_type, style)) };
    let mut parent = connection_type.name.to_owned();
    let mut field = find_in(IDENTITY.iter().chain(connection_type.fields()), &parent, first)?;
    for step in steps {
        parent = format!("{parent}.{}", field.name);
        let inside = fields_inside(&field.kind).ok_or_else(|| {
            format!("`{parent}` has no fields inside: its kind is {}", kind(&field.kind))
        })?;
        field = find_in(inside.iter(), &parent, step)?;
    }
    Ok(one_field(&format!("{parent}.{}", field.name), field, style))
}

/// Explains what the expressions of `rules` see and may call.
fn rules_context() -> String {
    let lines = |text: &str, indent: usize| {
        wrapped(text, WIDTH - indent)
            .iter()
            .map(|line| format!("{:indent$}{line}\n", ""))
            .collect::<String>()
    };
    let mut text =
        "RULES: expressions in CEL (https://cel.dev), in `rules` of the config\n\n".to_owned();
    text += &lines(
        "A rule that asks neither for `change` nor for `now` looks at documents, and `validate` \
         checks it; any other, and every `hold`, looks at changes. An expression that fails counts \
         as a match.",
        0,
    );
    for (name, about, value) in rules::examples() {
        text += &format!("\n{name}\n{}", lines(about, 2));
        let value = serde_json::to_string_pretty(&value).unwrap_or_default();
        value.lines().for_each(|line| text += &format!("    {line}\n"));
    }
    text += "\nnow\n";
    text += &lines(
        "The time of the plan, a timestamp. Its parts take the name of a time zone; without one \
         they are those of UTC.",
        2,
    );
    text += "    now.getHours('Europe/Istanbul') < 18      hours from 0 to 23\n    \
             now.getDayOfWeek('Europe/Istanbul') == 5  days from 0, a Sunday, to 6\n";
    text += &format!("\nFUNCTIONS\n{}", lines(&rules::FUNCTIONS.join(", "), 2));
    text + &lines(
        "has(connection.port), and of lists all, exists, exists_one, map and filter; \
         connection.?port.orValue(25) for a key that may not be there",
        2,
    )
}

/// Explains a code of a problem: its cause and its cure.
fn code(id: &str, style: &Style) -> Option<String> {
    let mut codes = diagnostic::code::all_codes();
    let code = codes.find(|code| code.id.eq_ignore_ascii_case(id))?;
    let part = |label: &str, text: &str| {
        let lines = wrapped(text, WIDTH - INDENT).join(&format!("\n{:INDENT$}", ""));
        format!("{}{lines}\n", style.paint(Role::Heading, format!("{label:<INDENT$}")))
    };
    let (cause, cure) = (part("Cause:", code.cause), part("Cure:", code.cure));
    Some(format!("{} {}\n\n{cause}{cure}", style.paint(Role::Name, code.id), code.title))
}

fn find_in(
    fields: impl Iterator<Item = &'static Field> + Clone,
    parent: &str,
    name: &str,
) -> Result<&'static Field, String> {
    fields.clone().find(|field| field.name == name).ok_or_else(|| {
        let otherwise = format!("`explain {parent}` lists what there is");
        let hint = did_you_mean(fields.map(|field| field.name), name, otherwise);
        format!("`{parent}` has no field `{name}`: {hint}")
    })
}

/// The fields of an object, or of the objects in a list or map.
fn fields_inside(kind: &Kind) -> Option<&'static [Field]> {
    match kind {
        Kind::Object(fields) => Some(fields),
        Kind::List(item) | Kind::Set(item) | Kind::Map(item) => fields_inside(item),
        _ => None,
    }
}

/// How many secrets of a type its row names; the page of the type has all of them.
const MOST_SECRETS: usize = 2;

fn types(style: &Style) -> String {
    let mut table = Table::new(&["TYPE", "FIELDS", "SECRETS", "ABOUT"]);
    for connection_type in all() {
        let mut secrets: Vec<&str> = connection_type.secrets().map(|field| field.name).collect();
        if secrets.len() > MOST_SECRETS {
            secrets.splice(MOST_SECRETS.., ["..."]);
        }
        table.row([
            connection_type.name.to_owned(),
            connection_type.fields().count().to_string(),
            if secrets.is_empty() { "-".to_owned() } else { secrets.join(", ") },
            connection_type.about.to_owned(),
        ]);
    }
    format!(
        "{}\n`explain TYPE` shows the fields of a type, `explain TYPE.FIELD` one field,\n\
         `explain config` and `explain x-gitops` their keys, `explain AG303` a code.\n",
        table.draw(style)
    )
}

fn one_type(connection_type: &'static ConnectionType, style: &Style) -> String {
    let name = connection_type.name;
    let console = connection_type.console_only.map_or_else(String::new, |settings| {
        let text = format!(
            "Only the console knows {settings}. No document says whether a PUT keeps that, and no \
             call shows it."
        );
        format!("{}\n", wrapped(&text, WIDTH).join("\n"))
    });
    let table = fields_table(IDENTITY.iter().chain(connection_type.fields()));
    format!(
        "{} {}\n{}\n{}\n{console}\n{}\n`explain {name}.FIELD` says more about a field.\n",
        style.paint(Role::Heading, "TYPE:"),
        style.paint(Role::Name, name),
        connection_type.about,
        secrets_on_get(connection_type.secrets_on_get),
        table.draw(style),
    )
}

fn fields_table(fields: impl Iterator<Item = &'static Field>) -> Table {
    let mut table = Table::new(&["FIELD", "KIND", "REQUIRED", "SECRET", "ABOUT"]);
    for field in fields {
        let default = match default_in_words(field).as_str() {
            "-" if field.disputed.is_some() => " Default: disputed".to_owned(),
            "-" => String::new(),
            default if field.disputed.is_some() => format!(" Default (disputed): {default}"),
            default => format!(" Default: {default}"),
        };
        let known_to = match field.fact {
            Fact::Both => "",
            Fact::GuideOnly => " Only in the guide.",
            Fact::OpenApiOnly => " Only in the OpenAPI file.",
        };
        table.row([
            field.name.to_owned(),
            kind(&field.kind),
            required_in_short(field).to_owned(),
            secret_in_short(field).to_owned(),
            format!("{}{known_to}{default}", field.about),
        ]);
    }
    table
}

fn one_field(path: &str, field: &'static Field, style: &Style) -> String {
    let mut text = format!(
        "{} {}\n{}\n\n",
        style.paint(Role::Heading, "FIELD:"),
        style.paint(Role::Name, path),
        wrapped(field.about, WIDTH).join("\n")
    );
    let mut line = |label: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} {}",
            style.paint(Role::Heading, format!("{:<10}", format!("{label}:"))),
            wrapped(value, WIDTH - 11).join("\n           ")
        );
    };
    line("Kind", &kind_in_full(&field.kind));
    let required = match &field.required {
        _ if field.filled_by_server => "no: the server fills it by itself".to_owned(),
        Required::No => "no".to_owned(),
        Required::Always => "yes".to_owned(),
        Required::Disputed => "by the guide; the console takes connections without it".to_owned(),
        Required::When(condition) => format!("when {condition}"),
    };
    line("Required", &required);
    let disputed = if field.disputed.is_some() { " (the documents disagree)" } else { "" };
    line("Default", &format!("{}{disputed}", default_in_words(field)));
    for (label, value) in allowed(&field.kind) {
        line(label, &value);
    }
    match &field.secrecy {
        Secrecy::Plain => {}
        Secrecy::Secret => {
            line("Secret", "yes: write `${env:NAME}`, or Apinizer's own `${NAME}`");
            if let Some(used) = &field.used {
                line("Used", &format!("when {used}"));
            }
        }
        Secrecy::Hidden(place) => line("Secret", hidden_secret(*place)),
    }
    line("Known to", known_to(field.fact));
    if let Some(fields) = fields_inside(&field.kind) {
        let _ = write!(text, "\n{}", fields_table(fields.iter()).draw(style));
    }
    text
}

// The keys of the config and of `x-gitops`, from their JSON Schemas.

/// Explains the keys of a schema that begin with a prefix.
fn keys(subject: &str, schema: &Value, prefix: &str, style: &Style) -> Result<String, String> {
    let mut table = Table::new(&["KEY", "DEFAULT", "ABOUT"]);
    let mut is_empty = true;
    visit(schema, "", &mut |path, key, required| {
        let is_below = path.strip_prefix(prefix).is_some_and(|rest| {
            prefix.is_empty() || rest.is_empty() || rest.starts_with(['.', '['])
        });
        if !is_below {
            return;
        }
        is_empty = false;
        let default = match key.get("default") {
            _ if required => "required".to_owned(),
            None => "-".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let about = key.get("description").and_then(Value::as_str).unwrap_or_default();
        table.row([path.to_owned(), default, about.to_owned()]);
    });
    let about = schema.get("description").or(schema.get("title")).and_then(Value::as_str);
    let about = about.unwrap_or_default();
    let title = style.paint(Role::Heading, format!("{subject}:"));
    if is_empty {
        return Err(format!(
            "`{subject}` has no key `{prefix}`: `explain {subject}` lists its keys"
        ));
    }
    Ok(format!("{title} {about}\n\n{}", table.draw(style)))
}

/// Visits each key with its path, `targets[].url`, and whether it has to be there.
fn visit(schema: &Value, path: &str, tell: &mut impl FnMut(&str, &Value, bool)) {
    let required = schema.get("required").and_then(Value::as_array);
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, key) in properties.into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        tell(&path, key, required.is_some_and(|names| names.iter().any(|one| one == name)));
        visit(key, &path, tell);
        if let Some(items) = key.get("items") {
            visit(items, &format!("{path}[]"), tell);
        }
    }
}

// The catalog's terms in words.

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Choice(_) => "choice".to_owned(),
        Kind::Integer { .. } => "integer".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Bytes => "file".to_owned(),
        Kind::List(item) => format!("list of {}", several(item)),
        Kind::Set(item) => format!("set of {}", several(item)),
        Kind::Object(_) => "object".to_owned(),
        Kind::Map(value) => format!("map of {}", several(value)),
        Kind::Any => "anything".to_owned(),
    }
}

fn several(value: &Kind) -> String {
    match value {
        Kind::Text | Kind::Any => kind(value),
        _ => format!("{}s", kind(value)),
    }
}

fn kind_in_full(value: &Kind) -> String {
    let short = kind(value);
    match value {
        Kind::Integer { min, max } => format!("{short} from {min} to {max}"),
        Kind::Bytes => format!("{short}: its content in base64, as one text or as a list of them"),
        Kind::List(_) => format!("{short}, compared and written whole; the order matters"),
        Kind::Set(_) => format!("{short}, compared and written whole; the order does not matter"),
        Kind::Map(_) => format!("{short}, compared and written whole"),
        _ => short,
    }
}

fn required_in_short(field: &Field) -> &'static str {
    match field.required {
        Required::When(_) => "sometimes",
        Required::Disputed => "disputed",
        _ if field.must_be_declared() => "yes",
        _ => "no",
    }
}

fn secret_in_short(field: &Field) -> &'static str {
    match field.secrecy {
        Secrecy::Plain => "no",
        Secrecy::Secret => "yes",
        Secrecy::Hidden(_) => "inside",
    }
}

/// The default as YAML would write it, `-` where there is none.
fn default_in_words(field: &Field) -> String {
    match field.default.map(catalog::Default::to_json) {
        None => "-".to_owned(),
        Some(Value::String(text)) if !text.is_empty() => text,
        Some(value) => value.to_string(),
    }
}

/// The words that a choice, or each item of a list of choices, may be.
fn allowed(kind: &Kind) -> Vec<(&'static str, String)> {
    match kind {
        Kind::Choice(choices) => by_document(choices),
        Kind::List(item) | Kind::Set(item) => allowed(item),
        _ => Vec::new(),
    }
}

fn by_document(choices: &Choices) -> Vec<(&'static str, String)> {
    let same_spelling = choices.guide.iter().all(|word| choices.openapi.contains(word));
    let mut lines = vec![("Values", choices.guide.join(", "))];
    if !(choices.openapi.is_empty() || same_spelling && choices.documents_agree()) {
        lines.push(("OpenAPI", choices.openapi.join(", ")));
    }
    lines
}

fn hidden_secret(place: HiddenPlace) -> &'static str {
    match place {
        HiddenPlace::Url => {
            "a password in the URL has to be a reference: `user:${env:NAME}@`, `password=${env:NAME}`"
        }
        HiddenPlace::Headers => {
            "`Authorization` and its like have to be references: `Bearer ${env:NAME}`"
        }
        HiddenPlace::KafkaProperties => {
            "passwords, keys and tokens in it, those in `sasl.jaas.config` too, have to be references"
        }
        HiddenPlace::KeyValueList | HiddenPlace::NamedValues => {
            "a value whose key speaks of a password, secret, token or key has to be a reference"
        }
        HiddenPlace::Community => {
            "with V1 and V2c it is the credential and has to be a reference, save `public`"
        }
        HiddenPlace::HostnameOrKey => "a key in the place of a host name has to be a reference",
    }
}

fn known_to(fact: Fact) -> &'static str {
    match fact {
        Fact::Both => "the guide and the OpenAPI file",
        Fact::GuideOnly => "the guide only",
        Fact::OpenApiOnly => "the OpenAPI file only",
    }
}

fn secrets_on_get(shown: SecretsOnGet) -> &'static str {
    match shown {
        SecretsOnGet::Shown => "Reading one connection shows its secrets, the guide says.",
        SecretsOnGet::Masked => "Reading one connection masks its secrets, the guide says.",
        SecretsOnGet::NotStated => {
            "The guide does not say whether reading one connection shows its secrets."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_and_field_is_explained() {
        let says = |path: &str, about: &str| {
            let page = explain(Some(path), &Style::default()).unwrap();
            assert!(page.replace('\n', " ").contains(about), "{path}");
            assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{path}: {page}");
        };
        let overview = explain(None, &Style::default()).unwrap();
        for connection_type in all() {
            let name = connection_type.name;
            assert!(overview.contains(&format!("\n{name} ")), "{name}");
            let page = explain(Some(name), &Style::default()).unwrap();
            assert!(!page.contains('\u{1b}') && !page.lines().any(|line| line.ends_with(' ')));
            for field in connection_type.fields() {
                assert!(page.contains(&format!("\n{} ", field.name)), "{name}.{}", field.name);
                let path = format!("{name}.{}", field.name);
                says(&path, field.about);
                for inner in fields_inside(&field.kind).unwrap_or_default() {
                    says(&format!("{path}.{}", inner.name), inner.about);
                }
            }
        }
    }

    #[test]
    fn every_page_fits_80_columns() {
        let subjects = all().map(|one| one.name).chain(["config", "x-gitops", ""]);
        let codes = diagnostic::code::all_codes().map(|code| code.id);
        for subject in subjects.chain(codes) {
            let page = explain(Some(subject), &Style::default()).unwrap();
            let widest = page.lines().max_by_key(|line| line.chars().count()).unwrap();
            assert!(widest.chars().count() <= 80, "{subject}: {widest}");
        }
        let code = explain(Some("ag303"), &Style::default()).unwrap();
        assert!(code.starts_with("AG303 literal secret\n\nCause:  A secret field holds text."));
        let keys = explain(Some("config.source"), &Style::default()).unwrap();
        assert!(keys.contains("source.url") && !keys.contains("targets"), "{keys}");
        assert!(explain(Some("x-gitops"), &Style::default()).unwrap().contains("renamedFrom"));
    }

    #[test]
    fn a_field_reads_like_a_page() {
        assert_eq!(
            explain(Some("email.password"), &Style::default()).unwrap(),
            "FIELD: email.password\n\
             Password at the SMTP server.\n\
             \n\
             Kind:      text\n\
             Required:  when `auth` is `true`\n\
             Default:   -\n\
             Secret:    yes: write `${env:NAME}`, or Apinizer's own `${NAME}`\n\
             Used:      when `auth` is `true`\n\
             Known to:  the guide and the OpenAPI file\n"
        );
        let level = explain(Some("graylog.gelfMessageLevel"), &Style::default()).unwrap();
        assert!(level.contains("\nValues:    EMERGENCY, ALERT,"), "{level}");
        assert!(level.contains("\nOpenAPI:   EMERGENCY(0), ALERT(1),"), "{level}");
        assert!(explain(Some("email.name"), &Style::default()).unwrap().contains("Required:  yes"));
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest() {
        let said = |path: &str| explain(Some(path), &Style::default()).unwrap_err();
        assert_eq!(said("Email"), "there is no connection type `Email`: did you mean `email`?");
        assert_eq!(said("zzz"), "there is no connection type `zzz`: `explain` lists what there is");
        assert_eq!(said("email.prot"), "`email` has no field `prot`: did you mean `port`?");
        assert_eq!(
            said("rabbitMq.hostPortList.hots"),
            "`rabbitMq.hostPortList` has no field `hots`: did you mean `host`?"
        );
        assert_eq!(
            said("config.nope"),
            "`config` has no key `nope`: `explain config` lists its keys"
        );
        assert_eq!(said("email.port.x"), "`email.port` has no fields inside: its kind is integer");
    }

    #[test]
    fn rules_are_explained_with_example_values_in_80_columns() {
        let text = explain(Some("rules"), &Style::default()).unwrap();
        for part in ["connection\n", "target\n", "change\n", "now\n", "\"port\": 587", "getHours"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
