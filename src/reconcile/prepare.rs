//! From a snapshot to a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::blocked::{block_old_names, blocked_names};
use super::connect::{Connection, connect};
use super::lineage::without_other_branches;
use super::load::{LoadedTarget, load_target};
use super::look::{self, Known, Looked};
use super::notes::{self, Noting};
use super::past::{Past, is_overtaken, past};
use super::recall::{self, Recalled, lock};
use super::remember;
use super::{Engine, Options, Prepared, Ready, Step, isolates};
use crate::api::Client;
use crate::config::Target;
use crate::desired::{self, Resolved};
use crate::document::Severity;
use crate::inventory::{GoodCommit, Record};
use crate::live::Live;
use crate::name::ConnectionName;
use crate::observe::{self, Answers, Asked};
use crate::parallel;
use crate::plan::intents::{self, Settling};
use crate::plan::{Planned, TargetPlan};
use crate::secret::FingerprintKey;
use crate::source::Snapshot;
use crate::state::Lock;

/// Reads, loads, resolves, observes and plans one target. Whatever goes wrong is told in the
/// plan; nothing is written.
pub async fn prepare<'e>(
    engine: &'e Engine,
    target: &'e Target,
    snapshot: &Snapshot,
    options: &Options,
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
        failed_step: None,
        ready: None,
    };
    if let Err((step, problem)) = fill(engine, target, snapshot, options, &mut prepared).await {
        prepared.failed_step = Some(step);
        prepared.plan.errors.push(problem);
    }
    prepared
}

/// What a pass begins with.
struct Opened {
    loaded: LoadedTarget,
    client: Client,
    key: FingerprintKey,
    lock: Option<Lock>,
    recalled: Recalled,
    lists: Asked,
}

/// Reads documents and state, one beside the other where no lock has to be waited for, and asks for
/// the lists.
async fn open(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    options: &Options,
    prepared: &mut Prepared<'_>,
) -> Result<Opened, (Step, String)> {
    let early = recall::early(engine, target, options);
    // A client takes some milliseconds to make, and needs nothing of what is loaded.
    let (connection, loaded) = blocking(|| {
        parallel::both(
            usize::MAX,
            || connect(engine, target),
            || load_target(engine, target, snapshot),
        )
    });
    let loaded = loaded.map_err(|e| (Step::Load, e.to_string()))?;
    prepared.diagnostics.clone_from(&loaded.loaded.diagnostics);
    prepared.plan.notices.extend(loaded.notices.iter().cloned());
    if loaded.loaded.has_errors() && !isolates(target) {
        prepared.refused = true;
        return Err((Step::Load, refusal(snapshot, &prepared.diagnostics)));
    }
    let connection = connection.map_err(|e| (Step::Connect, e.to_string()))?;
    let Connection { client, key } = connection.with_retries(options);
    let of_state = |problem| (Step::State, problem);
    let lock = lock(engine, target, options).await.map_err(of_state)?;
    let recalled = match early {
        Some(early) => early.recalled().await,
        None => blocking(|| recall::recall(engine, target, options, &key)),
    };
    let recalled = recalled.map_err(of_state)?;
    if options.writes
        && options.follows
        && blocking(|| is_overtaken(engine, snapshot, &recalled.record))
    {
        return Err((
            Step::History,
            "a newer commit was applied by another process while this one waited; what is \
                    older is not put in its place"
                .to_owned(),
        ));
    }
    // Before the first call: an answer may repeat a value, and its text is cleaned when it comes.
    if options.with_secrets {
        let documents = &loaded.loaded.documents;
        blocking(|| desired::learn(documents, &engine.environment, &engine.redactor));
    }
    // Under the lock: what another process changed before is in the lists and in the record.
    let lists = observe::ask(&client, target.concurrency, None);
    Ok(Opened { loaded, client, key, lock, recalled, lists })
}

/// What is known of before, by this snapshot.
struct Remembered {
    record: Record,
    key_is_known: bool,
    past: Past,
    /// What the record says of the commit, once it is applied.
    good: Option<GoodCommit>,
    /// The names that documents which are not valid block, with why.
    invalid: BTreeMap<ConnectionName, String>,
    /// Names that it declares and another branch removed.
    elsewhere: BTreeSet<ConnectionName>,
}

