//! The ground under a history, all in this process: a sandbox on loopback, a git repository, a state
//! folder, and the calls that the commands make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apinizer_gitops::testing::api::RetryPolicy;
use apinizer_gitops::testing::config::{Config, Resolve, Target};
use apinizer_gitops::testing::environment::Environment;
use apinizer_gitops::testing::plan::{Change, ChangeResult, Filter, Plan, RunRequests, TargetPlan};
use apinizer_gitops::testing::reconcile::{
    Engine, Prepared, ReadBackMode, RunOptions, carry_out, prepare,
};
use apinizer_gitops::testing::report;
use apinizer_gitops::testing::sandbox::{self, Ids};
use apinizer_gitops::testing::source::{Repository, Snapshot};
use reqwest::Method;
use tokio_util::sync::CancellationToken;

use super::document::{BASE, FOLDER, OTHER_OVERLAY, OVERLAY, Tree};
use super::memory::{Adopt, Flags, Live, Settings};
use crate::faults::{Control, Gate, Moment, Server};
use crate::world::PROJECT;

/// The mode of a link in a tree of git.
const LINK: i32 = 0o120_000;

pub(crate) struct Ground {
    folder: tempfile::TempDir,
    repository: git2::Repository,
    running: Server,
    source: Arc<Repository>,
    engine: Option<Engine>,
    shows_ids: bool,
    commits: Vec<String>,
    pub(crate) settings: Settings,
    pub(crate) env: BTreeMap<String, String>,
}

/// A plan as it was shown.
pub(crate) struct Shown {
    pub(crate) changes: Vec<Change>,
    pub(crate) exit: u8,
    pub(crate) errors: Vec<String>,
}

/// Prepares a target as a command does: of a suspended one everything is held.
async fn prepared<'e>(
    engine: &'e Engine,
    target: &'e Target,
    snapshot: &Snapshot,
    options: &RunOptions,
) -> Prepared<'e> {
    let mut prepared = prepare(engine, target, snapshot, options).await;
    if prepared.is_suspended() == Some(true) {
        prepared.plan.hold_suspended();
    }
    prepared
}

impl Ground {
    pub(crate) async fn new(
        server: sandbox::Options,
        settings: Settings,
        env: BTreeMap<String, String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("repo");
        let repository = git2::Repository::init(&path).unwrap();
        let shows_ids = server.ids == Ids::Everywhere;
        let running = Server::start(server).await;
        Self {
            source: Arc::new(Repository::open(&path).unwrap()),
            folder,
            repository,
            running,
            engine: None,
            shows_ids,
            commits: Vec::new(),
            settings,
            env,
        }
    }

    pub(crate) fn control(&self) -> &Control {
        self.running.control()
    }

    pub(crate) fn live(&self) -> BTreeMap<String, Live> {
        let control = self.control();
        control
            .names(PROJECT)
            .into_iter()
            .map(|name| {
                // Where the server shows none, one cannot be told from another.
                let id = control.id(PROJECT, &name).filter(|_| self.shows_ids).unwrap_or_default();
                let body = control.get(PROJECT, &name).unwrap().as_object().unwrap().clone();
                (name, Live { id, body })
            })
            .collect()
    }

