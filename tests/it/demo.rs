//! `demo`: what a newcomer sees first, and the lines that it offers for pasting.

use std::fs::File;
use std::process::{Child, Command};

use crate::running::{eventually, send_signal};
use crate::world::World;

/// A process that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_shows_what_happens_and_its_own_lines_work() {
    let world = World::new();
    let [out, log] = ["out", "log"].map(|name| world.path(name));
    let said = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let mut command = world.command(&["demo", "--listen", "127.0.0.1:0"]);
    command.env("COLUMNS", "80");
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&log).unwrap());
    let mut demo = Ended(command.spawn().unwrap());
    let logged = |what: &str| eventually(what, || said(&log).contains(what));
    logged("ldap `company-directory` was created target=\"staging\"");
    logged("webhook `fraud-check` was updated");
    logged("the commit is applied target=\"prod\"");
    let text = said(&out);
    let before = text.split("Try in another terminal").next().unwrap();
    assert!(before.lines().count() <= 60, "{before}");
    assert!(
        before.contains("Plan: 14 to create, 1 to update, 1 to rename; 1 unmanaged."),
        "{text}"
    );

    // The lines below the head of an offer, as they would be pasted into one terminal.
    let offer = |number: &str| -> String {
        let lines = text.lines().skip_while(|line| !line.starts_with(number)).skip(1);
        lines.take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
    };
    let folder = offer("1.").lines().next().unwrap().trim().to_owned();
    let paste = |lines: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-ec", &format!("{folder}\n{lines}")]).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let ran = shell.output().unwrap();
        assert!(ran.status.success(), "{lines}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    paste(&offer("1."));
    logged("`carrier-files` was updated in retryCount");
    paste(&offer("3."));
    logged("`batch-host` was deleted");
    let patched = world.block_on(async {
        let line = offer("2.");
        let url = line.split_whitespace().find(|word| word.starts_with("http")).unwrap().to_owned();
        reqwest::Client::new().patch(url).body(r#"{"timeout": 99}"#).send().await.unwrap()
    });
    assert!(patched.status().is_success());
    logged("webhook `fraud-check` drifted");
    paste(&offer("4."));
    logged("AG303");
    assert_eq!(paste("git status --porcelain"), "", "nothing is left behind");
    let folder = folder.strip_prefix("cd ").unwrap();
    send_signal(demo.0.id(), "-TERM");
    assert_eq!(demo.0.wait().unwrap().code(), Some(0));
    assert!(!std::path::Path::new(folder).exists());
}
