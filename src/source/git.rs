//! The program `git` as a child process: for the network, for signatures, and for references
//! that libgit2 cannot read.
//!
//! A child never asks for input, has a deadline, and is stopped with all that it started. Its
//! output is bounded, and shown only after secrets are replaced in it. Every child of the program is
//! started here, so that the others are known to be adopted ones.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio_util::sync::CancellationToken;

use super::SourceError;
use crate::diagnostic::steers_text;
use crate::secret::{Redactor, Sensitive, without_user_info};

/// Variables that a hook or a wrapper sets, and that would turn git to another repository.
const MISLEADING: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
];

/// How much is kept of each stream, in bytes.
const MOST_OUTPUT: u64 = 4 * 1024 * 1024;

/// How much of it a message shows, in characters.
const MOST_SHOWN: usize = 600;

/// How long a child may take to clean up after it was asked to end.
const GRACE: Duration = Duration::from_secs(2);

/// One call of the program.
pub(super) struct Git {
    doing: String,
    command: Command,
    deadline: Duration,
    redactor: Redactor,
}

/// The output of a call.
pub(super) struct GitOutput {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    /// Secrets replaced, short enough for a message.
    pub(super) said: String,
}

impl Git {
    /// Begins a call; `doing` is a verb with its object, for messages.
    pub(super) fn to(doing: impl Into<String>, deadline: Duration) -> Self {
        let mut command = Command::new("git");
        for name in MISLEADING {
            command.env_remove(name);
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            // ssh would ask on the terminal, and stop there for want of one.
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("GCM_INTERACTIVE", "never")
            // An object is what its id says, whatever refs/replace would put in its place.
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // Reading never fetches: not from wherever a repository of somebody else points to.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("LC_ALL", "C");
        Self { doing: doing.into(), command, deadline, redactor: Redactor::default() }
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(super) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives a secret: in the environment, which other users of the machine cannot read.
    pub(super) fn secret_env(mut self, name: &str, value: &Sensitive) -> Self {
        self.command.env(name, value.expose());
        self
    }

    pub(super) fn redactor(mut self, redactor: &Redactor) -> Self {
        self.redactor = redactor.clone();
        self
    }

    /// The command line, as other users of the machine see it.
    #[cfg(test)]
    pub(super) fn shown(&self) -> String {
        let args = self.command.get_args().map(|arg| arg.to_string_lossy().into_owned());
        args.collect::<Vec<_>>().join(" ")
    }

    /// Runs it and takes another exit status than 0 for a failure.
    pub(super) fn succeed(self, stop: &CancellationToken) -> Result<GitOutput, SourceError> {
        let doing = self.doing.clone();
        let output = self.run(stop)?;
        if output.status.success() {
            return Ok(output);
        }
        let said = match output.said {
            said if said.is_empty() => output.status.to_string(),
            said => said,
        };
        Err(SourceError::Failed { doing, said })
    }

    /// Runs it to its end, whatever that is.
    pub(super) fn run(mut self, stop: &CancellationToken) -> Result<GitOutput, SourceError> {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.process_group(0);
        let mut child = spawn(&mut self.command).map_err(|e| self.not_started(e))?;
        let outcome = self.follow(&mut child, stop);
        if outcome.is_err() {
            end(&mut child);
        }
        OWN_CHILDREN.lock().remove(&child.id());
        outcome
    }

    fn follow(
        &self,
        child: &mut Child,
        stop: &CancellationToken,
    ) -> Result<GitOutput, SourceError> {
        let stdout = Capture::start(child.stdout.take()).map_err(|e| self.not_started(e))?;
        let stderr = Capture::start(child.stderr.take()).map_err(|e| self.not_started(e))?;
        let status = self.wait(child, stop)?;
        let said = presentable(&stderr.finish(), &self.redactor);
        Ok(GitOutput { status, stdout: stdout.finish(), said })
    }

    fn not_started(&self, source: io::Error) -> SourceError {
        SourceError::NoGit { doing: self.doing.clone(), source }
    }

    fn wait(&self, child: &mut Child, stop: &CancellationToken) -> Result<ExitStatus, SourceError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let doing = self.doing.clone();
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(error) => return Err(SourceError::Failed { doing, said: error.to_string() }),
            }
            if stop.is_cancelled() {
                return Err(SourceError::Stopped(doing));
            }
            if started.elapsed() >= self.deadline {
                return Err(SourceError::TimedOut { doing, deadline: self.deadline });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

/// One stream of a child, read by a thread of its own: ssh may leave a process behind that
/// holds the stream open for as long as it lives, so its end is not waited for.
struct Capture {
    taken: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Capture {
    fn start(stream: Option<impl Read + Send + 'static>) -> io::Result<Self> {
        let mut stream = stream.ok_or(io::ErrorKind::BrokenPipe)?;
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&taken);
        let read = move || {
            let mut buffer = [0; 8192];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => {
                        let mut taken = shared.lock();
                        if (taken.len() as u64) < MOST_OUTPUT {
                            taken.extend_from_slice(buffer.get(..length).unwrap_or_default());
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        };
        let reader = thread::Builder::new().name("git-output".into()).spawn(read)?;
        Ok(Self { taken, reader })
    }

    fn finish(self) -> String {
        let started = Instant::now();
        while !self.reader.is_finished() && started.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(1));
        }
        let taken = self.taken.lock();
        String::from_utf8_lossy(&taken).into_owned()
    }
}

/// The children that this program started and waits for itself.
static OWN_CHILDREN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Starts a child, after those that were adopted and have ended made room for it.
fn spawn(command: &mut Command) -> io::Result<Child> {
    // Locked until the new one is in the set: it may have ended before.
    let mut own = OWN_CHILDREN.lock();
    #[cfg(target_os = "linux")]
    reap_adopted(&own);
    let child = command.spawn()?;
    own.insert(child.id());
    Ok(child)
}

/// Waits for adopted children that have ended. Only process 1 of a container and a subreaper have
/// any: `git` leaves helpers and ssh behind when it fails. Without this each stays as a zombie,
/// until no process can be started.
#[cfg(target_os = "linux")]
fn reap_adopted(own: &BTreeSet<u32>) {
    use rustix::process::{WaitOptions, child_subreaper, waitpid};
    let this = std::process::id();
    if this != 1 && !matches!(child_subreaper(), Ok(Some(_))) {
        return;
    }
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        if is_zombie_of(&stat, this) && !own.contains(&id.unsigned_abs()) {
            // Another thread may have been faster.
            let _ = waitpid(Pid::from_raw(id), WaitOptions::NOHANG);
        }
    }
}

/// Reads a line of `/proc/PID/stat`: the state and the parent follow the name in parentheses.
#[cfg(target_os = "linux")]
fn is_zombie_of(stat: &str, parent: u32) -> bool {
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let mut fields = fields.split(' ');
    fields.next() == Some("Z") && fields.next().and_then(|id| id.parse().ok()) == Some(parent)
}

/// Ends a child and all that it started: first asked, so that git removes its lock files.
fn end(child: &mut Child) {
    let group = Pid::from_child(child);
    // It may have ended by itself in this moment.
    let _ = kill_process_group(group, Signal::TERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if !matches!(child.try_wait(), Ok(None)) {
            // Its children may go on.
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

/// The words of a child, fit for a message: no secret, no user info, no control characters, short.
fn presentable(text: &str, redactor: &Redactor) -> String {
    let text = redactor.redact_words(&without_user_info(text, ""));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join("; ");
    let mut shown: String =
        joined.chars().map(|c| if steers_text(c) { ' ' } else { c }).take(MOST_SHOWN).collect();
    if joined.chars().nth(MOST_SHOWN).is_some() {
        shown.push_str(" ...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_call_that_hangs_is_stopped_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        // `git` runs the alias in a shell, which starts another process: all hold the pipe.
        let alias = format!("alias.hang=!sleep 600 & echo $! > '{}'; wait", file.display());
        let call = Git::to("sleep", Duration::from_secs(1)).args(&["-c", &alias, "hang"]);
        assert!(matches!(call.run(&CancellationToken::new()), Err(SourceError::TimedOut { .. })));
        let process = std::fs::read_to_string(&file).unwrap();
        let is_running = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let ends = std::time::Instant::now() + LONG;
        while is_running() && std::time::Instant::now() < ends {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_running(), "what the shell started goes on");
    }

    #[test]
    fn a_stopped_program_starts_nothing_that_lasts() {
        let stop = CancellationToken::new();
        stop.cancel();
        let call = Git::to("sleep", LONG).args(&["-c", "alias.hang=!sleep 600", "hang"]);
        let Err(error) = call.run(&stop) else { panic!("it ended by itself") };
        assert!(matches!(error, SourceError::Stopped { .. }), "{error}");
    }

    #[test]
    fn of_a_huge_failure_only_the_size_is_told() {
        let script = "alias.fail=!head -c 70000 /dev/zero | tr '\\0' x >&2; false";
        let call = Git::to("try", LONG).args(&["-c", script, "fail"]);
        let Err(error) = call.succeed(&CancellationToken::new()) else { panic!("it succeeded") };
        assert_eq!(error.to_string(), "git failed to try: (a text of 70000 bytes)");
    }

    #[test]
    fn failures_are_worded_without_secrets() {
        let redactor = Redactor::default();
        redactor.learn("hunter2");
        let script = "alias.fail=!printf 'fatal: hunter2 at https://me:pw@host/x\\n\\033[1m\\342\\200\\256' >&2; false";
        let call = Git::to("try", LONG).args(&["-c", script, "fail"]).redactor(&redactor);
        let Err(error) = call.succeed(&CancellationToken::new()) else { panic!("it succeeded") };
        let said = error.to_string();
        assert!(said.contains("fatal: (sensitive) at https://host/x"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
    }
}
