//! Deliveries in, sealed parts out: deliveries share segments up to a size, and
//! large ones are cut into parts.

use countersign_sources::{Input, SourceError};

use super::batch::{Batch, Parts};
use super::{Outcome, Pending, SealError, Sealer};

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
    batches: Vec<Batch>,
    receipts: Vec<Receipt>,
}

impl<'a> Job<'a> {
    /// Seals into the chain of these sealers: one, or one a shard.
    pub fn new(sealers: &'a mut [Sealer], max_input_bytes: u64) -> Self {
        let new = |sealer: &Sealer| Batch::signed_by(sealer.signer());
        let batches = sealers.iter().map(new).collect();
        Self {
            sealers,
            max_input_bytes,
            batches,
            receipts: Vec::new(),
        }
    }

    /// Takes a delivery; returns the receipts of what became durable meanwhile,
    /// which may be of earlier deliveries.
    ///
    /// # Errors
    /// [`JobError::Source`] for a broken delivery, of which nothing is sealed then.
    pub async fn add(&mut self, incoming: Incoming) -> Result<Vec<Receipt>, JobError> {
        let Some(first) = self.sealers.first() else {
            return Ok(Vec::new());
        };
        let cloud = first.chain().settings.cloud;
        let source = |error| JobError::Source {
            from: incoming.from.clone(),
            error,
        };
        let mut parts = Parts::of(&incoming, cloud, self.max_input_bytes).map_err(source)?;
        let shard = parts.shard(self.sealers.len());
        while let Some(part) = parts.next().map_err(source)? {
            self.push(shard, part).await?;
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
        if !self.batches[shard].has_room_for(&part) {
            self.flush(shard).await?;
        }
        let batch = &mut self.batches[shard];
        batch.push(part);
        if batch.is_full() {
            self.flush(shard).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, shard: usize) -> Result<(), SealError> {
        let sealer = &mut self.sealers[shard];
        let next = Batch::signed_by(sealer.signer());
        let batch = std::mem::replace(&mut self.batches[shard], next);
        let outcomes = sealer.seal(batch.parts()).await?;
        let origin = sealer.chain().origin();
        self.receipts.extend(batch.receipts(origin, outcomes));
        Ok(())
    }
}
