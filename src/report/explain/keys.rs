//! The keys of the config and of `x-gitops`, from their JSON Schemas.

use serde_json::Value;

use super::table::{Paint, Table};

/// Explains the keys of a schema that begin with a prefix; `None`: there is none.
pub(super) fn keys(subject: &str, schema: &Value, prefix: &str, paint: Paint) -> Option<String> {
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
    let title = paint.heading(&format!("{subject}:"));
    (!is_empty).then(|| format!("{title} {about}\n\n{}", table.draw(paint)))
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
