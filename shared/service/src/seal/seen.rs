//! The duplicate window: which delivery parts were sealed of late.

use std::collections::{BTreeSet, HashSet};

use countersign_core::index::Index;
use countersign_core::names;
use countersign_core::segment::{self, Delivery, Header};
use countersign_core::time;
use countersign_store::GetError;

use crate::chain::Chain;
use crate::head::Head;
use crate::objects::MAX_OBJECT_BYTES;

/// A header with a hundred deliveries fits into this much of an object.
const HEADER_BYTES: u64 = 32 << 10;

/// Parts that are remembered at most before the window is read anew.
const MAX_PARTS: usize = 1 << 20;

/// The parts that were sealed, by delivery id and part.
#[derive(Debug, Default)]
pub(super) struct Seen {
    parts: HashSet<(String, u32, u32)>,
    segments: BTreeSet<u64>,
    indexes: BTreeSet<u64>,
    /// The latest `sealed_at` among them, in milliseconds since 1970.
    latest_millis: i64,
}

impl Seen {
    pub(super) fn contains(&self, delivery: &Delivery) -> bool {
        self.parts.contains(&key(delivery))
    }

    /// The latest time at which one of them was sealed, in milliseconds since
    /// 1970; 0 if nothing is known.
    pub(super) fn latest_millis(&self) -> i64 {
        self.latest_millis
    }

    /// Adds a part; false if it is there.
    pub(super) fn insert(&mut self, delivery: &Delivery) -> bool {
        self.parts.insert(key(delivery))
    }

    /// Adds the deliveries of the segment at `start`.
    pub(super) fn add_segment<'a>(
        &mut self,
        start: u64,
        sealed_at_millis: i64,
        deliveries: impl IntoIterator<Item = &'a Delivery>,
    ) {
        self.segments.insert(start);
        self.latest_millis = self.latest_millis.max(sealed_at_millis);
        self.parts.extend(deliveries.into_iter().map(key));
    }

    /// Reads what the window holds and is not known yet. Objects that do not hold
    /// are passed over: sealing goes on, at worst something is sealed twice, and
    /// `verify` names them.
    pub(super) async fn load(
        &mut self,
        chain: &Chain,
        head: &Head,
        window: usize,
    ) -> Result<(), GetError> {
        if self.parts.len() > MAX_PARTS {
            *self = Self::default();
        }
        let newest = head.indexes.iter().rev().take(window);
        for size in newest
            .filter(|size| !self.indexes.contains(size))
            .copied()
            .collect::<Vec<_>>()
        {
            let name = names::index(size);
            if let Some(object) = find(chain.sealed.get(&name, MAX_OBJECT_BYTES).await)? {
                match Index::open(&object, &chain.key) {
                    Ok(index) => {
                        let deliveries = index.lines.iter().flat_map(|line| &line.deliveries);
                        self.parts.extend(deliveries.map(key));
                        let times = index.lines.iter().map(|line| &line.sealed_at);
                        let times = times.filter_map(|at| time::parse(at));
                        let latest = times.map(|at| at.unix_millis()).max();
                        self.latest_millis = self.latest_millis.max(latest.unwrap_or(0));
                    }
                    Err(error) => tracing::warn!(object = name, %error, "passed over"),
                }
            }
            self.indexes.insert(size);
        }
        for start in &head.segments {
            if self.segments.contains(start) {
                continue;
            }
            let name = names::segment(*start);
            match self.header(chain, &name).await? {
                Some(header) if header.start == *start => {
                    self.add_segment(*start, header.sealed_at_millis(), &header.deliveries);
                }
                _ => {
                    self.segments.insert(*start);
                    tracing::warn!(
                        object = name,
                        "passed over: it is not the segment it should be"
                    );
                }
            }
        }
        // Starts below the oldest listed one are in an index by now.
        if let Some(oldest) = head.segments.first() {
            self.segments = self.segments.split_off(oldest);
        }
        Ok(())
    }

    async fn header(&self, chain: &Chain, name: &str) -> Result<Option<Header>, GetError> {
        let Some(start) = find(chain.sealed.get_range(name, 0..HEADER_BYTES).await)? else {
            return Ok(None);
        };
        if let Ok(header) = segment::open_header(&start, &chain.key) {
            return Ok(Some(header));
        }
        // A header may be longer than that.
        let Some(object) = find(chain.sealed.get(name, MAX_OBJECT_BYTES).await)? else {
            return Ok(None);
        };
        Ok(segment::open_header(&object, &chain.key).ok())
    }
}

fn key(delivery: &Delivery) -> (String, u32, u32) {
    (delivery.id.clone(), delivery.part.0, delivery.part.1)
}

/// None for what is not there or is not a whole object.
fn find<T>(result: Result<T, GetError>) -> Result<Option<T>, GetError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(GetError::NotFound { .. } | GetError::Corrupt { .. } | GetError::TooLarge { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
