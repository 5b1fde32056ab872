//! Which faults strike a call: those of the script first, then those of chance.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;

use super::{Fault, Faults};
use crate::sandbox::call::Call;

/// What strikes one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Struck {
    /// How much longer it takes.
    pub(in crate::sandbox) slow: Duration,
    /// What else goes wrong.
    pub(in crate::sandbox) fault: Option<Fault>,
}

/// Draws the faults of each call.
///
/// The draw depends on the seed, the method, the path and how often that call was made before,
/// and not on what other calls are made at the same time: a drill with many calls in flight is
/// repeated exactly.
#[derive(Debug)]
pub(in crate::sandbox) struct Drawing {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scripted: Vec<Scripted>,
    chances: Faults,
    calls: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Scripted {
    method: Option<Method>,
    path: String,
    fault: Fault,
    left: usize,
}

impl Drawing {
    /// Draws from a seed.
    pub(in crate::sandbox) fn new(seed: u64, chances: Faults) -> Self {
        Self { seed, state: Mutex::new(State { chances, ..State::default() }) }
    }

    /// Puts other chances in the place of those so far.
    pub(in crate::sandbox) fn set_chances(&self, chances: Faults) {
        self.lock().chances = chances;
    }

    /// Lets the next calls fail whose method and path fit.
    pub(in crate::sandbox) fn script(
        &self,
        method: Option<Method>,
        path: &str,
        fault: Fault,
        times: usize,
    ) {
        let path = path.to_owned();
        self.lock().scripted.push(Scripted { method, path, fault, left: times });
    }

    /// Forgets script and chances.
    pub(in crate::sandbox) fn clear(&self) {
        let mut state = self.lock();
        state.scripted.clear();
        state.chances = Faults::default();
    }

    /// Draws what strikes a call.
    pub(in crate::sandbox) fn draw(&self, method: &Method, path: &str, call: &Call) -> Struck {
        let mut state = self.lock();
        let mut struck = Struck::default();
        for scripted in &mut state.scripted {
            let fits = scripted.left > 0
                && scripted.method.as_ref().is_none_or(|of| of == method)
                && path.contains(&scripted.path)
                && scripted.fault.strikes(call);
            if fits && struck.add(&scripted.fault) {
                scripted.left -= 1;
            }
        }
        state.scripted.retain(|scripted| scripted.left > 0);
        if state.chances.is_empty() {
            return struck;
        }
        let key = hash(method.as_str().bytes().chain([b' ']).chain(path.bytes()));
        let calls = state.calls.entry(key).or_default();
        *calls += 1;
        let numbers = [self.seed, key, *calls];
        let mut random =
            fastrand::Rng::with_seed(hash(numbers.iter().flat_map(|number| number.to_be_bytes())));
        for chance in &state.chances.chances {
            // Every chance takes its draw, so that one does not change the luck of the next.
            let strikes = random.f64() < chance.probability;
            if strikes
                && chance.method.as_ref().is_none_or(|of| of == method)
                && chance.fault.strikes(call)
            {
                struck.add(&chance.fault);
            }
        }
        struck
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Struck {
    /// Adds a fault where it goes together with what strikes already.
    fn add(&mut self, fault: &Fault) -> bool {
        match fault {
            Fault::Slow(pause) => self.slow += *pause,
            _ if self.fault.is_some() => return false,
            fault => self.fault = Some(fault.clone()),
        }
        true
    }
}

/// FNV-1a: the same on every machine and in every release, as a seed has to be.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Call {
        Call::of(&Method::GET, "/apiops/projects/p/connections/", None)
    }

    fn drawn(drawing: &Drawing, path: &str) -> Vec<Option<Fault>> {
        (0..200).map(|_| drawing.draw(&Method::GET, path, &list()).fault).collect()
    }

    #[test]
    fn a_seed_repeats_itself() {
        let faults: Faults = "error=0.3,reset=0.3".parse().expect("faults");
        let of = |seed| drawn(&Drawing::new(seed, faults.clone()), "/a");
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let struck = of(1).iter().flatten().count();
        assert!((70..=135).contains(&struck), "{struck} of 200 at a chance of 0.51");
    }

    #[test]
    fn other_calls_do_not_change_the_draw() {
        let faults: Faults = "error=0.5".parse().expect("faults");
        let alone = drawn(&Drawing::new(1, faults.clone()), "/a");
        let drawing = Drawing::new(1, faults);
        let together: Vec<_> = (0..200)
            .map(|_| {
                drawing.draw(&Method::PUT, "/b", &list());
                drawing.draw(&Method::GET, "/a", &list()).fault
            })
            .collect();
        assert_eq!(alone, together);
    }

    #[test]
    fn a_script_comes_first_and_ends() {
        let drawing = Drawing::new(0, Faults::default());
        drawing.script(Some(Method::PUT), "/a", Fault::Error, 1);
        drawing.script(None, "", Fault::Lost, 2);
        drawing.script(None, "", Fault::Undeployed, 9);
        let draw = |method: Method, path| drawing.draw(&method, path, &list()).fault;
        assert_eq!(draw(Method::PUT, "/a"), Some(Fault::Error));
        assert_eq!(draw(Method::PUT, "/a"), Some(Fault::Lost));
        assert_eq!(draw(Method::GET, "/b"), Some(Fault::Lost));
        assert_eq!(draw(Method::GET, "/b"), None, "a list is not deployed");
    }

    #[test]
    fn slow_goes_together_with_any_other() {
        let faults: Faults = "slow=1:5,error=1,reset=1".parse().expect("faults");
        let struck = Drawing::new(0, faults).draw(&Method::GET, "/a", &list());
        assert_eq!(struck.slow, Duration::from_millis(5));
        assert_eq!(struck.fault, Some(Fault::Error));
    }
}
