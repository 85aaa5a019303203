//! Index objects: what stands in the segments up to a checkpoint, without
//! reading them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::keys::{SignError, Signer, VerifierKey};
use crate::merkle::Hash;
use crate::names::is_hex;
use crate::record::{Record, RecordError, RecordReader};
use crate::segment::{
    self, Delivery, FrameError, Header, MAX_CONTENT_BYTES, Segment, SegmentError, body_sha256,
};
use crate::signed::{self, canonical, document};
use crate::time;

/// An index object's line 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexHeader {
    /// Hex SHA-256 of all bytes after line 1.
    pub body_sha256: String,
    /// `index/v1`
    pub countersign: String,
    /// The size of the newest checkpoint when the run began.
    pub from: u64,
    /// The chain.
    pub origin: String,
    /// Over the header without this member.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<String>,
    /// The checkpoint's size.
    pub size: u64,
}

document!(IndexHeader, "index/v1");

/// An index object's line for one segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexLine {
    /// As in the segment's header.
    pub body_sha256: String,
    /// `segment/v1`
    pub countersign: String,
    /// As in the segment's header.
    pub deliveries: Vec<Delivery>,
    /// The earliest time of a record, as it is spelled there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub earliest: Option<String>,
    /// As in the segment's header.
    pub end: u64,
    /// As in the segment's header.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub genesis_sha256: Option<String>,
    /// The latest time of a record, as it is spelled there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latest: Option<String>,
    /// Bytes of the object.
    pub object_bytes: u64,
    /// Hex SHA-256 of the object.
    pub object_sha256: String,
    /// As in the segment's header.
    pub origin: String,
    /// As in the segment's header.
    pub prev: Hash,
    /// As in the segment's header.
    pub sealed_at: String,
    /// Records by source.
    pub sources: BTreeMap<String, u64>,
    /// As in the segment's header.
    pub start: u64,
}

impl IndexLine {
    /// The line of a segment.
    pub fn new(
        header: &Header,
        summary: &Summary,
        object_sha256: String,
        object_bytes: u64,
    ) -> Self {
        Self {
            body_sha256: header.body_sha256.clone(),
            countersign: header.countersign.clone(),
            deliveries: header.deliveries.clone(),
            earliest: summary.earliest.clone(),
            end: header.end,
            genesis_sha256: header.genesis_sha256.clone(),
            latest: summary.latest.clone(),
            object_bytes,
            object_sha256,
            origin: header.origin.clone(),
            prev: header.prev,
            sealed_at: header.sealed_at.clone(),
            sources: summary.sources.clone(),
            start: header.start,
        }
    }

    /// A hash that is equal for lines that say the same: `earliest` and `latest`
    /// are instants, which have several spellings.
    pub fn meaning(&self) -> [u8; 32] {
        let instant = |text: &Option<String>| {
            text.as_ref().map(|text| match time::to_utc(text) {
                Some(utc) if utc.contains('.') => {
                    let digits = utc.trim_end_matches('Z').trim_end_matches('0');
                    format!("{}Z", digits.trim_end_matches('.'))
                }
                Some(utc) => utc.into_owned(),
                None => text.clone(),
            })
        };
        let mut line = self.clone();
        line.earliest = instant(&self.earliest);
        line.latest = instant(&self.latest);
        Sha256::digest(canonical(&line)).into()
    }
}

/// What an index says of a segment's records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The earliest time of a record, as it is spelled there.
    pub earliest: Option<String>,
    /// The latest time of a record, as it is spelled there.
    pub latest: Option<String>,
    /// Records by source.
    pub sources: BTreeMap<String, u64>,
}

impl Summary {
    /// Takes one more record into account.
    pub fn add(&mut self, record: &Record<'_>) {
        match self.sources.get_mut(&*record.source) {
            Some(count) => *count += 1,
            None => drop(self.sources.insert(record.source.to_string(), 1)),
        }
        let Some((text, at)) = record
            .time
            .and_then(|text| Some((text, time::parse(text)?)))
        else {
            return;
        };
        let known = |text: &Option<String>| text.as_deref().and_then(time::parse).is_some();
        if !known(&self.earliest) || self.earliest.as_deref().and_then(time::parse) > Some(at) {
            self.earliest = Some(text.to_owned());
        }
        if !known(&self.latest) || self.latest.as_deref().and_then(time::parse) < Some(at) {
            self.latest = Some(text.to_owned());
        }
    }
}

/// A record's index in the chain, and why it is not in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {index}: {error}")]
pub struct BadRecord {
    /// Its leaf index.
    pub index: u64,
    /// What is wrong.
    pub error: RecordError,
}

/// Records that are not in canonical form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BadRecords {
    /// The first of them, at most [`MAX_BAD_RECORDS`].
    pub first: Vec<BadRecord>,
    /// How many there are.
    pub count: u64,
}

