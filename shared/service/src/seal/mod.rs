//! Sealing: the commit protocol of a chain.
//!
//! The create-only PUT of `segments/<start>` decides; the head is a pointer that
//! follows it. Normal work and recovery are the same code: whatever stands at
//! the next key is either adopted or an alarm.

mod batch;
mod group;
mod job;
mod recover;
mod seen;

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::keys::SignError;
use countersign_core::merkle::Hash;
use countersign_core::names;
use countersign_core::record::leaf_hash;
use countersign_core::segment::{self, Delivery, Header, SegmentError};
use countersign_core::time;
use countersign_store::{GetError, ListError, PutError, SwapError};
use data_encoding::HEXLOWER;

use crate::chain::Chain;
use crate::clock::{Clock, TOLERANCE_MILLIS};
use crate::head::{Head, Loaded, StateError, swap_head};
use crate::keys::{Signer, sign_document};
use crate::objects::{MAX_RETRIES, pause};

pub use group::{Group, GroupError};
pub use job::{Incoming, Job, JobError, Receipt};
use seen::Seen;

/// The compression level of what is stored.
pub const ZSTD_LEVEL: i32 = 1;

/// A part of a delivery that is to be sealed.
#[derive(Debug, Clone)]
pub struct Pending {
    /// What its segment's header says of it.
    pub delivery: Delivery,
    /// Its record lines, each with LF.
    pub body: Vec<u8>,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable; its first record has this leaf index.
    Sealed {
        /// Leaf index of its first record (of the next record, if it has none).
        first_index: u64,
    },
    /// It was sealed before.
    AlreadySealed,
}

