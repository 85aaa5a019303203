//! An administrator who puts the stores of a cloud back to what they were.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use countersign_core::anchor::Anchor;
use countersign_core::names;
use countersign_store::HeadStore;

use super::actors::told;
use super::audit::{History, Ledger, anchored, standing};
use super::scheduler::{Random, Scheduler};
use crate::anchor::anchor_with;
use crate::chain::Chain;
use crate::head::{head_key, witness_key};
use crate::testing::World;
use crate::verify::{Options, Verdict, verify};
use crate::witness::Witnessing;

/// How much is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The head's document.
    Head,
    /// The segments alone.
    Segments,
    /// The head, the segments and what is published of them.
    Chain,
    /// All that stands in the cloud, its witness's anchors and states included.
    Cloud,
}

/// What was done, and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Attack {
    cloud: String,
    scope: Scope,
    /// The chain's size when the copy was taken.
    size: u64,
    done: bool,
    /// Acknowledged records that other clouds anchored are gone.
    pub(super) bit: bool,
    /// A witness found that the chain contradicts what it saw.
    pub(super) alarmed: bool,
}

pub(super) struct Attacker {
    pub(super) attack: Attack,
    copy_at: u64,
    waits: u64,
    copied: Option<Copied>,
    /// Acknowledged and anchored when the stores were put back.
    anchored: Vec<String>,
}

struct Copied {
    objects: BTreeMap<String, Bytes>,
    heads: Vec<(String, Option<Bytes>)>,
}

impl Attacker {
    pub(super) fn new(random: &mut Random, clouds: &[&str]) -> Self {
        let scopes = [Scope::Head, Scope::Segments, Scope::Chain, Scope::Cloud];
        Self {
            attack: Attack {
                cloud: (*random.pick(clouds)).to_owned(),
                scope: *random.pick(&scopes),
                size: 0,
                done: false,
                bit: false,
                alarmed: false,
            },
            copy_at: random.between(20, 300),
            waits: random.between(0, 500),
            copied: None,
            anchored: Vec::new(),
        }
    }

    /// Does what is due at this step: puts the stores back some while after
    /// something was anchored that was not there when they were copied.
    pub(super) async fn act(&mut self, world: &World, scheduler: &Scheduler, ledger: &Ledger) {
        let steps = scheduler.steps();
        if self.copied.is_none() {
            if steps >= self.copy_at {
                self.copied = Some(self.copy(world).await);
                scheduler.note(&format!(
                    "copied {} at {}",
                    self.attack.cloud, self.attack.size
                ));
            }
            return;
        }
        if self.attack.done || !steps.is_multiple_of(20) {
            return;
        }
        let chain = world.chain(&self.attack.cloud);
        self.anchored = anchored(world, ledger, chain, 0).await;
        let since = anchored(world, ledger, chain, self.attack.size).await;
        if !since.is_empty() {
            self.waits = self.waits.saturating_sub(20);
            if self.waits == 0 {
                self.restore(world, scheduler).await;
            }
        }
    }

    async fn copy(&mut self, world: &World) -> Copied {
        let cloud = &self.attack.cloud;
        let chain = world.chain(cloud);
        let mut keys = vec![head_key(chain.origin())];
        let witnesses = world.deployment.witnesses.iter();
        for witness in witnesses.filter(|witness| witness.settings.name == *cloud) {
            let others = world.deployment.chains.iter();
            keys.extend(others.map(|chain| witness_key(witness.key.name(), chain.origin())));
        }
        let mut heads = Vec::new();
        for key in keys {
            let stored = world.heads[cloud].inner().load(&key).await.unwrap();
            heads.push((key, stored.map(|stored| stored.bytes)));
        }
        let history = History::read(world, chain).await;
        self.attack.size = history.map_or(0, |history| history.end());
        Copied {
            objects: world.objects(cloud).await,
            heads,
        }
    }

