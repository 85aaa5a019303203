//! Deterministic simulation: writers, anchors and verifiers over stores in
//! memory, with a seeded scheduler that decides who goes on, what is slow, what
//! fails and who is killed.
//!
//! **What is simulated.** Every store call of every actor is a point where any
//! other may go on for any while: before its effect, between effect and answer,
//! for up to two hours. Writes are lost, done and reported as failed, done later
//! than reported, refused; reads fail; listings come in small pages. Actors are
//! killed at any store call or sleep and begin anew, with what was not
//! acknowledged, and with some of what was. Clocks differ. In the second family
//! an administrator puts a cloud's stores back to what they were.
//!
//! **What is not.** A process stops only where it waits; nothing that it does in
//! between is visible to others before. Stores keep to their contract, except
//! those that are broken on purpose, to see that it is found out: how the real
//! backends keep to it is for their conformance tests. Keys, memory, the network
//! to outside witnesses and the adapters around the jobs have no part in it.
//!
//! The same seed gives the same run: one thread, tokio's paused clock for the
//! time, and a turn only once all that can run has run. `COUNTERSIGN_SIM_SEED=N`
//! runs one seed and shows its last steps; `COUNTERSIGN_SIM_SEEDS=N` sets how many
//! seeds each family runs, `COUNTERSIGN_SIM_FIRST=N` where they begin.

mod actors;
mod audit;
mod fault_tables;
mod hostile;
mod scheduler;
mod stores;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;

use self::actors::{Actor, Role, told};
use self::audit::{Ledger, audit};
use self::hostile::{Attack, Attacker};
use self::scheduler::{Profile, Random, Scheduler, Summary};
use self::stores::Broken;
use crate::anchor::anchor_with;
use crate::seal::{Outcome, Pending};
use crate::testing::{World, part};
use crate::verify::{Options, Verdict, verify};

const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];

/// Seeds of each family in an ordinary test run.
const SEEDS: u64 = 2000;

/// Steps with faults, at most.
const ROUGH_STEPS: u64 = 4000;

/// Seeds that fail before a campaign stops.
const MOST_FAILED: usize = 5;

/// The duplicate window: every redelivery of a run falls into it.
const WINDOW: usize = 100;

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Honest,
    /// One cloud's administrator puts stores back.
    Hostile,
    /// The stores break their contract.
    Broken(Broken),
}

/// What came of a seed.
#[derive(Debug)]
struct Run {
    summary: Summary,
    violation: Option<String>,
    acknowledged: usize,
    attack: Option<Attack>,
}

/// Runs one seed, in a runtime of its own.
fn run(family: Family, seed: u64) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, simulate(family, seed))
}

async fn simulate(family: Family, seed: u64) -> Run {
    let mut random = Random::new(seed);
    let clouds = match family {
        Family::Honest => random.between(1, 3),
        _ => random.between(2, 3),
    };
    let clouds = &CLOUDS[..clouds as usize];
    let mut world = World::new(clouds).await;
    world.deployment.settings.duplicate_window = WINDOW;
    let mut profile = Profile::draw(&mut random);
    if family != Family::Honest {
        profile.faults_permille /= 4;
        profile.kills_permille /= 4;
    }
    let scheduler = Scheduler::new(random.fork(), profile.clone());
    let ledger = Arc::new(Ledger::default());
    let cast = cast(&mut random, clouds);
    scheduler.note(&format!(
        "{clouds:?} {} actors {profile:?}",
        cast.roles.len()
    ));
    let broken = match family {
        Family::Broken(broken) => Some(broken),
        _ => None,
    };
    let mut attacker = (family == Family::Hostile).then(|| Attacker::new(&mut random, clouds));
    let mut actors = Vec::new();
    for (number, role) in cast.roles.into_iter().enumerate() {
        let (by, wrong) = ((&scheduler, &ledger), (profile.skew_millis, broken));
        let mut actor = Actor::new(number, role, &world, by, random.fork(), wrong);
        actor.attacked = attacker.is_some();
        actors.push(actor);
    }
    let by = (&scheduler, &*ledger);
    play(&world, by, &mut actors, attacker.as_mut()).await;
    let mut violation = scheduler.violated();
    if violation.is_none() {
        let ended = match &mut attacker {
            Some(attacker) => attacker.judge(&world, &scheduler).await,
            None => end(&world, &scheduler, &ledger, &cast.hands).await,
        };
        violation = ended.err();
    }
    Run {
        summary: scheduler.summary(),
        violation,
        acknowledged: ledger.acknowledged(),
        attack: attacker.map(|attacker| attacker.attack),
    }
}

