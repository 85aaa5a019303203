//! Who acts in a run: writers, anchors and verifiers, each with stores, a clock
//! and a generator of its own. One that was killed begins anew.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use countersign_store::{HeadStore, SealedStore};

use super::audit::Ledger;
use super::scheduler::{Random, Scheduler};
use super::stores::{Broken, Caller, SimulatedHeads, SimulatedSealed};
use crate::anchor::{AnchorReport, Signers, anchor_with};
use crate::chain::Deployment;
use crate::clock::Clock;
use crate::seal::{Pending, SealError, Sealer};
use crate::testing::World;
use crate::verify::{self, Options, Verdict};
use crate::witness::Witnessing;

/// What an actor does.
#[derive(Debug, Clone)]
pub(super) enum Role {
    /// Hands these deliveries to a chain until all are acknowledged, some of them
    /// again and again.
    Writer { chain: String, hand: Vec<Pending> },
    /// Anchors what these clouds have the keys for, so often.
    Anchor { clouds: Vec<String>, rounds: u64 },
    /// Verifies everything, so often.
    Verifier { rounds: u64 },
}

/// An actor, as it begins and begins anew.
#[derive(Clone)]
pub(super) struct Actor {
    pub(super) number: usize,
    pub(super) role: Role,
    pub(super) scheduler: Scheduler,
    pub(super) ledger: Arc<Ledger>,
    pub(super) random: Random,
    /// The world through this actor's stores.
    pub(super) deployment: Deployment,
    signers: Signers,
    skew_millis: i64,
    /// Somebody attacks: alarms are in order.
    pub(super) attacked: bool,
}

impl Actor {
    pub(super) fn new(
        number: usize,
        role: Role,
        world: &World,
        (scheduler, ledger): (&Scheduler, &Arc<Ledger>),
        random: Random,
        (skew_millis, broken): (i64, Option<Broken>),
    ) -> Self {
        let name = match &role {
            Role::Writer { chain, .. } => format!("writer{number}@{chain}"),
            Role::Anchor { clouds, .. } => format!("anchor{number}@{}", clouds.join("+")),
            Role::Verifier { .. } => format!("verifier{number}"),
        };
        scheduler.name(number, &name);
        let caller = Caller {
            actor: number,
            scheduler: scheduler.clone(),
            ledger: ledger.clone(),
            broken,
        };
        let mut signers = world.signers.clone();
        if let Role::Anchor { clouds, .. } = &role {
            signers.retain(|name, _| clouds.iter().any(|cloud| name.ends_with(cloud)));
        }
        Self {
            number,
            role,
            scheduler: scheduler.clone(),
            ledger: ledger.clone(),
            random,
            deployment: deployment(world, &caller),
            signers,
            skew_millis,
            attacked: false,
        }
    }

