//! From deliveries to batches: what [`Job`](super::Job) and
//! [`Group`](super::Group) do alike.

use countersign_core::delivery::Identity;
use countersign_core::record::Cloud;
use countersign_core::segment::{Delivery, MAX_CONTENT_BYTES};
use countersign_sources::{Part, PartReader, SourceError, Survey, survey};
use data_encoding::HEXLOWER;

use super::{Incoming, Outcome, Pending, Receipt};
use crate::keys::Signer;

/// A segment is sealed once it holds this many bytes of lines.
pub(super) const BATCH_BYTES: usize = 8 << 20;
/// Or this many deliveries: its header names each.
const BATCH_DELIVERIES: usize = 4096;
/// A segment's parts have at most this many bytes together: room for a header.
const MAX_BATCH_BYTES: usize = MAX_CONTENT_BYTES - (8 << 20);

/// What a header holds beside its deliveries and the chain's origin, with room.
const HEADER_BYTES: usize = 768;

/// What a part takes of the header, at most: the longest form of its members.
fn header_bytes(part: &Pending) -> usize {
    // As JSON, which may escape what is in `from`.
    let delivery = serde_json::to_string(&part.delivery);
    delivery.map_or(usize::MAX / 2, |json| json.len() + 1)
}

/// The parts of a delivery that was read to its end, one after the other.
pub(super) struct Parts<'a> {
    incoming: &'a Incoming,
    id: String,
    survey: Survey,
    /// Reads again; none where there is but one part.
    reader: Option<PartReader<'a>>,
    number: u32,
}

impl<'a> Parts<'a> {
    /// Reads a delivery. Events that are not recognized count to `cloud`.
    pub(super) fn of(
        incoming: &'a Incoming,
        cloud: Cloud,
        max_input_bytes: u64,
    ) -> Result<Self, SourceError> {
        let input = &*incoming.input;
        let survey = survey(input, cloud, max_input_bytes)?;
        let sha256 = survey.sha256;
        let of_file = || Identity::File { sha256 }.id();
        let reader = match survey.only {
            Some(_) => None,
            None => Some(PartReader::again(input, cloud, max_input_bytes, &survey)?),
        };
        Ok(Self {
            incoming,
            id: incoming.id.clone().unwrap_or_else(of_file),
            survey,
            reader,
            number: 0,
        })
    }

    /// The shard of the delivery: by its id, so that a redelivery meets its
    /// duplicate.
    pub(super) fn shard(&self, shards: usize) -> usize {
        let bits = self
            .id
            .get(..8)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        bits.unwrap_or_default() as usize % shards.max(1)
    }

    /// The next part; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<Pending>, SourceError> {
        let part = match &mut self.reader {
            Some(reader) => reader.next_surveyed(&self.survey)?,
            None => self.survey.only.take(),
        };
        let Some(Part { body, records }) = part else {
            return Ok(None);
        };
        self.number += 1;
        let delivery = Delivery {
            from: self.incoming.from.clone(),
            id: self.id.clone(),
            part: (self.number, self.survey.parts.len() as u32),
            records,
            sha256: HEXLOWER.encode(&self.survey.sha256),
        };
        Ok(Some(Pending { delivery, body }))
    }
}

/// Parts that are to share a segment.
#[derive(Debug)]
pub(super) struct Batch {
    parts: Vec<Pending>,
    bytes: usize,
    /// What the header takes, at most.
    header_bytes: usize,
    /// What a signer takes of a header.
    max_header_bytes: usize,
}

impl Batch {
    /// An empty batch, whose header this signer is to sign.
    pub(super) fn signed_by(signer: &dyn Signer) -> Self {
        Self {
            parts: Vec::new(),
            bytes: 0,
            header_bytes: HEADER_BYTES,
            max_header_bytes: signer.max_message_bytes(),
        }
    }

    pub(super) fn parts(&self) -> &[Pending] {
        &self.parts
    }

    /// Whether the segment would hold this part too. Any part fits alone.
    pub(super) fn has_room_for(&self, part: &Pending) -> bool {
        self.parts.is_empty()
            || self.bytes + part.body.len() <= MAX_BATCH_BYTES
                && self.header_bytes + header_bytes(part) <= self.max_header_bytes
    }

    pub(super) fn push(&mut self, part: Pending) {
        self.bytes += part.body.len();
        self.header_bytes += header_bytes(&part);
        self.parts.push(part);
    }

    /// Whether it is to be sealed now.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.parts.len() >= BATCH_DELIVERIES
    }

    /// Two batches, one after the other.
    pub(super) fn halves(mut self) -> [Self; 2] {
        let after = self.parts.split_off(self.parts.len() / 2);
        [self.parts, after].map(|parts| Self {
            bytes: parts.iter().map(|part| part.body.len()).sum(),
            header_bytes: HEADER_BYTES + parts.iter().map(header_bytes).sum::<usize>(),
            parts,
            max_header_bytes: self.max_header_bytes,
        })
    }

    /// What became of each part, in order.
    pub(super) fn receipts(
        self,
        origin: &str,
        outcomes: Vec<Outcome>,
    ) -> impl Iterator<Item = Receipt> {
        let parts = self.parts.into_iter().zip(outcomes);
        parts.map(move |(part, outcome)| Receipt {
            from: part.delivery.from,
            origin: origin.to_owned(),
            part: part.delivery.part,
            records: part.delivery.records,
            outcome,
        })
    }
}
