//! Random histories of three replicas: calls that are late or lost, Leases that are deleted by hand,
//! processes that freeze or are killed, clocks that run at different speeds, hand-overs. Never may two
//! write at once, a Lease that vanished is waited out, and in the end one acts.

use std::rc::Rc;

use super::*;

/// The longest write to the Management API, and the longest call on a Lease.
const LONGEST_WRITE: Duration = Duration::from_secs(10);
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// One step of a history.
const STEP: Duration = Duration::from_millis(500);

/// Clocks run so much faster or slower: two together less than the margin.
const DRIFT: f64 = 0.045;

/// The cluster's only Lease, in all its versions: watches show them late.
#[derive(Default)]
struct Server {
    versions: Vec<Option<Rc<Value>>>,
}

impl Server {
    fn now(&self) -> Option<&Value> {
        self.versions.last()?.as_deref()
    }

    /// Makes or replaces the Lease; `None`: a conflict.
    fn write(&mut self, sent: &Value) -> Option<Rc<Value>> {
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        if self.now().map_or(Value::Null, version) != version(sent) {
            return None;
        }
        let mut lease = sent.clone();
        lease["metadata"]["resourceVersion"] = json!(self.versions.len().to_string());
        let lease = Rc::new(lease);
        self.versions.push(Some(Rc::clone(&lease)));
        Some(lease)
    }
}

struct Replica {
    identity: String,
    base: Instant,
    wall_is_ahead: Duration,
    speed: f64,
    frozen_until: Duration,
    cut_off_until: Duration,
    /// How many versions of the Lease its watch has shown.
    shown: usize,
    role: Role,
    call: Option<Call>,
    /// When its last write is over, by the true time.
    writes_until: Duration,
}

enum Role {
    Standby(ObservedLease),
    Holder { lease: Rc<Value>, times: Times, seen: usize, may_write: bool },
}

/// A call on the Lease that is under way.
struct Call {
    purpose: Purpose,
    body: Value,
    sent: Instant,
    arrives: Duration,
    /// `None`: the answer is lost.
    answered: Option<Duration>,
    answer: Option<Option<Rc<Value>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// In the place of a Lease that was deleted.
    Mark,
    Claim,
    Renew {
        is_second: bool,
    },
    GiveBack,
}

impl Replica {
    fn new(random: &mut fastrand::Rng) -> Self {
        let base = Instant::now() + Duration::from_secs(random.u64(1..1_000_000));
        Self {
            identity: format!("replica_{:08x}", random.u32(..)),
            base,
            wall_is_ahead: Duration::from_secs(random.u64(1..100_000)),
            speed: if random.bool() { 1.0 + DRIFT } else { 1.0 - DRIFT },
            frozen_until: Duration::ZERO,
            cut_off_until: Duration::ZERO,
            shown: 0,
            role: Role::Standby(ObservedLease::default()),
            call: None,
            writes_until: Duration::ZERO,
        }
    }

    fn clock(&self, time: Duration) -> Instant {
        self.base + time.mul_f64(self.speed)
    }

    /// The time that it writes into a Lease, hours beside the true one.
    fn wall(&self, time: Duration) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.wall_is_ahead + time
    }
}

