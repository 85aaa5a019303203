//! Fault tables: every store call of a job fails every way it can, alone and
//! twice; then the job's caller restarts, and everything must hold.
//!
//! What the simulation meets by chance is gone through here one by one, in a
//! small world and without anybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_store::HeadStore;
use countersign_store::fault::{CallKind, Fault};

use super::actors::told;
use super::audit::{Ledger, audit};
use crate::anchor::anchor_with;
use crate::head::head_key;
use crate::publish::publish;
use crate::seal::{Outcome, Pending, Sealer};
use crate::testing::{World, part};
use crate::verify::{Options, Verdict, verify};

/// What is done while a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// A chain's first segment.
    SealFirst,
    /// A writer that knows nothing yet.
    SealCold,
    /// A writer that has sealed before.
    SealWarm,
    /// A writer that is behind: others sealed and published.
    SealBehind,
    /// The head was not moved over the last segment.
    SealOrphan,
    PublishFirst,
    PublishGrown,
    /// A writer publishes that has sealed before.
    PublishWarm,
    PublishOrphan,
    WitnessFirst,
    WitnessGrown,
    /// Nothing new, but the newest anchor is old.
    WitnessHourly,
    /// An earlier run announced an anchor and did not write it.
    WitnessAnnounced,
    /// An earlier run wrote an anchor and did not seal its record.
    WitnessUnrecorded,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A write lost, a read failed for now.
    Lost,
    /// A write done and reported as failed, a read refused.
    Done,
    /// A write certainly not done.
    Transient,
    /// A write refused.
    Refused,
}

impl Way {
    fn fault(self, kind: CallKind) -> Fault {
        match (self, kind.is_write()) {
            (Self::Lost, true) => Fault::Lost,
            (Self::Done, true) => Fault::Done,
            (Self::Lost | Self::Transient, _) => Fault::Transient,
            (Self::Done | Self::Refused, _) => Fault::Refused,
        }
    }
}

/// What else fails after the first call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    /// The next call.
    Next,
    /// The next call of the same kind to the same object.
    Same,
    /// The call with this number.
    At(u64),
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    /// The call that fails, counted from 1.
    nth: u64,
    way: Way,
    again: Again,
    then: Way,
}

/// A world in which a job is about to be done.
struct Stage {
    world: World,
    ledger: Ledger,
    sealer: Sealer,
    /// All that is to be in the first chain at the end.
    parts: Vec<Pending>,
}

impl Stage {
    async fn new(job: Job) -> Self {
        let world = World::new(&["aws", "azure"]).await;
        let mut stage = Self {
            sealer: world.sealer("aws"),
            ledger: Ledger::default(),
            parts: Vec::new(),
            world,
        };
        stage.world.seal("azure", &["x"]).await;
        if job == Job::SealFirst {
            return stage;
        }
        stage.seal(&["a", "b"]).await;
        match job {
            Job::SealFirst | Job::SealWarm | Job::PublishFirst | Job::PublishWarm => {}
            Job::SealCold => {
                stage.anchor().await;
                stage.seal(&["c"]).await;
            }
            Job::SealBehind => {
                let behind = std::mem::replace(&mut stage.sealer, stage.world.sealer("aws"));
                stage.seal(&["c"]).await;
                stage.anchor().await;
                stage.seal(&["d"]).await;
                stage.sealer = behind;
                return stage;
            }
            Job::SealOrphan | Job::PublishOrphan => {
                stage.anchor().await;
                let key = head_key(stage.world.chain("aws").origin());
                let heads = stage.world.heads["aws"].inner();
                let before = heads.load(&key).await.unwrap().unwrap();
                stage.sealer = stage.world.sealer("aws");
                stage.seal(&["c"]).await;
                let heads = stage.world.heads["aws"].inner();
                heads.tamper_replace(&key, before.bytes);
            }
            Job::PublishGrown => {
                stage.anchor().await;
                stage.sealer = stage.world.sealer("aws");
                stage.seal(&["c"]).await;
            }
            Job::WitnessFirst => {
                publish(&mut stage.sealer).await.unwrap().unwrap();
            }
            Job::WitnessGrown | Job::WitnessAnnounced | Job::WitnessUnrecorded => {
                stage.anchor().await;
                stage.sealer = stage.world.sealer("aws");
                stage.seal(&["c"]).await;
                publish(&mut stage.sealer).await.unwrap().unwrap();
                stage.world.clock.advance(300_000);
                let prefix = match job {
                    Job::WitnessAnnounced => "anchors/",
                    Job::WitnessUnrecorded => "segments/",
                    _ => return stage,
                };
                let refused = Arc::new(AtomicU64::new(0));
                let count = refused.clone();
                stage.world.faults.fail_when(move |call| {
                    let put = call.kind == CallKind::Put && call.key.starts_with(prefix);
                    count.fetch_add(u64::from(put), Ordering::Relaxed);
                    put.then_some(Fault::Refused)
                });
                stage.witness().await;
                assert!(refused.load(Ordering::Relaxed) > 0);
                stage.world.faults.clear();
                stage.world.clock.advance(300_000);
            }
            Job::WitnessHourly => {
                stage.anchor().await;
                stage.world.clock.advance(3_600_000);
            }
        }
        if !matches!(job, Job::SealWarm | Job::PublishWarm) {
            stage.sealer = stage.world.sealer("aws");
        }
        stage
    }