    /// Commits a tree; the commit's id.
    pub(crate) fn commit(&mut self, tree: &Tree, consents: bool) -> String {
        let repository = &self.repository;
        let mut folders: BTreeMap<&str, git2::TreeBuilder<'_>> = BTreeMap::new();
        let files = tree.files();
        for (path, text) in &files {
            let (folder, file) = path.rsplit_once('/').unwrap();
            let blob = repository.blob(text.as_bytes()).unwrap();
            let name = file.strip_suffix(".yaml").unwrap_or_default();
            let is_link = match folder {
                OVERLAY => tree.patch_links.contains(name),
                OTHER_OVERLAY => false,
                _ => tree.links.contains(name),
            };
            let builder = folders.entry(folder);
            let builder = builder.or_insert_with(|| repository.treebuilder(None).unwrap());
            builder.insert(file, blob, if is_link { LINK } else { 0o100_644 }).unwrap();
        }
        let mut root = repository.treebuilder(None).unwrap();
        let inner = folders.remove(&*format!("{BASE}/{FOLDER}"));
        for (folder, mut builder) in folders {
            if let Some(inner) = inner.as_ref().filter(|_| folder == BASE) {
                let link = || repository.blob(b"../elsewhere").unwrap();
                match tree.folder_is_link {
                    true => builder.insert(FOLDER, link(), LINK).unwrap(),
                    false => builder.insert(FOLDER, inner.write().unwrap(), 0o040_000).unwrap(),
                };
            }
            root.insert(folder, builder.write().unwrap(), 0o040_000).unwrap();
        }
        let tree = repository.find_tree(root.write().unwrap()).unwrap();
        let who = git2::Signature::now("Ada", "ada@example.com").unwrap();
        let parent = repository.head().ok().map(|head| head.peel_to_commit().unwrap());
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let message = if consents { "change\n\nAllow-Deletes: true\n" } else { "change\n" };
        let id = repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents).unwrap();
        self.commits.push(id.to_string());
        id.to_string()
    }

    /// Another config, or another environment: what a new process would see.
    pub(crate) fn reconfigured(&mut self) {
        self.engine = None;
    }

    pub(crate) fn lose_state(&mut self) {
        let _ = std::fs::remove_dir_all(self.folder.path().join("state"));
    }

    /// Suspends the target, or resumes it, as the daemon notes it; whether there is a state.
    pub(crate) fn suspend(&self, suspended: bool) -> bool {
        let Some(file) = self.state_file() else { return false };
        let text = std::fs::read_to_string(&file).unwrap();
        let key = |suspended: bool| format!("\"suspended\":{suspended}");
        std::fs::write(&file, text.replace(&key(!suspended), &key(suspended))).unwrap();
        true
    }

    /// The text of the state.
    pub(crate) fn state(&self) -> String {
        self.state_file().map(|file| std::fs::read_to_string(file).unwrap()).unwrap_or_default()
    }

    fn state_file(&self) -> Option<PathBuf> {
        let files = std::fs::read_dir(self.folder.path().join("state")).ok()?;
        let mut paths = files.map(|file| file.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|e| e == "json"))
    }

    fn config(&self) -> String {
        let settings = &self.settings;
        let adopt = match settings.adopt {
            Adopt::Always => "always",
            Adopt::Equal => "equal",
            Adopt::Never => "never",
        };
        format!(
            "source: {{path: {}}}\nstate_dir: {}\ntargets:\n- name: prod\n  url: {}\n  \
             project: {PROJECT}\n  token: ${{env:TOKEN}}\n  paths: {:?}\n  prune: {}\n  \
             max_deletes: {}\n  adopt: {adopt}\n  drift: {}\n  on_invalid: {}\n  \
             verify_secrets: 0s\n  vars: {{host: {}}}\n",
            self.folder.path().join("repo").display(),
            self.folder.path().join("state").display(),
            self.running.url(),
            settings.paths,
            settings.prune,
            settings.max.yaml(),
            if settings.report { "report" } else { "correct" },
            if settings.isolate { "isolate" } else { "refuse" },
            settings.host,
        )
    }

    fn engine(&mut self) -> &Engine {
        if self.engine.is_none() {
            let mut variables = self.env.clone();
            variables.insert("TOKEN".to_owned(), "a-token-for-tests".to_owned());
            let environment = Environment::new(variables);
            let text = self.config();
            let loaded = Config::parse(
                Path::new("/config.yaml"),
                text.as_bytes(),
                &environment,
                Resolve::All,
            )
            .unwrap();
            self.engine = Some(Engine::new(loaded, environment));
        }
        self.engine.as_ref().unwrap()
    }

    fn options(&self, flags: &Flags, writes: bool) -> RunOptions {
        let types: Vec<String> = flags.types.iter().map(|kind| kind.name().to_owned()).collect();
        RunOptions {
            writes,
            requests: RunRequests {
                filter: Filter::new(&flags.names, &types),
                allow_deletes: flags.allow_deletes,
                allow_delete: flags.allow_delete.iter().map(|name| name.as_str().into()).collect(),
                allow: Vec::new(),
                degraded_at_once: true,
            },
            base_revision: flags.base.map(|at| self.snapshot_at(&self.commits[at])),
            resend_secrets: flags.resend,
            with_secrets: true,
            follows: false,
            read_back: ReadBackMode::Due,
            lock_timeout: Duration::from_secs(5),
            retries: RetryPolicy {
                base: Duration::from_millis(1),
                attempts: 3,
                broken_answers: 3,
                ..RetryPolicy::command()
            },
            asked: apinizer_gitops::testing::reconcile::Asked::default(),
            stop: CancellationToken::new(),
            limit: apinizer_gitops::testing::api::WriteLimit::default(),
        }
    }

    fn snapshot(&self) -> Snapshot {
        let commit = self.source.head(None).unwrap();
        Snapshot::Commit { repository: Arc::clone(&self.source), commit }
    }

    fn snapshot_at(&self, rev: &str) -> Snapshot {
        let commit = self.source.resolve(rev).unwrap();
        Snapshot::Commit { repository: Arc::clone(&self.source), commit }
    }

    /// Runs `plan`.
    pub(crate) async fn plan(&mut self, flags: &Flags) -> Shown {
        let snapshot = self.snapshot();
        let options = self.options(flags, false);
        let engine = self.engine();
        let target = &engine.config.targets[0];
        let prepared = prepared(engine, target, &snapshot, &options).await;
        let plan = Plan {
            commit: snapshot.commit().cloned(),
            source: String::new(),
            links: None,
            targets: vec![prepared.plan.clone()],
        };
        Shown {
            changes: prepared.plan.changes().into_iter().cloned().collect(),
            exit: report::exit::of_plan(&plan),
            errors: prepared.plan.errors,
        }
    }

    /// Runs `apply`; its exit code.
    pub(crate) async fn apply(&mut self, flags: &Flags) -> (u8, TargetPlan) {
        let snapshot = self.snapshot();
        let options = self.options(flags, true);
        let engine = self.engine();
        let target = &engine.config.targets[0];
        let prepared = prepared(engine, target, &snapshot, &options).await;
        let outcome = match prepared.is_suspended() {
            Some(true) => prepared.plan.without_calls(),
            _ => carry_out(engine, prepared, &options, false, &|_, _| {}).await,
        };
        (report::exit::of_outcomes(std::slice::from_ref(&outcome)), outcome)
    }

    /// An apply that ends as a killed process does, at the write that comes after so many
    /// changes, before or after the server made it. One that writes less runs to its end.
    pub(crate) async fn crash(&mut self, flags: &Flags, after: usize, moment: Moment) {
        let snapshot = self.snapshot();
        let options = self.options(flags, true);
        let control = self.control().clone();
        let gates: Arc<std::sync::Mutex<Vec<Gate>>> = Arc::default();
        let put_up = || {
            let methods = [Method::POST, Method::PUT, Method::DELETE];
            *gates.lock().unwrap() =
                methods.map(|m| control.gate(Some(m), "/connections/", moment)).into();
        };
        let done = AtomicUsize::new(0);
        let engine = self.engine();
        let target = &engine.config.targets[0];
        let prepared = prepared(engine, target, &snapshot, &options).await;
        if prepared.is_suspended() == Some(true) {
            return;
        }
        if after == 0 {
            put_up();
        }
        let progress = |_: &Change, _: &ChangeResult| {
            if done.fetch_add(1, Ordering::SeqCst) + 1 == after {
                put_up();
            }
        };
        let killed = async {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                if gates.lock().unwrap().iter().any(|gate| gate.arrived() > 0) {
                    return;
                }
            }
        };
        tokio::select! {
            _ = carry_out(engine, prepared, &options, false, &progress) => {}
            () = killed => {}
        }
        for gate in gates.lock().unwrap().drain(..) {
            gate.abandon();
        }
        // The process is gone: so are its clients and what it knew.
        self.engine = None;
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }
}
