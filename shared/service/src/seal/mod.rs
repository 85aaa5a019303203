//! Sealing: the commit protocol of a chain.
//!
//! The create-only PUT of `segments/<start>` decides; the head is a pointer that
//! follows it. Normal work and recovery are the same code: whatever stands at
//! the next key is either adopted or an alarm.

mod batch;
mod group;
mod job;
mod seen;

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::genesis::{Genesis, file_sha256};
use countersign_core::keys::{SignError, Signer};
use countersign_core::merkle::Hash;
use countersign_core::names;
use countersign_core::record::leaf_hash;
use countersign_core::segment::{self, Delivery, Header, Segment, SegmentError};
use countersign_core::signed;
use countersign_core::time;
use countersign_store::{GetError, ListError, ObjectPages, PutError, SwapError};
use data_encoding::HEXLOWER;

use crate::chain::Chain;
use crate::clock::{Clock, TOLERANCE_MILLIS};
use crate::head::{Head, Loaded, StateError, load_head, swap_head};
use crate::objects::{self, MAX_OBJECT_BYTES, MAX_RETRIES, pause};

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
            let (object, leaves) = self.build(&fresh, now_millis)?;
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

    /// Loads the head and the delivery keys of the duplicate window, unless warm.
    async fn load(&mut self) -> Result<(), SealError> {
        let (genesis_sha256, mut seen) = match self.warm.take() {
            Some(warm) if warm.head.version.is_some() => {
                self.warm = Some(warm);
                return Ok(());
            }
            Some(warm) => (warm.genesis_sha256, warm.seen),
            None => (self.genesis().await?, Seen::default()),
        };
        let head = match load_head(&*self.chain.head, self.chain.origin()).await? {
            Some(head) => head,
            None => self.first_head().await?,
        };
        seen.load(&self.chain, &head.value, self.window).await?;
        self.warm = Some(Warm {
            head,
            genesis_sha256,
            seen,
        });
        Ok(())
    }

    /// Drops all that was learnt: the next load reads the store.
    fn forget(&mut self) {
        self.warm = None;
    }

    /// Drops the head but keeps what was learnt of duplicates: the next load
    /// reads the store.
    fn cool(&mut self) {
        if let Some(warm) = &mut self.warm {
            warm.head.version = None;
        }
    }

    /// A chain has no head before its first segment; a missing head over segments
    /// is no beginning.
    async fn first_head(&self) -> Result<Loaded<Head>, SealError> {
        let mut pages = ObjectPages::new(&*self.chain.sealed, "segments/");
        if pages.next().await?.is_some() {
            // The first writer may have begun the chain since the head was loaded.
            let begun = load_head(&*self.chain.head, self.chain.origin()).await?;
            return begun.ok_or_else(|| SealError::NoHead {
                origin: self.chain.origin().to_owned(),
            });
        }
        let head = Head::empty();
        let swapped = swap_head(&*self.chain.head, self.chain.origin(), None, &head).await;
        match swapped {
            Ok(version) => Ok(Loaded {
                value: head,
                version: Some(version),
            }),
            // Somebody else was first: take theirs.
            Err(error @ (SwapError::Lost { .. } | SwapError::Unknown { .. })) => {
                let loaded = load_head(&*self.chain.head, self.chain.origin()).await?;
                loaded.ok_or(SealError::Swap(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn genesis(&self) -> Result<String, SealError> {
        let store = || self.chain.sealed.describe();
        let file = match self
            .chain
            .sealed
            .get(names::GENESIS, objects::MAX_SMALL_BYTES)
            .await
        {
            Ok(file) => file,
            Err(GetError::NotFound { .. }) => return Err(SealError::NoGenesis { store: store() }),
            Err(error) => return Err(error.into()),
        };
        match Genesis::open(&file, &self.chain.key) {
            Ok(_) => Ok(file_sha256(&file)),
            Err(error) => Err(SealError::Genesis {
                store: store(),
                problem: error.to_string(),
            }),
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
    fn build(&self, parts: &[&Pending], now_millis: u64) -> Result<(Bytes, Vec<Hash>), SealError> {
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
        let line = signed::sign(&mut header, &*self.signer)?;
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

    /// Looks at the key after the head. A valid segment there is one whose head
    /// swap was lost: the head moves over it. `stands`: the store said that
    /// something is there.
    async fn adopt(&mut self, stands: bool) -> Result<(), SealError> {
        let before = self.head().size();
        self.cool();
        self.load().await?;
        let start = self.head().size();
        if start > before {
            return Ok(()); // others went on: no orphan
        }
        let key = names::segment(start);
        let object = match self.chain.sealed.get(&key, MAX_OBJECT_BYTES).await {
            Ok(object) => object,
            Err(GetError::NotFound { .. }) if stands => {
                return Err(self.alarm(&key, "exists and cannot be found"));
            }
            Err(GetError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let leaves = match self.check_orphan(&object, start) {
            Ok(leaves) => leaves,
            Err(problem) => return Err(self.alarm(&key, &problem)),
        };
        let next = names::segment(start + leaves.len() as u64);
        if self.stands(&next).await? {
            // Others may have moved the head since it was loaded.
            self.cool();
            self.load().await?;
            if self.head().size() > start {
                return Ok(());
            }
            return Err(self.alarm(
                &next,
                "stands beyond the one segment that a head may lag behind",
            ));
        }
        tracing::info!(
            origin = self.chain.origin(),
            start,
            "adopted a segment whose head was not moved"
        );
        self.advance(start, &leaves).await?;
        // Its deliveries are known from its header at the next load.
        self.cool();
        self.load().await
    }

    async fn stands(&self, key: &str) -> Result<bool, SealError> {
        match self.chain.sealed.get_range(key, 0..1).await {
            Ok(_) => Ok(true),
            Err(GetError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The leaves of a segment that may be adopted, or why it may not.
    fn check_orphan(&self, object: &[u8], start: u64) -> Result<Vec<Hash>, String> {
        let segment = Segment::open(object, &self.chain.key)
            .map_err(|error: SegmentError| format!("is no segment of this chain: {error}"))?;
        if segment.header.start != start {
            return Err(format!("is the segment at {}", segment.header.start));
        }
        if segment.header.prev != self.head().root() {
            return Err("continues another history".into());
        }
        let genesis = self.warm.as_ref().map(|warm| &warm.genesis_sha256);
        if start == 0 && segment.header.genesis_sha256.as_ref() != genesis {
            return Err("names another genesis".into());
        }
        Ok(segment.into_leaves())
    }

    fn alarm(&self, object: &str, problem: &str) -> SealError {
        SealError::Alarm {
            origin: self.chain.origin().to_owned(),
            object: object.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
