//! Turns in a row that lead to a rule which turns drawn one by one seldom meet.

use serde_json::json;

use super::document::{BASE, Broken, Kind, MISTYPED, OTHER_OVERLAY, OVERLAY, SECRET};
use super::memory::{Flags, MaxDeletes, Shows};
use super::steps::{Disturbance, Event, NAMES, Random, Turn};

pub(crate) fn draw(random: &mut Random) -> Vec<Turn> {
    let name = random.of(&NAMES);
    let kind = random.of(&Kind::ALL);
    let declare = Event::Declare(name, kind, 1001);
    match random.below(13) {
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
        // A consent that waits for a rename, and a commit that never loads and declares the name again.
        3 => {
            let [old, new, other] = ["a", "b", "e"];
            let all = [old, new, other].map(|name| Event::Declare(name, kind, 1001)).to_vec();
            let max = Event::Max(MaxDeletes::Count(0));
            let rename = Event::RenamedFrom(new, Some(old));
            let consent = vec![max, rename, Event::Remove(old), Event::Consent];
            let back = Event::Declare(old, kind, 1001);
            let broken = Event::Break(other, Broken::Document);
            let no_rename = Event::RenamedFrom(new, None);
            let removed = vec![Event::Mend, no_rename, Event::Remove(old)];
            vec![turn(all), turn(consent), turn(vec![back, broken]), turn(removed)]
        }
        // A list lacks one name while another is to be deleted.
        4 => {
            let late = Some(Disturbance::LateList(name));
            let other = if name == "e" { "a" } else { "e" };
            let both = vec![declare, Event::Declare(other, kind, 1001)];
            vec![turn(both), Turn { disturbance: late, ..turn(vec![Event::Remove(other)]) }]
        }
        // A server that showed secrets in clear shows cipher text instead, another one at each look.
        5 => {
            let kind = Kind::Ftp;
            let other = if name == "e" { "a" } else { "e" };
            let shown = Event::Shows(Shows::All);
            let both =
                vec![shown, Event::Declare(name, kind, 1001), Event::Declare(other, kind, 1)];
            let ignored = vec![Event::Ignore(name, SECRET), Event::Set(name, "port", json!(1002))];
            let cipher = Event::Shows(Shows::FreshCipherText);
            let edited = vec![cipher, Event::Set(name, "port", json!(1003))];
            vec![turn(both), turn(ignored), turn(edited)]
        }
        // A rename whose PUT would wipe the password on a server that hides it.
        6 => {
            let (old, new) = if name == "e" { ("a", "b") } else { (name, "e") };
            let renamed = vec![Event::Rename(old, new, true), Event::Ignore(new, SECRET)];
            vec![turn(vec![Event::Declare(old, Kind::Ftp, 1001)]), turn(renamed)]
        }
        // The config names the overlay no more, or another one, and then the document changes.
        7 => {
            let patch = Event::Patch(name, "description", json!("patched"));
            let without = Event::Paths(random.of(&[vec![BASE], vec![BASE, OTHER_OVERLAY]]));
            let other = Event::PatchElsewhere(name, "custom", json!("elsewhere"));
            let edited = Event::Declare(name, kind, 1002);
            let first = turn(vec![declare, patch, other, Event::ProtectByPatch(name)]);
            vec![first, turn(vec![without]), turn(vec![edited]), turn(vec![Event::Remove(name)])]
        }
        // A patch becomes a link, and the document changes and goes.
        8 => {
            let patch = Event::Patch(name, "description", json!("patched"));
            let linked = vec![Event::LinkPatch(name), Event::Declare(name, kind, 1002)];
            let first = turn(vec![declare, patch, Event::ProtectByPatch(name)]);
            let unlinked = vec![Event::LinkPatch(name), Event::Unpatch(name)];
            vec![first, turn(linked), turn(unlinked), turn(vec![Event::Remove(name)])]
        }
        // Without a state a path is mistyped, and a document goes.
        9 => {
            let other = if name == "e" { "a" } else { "e" };
            let both =
                vec![declare, Event::Declare(other, kind, 1), Event::Max(MaxDeletes::Count(9))];
            let gone = vec![Event::Remove(other), Event::Paths(vec![BASE, MISTYPED])];
            vec![turn(both), Turn { stateless: true, ..turn(gone) }]
        }
        // A document becomes a link to one of the same text.
        10 => {
            let other = if name == "e" { "a" } else { "e" };
            let both =
                vec![declare, Event::Declare(other, kind, 1), Event::Max(MaxDeletes::Count(9))];
            vec![turn(both), turn(vec![Event::Link(name)]), turn(vec![Event::Remove(other)])]
        }
        // A rename while the layer that protects is not read, and then the document is removed.
        11 => {
            let (old, new) = if name == "e" { ("a", "b") } else { (name, "e") };
            let patch = Event::Patch(old, "description", json!("patched"));
            let declare = Event::Declare(old, kind, 1001);
            let not_read = random.of(&[
                Event::Paths(vec![BASE, MISTYPED]),
                Event::Paths(vec![BASE]),
                Event::LinkPatch(new),
                Event::EmptyPath(OVERLAY),
            ]);
            let renamed = turn(vec![Event::Rename(old, new, true), not_read]);
            let right = turn(vec![Event::Paths(vec![BASE, OVERLAY])]);
            let first = turn(vec![declare, patch, Event::ProtectByPatch(old)]);
            vec![first, renamed, right, turn(vec![Event::Remove(new)])]
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
