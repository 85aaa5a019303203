//! Record lines, cut into parts by a delivery's content alone.

use std::borrow::Cow;

use countersign_core::json::scan;
use countersign_core::record::{self, Carrier, Cloud};
use countersign_core::segment::{MAX_PART_BYTES, MAX_PART_RECORDS};
use sha2::{Digest, Sha256};

use crate::SourceError;
use crate::input::Input;
use crate::recognize::recognize;
use crate::split::{Found, Shape, Splitter, Stop};

/// A run of a delivery's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Record lines, each with its LF.
    pub body: Vec<u8>,
    /// How many.
    pub records: u64,
}

/// What is known of a part before it is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSize {
    /// Its records.
    pub records: u64,
    /// Bytes of its body.
    pub bytes: u64,
    /// SHA-256 of its body; none for an only part, which the delivery's tells apart.
    pub sha256: Option<[u8; 32]>,
}

/// What a first reading of a delivery tells: it can be sealed as a whole.
#[derive(Debug)]
pub struct Survey {
    /// SHA-256 of the uncompressed bytes.
    pub sha256: [u8; 32],
    /// The uncompressed bytes.
    pub bytes: u64,
    /// The parts, at least one.
    pub parts: Vec<PartSize>,
    /// The part itself, where there is but one.
    pub only: Option<Part>,
    shape: Shape,
}

/// Reads a delivery to its end and says what is in it. Events that are not
/// recognized count to `cloud`.
///
/// # Errors
/// When the delivery is broken, over a cap, or cannot be read: nothing of it may
/// then be sealed.
pub fn survey(input: &dyn Input, cloud: Cloud, max_bytes: u64) -> Result<Survey, SourceError> {
    let mut shape = Shape::Unknown;
    loop {
        let mut reader = PartReader::open(input, cloud, max_bytes, shape)?;
        match survey_as(&mut reader) {
            Ok(survey) => return Ok(survey),
            Err(Stop::Retry(found)) => shape = found,
            Err(Stop::Error(error)) => return Err(error),
        }
    }
}

fn survey_as(reader: &mut PartReader<'_>) -> Result<Survey, Stop> {
    let mut parts = Vec::new();
    let mut only = None;
    while let Some(part) = reader.next()? {
        let alone = parts.is_empty() && reader.ended;
        parts.push(PartSize {
            records: part.records,
            bytes: part.body.len() as u64,
            sha256: (!alone).then(|| Sha256::digest(&part.body).into()),
        });
        only = alone.then_some(part);
    }
    let (sha256, bytes) = reader.splitter.digest();
    Ok(Survey {
        sha256,
        bytes,
        parts,
        only,
        shape: reader.splitter.shape(),
    })
}

/// Reads a delivery's parts one after the other.
pub struct PartReader<'a> {
    splitter: Splitter<'a>,
    cloud: Cloud,
    /// The line that did not fit into the part before.
    held: Vec<u8>,
    parts: usize,
    ended: bool,
}

impl<'a> PartReader<'a> {
    /// Reads a surveyed delivery again.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn again(
        input: &'a dyn Input,
        cloud: Cloud,
        max_bytes: u64,
        survey: &Survey,
    ) -> Result<Self, SourceError> {
        Self::open(input, cloud, max_bytes, survey.shape)
    }

    fn open(
        input: &'a dyn Input,
        cloud: Cloud,
        max_bytes: u64,
        shape: Shape,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            splitter: Splitter::open(input, shape, max_bytes)?,
            cloud,
            held: Vec::new(),
            parts: 0,
            ended: false,
        })
    }

    /// The next part, which must be the one that was surveyed.
    ///
    /// # Errors
    /// [`SourceError::Changed`] if it is not; else as [`survey`].
    pub fn next_surveyed(&mut self, survey: &Survey) -> Result<Option<Part>, SourceError> {
        let expected = survey.parts.get(self.parts);
        let same = |part: &Part, reader: &Self| match expected.map(|size| size.sha256) {
            Some(Some(sha256)) => sha256 == <[u8; 32]>::from(Sha256::digest(&part.body)),
            // The only part: its reading went to the end of the delivery.
            Some(None) => reader.ended && reader.splitter.digest().0 == survey.sha256,
            None => false,
        };
        match self.next() {
            Ok(Some(part)) if same(&part, self) => Ok(Some(part)),
            Ok(None) if expected.is_none() => Ok(None),
            Err(Stop::Error(error)) => Err(error),
            _ => Err(SourceError::Changed),
        }
    }

    fn next(&mut self) -> Result<Option<Part>, Stop> {
        if self.ended {
            return Ok(None);
        }
        let mut part = Part {
            records: u64::from(!self.held.is_empty()),
            body: std::mem::take(&mut self.held),
        };
        loop {
            let from = part.body.len();
            let left_bytes = self.splitter.bytes_at_hand();
            let Some((offset, found)) = self.splitter.next()? else {
                self.ended = true;
                break;
            };
            if part.body.is_empty() {
                // A record is a little longer than its event.
                let expected = left_bytes + left_bytes / 16;
                part.body.reserve(expected.min(MAX_PART_BYTES));
            }
            push_line(self.cloud, &found, &mut part.body);
            let line_bytes = part.body.len() - from;
            if line_bytes > record::MAX_LINE_BYTES {
                return Err(Stop::Error(SourceError::EventTooLarge {
                    offset,
                    limit: record::MAX_LINE_BYTES as u64,
                }));
            }
            part.body.push(b'\n');
            let full = part.records == MAX_PART_RECORDS as u64 || part.body.len() > MAX_PART_BYTES;
            if full && part.records > 0 {
                self.held = part.body.split_off(from);
                break;
            }
            part.records += 1;
        }
        // A delivery without events is one part without records.
        if part.records == 0 && self.parts > 0 {
            return Ok(None);
        }
        self.parts += 1;
        Ok(Some(part))
    }
}

/// Appends an event's record line, without LF.
fn push_line(cloud: Cloud, found: &Found<'_>, line: &mut Vec<u8>) {
    let (carrier, recognized) = match found {
        Found::Exact(parsed) => (
            Carrier::Event(*parsed),
            recognize(|name| parsed.member(name)),
        ),
        Found::Inexact(bytes) => {
            let members: Vec<_> = scan::members(bytes)
                .map(|(name, value)| (scan::string(name).unwrap_or_default(), value))
                .collect();
            let member = |name: &str| {
                let found = members.iter().rfind(|(found, _)| found == name);
                found.map(|(_, value)| *value)
            };
            (Carrier::of_inexact(bytes), recognize(member))
        }
        Found::Text(bytes) => {
            let carrier = Carrier::of_inexact(bytes);
            return record::push(cloud, &carrier, "text", None, line);
        }
    };
    let cloud = recognized.cloud.unwrap_or(cloud);
    let time = recognized.time.as_ref().map(Cow::as_ref);
    record::push(cloud, &carrier, recognized.source, time, line);
}

#[cfg(test)]
mod tests;
