//! The anchor job: publish all chains first, then witness those of other clouds,
//! so that after it the newest heads are countersigned.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chain::{Chain, Deployment, Witness};
use crate::clock::Clock;
use crate::config::ConfigError;
use crate::keys::{self, KeyOpenError, Signer};
use crate::outside::{OutsideResult, feed_all};
use crate::publish::{PublishError, Published, publish};
use crate::seal::{Pending, SealError, Sealer};
use crate::witness::{MAX_LOST_SWAPS, WitnessError, Witnessing, recorded, witness_with_retries};

/// What one run did.
#[derive(Debug, Default)]
pub struct AnchorReport {
    /// What was published, by origin; none where there was nothing new.
    pub published: Vec<(String, Option<Published>)>,
    /// What each witness did about each chain: witness, origin, what.
    pub witnessed: Vec<(String, String, Witnessing)>,
    /// What each witness outside all clouds did about each chain, once for every
    /// witness of ours that fed it: its URL, origin, what.
    pub outside: Vec<(String, String, OutsideResult)>,
    /// What could not be done: on what, and why. The rest was done.
    pub errors: Vec<(String, AnchorError)>,
}

impl AnchorReport {
    /// 0 all done; 1 something contradicts what was witnessed or stored; 2
    /// something could not be done.
    pub fn exit_code(&self) -> u8 {
        let contradicts = |(_, _, witnessing): &(String, String, Witnessing)| {
            matches!(
                witnessing,
                Witnessing::Contradiction { .. } | Witnessing::Suspect { .. }
            )
        };
        let outside = |(_, _, result): &(String, String, OutsideResult)| {
            matches!(result, OutsideResult::Contradiction { .. })
        };
        let alarm = self.errors.iter().any(|(_, error)| error.is_alarm())
            || self.outside.iter().any(outside);
        if alarm || self.witnessed.iter().any(contradicts) {
            1
        } else if self.errors.is_empty() {
            0
        } else {
            2
        }
    }
}

/// Why a chain was not published, or not witnessed.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyOpenError),
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// A chain was not published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A chain was not witnessed.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The records of anchors were not sealed; the next run seals them.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl AnchorError {
    /// Whether something stands where it does not belong, or contradicts.
    pub fn is_alarm(&self) -> bool {
        use crate::objects::WriteError::Differs;
        matches!(
            self,
            Self::Publish(
                PublishError::Alarm { .. }
                    | PublishError::Seal(SealError::Alarm { .. } | SealError::NoHead { .. })
                    | PublishError::Write(Differs { .. })
            ) | Self::Seal(SealError::Alarm { .. } | SealError::NoHead { .. })
                | Self::Witness(
                    WitnessError::OwnContradiction { .. } | WitnessError::Write(Differs { .. })
                )
        )
    }
}

/// The signers of all chains and witnesses, by key name.
pub type Signers = BTreeMap<String, Arc<dyn Signer>>;

/// Publishes and witnesses every chain once, with the keys of the settings.
///
/// # Errors
/// When a key cannot be opened; all else is in the report.
pub async fn anchor(
    deployment: &Deployment,
    clock: Arc<dyn Clock>,
) -> Result<AnchorReport, AnchorError> {
    let mut signers = Signers::new();
    for chain in &deployment.chains {
        let signer = keys::chain_signer(&chain.settings, &deployment.stores).await?;
        signers.insert(chain.origin().to_owned(), signer);
    }
    for witness in &deployment.witnesses {
        let signer = keys::witness_signer(&witness.settings, &deployment.stores).await?;
        signers.insert(witness.settings.key_name.clone(), signer);
    }
    Ok(anchor_with(deployment, &signers, clock).await)
}

