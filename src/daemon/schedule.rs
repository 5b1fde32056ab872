//! When a target is reconciled again. Pure: chance and time are given.

use std::time::Duration;

use super::cause::Cause;

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The first pause after the credentials were refused; it doubles with each further refusal. More
/// calls would only be more refusals, and may lock an account.
const FIRST_REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause after refused credentials, unless the resync is slower.
const LONGEST_REFUSED_PAUSE: Duration = Duration::from_secs(600);

/// When a target's next turn is, if nothing happens before, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) after: Duration,
    pub(super) cause: Cause,
}

/// The facts that the time of the next turn depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// How often live is compared.
    pub(super) resync: Duration,
    /// How many reconciles in a row failed.
    pub(super) failures: u32,
    /// Whether the last one failed because the server refused the credentials.
    pub(super) refused: bool,
    /// When something that was saved but not deployed is due.
    pub(super) degraded_in: Option<Duration>,
    /// When a commit has stood applied whole for long enough for a target that comes after.
    pub(super) soaked_in: Option<Duration>,
}

impl Standing {
    /// The next turn; `chance` is between 0 and 1. Turns of many targets that began together
    /// drift apart, so that a server that serves them all is not asked by all at once.
    pub(super) fn next(&self, chance: f64) -> Turn {
        if self.refused {
            let pause = FIRST_REFUSED_PAUSE
                .saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1)))
                .min(self.resync.max(LONGEST_REFUSED_PAUSE));
            return Turn { after: spread(pause, 0.1, chance), cause: Cause::Retry };
        }
        let resync = Turn { after: spread(self.resync, 0.1, chance), cause: Cause::Resync };
        let retry = (self.failures > 0).then(|| Turn {
            after: spread(pause(self.failures, self.resync), 0.5, chance),
            cause: Cause::Retry,
        });
        let degraded = self
            .degraded_in
            .map(|after| Turn { after: after.max(FIRST_PAUSE), cause: Cause::Degraded });
        let soaked =
            self.soaked_in.map(|after| Turn { after: after.max(FIRST_PAUSE), cause: Cause::After });
        // Of two that are due together the resync is named: it looks at everything anyway.
        [Some(resync), retry, degraded, soaked]
            .into_iter()
            .flatten()
            .fold(resync, |soonest, turn| if turn.after < soonest.after { turn } else { soonest })
    }
}

/// The pause after so many failures in a row.
pub(super) fn pause(failures: u32, most: Duration) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(most.max(FIRST_PAUSE))
}

/// Shortens a time by up to `share` of it.
pub(super) fn spread(time: Duration, share: f64, chance: f64) -> Duration {
    time.mul_f64(1.0 - share * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_grow_up_to_the_resync() {
        let pauses: Vec<u64> = (1..=8).map(|n| pause(n, MINUTE).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX, MINUTE), MINUTE);
        // A resync that is shorter than any pause makes no hammering.
        assert_eq!(pause(3, Duration::from_millis(1)), FIRST_PAUSE);
    }

    #[test]
    fn refused_credentials_are_tried_again_slowly() {
        let standing = |failures, resync| Standing {
            resync,
            failures,
            refused: true,
            degraded_in: Some(Duration::ZERO),
            soaked_in: None,
        };
        let seconds: Vec<u64> = [1, 2, 3, 4, 5, 99]
            .map(|failures| standing(failures, Duration::from_secs(1)).next(0.0).after.as_secs())
            .to_vec();
        assert_eq!(seconds, [60, 120, 240, 480, 600, 600]);
        assert_eq!(standing(99, 60 * MINUTE).next(0.0).after, 60 * MINUTE);
        assert_eq!(standing(1, MINUTE).next(1.0).cause, Cause::Retry);
    }

    #[test]
    fn the_soonest_turn_wins() {
        let calm = Standing {
            resync: 5 * MINUTE,
            failures: 0,
            refused: false,
            degraded_in: None,
            soaked_in: None,
        };
        assert_eq!(calm.next(0.0), Turn { after: 5 * MINUTE, cause: Cause::Resync });
        assert!(calm.next(1.0).after >= 4 * MINUTE);
        let failing = Standing { failures: 2, ..calm };
        assert_eq!(failing.next(0.0), Turn { after: Duration::from_secs(2), cause: Cause::Retry });
        assert!(failing.next(1.0).after >= Duration::from_secs(1));
        let degraded = Standing { degraded_in: Some(MINUTE), ..calm };
        assert_eq!(degraded.next(0.5), Turn { after: MINUTE, cause: Cause::Degraded });
        let soaked = Standing { soaked_in: Some(MINUTE), ..calm };
        assert_eq!(soaked.next(0.5), Turn { after: MINUTE, cause: Cause::After });
        let overdue = Standing { degraded_in: Some(Duration::ZERO), ..calm };
        assert_eq!(overdue.next(0.5).after, FIRST_PAUSE);
    }
}
