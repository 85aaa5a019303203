//! A chain's history as it was read: what all else is compared with.

use countersign_core::merkle::tile::TileBuilder;
use countersign_core::merkle::{Frontier, Hash};

use super::read::{BadAnchor, RecordedAnchor};
use super::series::Growth;
use super::volume::{Activity, Hours};

/// What is kept of a segment once it was read.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Milliseconds since 1970, where it is known.
    pub(super) sealed_at: Option<i64>,
    /// The root of the tree up to its end; none once the tree had to stop.
    pub(super) root: Option<Hash>,
    /// What its index line must mean, if it holds.
    pub(super) meaning: Option<[u8; 32]>,
    /// Hex SHA-256 of the stored bytes, if it does not hold.
    pub(super) broken_sha256: Option<String>,
    /// It holds anchor records and no others.
    pub(super) anchors_alone: bool,
}

/// What a chain's tree says of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RootAt {
    Known(Hash),
    /// A segment before it could not be read, nor its leaves be had from tiles.
    Stopped,
    /// Past the end of all segments.
    Beyond,
    /// No segment ends there.
    NoBoundary,
    /// Before the size that this verification began at.
    Before,
}

/// Where reading begins: the empty tree, or a checkpoint's.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) builder: TileBuilder,
    pub(super) frontier: Frontier,
}

impl Start {
    pub(super) fn empty() -> Self {
        Self {
            builder: TileBuilder::new(),
            frontier: Frontier::new(),
        }
    }
}

/// What the walk over a chain's segments gave.
#[derive(Debug)]
pub(super) struct History {
    pub(super) from: u64,
    from_root: Hash,
    pub(super) facts: Vec<Fact>,
    /// The end of the last segment.
    pub(super) end: u64,
    /// A segment stands there whose own end is not known.
    pub(super) open_end: bool,
    /// Why the tree had to stop before the end.
    pub(super) stopped: Option<String>,
    /// Records that should stand there could not be read.
    pub(super) damaged: bool,
    pub(super) segments: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) duplicates: u64,
    pub(super) expired: u64,
    pub(super) anchors: Vec<RecordedAnchor>,
    pub(super) bad_anchors: Vec<BadAnchor>,
    pub(super) activity: Activity,
    pub(super) growth: Growth,
    /// As the header at 0 names it.
    pub(super) genesis_sha256: Option<String>,
}

impl History {
    /// Before anything was read; what counts begins at `since`.
    pub(super) fn new(start: &Start, since: u64) -> Self {
        Self {
            from: start.builder.size(),
            from_root: start.frontier.root(),
            facts: Vec::new(),
            end: start.builder.size(),
            open_end: false,
            stopped: None,
            damaged: false,
            segments: 0,
            records: 0,
            bytes: 0,
            duplicates: 0,
            expired: 0,
            anchors: Vec::new(),
            bad_anchors: Vec::new(),
            activity: Activity::new(Hours::of_millis(0)),
            growth: Growth::new(since),
            genesis_sha256: None,
        }
    }

    /// The root at a size.
    pub(super) fn root_at(&self, size: u64) -> RootAt {
        if size == self.from {
            return RootAt::Known(self.from_root);
        }
        if size < self.from {
            return RootAt::Before;
        }
        if size > self.end {
            return match self.open_end {
                true => RootAt::Stopped,
                false => RootAt::Beyond,
            };
        }
        match self.ending_at(size) {
            Some(fact) => fact.root.map_or(RootAt::Stopped, RootAt::Known),
            // Where segments are missing their borders may be unknown too.
            None if self.stopped.is_some() => RootAt::Stopped,
            None => RootAt::NoBoundary,
        }
    }

    /// The segment that ends at a size.
    pub(super) fn ending_at(&self, size: u64) -> Option<&Fact> {
        let at = self.facts.binary_search_by_key(&size, |fact| fact.end);
        at.ok().and_then(|at| self.facts.get(at))
    }

    /// The segment that begins at an index.
    pub(super) fn starting_at(&self, start: u64) -> Option<(usize, &Fact)> {
        let at = self.facts.binary_search_by_key(&start, |fact| fact.start);
        at.ok().and_then(|at| Some((at, self.facts.get(at)?)))
    }

    /// The root at the end, if the tree reached it.
    pub(super) fn root(&self) -> Option<Hash> {
        match self.root_at(self.end) {
            RootAt::Known(root) => Some(root),
            _ => None,
        }
    }
}
