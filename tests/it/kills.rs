//! `kill -9` at random moments of random changes: by the number of calls that arrived, by time,
//! and while the state is between its write and its rename. The next run makes it good.
//!
//! `KILLS=N` kills more often (`KILLS=200 cargo test --test it kills`), `KILL_SEED=S` draws other
//! moments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use apinizer_gitops::testing::sandbox::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::faults::Moment as Gate;
use crate::running::Applying;
use crate::secrets::masked;
use crate::world::{CANARY, World, email, email_body, ftp, number_of};

const NAMES: [&str; 7] = ["alpha", "bravo", "carol", "delta", "eagle", "fox", "golf"];

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Once so many calls have arrived.
    Calls(u64),
    After(Duration),
    /// Once the new state has been begun so often, before it takes the place of the old one.
    State(u64),
}

impl Moment {
    fn drawn(random: &mut fastrand::Rng) -> Self {
        match random.u64(..3) {
            0 => Self::Calls(1 + random.u64(..36)),
            1 => Self::After(Duration::from_millis(random.u64(..400))),
            _ => Self::State(1 + random.u64(..3)),
        }
    }
}

struct Killer<'a> {
    world: &'a World,
    began: Instant,
    calls_before: u64,
    states_seen: u64,
    state_is_there: bool,
}

impl Killer<'_> {
    fn has_come(&mut self, moment: Moment) -> bool {
        let is_there = holds_new_state(&self.world.state_dir());
        self.states_seen += u64::from(is_there && !self.state_is_there);
        self.state_is_there = is_there;
        match moment {
            Moment::Calls(calls) => self.world.control().call_count() - self.calls_before >= calls,
            Moment::After(time) => self.began.elapsed() >= time,
            Moment::State(times) => self.states_seen >= times,
        }
    }
}

fn holds_new_state(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|f| f.path().extension().is_some_and(|e| e == "new")))
    })
}