/// Who takes part, and what is to be sealed.
struct Cast {
    roles: Vec<Role>,
    /// By chain.
    hands: BTreeMap<String, Vec<Pending>>,
}

fn cast(random: &mut Random, clouds: &[&str]) -> Cast {
    let (mut roles, mut hands) = (Vec::new(), BTreeMap::new());
    let busy = random.below(clouds.len() as u64) as usize;
    for (nth, cloud) in clouds.iter().enumerate() {
        let (most, writers) = match nth == busy {
            true => (10, random.between(2, 3)),
            false => (3, 1),
        };
        let hand: Vec<Pending> = (0..random.between(1, most))
            .map(|n| {
                let texts: Vec<_> = (0..random.below(4))
                    .map(|line| format!("{cloud}-{n}-{line}"))
                    .collect();
                let texts: Vec<_> = texts.iter().map(String::as_str).collect();
                // One without records is known by its number all the same.
                let mut part = part(&texts);
                part.delivery.id = format!("{:064x}", nth * 100 + n as usize);
                part
            })
            .collect();
        for writer in 0..writers {
            // The first is handed everything, the others some of it, in some order.
            let mut own = hand.clone();
            if writer > 0 {
                own.retain(|_| random.chance(600));
                if random.chance(500) {
                    own.reverse();
                }
            }
            roles.push(Role::Writer {
                chain: (*cloud).to_owned(),
                hand: own,
            });
        }
        hands.insert((*cloud).to_owned(), hand);
    }
    let names: Vec<String> = clouds.iter().map(|cloud| (*cloud).to_owned()).collect();
    for _ in 0..random.between(2, 4) {
        // A command line with all keys, or a cloud's function with its own.
        let clouds = match random.chance(300) {
            true => names.clone(),
            false => vec![random.pick(&names).clone()],
        };
        let rounds = random.between(1, 2);
        roles.push(Role::Anchor { clouds, rounds });
    }
    for _ in 0..random.below(3) {
        roles.push(Role::Verifier { rounds: 1 });
    }
    Cast { roles, hands }
}

/// Lets all actors play to their end, with faults at first.
async fn play(
    world: &World,
    (scheduler, ledger): (&Scheduler, &Ledger),
    actors: &mut [Actor],
    mut attacker: Option<&mut Attacker>,
) {
    let begin = |actor: &Actor| {
        scheduler.may_kill(actor.number, true);
        Some(tokio::task::spawn_local(actor.clone().run()))
    };
    let mut tasks: Vec<Option<JoinHandle<()>>> = actors.iter().map(begin).collect();
    while scheduler.violated().is_none() {
        let (went_on, kill) = scheduler.step().await;
        if let Some(attacker) = &mut attacker {
            attacker.act(world, scheduler, ledger).await;
        }
        if let Some(nth) = kill
            && let Some(task) = tasks[nth].take()
        {
            task.abort();
            // It is gone before it begins anew, with other choices.
            let _ = task.await;
            actors[nth].random = actors[nth].random.fork();
            tasks[nth] = begin(&actors[nth]);
        }
        if scheduler.is_rough() && scheduler.steps() > ROUGH_STEPS {
            scheduler.calm_down();
        }
        for (nth, slot) in tasks.iter_mut().enumerate() {
            if let Some(task) = slot.take_if(|task| task.is_finished()) {
                scheduler.may_kill(nth, false);
                if task.await.is_err_and(|error| error.is_panic()) {
                    scheduler.violation("an actor panicked".to_owned());
                }
            }
        }
        if !went_on {
            if tasks.iter().all(Option::is_none) {
                break;
            }
            scheduler.idle().await; // all that is left sleeps
        }
    }
    for task in tasks.into_iter().flatten() {
        task.abort();
    }
}

