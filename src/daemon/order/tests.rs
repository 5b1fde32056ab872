//! Random histories of two targets in an order, against what may be said of them from the outside.

use proptest::prelude::*;

use super::*;

const SOAK: i64 = 10;

#[derive(Clone, Debug)]
enum Event {
    /// A commit on top of the newest.
    Commit,
    /// A commit on top of the one this far back, which takes those between away.
    ForcePush(usize),
    /// The branch goes back this far.
    Back(usize),
    /// The first target looks at the newest commit: whether it is applied whole.
    First(bool),
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Commit),
        1 => (1..4_usize).prop_map(Event::ForcePush),
        1 => (1..4_usize).prop_map(Event::Back),
        5 => prop::bool::weighted(0.8).prop_map(Event::First),
        5 => (1..SOAK + 2).prop_map(Event::Wait),
    ]
}

/// The commits, each with the one that it was made from.
struct Git {
    parents: Vec<Option<usize>>,
    tip: usize,
}

impl Git {
    fn back(&self, from: usize, steps: usize) -> usize {
        (0..steps).fold(from, |at, _| self.parents[at].unwrap_or(at))
    }

    fn commit_on(&mut self, parent: usize) {
        self.tip = self.parents.len();
        self.parents.push(Some(parent));
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        std::iter::successors(Some(from), |at| self.parents[*at]).any(|at| at == to)
    }
}

fn id(commit: usize) -> CommitId {
    CommitId(commit.to_string())
}

fn number(id: &CommitId) -> usize {
    id.0.parse().unwrap()
}

/// Whether looks so far apart, with none between them that says otherwise, show the first target with a
/// commit applied whole.
fn has_soaked(log: &[(i64, usize, bool)], commit: usize) -> bool {
    let mut since = None;
    for (at, of, is_whole) in log.iter().copied() {
        let stands = of == commit && is_whole;
        since = since.filter(|_| stands).or(stands.then_some(at));
        if since.is_some_and(|since| at - since >= SOAK) {
            return true;
        }
    }
    false
}

proptest! {
    #[test]
    fn the_second_target_gets_what_the_first_one_has_applied_for_long_enough(
        events in prop::collection::vec(event(), 1..60)
    ) {
        let mut git = Git { parents: vec![None], tip: 0 };
        let (mut now, mut log, mut soaks, mut good) = (0, Vec::new(), Vec::new(), None);
        let soak = Duration::from_secs(SOAK.unsigned_abs());
        for event in events {
            match event {
                Event::Commit => git.commit_on(git.tip),
                Event::ForcePush(steps) => git.commit_on(git.back(git.tip, steps)),
                Event::Back(steps) => git.tip = git.back(git.tip, steps),
                Event::First(is_whole) => {
                    stand(&mut soaks, &id(git.tip), is_whole, now, &[soak]);
                    log.push((now, git.tip, is_whole));
                }
                Event::Wait(seconds) => now += seconds,
            }
            let reaches = |from: &CommitId, to: &CommitId| Ok(git.reaches(number(from), number(to)));
            let known = good.map(id);
            let given = newest_soaked(&soaks, soak, &id(git.tip), known.as_ref(), &reaches);
            let given = given.unwrap().as_ref().map(number);
            if given != good {
                let given = given.unwrap();
                prop_assert!(has_soaked(&log, given), "{given} has not soaked: {log:?}");
                prop_assert!(git.reaches(git.tip, given), "{given} was taken away");
                let is_older = good.is_some_and(|good| git.reaches(good, given));
                prop_assert!(given == git.tip || !is_older, "{given} is older than {good:?}");
            }
            if has_soaked(&log, git.tip) {
                prop_assert_eq!(given, Some(git.tip));
            }
            good = given;
        }
    }
}

#[test]
fn only_the_last_commits_are_remembered() {
    let mut soaks = Vec::new();
    for commit in 0..KEPT + 5 {
        assert!(stand(&mut soaks, &id(commit), true, 0, &[]));
        assert!(!stand(&mut soaks, &id(commit), true, 1, &[]), "it stands as it did");
    }
    assert_eq!(soaks.len(), KEPT);
    assert_eq!(soaks[0].commit, id(5));
}
