//! What a trigger brought, sealed: the one way from a delivery to its receipt that
//! the functions of all clouds take.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;

use countersign_sources::trigger::{Content, Delivery, Object};
use countersign_sources::{FileInput, Input};
use countersign_store::{GetError, LogObject, LogStore};
use futures_util::{StreamExt, stream};

use crate::chain::{Deployment, OpenError};
use crate::clock::{Clock, SystemClock};
use crate::keys::{KeyOpenError, chain_signer};
use crate::seal::{Group, GroupError, Incoming, Outcome, SealError, Sealer};

/// Deliveries of one call that are read at a time.
const AT_A_TIME: usize = 8;

/// A delivered object up to this many bytes (as stored) is kept in memory, a larger
/// one in a file without a name.
const MEMORY_BYTES: u64 = 4 << 20;

/// A delivered object has at most so many bytes as stored.
const MAX_STORED_BYTES: u64 = 256 << 20;

/// Takes deliveries into one chain, or its shards. Kept as long as the process.
#[derive(Clone)]
pub struct Intake {
    group: Group,
    logs: Option<Arc<dyn LogStore>>,
}

/// Why nothing can be taken at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeOpenError {
    /// There is no such chain.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyOpenError),
    /// The key is another one than the policy pins.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Why a delivery was not sealed. The platform delivers it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// Its object cannot be read.
    #[error(transparent)]
    Fetch(#[from] GetError),
    /// It came as the address of an object, and this function reads none.
    #[error("{from} names an object, and this function reads no buckets of logs")]
    NoLogs {
        /// Where it comes from.
        from: String,
    },
    /// It cannot be kept while it is read.
    #[error("{from} cannot be kept while it is read: {error}; give the function more room")]
    Spool {
        /// Where it comes from.
        from: String,
        /// What went wrong.
        error: io::Error,
    },
    /// It is broken, or the chain cannot go on.
    #[error(transparent)]
    Seal(#[from] GroupError),
}

impl IntakeError {
    /// Whether the delivery itself is broken, so that it fails as often as it comes.
    pub fn is_poison(&self) -> bool {
        use countersign_sources::SourceError;
        matches!(
            self,
            Self::Seal(GroupError::Source { error, .. })
                if !matches!(error, SourceError::Read(_) | SourceError::Changed)
        )
    }
}

/// What became of the deliveries of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Deliveries that are durable now.
    pub deliveries: u64,
    /// Of those, how many were sealed before.
    pub duplicates: u64,
    /// Records that were sealed now.
    pub records: u64,
    /// Bytes of the deliveries as they came.
    pub bytes: u64,
    /// Their first leaf and the one after their last, where there are any: with
    /// several shards or writers others may stand between.
    pub leaves: Option<(u64, u64)>,
}

impl Taken {
    /// The sum of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            deliveries: self.deliveries + other.deliveries,
            duplicates: self.duplicates + other.duplicates,
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            leaves: match (self.leaves, other.leaves) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            },
        }
    }
}

impl Intake {
    /// Opens the chain of that name with its key. `logs` is where delivered
    /// objects are read.
    ///
    /// # Errors
    /// When it cannot be sealed into.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn open(
        deployment: &Deployment,
        chain: &str,
        logs: Option<Arc<dyn LogStore>>,
    ) -> Result<Self, IntakeOpenError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let window = deployment.settings.duplicate_window;
        let mut sealers = Vec::new();
        for chain in deployment.chains_named(chain)? {
            let signer = chain_signer(&chain.settings, &deployment.stores).await?;
            let opened = Sealer::open(chain.clone(), signer, Arc::clone(&clock), window);
            sealers.push(opened?);
        }
        Ok(Self::of(sealers, deployment.settings.max_input_bytes, logs))
    }

    /// Takes deliveries into the chain of these sealers.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn of(sealers: Vec<Sealer>, max_input_bytes: u64, logs: Option<Arc<dyn LogStore>>) -> Self {
        Self {
            group: Group::new(sealers, max_input_bytes),
            logs,
        }
    }

    /// Seals deliveries that succeed or fail together: all are durable when it
    /// returns without an error. Those of calls at the same time share segments.
    ///
    /// # Errors
    /// The first that was met; what did get through is recognized as a duplicate
    /// when it comes again.
    pub async fn take(&self, deliveries: Vec<Delivery>) -> Result<Taken, IntakeError> {
        let mut results = stream::iter(deliveries)
            .map(|delivery| self.take_one(delivery))
            .buffer_unordered(AT_A_TIME);
        let mut taken = Taken::default();
        let mut failed = None;
        while let Some(result) = results.next().await {
            match result {
                Ok(one) => taken = taken.and(one),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(taken),
        }
    }

    /// Takes no more, and returns when what was handed in is sealed or failed.
    pub async fn close(&self) {
        self.group.close().await;
    }

    async fn take_one(&self, delivery: Delivery) -> Result<Taken, IntakeError> {
        let Delivery { id, from, content } = delivery;
        let (input, bytes): (Box<dyn Input>, u64) = match content {
            Content::Bytes(bytes) => {
                let count = bytes.len() as u64;
                (Box::new(bytes), count)
            }
            Content::Object(object) => self.fetch(&from, &object).await?,
        };
        let incoming = Incoming { from, id, input };
        let receipts = self.group.seal(incoming).await?;
        let mut taken = Taken {
            deliveries: 1,
            bytes,
            ..Taken::default()
        };
        let mut sealed_now = false;
        for receipt in receipts {
            if let Outcome::Sealed { first_index } = receipt.outcome {
                sealed_now = true;
                taken = taken.and(Taken {
                    records: receipt.records,
                    leaves: Some((first_index, first_index + receipt.records)),
                    ..Taken::default()
                });
            }
        }
        taken.duplicates = u64::from(!sealed_now);
        Ok(taken)
    }

    /// The object and its size.
    async fn fetch(
        &self,
        from: &str,
        object: &Object,
    ) -> Result<(Box<dyn Input>, u64), IntakeError> {
        let Some(logs) = &self.logs else {
            return Err(IntakeError::NoLogs {
                from: from.to_owned(),
            });
        };
        let asked = LogObject {
            bucket: &object.bucket,
            key: &object.key,
            version: object.version.as_deref(),
        };
        let spool = |error| IntakeError::Spool {
            from: from.to_owned(),
            error,
        };
        // Its size is announced, and believed only as far as memory goes.
        if object.bytes.is_some_and(|bytes| bytes <= MEMORY_BYTES) {
            let mut bytes = Vec::new();
            match logs.fetch(&asked, MEMORY_BYTES, &mut bytes).await {
                Ok(count) => return Ok((Box::new(bytes), count)),
                Err(GetError::TooLarge { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut file = tempfile::tempfile().map_err(spool)?;
        let count = logs.fetch(&asked, MAX_STORED_BYTES, &mut file).await?;
        file.flush().map_err(spool)?;
        file.seek(SeekFrom::Start(0)).map_err(spool)?;
        Ok((Box::new(FileInput::new(file)), count))
    }
}