/// Whether everything holds once faults have stopped and nobody acts any more.
async fn end(
    world: &World,
    scheduler: &Scheduler,
    ledger: &Ledger,
    hands: &BTreeMap<String, Vec<Pending>>,
) -> Result<(), String> {
    ledger.problem().map_or(Ok(()), Err)?;
    let clock = scheduler.clock(0);
    for (chain, hand) in hands {
        for part in hand {
            if !ledger.is_acknowledged(chain, &part.delivery.id) {
                return Err(format!("{chain}: {} was left over", part.delivery.id));
            }
        }
        // All comes once more, to a writer that knows nothing.
        let of_chain = world.chain(chain).clone();
        let signer = world.signers[of_chain.origin()].clone();
        let sealer = crate::seal::Sealer::open(of_chain, signer, clock.clone(), WINDOW);
        let outcomes = sealer.map_err(|error| error.to_string())?.seal(hand).await;
        let outcomes = outcomes.map_err(|error| format!("{chain}: {error}"))?;
        if outcomes
            .iter()
            .any(|outcome| *outcome != Outcome::AlreadySealed)
        {
            return Err(format!("{chain}: sealed once more: {outcomes:?}"));
        }
    }
    for minutes in [10, 65] {
        tokio::time::sleep(Duration::from_mins(minutes)).await;
        let report = anchor_with(&world.deployment, &world.signers, clock.clone()).await;
        if report.exit_code() != 0 {
            return Err(format!("the last runs: {}", told(&report)));
        }
    }
    let report = verify(&world.deployment, &Options::default(), &*clock, &()).await;
    let report = report.map_err(|error| error.to_string())?;
    let duplicates: u64 = report.chains.iter().map(|chain| chain.duplicates).sum();
    if report.result != Verdict::Verified || duplicates > 0 {
        return Err(format!("verify at the end:\n{}", report.to_text(false)));
    }
    audit(world, ledger).await
}

/// What a number of seeds came to.
#[derive(Debug, Default)]
struct Campaign {
    seeds: AtomicU64,
    steps: AtomicU64,
    faults: AtomicU64,
    kills: AtomicU64,
    acknowledged: AtomicU64,
    /// Attacks that took anchored records away, and were found out.
    attacks: AtomicU64,
    /// Attacks that made a witness raise an alarm.
    alarms: AtomicU64,
}

