//! The walk over a chain's segments: read in parallel, hashed into the tree in
//! order.

use std::collections::HashSet;
use std::sync::Arc;

use countersign_core::index::{Index, IndexLine};
use countersign_core::merkle::tile::{TileBuilder, TileId};
use countersign_core::merkle::{Frontier, Hash};
use countersign_core::names;
use countersign_core::segment::{Delivery, SegmentError};
use countersign_core::time;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::Progress;
use super::checks::{Check, Checks, Detail};
use super::codes;
use super::fetch::{Absent, get};
use super::history::{Fact, History, Start};
use super::names::Names;
use super::read::{Outcome, Read, Reading, Whole};
use super::tiles;
use crate::objects::{MAX_OBJECT_BYTES, MAX_SMALL_BYTES};

/// What the walk needs to know.
pub(super) struct Walk<'a> {
    pub(super) reading: Arc<Reading>,
    pub(super) names: &'a Names,
    pub(super) checks: &'a mut Checks,
    pub(super) progress: &'a dyn Progress,
    pub(super) concurrency: usize,
    /// Tiles are required up to here.
    pub(super) published: u64,
    /// What counts begins here; before it only the tree is built.
    pub(super) since: u64,
    /// Segments sealed before this (milliseconds since 1970) may be gone.
    pub(super) expired_before: i64,
}

impl Walk<'_> {
    /// Reads all segments from `start` on.
    pub(super) async fn run(self, start: Start) -> History {
        let mut walker = Walker {
            history: History::new(&start, self.since),
            builder: start.builder,
            frontier: start.frontier,
            live: true,
            diverged: false,
            seen: HashSet::new(),
            index: None,
            walk: self,
        };
        walker.segments().await;
        walker.finish().await
    }
}

struct Walker<'a> {
    walk: Walk<'a>,
    history: History,
    builder: TileBuilder,
    frontier: Frontier,
    /// The tree goes on; once it stopped it stays so.
    live: bool,
    /// A `prev` was wrong: the next ones are too, by the same cause.
    diverged: bool,
    /// Delivery parts seen, as truncated hashes.
    seen: HashSet<[u8; 16]>,
    /// The index that was looked into last.
    index: Option<Index>,
}

