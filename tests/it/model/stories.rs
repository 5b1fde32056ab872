//! Turns in a row that lead to a rule which turns drawn one by one seldom meet.

use serde_json::json;

use super::document::{BASE, Kind, MISTYPED, OVERLAY};
use super::memory::Flags;
use super::steps::{Disturbance, Event, NAMES, Random, Turn};

pub(crate) fn draw(random: &mut Random) -> Vec<Turn> {
    let name = random.of(&NAMES);
    let kind = random.of(&Kind::ALL);
    let declare = Event::Declare(name, kind, 1001);
    match random.below(4) {
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