    /// Seals a delivery, which is acknowledged if that succeeds.
    async fn seal(&mut self, texts: &[&str]) {
        let part = part(texts);
        self.parts.push(part.clone());
        if let Ok(outcomes) = self.sealer.seal(std::slice::from_ref(&part)).await {
            assert_eq!(outcomes.len(), 1);
            self.ledger
                .acknowledge("aws", &part.delivery.id, outcomes[0]);
        }
    }

    async fn anchor(&self) {
        let report = self.world.anchor().await;
        assert_eq!(report.exit_code(), 0, "{}", told(&report));
        self.world.clock.advance(60_000);
    }

    /// One run of the cloud that witnesses the first chain, with its own keys.
    async fn witness(&self) {
        let mut signers = self.world.signers.clone();
        signers.retain(|name, _| name.ends_with("azure"));
        let (deployment, clock) = (&self.world.deployment, self.world.clock.clone());
        let report = anchor_with(deployment, &signers, clock).await;
        // A call that fails is no sign of an attack.
        assert_ne!(report.exit_code(), 1, "{}", told(&report));
    }

    async fn act(&mut self, job: Job) {
        match job {
            Job::SealFirst | Job::SealCold | Job::SealWarm | Job::SealBehind | Job::SealOrphan => {
                self.seal(&["e", "f"]).await;
                self.seal(&["g"]).await;
            }
            Job::PublishFirst | Job::PublishGrown | Job::PublishWarm | Job::PublishOrphan => {
                if let Ok(Some(published)) = publish(&mut self.sealer).await {
                    let origin = self.world.chain("aws").origin();
                    self.ledger
                        .published(origin, published.size, published.root);
                }
            }
            Job::WitnessFirst
            | Job::WitnessGrown
            | Job::WitnessHourly
            | Job::WitnessAnnounced
            | Job::WitnessUnrecorded => self.witness().await,
        }
    }

    /// After a restart: what was not acknowledged comes again, as does the rest;
    /// two more runs of all clouds; and all must hold.
    async fn judge(self) {
        let Self {
            world,
            ledger,
            mut parts,
            ..
        } = self;
        if parts.is_empty() {
            parts.push(part(&["a"]));
        }
        world.faults.clear();
        let outcomes = world.sealer("aws").seal(&parts).await.unwrap();
        for (part, outcome) in parts.iter().zip(outcomes) {
            let id = &part.delivery.id;
            let again = ledger.is_acknowledged("aws", id) && outcome != Outcome::AlreadySealed;
            assert!(!again, "{id} was acknowledged and is sealed again");
            ledger.acknowledge("aws", id, outcome);
        }
        for minutes in [10, 65] {
            world.clock.advance(minutes * 60_000);
            let report = world.anchor().await;
            assert_eq!(report.exit_code(), 0, "{}", told(&report));
        }
        let report = verify(&world.deployment, &Options::default(), &*world.clock, &()).await;
        let report = report.unwrap();
        let text = report.to_text(false);
        assert_eq!(report.result, Verdict::Verified, "{text}");
        assert!(report.chains.iter().all(|chain| chain.duplicates == 0));
        assert_eq!(audit(&world, &ledger).await, Ok(()));
    }

