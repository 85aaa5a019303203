//! Deliveries in, sealed parts out: deliveries share segments up to a size, and
//! large ones are cut into parts.

use countersign_core::delivery::Identity;
use countersign_core::segment::Delivery;
use countersign_sources::{Input, Part, PartReader, SourceError, survey};
use data_encoding::HEXLOWER;

use super::{MAX_BATCH_BYTES, Outcome, Pending, SealError, Sealer};

/// A segment is sealed once it holds this many bytes of lines.
const BATCH_BYTES: usize = 8 << 20;
/// Or this many deliveries: its header names each.
const BATCH_DELIVERIES: usize = 4096;

/// One unit that a trigger or the command line hands over.
pub struct Incoming {
    /// Where it comes from, for people.
    pub from: String,
    /// Its delivery id; none for a file, whose content is its identity.
    pub id: Option<String>,
    /// Its bytes.
    pub input: Box<dyn Input>,
}

/// What became of a delivery's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The delivery's `from`.
    pub from: String,
    /// The origin of the chain (of the shard).
    pub origin: String,
    /// Which part of how many.
    pub part: (u32, u32),
    /// The part's records.
    pub records: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why a delivery is not sealed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The delivery is broken; the others go on.
    #[error("{from} {error}")]
    Source {
        /// The delivery's `from`.
        from: String,
        /// What is wrong with it.
        error: SourceError,
    },
    /// The chain cannot be written.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Seals deliveries into a chain, or into its shards.
pub struct Job<'a> {
    sealers: &'a mut [Sealer],
    max_input_bytes: u64,
    /// What waits, for each sealer.
    pending: Vec<Vec<Pending>>,
    receipts: Vec<Receipt>,
}

impl<'a> Job<'a> {
    /// Seals into the chain of these sealers: one, or one a shard.
    pub fn new(sealers: &'a mut [Sealer], max_input_bytes: u64) -> Self {
        let pending = sealers.iter().map(|_| Vec::new()).collect();
        Self {
            sealers,
            max_input_bytes,
            pending,
            receipts: Vec::new(),
        }
    }

    /// Takes a delivery; returns the receipts of what became durable meanwhile,
    /// which may be of earlier deliveries.
    ///
    /// # Errors
    /// [`JobError::Source`] for a broken delivery, of which nothing is sealed then.
    pub async fn add(&mut self, incoming: Incoming) -> Result<Vec<Receipt>, JobError> {
        let Incoming { from, id, input } = incoming;
        let source = |error| JobError::Source {
            from: from.clone(),
            error,
        };
        let Some(cloud) = self
            .sealers
            .first()
            .map(|sealer| sealer.chain().settings.cloud)
        else {
            return Ok(Vec::new());
        };
        let mut survey = survey(&*input, cloud, self.max_input_bytes).map_err(source)?;
        let sha256 = survey.sha256;
        let id = id.unwrap_or_else(|| Identity::File { sha256 }.id());
        let shard = shard_of(&id, self.sealers.len());
        let parts = survey.parts.len() as u32;
        let delivery = |number: u32, records: u64| Delivery {
            from: from.clone(),
            id: id.clone(),
            part: (number, parts),
            records,
            sha256: HEXLOWER.encode(&sha256),
        };
        if let Some(Part { body, records }) = survey.only.take() {
            let delivery = delivery(1, records);
            self.push(shard, Pending { delivery, body }).await?;
        } else {
            let mut reader =
                PartReader::again(&*input, cloud, self.max_input_bytes, &survey).map_err(source)?;
            let mut number = 0;
            while let Some(part) = reader.next_surveyed(&survey).map_err(source)? {
                number += 1;
                let delivery = delivery(number, part.records);
                self.push(
                    shard,
                    Pending {
                        delivery,
                        body: part.body,
                    },
                )
                .await?;
            }
        }
        Ok(std::mem::take(&mut self.receipts))
    }

    /// Seals what waits.
    ///
    /// # Errors
    /// When it is not durable.
    pub async fn finish(mut self) -> Result<Vec<Receipt>, SealError> {
        for shard in 0..self.sealers.len() {
            self.flush(shard).await?;
        }
        Ok(self.receipts)
    }

    async fn push(&mut self, shard: usize, part: Pending) -> Result<(), SealError> {
        let waiting: usize = self.pending[shard].iter().map(|part| part.body.len()).sum();
        if waiting + part.body.len() > MAX_BATCH_BYTES {
            self.flush(shard).await?;
        }
        let pending = &mut self.pending[shard];
        pending.push(part);
        let bytes: usize = pending.iter().map(|part| part.body.len()).sum();
        if bytes >= BATCH_BYTES || pending.len() >= BATCH_DELIVERIES {
            self.flush(shard).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, shard: usize) -> Result<(), SealError> {
        let parts = std::mem::take(&mut self.pending[shard]);
        let sealer = &mut self.sealers[shard];
        let outcomes = sealer.seal(&parts).await?;
        let origin = sealer.chain().origin();
        for (part, outcome) in parts.into_iter().zip(outcomes) {
            self.receipts.push(Receipt {
                from: part.delivery.from,
                origin: origin.to_owned(),
                part: part.delivery.part,
                records: part.delivery.records,
                outcome,
            });
        }
        Ok(())
    }
}

/// The shard of a delivery: by its id, so that a redelivery meets its duplicate.
fn shard_of(id: &str, shards: usize) -> usize {
    let bits = id
        .get(..8)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    bits.unwrap_or_default() as usize % shards.max(1)
}
