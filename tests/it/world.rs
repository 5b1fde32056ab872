//! A hermetic world for one test: a git repository, a sandbox, a state folder, the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use apinizer_gitops::testing::profile::{Profile, Support, TypeProfile};
use apinizer_gitops::testing::sandbox::{Access, Mask, Options, Unset};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::faults::{Control, Fault, Server};
pub(crate) use crate::ran::Ran;

/// The project that every world's sandbox has.
pub(crate) const PROJECT: &str = "demo";

/// The source that a config names for a world's repository.
pub(crate) const CHECKOUT: &str = "path: '{repo}'";

/// A secret that is searched for in everything the program writes.
pub(crate) const CANARY: &str = "c4nary-Zq\"7/ü";

/// A hermetic world for one test.
pub(crate) struct World {
    folder: tempfile::TempDir,
    running: Option<Server>,
    runtime: Runtime,
    /// The environment of the program, nothing else.
    pub(crate) env: BTreeMap<String, String>,
    /// Whether plain flags are used in place of a config file.
    config: Option<PathBuf>,
}

impl World {
    /// A world with a sandbox as it is by default.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    /// A world in which git declares these email connections, and they are live.
    pub(crate) fn settled(names: &[&str]) -> Self {
        let world = Self::new();
        world.settle(names);
        world
    }

