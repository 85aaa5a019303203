//! One segment: fetched, opened, every record read. Runs for many at once.

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::anchor::{Anchor, AnchorEvent};
use countersign_core::index::{BadRecords, IndexLine, inspect};
use countersign_core::keys::VerifierKey;
use countersign_core::merkle::Hash;
use countersign_core::names;
use countersign_core::record::{ANCHOR_SOURCE, Record, RecordReader};
use countersign_core::segment::{Header, Segment, SegmentError, body_sha256};
use countersign_store::SealedStore;
use sha2::{Digest, Sha256};

use super::fetch::{Absent, get};
use super::room::Room;
use super::volume::{Activity, Hours};
use crate::objects::MAX_OBJECT_BYTES;
use crate::publish::is_anchors_alone;

/// What reading a chain's segments needs; shared by all readers.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) store: Arc<dyn SealedStore>,
    pub(super) key: VerifierKey,
    /// The keys of all chains, by their place in the deployment.
    pub(super) logs: Vec<VerifierKey>,
    /// The witnesses whose anchors this chain may hold, by their place.
    pub(super) witnesses: Vec<(usize, VerifierKey)>,
    pub(super) room: Arc<Room>,
}

/// What stands at a segment's name.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) outcome: Outcome,
    /// Hex SHA-256 of the stored bytes, where they could be read.
    pub(super) object_sha256: Option<String>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Whole(Box<Whole>),
    Broken(SegmentError),
    Absent(Absent),
}

/// A segment that holds.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) header: Header,
    pub(super) leaves: Vec<Hash>,
    /// [`IndexLine::meaning`] of the line that describes it.
    pub(super) meaning: [u8; 32],
    pub(super) content_bytes: u64,
    pub(super) bad: BadRecords,
    pub(super) anchors: Vec<RecordedAnchor>,
    pub(super) bad_anchors: Vec<BadAnchor>,
    pub(super) anchors_alone: bool,
    pub(super) activity: Activity,
}

/// An anchor as a record holds it.
#[derive(Debug, Clone)]
pub(super) struct RecordedAnchor {
    /// The anchored chain, by its place in the deployment.
    pub(super) chain: usize,
    /// The witness, by its place.
    pub(super) witness: usize,
    pub(super) size: u64,
    pub(super) seconds: u64,
    pub(super) root: Hash,
    pub(super) sha256: [u8; 32],
    /// Leaf index of the record.
    pub(super) index: u64,
}

/// A record with an anchor's source that is none.
#[derive(Debug, Clone)]
pub(super) struct BadAnchor {
    /// The chain that it says it anchors.
    pub(super) chain: Option<usize>,
    pub(super) index: u64,
    pub(super) why: String,
}

impl Reading {
    /// Reads the segment named by its start, which the listing says holds so many
    /// bytes.
    pub(super) async fn read(self: Arc<Self>, start: u64, bytes: u64) -> Read {
        let room = Arc::clone(&self.room);
        let _fetched = room.object(bytes).await;
        let object = match get(&*self.store, &names::segment(start), MAX_OBJECT_BYTES).await {
            Ok(object) => object,
            Err(absent) => {
                return Read {
                    outcome: Outcome::Absent(absent),
                    object_sha256: None,
                };
            }
        };
        let mut place = room.content(&object).await;
        let buffer = place.take_buffer();
        let work = tokio::task::spawn_blocking(move || self.open(&object, buffer));
        match work.await {
            Ok((read, buffer)) => {
                place.put_back(buffer);
                read
            }
            Err(error) => Read {
                outcome: Outcome::Absent(Absent::Unreadable(format!(
                    "reading the segment was aborted: {error}"
                ))),
                object_sha256: None,
            },
        }
    }

    /// Opens a segment in a buffer, which comes back.
    fn open(&self, object: &Bytes, buffer: Vec<u8>) -> (Read, Vec<u8>) {
        let object_sha256 = body_sha256(object);
        let (outcome, buffer) = match Segment::open_in(buffer, object, &self.key) {
            Ok(segment) => {
                let sha256 = object_sha256.clone();
                let (whole, buffer) = self.inspect(segment, sha256, object.len() as u64);
                (Outcome::Whole(Box::new(whole)), buffer)
            }
            Err(error) => (Outcome::Broken(error), Vec::new()),
        };
        let read = Read {
            outcome,
            object_sha256: Some(object_sha256),
        };
        (read, buffer)
    }

    fn inspect(
        &self,
        segment: Segment,
        object_sha256: String,
        object_bytes: u64,
    ) -> (Whole, Vec<u8>) {
        let (mut anchors, mut bad_anchors) = (Vec::new(), Vec::new());
        let mut activity = Activity::new(Hours::of_millis(segment.header.sealed_at_millis()));
        let mut reader = RecordReader::default();
        let (summary, bad) = inspect(&segment, &mut reader, |index, record, _| {
            if record.source == ANCHOR_SOURCE {
                match self.anchor(index, record) {
                    Ok(Some(anchor)) => anchors.push(anchor),
                    Ok(None) => {}
                    Err(bad) => bad_anchors.push(bad),
                }
            } else {
                activity.add(index, record);
            }
        });
        let line = IndexLine::new(&segment.header, &summary, object_sha256, object_bytes);
        let header = segment.header.clone();
        let content_bytes = segment.content_bytes();
        let (leaves, buffer) = segment.into_parts();
        let whole = Whole {
            meaning: line.meaning(),
            content_bytes,
            bad,
            anchors,
            bad_anchors,
            anchors_alone: is_anchors_alone(&summary),
            activity,
            header,
            leaves,
        };
        (whole, buffer)
    }

    /// Reads an anchor's record. None if it anchors a chain that this deployment
    /// does not know.
    fn anchor(&self, index: u64, record: &Record<'_>) -> Result<Option<RecordedAnchor>, BadAnchor> {
        let bad = |chain, why: &str| BadAnchor {
            chain,
            index,
            why: why.to_owned(),
        };
        let event = AnchorEvent::parse(&record.event_bytes())
            .ok_or_else(|| bad(None, "the event is no anchor's"))?;
        let Some(chain) = self.logs.iter().position(|key| key.name() == event.origin) else {
            return Ok(None);
        };
        let mut why = String::from("no witness of this cloud is known");
        for (witness, key) in &self.witnesses {
            match Anchor::open(event.note.as_bytes(), &self.logs[chain], key) {
                Ok(anchor) if anchor.checkpoint.size == event.size => {
                    return Ok(Some(RecordedAnchor {
                        chain,
                        witness: *witness,
                        size: event.size,
                        seconds: anchor.seconds,
                        root: anchor.checkpoint.root,
                        sha256: Sha256::digest(event.note.as_bytes()).into(),
                        index,
                    }));
                }
                Ok(_) => why = "its note is of another size".to_owned(),
                Err(error) => why = error.to_string(),
            }
        }
        Err(bad(Some(chain), &why))
    }
}