/// So many bad records of a segment are told one by one.
pub const MAX_BAD_RECORDS: usize = 100;

/// Reads every record of a segment. Those that are not in canonical form are left
/// out of the summary and returned.
pub fn inspect(
    segment: &Segment,
    reader: &mut RecordReader,
    mut each: impl FnMut(u64, &Record<'_>, &[u8]),
) -> (Summary, BadRecords) {
    let mut summary = Summary::default();
    let mut bad = BadRecords::default();
    for (index, line) in (segment.header.start + 1..).zip(segment::lines(segment.body())) {
        match reader.read(line) {
            Ok(record) => {
                summary.add(&record);
                each(index, &record, line);
            }
            Err(error) => {
                bad.count += 1;
                if bad.first.len() < MAX_BAD_RECORDS {
                    bad.first.push(BadRecord { index, error });
                }
            }
        }
    }
    (summary, bad)
}

/// An index object whose header is signed and whose lines are the signed ones.
#[derive(Debug)]
pub struct Index {
    /// Its header.
    pub header: IndexHeader,
    /// A line for each segment in [from, size), in order.
    pub lines: Vec<IndexLine>,
}

impl Index {
    /// An index that is to be signed: its header, and its lines as they are stored.
    pub fn unsigned(
        origin: &str,
        from: u64,
        size: u64,
        lines: &[IndexLine],
    ) -> (IndexHeader, Vec<u8>) {
        let mut body = Vec::new();
        for line in lines {
            body.extend_from_slice(&canonical(line));
            body.push(b'\n');
        }
        let header = IndexHeader {
            body_sha256: body_sha256(&body),
            countersign: "index/v1".into(),
            from,
            origin: origin.into(),
            signature: None,
            size,
        };
        (header, body)
    }

    /// Encodes an index from its signed header line and its lines.
    ///
    /// # Errors
    /// When the lines are over the cap of an object.
    pub fn encode(header_line: &[u8], body: &[u8], level: i32) -> Result<Vec<u8>, FrameError> {
        segment::encode(header_line, &[body], level)
    }

    /// Encodes and signs an index with a key that is at hand.
    ///
    /// # Errors
    /// When the signer cannot sign, or the lines are over the cap of an object.
    pub fn seal(
        origin: &str,
        from: u64,
        size: u64,
        lines: &[IndexLine],
        signer: &dyn Signer,
        level: i32,
    ) -> Result<Vec<u8>, SealIndexError> {
        let (mut header, body) = Self::unsigned(origin, from, size, lines);
        let header = signed::sign(&mut header, signer)?;
        Ok(Self::encode(&header, &body, level)?)
    }

    /// Decodes an index and checks its form, signature, hash, and that its lines
    /// are contiguous from `from` to `size`.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn open(object: &[u8], key: &VerifierKey) -> Result<Self, IndexError> {
        let content = segment::decompress(object, MAX_CONTENT_BYTES).map_err(SegmentError::from)?;
        let body_at = segment::first_line(&content)? + 1;
        let header: IndexHeader =
            signed::open(&content[..body_at - 1], key).map_err(SegmentError::from)?;
        let body = &content[body_at..];
        let found = body_sha256(body);
        if found != header.body_sha256 {
            return Err(IndexError::Segment(SegmentError::Body {
                found,
                expected: header.body_sha256,
            }));
        }
        if body.last().is_some_and(|byte| *byte != b'\n') {
            return Err(IndexError::Segment(SegmentError::Lines));
        }
        let mut lines = Vec::new();
        let mut next = header.from;
        for (number, bytes) in (2..).zip(segment::lines(body)) {
            let line: IndexLine =
                serde_json::from_slice(bytes).map_err(|error| IndexError::Line {
                    number,
                    why: error.to_string(),
                })?;
            let bad = |why: &str| {
                Err(IndexError::Line {
                    number,
                    why: why.into(),
                })
            };
            if canonical(&line) != bytes {
                return bad("not in canonical form");
            }
            if line.start != next || line.end <= line.start || line.end > header.size {
                return bad("not contiguous");
            }
            if line.origin != header.origin || !is_hex(&line.object_sha256, 64) {
                return bad("not of this chain");
            }
            next = line.end;
            lines.push(line);
        }
        if next != header.size || header.from >= header.size {
            return Err(IndexError::Range);
        }
        Ok(Self { header, lines })
    }
}

/// Why an index could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealIndexError {
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Too large, or zstd failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Why an object is not an index of this chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// As for a segment: frame, header, signature, hash.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// A line is not in order.
    #[error("line {number}: {why}")]
    Line {
        /// Counted from 1, the header's.
        number: usize,
        /// What is wrong.
        why: String,
    },
    /// The lines do not cover the range.
    #[error("the lines do not cover the leaves from `from` to `size`")]
    Range,
}
