//! From a snapshot to a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::connect::{Connection, connect};
use super::load::{LoadedTarget, load_target};
use super::look::{self, Known, Looked};
use super::recall::{self, Recalled, lock};
use super::remember;
use super::still::{Basis, Begun, Made};
use super::{Engine, Options, Prepared, Ready, isolates};
use crate::config::Target;
use crate::desired::{self, Keep, Resolution, Resolved};
use crate::document::Severity;
use crate::environment::Environment;
use crate::inventory::Record;
use crate::live::{Live, LiveConnection};
use crate::name::ConnectionName;
use crate::observe::{self, Answers, Asked, Marks};
use crate::parallel;
use crate::plan::intents::{self, Settling};
use crate::plan::{Agreement, Planned, TargetPlan, agreement};
use crate::source::Snapshot;

/// Reads, loads, resolves, observes and plans one target. Whatever goes wrong is told in the
/// plan; nothing is written.
pub async fn prepare<'e>(
    engine: &'e Engine,
    target: &'e Target,
    snapshot: &Snapshot,
    options: &Options,
) -> Prepared<'e> {
    go_on(engine, target, snapshot, options, None).await
}

/// Does what [`prepare`] does, with what was begun already.
pub async fn go_on<'e>(
    engine: &'e Engine,
    target: &'e Target,
    snapshot: &Snapshot,
    options: &Options,
    begun: Option<Begun>,
) -> Prepared<'e> {
    let mut prepared = Prepared {
        target,
        plan: TargetPlan {
            name: target.name.clone(),
            project: target.project_as_written.clone(),
            url: target.url_as_written.clone(),
            ..TargetPlan::default()
        },
        states: Vec::new(),
        diagnostics: Vec::new(),
        refused: false,
        credentials_refused: false,
        basis: None,
        ready: None,
    };
    if let Err(problem) = fill(engine, target, snapshot, options, begun, &mut prepared).await {
        prepared.plan.errors.push(problem);
    }
    prepared
}

/// Lists that are asked for, or answered already.
enum Lists {
    Asked(Asked),
    Answered(Answers),
}