impl Walker<'_> {
    async fn segments(&mut self) {
        let names = self.walk.names;
        let from = self.history.from;
        let at = names.segments.partition_point(|(start, _)| *start < from);
        let entries = &names.segments[at..];
        let reading = Arc::clone(&self.walk.reading);
        let reads = stream::iter(entries.iter().copied()).map(|(start, bytes)| {
            let reading = Arc::clone(&reading);
            // A task of its own, so that it goes on while the tree is hashed.
            async move { tokio::spawn(reading.read(start, bytes)).await }
        });
        let mut reads = reads.buffered(self.walk.concurrency.max(1));
        for (nth, (start, bytes)) in entries.iter().enumerate() {
            let read = match reads.next().await {
                Some(Ok(read)) => read,
                Some(Err(error)) => Read {
                    outcome: Outcome::Absent(Absent::Unreadable(error.to_string())),
                    object_sha256: None,
                },
                None => break,
            };
            self.walk.progress.advanced(1, *bytes);
            let next = entries.get(nth + 1).map(|(next, _)| *next);
            self.segment(*start, next, read).await;
        }
        // What the indexes know beyond the last segment was removed.
        while !self.history.open_end
            && let Some(line) = self.index_line(self.history.end).await
        {
            self.missing(&line).await;
        }
    }

    /// Takes the object at a segment's name into account.
    async fn segment(&mut self, start: u64, next: Option<u64>, read: Read) {
        let name = names::segment(start);
        if start < self.history.end {
            self.walk.checks.checked(Check::SegmentsContiguous, 1);
            let before = format!("a segment at {} or later", self.history.end);
            let detail = Detail::object(name).index(start).expected(before);
            self.find(&codes::SEGMENT_OVERLAP, detail);
            return;
        }
        self.known_gap(start).await;
        if start > self.history.end {
            if !matches!(read.outcome, Outcome::Whole(_)) {
                // Nothing says that the chain ever reached it: it is told, and
                // the history does not stretch to it.
                self.walk.checks.checked(Check::SegmentsContiguous, 1);
                self.not_whole(&name, start, &read.outcome);
                return;
            }
            self.gap(start);
            self.push_from_tiles(start).await;
            self.fact(Fact {
                start: self.history.end,
                end: start,
                sealed_at: None,
                root: None,
                meaning: None,
                broken_sha256: None,
                anchors_alone: false,
            });
        }
        let counts = start >= self.walk.since;
        if counts {
            for check in [Check::SegmentsContiguous, Check::SegmentSignatures] {
                self.walk.checks.checked(check, 1);
            }
        }
        let whole = match read.outcome {
            Outcome::Whole(whole) if whole.header.start == start => whole,
            outcome => {
                self.not_whole(&name, start, &outcome);
                self.bridge(start, next, read.object_sha256).await;
                return;
            }
        };
        if self.live {
            let root = self.frontier.root();
            let continues = whole.header.prev == root;
            if !continues && !self.diverged {
                let detail = Detail::object(&name).index(start);
                let detail = detail.expected(root).found(whole.header.prev);
                self.find(&codes::SEGMENT_PREV, detail);
            }
            self.diverged = !continues;
        }
        self.count(&name, &whole, counts);
        self.push(&whole.leaves).await;
        let Whole {
            header,
            meaning,
            anchors_alone,
            mut anchors,
            mut bad_anchors,
            activity,
            ..
        } = *whole;
        self.history.anchors.append(&mut anchors);
        self.history.bad_anchors.append(&mut bad_anchors);
        if counts {
            self.history.activity.merge(activity);
        }
        self.fact(Fact {
            start,
            end: header.end,
            sealed_at: Some(header.sealed_at_millis()),
            root: None,
            meaning: Some(meaning),
            broken_sha256: None,
            anchors_alone,
        });
    }

    /// Counts what a whole segment holds.
    fn count(&mut self, name: &str, whole: &Whole, counts: bool) {
        if whole.header.start == 0 {
            self.history
                .genesis_sha256
                .clone_from(&whole.header.genesis_sha256);
        }
        if !counts {
            return;
        }
        let records = whole.header.end - whole.header.start - 1;
        self.history.segments += 1;
        self.history.records += records;
        self.history.bytes = self.history.bytes.saturating_add(whole.content_bytes);
        self.walk.checks.checked(Check::RecordHashes, records + 1);
        self.walk.checks.checked(Check::CanonicalForm, records);
        for bad in &whole.bad.first {
            let detail = Detail::object(name).index(bad.index).found(&bad.error);
            self.find(&codes::RECORD_FORM, detail);
        }
        let rest = whole.bad.count - whole.bad.first.len() as u64;
        if rest > 0 {
            let detail = Detail::object(name).found(format!("{rest} more such records"));
            self.walk
                .checks
                .find_many(&codes::RECORD_FORM, rest, detail);
        }
        for delivery in &whole.header.deliveries {
            if !self.seen.insert(part_key(delivery)) {
                self.history.duplicates += 1;
            }
        }
    }

    /// Says why an object is not the segment that should stand there.
    fn not_whole(&mut self, name: &str, start: u64, outcome: &Outcome) {
        let detail = Detail::object(name).index(start);
        self.history.damaged = true;
        match outcome {
            Outcome::Whole(whole) => {
                let detail = detail.expected(format!("the segment at {start}"));
                let found = format!("the segment at {}", whole.header.start);
                self.find(&codes::SEGMENT_MISPLACED, detail.found(found));
            }
            Outcome::Broken(error) => {
                let detail = match error {
                    SegmentError::Body { expected, found } => {
                        detail.expected(expected).found(found)
                    }
                    error => detail.found(error),
                };
                let code = match error {
                    SegmentError::Document(_) => &codes::SEGMENT_SIGNATURE,
                    SegmentError::Header(_) => &codes::SEGMENT_HEADER,
                    SegmentError::Body { .. } | SegmentError::Records { .. } => {
                        &codes::SEGMENT_BODY
                    }
                    _ => &codes::SEGMENT_DAMAGED,
                };
                self.find(code, detail);
            }
            Outcome::Absent(Absent::Missing) => {
                let detail = detail.found("it was listed, and is gone");
                self.find(&codes::SEGMENT_MISSING, detail);
            }
            Outcome::Absent(Absent::Corrupt(why)) => {
                self.find(&codes::SEGMENT_DAMAGED, detail.found(why));
            }
            Outcome::Absent(Absent::Unreadable(why)) => {
                for check in [
                    Check::SegmentsContiguous,
                    Check::SegmentSignatures,
                    Check::RecordHashes,
                    Check::CanonicalForm,
                    Check::Index,
                ] {
                    self.walk.checks.unknown(check, why);
                }
            }
        }
    }

    /// Goes on behind a segment that cannot be used: its end from a signed index
    /// line or the next segment, its leaves from tiles.
    async fn bridge(&mut self, start: u64, next: Option<u64>, sha256: Option<String>) {
        let line = self.index_line(start).await;
        if start == 0 {
            self.history.genesis_sha256 =
                line.as_ref().and_then(|line| line.genesis_sha256.clone());
        }
        let Some(end) = line.as_ref().map(|line| line.end).or(next) else {
            self.stop(start);
            self.history.open_end = true;
            return;
        };
        self.push_from_tiles(end).await;
        self.fact(Fact {
            start,
            end,
            sealed_at: line.as_ref().and_then(sealed_at),
            root: None,
            meaning: None,
            broken_sha256: sha256,
            anchors_alone: false,
        });
    }

    /// Takes account of what is missing before a segment, as far as indexes know it.
    async fn known_gap(&mut self, until: u64) {
        while self.history.end < until {
            match self.index_line(self.history.end).await {
                Some(line) if line.end <= until => self.missing(&line).await,
                _ => return,
            }
        }
    }

    /// Tells of a gap that no index knows.
    fn gap(&mut self, until: u64) {
        let start = self.history.end;
        let detail = Detail::object(names::segment(start)).index(start);
        let found = format!("nothing before the segment at {until}");
        self.find(&codes::SEGMENT_MISSING, detail.found(found));
        self.history.damaged = true;
    }

    /// Takes account of a segment that an index knows and the store does not.
    async fn missing(&mut self, line: &IndexLine) {
        let sealed_at = sealed_at(line);
        if line.start == 0 {
            self.history.genesis_sha256.clone_from(&line.genesis_sha256);
        }
        if sealed_at.is_some_and(|at| at < self.walk.expired_before) {
            self.history.expired += 1;
        } else {
            self.history.damaged = true;
            let detail = Detail::object(names::segment(line.start)).index(line.start);
            let expected = format!("leaves {} to {}", line.start, line.end - 1);
            self.find(&codes::SEGMENT_MISSING, detail.expected(expected));
        }
        self.push_from_tiles(line.end).await;
        self.fact(Fact {
            start: line.start,
            end: line.end,
            sealed_at,
            root: None,
            meaning: None,
            broken_sha256: None,
            anchors_alone: false,
        });
    }

    fn fact(&mut self, fact: Fact) {
        let root = self.live.then(|| self.frontier.root());
        self.history.end = fact.end;
        if fact.start >= self.walk.since {
            let old = |at| at < self.walk.expired_before;
            let expired = fact.broken_sha256.is_none() && fact.sealed_at.is_some_and(old);
            let whole = fact.meaning.is_some() || expired;
            let growth = &mut self.history.growth;
            growth.push(fact.start, fact.end, fact.sealed_at, whole);
        }
        self.history.facts.push(Fact { root, ..fact });
    }

    /// Appends leaves and compares the tiles that they complete.
    async fn push(&mut self, leaves: &[Hash]) {
        if !self.live {
            return;
        }
        let mut full = Vec::new();
        for leaf in leaves {
            self.frontier.push(*leaf);
            self.builder.push(*leaf, &mut |id: TileId, bytes: &[u8]| {
                full.push((id, bytes.to_vec()));
            });
        }
        self.compare(full).await;
    }

    /// Appends the leaves up to `end` as the published tiles give them.
    async fn push_from_tiles(&mut self, end: u64) {
        while self.live && self.builder.size() < end {
            let size = self.builder.size();
            let index = size / 256;
            let within = |at: u64| usize::try_from(at.min((index + 1) * 256) - index * 256);
            let (Ok(from), Ok(to)) = (within(size), within(end)) else {
                return self.stop(size);
            };
            let tiles = &self.walk.names.tiles;
            let full = TileId {
                level: 0,
                index,
                width: 256,
            };
            let widest = tiles.widths(0, index).last().copied().unwrap_or(0);
            let width = if tiles.has(full) { 256 } else { widest };
            let tile = TileId { width, ..full };
            if usize::from(width) < to {
                return self.stop(size);
            }
            let bytes = get(&*self.walk.reading.store, &tile.path(), MAX_SMALL_BYTES).await;
            let Some(bytes) = bytes.ok().filter(|bytes| bytes.len() == tile.byte_len()) else {
                return self.stop(size);
            };
            let leaves: Vec<Hash> = bytes.as_chunks().0[from..to]
                .iter()
                .map(|hash| Hash(*hash))
                .collect();
            self.push(&leaves).await;
        }
    }

    fn stop(&mut self, at: u64) {
        self.live = false;
        self.history.damaged = true;
        self.history.stopped.get_or_insert_with(|| {
            format!(
                "the segment at {at} cannot be used and no tiles give its leaves: later roots are not known"
            )
        });
    }

    /// The line of the index that knows the segment at `start`.
    async fn index_line(&mut self, start: u64) -> Option<IndexLine> {
        let find = |index: &Index| {
            let at = index.lines.binary_search_by_key(&start, |line| line.start);
            at.ok().and_then(|at| index.lines.get(at).cloned())
        };
        if let Some(line) = self.index.as_ref().and_then(find) {
            return Some(line);
        }
        let indexes = &self.walk.names.indexes;
        let at = indexes.partition_point(|size| *size <= start);
        // The nearest ones may be leftovers or damaged themselves.
        for size in indexes[at..].iter().take(8) {
            let reading = &self.walk.reading;
            let object = get(&*reading.store, &names::index(*size), MAX_OBJECT_BYTES).await;
            let Ok(index) = object.map(|object| Index::open(&object, &reading.key)) else {
                continue;
            };
            if let Ok(index) = index
                && let Some(line) = find(&index)
            {
                self.index = Some(index);
                return Some(line);
            }
        }
        None
    }

    async fn compare(&mut self, tiles: Vec<(TileId, Vec<u8>)>) {
        tiles::compare(
            &*self.walk.reading.store,
            &self.walk.names.tiles,
            self.walk.published,
            self.walk.since,
            self.walk.concurrency,
            tiles,
            self.walk.checks,
        )
        .await;
    }

    async fn finish(mut self) -> History {
        if self.live {
            let edge = self.builder.partial_tiles();
            self.compare(edge).await;
        }
        let (names, published) = (self.walk.names, self.walk.published);
        match &self.history.stopped {
            None => tiles::complete(&names.tiles, published, self.history.end, self.walk.checks),
            Some(reason) if published > self.builder.size() => {
                self.walk.checks.unknown(Check::Tiles, reason);
            }
            Some(_) => {}
        }
        self.history
    }

    fn find(&mut self, code: &codes::Code, detail: Detail) {
        self.walk.checks.find(code, detail);
    }
}

fn sealed_at(line: &IndexLine) -> Option<i64> {
    time::parse(&line.sealed_at).map(|at| at.unix_millis())
}

/// A delivery's part, in 16 bytes: duplicates are counted, not decided, by it.
fn part_key(delivery: &Delivery) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(delivery.id.as_bytes());
    hasher.update(delivery.part.0.to_be_bytes());
    let hash: [u8; 32] = hasher.finalize().into();
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    key
}
