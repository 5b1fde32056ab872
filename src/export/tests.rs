//! An export passes `validate` and, with the values set, plans to nothing: all types,
//! both dialects, secrets shown and masked, and back again into an empty project.

mod anything;
mod bodies;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Export, KnownReferences, files, live_connections};
use crate::api::{self, Client, ClientSettings, RetryPolicy, SharedClients};
use crate::catalog;
use crate::config::{Config, FlagSource};
use crate::environment::Environment;
use crate::live::LiveConnection;
use crate::plan::{Filter, RunRequests, TargetPlan};
use crate::reconcile::{self, Engine, ReadBackMode};
use crate::sandbox::{self, Dialect, Sandbox, SecretsOnGet, Unset};
use crate::secret::{Redactor, Sensitive};
use crate::source::{Files, Snapshot};
use bodies::CANARY;

const PROJECT: &str = "demo";

async fn start(options: sandbox::Options) -> Sandbox {
    let sandbox = Sandbox::start(options).await.unwrap();
    for connection_type in catalog::all() {
        sandbox.control().put(PROJECT, bodies::full(connection_type)).unwrap();
        sandbox.control().put(PROJECT, bodies::minimal(connection_type)).unwrap();
    }
    sandbox
}

async fn live(sandbox: &Sandbox) -> Vec<LiveConnection> {
    let settings = ClientSettings {
        target: "t".to_owned(),
        url: sandbox.url(),
        project: PROJECT.to_owned(),
        credentials: api::ResolvedCredentials::Token(Sensitive::new("any".to_owned())),
        timeout: std::time::Duration::from_secs(30),
        max_response: 1 << 20,
        ca_file: None,
        proxy: None,
        concurrency: 8,
    };
    let client = Client::new(settings, Redactor::default(), &SharedClients::default()).unwrap();
    live_connections(&client, &Filter::default(), 8).await.unwrap().0
}

async fn export(sandbox: &Sandbox, full: bool) -> Export {
    Export::of(&live(sandbox).await, &KnownReferences::default(), PROJECT, full)
}

/// The values of the variables: what was shown, and what is stored in the field of that name.
fn values(export: &Export, sandbox: &Sandbox) -> BTreeMap<String, String> {
    let stored = |about: &str| {
        let (owner, field) = about.split_once(": `")?;
        let (_, name) = owner.split_once(' ')?;
        let body = sandbox.control().get(PROJECT, name)?;
        Some(body.get(field.trim_end_matches('`'))?.as_str()?.to_owned())
    };
    export
        .variables
        .iter()
        .filter_map(|variable| {
            let shown = variable.value.as_ref().map(|value| value.expose().to_owned());
            Some((variable.name.clone(), shown.or_else(|| stored(&variable.about))?))
        })
        .collect()
}

fn engine(sandbox: &Sandbox, folder: &Path, mut variables: BTreeMap<String, String>) -> Engine {
    variables.insert("APINIZER_TOKEN".to_owned(), "any".to_owned());
    let environment = Environment::new(variables);
    let flags = FlagSource {
        repo: Some(folder.to_path_buf()),
        paths: vec!["out".to_owned()],
        url: Some(sandbox.url()),
        project: Some(PROJECT.to_owned()),
    };
    let mut config = Config::from_flags(&flags, &environment).unwrap();
    config.state_dir = folder.join("state");
    Engine::new(config, environment)
}

async fn reconcile(engine: &Engine, folder: &Path, applies: bool) -> (TargetPlan, bool) {
    let options = reconcile::RunOptions {
        writes: applies,
        requests: RunRequests { degraded_at_once: true, ..RunRequests::default() },
        base_revision: None,
        resend_secrets: false,
        with_secrets: true,
        follows: false,
        read_back: ReadBackMode::All,
        lock_timeout: std::time::Duration::from_secs(30),
        retries: RetryPolicy::command(),
        asked: crate::audit::Asked::default(),
        stop: CancellationToken::new(),
        limit: crate::api::WriteLimit::default(),
    };
    let snapshot = Snapshot::Disk(Files::of_worktree(folder.to_path_buf()));
    let target = &engine.config.targets[0];
    let prepared = reconcile::prepare(engine, target, &snapshot, &options).await;
    let plan = prepared.plan.clone();
    if !applies {
        return (plan, false);
    }
    let outcome = reconcile::carry_out(engine, prepared, &options, false, &|_, _| {}).await;
    (plan, outcome.is_applied())
}

fn assert_in_sync(plan: &TargetPlan, case: &str) {
    assert_eq!(plan.errors, [""; 0], "{case}");
    assert!(plan.changes().is_empty(), "{case}: {:#?}", plan.changes());
    assert_eq!((plan.summary().adopt, plan.summary().blocked), (28, 0), "{case}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_plans_to_nothing() {
    for dialect in [Dialect::Current, Dialect::Older] {
        for (secrets, unset, full) in [
            (SecretsOnGet::Shown, Unset::Null, false),
            (SecretsOnGet::Masked, Unset::Default, true),
            (SecretsOnGet::Asterisks, Unset::Default, false),
            (SecretsOnGet::ByGuide, Unset::LeftOut, true),
        ] {
            let case = format!("{dialect:?} {secrets:?} {unset:?} {full}");
            let mut options = sandbox::Options::showing(secrets).in_dialect(dialect);
            options.each_type(|known, own| {
                let names = known.fields().map(|field| field.name.to_owned());
                own.unset = BTreeMap::from([(unset, names.collect())]);
            });
            options.bookkeeping = true;
            let sandbox = start(options).await;
            let export = export(&sandbox, full).await;
            assert_eq!(export.documents.len(), 28, "{case}");
            assert_eq!(export.passed_over, [""; 0]);

            let folder = tempfile::tempdir().unwrap();
            let written = files::files(&export, false);
            assert!(written.iter().all(|file| !file.text.contains(CANARY)), "{case}");
            let problems = super::problems(&written);
            let shown: Vec<_> = problems.iter().map(|d| (&d.mark.file, &d.message)).collect();
            assert!(shown.is_empty(), "{case}: {shown:#?}");
            files::write(&folder.path().join("out"), &written, false).unwrap();

            let engine = engine(&sandbox, folder.path(), values(&export, &sandbox));
            let (plan, _) = reconcile(&engine, folder.path(), false).await;
            assert_in_sync(&plan, &case);
            sandbox.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_makes_the_project_again() {
    let options = || sandbox::Options::showing(SecretsOnGet::Shown);
    let source = start(options()).await;
    let first = export(&source, false).await;
    let folder = tempfile::tempdir().unwrap();
    files::write(&folder.path().join("out"), &files::files(&first, true), false).unwrap();

    let copy = Sandbox::start(options()).await.unwrap();
    let engine = engine(&copy, folder.path(), values(&first, &source));
    let (plan, applied) = reconcile(&engine, folder.path(), true).await;
    assert_eq!((plan.summary().create, applied), (28, true), "{:#?}", plan.errors);

    let second = export(&copy, false).await;
    for (first, second) in first.documents.iter().zip(&second.documents) {
        assert_eq!(first.text, second.text);
    }
    for name in source.control().names(PROJECT) {
        let made = copy.control().get(PROJECT, &name).unwrap();
        let secrets = |body: &Value| {
            let known = catalog::find(body["type"].as_str().unwrap()).unwrap();
            known.secrets().map(|f| body.get(f.name).cloned()).collect::<Vec<_>>()
        };
        assert_eq!(secrets(&made), secrets(&source.control().get(PROJECT, &name).unwrap()));
    }
    source.stop().await;
    copy.stop().await;
}