    /// A world with a sandbox of a kind.
    pub(crate) fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let access = Access { projects: vec![PROJECT.to_owned()], ..options.access };
        let running = runtime.block_on(Server::start(Options { access, ..options }));
        let env = BTreeMap::from([
            ("APINIZER_TOKEN".to_owned(), "a-token-for-tests".to_owned()),
            ("SMTP_PASSWORD".to_owned(), CANARY.to_owned()),
        ]);
        let world = Self { folder, running: Some(running), runtime, env, config: None };
        fs::create_dir_all(world.repo()).unwrap();
        world.git(&["init", "-q", "-b", "main"]);
        world
    }

    pub(crate) fn url(&self) -> String {
        self.running.as_ref().unwrap().url()
    }

    pub(crate) fn control(&self) -> &Control {
        self.running.as_ref().unwrap().control()
    }

    /// Runs a future on the world's runtime.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// Lets the sandbox have these projects.
    pub(crate) fn alter_projects(&self, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.control().alter(|options| options.access.projects = names);
    }

    /// Writes a config file beside the repository and uses it from now on; `{url}` and `{repo}`
    /// are filled in.
    pub(crate) fn config(&mut self, text: &str) {
        let text = text
            .replace("{url}", &self.url())
            .replace("{repo}", &self.repo().display().to_string());
        let path = self.path("apinizer-gitops.yaml");
        fs::write(&path, text).unwrap();
        self.config = Some(path);
    }

    /// Uses a config file that is there already.
    pub(crate) fn use_config(&mut self, path: &Path) {
        self.config = Some(path.to_path_buf());
    }

    /// A config of one target with further keys, one a line.
    pub(crate) fn target(&mut self, keys: &str) {
        self.source(CHECKOUT, keys);
    }

    /// The same with the keys of the source, in one line.
    pub(crate) fn source(&mut self, source: &str, keys: &str) {
        self.config(&one_target(source, keys));
    }

    /// Writes a file of the repository.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.repo().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.repo().join(name)).unwrap();
    }

    /// Runs git in the repository, hermetically.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.repo(), arguments)
    }

    /// Commits everything; the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Writes a document of an email connection.
    pub(crate) fn write_email(&self, name: &str, more: &str) {
        self.write(&format!("connections/{name}.yaml"), &email(name, more));
    }

    /// Writes a document of an email connection and commits it.
    pub(crate) fn commit_email(&self, name: &str, more: &str) -> String {
        self.write_email(name, more);
        self.commit(&format!("declare {name}"))
    }

    /// Commits that these connections are no longer declared.
    pub(crate) fn commit_without(&self, names: &[&str]) -> String {
        for name in names {
            self.remove(&format!("connections/{name}.yaml"));
        }
        self.commit(&format!("without {}", names.join(", ")))
    }

    /// Commits that one connection is to be renamed.
    pub(crate) fn commit_rename(&self, old: &str, new: &str) -> String {
        self.remove(&format!("connections/{old}.yaml"));
        self.commit_email(new, &format!("x-gitops: {{renamedFrom: {old}}}\n"))
    }

    /// Declares these email connections and applies that; the calls so far are forgotten.
    #[track_caller]
    pub(crate) fn settle(&self, names: &[&str]) {
        for name in names {
            self.write_email(name, "");
        }
        self.commit("what is there from the start");
        self.apply().code(0);
        self.forget_calls();
    }

    /// The program with the arguments and the hermetic environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apinizer-gitops"));
        command
            .env_clear()
            // Sentences are looked for in one line.
            .env("COLUMNS", "1000")
            .envs(&self.env)
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .args(arguments)
            .arg("--state-dir")
            .arg(self.state_dir());
        match &self.config {
            Some(config) => command.arg("--config").arg(config),
            None => command
                .args(["--url", &self.url(), "--project", PROJECT, "--repo"])
                .arg(self.repo()),
        };
        command
    }

    /// Runs the program to its end. Nothing that it writes may hold the canary.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.ended(self.command(arguments).output().unwrap())
    }

    /// The result of a run of the program. No part of it may hold the canary.
    pub(crate) fn ended(&self, output: Output) -> Ran {
        let ran = Ran::from(output);
        self.assert_no_canary(&ran);
        ran
    }

    pub(crate) fn plan(&self) -> Ran {
        self.run(&["plan"])
    }

    pub(crate) fn apply(&self) -> Ran {
        self.run(&["apply", "--yes"])
    }

    /// The plan as JSON: that of the first target.
    pub(crate) fn plan_json(&self, arguments: &[&str]) -> Value {
        let arguments = [&["plan", "--output", "json"], arguments].concat();
        let ran = self.run(&arguments);
        let plan: Value = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", ran.stdout, ran.stderr));
        plan["targets"][0].clone()
    }

    /// The changes of a plan as `action name`, a held one with `(held)` behind it.
    pub(crate) fn changes(&self, arguments: &[&str]) -> Vec<String> {
        self.plan_json(arguments)["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| {
                let held = if change["held"] == json!(true) { " (held)" } else { "" };
                format!(
                    "{} {}{held}",
                    change["action"].as_str().unwrap(),
                    change["name"].as_str().unwrap()
                )
            })
            .collect()
    }

    /// The calls since the last look, as `METHOD name-or-type`, without lists.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.control()
            .take_calls()
            .iter()
            .filter(|call| !call.path.contains("?type="))
            .map(|call| {
                let name = call.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                format!("{} {name}", call.method)
            })
            .collect()
    }

    /// Forgets the calls so far.
    pub(crate) fn forget_calls(&self) {
        drop(self.control().take_calls());
    }

    /// The calls that write, since the last look.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.calls().into_iter().filter(|call| !call.starts_with("GET")).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.control().names(PROJECT)
    }

    pub(crate) fn live(&self, name: &str) -> Value {
        self.control().get(PROJECT, name).unwrap_or_else(|| panic!("{name} is not live"))
    }

    /// Changes a field in the console.
    pub(crate) fn edit(&self, name: &str, field: &str, value: Value) {
        assert!(self.control().edit(PROJECT, name, |body| {
            body.insert(field.to_owned(), value);
        }));
    }

    /// Makes a connection in the console.
    pub(crate) fn make(&self, body: Value) {
        self.control().put(PROJECT, body).unwrap();
    }

    /// The file of the state, which is there.
    pub(crate) fn state_file(&self) -> PathBuf {
        let files = fs::read_dir(self.state_dir()).unwrap().map(|file| file.unwrap().path());
        let mut files = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
        files.next().unwrap()
    }

    /// The text of the state.
    pub(crate) fn state(&self) -> String {
        self.files_of_state("json")
    }

    /// The text of the history.
    fn history(&self) -> String {
        self.files_of_state("jsonl")
    }

    fn files_of_state(&self, extension: &str) -> String {
        let Ok(files) = fs::read_dir(self.state_dir()) else { return String::new() };
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == extension))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    pub(crate) fn record(&self) -> Value {
        serde_json::from_str::<Value>(&self.state()).unwrap()["record"].clone()
    }

    /// The memory of each connection in one part of the state: `owned`, `due`, `intent`,
    /// `degraded`.
    pub(crate) fn remembered(&self, part: &str) -> Value {
        let record = self.record();
        let memories = record["connections"].as_object().unwrap().iter();
        let with_part = memories.filter_map(|(name, memory)| Some((name, memory.get(part)?)));
        Value::Object(with_part.map(|(name, part)| (name.clone(), part.clone())).collect())
    }

    fn assert_no_canary(&self, ran: &Ran) {
        let quoted = serde_json::to_string(CANARY).unwrap();
        let escaped = &quoted[1..quoted.len() - 1];
        for text in [&ran.stdout, &ran.stderr, &self.state(), &self.history()] {
            assert!(!text.contains(CANARY) && !text.contains(escaped), "the canary is in: {text}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

/// The text of a config of one target with further keys, one a line. What is not of a target may
/// stand behind it.
pub(crate) fn one_target(source: &str, keys: &str) -> String {
    let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "source: {{{source}}}\ntargets:\n  - name: default\n    url: {{url}}\n    \
         project: {PROJECT}\n    token: ${{env:APINIZER_TOKEN}}\n{keys}"
    )
}

/// Runs git, hermetically.
pub(crate) fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A document of an email connection with a host and a password; `more` are further lines.
pub(crate) fn email(name: &str, more: &str) -> String {
    format!(
        "type: email\nname: {name}\nhost: smtp.example.com\nauth: true\nusername: u\n\
         password: ${{env:SMTP_PASSWORD}}\n{more}"
    )
}

/// A document of an ftp connection, for what changes its type.
pub(crate) fn ftp(name: &str, more: &str) -> String {
    format!(
        "type: ftp\nname: {name}\nhost: h\nusername: u\npassword: ${{env:SMTP_PASSWORD}}\n\
         protocol: FTP\n{more}"
    )
}

/// A server that takes the call and refuses what it asks for.
pub(crate) fn refusal(message: &str) -> Fault {
    let body = json!({"status": "FAILURE", "resultMessage": message}).to_string();
    Fault::Answer { status: StatusCode::BAD_REQUEST, body, retry_after: None }
}

/// The body of an email connection as somebody would make it in the console.
pub(crate) fn email_body(name: &str) -> Value {
    json!({
        "type": "email", "name": name, "host": "smtp.example.com", "port": 587, "auth": true,
        "username": "u", "password": CANARY, "enabled": true, "deployToWorker": true,
    })
}

/// A number that a variable of the environment holds, for the long forms of tests.
pub(crate) fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// How the servers of some tests differ.
pub(crate) trait SandboxOptions {
    /// Shows something else in the place of a field by `GET`, and nothing in lists.
    fn mask(&mut self, type_name: &str, field: &str, mask: Mask);
    /// Shows every field that no write has set in this way.
    fn read_unset_as(&mut self, reads: Unset);
    /// Shows only the fields that all types share in lists.
    fn list_summaries(&mut self);
}

impl SandboxOptions for Options {
    fn mask(&mut self, type_name: &str, field: &str, mask: Mask) {
        self.of_type(type_name).masked.insert(field.to_owned(), mask);
    }

    fn read_unset_as(&mut self, reads: Unset) {
        self.each_type(|known, own| {
            let names = known.fields().map(|field| field.name.to_owned());
            own.unset = BTreeMap::from([(reads, names.collect())]);
        });
    }

    fn list_summaries(&mut self) {
        self.each_type(|known, own| {
            own.unlisted = known.own_fields.iter().map(|field| field.name.to_owned()).collect();
        });
    }
}

/// A server that does not know these types.
pub(crate) fn without_types(names: &[&str]) -> Options {
    let unknown = |name: &&str| {
        (name.to_string(), TypeProfile { support: Support::Unknown, ..TypeProfile::default() })
    };
    let types = names.iter().map(unknown).collect();
    Options::of_profile(Profile { types, ..Profile::default() })
}
