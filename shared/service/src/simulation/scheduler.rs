//! Who goes on next: every store call of every actor waits here until a seeded
//! generator lets it through, at once or late, or fails it, or kills its caller.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_store::fault::{CallKind, Fault};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::testing::START_MILLIS;

/// Steps that are kept to be shown when a seed fails.
const TRACE_STEPS: usize = 400;
/// A run that takes so many steps makes no progress.
const MAX_STEPS: u64 = 200_000;
const MINUTE: u64 = 60_000;

/// A small generator (SplitMix64): the same seed gives the same run on every
/// machine and toolchain.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From `from` up to `to`, both included.
    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub(super) fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// A generator of its own, for an actor: its choices do not depend on who
    /// else chose what in between.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

/// How rough a run is.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// Calls that fail.
    pub(super) faults_permille: u64,
    /// Steps at which an actor is killed.
    pub(super) kills_permille: u64,
    /// Calls that take up to some seconds.
    pub(super) slow_permille: u64,
    /// Calls that take up to two hours: their caller is frozen.
    pub(super) frozen_permille: u64,
    /// Calls whose answer waits, though their effect is there.
    pub(super) answers_permille: u64,
    /// How often the actor of the last step goes on.
    pub(super) sticky_permille: u64,
    /// Objects on a page of a listing.
    pub(super) page_objects: usize,
    /// A clock is wrong by at most this.
    pub(super) skew_millis: i64,
}

impl Profile {
    pub(super) fn draw(random: &mut Random) -> Self {
        let calm = random.chance(200);
        let or = |calm: bool, rate: u64| if calm { 0 } else { rate };
        Self {
            faults_permille: or(calm, *random.pick(&[0, 5, 20, 60, 150])),
            kills_permille: or(calm, *random.pick(&[0, 1, 3, 8])),
            slow_permille: *random.pick(&[0, 50, 300]),
            frozen_permille: *random.pick(&[0, 0, 2, 10, 30]),
            answers_permille: *random.pick(&[0, 200, 700]),
            sticky_permille: *random.pick(&[0, 500, 900, 980]),
            page_objects: *random.pick(&[1, 2, 5, 1000]),
            skew_millis: *random.pick(&[0, 1000, 120_000]),
        }
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Done; the answer comes at once.
    Go,
    /// Done; the answer waits for another turn.
    GoAnswerLater,
    /// Outcome unknown, and done at some later moment.
    Late,
    /// Fails so.
    Fails(Fault),
}

/// A call that waits for its turn.
struct Waiting {
    actor: usize,
    what: String,
    kind: Option<CallKind>,
    release: oneshot::Sender<Verdict>,
    not_before: u64,
}

type Effect = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a step does.
enum Step {
    Released,
    Kill(usize),
    Effect(Effect),
    /// Nothing can go on before this many milliseconds have passed, or a call
    /// comes.
    Wait(u64),
    /// No call waits and no effect is outstanding.
    Empty,
}

struct State {
    random: Random,
    profile: Profile,
    rough: bool,
    arrived: Vec<Waiting>,
    waiting: BTreeMap<u64, Waiting>,
    tickets: u64,
    late: Vec<(String, Effect)>,
    last: usize,
    steps: u64,
    faults: BTreeMap<usize, u64>,
    names: BTreeMap<usize, String>,
    killable: BTreeSet<usize>,
    kills: u64,
    trace: VecDeque<String>,
    hash: u64,
    violation: Option<String>,
}

/// One seed's scheduler; clones are the same one.
#[derive(Clone)]
pub(super) struct Scheduler {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
    began: Instant,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scheduler")
    }
}

/// What a run came to.
#[derive(Debug, Clone)]
pub(super) struct Summary {
    pub(super) steps: u64,
    pub(super) faults: u64,
    pub(super) kills: u64,
    /// Of every step, in order: two runs of a seed are the same if this is.
    pub(super) hash: u64,
    /// The last steps.
    pub(super) trace: Vec<String>,
}

impl Scheduler {
    /// Must be called within the runtime whose paused time is the run's.
    pub(super) fn new(random: Random, profile: Profile) -> Self {
        let state = State {
            random,
            profile,
            rough: true,
            arrived: Vec::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
            late: Vec::new(),
            last: 0,
            steps: 0,
            faults: BTreeMap::new(),
            names: BTreeMap::new(),
            killable: BTreeSet::new(),
            kills: 0,
            trace: VecDeque::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            violation: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            news: Arc::new(Notify::new()),
            began: Instant::now(),
        }
    }