/// Does the work of [`prepare`]; what stops the target as a whole is the error.
async fn fill(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    options: &Options,
    begun: Option<Begun>,
    prepared: &mut Prepared<'_>,
) -> Result<(), String> {
    let early = recall::early(engine, target, options).filter(|_| begun.is_none());
    // A client takes some milliseconds to make, and needs nothing of what is loaded. A daemon has
    // its clients from before.
    let hurry = if options.marks { 0 } else { usize::MAX };
    let (connection, loaded) = blocking(|| {
        parallel::both(
            hurry,
            || begun.is_none().then(|| connect(engine, target)),
            || load_target(engine, target, snapshot),
        )
    });
    let mut loaded = loaded.map_err(|e| e.to_string())?;
    prepared.diagnostics.clone_from(&loaded.loaded.diagnostics);
    prepared.plan.notices.extend(loaded.notices.iter().cloned());
    let whole = !loaded.loaded.has_errors();
    if !whole && !isolates(target) {
        prepared.refused = true;
        return Err(refusal(snapshot, &prepared.diagnostics));
    }
    let marks = options.marks.then(Marks::default);
    let (connection, lock, answered, marks) = match (begun, connection) {
        (Some(Begun { connection, lock, answers, before }), _) => {
            (connection, lock, Some(answers), Some(before))
        }
        (None, connection) => {
            let connection = connection.unwrap_or_else(|| connect(engine, target));
            let connection = connection.map_err(|e| e.to_string())?;
            let connection = connection.with_retries(options);
            (connection, lock(engine, target, options).await?, None, marks)
        }
    };
    let Connection { client, key } = connection;
    let environment = options.with_secrets.then_some(&engine.environment);
    let recalled = match early {
        Some(early) => early.recalled().await,
        None => blocking(|| recall::recall(engine, target, options, &key)),
    };
    // Before the first call: an answer may repeat a value, and its text is cleaned when it comes.
    if let Some(environment) = environment {
        let documents = &loaded.loaded.documents;
        blocking(|| desired::learn(documents, environment, &engine.redactor));
    }
    // Under the lock: what another process changed before is in the lists and in the
    // record.
    let lists = match answered {
        Some(answers) => Lists::Answered(answers),
        None => Lists::Asked(observe::ask(&client, target.concurrency, marks.as_ref())),
    };
    let Recalled { record: before, mark: state, notice } = recalled?;
    let good = snapshot.commit().filter(|_| whole && !options.filter.is_narrow()).map(|commit| {
        let config = engine.config_digest(target);
        loaded.as_good_commit(config, &commit.id, before.last_good.as_ref())
    });
    // They are not needed again, and of many connections they are large.
    loaded.loaded.names_by_file = Vec::new();
    let documents = std::mem::take(&mut loaded.loaded.documents);
    prepared.plan.notices.extend(notice);
    let mut record = before.clone();
    let key_check = key.check_value();
    let key_is_known = record.key_check.as_ref().is_none_or(|known| *known == key_check);
    if !key_is_known {
        prepared.plan.notices.push(
            "the fingerprint key changed: secrets that the server hides cannot be compared, and are \
             unverified; `apply --resend-secrets` sends them again"
                .to_owned(),
        );
    }
    record.key_check = Some(key_check);
    let folders = &loaded.loaded.folders;
    let past = blocking(|| remember::past(engine, target, snapshot, &record, folders))
        .map_err(|e| e.to_string())?;
    for (path, _, _) in loaded.loaded.folders.iter().filter(|(_, exists, _)| !exists) {
        let text = format!("the path `{path}` does not exist in this revision");
        if record.inventory.is_empty() {
            return Err(text);
        }
        prepared.plan.notices.push(text);
    }
    let mut invalid = blocked_names(&loaded, &record)?;
    let renames = loaded.loaded.renames_of_invalid.clone();
    let answers = match lists {
        Lists::Asked(asked) => asked.answers().await,
        Lists::Answered(answers) => answers,
    };
    let lists = marks.and_then(|marks| answers.marks(&marks));
    let live = blocking(|| answers.live(&record));
    if let Some(cause) = client.retries().stopped().filter(|cause| !cause.is_transient()) {
        prepared.credentials_refused = true;
        return Err(cause.message);
    }
    if let Some(error) = nothing_answered(&live) {
        return Err(error);
    }
    // What is in sync needs no more of its documents than their names.
    let context = look::context(target, options, &record, &key, key_is_known);
    let resolution = resolution(engine, target, environment);
    let Resolved { mut desired, found: agreements, env_names } = blocking(|| {
        desired::resolve_and_look(documents, &resolution, |connection| {
            match agreement(connection, &live, &context) {
                Agreement::Doubtful => (Agreement::Doubtful, Keep::Fields),
                agreement => (agreement, Keep::Head),
            }
        })
    });
    if snapshot.commit().is_none() {
        remember::keep_protected(&mut desired, &record);
    }
    if environment.is_none() {
        prepared.plan.notices.push(without_secrets(&env_names));
    }
    let looked_at = Looked { target, options, desired: &desired, live: &live };
    let needed = looked_at.needed(&record, &agreements);
    let notices = &mut prepared.plan.notices;
    let (singles, unread) = looked_at.singles(&client, &needed, &record, notices).await;
    learn_shown_secrets(engine, &singles);
    let settling = Settling { unread: &unread, key: &key, key_is_known };
    intents::settle(&mut record, &live, &singles, &settling);
    block_old_names(&mut invalid, renames, &record, &looked_at);
    let not_removed = invalid.keys().cloned().collect();
    // After that: what a run that died made may be what this commit removes.
    remember::note_deletes(&mut record, &looked_at, &not_removed, snapshot, whole, &past);
    let planned = looked_at.plan(&Known {
        record: &record,
        key: &key,
        key_is_known,
        singles: &singles,
        unread: &unread,
        invalid: &invalid,
        agreements: &agreements,
        whole,
        past: &past,
        worktree: snapshot.commit().is_none(),
    });
    prepared.basis = Basis::of(Made {
        engine,
        target,
        commit: snapshot.commit().map(|commit| &commit.id),
        desired: &desired,
        env_names,
        is_plain: whole && key_is_known && needed.is_empty() && singles.is_empty(),
        planned: &planned,
        lists,
        state,
        key: &key,
    });
    take(prepared, planned, |record, canaries| Ready {
        desired,
        live,
        singles,
        confirmed: needed,
        canaries,
        client,
        key,
        key_is_known,
        record,
        record_before: before,
        good,
        commit: snapshot.commit().map(|commit| commit.id.clone()),
        _lock: lock,
        stateless: options.base.is_some(),
    });
    Ok(())
}