    /// What it does from the beginning, also after it was killed.
    pub(super) fn run(mut self) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            match self.role.clone() {
                Role::Writer { chain, hand } => self.write(&chain, &hand).await,
                Role::Anchor { rounds, .. } => {
                    for _ in 0..rounds {
                        self.idle(10 * 60_000).await;
                        self.anchor().await;
                    }
                }
                Role::Verifier { rounds } => {
                    for _ in 0..rounds {
                        self.idle(10 * 60_000).await;
                        self.verify().await;
                    }
                }
            }
        })
    }

    /// A clock that is wrong by something else each time: it was set, or this is
    /// another machine.
    fn clock(&mut self) -> Arc<dyn Clock> {
        let most = self.skew_millis;
        let skew = self.random.between(0, 2 * most.unsigned_abs());
        self.scheduler.clock(skew as i64 - most)
    }

    /// Does nothing for a while: mostly short, since all is over otherwise.
    async fn idle(&mut self, most_millis: u64) {
        let most = *self.random.pick(&[1, 100, 1000, most_millis]);
        let millis = self.random.below(most + 1);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    fn sealer(&mut self, chain: &str) -> Result<Sealer, SealError> {
        let clock = self.clock();
        let of_name = |known: &&crate::chain::Chain| known.settings.name == chain;
        let chain = self.deployment.chains.iter().find(of_name);
        let chain = chain.expect("a chain of the world").clone();
        let signer = self.signers[chain.origin()].clone();
        let window = self.deployment.settings.duplicate_window;
        Sealer::open(chain, signer, clock, window)
    }

    async fn write(&mut self, chain: &str, hand: &[Pending]) {
        let mut sealer = self.sealer(chain).expect("the chain's own key");
        let mut at = 0;
        // What was acknowledged to one that was killed comes again or not.
        while at < hand.len()
            && self.ledger.is_acknowledged(chain, &hand[at].delivery.id)
            && self.random.chance(700)
        {
            at += 1;
        }
        while at < hand.len() {
            let most = (hand.len() - at).min(3) as u64;
            let batch = &hand[at..at + self.random.between(1, most) as usize];
            let faults = self.scheduler.faults_of(self.number);
            match sealer.seal(batch).await {
                Ok(outcomes) => {
                    if outcomes.len() != batch.len() {
                        self.violation("a writer got an outcome for each part but not one");
                    }
                    for (part, outcome) in batch.iter().zip(outcomes) {
                        self.ledger.acknowledge(chain, &part.delivery.id, outcome);
                    }
                    at += batch.len();
                    if self.random.chance(100) {
                        at -= self.random.below(at as u64 + 1).min(4) as usize;
                    }
                }
                Err(error) => {
                    if self.failed(&error, faults) && self.attacked {
                        return; // a person must act
                    }
                    if self.random.chance(500) {
                        sealer = self.sealer(chain).expect("the chain's own key");
                    }
                    self.idle(1000).await;
                }
            }
            if self.random.chance(300) {
                self.idle(5 * 60_000).await;
            }
        }
    }

    /// Whether no call of this writer that failed explains the error.
    fn failed(&self, error: &SealError, faults_before: u64) -> bool {
        let faulty = self.scheduler.faults_of(self.number) > faults_before;
        self.scheduler.note(&format!("writer: {error}"));
        let without_cause = is_alarm(error) || !faulty;
        if without_cause && !self.attacked {
            self.violation(&format!("a writer without cause: {error}"));
        }
        without_cause
    }

    async fn anchor(&mut self) {
        let faults = self.scheduler.faults_of(self.number);
        let clock = self.clock();
        let report = anchor_with(&self.deployment, &self.signers, clock).await;
        let faulty = self.scheduler.faults_of(self.number) > faults;
        for (origin, published) in &report.published {
            if let Some(published) = published {
                self.ledger
                    .published(origin, published.size, published.root);
            }
        }
        let text = told(&report);
        self.scheduler.note(&text);
        if self.attacked {
            return;
        }
        if report.exit_code() == 1 {
            self.violation(&format!("an alarm without an attack: {text}"));
        } else if !report.errors.is_empty() && !faulty {
            self.violation(&format!("an anchor run without cause: {text}"));
        }
    }

    async fn verify(&mut self) {
        let faults = self.scheduler.faults_of(self.number);
        let mut deployment = self.deployment.clone();
        // How old anchors may be depends on when anybody ran; that is asked at
        // the end.
        deployment.settings.anchor_grace = Duration::from_hours(24 * 300);
        for chain in &mut deployment.chains {
            chain.settings.allow_empty = !self.ledger.holds_records(&chain.settings.name);
        }
        let options = Options {
            concurrency: Some(self.random.between(1, 4) as usize),
            ..Options::default()
        };
        let clock = self.clock();
        let report = verify::verify(&deployment, &options, &*clock, &()).await;
        let faulty = self.scheduler.faults_of(self.number) > faults;
        match report {
            Ok(report) => {
                self.scheduler
                    .note(&format!("verify says {:?}", report.result));
                let wrong = match report.result {
                    Verdict::Verified => false,
                    Verdict::Incomplete => !faulty,
                    Verdict::Failed => true,
                };
                if wrong && !self.attacked {
                    self.violation(&format!(
                        "verify while the chains move:\n{}",
                        report.to_text(false)
                    ));
                }
            }
            Err(error) => self.violation(&format!("verify: {error}")),
        }
    }

    fn violation(&self, what: &str) {
        self.scheduler.violation(what.to_owned());
    }
}

/// What a report tells, in one line.
pub(super) fn told(report: &AnchorReport) -> String {
    let done = report.witnessed.iter().map(|(witness, origin, done)| {
        let done = match done {
            Witnessing::Cosigned { size, .. } => format!("cosigned {size}"),
            other => format!("{other:?}"),
        };
        format!("{} of {}: {done}", short(witness), short(origin))
    });
    let published = report.published.iter().map(|(origin, published)| {
        let size = published.as_ref().map(|published| published.size);
        format!("{} published {size:?}", short(origin))
    });
    let errors = report
        .errors
        .iter()
        .map(|(what, error)| format!("{}: {error}", short(what)));
    let all: Vec<_> = published.chain(done).chain(errors).collect();
    format!("anchor: {}", all.join("; "))
}

fn short(name: &str) -> &str {
    name.strip_prefix("audit.example.org/").unwrap_or(name)
}

fn is_alarm(error: &SealError) -> bool {
    matches!(
        error,
        SealError::Alarm { .. }
            | SealError::NoHead { .. }
            | SealError::NoGenesis { .. }
            | SealError::Genesis { .. }
            | SealError::State(crate::head::StateError::Damaged { .. })
    )
}

/// The world as one actor reaches it.
fn deployment(world: &World, caller: &Caller) -> Deployment {
    let mut deployment = world.deployment.clone();
    let sealed = |cloud: &str| -> Arc<dyn SealedStore> {
        Arc::new(SimulatedSealed {
            inner: world.sealed[cloud].clone(),
            caller: caller.clone(),
        })
    };
    let heads = |cloud: &str| -> Arc<dyn HeadStore> {
        Arc::new(SimulatedHeads {
            inner: world.heads[cloud].clone(),
            caller: caller.clone(),
        })
    };
    for chain in &mut deployment.chains {
        chain.sealed = sealed(&chain.settings.name);
        chain.head = heads(&chain.settings.name);
    }
    for witness in &mut deployment.witnesses {
        witness.sealed = sealed(&witness.settings.name);
        witness.state = heads(&witness.settings.name);
    }
    deployment
}