impl Campaign {
    fn count(&self, run: &Run) {
        let attack = run.attack.as_ref();
        let (bit, alarmed) = attack.map_or((false, false), |attack| (attack.bit, attack.alarmed));
        for (counter, by) in [
            (&self.seeds, 1),
            (&self.steps, run.summary.steps),
            (&self.faults, run.summary.faults),
            (&self.kills, run.summary.kills),
            (&self.acknowledged, run.acknowledged as u64),
            (&self.attacks, u64::from(bit)),
            (&self.alarms, u64::from(alarmed)),
        ] {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }
}

/// Runs seeds on all cores; panics if there are some that do not hold.
fn campaign(family: Family, seeds: std::ops::Range<u64>) -> Campaign {
    let campaign = Campaign::default();
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<BTreeMap<u64, Run>> = Mutex::default();
    let cores = crate::cores();
    std::thread::scope(|scope| {
        let work = || {
            while failed.lock().unwrap().len() < MOST_FAILED {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    break;
                }
                let run = run(family, seed);
                campaign.count(&run);
                if run.violation.is_some() {
                    failed.lock().unwrap().insert(seed, run);
                }
            }
        };
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    println!("{family:?}: {campaign:?}");
    let failed = failed.into_inner().unwrap();
    if let Some((seed, run)) = failed.first_key_value() {
        let all: Vec<_> = failed.keys().collect();
        panic!(
            "{}\nseeds that failed: {all:?}",
            describe(family, *seed, run)
        );
    }
    campaign
}

fn describe(family: Family, seed: u64, run: &Run) -> String {
    let test = match family {
        Family::Honest => "nothing_is_lost_repeated_or_forked_whatever_fails",
        Family::Hostile => "what_was_anchored_does_not_go_unnoticed",
        Family::Broken(_) => "stores_that_break_their_contract_are_found_out",
    };
    format!(
        "{}\nseed {seed} of {family:?}: {}\nreplay it: COUNTERSIGN_SIM_SEED={seed} cargo test -p countersign-service {test} -- --nocapture",
        run.summary.trace.join("\n"),
        run.violation.as_deref().unwrap_or("all holds"),
    )
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// The seeds of a family, or the one that is asked for, which is shown.
fn seeds(family: Family) -> Option<Campaign> {
    if let Some(seed) = setting("COUNTERSIGN_SIM_SEED") {
        let run = run(family, seed);
        println!("{}", describe(family, seed, &run));
        assert_eq!(run.violation, None);
        return None;
    }
    let first = setting("COUNTERSIGN_SIM_FIRST").unwrap_or(0);
    let seeds = setting("COUNTERSIGN_SIM_SEEDS").unwrap_or(SEEDS);
    Some(campaign(family, first..first + seeds))
}

#[test]
fn nothing_is_lost_repeated_or_forked_whatever_fails() {
    if let Some(campaign) = seeds(Family::Honest) {
        let seeds = campaign.seeds.into_inner();
        assert!(seeds > 0 && campaign.acknowledged.into_inner() >= 3 * seeds);
        assert!(campaign.steps.into_inner() > 100 * seeds);
        assert!(campaign.faults.into_inner() > seeds);
        assert!(campaign.kills.into_inner() > 0);
    }
}

/// Beyond the seeds of an ordinary run: a witness's clock went back between two
/// anchors, and `verify` took the smaller one for the newest.
#[test]
fn seeds_that_found_something_hold() {
    for seed in [1_029_335, 1_043_254, 1_092_571, 1_175_086] {
        let run = run(Family::Honest, seed);
        assert_eq!(run.violation, None, "seed {seed}");
    }
}

#[test]
fn what_was_anchored_does_not_go_unnoticed() {
    if let Some(campaign) = seeds(Family::Hostile) {
        let (seeds, attacks) = (campaign.seeds.into_inner(), campaign.attacks.into_inner());
        assert!(attacks > seeds / 50, "{attacks} of {seeds} attacks bit");
        let alarms = campaign.alarms.into_inner();
        assert!(alarms > seeds / 50, "{alarms} alarms in {seeds} seeds");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for family in [Family::Honest, Family::Hostile] {
        for seed in 0..20 {
            let [first, second] = [run(family, seed), run(family, seed)];
            assert_eq!(
                first.summary.trace, second.summary.trace,
                "{family:?} {seed}"
            );
            assert_eq!(first.summary.hash, second.summary.hash, "{family:?} {seed}");
            assert_eq!(first.violation, second.violation);
        }
    }
    assert_ne!(
        run(Family::Honest, 1).summary.hash,
        run(Family::Honest, 2).summary.hash
    );
}

#[test]
fn stores_that_break_their_contract_are_found_out() {
    for broken in [
        Broken::PutOverwrites,
        Broken::PutInTwoSteps,
        Broken::PutForgets,
        Broken::SwapInTwoSteps,
        Broken::SwapOverwrites,
        Broken::SwapForgets,
    ] {
        let family = Family::Broken(broken);
        if let Some(seed) = setting("COUNTERSIGN_SIM_SEED") {
            println!("{}", describe(family, seed, &run(family, seed)));
            continue;
        }
        let found = (0..200).find_map(|seed| Some((seed, run(family, seed).violation?)));
        let Some((seed, violation)) = found else {
            panic!("{broken:?} was not found out");
        };
        let first = violation.lines().next().unwrap_or_default();
        println!("{broken:?}: seed {seed}: {first}");
    }
}
