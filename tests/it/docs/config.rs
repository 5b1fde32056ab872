//! docs/reference/config.md: every key, from the schema that `schema config` prints.

use serde_json::Value;

#[test]
fn every_key_of_the_config() {
    let schema = apinizer_gitops::testing::config::schema();
    let mut text = "# The config\n\nGenerated from the table that `apinizer-gitops schema config` \
        prints as JSON Schema. The config is `apinizer-gitops.yaml` in the current folder, or what \
        `--config` or `APINIZER_GITOPS_CONFIG` names. A bold key has to be there. In a secret key \
        only `${env:NAME}` may stand; any other value may be such a reference too.\n"
        .to_owned();
    section(&mut text, "The file", &schema);
    super::assert_generated("reference/config.md", &text);
}

/// A table of the keys of one mapping, then those of the mappings inside it.
fn section(text: &mut String, title: &str, schema: &Value) {
    *text += &format!("\n## {title}\n\n| key | value | default | |\n|---|---|---|---|\n");
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let keys = schema["properties"].as_object().unwrap();
    for (key, value) in keys {
        let strong = if required.contains(&key.as_str()) { "**" } else { "" };
        let default = value.get("default").map_or(String::new(), |value| format!("`{value}`"));
        let about = value["description"].as_str().unwrap();
        let kind = super::cell(&kind(value));
        *text +=
            &format!("| {strong}`{key}`{strong} | {kind} | {default} | {} |\n", super::cell(about));
    }
    for (key, value) in keys {
        let path =
            if title == "The file" { format!("`{key}`") } else { format!("{title}, `{key}`") };
        if value["properties"].is_object() {
            section(text, &path, value);
        } else if value["items"]["properties"].is_object() {
            section(text, &format!("{path} (a list)"), &value["items"]);
        }
    }
}

/// The kind of a value, in a few words.
fn kind(schema: &Value) -> String {
    let schema = schema["anyOf"].get(0).unwrap_or(schema);
    let examples = schema["examples"].as_array().map(|examples| {
        let examples: Vec<String> = examples.iter().map(quoted).collect();
        examples.join(", ")
    });
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(quoted).collect::<Vec<_>>().join(", ");
    }
    if schema["properties"].is_object() {
        return "a mapping, below".to_owned();
    }
    if let Some(examples) = examples {
        return format!("such as {examples}");
    }
    match schema["type"].as_str() {
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("integer") => format!("{} to {}", schema["minimum"], schema["maximum"]),
        Some("array") if schema["items"]["properties"].is_object() => "a list, below".to_owned(),
        Some("array") => format!("a list: {}", kind(&schema["items"])),
        Some("string") => "a text".to_owned(),
        _ => "a mapping of names to values".to_owned(),
    }
}

fn quoted(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("`{value}`"), |text| format!("`{text}`"))
}
