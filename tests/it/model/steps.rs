//! The steps of a history: commits, console edits, settings, and runs that go wrong. Steps
//! are plain data made from a seed, so that a failing history can be made shorter; one whose
//! precondition is not met does nothing.

use serde_json::{Value, json};

use crate::faults::Moment;

use super::document::{BASE, Broken, Kind, MISTYPED, OTHER_OVERLAY, OVERLAY};
use super::memory::{Adopt, Flags, MaxDeletes, Shows};

pub(crate) const NAMES: [&str; 6] = ["a", "b", "c d", "e", "f%", "a*"];

/// `SplitMix64`: the same history for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Declare(&'static str, Kind, u64),
    Set(&'static str, &'static str, Value),
    Drop(&'static str, &'static str),
    Remove(&'static str),
    /// The overlay's part stays.
    RemoveBase(&'static str),
    /// Its file becomes a link, or a file again.
    Link(&'static str),
    /// Its patch becomes a link, or a file again.
    LinkPatch(&'static str),
    /// A folder of documents becomes a link, or a folder again.
    LinkFolder,
    Protect(&'static str),
    Suspend(&'static str),
    Elsewhere(&'static str),
    Ignore(&'static str, &'static str),
    /// The document of the first name moves to the second, with or without `renamedFrom`.
    Rename(&'static str, &'static str, bool),
    RenamedFrom(&'static str, Option<&'static str>),
    Retype(&'static str, Kind),
    Patch(&'static str, &'static str, Value),
    /// In a folder that the config names only by mistake.
    PatchElsewhere(&'static str, &'static str, Value),
    Unpatch(&'static str),
    ProtectByPatch(&'static str),
    EmptyPath(&'static str),
    Break(&'static str, Broken),
    Mend,
    Consent,
    ConsoleCreate(&'static str, Kind),
    ConsoleEdit(&'static str, &'static str, Value),
    /// Somebody edits its port before every run from now on, or does so no more.
    ConsoleHabit(&'static str),
    ConsoleDelete(&'static str),
    ConsoleRecreate(&'static str),
    /// Somebody deletes it and makes another one under its name.
    ConsoleReplace(&'static str),
    Rotate(&'static str, Option<u64>),
    Paths(Vec<&'static str>),
    Prune(bool),
    Max(MaxDeletes),
    Adopt(Adopt),
    Report(bool),
    Isolate(bool),
    Host(&'static str),
    LoseState,
    /// Somebody suspends the target, or resumes it.
    SuspendTarget(bool),
    NewProcess,
    /// The server shows secrets in another way from now on.
    Shows(Shows),
}

/// How a run goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Disturbance {
    /// Writes fail so, so often each.
    Writes(Failure, usize),
    /// Reads of single connections fail so often.
    Reads(usize),
    /// A list fails so.
    Lists(ListFailure),
    /// A list lacks a name that a read of it shows.
    LateList(&'static str),
    /// The lists at the end of a run, which tell the ids of what it created, cannot be read.
    IdLists,
    /// The process dies after so many changes, at its next write.
    Crash(usize, Moment),
    /// The server refuses every POST.
    RefusePosts,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Lost,
    Truncated,
    LateError,
    LateHtml,
    Undeployed,
    Error,
    RateLimited,
    Reset,
    Html,
    SaysFailed,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum ListFailure {
    Error,
    Short,
    NoName,
    Html,
}

/// Some events, one commit if they touched git, and a run.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) events: Vec<Event>,
    pub(crate) flags: Flags,
    pub(crate) disturbance: Option<Disturbance>,
    /// The run compares with the last applied commit, without a state.
    pub(crate) stateless: bool,
    /// Nothing looks at live between this run and the next events.
    pub(crate) is_last_look: bool,
}

pub(crate) fn turn(random: &mut Random) -> Turn {
    let count = 1 + random.below(4);
    let events = (0..count).map(|_| event(random)).collect();
    let mut flags = Flags::default();
    match random.below(16) {
        0 => flags.allow_deletes = true,
        1 => flags.names = vec![random.of(&NAMES).to_owned(), random.of(&NAMES).to_owned()],
        2 => flags.types = vec![random.of(&Kind::ALL)],
        3 => flags.resend = true,
        4 => {
            flags.allow_deletes = true;
            flags.names = vec![random.of(&NAMES).to_owned()];
        }
        5 => flags.allow_delete = vec![random.of(&NAMES).to_owned()],
        _ => {}
    }
    let disturbance = random.one_in(3).then(|| disturbance(random));
    let stateless = random.one_in(8);
    let is_last_look = random.one_in(3);
    Turn { events, flags, disturbance, stateless, is_last_look }
}

fn disturbance(random: &mut Random) -> Disturbance {
    use Failure as F;
    match random.below(10) {
        0..=3 => {
            let failures = [
                F::Lost,
                F::Truncated,
                F::LateError,
                F::LateHtml,
                F::Undeployed,
                F::Error,
                F::RateLimited,
                F::Reset,
                F::Html,
                F::SaysFailed,
            ];
            Disturbance::Writes(random.of(&failures), 1 + random.below(4))
        }
        4 => Disturbance::Reads(1 + random.below(6)),
        5 => Disturbance::Lists(random.of(&[
            ListFailure::Error,
            ListFailure::Short,
            ListFailure::NoName,
            ListFailure::Html,
        ])),
        9 => Disturbance::LateList(random.of(&NAMES)),
        6 => random.of(&[Disturbance::RefusePosts, Disturbance::IdLists]),
        _ => Disturbance::Crash(random.below(3), random.of(&[Moment::Before, Moment::After])),
    }
}

fn event(random: &mut Random) -> Event {
    let name = random.of(&NAMES);
    let other = random.of(&NAMES);
    let port = 1000 + random.below(9) as u64;
    match random.below(76) {
        0..=11 => Event::Declare(
            name,
            random.of(&[Kind::Email, Kind::Email, Kind::Ftp, Kind::Syslog]),
            port,
        ),
        12..=15 => git_field(random, name),
        16..=17 => {
            Event::Drop(name, random.of(&["description", "port", "password", "from", "custom"]))
        }
        18..=24 => Event::Remove(name),
        25 => Event::Protect(name),
        26 => Event::Suspend(name),
        27 => Event::Elsewhere(name),
        28 => Event::Ignore(name, random.of(&["description", "port", "password"])),
        29..=32 => Event::Rename(name, other, !random.one_in(5)),
        33 => Event::RenamedFrom(name, (!random.one_in(3)).then_some(other)),
        34..=36 => Event::Retype(name, random.of(&Kind::ALL)),
        37..=38 => {
            let value = random.of(&[json!("patched"), Value::Null]);
            Event::Patch(name, random.of(&["description", "custom"]), value)
        }
        39 => Event::Unpatch(name),
        40 => Event::EmptyPath(random.of(&[BASE, OVERLAY, OVERLAY])),
        41 => Event::Break(name, random.of(&[Broken::Document, Broken::File])),
        42..=43 => Event::Mend,
        44..=45 => Event::Consent,
        46..=47 => Event::ConsoleCreate(name, random.of(&Kind::ALL)),
        48..=51 => console_field(random, name),
        52..=53 => Event::ConsoleDelete(name),
        54 => random.of(&[Event::ConsoleRecreate(name), Event::ConsoleReplace(name)]),
        55..=56 => {
            let value = (!random.one_in(4)).then(|| random.below(3) as u64);
            Event::Rotate(random.of(&["FIRST", "SECOND"]), value)
        }
        57 => Event::Paths(random.of(&[
            vec![BASE, OVERLAY],
            vec![BASE, OVERLAY],
            vec![BASE],
            vec![MISTYPED],
            vec![OVERLAY],
            vec![BASE, MISTYPED],
            vec![BASE, OTHER_OVERLAY],
            vec![MISTYPED, OVERLAY],
        ])),
        58 => Event::Prune(!random.one_in(3)),
        59..=60 => Event::Max(random.of(&[
            MaxDeletes::Count(0),
            MaxDeletes::Count(1),
            MaxDeletes::Count(2),
            MaxDeletes::Count(10),
            MaxDeletes::Percent(30),
            MaxDeletes::Percent(80),
        ])),
        61 => Event::Adopt(random.of(&[Adopt::Always, Adopt::Always, Adopt::Equal, Adopt::Never])),
        62 => Event::Report(random.one_in(2)),
        63 => Event::Isolate(random.one_in(2)),
        64 => random.of(&[
            Event::Host("one.example.com"),
            Event::Host("two.example.com"),
            Event::NewProcess,
        ]),
        65 => random.of(&[Event::LoseState, Event::NewProcess, Event::NewProcess]),
        66 => Event::ProtectByPatch(name),
        67 => Event::RemoveBase(name),
        68 => Event::Link(name),
        71 => Event::LinkFolder,
        72 => Event::LinkPatch(name),
        73 => {
            Event::PatchElsewhere(name, random.of(&["description", "custom"]), json!("elsewhere"))
        }
        70 => Event::ConsoleHabit(name),
        69 => Event::SuspendTarget(random.one_in(3)),
        _ => Event::Shows(random.of(&[
            Shows::All,
            Shows::Some,
            Shows::Nothing,
            Shows::CipherText,
            Shows::FreshCipherText,
        ])),
    }
}

fn git_field(random: &mut Random, name: &'static str) -> Event {
    let port = 1000 + random.below(9);
    let (field, value) = random.of(&[
        ("port", json!(port)),
        ("port", json!(587)),
        ("port", Value::Null),
        ("description", json!(format!("git {port}"))),
        ("description", json!("")),
        ("custom", json!(port)),
        ("password", json!("${env:FIRST}")),
        ("password", json!("${env:SECOND}")),
        ("password", Value::Null),
        ("auth", json!(port.is_multiple_of(2))),
        ("from", json!("${env:SECOND}")),
    ]);
    Event::Set(name, field, value)
}

/// A number that no integer of a machine holds.
fn more_than_64_bits() -> Value {
    serde_json::from_str("123456789012345678901234567890").unwrap()
}

fn console_field(random: &mut Random, name: &'static str) -> Event {
    let port = 1000 + random.below(9);
    let (field, value) = random.of(&[
        ("port", json!(port)),
        ("description", json!(format!("console {port}"))),
        ("custom", json!(port)),
        ("password", json!("typed in the console")),
        ("password", Value::Null),
        ("other", json!("never declared")),
        ("other", more_than_64_bits()),
        ("auth", json!(port.is_multiple_of(2))),
    ]);
    Event::ConsoleEdit(name, field, value)
}
