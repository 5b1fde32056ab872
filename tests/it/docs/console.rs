//! Plays the sessions of a page of docs/ and compares what they print with what the page shows.
//!
//! A block of the kind `console` holds commands behind `$ ` (continued behind `> `) and what they
//! print; `yaml FILE` is a file that the reader writes; `console terminal` is a command that goes
//! on in another terminal. All other blocks are only read. The blocks of a page are one session in
//! one shell, in an empty folder.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The address that the pages give the sandbox; it runs on a free port.
const SANDBOX: &str = "127.0.0.1:8089";

/// Where the pages' reader lives.
const HOME: &str = "/home/ada";

/// The mark between the outputs of two commands.
const MARK: char = '\u{1}';

pub(super) enum Step {
    /// A command, and the lines of the page that show what it prints.
    Run {
        command: String,
        shown: std::ops::Range<usize>,
    },
    Write {
        file: String,
        text: String,
    },
    Terminal {
        command: String,
    },
}

/// Asserts that the commands of a page print what it shows, or makes it so where that is asked
/// for. Nothing printed may hold one of the secrets.
pub(super) fn play(page: &str, files: &[&str], secrets: &[&str]) {
    let path = super::file(page);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let steps = steps(&lines);
    let printed = run(&steps, files);
    let shown: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Run { command, shown } => Some((command, shown.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(printed.len(), shown.len(), "the session ended early: {printed:#?}");
    let mut current = Vec::new();
    let mut next = 0;
    let mut stale = None;
    for ((command, lines_shown), printed) in shown.iter().zip(&printed) {
        assert!(!secrets.iter().any(|secret| printed.contains(secret)), "{command} shows a secret");
        let before = lines[lines_shown.clone()].join("\n");
        current.extend(lines[next..lines_shown.start].iter().map(|&line| line.to_owned()));
        next = lines_shown.end;
        if without_ids(&before) == without_ids(printed) {
            current.extend(lines[lines_shown.clone()].iter().map(|&line| line.to_owned()));
        } else {
            stale.get_or_insert_with(|| {
                format!("$ {command}\n{printed}\n--- and not ---\n{before}")
            });
            current.extend(printed.lines().map(str::to_owned));
        }
    }
    current.extend(lines[next..].iter().map(|&line| line.to_owned()));
    if let Some(stale) = stale {
        super::refresh(page, &(current.join("\n") + "\n"), &stale);
    }
}

fn steps(lines: &[&str]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let kind = lines[at].trim_start_matches('`');
        let fence = &lines[at][..lines[at].len() - kind.len()];
        if fence.len() < 3 || kind.is_empty() {
            at += 1;
            continue;
        }
        let start = at + 1;
        let length = lines[start..].iter().position(|line| *line == fence).unwrap();
        let end = start + length;
        match kind.split_once(' ') {
            None if kind == "console" => commands(lines, start..end, &mut steps),
            Some(("console", "terminal")) => {
                let command = lines[start].strip_prefix("$ ").unwrap().to_owned();
                steps.push(Step::Terminal { command });
            }
            Some((_, file)) => {
                let text = lines[start..end].join("\n");
                steps.push(Step::Write { file: file.to_owned(), text });
            }
            None => {}
        }
        at = end + 1;
    }
    steps
}

fn commands(lines: &[&str], block: std::ops::Range<usize>, steps: &mut Vec<Step>) {
    let mut at = block.start;
    while at < block.end {
        let mut command = lines[at].strip_prefix("$ ").unwrap().to_owned();
        at += 1;
        while let Some(more) = lines[at].strip_prefix("> ").filter(|_| at < block.end) {
            command = format!("{command}\n{more}");
            at += 1;
        }
        let start = at;
        while at < block.end && !lines[at].starts_with("$ ") {
            at += 1;
        }
        steps.push(Step::Run { command, shown: start..at });
    }
}

/// Runs the steps in one shell; what each command printed.
pub(super) fn run(steps: &[Step], files: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    for file in files {
        let name = Path::new(file).file_name().unwrap();
        fs::copy(super::file(file), home.join(name)).unwrap();
    }
    let mut address = SANDBOX.to_owned();
    let mut terminals = Vec::new();
    let mut script = "result=0\n".to_owned();
    for step in steps {
        match step {
            // The exit code of the command before it is there for `$?`.
            Step::Run { command, .. } => write!(
                script,
                "printf '{MARK}'; (exit $result)\n{{ {command}\n}} 2>&1\nresult=$?\n"
            ),
            Step::Write { file, text } => {
                write!(script, "cat > {file} <<'END OF FILE'\n{text}\nEND OF FILE\n")
            }
            Step::Terminal { command } => {
                let terminal = Terminal::open(command, &home);
                address.clone_from(&terminal.address);
                terminals.push(terminal);
                Ok(())
            }
        }
        .unwrap();
    }
    let output = shell(&script.replace(SANDBOX, &address), &home).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "", "outside of the commands");
    let printed = printed.replace(&address, SANDBOX).replace(&home.display().to_string(), HOME);
    printed.split(MARK).skip(1).map(|text| text.trim_end().to_owned()).collect()
}

/// A shell as the reader has it, the program on its path.
fn shell(script: &str, home: &Path) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_apinizer-gitops")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .current_dir(home)
        .env_clear()
        .env("PATH", format!("{}:{path}", binary.display()))
        .env("HOME", home)
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null());
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Ada")
            .env(format!("GIT_{who}_EMAIL"), "ada@example.com")
            .env(format!("GIT_{who}_DATE"), "2026-03-02T09:00:00Z");
    }
    command
}

/// A sandbox in another terminal, which ends with the session.
struct Terminal {
    child: Child,
    address: String,
}

impl Terminal {
    fn open(command: &str, home: &Path) -> Self {
        let script = format!("exec {command} --listen 127.0.0.1:0");
        let mut child =
            shell(&script, home).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut greeting).unwrap();
        let address = greeting.split("http://").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.unwrap_or_else(|| panic!("no address in `{greeting}`")).to_owned();
        Self { child, address }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A text with each commit id and each time made alike: an id holds the time and the port of a run.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| {
        [7, 12, 40].contains(&word.len()) && word.chars().all(|c| c.is_ascii_hexdigit())
    };
    let text = with_times_as(text, "a time");
    text.split_inclusive(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| {
            let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_id(bare) { word.replace(bare, "id") } else { word.to_owned() }
        })
        .collect()
}

/// A text with another time in the place of each.
pub(super) fn with_times_as(text: &str, time: &str) -> String {
    let times = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC").unwrap();
    times.replace_all(text, time).into_owned()
}