/// Looks at the record in the light of what was loaded.
fn remembered(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    options: &Options,
    opened: &Opened,
    notices: &mut Vec<String>,
) -> Result<Remembered, String> {
    let Opened { loaded, key, recalled, .. } = opened;
    let whole = !loaded.loaded.has_errors();
    let good = snapshot.commit().filter(|_| whole && !options.filter.is_narrow()).map(|commit| {
        let config = engine.config_digest(target);
        loaded.as_good_commit(config, &commit.id, &recalled.record)
    });
    let mut record = recalled.record.clone();
    let key_check = key.check_value();
    let key_is_known = record.key_check.as_ref().is_none_or(|known| *known == key_check);
    if !key_is_known {
        notices.push(
            "the fingerprint key changed: secrets that the server hides cannot be compared, and are \
             unverified; `apply --resend-secrets` sends them again"
                .to_owned(),
        );
    }
    record.key_check = Some(key_check);
    let folders = &loaded.loaded.folders;
    let documents = &loaded.loaded.documents;
    let declared_type = |name: &ConnectionName| {
        let at = documents.binary_search_by_key(&name, |document| &document.name).ok()?;
        documents.get(at).map(|document| document.connection_type.name)
    };
    let elsewhere = without_other_branches(engine, target, snapshot, declared_type, &mut record);
    let elsewhere = elsewhere.map_err(|e| e.to_string())?;
    let past = past(engine, target, snapshot, &record, folders).map_err(|e| e.to_string())?;
    for (path, _, _) in folders.iter().filter(|(_, exists, _)| !exists) {
        let text = format!("the path `{path}` does not exist in this revision");
        if record.inventory.is_empty() {
            return Err(text);
        }
        notices.push(text);
    }
    let invalid = blocked_names(loaded, &record)?;
    Ok(Remembered { record, key_is_known, past, good, invalid, elsewhere })
}

/// Does the work of [`prepare`]; what stops the target as a whole is the error.
async fn fill(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    options: &Options,
    prepared: &mut Prepared<'_>,
) -> Result<(), (Step, String)> {
    let opened = open(engine, target, snapshot, options, prepared).await?;
    let notices = &mut prepared.plan.notices;
    notices.extend(opened.recalled.notice.clone());
    let Remembered { mut record, key_is_known, past, good, mut invalid, elsewhere } =
        blocking(|| remembered(engine, target, snapshot, options, &opened, notices))
            .map_err(|problem| (Step::History, problem))?;
    let Opened { mut loaded, client, key, lock, recalled, lists } = opened;
    let before = recalled.record;
    let whole = !loaded.loaded.has_errors();
    let skipped = std::mem::take(&mut loaded.notices);
    let documents = std::mem::take(&mut loaded.loaded.documents);
    let renames = std::mem::take(&mut loaded.loaded.renames_of_invalid);
    // The rest is not needed again, and of many connections it is large.
    drop(loaded);
    let answers = lists.answers().await;
    let live = observed(answers, &record, &client, prepared);
    let live = live.map_err(|problem| (Step::Observe, problem))?;
    let context = look::context(target, options, &record, &key, key_is_known);
    let resolution = engine.resolution(target, options);
    let Resolved { mut desired, found: agreements, env_names } =
        look::resolved(documents, &resolution, &live, &context);
    if snapshot.commit().is_none() {
        remember::keep_protected(&mut desired, &record);
    }
    if !options.with_secrets {
        prepared.plan.notices.push(without_secrets(&env_names));
    }
    let looked_at = Looked { target, options, desired: &desired, live: &live };
    let needed = looked_at.needed(&record, &agreements);
    let notices = &mut prepared.plan.notices;
    let (singles, unread) = looked_at.singles(&client, &needed, &record, notices).await;
    singles.values().for_each(|live| live.teach_secrets(&target.name, &engine.redactor));
    let settling = Settling { unread: &unread, key: &key, key_is_known };
    intents::settle(&mut record, &live, &singles, &settling);
    block_old_names(&mut invalid, renames, &record, &looked_at);
    let not_removed = invalid.keys().cloned().collect();
    // After that: what a run that died made may be what this commit removes.
    let noting = Noting {
        looked_at: &looked_at,
        not_removed: &not_removed,
        elsewhere: &elsewhere,
        snapshot,
        past: &past,
    };
    if whole {
        noting.note(&mut record, &agreements);
    }
    let mut planned = looked_at.plan(&Known {
        record: &record,
        key: &key,
        key_is_known,
        singles: &singles,
        unread: &unread,
        invalid: &invalid,
        agreements: &agreements,
        whole,
        skipped: &skipped,
        past: &past,
        worktree: snapshot.commit().is_none(),
    });
    notes::keep(&mut planned.record, &before, snapshot, options);
    planned.hide(&engine.redactor);
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
        lock,
        stateless: options.base.is_some(),
    });
    Ok(())
}

/// What live has by the lists; nothing at all is an error.
fn observed(
    answers: Answers,
    record: &Record,
    client: &Client,
    prepared: &mut Prepared<'_>,
) -> Result<Live, String> {
    let live = blocking(|| answers.live(record));
    if let Some(cause) = client.retries().stopped().filter(|cause| !cause.is_transient()) {
        prepared.credentials_refused = true;
        return Err(cause.message);
    }
    nothing_answered(&live).map_or(Ok(live), Err)
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
        changes: plan.changes,
        summary: plan.summary,
        unmanaged: plan.unmanaged,
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
