//! What a sealer does before it goes on: it loads the head, and adopts the one
//! segment that may stand beyond it.

use countersign_core::genesis::{Genesis, file_sha256};
use countersign_core::merkle::Hash;
use countersign_core::names;
use countersign_core::segment::{Segment, SegmentError};
use countersign_store::{GetError, ObjectPages, SwapError};

use super::seen::Seen;
use super::{SealError, Sealer, Warm};
use crate::head::{Head, Loaded, load_head, swap_head};
use crate::objects::{self, MAX_OBJECT_BYTES};

impl Sealer {
    /// Loads the head and the delivery keys of the duplicate window, unless warm.
    pub(super) async fn load(&mut self) -> Result<(), SealError> {
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
    pub(super) fn forget(&mut self) {
        self.warm = None;
    }

    /// Drops the head but keeps what was learnt of duplicates: the next load
    /// reads the store.
    pub(super) fn cool(&mut self) {
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

    /// Looks at the key after the head. A valid segment there is one whose head
    /// swap was lost: the head moves over it. `stands`: the store said that
    /// something is there.
    pub(super) async fn adopt(&mut self, stands: bool) -> Result<(), SealError> {
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
        Ok(segment.into_parts().0)
    }

    pub(super) fn alarm(&self, object: &str, problem: &str) -> SealError {
        SealError::Alarm {
            origin: self.chain.origin().to_owned(),
            object: object.to_owned(),
            problem: problem.to_owned(),
        }
    }
}