    /// A clock that is wrong by `skew_millis`.
    pub(super) fn clock(&self, skew_millis: i64) -> Arc<dyn Clock> {
        Arc::new(SimulatedClock {
            began: self.began,
            skew_millis,
        })
    }

    /// Names an actor for the trace.
    pub(super) fn name(&self, actor: usize, name: &str) {
        self.state().names.insert(actor, name.to_owned());
    }

    /// Lets an actor be killed from now on, or no longer.
    pub(super) fn may_kill(&self, actor: usize, may: bool) {
        let mut state = self.state();
        if may {
            state.killable.insert(actor);
        } else {
            state.killable.remove(&actor);
        }
    }

    /// Waits for the turn of a call. `kind` is none for the answer of a call that
    /// is done, or the middle of one that should have no middle.
    pub(super) async fn turn(&self, actor: usize, kind: Option<CallKind>, what: String) -> Verdict {
        let (release, turn) = oneshot::channel();
        self.state().arrived.push(Waiting {
            actor,
            what,
            kind,
            release,
            not_before: 0,
        });
        self.news.notify_one();
        match turn.await {
            Ok(verdict) => verdict,
            // The run is over: nobody lets this call through any more.
            Err(_) => std::future::pending().await,
        }
    }

    /// An effect that comes after its caller was told that it is not known.
    pub(super) fn later(&self, what: String, effect: Effect) {
        self.state().late.push((what, effect));
    }

    /// Writes a line of the trace.
    pub(super) fn note(&self, text: &str) {
        let now = self.now();
        self.state().note(now, text);
    }

    /// Says that something does not hold; the first one counts.
    pub(super) fn violation(&self, what: String) {
        let now = self.now();
        let mut state = self.state();
        state.note(now, &format!("VIOLATION {what}"));
        state.violation.get_or_insert(what);
    }

    pub(super) fn violated(&self) -> Option<String> {
        self.state().violation.clone()
    }

    /// Calls of an actor that were failed so far.
    pub(super) fn faults_of(&self, actor: usize) -> u64 {
        self.state().faults.get(&actor).copied().unwrap_or(0)
    }

    /// From now on nothing fails and nobody is killed.
    pub(super) fn calm_down(&self) {
        let now = self.now();
        let mut state = self.state();
        state.rough = false;
        state.note(now, "faults stop");
        let mut waiting = std::mem::take(&mut state.waiting);
        for call in waiting.values_mut() {
            call.not_before = 0;
        }
        state.waiting = waiting;
    }

    pub(super) fn is_rough(&self) -> bool {
        self.state().rough
    }

    pub(super) fn steps(&self) -> u64 {
        self.state().steps
    }

    pub(super) fn page_objects(&self) -> usize {
        self.state().profile.page_objects
    }

    pub(super) fn summary(&self) -> Summary {
        let state = self.state();
        Summary {
            steps: state.steps,
            faults: state.faults.values().sum(),
            kills: state.kills,
            hash: state.hash,
            trace: state.trace.iter().cloned().collect(),
        }
    }

    /// Does one step once all that can run has run. Gives an actor that is to be
    /// killed; false if nothing waits for anything.
    pub(super) async fn step(&self) -> (bool, Option<usize>) {
        // A paused clock moves only when nothing else can: neither a task nor a
        // blocking thread.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let now = self.now();
        let step = self.state().step(now);
        match step {
            Step::Released => (true, None),
            Step::Kill(actor) => (true, Some(actor)),
            Step::Effect(effect) => {
                effect.await;
                (true, None)
            }
            Step::Wait(millis) => {
                self.sleep(millis).await;
                (true, None)
            }
            Step::Empty => (false, None),
        }
    }

    /// Lets time pass until somebody calls, or a while.
    pub(super) async fn idle(&self) {
        self.sleep(5000).await;
    }

    async fn sleep(&self, millis: u64) {
        let news = self.news.notified();
        tokio::select! {
            biased;
            () = news => {}
            () = tokio::time::sleep(Duration::from_millis(millis)) => {}
        }
    }

