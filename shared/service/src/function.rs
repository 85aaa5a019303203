//! What the functions of every cloud do alike: find their settings, open the chain
//! of their own cloud, run a job and tell how it went.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use countersign_core::record::Cloud;
use countersign_sources::trigger::{Brought, Delivery, Refusal};
use countersign_store::{LogStore, StoreAddress};
use futures_util::{StreamExt, stream};

use crate::chain::{Deployment, OpenError};
use crate::config::{ConfigError, DEFAULT_FILE, Settings};
use crate::intake::{Intake, IntakeOpenError, Taken};
use crate::telemetry::{self, Metric, Platform, metrics};

mod dead_letters;
#[cfg(feature = "mail")]
mod jobs;
pub use dead_letters::{DeadLetterError, DeadLetters};
#[cfg(feature = "mail")]
pub use jobs::{anchor, verify};

/// Names the settings file; `countersign.toml` in the working folder where it is
/// not set.
const CONFIG: &str = "COUNTERSIGN_CONFIG";

/// Names the chain that a seal function writes; not needed where its cloud has one
/// alone.
const CHAIN: &str = "COUNTERSIGN_SEAL_CHAIN";

/// Messages of a batch that are taken at a time; they share segments.
const AT_A_TIME: usize = 64;

/// Why a function cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The stores.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The chain or its key.
    #[error(transparent)]
    Intake(#[from] IntakeOpenError),
    /// Which chain is meant.
    #[error(
        "{CHAIN} is to name the chain that this function writes: the settings have {found} of {cloud}"
    )]
    Chain {
        /// The function's cloud.
        cloud: Cloud,
        /// `none`, or several.
        found: String,
    },
}

/// What the program of a function does first and last: it sets up what is told to
/// the platform, runs, and tells why it ends.
///
/// # Errors
/// What ended it, or that the system gives no threads.
pub fn run<E: Display + From<io::Error>>(
    platform: Platform,
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    telemetry::init(platform);
    let ended = crate::runtime()?.block_on(work);
    if let Err(error) = &ended {
        tracing::error!("the function ends: {error}");
    }
    ended
}

/// Reads the settings as the environment says.
///
/// # Errors
/// When they are not in order.
pub fn settings() -> Result<Settings, ConfigError> {
    let path = std::env::var_os(CONFIG).map_or_else(|| PathBuf::from(DEFAULT_FILE), PathBuf::from);
    Settings::load(&path, std::env::vars())
}

