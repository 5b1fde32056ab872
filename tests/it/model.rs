//! Random histories of commits, console edits, lost answers and kills, checked after every step
//! against a small independent model of what may be deleted and what must be kept.
//!
//! `MODEL_HISTORIES=N` runs more histories; `MODEL_SEED=S` replays one.

use std::collections::{BTreeMap, BTreeSet};

use apinizer_gitops::sandbox::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::crashes::kill_at_first_write;
use crate::world::{CANARY, World, email_body};

const NAMES: [&str; 5] = ["alpha", "bravo", "carol", "delta", "eagle"];

/// `SplitMix64`: the same history for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn name(&mut self) -> &'static str {
        NAMES[usize::try_from(self.below(NAMES.len() as u64)).unwrap()]
    }
}

struct Document {
    port: u64,
    protect: bool,
}

/// What the rules say, written without a look at the program.
#[derive(Default)]
struct Model {
    declared: BTreeMap<String, Document>,
    /// Names that a commit removed while they were protected.
    outliving: BTreeSet<String>,
    /// What somebody made in the console and git never declared.
    by_hand: BTreeMap<String, Value>,
    /// What somebody wrote into a field that git does not declare.
    described: BTreeMap<String, u64>,
}

struct History {
    world: World,
    model: Model,
    random: Random,
    log: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        world.target("max_deletes: 100");
        let mut history =
            Self { world, model: Model::default(), random: Random(seed), log: Vec::new() };
        // One that stays: a delete of everything is held by another rule.
        history.declare("anchor", 25, true);
        history
    }

    fn declare(&mut self, name: &str, port: u64, protect: bool) {
        let more = format!("port: {port}\nx-gitops: {{protect: {protect}}}\n");
        self.world.commit_email(name, &more);
        self.model.outliving.remove(name);
        self.model.declared.insert(name.to_owned(), Document { port, protect });
        self.log.push(format!("declare {name} port {port} protect {protect}"));
    }

    fn remove(&mut self, name: &str) {
        let Some(document) = self.model.declared.remove(name) else { return };
        self.world.remove(&format!("connections/{name}.yaml"));
        self.world.commit("remove");
        if document.protect {
            self.model.outliving.insert(name.to_owned());
        } else {
            self.model.described.remove(name);
        }
        self.log.push(format!("remove {name}"));
    }

    fn step(&mut self) {
        let name = self.random.name();
        match self.random.below(7) {
            0..=2 => {
                let (port, protect) = (1 + self.random.below(9999), self.random.below(5) == 0);
                self.declare(name, port, protect);
            }
            3 => self.remove(name),
            4 => {
                let hand = format!("hand-{}", self.random.below(3));
                self.world.make(email_body(&hand));
                self.model.by_hand.insert(hand.clone(), self.world.live(&hand));
                self.log.push(format!("make {hand}"));
            }
            5 if self.model.declared.contains_key(name) => {
                let text = self.random.below(1000);
                self.world.edit(name, "host", json!("drifted.example.com"));
                self.world.edit(name, "description", json!(text.to_string()));
                self.model.described.insert(name.to_owned(), text);
                self.log.push(format!("edit {name}"));
            }
            _ if self.model.declared.contains_key(name) => {
                assert!(self.world.control().remove("demo", name));
                self.model.described.remove(name);
                self.log.push(format!("delete {name} by hand"));
            }
            _ => {}
        }
        self.disturb();
        self.settle();
    }

    /// An apply that loses answers or is killed in the middle; it may end as it likes.
    fn disturb(&mut self) {
        let fault = match self.random.below(8) {
            0 => Fault::Lost,
            1 => Fault::Truncated,
            2 => Fault::LateError,
            3 => Fault::Undeployed,
            4 | 5 => {
                self.log.push("kill".to_owned());
                kill_at_first_write(&self.world, self.random.below(2) == 0);
                return;
            }
            _ => return,
        };
        self.log.push(format!("{fault:?}"));
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            self.world.control().fail_next(Some(method), "/connections/", fault.clone(), 1);
        }
        self.world.apply();
        self.world.control().clear_faults();
    }

    fn settle(&mut self) {
        self.world.forget_calls();
        self.world.plan();
        assert_eq!(self.world.writes(), [""; 0], "a plan writes nothing");
        let expected = if self.model.outliving.is_empty() { 0 } else { 3 };
        self.world.apply().code(expected);
        self.check();
        self.world.forget_calls();
        self.world.apply().code(expected);
        assert_eq!(self.world.writes(), [""; 0], "a second apply writes nothing");
    }

    fn check(&self) {
        let names: BTreeSet<String> = self.world.names().into_iter().collect();
        let model = &self.model;
        let expected = model.declared.keys().chain(&model.outliving).chain(model.by_hand.keys());
        assert_eq!(names, expected.cloned().collect(), "what is there");
        for (name, body) in &model.by_hand {
            assert_eq!(&self.world.live(name), body, "unmanaged {name} is untouched");
        }
        for (name, document) in &model.declared {
            let live = self.world.live(name);
            assert_eq!(live["port"], json!(document.port), "{name}");
            assert_eq!(live["host"], json!("smtp.example.com"), "{name}");
            assert_eq!(live["password"], json!(CANARY), "the secret of {name} is whole");
            if let Some(text) = model.described.get(name) {
                assert_eq!(live["description"], json!(text.to_string()), "{name}");
            }
        }
    }
}

#[test]
fn random_histories_keep_the_rules() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MODEL_HISTORIES").unwrap_or(6),
    };
    for seed in seeds {
        let mut history = History::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..8 {
                history.step();
            }
        }));
        assert!(outcome.is_ok(), "MODEL_SEED={seed} fails after {:#?}", history.log);
    }
}