    async fn restore(&mut self, world: &World, scheduler: &Scheduler) {
        self.attack.done = true;
        scheduler.note(&format!("puts back {:?}", self.attack));
        let Some(copied) = &self.copied else { return };
        let Attack { cloud, scope, .. } = &self.attack;
        let (sealed, heads) = (world.sealed[cloud].inner(), world.heads[cloud].inner());
        for key in world.objects(cloud).await.into_keys() {
            let goes = match scope {
                Scope::Head => false,
                Scope::Segments => key.starts_with("segments/"),
                Scope::Chain => !key.starts_with("anchors/") && !key.starts_with("evidence/"),
                Scope::Cloud => true,
            };
            if goes && !copied.objects.contains_key(&key) {
                sealed.tamper_remove(&key);
            }
        }
        let puts_back = match scope {
            Scope::Segments => 0,
            Scope::Head | Scope::Chain => 1,
            Scope::Cloud => copied.heads.len(),
        };
        for (key, bytes) in &copied.heads[..puts_back] {
            match bytes {
                Some(bytes) => heads.tamper_replace(key, bytes.clone()),
                None => {
                    heads.tamper_remove(key);
                }
            }
        }
    }

    /// Whether what was done has been noticed, once nobody acts any more.
    pub(super) async fn judge(
        &mut self,
        world: &World,
        scheduler: &Scheduler,
    ) -> Result<(), String> {
        if !self.attack.done {
            self.restore(world, scheduler).await;
        }
        let clock = scheduler.clock(0);
        let mut contradictions = 0;
        for minutes in [10, 65] {
            tokio::time::sleep(Duration::from_mins(minutes)).await;
            let report = anchor_with(&world.deployment, &world.signers, clock.clone()).await;
            scheduler.note(&told(&report));
            for (witness, _, done) in &report.witnessed {
                if let Witnessing::Contradiction { evidence, .. } = done {
                    contradictions += 1;
                    let (_, cloud) = witness.rsplit_once('/').unwrap();
                    if !world.objects(cloud).await.contains_key(evidence) {
                        return Err(format!("{witness} alarms and keeps no evidence"));
                    }
                }
            }
        }
        let chain = world.chain(&self.attack.cloud);
        let standing = standing(world, chain).await;
        let mut gone = self.anchored.clone();
        gone.retain(|id| !standing.contains(id));
        self.attack.bit = !gone.is_empty();
        self.attack.alarmed = contradictions > 0;
        scheduler.note(&format!(
            "{} of {} anchored deliveries gone, {contradictions} contradictions",
            gone.len(),
            self.anchored.len()
        ));
        let report = verify(&world.deployment, &Options::default(), &*clock, &()).await;
        let report = report.map_err(|error| error.to_string())?;
        if self.attack.bit && report.result != Verdict::Failed {
            return Err(format!(
                "{gone:?} of {} are gone, and verify says {:?}",
                self.attack.cloud, report.result
            ));
        }
        if contradictions > 0 && report.result != Verdict::Failed {
            return Err(format!(
                "a witness alarms, and verify says {:?}",
                report.result
            ));
        }
        one_history_each(world, chain, self.attack.size).await
    }
}

/// No witness cosigned both what the chain was and what became of it.
async fn one_history_each(world: &World, chain: &Chain, size: u64) -> Result<(), String> {
    let Ok(history) = History::read(world, chain).await else {
        return Ok(()); // there is no second history
    };
    for witness in world.deployment.witnesses_of(chain) {
        let prefix = names::anchors(chain.origin());
        let (mut of_old, mut of_new) = (Vec::new(), Vec::new());
        for (key, object) in world.objects(&witness.settings.name).await {
            if !key.starts_with(&prefix) {
                continue;
            }
            let anchor = Anchor::open(&object, &chain.key, &witness.key)
                .map_err(|error| format!("{key}: {error}"))?;
            let head = anchor.checkpoint;
            if !history.is_head(head.size, head.root) {
                of_old.push(head.size);
            } else if head.size > size {
                of_new.push(head.size);
            }
        }
        if !of_old.is_empty() && !of_new.is_empty() {
            return Err(format!(
                "{} cosigned two histories, at {of_old:?} and {of_new:?}",
                witness.key.name()
            ));
        }
    }
    Ok(())
}
