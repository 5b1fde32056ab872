//! Views of what a running daemon says of itself at `/api/v1/status`.
//!
//! They are drawn from the JSON as it came over the wire: the daemon may be of another version,
//! so what it does not say is left out and what it adds is passed over.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;
use strum::VariantArray as _;

use crate::audit::Event;
use crate::plan::{ConnectionState, with_reason};
use crate::report::comment::Comment;
use crate::report::groups::{Group, Member, Named};
use crate::report::style::{Role, Style, pieces, sentence};
use crate::report::words::{counted, listed};
use crate::report::{escape, groups, line};

// Reading the status without trusting its shape.

/// Whether a person has to do something about a connection in that state.
fn is_trouble(state: &str) -> bool {
    let mut known = ConnectionState::VARIANTS.iter();
    known.any(|known| known.into_str() == state && known.trouble().is_some())
}

/// Whether nothing is wrong: the source and all targets could be read, and no connection is
/// blocked, held, degraded, failed or not converging. What was not looked at yet is not known to be
/// healthy.
pub(crate) fn is_healthy(status: &Value) -> bool {
    let is_fine = |part: &Value| part.get("error").is_none_or(Value::is_null);
    let Some(targets) = status.get("targets").and_then(Value::as_array) else { return false };
    status.get("source").is_none_or(is_fine)
        && targets.iter().all(is_fine)
        && targets.iter().all(|target| told(target, "state").as_deref() != Some("waiting"))
        && targets.iter().flat_map(|target| each(target, "connections")).all(|one| {
            let state = one.get("state").and_then(Value::as_str).unwrap_or("failed");
            !is_trouble(state)
        })
}

/// The elements of a list of an object; none where there is no list.
fn each<'v>(object: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    object.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A text of an object, harmless; `None` where there is none.
fn told(object: &Value, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) if !text.is_empty() => Some(escape::plain(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The beginning of a commit's id.
fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// Where the daemon reads and what it has read there.
fn source(status: &Value) -> String {
    let told = |key| told(status.get("source")?, key);
    let place = told("url").or_else(|| told("path"));
    let branch = told("branch").map(|branch| format!(", branch {branch}"));
    let commit = told("commit").map(|commit| format!(" at {}", short(&commit)));
    let subject = told("subject").map(|subject| format!(" ({subject})"));
    let author = told("author").map(|author| format!(" by {author}"));
    [place, branch, commit, subject, author].into_iter().flatten().collect()
}

/// The error of the source.
fn source_error(status: &Value) -> Option<String> {
    told(status.get("source")?, "error")
}

/// `prod (Payments at https://...)`.
fn heading(target: &Value) -> String {
    let of = |key| told(target, key).unwrap_or_default();
    format!("{} ({} at {})", of("name"), of("project"), of("url"))
}

/// When and from what a target was last reconciled, one fact each.
fn facts(target: &Value) -> Vec<String> {
    let commit = |key, word| told(target, key).map(|id| format!("{word} {}", short(&id)));
    let time = |key, word| told(target, key).map(|time| format!("{word} {time}"));
    let applied = commit("commit_applied", "applied");
    let seen = commit("commit_seen", "seen");
    [applied, seen, time("last_reconcile", "last reconcile"), time("next_reconcile", "next")]
        .into_iter()
        .flatten()
        .collect()
}

/// Of more targets than these, those that are in sync are only counted here, and the page shows a table.
pub(crate) const MANY_TARGETS: usize = 12;

/// How many targets and connections stand how, where there are several targets, or where the error of
/// the source comes first.
fn totals(status: &Value) -> Option<String> {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for target in each(status, "targets") {
        let state = told(target, "state").unwrap_or_default().replace('_', " ");
        *states.entry(state).or_default() += 1;
    }
    let count: usize = states.values().sum();
    let states: Vec<String> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let connections = counts(each(status, "targets"));
    let targets = counted(count, "target");
    (count > 1 || (count == 1 && source_error(status).is_some())).then(|| {
        format!("{targets}: {}; connections: {connections}", states.join(", "))
            .trim_end_matches("; connections: ")
            .to_owned()
    })
}

/// The targets that are told of one by one, and how many are left out.
fn told_of(status: &Value, all: bool) -> (Vec<&Value>, usize) {
    let mut told_of: Vec<&Value> = each(status, "targets").collect();
    let count = told_of.len();
    if !all && count > MANY_TARGETS {
        told_of.retain(|target| {
            told(target, "state").as_deref() != Some("in_sync") || told(target, "error").is_some()
        });
    }
    let left_out = count - told_of.len();
    (told_of, left_out)
}

/// How many connections of some targets are in which state, those in sync first.
fn counts<'s>(targets: impl Iterator<Item = &'s Value>) -> String {
    let connections: Vec<&Value> = targets.flat_map(|target| each(target, "connections")).collect();
    let is_in = |one: &Value, state: &str| told(one, "state").as_deref() == Some(state);
    let count = |state: &str| connections.iter().filter(|one| is_in(one, state)).count();
    let unverified =
        connections.iter().filter(|one| one.get("unverified") == Some(&Value::Bool(true))).count();
    let states = ConnectionState::VARIANTS.iter().map(ConnectionState::into_str);
    let counts = states.map(|state| (count(state), state.replace('_', " ")));
    listed(&counts.chain([(unverified, "unverified".to_owned())]).collect::<Vec<_>>())
}

/// One connection that is not simply in sync.
#[derive(Debug)]
struct Noted {
    /// A sign that carries the state without colour.
    sign: char,
    /// Its type.
    type_name: String,
    /// Its name.
    name: String,
    /// The state in words, with its reason.
    state: String,
    /// The way past what keeps it so.
    advice: Option<String>,
    /// Whether there is a reason.
    has_reason: bool,
    /// Whether a person has to do something about it.
    is_wrong: bool,
}

impl Member for Noted {
    fn name(&self) -> &str {
        &self.name
    }

    fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    fn kind(&self) -> (&str, &str) {
        ("", &self.type_name)
    }
}

/// The connections that are not simply in sync, those together that stand so for one reason.
fn alike(target: &Value) -> Vec<Group<Noted>> {
    groups::grouped(noted(target).into_iter().map(|one| {
        let reason = one.has_reason.then(|| one.state.clone());
        (one, reason)
    }))
}

/// The way past what keeps a group as it is.
fn advice(group: &Group<Noted>) -> Option<String> {
    Some(format!("to proceed: {}", group.heading.as_ref()?.advice.as_ref()?))
}

/// The notes about a target.
fn notes(target: &Value) -> Vec<String> {
    each(target, "notices").filter_map(Value::as_str).map(escape::plain).collect()
}

/// How many events of a target are told; `history` has more.
const NEWEST: usize = 5;

/// The newest events of a target, oldest first; those of a kind that is not known here are left out.
fn events(target: &Value) -> Vec<String> {
    let event = |one: &Value| serde_json::from_value::<Event>(one.clone()).ok();
    let told = |event: Event| escape::plain(&format!("{}  {event}", event.time));
    let mut newest: Vec<_> =
        each(target, "events").filter_map(event).take(NEWEST).map(told).collect();
    newest.reverse();
    newest
}

/// The warnings about its documents: code, place, problem and cure.
fn warnings(target: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let of = |key| told(one, key).unwrap_or_default();
        let place = [of("file"), of("line"), of("column")];
        let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
        let help = told(one, "help").map(|help| format!("; {help}")).unwrap_or_default();
        format!("{} {}: {}{help}", of("code"), place.join(":"), of("message"))
    };
    each(target, "warnings").map(line).collect()
}

