//! Random histories of two targets in an order, against what the order promises of the second.

use serde_json::{Value, json};

use super::Two;
use crate::model::Random;
use crate::world::{number_of, refusal};

/// Each is some runs of the program.
const HISTORIES: u64 = 2;
const TURNS: usize = 8;

/// For how long the first target has to have applied a commit whole, in minutes.
const SOAK: usize = 60;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A commit on top of the newest.
    Commit,
    /// A commit on top of the one this far back, which takes those between away.
    ForcePush(usize),
    /// The branch goes back this far.
    Back(usize),
    /// Nobody looks for so many minutes.
    Minutes(usize),
    /// The first target cannot be read, or can be again.
    Outage,
    /// Somebody suspends the first target, or resumes it.
    Suspension,
    /// Somebody edits the second target by hand.
    Edit,
}

fn event(random: &mut Random) -> Event {
    match random.below(14) {
        0..=2 => Event::Commit,
        3 => Event::ForcePush(1 + random.below(3)),
        4 => Event::Back(1 + random.below(3)),
        5..=9 => Event::Minutes(random.of(&[20, 40, 70])),
        10 => Event::Outage,
        11 => Event::Suspension,
        _ => Event::Edit,
    }
}

/// The commits: each declares a port that no other one declares.
#[derive(Clone, Debug)]
struct Commit {
    id: String,
    parent: Option<usize>,
}

/// A look at the first target.
struct Look {
    minute: usize,
    commit: usize,
    is_whole: bool,
}

struct History {
    two: Two,
    commits: Vec<Commit>,
    tip: usize,
    minute: usize,
    is_out: bool,
    is_suspended: bool,
    looks: Vec<Look>,
    /// The commit of the second target.
    given: Option<usize>,
}

impl History {
    fn new() -> Self {
        let mut history = Self {
            two: Two::new("1h"),
            commits: Vec::new(),
            tip: 0,
            minute: 0,
            is_out: false,
            is_suspended: false,
            looks: Vec::new(),
            given: None,
        };
        history.commit_on(None);
        history.look();
        history
    }

    fn commit_on(&mut self, parent: Option<usize>) {
        if let Some(parent) = parent {
            self.two.staging.git(&["reset", "-q", "--hard", &self.commits[parent].id]);
        }
        self.tip = self.commits.len();
        let port = format!("port: {}\n", port_of(self.tip));
        let id = self.two.staging.commit_email("a", &port);
        self.commits.push(Commit { id, parent });
    }

    fn back(&self, steps: usize) -> usize {
        (0..steps).fold(self.tip, |at, _| self.commits[at].parent.unwrap_or(at))
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        std::iter::successors(Some(from), |at| self.commits[*at].parent).any(|at| at == to)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Commit => self.commit_on(Some(self.tip)),
            Event::ForcePush(steps) => self.commit_on(Some(self.back(steps))),
            Event::Back(steps) => {
                self.tip = self.back(steps);
                self.two.staging.git(&["reset", "-q", "--hard", &self.commits[self.tip].id]);
            }
            Event::Minutes(minutes) => {
                self.two.minutes_pass(minutes);
                self.minute += minutes;
            }
            Event::Outage => {
                self.is_out = !self.is_out;
                let control = self.two.staging.control();
                control.clear_faults();
                if self.is_out {
                    control.fail_next(None, "type=", refusal("not now"), usize::MAX);
                }
            }
            Event::Suspension => {
                let suspended = !self.is_suspended;
                if self.two.edit_staging(|state| state["record"]["suspended"] = json!(suspended)) {
                    self.is_suspended = suspended;
                }
            }
            Event::Edit if self.given.is_some() => self.two.prod.edit("a", "port", json!(9)),
            Event::Edit => {}
        }
    }

    /// The newest commit that the order allows.
    fn allowed(&self) -> Option<usize> {
        let is_newer = |commit: usize| match self.given {
            Some(given) => !self.reaches(given, commit),
            None => true,
        };
        let is_allowed = |commit: usize| {
            commit == self.tip || (self.reaches(self.tip, commit) && is_newer(commit))
        };
        let mut soaked = self.soaked().into_iter().rev();
        soaked.find(|commit| is_allowed(*commit)).or(self.given)
    }

    /// The commits that looks for so long showed applied whole, with none between that says otherwise.
    fn soaked(&self) -> Vec<usize> {
        let still =
            |one: &Look, next: &Look| one.is_whole && next.is_whole && one.commit == next.commit;
        let rows = self.looks.chunk_by(still);
        let long = rows.filter(|row| row[row.len() - 1].minute - row[0].minute >= SOAK);
        long.map(|row| row[0].commit).collect()
    }

    /// Both targets look. What the first one finds counts for the second from the next time on.
    fn look(&mut self) {
        for _ in 0..2 {
            self.two.staging.run(&["run", "--once", "--listen", "none"]);
        }
        let is_whole = !self.is_out && !self.is_suspended;
        self.looks.push(Look { minute: self.minute, commit: self.tip, is_whole });
        self.given = self.allowed();
    }

    fn check(&self) {
        let names = self.two.prod.names();
        let port = names.first().map(|name| self.two.prod.live(name)["port"].clone());
        let expected = self.given.map(|commit| Value::from(port_of(commit)));
        assert_eq!(port, expected, "prod has the commit {:?}", self.given);
    }
}

fn port_of(commit: usize) -> usize {
    1000 + commit
}

#[test]
fn random_histories_of_two_targets_keep_the_order() {
    let first = number_of("ORDER_SEED").unwrap_or(1);
    for seed in first..first + number_of("ORDER_HISTORIES").unwrap_or(HISTORIES) {
        let mut random = Random(seed);
        let mut history = History::new();
        let mut told = Vec::new();
        for _ in 0..TURNS {
            let events: Vec<Event> = (0..1 + random.below(2)).map(|_| event(&mut random)).collect();
            told.push(events.clone());
            println!("ORDER_SEED={seed}: {told:?}");
            events.into_iter().for_each(|event| history.happen(event));
            history.look();
            history.check();
        }
    }
}