struct History {
    random: fastrand::Rng,
    time: Duration,
    server: Server,
    replicas: Vec<Replica>,
    is_calm: bool,
    /// When the Lease was last deleted, and who held it then.
    deleted: Option<(Duration, String)>,
    /// When the last write began.
    wrote_at: Duration,
    /// How often each kind of thing happened that the histories are about.
    hand_overs: usize,
    waited_out: usize,
    writes: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let replicas = (0..3).map(|_| Replica::new(&mut random)).collect();
        Self {
            random,
            time: Duration::ZERO,
            server: Server::default(),
            replicas,
            is_calm: false,
            deleted: None,
            wrote_at: Duration::ZERO,
            hand_overs: 0,
            waited_out: 0,
            writes: 0,
        }
    }

    fn happens(&mut self, once_in: u32) -> bool {
        !self.is_calm && self.random.u32(..once_in) == 0
    }

    fn run(&mut self, lasts: Duration) {
        let end = self.time + lasts;
        while self.time < end {
            self.time += STEP;
            if self.happens(400) && self.server.now().is_some() {
                let holder = self.server.now().and_then(holder).unwrap_or_default().to_owned();
                self.server.versions.push(None);
                if holder.starts_with("replica_") {
                    self.deleted = Some((self.time, holder));
                }
            }
            let mut order: Vec<usize> = (0..self.replicas.len()).collect();
            self.random.shuffle(&mut order);
            for index in order {
                self.disturb(index);
                self.carry(index);
                if self.replicas[index].frozen_until <= self.time {
                    self.act(index);
                }
            }
        }
    }

    fn disturb(&mut self, index: usize) {
        let for_a_while = Duration::from_secs(self.random.u64(1..150));
        if self.happens(300) {
            self.replicas[index].frozen_until = self.time + for_a_while;
        }
        if self.happens(300) {
            self.replicas[index].cut_off_until = self.time + for_a_while;
        }
        if self.happens(900) {
            // Killed and started again: a write that it had sent is still under way.
            let writes_until = self.replicas[index].writes_until;
            let fresh = Replica::new(&mut self.random);
            self.replicas[index] = Replica { writes_until, ..fresh };
        }
    }

    /// Brings calls to the server, and what the watch shows to the replica.
    fn carry(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        let is_cut_off = replica.cut_off_until > self.time;
        if !is_cut_off && self.random.u32(..4) > 0 {
            replica.shown = self.server.versions.len();
        }
        let Some(call) = &mut replica.call else { return };
        if call.answer.is_none() && call.arrives <= self.time && !is_cut_off {
            let taken = self.server.now().and_then(holder).map(str::to_owned);
            let done = self.server.write(&call.body);
            if done.is_some() && call.purpose == Purpose::Claim {
                self.hand_overs += usize::from(taken.as_ref() != Some(&replica.identity));
                if let Some((deleted, holder)) = self.deleted.take()
                    && holder != replica.identity
                {
                    let least = (LASTS - STEP).div_f64(1.0 + DRIFT);
                    assert!(self.time - deleted >= least, "it took a Lease that vanished too soon");
                    self.waited_out += 1;
                }
            }
            call.answer = Some(done);
        }
    }

    fn send(&mut self, index: usize, purpose: Purpose, body: Value, sent: Instant) {
        let seconds = if self.is_calm { 1.0 } else { 15.0 * self.random.f64().powi(8) };
        let arrives = self.time + Duration::from_secs_f64(seconds * self.random.f64());
        let is_lost = self.happens(10);
        let answered = (!is_lost).then(|| arrives + Duration::from_secs_f64(seconds / 2.0));
        let call = Call { purpose, body, sent, arrives, answered, answer: None };
        self.replicas[index].call = Some(call);
    }

    fn act(&mut self, index: usize) {
        let now = self.replicas[index].clock(self.time);
        if let Some(call) = self.replicas[index].call.take() {
            let has_answer = call.answered.is_some_and(|at| at <= self.time);
            match (call.answer.clone(), now >= call.sent + LONGEST_CALL) {
                (Some(answer), _) if has_answer => self.answered(index, &call, Some(answer), now),
                (_, true) => self.answered(index, &call, None, now),
                (_, false) => {
                    self.replicas[index].call = Some(call);
                    self.write_if_allowed(index, now);
                    return;
                }
            }
        }
        let replica = &mut self.replicas[index];
        let shown = replica.shown.checked_sub(1).and_then(|at| self.server.versions[at].clone());
        let own = replica.identity.clone();
        let wall = replica.wall(self.time);
        match &mut replica.role {
            // There is a state: a replica acted before.
            Role::Standby(_) if shown.is_none() => {
                self.send(index, Purpose::Mark, deleted("l", LASTS, wall), now);
            }
            Role::Standby(observed) => {
                if observed.turn(shown.as_deref(), &own, Duration::ZERO, now) == LeaseTurn::Claim {
                    let body = held(shown.as_deref(), "l", &own, LASTS, wall);
                    self.send(index, Purpose::Claim, body, now);
                }
            }
            Role::Holder { times, .. } if now >= times.until => {
                replica.role = Role::Standby(ObservedLease::default());
            }
            Role::Holder { lease, times, seen, may_write } => {
                let is_new = std::mem::replace(seen, replica.shown) != replica.shown;
                let is_taken = is_new && shown.as_deref().and_then(holder) != Some(&*own);
                *may_write &= !is_taken;
                let (lease, due) = (Rc::clone(lease), is_taken || now >= times.renew_at);
                let writes_soon = now >= times.soonest && self.random.bool();
                if self.happens(200) && self.replicas[index].writes_until <= self.time {
                    let body = given_back(&lease, wall);
                    self.replicas[index].role = Role::Standby(ObservedLease::default());
                    self.send(index, Purpose::GiveBack, body, now);
                } else if due || writes_soon {
                    let body = held(Some(&lease), "l", &own, LASTS, wall);
                    self.send(index, Purpose::Renew { is_second: false }, body, now);
                }
            }
        }
        self.write_if_allowed(index, now);
    }

    fn answered(
        &mut self,
        index: usize,
        call: &Call,
        answer: Option<Option<Rc<Value>>>,
        now: Instant,
    ) {
        let own = self.replicas[index].identity.clone();
        let (found, wall) =
            (self.server.versions.last().cloned().flatten(), self.replicas[index].wall(self.time));
        let replica = &mut self.replicas[index];
        let (seen, is_held) = (replica.shown, matches!(replica.role, Role::Holder { .. }));
        match (call.purpose, answer) {
            (Purpose::Claim, Some(Some(lease))) => {
                let times = Times::renewed(LASTS, call.sent);
                replica.role = Role::Holder { lease, times, seen, may_write: true };
            }
            (Purpose::Renew { .. }, Some(Some(lease))) if is_held => {
                let times = Times::renewed(LASTS, call.sent);
                replica.role = Role::Holder { lease, times, seen, may_write: true };
            }
            (Purpose::Renew { is_second: false }, Some(None)) if is_held => {
                if how_lost(found.as_deref(), &own).is_some() {
                    replica.role = Role::Standby(ObservedLease::default());
                } else {
                    let body = held(found.as_deref(), "l", &own, LASTS, wall);
                    self.send(index, Purpose::Renew { is_second: true }, body, call.sent);
                }
            }
            (Purpose::Renew { .. }, _) => {
                if let Role::Holder { times, .. } = &mut replica.role {
                    *times = times.failed(now);
                }
            }
            (Purpose::Mark | Purpose::Claim | Purpose::GiveBack, _) => {}
        }
    }

    fn write_if_allowed(&mut self, index: usize, now: Instant) {
        let replica = &self.replicas[index];
        let Role::Holder { times, may_write: true, .. } = &replica.role else { return };
        if now + LONGEST_WRITE > times.until || replica.writes_until > self.time {
            return;
        }
        let others = self.replicas.iter().enumerate().filter(|(other, _)| *other != index);
        for (_, other) in others {
            assert!(other.writes_until <= self.time, "two write at once");
        }
        let lasts = LONGEST_WRITE.mul_f64(self.random.f64().powf(0.1));
        self.replicas[index].writes_until = self.time + lasts.div_f64(self.replicas[index].speed);
        self.wrote_at = self.time;
        self.writes += 1;
    }
}

#[test]
fn two_never_write_at_once_and_one_acts_in_the_end() {
    let (mut hand_overs, mut waited_out, mut writes) = (0, 0, 0);
    for seed in 0..100 {
        let told = std::panic::catch_unwind(|| {
            let mut history = History::new(seed);
            history.run(Duration::from_secs(1200));
            history.is_calm = true;
            history.run(LASTS * 6);
            assert!(history.wrote_at + LASTS > history.time, "none acts");
            (history.hand_overs, history.waited_out, history.writes)
        });
        let (h, v, w) = told.unwrap_or_else(|_| panic!("the history of seed {seed}"));
        (hand_overs, waited_out, writes) = (hand_overs + h, waited_out + v, writes + w);
    }
    assert!(hand_overs > 500 && waited_out > 100, "{hand_overs}, {waited_out}");
    assert!(writes > 5_000, "{writes}");
}