/// Why nothing more is sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The chain was never begun, or its genesis is gone.
    #[error(
        "{store} has no genesis.json: run `countersign init` for a new chain; for an old one, find out who removed it"
    )]
    NoGenesis {
        /// The sealed store.
        store: String,
    },
    /// The genesis is not this chain's.
    #[error(
        "genesis.json in {store} does not hold: {problem}; find out who replaced it, and restore it from a copy"
    )]
    Genesis {
        /// The sealed store.
        store: String,
        /// What is wrong.
        problem: String,
    },
    /// Segments without a head.
    #[error(
        "{origin} has segments but no head: sealing anew would fork it; run verify, then restore the head"
    )]
    NoHead {
        /// The chain.
        origin: String,
    },
    /// The signer has another key than the policy pins.
    #[error(
        "the key of {origin} is {found}; the policy pins {expected}: correct the `key` setting or the policy"
    )]
    WrongKey {
        /// The chain.
        origin: String,
        /// The signer's.
        found: String,
        /// The policy's.
        expected: String,
    },
    /// Something stands in the chain that does not belong there.
    #[error("ALARM: {object} of {origin} {problem}; nothing is sealed over it: run verify")]
    Alarm {
        /// The chain.
        origin: String,
        /// The object.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The segment of these parts, or of this time, would be refused by readers.
    /// Nothing was written.
    #[error("a segment would not hold, and was not written: {0}")]
    Segment(#[from] SegmentError),
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The head cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The head cannot be moved. What was sealed is adopted by the next run.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// An object cannot be read.
    #[error(transparent)]
    Get(#[from] GetError),
    /// An object cannot be written.
    #[error(transparent)]
    Put(#[from] PutError),
    /// The store cannot be listed.
    #[error(transparent)]
    List(#[from] ListError),
}

/// Writes one chain. A warm one keeps its head between calls.
pub struct Sealer {
    chain: Chain,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    window: usize,
    warm: Option<Warm>,
}

/// What is kept between calls.
#[derive(Debug)]
struct Warm {
    head: Loaded<Head>,
    genesis_sha256: String,
    seen: Seen,
}

impl Sealer {
    /// A writer of a chain; `window` is how many of the newest index objects are
    /// searched for duplicates. Nothing is read yet.
    ///
    /// # Errors
    /// When the signer's key is not the chain's.
    pub fn open(
        chain: Chain,
        signer: Arc<dyn Signer>,
        clock: Arc<dyn Clock>,
        window: usize,
    ) -> Result<Self, SealError> {
        if *signer.key() != chain.key {
            return Err(SealError::WrongKey {
                origin: chain.origin().to_owned(),
                found: signer.key().to_string(),
                expected: chain.key.to_string(),
            });
        }
        Ok(Self {
            chain,
            signer,
            clock,
            window,
            warm: None,
        })
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Its signer.
    pub fn signer(&self) -> &dyn Signer {
        &*self.signer
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Seals parts that fit into one segment together, and says what became of
    /// each, in order. All are durable when it returns.
    ///
    /// # Errors
    /// When they are not durable, or not known to be: seal them again. What did
    /// get through is then recognized as a duplicate.
    pub async fn seal(&mut self, parts: &[Pending]) -> Result<Vec<Outcome>, SealError> {
        let mut outcomes = vec![None; parts.len()];
        let mut retries = 0;
        loop {
            self.load().await?;
            let fresh = self.fresh(parts, &mut outcomes);
            if fresh.is_empty() {
                return Ok(outcomes.into_iter().flatten().collect());
            }
            let now_millis = self.clock.unix_millis();
            let (object, leaves) = self.build(&fresh, now_millis).await?;
            let head = self.head();
            let (start, end) = (head.size(), head.size() + leaves.len() as u64);
            let key = names::segment(start);
            let retention = self.chain.retention(now_millis);
            match self.chain.sealed.put_new(&key, object, retention).await {
                Ok(()) => {
                    self.advance(start, &leaves).await?;
                    tracing::debug!(origin = self.chain.origin(), start, end, "sealed");
                    if let Some(latest) = self.later_than(now_millis) {
                        // Logs that are lost are worse than logs with a wrong time.
                        tracing::warn!(
                            object = key,
                            latest,
                            "sealed all the same, and `time-order` will name it: this machine's clock is behind what was sealed; set it right"
                        );
                    }
                    self.note(&fresh, start, now_millis, &mut outcomes, parts);
                }
                // Whatever stands there decides, our own lost attempt included.
                Err(PutError::Exists { .. }) => self.adopt(true).await?,
                Err(PutError::Unknown { .. }) if retries < MAX_RETRIES => {
                    retries += 1;
                    pause(retries).await;
                    self.adopt(false).await?;
                }
                Err(PutError::Transient { .. }) if retries < MAX_RETRIES => {
                    retries += 1;
                    pause(retries).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The chain's head as the store has it now, after adopting an orphan if there
    /// is one. Publication begins here.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub async fn load_and_adopt(&mut self) -> Result<&Head, SealError> {
        self.cool();
        self.load().await?;
        self.adopt(false).await?;
        // An adopted or lost head was put down: take it up again.
        self.load().await?;
        Ok(self.head())
    }

    /// Takes note in the head that a size was published.
    ///
    /// # Errors
    /// When the head cannot be moved; the publication stands all the same.
    pub async fn published(&mut self, size: u64) -> Result<(), SealError> {
        let mut tries = 0;
        loop {
            self.cool();
            self.load().await?;
            let window = self.window;
            let Some(warm) = &mut self.warm else { continue };
            let mut head = warm.head.value.clone();
            head.push_index(size, window);
            if head == warm.head.value {
                return Ok(());
            }
            let version = warm.head.version.as_ref();
            match swap_head(&*self.chain.head, self.chain.origin(), version, &head).await {
                Ok(version) => {
                    warm.head = Loaded {
                        value: head,
                        version: Some(version),
                    };
                    return Ok(());
                }
                Err(SwapError::Lost { .. }) => {}
                Err(SwapError::Unknown { .. } | SwapError::Transient { .. })
                    if tries < MAX_RETRIES =>
                {
                    tries += 1;
                    pause(tries).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The head; loaded by then.
    fn head(&self) -> &Head {
        static EMPTY: std::sync::OnceLock<Head> = std::sync::OnceLock::new();
        match &self.warm {
            Some(warm) => &warm.head.value,
            None => EMPTY.get_or_init(Head::empty),
        }
    }

    /// The parts that are neither sealed nor repeated; the others get their outcome.
    fn fresh<'a>(
        &self,
        parts: &'a [Pending],
        outcomes: &mut [Option<Outcome>],
    ) -> Vec<&'a Pending> {
        let mut batch = Seen::default();
        let mut fresh = Vec::new();
        for (part, outcome) in parts.iter().zip(outcomes) {
            if outcome.is_some() {
                continue;
            }
            let sealed = self
                .warm
                .as_ref()
                .is_some_and(|warm| warm.seen.contains(&part.delivery));
            if sealed || !batch.insert(&part.delivery) {
                *outcome = Some(Outcome::AlreadySealed);
            } else {
                fresh.push(part);
            }
        }
        fresh
    }

    /// When one of the chain's last segments was sealed, if that is later than a
    /// clock which is right can say now.
    pub(crate) fn later_than(&self, now_millis: u64) -> Option<String> {
        let latest = self.warm.as_ref()?.seen.latest_millis();
        let now = i64::try_from(now_millis).unwrap_or(i64::MAX);
        (now < latest.saturating_sub(TOLERANCE_MILLIS))
            .then(|| time::from_unix_millis(latest.unsigned_abs()))
    }

    /// Builds and signs the segment of these parts at the head.
    async fn build(
        &self,
        parts: &[&Pending],
        now_millis: u64,
    ) -> Result<(Bytes, Vec<Hash>), SealError> {
        let head = self.head();
        let bodies: Vec<&[u8]> = parts.iter().map(|part| &part.body[..]).collect();
        let records: u64 = parts.iter().map(|part| part.delivery.records).sum();
        let mut record_leaves = Vec::with_capacity(records as usize + 1);
        let body_sha256 = segment::hash_lines(&bodies, &mut record_leaves);
        let genesis = self.warm.as_ref().map(|warm| warm.genesis_sha256.clone());
        let mut header = Header {
            body_sha256: HEXLOWER.encode(&body_sha256),
            countersign: "segment/v1".into(),
            deliveries: parts.iter().map(|part| part.delivery.clone()).collect(),
            end: head.size() + 1 + records,
            genesis_sha256: genesis.filter(|_| head.size() == 0),
            origin: self.chain.origin().to_owned(),
            prev: head.root(),
            sealed_at: time::from_unix_millis(now_millis),
            signature: None,
            start: head.size(),
        };
        // What readers refuse would stand at the chain's next key for ever.
        header.check()?;
        let line = sign_document(&mut header, &*self.signer).await?;
        let object = segment::encode(&line, &bodies, ZSTD_LEVEL).map_err(SegmentError::from)?;
        record_leaves.insert(0, leaf_hash(&line));
        Ok((object.into(), record_leaves))
    }

    /// The fresh parts are sealed: notes their outcomes and their keys.
    fn note(
        &mut self,
        fresh: &[&Pending],
        start: u64,
        now_millis: u64,
        outcomes: &mut [Option<Outcome>],
        parts: &[Pending],
    ) {
        let mut first_index = start + 1;
        let mut next = fresh.iter().peekable();
        for (part, outcome) in parts.iter().zip(outcomes) {
            if outcome.is_none() && next.next_if(|fresh| std::ptr::eq(**fresh, part)).is_some() {
                *outcome = Some(Outcome::Sealed { first_index });
                first_index += part.delivery.records;
            }
        }
        if let Some(warm) = &mut self.warm {
            let at = i64::try_from(now_millis).unwrap_or(i64::MAX);
            let deliveries = fresh.iter().map(|part| &part.delivery);
            warm.seen.add_segment(start, at, deliveries);
        }
    }

    /// Moves the head over a segment that stands at `start`. A lost swap means
    /// that another writer did it, or published meanwhile: the store tells.
    async fn advance(&mut self, start: u64, leaves: &[Hash]) -> Result<(), SealError> {
        let end = start + leaves.len() as u64;
        let mut tries = 0;
        loop {
            self.load().await?;
            let Some(warm) = &mut self.warm else { continue };
            let head = &mut warm.head;
            if head.value.size() >= end {
                return Ok(());
            }
            if head.value.size() != start {
                return Err(
                    self.alarm(&names::segment(start), "does not begin where the head ends")
                );
            }
            let mut moved = head.value.clone();
            moved.push_segment(leaves);
            let version = head.version.as_ref();
            match swap_head(&*self.chain.head, self.chain.origin(), version, &moved).await {
                Ok(version) => {
                    *head = Loaded {
                        value: moved,
                        version: Some(version),
                    };
                    return Ok(());
                }
                Err(SwapError::Lost { .. }) => self.cool(),
                Err(SwapError::Unknown { .. } | SwapError::Transient { .. })
                    if tries < MAX_RETRIES =>
                {
                    tries += 1;
                    pause(tries).await;
                    self.cool();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