/// The connections that are not simply in sync; those that are unmanaged are only counted.
fn noted(target: &Value) -> Vec<Noted> {
    each(target, "connections")
        .filter_map(|one| {
            let state = told(one, "state")?;
            if ["in_sync", "unmanaged"].contains(&state.as_str()) {
                return None;
            }
            let words = state.replace('_', " ");
            let reason = told(one, "reason");
            Some(Noted {
                has_reason: reason.is_some(),
                advice: told(one, "advice"),
                sign: match state.as_str() {
                    "pending" => '~',
                    "drifted" => '?',
                    "suspended" => '=',
                    "held" => '‖',
                    _ => '!',
                },
                type_name: told(one, "type").unwrap_or_default(),
                name: told(one, "name").unwrap_or_default(),
                state: match reason {
                    Some(reason) => with_reason(&words, &reason),
                    None => words,
                },
                is_wrong: is_trouble(&state),
            })
        })
        .collect()
}

// The status as a comment or in a job's summary.

/// The status as markdown; it is always under 65,000 characters.
pub(crate) fn markdown(status: &Value) -> String {
    let mut comment = Comment::of("status");
    comment.always(if is_healthy(status) { "### Healthy\n" } else { "### Not healthy\n" });
    comment.line(&format!("\n{}", escape::code_span(&source(status))));
    let mut errors: Vec<String> = source_error(status).into_iter().collect();
    errors.extend(each(status, "targets").filter_map(|target| {
        let name = told(target, "name").unwrap_or_default();
        told(target, "error").map(|error| format!("{name}: {error}"))
    }));
    comment.list("Errors", &errors);
    if let Some(totals) = totals(status) {
        comment.line(&format!("\n{totals}"));
    }
    let mut left_out = 0;
    let (told_of, in_sync) = told_of(status, false);
    for target in told_of {
        let counts = counts(std::iter::once(target));
        comment.line(&format!("\n{}: {counts}\n", escape::code_span(&heading(target))));
        let facts = facts(target);
        if !facts.is_empty() {
            comment.line(&escape::code_span(&facts.join(", ")));
        }
        comment.list("Notes", &notes(target));
        comment.list("Warnings", &warnings(target));
        comment.list("Events", &events(target));
        let groups = alike(target);
        let pieces: Vec<Vec<String>> = groups.iter().map(piece).collect();
        let written = comment.block("\n", &pieces, "");
        left_out += groups.iter().skip(written).map(|group| group.members.len()).sum::<usize>();
    }
    if in_sync > 0 {
        comment.line(&format!("\n{} in sync.", counted(in_sync, "target")));
    }
    comment.finish(left_out, "")
}

