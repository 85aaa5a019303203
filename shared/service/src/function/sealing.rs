//! The seal functions' part: what a call brought is taken into the chain of their
//! cloud, and told in one line.

use std::time::Instant;

use countersign_core::record::Cloud;
use countersign_sources::trigger::{Brought, Delivery, Refusal};
use futures_util::{StreamExt, stream};

use super::{CHAIN, DeadLetters, StartError};
use crate::chain::{Deployment, OpenError};
use crate::config::Settings;
use crate::intake::{Intake, Taken};
use crate::telemetry::{Metric, Platform, metrics};

/// Messages of a hub's batch that are taken at a time; they share segments.
const AT_A_TIME: usize = 64;

/// Of a queue it is fewer: each may name a file, which is kept in memory.
const FILES_AT_A_TIME: usize = 16;

/// The chain that a seal function of a cloud writes, opened with its key and
/// nothing else: no store and no key of another chain is touched.
pub struct Sealing {
    /// Takes what triggers bring.
    pub intake: Intake,
    /// The chain's name, for metrics.
    pub chain: String,
}

impl Sealing {
    /// Opens it, and where its cloud delivers logs as objects.
    ///
    /// # Errors
    /// When the settings do not say which chain it is, or it cannot be opened.
    pub async fn open(settings: &Settings, cloud: Cloud) -> Result<Self, StartError> {
        let named = std::env::var(CHAIN).ok().filter(|name| !name.is_empty());
        let chain = own_chain(settings, cloud, named.as_deref())?;
        let mut own = settings.clone();
        own.chains.retain(|candidate| candidate.name == chain);
        own.witnesses.clear();
        let deployment = Deployment::open(own, None).await?;
        let logs = deployment
            .stores
            .logs(cloud)
            .await
            .map_err(OpenError::from)?;
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
        let mut batch = Batch::begins();
        let taken = self.brought(&mut batch, brought).await;
        batch.add(&taken);
        self.tell(platform, &batch);
        taken.map(drop)
    }

    /// Seals the messages of a queue each for itself, and tells; gives the ids of
    /// those that are to come again.
    pub async fn take_each(
        &self,
        platform: Platform,
        messages: impl IntoIterator<Item = (String, Result<Brought, Refusal>)>,
    ) -> Vec<String> {
        let mut batch = Batch::begins();
        let mut results = stream::iter(messages)
            .map(|(id, brought)| async move {
                let mut part = Batch::begins();
                let taken = self.brought(&mut part, brought).await;
                (id, part.deliveries, taken)
            })
            .buffer_unordered(FILES_AT_A_TIME);
        let mut failed = Vec::new();
        while let Some((id, deliveries, taken)) = results.next().await {
            batch.deliveries += deliveries;
            batch.add(&taken);
            if taken.is_err() {
                failed.push(id);
            }
        }
        self.tell(platform, &batch);
        failed
    }

    /// Seals deliveries each for itself, and tells; those that are broken are set
    /// aside, since they would fail as often as they come and hold up what comes
    /// after them.
    ///
    /// # Errors
    /// A sentence, where one was neither sealed nor set aside: all are to come
    /// again.
    pub async fn take_or_set_aside(
        &self,
        platform: Platform,
        deliveries: Result<Vec<Delivery>, Refusal>,
        dead_letters: &DeadLetters,
    ) -> Result<(), String> {
        let mut batch = Batch::begins();
        let mut failed = None;
        match deliveries {
            Ok(deliveries) => {
                batch.deliveries = deliveries.len();
                let mut results = stream::iter(deliveries)
                    .map(|delivery| self.one_or_aside(delivery, dead_letters))
                    .buffered(AT_A_TIME);
                while let Some(taken) = results.next().await {
                    batch.add(&taken);
                    failed = failed.or(taken.err());
                }
            }
            Err(refusal) => {
                let refused = Err(refusal.to_string());
                batch.add(&refused);
                failed = refused.err();
            }
        }
        self.tell(platform, &batch);
        failed.map_or(Ok(()), Err)
    }

    /// Seals what one message brought, or nothing of it is acknowledged.
    async fn brought(
        &self,
        batch: &mut Batch,
        brought: Result<Brought, Refusal>,
    ) -> Result<Taken, String> {
        let Brought {
            deliveries,
            passed_over,
        } = brought.map_err(|refusal| refusal.to_string())?;
        for what in passed_over {
            tracing::info!("passed over {what}");
        }
        batch.deliveries += deliveries.len();
        let taken = self.intake.take(deliveries).await;
        taken.map_err(|error| error.to_string())
    }

    async fn one_or_aside(
        &self,
        delivery: Delivery,
        dead_letters: &DeadLetters,
    ) -> Result<Taken, String> {
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
    }

    /// Tells the platform what became of a batch, in a line and in metrics.
    fn tell(&self, platform: Platform, batch: &Batch) {
        let mut told = Vec::new();
        if batch.deliveries > 0 {
            let taken = &batch.taken;
            let millis = u64::try_from(batch.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (start, end) = taken.leaves.unwrap_or_default();
            tracing::info!(
                deliveries = batch.deliveries,
                durable = taken.deliveries,
                duplicates = taken.duplicates,
                records = taken.records,
                bytes = taken.bytes,
                start,
                end,
                millis,
                "took deliveries"
            );
            told.extend([
                Metric::count("DeliveriesSealed", taken.deliveries - taken.duplicates),
                Metric::count("RecordsSealed", taken.records),
                Metric::count("DuplicateDeliveries", taken.duplicates),
                Metric::count("Batches", 1),
            ]);
        }
        if batch.failed > 0 {
            told.push(Metric::count("FailedCalls", batch.failed));
        }
        metrics(platform, &self.chain, &told);
    }
}

/// What a call brought, and what became of it.
struct Batch {
    began: Instant,
    deliveries: usize,
    taken: Taken,
    /// The call, or its messages, that are to come again.
    failed: u64,
}

impl Batch {
    fn begins() -> Self {
        Self {
            began: Instant::now(),
            deliveries: 0,
            taken: Taken::default(),
            failed: 0,
        }
    }

    fn add(&mut self, taken: &Result<Taken, String>) {
        match taken {
            Ok(taken) => self.taken = self.taken.and(*taken),
            Err(error) => {
                self.failed += 1;
                tracing::error!("not sealed, and to be delivered again: {error}");
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