/// Starts an apply or a daemon and kills it; `false`: it had ended by itself.
fn kill_one(world: &World, random: &mut fastrand::Rng) -> bool {
    let arguments: &[&str] = match random.u64(..3) {
        0 => &["run", "--listen", "none"],
        _ => &["apply", "--yes"],
    };
    let moment = Moment::drawn(random);
    let mut killer = Killer {
        world,
        began: Instant::now(),
        calls_before: world.control().call_count(),
        states_seen: 0,
        state_is_there: holds_new_state(&world.state_dir()),
    };
    let mut command = world.command(arguments);
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // A daemon that has nothing more to do waits for ever.
    while !killer.has_come(moment) && killer.began.elapsed() < Duration::from_secs(2) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

/// The declarations in git: type and port of each name.
#[derive(Default)]
struct Declared {
    connections: BTreeMap<String, (bool, u64)>,
    /// Those whose documents say which name they come from.
    renamed: Vec<String>,
}

impl Declared {
    fn write(world: &World, name: &str, is_ftp: bool, port: u64, more: &str) {
        let document = if is_ftp { ftp } else { email };
        let text = document(name, &format!("port: {port}\n{more}"));
        world.write(&format!("connections/{name}.yaml"), &text);
    }

    /// Makes a commit of some changes, each of other names.
    fn change(&mut self, world: &World, random: &mut fastrand::Rng) {
        // A rename that is done says nothing any more, and two may not come from one name.
        for name in std::mem::take(&mut self.renamed) {
            if let Some((is_ftp, port)) = self.connections.get(&name) {
                Self::write(world, &name, *is_ftp, *port, "");
            }
        }
        let mut touched = BTreeSet::new();
        for _ in 0..1 + random.u64(..4) {
            let name = NAMES[random.usize(..NAMES.len())];
            if !touched.insert(name) {
                continue;
            }
            let port = 1 + random.u64(..9999);
            let known = self.connections.get(name).copied();
            match (known, random.u64(..5)) {
                (Some(_), 0) => {
                    self.connections.remove(name);
                    world.remove(&format!("connections/{name}.yaml"));
                }
                (Some((is_ftp, port)), 1) => {
                    let free = NAMES
                        .iter()
                        .find(|n| !self.connections.contains_key(**n) && !touched.contains(*n));
                    let Some(new) = free else { continue };
                    touched.insert(new);
                    self.renamed.push((*new).to_owned());
                    self.connections.remove(name);
                    self.connections.insert((*new).to_owned(), (is_ftp, port));
                    world.remove(&format!("connections/{name}.yaml"));
                    let more = format!("x-gitops: {{renamedFrom: {name}}}\n");
                    Self::write(world, new, is_ftp, port, &more);
                }
                (Some((is_ftp, _)), 2) => {
                    self.connections.insert(name.to_owned(), (!is_ftp, port));
                    Self::write(world, name, !is_ftp, port, "");
                }
                (known, _) => {
                    let is_ftp = known.is_some_and(|(is_ftp, _)| is_ftp);
                    self.connections.insert(name.to_owned(), (is_ftp, port));
                    Self::write(world, name, is_ftp, port, "");
                }
            }
        }
        world.commit("change");
    }

    fn check(&self, world: &World, by_hand: &Value) {
        assert_eq!(&world.live("by-hand"), by_hand, "what nobody declared is untouched");
        let names: BTreeSet<String> = world.names().into_iter().collect();
        let declared = self.connections.keys().cloned().chain(["anchor".to_owned()]);
        let mut expected: BTreeSet<String> = declared.collect();
        let owned: BTreeSet<String> =
            world.remembered("owned").as_object().unwrap().keys().cloned().collect();
        assert_eq!(owned, expected, "what is owned is what git declares");
        expected.insert("by-hand".to_owned());
        assert_eq!(names, expected, "nothing is left over, and nothing is missing");
        for (name, (is_ftp, port)) in &self.connections {
            let live = world.live(name);
            assert_eq!(live["type"], json!(if *is_ftp { "ftp" } else { "email" }), "{name}");
            assert_eq!(live["port"], json!(port), "{name}");
            assert_eq!(live["password"], json!(CANARY), "the secret of {name} is whole");
        }
    }
}

#[test]
fn kills_at_random_moments_are_made_good_by_the_next_run() {
    let wanted = number_of("KILLS").unwrap_or(12);
    let mut random = fastrand::Rng::with_seed(number_of("KILL_SEED").unwrap_or(0));
    let mut kills = 0;
    while kills < wanted {
        let mut world = World::with(Options { latency: Duration::from_millis(2), ..masked() });
        world.target("max_deletes: 100\nconcurrency: 3");
        world.make(email_body("by-hand"));
        let by_hand = world.live("by-hand");
        world.settle(&["anchor"]);
        let mut declared = Declared::default();
        for _ in 0..10 {
            declared.change(&world, &mut random);
            for _ in 0..1 + random.u64(..3) {
                kills += u64::from(kill_one(&world, &mut random));
            }
            world.apply().code(0);
            declared.check(&world, &by_hand);
            world.forget_calls();
            world.apply().code(0);
            assert_eq!(world.writes(), [""; 0], "a second apply writes nothing");
            let files = std::fs::read_dir(world.state_dir()).unwrap().count();
            assert_eq!(files, 3, "a state, its lock and its history; a kill leaves nothing");
            if kills >= wanted {
                break;
            }
        }
    }
}

#[test]
fn two_kills_before_the_call_give_nothing_up() {
    let world = World::settled(&["a"]);
    world.commit_email("a", "port: 2626\n");
    for _ in 0..3 {
        // Its plan is made and noted, and nothing of it was sent.
        let gate = world.control().gate(Some(Method::GET), "/a/", Gate::Before);
        assert!(Applying::until(&world, &gate).kill());
    }
    assert_ne!(world.live("a")["port"], json!(2626));
    world.apply().code(0);
    assert_eq!(world.live("a")["port"], json!(2626));
    let plan = world.plan().code(0);
    assert!(!plan.stdout.contains("not converging"), "{plan:?}");
}