/// Connections that stand alike: one in a line, several below their reason.
fn piece(group: &Group<Noted>) -> Vec<String> {
    let sign = |one: &Noted| if one.is_wrong { '!' } else { '#' };
    let advice = advice(group).into_iter().map(|advice| format!("#     {advice}"));
    if let [one] = &group.members[..] {
        let line = format!("{} {} {}: {}", sign(one), one.type_name, one.name, one.state);
        return std::iter::once(line).chain(advice).collect();
    }
    let names = group.named(false).into_iter().map(|named| match named {
        Named::One(one) => format!("{} {} {}", sign(one), one.type_name, one.name),
        Named::Count(first, count) => {
            format!("# {}: {}", first.type_name, counted(count, "name"))
        }
    });
    let reason = group.heading.iter().map(|heading| format!("# {}", heading.reason));
    reason.chain(advice).chain(names).collect()
}

// The status for people at a terminal.

/// The status as text: the source, and of each target what has to be said first, what is not in
/// sync, and its counts.
pub(crate) fn text(status: &Value, style: &Style) -> String {
    let mut out = String::new();
    let say = |out: &mut String, text: &str, role| sentence(out, (0, 2), text, role, style);
    say(&mut out, &source(status), Role::Plain);
    if let Some(error) = source_error(status) {
        say(&mut out, &format!("error: {error}"), Role::Wrong);
    }
    if let Some(totals) = totals(status) {
        say(&mut out, &totals, Role::Heading);
    }
    let (targets, in_sync) = told_of(status, style.verbose);
    for target in targets {
        line(&mut out, "");
        one(&mut out, target, style);
    }
    if in_sync > 0 {
        line(&mut out, "");
        let more = format!("{} in sync; `--verbose` lists all", counted(in_sync, "target"));
        say(&mut out, &more, Role::Aside);
    }
    out
}

fn one(out: &mut String, target: &Value, style: &Style) {
    let say = |out: &mut String, text: &str, role| sentence(out, (2, 4), text, role, style);
    let state = told(target, "state").unwrap_or_default();
    let role = match state.as_str() {
        "in_sync" => Role::Added,
        "failing" | "blocked" | "refused" => Role::Wrong,
        "waiting" | "suspended" => Role::Aside,
        _ => Role::Attention,
    };
    let state = style.paint(role, state.replace('_', " "));
    line(out, format!("{}: {state}", style.paint(Role::Heading, heading(target))));
    if let Some(error) = told(target, "error") {
        say(out, &format!("error: {error}"), Role::Wrong);
    }
    for note in notes(target) {
        say(out, &format!("note: {note}"), Role::Attention);
    }
    for warning in warnings(target) {
        say(out, &format!("warning: {warning}"), Role::Attention);
    }
    let facts = facts(target);
    if !facts.is_empty() {
        say(out, &facts.join(", "), Role::Aside);
    }
    let groups = alike(target);
    let noted = || groups.iter().flat_map(|group| &group.members);
    let types = noted().map(|one| one.type_name.chars().count()).max().unwrap_or_default().min(30);
    let alone = groups.iter().filter(|group| group.members.len() == 1);
    let alone = alone.flat_map(|group| &group.members).map(|one| one.name.chars().count());
    let widths = (types, alone.max().unwrap_or_default().min(30));
    groups.iter().for_each(|group| together(out, group, widths, style));
    let counts = counts(std::iter::once(target));
    if !counts.is_empty() {
        say(out, &counts, Role::Plain);
    }
    for event in events(target) {
        say(out, &event, Role::Aside);
    }
}

/// Writes connections that stand alike: one in a line, several below their reason.
fn together(out: &mut String, group: &Group<Noted>, (types, names): (usize, usize), style: &Style) {
    let role = |one: &Noted| if one.is_wrong { Role::Wrong } else { Role::Attention };
    let advice = advice(group);
    let advise = |out: &mut String, indents| {
        advice.iter().for_each(|advice| sentence(out, indents, advice, Role::Aside, style));
    };
    let (Some(heading), [first, _, ..]) = (&group.heading, &group.members[..]) else {
        for one in &group.members {
            let type_name = format!("{:<types$}", one.type_name);
            let lead = (format!("  {} {type_name}  ", one.sign), 6 + type_name.chars().count());
            let name = (format!("{:<names$}", one.name), Role::Plain);
            let told = [name, (one.state.clone(), role(one))];
            pieces(out, (&lead.0, lead.1), 6, &told, style);
        }
        return advise(out, (6, 6));
    };
    sentence(out, (2, 4), &heading.reason, role(first), style);
    advise(out, (2, 4));
    for named in group.named(style.verbose) {
        let text = match named {
            Named::One(one) => format!("  {} {:<types$}  {}", one.sign, one.type_name, one.name),
            Named::Count(first, count) => {
                format!("    {:<types$}  {}", first.type_name, counted(count, "name"))
            }
        };
        line(out, text);
    }
}
