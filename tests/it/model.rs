//! Random histories of commits, console edits, faults and crashes, checked after every run
//! against a small model of the rules that was written from their words and not from the program.
//!
//! `MODEL_HISTORIES=N` runs more histories, `MODEL_SEED=S` runs one (with both: N from S). A history that fails is made
//! shorter before it is shown, unless `MODEL_WHOLE=1` asks for it as it is.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Runtime;

mod chaos;
mod checks;
mod document;
mod events;
mod fields;
mod ground;
mod history;
mod memory;
mod removal;
mod renames;
mod rules;
mod setting;
mod steps;
mod stories;
mod strike;

use setting::Setting;
pub(crate) use steps::Random;
use steps::Turn;

/// How many histories a run of all tests has.
const HISTORIES: u64 = 25;
/// And how many of those that are not predicted.
const CHAOTIC: u64 = 10;
const TURNS: usize = 12;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn draw(seed: u64, setting: fn(&mut Random) -> Setting) -> (Setting, Vec<Turn>) {
    let mut random = Random(seed);
    let setting = setting(&mut random);
    let mut turns: Vec<Turn> = (0..TURNS).map(|_| steps::turn(&mut random)).collect();
    if random.one_in(2) {
        let at = random.below(TURNS);
        turns.splice(at..at, stories::draw(&mut random));
    }
    (setting, turns)
}

/// Carries a history out and says what is wrong with it.
type Check<'c> = &'c (dyn Fn(&Runtime, &Setting, &[Turn]) -> Result<(), String> + Sync);

fn caught(run: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("a panic: {}", text.unwrap_or_default()))
    })
}

/// Leaves out what the failure does not need: turns first, then events.
fn shorter(fails: &dyn Fn(&[Turn]) -> bool, mut turns: Vec<Turn>) -> Vec<Turn> {
    for at in (0..turns.len()).rev() {
        let mut without = turns.clone();
        without.remove(at);
        if fails(&without) {
            turns = without;
        }
    }
    for at in 0..turns.len() {
        for event in (0..turns[at].events.len()).rev() {
            let mut without = turns.clone();
            without[at].events.remove(event);
            if fails(&without) {
                turns = without;
            }
        }
        let mut without = turns.clone();
        without[at].disturbance = None;
        if fails(&without) {
            turns = without;
        }
    }
    turns
}

fn check_histories(usual: u64, setting: fn(&mut Random) -> Setting, check: Check<'_>) {
    let first = number("MODEL_SEED").unwrap_or(0);
    let usual = if number("MODEL_SEED").is_some() { 1 } else { usual };
    let count = number("MODEL_HISTORIES").unwrap_or(usual);
    let next = AtomicU64::new(first);
    let failures = std::sync::Mutex::new(Vec::new());
    let most = number("MODEL_FAILURES").unwrap_or(1);
    let work = || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || failures.lock().unwrap().len() as u64 >= most {
                break;
            }
            let (setting, turns) = draw(seed, setting);
            let run = |turns: &[Turn]| caught(|| check(&runtime, &setting, turns));
            if let Err(whole) = run(&turns) {
                let is_shown_whole = number("MODEL_WHOLE").is_some();
                let fails = |turns: &[Turn]| run(turns).is_err();
                let turns = if is_shown_whole { turns } else { shorter(&fails, turns) };
                let problem = run(&turns).err().unwrap_or(whole);
                let failure = format!("MODEL_SEED={seed}\n{problem}");
                // Told at once: many histories take their time.
                let mut stderr = std::io::stderr();
                writeln!(stderr, "{failure}").unwrap();
                failures.lock().unwrap().push(failure);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..number("MODEL_THREADS").unwrap_or(2) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} histories break the rules", failures.len());
}

#[test]
fn random_histories_keep_the_rules() {
    check_histories(HISTORIES, Setting::draw, &|runtime, setting, turns| {
        runtime.block_on(history::run(setting, turns))
    });
}

#[test]
fn chaos_leaves_neither_orphans_nor_claims_and_ends() {
    check_histories(CHAOTIC, Setting::draw_chaotic, &|runtime, setting, turns| {
        runtime.block_on(chaos::run(setting, turns))
    });
}