/// The buckets and containers that countersign writes itself.
pub fn own_buckets(settings: &Settings) -> Vec<String> {
    let of_chains = settings.chains.iter().map(|chain| &chain.sealed);
    let of_witnesses = settings.witnesses.iter().map(|witness| &witness.sealed);
    let heads = settings.chains.iter().map(|chain| &chain.head);
    let mut names: Vec<String> = of_chains
        .chain(of_witnesses)
        .chain(heads)
        .filter_map(|address| match address {
            StoreAddress::S3(bucket) | StoreAddress::Gcs(bucket) => Some(bucket.name.clone()),
            StoreAddress::AzureBlob { container, .. } => Some(container.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The chain that a seal function of a cloud writes, opened with its key and
/// nothing else: no store and no key of another chain is touched.
pub struct Sealing {
    /// Takes what triggers bring.
    pub intake: Intake,
    /// The chain's name, for metrics.
    pub chain: String,
}

impl Sealing {
    /// Opens it. `logs` is where delivered objects are read.
    ///
    /// # Errors
    /// When the settings do not say which chain it is, or it cannot be opened.
    pub async fn open(
        settings: &Settings,
        cloud: Cloud,
        logs: Option<Arc<dyn LogStore>>,
    ) -> Result<Self, StartError> {
        let named = std::env::var(CHAIN).ok().filter(|name| !name.is_empty());
        let chain = own_chain(settings, cloud, named.as_deref())?;
        let mut own = settings.clone();
        own.chains.retain(|candidate| candidate.name == chain);
        own.witnesses.clear();
        let deployment = Deployment::open(own, None).await?;
        let intake = Intake::open(&deployment, &chain, logs).await?;
        Ok(Self { intake, chain })
    }

    /// Seals what a trigger brought, and tells: all of it, or it is to come again.
    ///
    /// # Errors
    /// A sentence.
    pub async fn take(
        &self,
        platform: Platform,
        brought: Result<Brought, Refusal>,
    ) -> Result<(), String> {
        let taken = async {
            let Brought {
                deliveries,
                passed_over,
            } = brought.map_err(|refusal| refusal.to_string())?;
            for what in passed_over {
                tracing::info!("passed over {what}");
            }
            match deliveries.is_empty() {
                true => Ok(None),
                false => {
                    let taken = self.intake.take(deliveries).await;
                    taken.map(Some).map_err(|error| error.to_string())
                }
            }
        };
        self.told(platform, taken.await)
    }

    /// Seals deliveries each for itself, and tells; those that are broken are set aside, since
    /// they would fail as often as they come and hold up what comes after them.
    ///
    /// # Errors
    /// A sentence, where one was neither sealed nor set aside: all are to come again.
    pub async fn take_or_set_aside(
        &self,
        platform: Platform,
        deliveries: Result<Vec<Delivery>, Refusal>,
        dead_letters: &DeadLetters,
    ) -> Result<(), String> {
        let taken = match deliveries {
            Ok(deliveries) => self.each(deliveries, dead_letters).await.map(Some),
            Err(refusal) => Err(refusal.to_string()),
        };
        self.told(platform, taken)
    }

    async fn each(
        &self,
        deliveries: Vec<Delivery>,
        dead_letters: &DeadLetters,
    ) -> Result<Taken, String> {
        let mut results = stream::iter(deliveries)
            .map(|delivery| async {
                let kept = delivery.clone();
                match self.intake.take(vec![delivery]).await {
                    Err(error) if error.is_poison() => {
                        let reason = error.to_string();
                        let aside = dead_letters.keep(&kept, &reason).await;
                        aside.map_err(|error| format!("{reason}; {error}"))?;
                        tracing::error!(from = kept.from, "set aside: {reason}");
                        Ok(Taken::default())
                    }
                    other => other.map_err(|error| error.to_string()),
                }
            })
            .buffered(AT_A_TIME);
        let mut sum = Taken::default();
        let mut failed = None;
        while let Some(result) = results.next().await {
            match result {
                Ok(taken) => sum = sum.and(taken),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(sum), Err)
    }

    /// Tells the platform what was taken, or that it was not.
    fn told(&self, platform: Platform, taken: Result<Option<Taken>, String>) -> Result<(), String> {
        match taken {
            Ok(Some(taken)) => {
                let told = [
                    Metric::count("DeliveriesSealed", taken.deliveries - taken.duplicates),
                    Metric::count("RecordsSealed", taken.records),
                    Metric::count("DuplicateDeliveries", taken.duplicates),
                    Metric::count("Batches", 1),
                ];
                metrics(platform, &self.chain, &told);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                metrics(platform, &self.chain, &[Metric::count("FailedCalls", 1)]);
                tracing::error!("not sealed, and to be delivered again: {error}");
                Err(error)
            }
        }
    }
}

fn own_chain(settings: &Settings, cloud: Cloud, named: Option<&str>) -> Result<String, StartError> {
    let mut own: Vec<&str> = settings
        .chains
        .iter()
        .filter(|chain| chain.cloud == cloud && named.is_none_or(|named| chain.name == named))
        .map(|chain| &*chain.name)
        .collect();
    own.dedup();
    match own.as_slice() {
        [one] => Ok((*one).to_owned()),
        none_or_more => Err(StartError::Chain {
            cloud,
            found: match none_or_more.len() {
                0 => "none".to_owned(),
                _ => none_or_more.join(", "),
            },
        }),
    }
}
