//! A secret file that rotates while a pass runs.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use notify::event::AccessKind;
use notify::{EventKind, RecursiveMode, Watcher as _};
use serde_json::json;

use crate::running::{Running, eventually};
use crate::world::{World, email};

/// How many connections a pass looks at between its look-ups of the secret.
const OTHERS: usize = 300;

/// A file that is replaced by a new one when it has been opened so often.
struct Rotating {
    path: PathBuf,
    opened: Receiver<()>,
    _watcher: notify::RecommendedWatcher,
}

impl Rotating {
    fn start(path: PathBuf) -> Self {
        let (sender, opened) = channel();
        let file = path.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let Ok(event) = event else { return };
                let is_open = matches!(event.kind, EventKind::Access(AccessKind::Open(_)));
                if is_open && event.paths.contains(&file) {
                    let _ = sender.send(());
                }
            })
            .unwrap();
        watcher.watch(path.parent().unwrap(), RecursiveMode::NonRecursive).unwrap();
        Self { path, opened, _watcher: watcher }
    }

    /// Rotates the file once it has been opened so often from now on; who has it open reads on in
    /// the older one.
    fn rotate_after(&self, times: usize, value: &str) {
        while self.opened.try_recv().is_ok() {}
        for _ in 0..times {
            self.opened.recv_timeout(Duration::from_secs(30)).unwrap();
        }
        replace(&self.path, value);
    }
}

fn replace(path: &Path, value: &str) {
    let newer = path.with_extension("newer");
    std::fs::write(&newer, value).unwrap();
    std::fs::rename(newer, path).unwrap();
}

/// Wherever in a pass the file rotates, a later pass sends the newer value.
#[test]
fn a_secret_file_that_rotates_within_a_pass_is_sent() {
    let mut world = World::new();
    world.target("resync: 1s");
    let folder = world.path("secrets");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("rotating");
    replace(&path, "value-0");
    world.env.insert("ROTATING_FILE".into(), path.display().to_string());
    for number in 0..OTHERS {
        let document = format!("type: email\nname: n{number}\nhost: h\n");
        world.write(&format!("connections/n{number}.yaml"), &document);
    }
    world.write("connections/a.yaml", &email("a", "").replace("SMTP_PASSWORD", "ROTATING"));
    world.commit("all");
    let _daemon = Running::start(&world, &[]);
    let password = || {
        let a = world.control().get(crate::world::PROJECT, "a");
        a.map(|a| a["password"].clone()).unwrap_or_default()
    };
    eventually("it is created", || password() == json!("value-0"));
    let rotating = Rotating::start(path);
    for times in 1..=4 {
        let value = format!("value-{times}");
        rotating.rotate_after(times, &value);
        eventually(&format!("sent, after {times} look-ups"), || password() == json!(value));
    }
}
