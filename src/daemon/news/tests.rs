use super::*;
use crate::plan::{Action, ChangeResult, FieldChange, Origin, TargetPlan};

fn commit(text: &str) -> CommitId {
    CommitId(text.repeat(40))
}

fn drifted(name: &str, path: &str) -> Change {
    Change {
        action: Action::Update,
        type_name: "email".to_owned(),
        name: name.into(),
        previous_name: None,
        reason: None,
        advice: None,
        fields: vec![FieldChange {
            path: path.to_owned(),
            before: None,
            after: None,
            base: None,
            sensitive: false,
            origin: Origin::Drift,
        }],
        held: false,
        rules: Vec::new(),
        place: None,
        edited: None,
        result: None,
    }
}

fn held(name: &str) -> Entry {
    Entry::new(name.into(), "email".to_owned(), State::Held)
}

fn written(change: Change, result: ChangeResult) -> Entry {
    let mut entry = Entry::new(change.name.clone(), "email".to_owned(), State::Pending);
    entry.change = Some(change);
    entry.end(result);
    entry
}

fn passed(entries: Vec<Entry>) -> PassResult {
    let plan = TargetPlan { entries, ..TargetPlan::default() };
    PassResult { plan, carried_out: true, ..PassResult::default() }
}

fn failing() -> PassResult {
    let mut passed = passed(Vec::new());
    passed.plan.errors.push("the API is down".to_owned());
    passed
}

#[derive(Default)]
struct Told(Memory);

impl Told {
    fn of(&mut self, passed: &PassResult, outcome: ReconcileOutcome, at: &str) -> Vec<NotifyEvent> {
        self.0.learn(passed, outcome, Some(&commit(at))).events
    }
}

#[test]
fn a_commit_is_applied_once() {
    let mut told = Told::default();
    let applied = PassResult { applied: true, ..passed(Vec::new()) };
    assert_eq!(told.of(&applied, ReconcileOutcome::Applied, "a"), [NotifyEvent::Applied]);
    assert!(told.of(&applied, ReconcileOutcome::InSync, "a").is_empty());
    assert_eq!(told.of(&applied, ReconcileOutcome::InSync, "b"), [NotifyEvent::Applied]);
    let memories = NewsMemory::default();
    memories.begin("prod", Some(commit("c")));
    memories.begin("prod", Some(commit("d")));
    let after_a_restart =
        memories.learn("prod", &applied, ReconcileOutcome::InSync, Some(&commit("c")));
    assert!(after_a_restart.events.is_empty() && !after_a_restart.is_newly_applied);
}

#[test]
fn a_failure_is_told_once_for_each_commit_and_so_is_its_end() {
    let mut told = Told::default();
    let fine = passed(Vec::new());
    assert!(told.of(&fine, ReconcileOutcome::InSync, "a").is_empty());
    assert_eq!(told.of(&failing(), ReconcileOutcome::Failed, "a"), [NotifyEvent::Failed]);
    assert!(told.of(&failing(), ReconcileOutcome::Failed, "a").is_empty());
    assert!(told.of(&fine, ReconcileOutcome::Interrupted, "a").is_empty());
    assert_eq!(told.of(&failing(), ReconcileOutcome::Failed, "b"), [NotifyEvent::Failed]);
    assert_eq!(told.of(&fine, ReconcileOutcome::InSync, "b"), [NotifyEvent::Recovered]);
    assert!(told.of(&fine, ReconcileOutcome::InSync, "b").is_empty());
}

#[test]
fn drift_is_told_when_it_comes_up() {
    let mut told = Told::default();
    let kept = |path| passed(vec![written(drifted("a", path), ChangeResult::Reported)]);
    assert_eq!(told.of(&kept("/port"), ReconcileOutcome::Drifted, "a"), [NotifyEvent::Drift]);
    assert!(told.of(&kept("/port"), ReconcileOutcome::Drifted, "a").is_empty());
    // A target that cannot be looked at has not recovered.
    let _ = told.of(&failing(), ReconcileOutcome::Failed, "a");
    let recovered = told.of(&kept("/port"), ReconcileOutcome::Drifted, "a");
    assert_eq!(recovered, [NotifyEvent::Recovered]);
    assert_eq!(told.of(&kept("/host"), ReconcileOutcome::Drifted, "a"), [NotifyEvent::Drift]);
    // Drift that was corrected and comes again is news; a write that fails is the same drift.
    let corrected = passed(vec![written(drifted("a", "/host"), ChangeResult::Done)]);
    assert!(told.of(&corrected, ReconcileOutcome::Applied, "a").is_empty());
    assert_eq!(told.of(&corrected, ReconcileOutcome::Applied, "a"), [NotifyEvent::Drift]);
}

#[test]
fn what_is_held_is_told_when_it_grows() {
    let mut told = Told::default();
    let with = |names: &[&str]| passed(names.iter().map(|name| held(name)).collect());
    assert_eq!(told.of(&with(&["a"]), ReconcileOutcome::Held, "a"), [NotifyEvent::Held]);
    assert!(told.of(&with(&["a"]), ReconcileOutcome::Held, "a").is_empty());
    assert_eq!(told.of(&with(&["a", "b"]), ReconcileOutcome::Held, "b"), [NotifyEvent::Held]);
    assert!(told.of(&with(&["b"]), ReconcileOutcome::Held, "b").is_empty());
    assert_eq!(told.of(&with(&[]), ReconcileOutcome::InSync, "b"), [NotifyEvent::Recovered]);
}
