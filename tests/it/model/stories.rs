//! Turns in a row that lead to a rule which turns drawn one by one seldom meet.

use serde_json::json;

use super::document::{BASE, Broken, Kind, MISTYPED, OVERLAY};
use super::memory::{Flags, MaxDeletes};
use super::steps::{Disturbance, Event, NAMES, Random, Turn};

pub(crate) fn draw(random: &mut Random) -> Vec<Turn> {
    let name = random.of(&NAMES);
    let kind = random.of(&Kind::ALL);
    let declare = Event::Declare(name, kind, 1001);
    match random.below(6) {
        // Made anew by hand before its id was known, and then removed.
        0 => {
            let made = Turn { disturbance: Some(Disturbance::IdLists), ..turn(vec![declare]) };
            vec![made, turn(vec![Event::ConsoleReplace(name), Event::Remove(name)])]
        }
        // A patch leaves while the path of its base is mistyped.
        1 => {
            let patch = Event::Patch(name, "description", json!("patched"));
            let mistyped = Event::Paths(vec![MISTYPED, OVERLAY]);
            vec![turn(vec![declare, patch]), turn(vec![mistyped]), turn(vec![Event::Unpatch(name)])]
        }
        // The path of a patch that protects is mistyped for one run, and then the document is removed.
        2 => {
            let mistyped = Event::Paths(vec![BASE, MISTYPED]);
            let right = Event::Paths(vec![BASE, OVERLAY]);
            let first = turn(vec![declare, Event::ProtectByPatch(name)]);
            vec![first, turn(vec![mistyped]), turn(vec![right]), turn(vec![Event::Remove(name)])]
        }
        // Consent of a commit that never loads, after which another declares the name again.
        3 => {
            let (name, other) = if name == "e" { ("a", "b") } else { (name, "e") };
            let declare = Event::Declare(name, kind, 1001);
            let both = vec![declare.clone(), Event::Declare(other, kind, 1001)];
            let max = Event::Max(MaxDeletes::Count(0));
            let broken = Event::Break(other, Broken::Document);
            let consent = turn(vec![max, Event::Remove(name), Event::Consent, broken]);
            let removed = turn(vec![Event::Mend, Event::Remove(name)]);
            vec![turn(both), consent, turn(vec![declare]), removed]
        }
        // A list lacks one name while another is to be deleted.
        4 => {
            let late = Some(Disturbance::LateList(name));
            let other = if name == "e" { "a" } else { "e" };
            let both = vec![declare, Event::Declare(other, kind, 1001)];
            vec![turn(both), Turn { disturbance: late, ..turn(vec![Event::Remove(other)]) }]
        }
        // Consent to a name that reads like a pattern.
        _ => {
            let both = [("a", kind), ("a*", Kind::Email)];
            let both = both.map(|(name, kind)| Event::Declare(name, kind, 1001)).to_vec();
            let allow_delete = vec!["a*".to_owned()];
            let flags = Flags { allow_deletes: true, allow_delete, ..Flags::default() };
            let consent = Turn { flags, ..turn(vec![Event::Paths(vec![OVERLAY])]) };
            vec![turn(both), consent]
        }
    }
}

fn turn(events: Vec<Event>) -> Turn {
    Turn {
        events,
        flags: Flags::default(),
        disturbance: None,
        stateless: false,
        is_last_look: true,
    }
}