fn take(
    prepared: &mut Prepared<'_>,
    planned: Planned,
    ready: impl FnOnce(Record, BTreeMap<&'static str, Vec<ConnectionName>>) -> Ready,
) {
    let Planned { plan, record, states, canaries } = planned;
    let shell = std::mem::take(&mut prepared.plan);
    let mut notices = shell.notices;
    notices.extend(plan.notices);
    prepared.plan = TargetPlan {
        name: shell.name,
        project: shell.project,
        url: shell.url,
        notices,
        errors: [shell.errors, plan.errors].concat(),
        ..TargetPlan {
            changes: plan.changes,
            summary: plan.summary,
            unmanaged: plan.unmanaged,
            ..TargetPlan::default()
        }
    };
    prepared.states = states;
    prepared.ready = Some(ready(record, canaries));
}

/// Runs work that blocks on git or the disk without holding up the tasks beside it.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

fn refusal(snapshot: &Snapshot, diagnostics: &[crate::document::Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let what = match snapshot.commit() {
        Some(commit) => format!("commit {}", commit.id.short()),
        None => "the working tree".to_owned(),
    };
    let s = if errors == 1 { "" } else { "s" };
    format!("{what} is refused: {errors} error{s} in its documents")
}

/// The names that a commit which did not load whole blocks, with why.
fn blocked_names(
    loaded: &LoadedTarget,
    record: &Record,
) -> Result<BTreeMap<ConnectionName, String>, String> {
    let mut blocked: BTreeMap<ConnectionName, String> = loaded.loaded.invalid.clone();
    for file in &loaded.loaded.unreadable {
        let Some(good) = &record.last_good else {
            return Err(format!(
                "{file} cannot be read, so which connections it declares is not known"
            ));
        };
        let mut known = false;
        for (name, files) in &good.declared {
            if files.iter().any(|f| **f == **file) {
                known = true;
                let reason = format!("{file}, which declared it, cannot be read");
                blocked.entry(name.clone()).or_insert(reason);
            }
        }
        if !known {
            return Err(format!(
                "{file} cannot be read, so which connections it declares is not known"
            ));
        }
    }
    Ok(blocked)
}

/// Blocks the old names of renames whose documents are not valid: while a rename is not done, its
/// old name is kept from everybody else.
fn block_old_names(
    blocked: &mut BTreeMap<ConnectionName, String>,
    mut renames: BTreeMap<ConnectionName, ConnectionName>,
    record: &Record,
    looked_at: &Looked<'_>,
) {
    // What cannot be read now renamed what the last good commit said.
    let known = record.last_good.iter().flat_map(|good| &good.renames);
    for (new, old) in known.filter(|(new, _)| blocked.contains_key(*new)) {
        renames.entry(new.clone()).or_insert_with(|| old.clone());
    }
    let Looked { desired, live, .. } = looked_at;
    for (new, old) in renames {
        let is_declared = live.connections.contains_key(&old) && desired.contains_key(&old);
        if (is_declared || record.inventory.contains_key(&old))
            && !remember::is_renamed(record, live, &new)
        {
            let reason = format!("waits until `{new}`, which is not valid, is renamed from it");
            blocked.entry(old).or_insert(reason);
        }
    }
}

/// How the references of a target are resolved.
pub(super) fn resolution<'a>(
    engine: &'a Engine,
    target: &'a Target,
    environment: Option<&'a Environment>,
) -> Resolution<'a> {
    Resolution { vars: &target.vars, environment, redactor: &engine.redactor }
}

fn without_secrets(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "values of the environment were not compared; no document refers to any".to_owned();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("values of the environment were not compared: {}", names.join(", "))
}

/// One sentence for a target of which no list could be read.
fn nothing_answered(live: &Live) -> Option<String> {
    let all = crate::catalog::all().len();
    if live.incomplete.len() < all {
        return None;
    }
    let problems: BTreeSet<&String> = live.incomplete.values().collect();
    let problems: Vec<&str> = problems.into_iter().take(3).map(String::as_str).collect();
    Some(format!("no list of connections could be read: {}", problems.join("; ")))
}

/// What `GET` showed of secrets may not come back in a message of the server.
fn learn_shown_secrets(engine: &Engine, singles: &BTreeMap<ConnectionName, LiveConnection>) {
    for live in singles.values() {
        let Some(connection_type) = crate::catalog::find(&live.type_name) else { continue };
        let body = live.body();
        for secret in connection_type.secrets() {
            if let Some(text) = body.get(secret.name).and_then(serde_json::Value::as_str) {
                engine.redactor.learn(text);
            }
        }
    }
}