    /// Milliseconds since the run began.
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn step(&mut self, now: u64) -> Step {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            self.violation.get_or_insert("no progress".to_owned());
            return Step::Empty;
        }
        self.admit(now);
        // The caller of a call that waits may have been killed.
        self.waiting.retain(|_, call| !call.release.is_closed());
        if self.rough && self.random.chance(self.profile.kills_permille) {
            let killable: Vec<usize> = self.killable.iter().copied().collect();
            if !killable.is_empty() {
                let actor = *self.random.pick(&killable);
                self.kills += 1;
                self.killable.remove(&actor);
                let text = format!("kill {}", self.names[&actor]);
                self.note(now, &text);
                return Step::Kill(actor);
            }
        }
        let ready: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, call)| call.not_before <= now)
            .map(|(ticket, _)| *ticket)
            .collect();
        if !self.late.is_empty() && (ready.is_empty() || self.random.chance(20)) {
            let nth = self.random.below(self.late.len() as u64) as usize;
            let (what, effect) = self.late.swap_remove(nth);
            self.note(now, &format!("late effect of {what}"));
            return Step::Effect(effect);
        }
        if ready.is_empty() {
            let next = self.waiting.values().map(|call| call.not_before).min();
            return next.map_or(Step::Empty, |next| Step::Wait(next - now));
        }
        let of_last = |ticket: &&u64| self.waiting[ticket].actor == self.last;
        let sticky = self.random.chance(self.profile.sticky_permille);
        let same: Vec<u64> = ready.iter().filter(of_last).copied().collect();
        let from = if sticky && !same.is_empty() {
            &same
        } else {
            &ready
        };
        let ticket = *self.random.pick(from);
        if let Some(call) = self.waiting.remove(&ticket) {
            self.release(call, now);
        }
        Step::Released
    }

    /// Takes in the calls that came since the last step. Several may have come at
    /// once from tasks of one actor: in which order is no one's promise, so it is
    /// made one.
    fn admit(&mut self, now: u64) {
        let mut arrived = std::mem::take(&mut self.arrived);
        arrived.sort_by(|a, b| (a.actor, &a.what).cmp(&(b.actor, &b.what)));
        for mut call in arrived {
            let delay = if !self.rough {
                0
            } else if self.random.chance(self.profile.frozen_permille) {
                self.random.between(MINUTE, 120 * MINUTE)
            } else if self.random.chance(self.profile.slow_permille) {
                self.random.between(1, 5000)
            } else {
                0
            };
            call.not_before = now + delay;
            self.tickets += 1;
            self.waiting.insert(self.tickets, call);
        }
    }

    fn release(&mut self, call: Waiting, now: u64) {
        let verdict = match call.kind {
            Some(kind) if self.rough => self.verdict(kind),
            _ => Verdict::Go,
        };
        self.last = call.actor;
        if !matches!(verdict, Verdict::Go | Verdict::GoAnswerLater) {
            *self.faults.entry(call.actor).or_default() += 1;
        }
        let text = format!("{} {} {verdict:?}", self.names[&call.actor], call.what);
        self.note(now, &text);
        // One that was killed meanwhile does not hear of it.
        let _ = call.release.send(verdict);
    }

    fn verdict(&mut self, kind: CallKind) -> Verdict {
        if self.random.chance(self.profile.faults_permille) {
            let kinds: &[Verdict] = if kind.is_write() {
                &[
                    Verdict::Fails(Fault::Lost),
                    Verdict::Fails(Fault::Done),
                    Verdict::Late,
                    Verdict::Fails(Fault::Transient),
                    Verdict::Fails(Fault::Refused),
                ]
            } else {
                &[
                    Verdict::Fails(Fault::Transient),
                    Verdict::Fails(Fault::Refused),
                ]
            };
            *self.random.pick(kinds)
        } else if kind.is_write() && self.random.chance(self.profile.answers_permille) {
            Verdict::GoAnswerLater
        } else {
            Verdict::Go
        }
    }

    fn note(&mut self, now: u64, text: &str) {
        let mut line = String::with_capacity(text.len() + 24);
        // Writing to a string does not fail.
        let _ = write!(line, "{:>6} {now:>9} {text}", self.steps);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.trace.len() == TRACE_STEPS {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }
}

#[derive(Debug)]
struct SimulatedClock {
    began: Instant,
    skew_millis: i64,
}

impl Clock for SimulatedClock {
    fn unix_millis(&self) -> u64 {
        let now = START_MILLIS + self.began.elapsed().as_millis() as u64;
        now.saturating_add_signed(self.skew_millis)
    }
}