    /// Lets calls fail from now on; counts those that did.
    fn arm(&self, plan: Plan) -> Arc<AtomicU64> {
        let fired = Arc::new(AtomicU64::new(0));
        let (count, begin) = (fired.clone(), self.world.faults.counts().total());
        let mut first = None;
        let mut over = plan.again == Again::Never;
        self.world.faults.fail_when(move |call| {
            let nth = call.counts.total() - begin;
            let what = (call.kind, call.store.to_owned(), call.key.to_owned());
            let way = if nth == plan.nth {
                first = Some(what);
                plan.way
            } else {
                let fails = match plan.again {
                    Again::Never => false,
                    Again::Next => nth == plan.nth + 1,
                    Again::Same => first.as_ref() == Some(&what),
                    Again::At(other) => nth == other,
                };
                if over || !fails {
                    return None;
                }
                over = true;
                plan.then
            };
            count.fetch_add(1, Ordering::Relaxed);
            Some(way.fault(call.kind))
        });
        fired
    }
}

/// The calls of a job in which nothing fails.
async fn calls(job: Job) -> Vec<CallKind> {
    let mut stage = Stage::new(job).await;
    let kinds = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = kinds.clone();
    stage.world.faults.fail_when(move |call| {
        seen.lock().unwrap().push(call.kind);
        None
    });
    stage.act(job).await;
    stage.judge().await;
    kinds.lock().unwrap().clone()
}

struct ShownIfItPanics(Job, Plan);

impl Drop for ShownIfItPanics {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?} {:?}", self.0, self.1);
        }
    }
}

/// Goes through one plan; gives how many calls failed.
async fn case(job: Job, plan: Plan) -> u64 {
    let mut stage = Stage::new(job).await;
    let fired = stage.arm(plan);
    let _shown = ShownIfItPanics(job, plan);
    stage.act(job).await;
    stage.judge().await;
    fired.load(Ordering::Relaxed)
}

/// All calls of a job, each way, alone, and again at once or when repeated; with
/// `pairs` any two of them.
async fn table(job: Job, pairs: bool) {
    let kinds = calls(job).await;
    let (mut cases, mut twice) = (0u64, 0u64);
    for (nth, kind) in (1..).zip(&kinds) {
        let ways: &[Way] = match kind.is_write() {
            true => &[Way::Lost, Way::Done, Way::Transient, Way::Refused],
            false => &[Way::Lost, Way::Done],
        };
        for way in ways.iter().copied() {
            let plan = |again, then| Plan {
                nth,
                way,
                again,
                then,
            };
            let fired = case(job, plan(Again::Never, way)).await;
            assert_eq!(fired, 1, "the call was not made: {job:?} {nth}");
            cases += 1;
            for then in [Way::Lost, Way::Done] {
                for again in [Again::Next, Again::Same] {
                    let fired = case(job, plan(again, then)).await;
                    assert!(fired >= 1);
                    cases += 1;
                    twice += u64::from(fired == 2);
                }
                // A failure makes for more calls than there are without.
                let others = nth + 2..kinds.len() as u64 + 6;
                let pairs = pairs && matches!(way, Way::Lost | Way::Done);
                for other in others.filter(|_| pairs) {
                    let fired = case(job, plan(Again::At(other), then)).await;
                    assert!(fired >= 1);
                    cases += 1;
                    twice += u64::from(fired == 2);
                }
            }
        }
    }
    println!(
        "{job:?}: {} calls, {cases} cases, {twice} of them with two failures",
        kinds.len()
    );
    assert!(
        kinds.len() >= 4 && twice > kinds.len() as u64,
        "{job:?} {twice}"
    );
}

#[tokio::test(start_paused = true)]
async fn any_two_calls_of_a_writer_may_fail() {
    for job in [
        Job::SealFirst,
        Job::SealCold,
        Job::SealWarm,
        Job::SealBehind,
        Job::SealOrphan,
    ] {
        table(job, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn any_call_of_a_publication_may_fail_twice() {
    for job in [
        Job::PublishFirst,
        Job::PublishGrown,
        Job::PublishWarm,
        Job::PublishOrphan,
    ] {
        table(job, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn any_call_of_a_witness_may_fail_twice() {
    for job in [
        Job::WitnessFirst,
        Job::WitnessGrown,
        Job::WitnessHourly,
        Job::WitnessAnnounced,
        Job::WitnessUnrecorded,
    ] {
        table(job, false).await;
    }
}