/// Publishes and witnesses with these signers; chains and witnesses without one
/// are passed over.
pub async fn anchor_with(
    deployment: &Deployment,
    signers: &Signers,
    clock: Arc<dyn Clock>,
) -> AnchorReport {
    let mut report = AnchorReport::default();
    let mut sealers = BTreeMap::new();
    for chain in &deployment.chains {
        let Some(signer) = signers.get(chain.origin()) else {
            continue;
        };
        let window = deployment.settings.duplicate_window;
        let opened = Sealer::open(chain.clone(), signer.clone(), clock.clone(), window);
        let published = match opened {
            Ok(mut sealer) => {
                let published = publish(&mut sealer).await;
                sealers.insert(chain.origin(), sealer);
                published.map_err(AnchorError::from)
            }
            Err(error) => Err(error.into()),
        };
        match published {
            Ok(published) => report
                .published
                .push((chain.origin().to_owned(), published)),
            Err(error) => report.errors.push((chain.origin().to_owned(), error)),
        }
    }
    for witness in &deployment.witnesses {
        let Some(signer) = signers.get(&witness.settings.key_name) else {
            continue;
        };
        let own = |chain: &&Chain| chain.settings.name == witness.settings.chain;
        let sealer = deployment
            .chains
            .iter()
            .find(own)
            .and_then(|chain| sealers.get_mut(chain.origin()));
        let run = WitnessRun {
            deployment,
            witness,
            signer: &**signer,
            clock: &*clock,
        };
        run.all(sealer, &mut report).await;
    }
    // Last: all that is ours is done by then, however long others take.
    feed_all(deployment, &*clock, &mut report).await;
    report
}

/// One witness's part of a run.
struct WitnessRun<'a> {
    deployment: &'a Deployment,
    witness: &'a Witness,
    signer: &'a dyn Signer,
    clock: &'a dyn Clock,
}

impl WitnessRun<'_> {
    /// Witnesses every chain of another cloud, and seals the anchors' records
    /// together. Those that an earlier run left come first.
    async fn all(&self, sealer: Option<&mut Sealer>, report: &mut AnchorReport) {
        let Some(sealer) = sealer else {
            return; // its chain's key is not at hand: the anchors would lack records
        };
        let others = self.deployment.chains.iter();
        let mut chains: Vec<&Chain> = others
            .filter(|chain| self.witness.witnesses(chain))
            .collect();
        for _ in 0..=MAX_LOST_SWAPS {
            chains = self.once(&chains, sealer, report).await;
            if chains.is_empty() {
                return;
            }
        }
        let witness = &self.witness.settings.key_name;
        for chain in chains {
            let error = WitnessError::Overtaken {
                witness: witness.clone(),
            };
            report.errors.push((self.about(chain), error.into()));
        }
    }

    /// Witnesses these chains and seals the records; gives those that are to be
    /// witnessed again because a record had to come first.
    async fn once<'c>(
        &self,
        chains: &[&'c Chain],
        sealer: &mut Sealer,
        report: &mut AnchorReport,
    ) -> Vec<&'c Chain> {
        let mut records: Vec<Pending> = Vec::new();
        let (mut noted, mut again) = (Vec::new(), Vec::new());
        let name = &self.witness.settings.key_name;
        for chain in chains {
            let own = sealer.chain();
            match witness_with_retries(self.witness, self.signer, chain, own, self.clock).await {
                Ok(done) => {
                    let newest = done
                        .records
                        .last()
                        .map(|record| record.delivery.from.clone());
                    noted.extend(newest.map(|newest| (*chain, newest)));
                    records.extend(done.records);
                    match done.witnessing {
                        Some(witnessing) => report.witnessed.push((
                            name.clone(),
                            chain.origin().to_owned(),
                            witnessing,
                        )),
                        None => again.push(*chain),
                    }
                }
                Err(error) => report.errors.push((self.about(chain), error.into())),
            }
        }
        if records.is_empty() {
            return again;
        }
        if let Err(error) = sealer.seal(&records).await {
            let origin = sealer.chain().origin().to_owned();
            report.errors.push((origin, error.into()));
            return Vec::new();
        }
        for (chain, newest) in noted {
            if let Err(error) = recorded(self.witness, chain, &newest).await {
                report.errors.push((self.about(chain), error.into()));
                again.retain(|other| other.origin() != chain.origin());
            }
        }
        again
    }

    fn about(&self, chain: &Chain) -> String {
        format!("{} on {}", self.witness.settings.key_name, chain.origin())
    }
}

#[cfg(test)]
mod tests;
