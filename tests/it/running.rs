//! A daemon or an `apply` that runs while a test does.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::faults::Gate;
use crate::world::{Ran, World};

/// How long anything may take; far more than it does.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    child: Child,
    /// `http://` and where it listens.
    pub(crate) address: String,
    logs: Arc<Mutex<Vec<String>>>,
    /// The process of the daemon itself, where `script` gives it a terminal.
    at_terminal: Option<u32>,
}

impl Running {
    pub(crate) fn start(world: &World, arguments: &[&str]) -> Self {
        let is_given = arguments.contains(&"--listen");
        let listen: &[&str] = if is_given { &[] } else { &["--listen", "127.0.0.1:0"] };
        Self::with(world, &[&["run"], listen, arguments].concat())
    }

    /// One that listens where its config says.
    pub(crate) fn with_own_listener(world: &World) -> Self {
        Self::with(world, &["run"])
    }

    /// One that a program starts, which takes its command line as arguments.
    pub(crate) fn within(world: &World, program: &[&str], arguments: &[&str]) -> Self {
        let arguments = [&["run", "--listen", "127.0.0.1:0"], arguments].concat();
        let inner = world.command(&arguments);
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(inner.get_current_dir().unwrap()).stdin(Stdio::null());
        Self::of(command)
    }

    fn with(world: &World, arguments: &[&str]) -> Self {
        Self::of(world.command(arguments))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let logs = Arc::new(Mutex::new(Vec::new()));
        let address = loop {
            let line = lines.next().unwrap().unwrap();
            let address = listens_on(&line);
            logs.lock().unwrap().push(line);
            if let Some(address) = address {
                break address;
            }
        };
        // Read on, so that the daemon is not stopped by a full pipe.
        let kept = Arc::clone(&logs);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        Self { child, address, logs, at_terminal: None }
    }

    /// One at a terminal of its own, which a program may start. Nothing where this machine has no
    /// `script`.
    pub(crate) fn at_terminal(world: &World, program: &[&str]) -> Option<Self> {
        let inside = world.command(&["run", "--listen", "127.0.0.1:0"]);
        let errors = world.path("stderr");
        let redirected = format!("2>'{}'", errors.to_str().unwrap());
        let mut command = at_terminal(&inside, program, &redirected)?;
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let said = || std::fs::read_to_string(&errors).unwrap_or_default();
        eventually("it listens", || said().contains("listening on "));
        let text = said();
        let address = text.lines().find_map(listens_on).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let inner = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
        let logs = Arc::default();
        Some(Self { child, address, logs, at_terminal: Some(inner) })
    }

    /// Takes the terminal away, as the end of an ssh session does.
    pub(crate) fn hang_up(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end of one whose terminal is gone.
    pub(crate) fn is_gone(&self) {
        let status = format!("/proc/{}/stat", self.id());
        // Only the system's first process can ask how it ended.
        eventually("it ends", || {
            std::fs::read_to_string(&status).map_or(true, |text| text.contains(") Z "))
        });
    }

    pub(crate) fn id(&self) -> u32 {
        self.at_terminal.unwrap_or_else(|| self.child.id())
    }

    /// Its stderr so far.
    pub(crate) fn logs(&self) -> String {
        self.logs.lock().unwrap().join("\n")
    }

    /// Where it listens since the last change of the listener.
    pub(crate) fn moved_to(&self) -> Option<String> {
        let last = self.logs.lock().unwrap().iter().rev().find_map(|line| listens_on(line));
        last.filter(|address| *address != self.address)
    }

    /// Sends a request; the code of the answer.
    pub(crate) fn send(&self, world: &World, method: &str, path: &str, token: &str) -> u16 {
        let url = format!("{}{path}", self.address);
        world.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client.request(method.parse().unwrap(), url).bearer_auth(token);
            request.send().await.unwrap().status().as_u16()
        })
    }

    pub(crate) fn get(&self, world: &World, path: &str) -> (u16, String) {
        world.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = client.get(format!("{}{path}", self.address)).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    pub(crate) fn status(&self, world: &World) -> Value {
        serde_json::from_str(&self.get(world, "/api/v1/status").1).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        send_signal(self.id(), name);
    }

    /// Asks it to end, and waits until it says that it has heard.
    pub(crate) fn ask_to_end(&self) {
        self.signal("-TERM");
        eventually("it hears the signal", || self.logs().contains("calls in flight are finished"));
    }

    pub(crate) fn ends(&mut self) -> i32 {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(started.elapsed() < PATIENCE, "the daemon does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The address that a line of the log tells, in text or in JSON.
pub(crate) fn listens_on(line: &str) -> Option<String> {
    let (_, address) = line.split_once("listening on ")?;
    Some(address.split('"').next().unwrap_or(address).trim().to_owned())
}

/// A command at a terminal of its own, which a program may start, with some of its streams redirected. Nothing
/// where this machine has no `script`.
pub(crate) fn at_terminal(inside: &Command, program: &[&str], redirected: &str) -> Option<Command> {
    let script = crate::git_servers::program("script")?;
    let words = program.iter().map(|word| (*word).to_owned());
    let own = std::iter::once(inside.get_program()).chain(inside.get_args());
    let own = own.map(|word| word.to_str().unwrap().to_owned());
    let words = words.chain(own).map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    let line = format!("exec {} {redirected}", words.collect::<Vec<_>>().join(" "));
    let mut command = Command::new(script);
    command.arg("-qec").arg(line).arg("/dev/null").env_clear();
    command.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(inside.get_current_dir().unwrap());
    command.stdin(Stdio::piped());
    Some(command)
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = self.at_terminal {
            // It may have ended already.
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).output();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An `apply`, or another command, that runs while a test does.
pub(crate) struct Applying<'a> {
    world: &'a World,
    child: Child,
    errors: BufReader<ChildStderr>,
    /// The part of stderr that was read so far.
    said: String,
}

impl<'a> Applying<'a> {
    pub(crate) fn start(world: &'a World) -> Self {
        Self::command(world, &["apply", "--yes"])
    }

    pub(crate) fn command(world: &'a World, arguments: &[&str]) -> Self {
        let mut command = world.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self { world, child, errors, said: String::new() }
    }

    /// Starts one and waits until a call of it has come to a gate. A call that never comes fails
    /// the test instead of stopping it.
    pub(crate) fn until(world: &'a World, gate: &Gate) -> Self {
        Self::start(world).come_to(gate)
    }

    /// Waits until a call of it has come to a gate.
    pub(crate) fn come_to(self, gate: &Gate) -> Self {
        let world = self.world;
        world.block_on(async { tokio::time::timeout(PATIENCE, gate.wait_for(1)).await }).unwrap();
        self
    }

    pub(crate) fn signal(&self, name: &str) {
        send_signal(self.child.id(), name);
    }

    /// Asks it to end, and waits until it says that it has heard.
    pub(crate) fn ask_to_end(&mut self, name: &str) {
        self.signal(name);
        while !self.said.contains("once more ends at once") {
            assert_ne!(self.errors.read_line(&mut self.said).unwrap(), 0, "it hears no signal");
        }
    }

    /// Kills it, unless it has ended by itself: says whether it was killed.
    pub(crate) fn kill(mut self) -> bool {
        let was_running = self.child.try_wait().unwrap().is_none();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        was_running
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn ends(mut self) -> Ran {
        self.errors.read_to_string(&mut self.said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        self.world.ended(Output { stderr: self.said.into_bytes(), ..output })
    }
}

pub(crate) fn send_signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
