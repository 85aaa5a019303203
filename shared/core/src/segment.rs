//! Segments: a run of consecutive leaves in one object. Line 1 is the signed
//! header, the others are records; every line is a leaf.

use std::io::{Read, Write};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::keys::VerifierKey;
use crate::merkle::Hash;
use crate::names::is_hex;
use crate::signed::{self, DocumentError, document};
use crate::time;

/// A segment's content, uncompressed, has at most this many bytes.
pub const MAX_CONTENT_BYTES: usize = 64 << 20;

/// A part of a delivery has at most this many records.
pub const MAX_PART_RECORDS: usize = 65_536;

/// A part of a delivery has at most this many bytes of lines, each with its LF.
pub const MAX_PART_BYTES: usize = 48 << 20;

/// A segment has at most this many records: no record's line is as short as 32 bytes.
pub const MAX_RECORDS: u64 = MAX_CONTENT_BYTES as u64 / 32;

/// Sizes and indexes stay below 2^53, so that JSON numbers hold them exactly.
pub const MAX_SIZE: u64 = 1 << 53;

/// One delivery's part in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Where it came from, for people: a URL or a file name.
    pub from: String,
    /// Hex SHA-256 of its native identity.
    pub id: String,
    /// Which part this is, of how many.
    pub part: (u32, u32),
    /// The records of this part.
    pub records: u64,
    /// Hex SHA-256 of the whole delivery, uncompressed.
    pub sha256: String,
}

/// A segment's line 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Hex SHA-256 of all bytes after line 1.
    pub body_sha256: String,
    /// `segment/v1`
    pub countersign: String,
    /// What the records came in, in order.
    pub deliveries: Vec<Delivery>,
    /// One past the index of the last leaf.
    pub end: u64,
    /// At start 0 alone: hex SHA-256 of `genesis.json`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub genesis_sha256: Option<String>,
    /// The chain.
    pub origin: String,
    /// The root of the tree of size `start`.
    pub prev: Hash,
    /// When it was sealed: RFC 3339 in UTC, milliseconds.
    pub sealed_at: String,
    /// Over the header without this member.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<String>,
    /// The header's own index.
    pub start: u64,
}

document!(Header, "segment/v1");

impl Header {
    /// Milliseconds since 1970 at which it was sealed.
    pub fn sealed_at_millis(&self) -> i64 {
        time::parse(&self.sealed_at).map_or(0, |instant| instant.unix_millis())
    }

    /// What must hold within a header, whatever its place in the chain. Readers
    /// refuse one that does not: check it before it is signed.
    ///
    /// # Errors
    /// [`SegmentError::Header`].
    pub fn check(&self) -> Result<(), SegmentError> {
        let bad = |what| Err(SegmentError::Header(what));
        if self.start >= self.end || self.end > MAX_SIZE {
            return bad("`start` and `end` are not a range of leaves");
        }
        if self.end - self.start - 1 > MAX_RECORDS {
            return bad("there are more records than fit into a segment");
        }
        if (self.start == 0) != self.genesis_sha256.is_some() {
            return bad("`genesis_sha256` stands in the header at 0, and there alone");
        }
        if time::to_utc(&self.sealed_at).as_deref() != Some(&self.sealed_at[..]) {
            return bad("`sealed_at` is not RFC 3339 in UTC");
        }
        if !is_hex(&self.body_sha256, 64)
            || self
                .genesis_sha256
                .as_ref()
                .is_some_and(|hash| !is_hex(hash, 64))
        {
            return bad("a hash is not 64 hex digits");
        }
        let mut records = 0u64;
        for delivery in &self.deliveries {
            if !is_hex(&delivery.id, 64) || !is_hex(&delivery.sha256, 64) {
                return bad("a delivery's `id` or `sha256` is not 64 hex digits");
            }
            if delivery.part.0 == 0 || delivery.part.0 > delivery.part.1 {
                return bad("a delivery's `part` is not one of its parts");
            }
            records = records.saturating_add(delivery.records);
        }
        if records != self.end - self.start - 1 {
            return bad("the deliveries' `records` do not add up to the segment's");
        }
        Ok(())
    }
}

/// Why an object is not a segment of this chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// Not one zstd frame with a checksum, or too much in it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// No line ends.
    #[error("the content is not lines that end with LF")]
    Lines,
    /// The header is not a signed header of this chain.
    #[error("line 1 is not the header: {0}")]
    Document(#[from] DocumentError),
    /// A member of the header contradicts another.
    #[error("the header does not hold: {0}")]
    Header(&'static str),
    /// The body is another than the signed one.
    #[error("the body's SHA-256 is {found}; the header says {expected}")]
    Body {
        /// Of the bytes that stand there.
        found: String,
        /// In the header.
        expected: String,
    },
    /// More or fewer lines than the header says.
    #[error("the body has {found} records; the header says {expected}")]
    Records {
        /// Counted.
        found: u64,
        /// In the header.
        expected: u64,
    },
}

/// A segment whose header is signed and whose body is the signed one.
#[derive(Debug)]
pub struct Segment {
    /// Its header.
    pub header: Header,
    content: Vec<u8>,
    body_at: usize,
    leaves: Vec<Hash>,
}

impl Segment {
    /// Decodes an object and checks all that it says of itself: frame, form,
    /// signature, body hash and counts. Its place in the chain (`start`, `prev`)
    /// and the form of its records are the caller's to check.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn open(object: &[u8], key: &VerifierKey) -> Result<Self, SegmentError> {
        Self::open_in(Vec::new(), object, key)
    }

    /// As [`Segment::open`], in a buffer that was used before: who opens many
    /// asks for memory once. [`Segment::into_parts`] gives it back.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn open_in(
        buffer: Vec<u8>,
        object: &[u8],
        key: &VerifierKey,
    ) -> Result<Self, SegmentError> {
        let content = decompress_in(buffer, object, MAX_CONTENT_BYTES)?;
        let body_at = first_line(&content)? + 1;
        let header: Header = signed::open(&content[..body_at - 1], key)?;
        header.check()?;
        let body = &content[body_at..];
        if body.last().is_some_and(|byte| *byte != b'\n') {
            return Err(SegmentError::Lines);
        }
        let found = memchr::memchr_iter(b'\n', body).count() as u64;
        let expected = header.end - header.start - 1;
        let as_signed = found == expected;
        // No memory for the leaves of lines that nobody signed.
        let mut leaves = Vec::new();
        let sha256 = if as_signed {
            leaves.reserve_exact(found as usize + 1);
            leaves.push(Hash::leaf(&content[..body_at - 1]));
            hash_lines(&[body], &mut leaves)
        } else {
            Sha256::digest(body).into()
        };
        let sha256 = HEXLOWER.encode(&sha256);
        if sha256 != header.body_sha256 {
            return Err(SegmentError::Body {
                found: sha256,
                expected: header.body_sha256,
            });
        }
        if !as_signed {
            return Err(SegmentError::Records { found, expected });
        }
        Ok(Self {
            header,
            content,
            body_at,
            leaves,
        })
    }

    /// The header's own bytes: the leaf at `start`.
    pub fn header_line(&self) -> &[u8] {
        &self.content[..self.body_at - 1]
    }

    /// The record lines with their LFs.
    pub fn body(&self) -> &[u8] {
        &self.content[self.body_at..]
    }

    /// Every leaf's bytes, the header's first.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        lines(&self.content)
    }

    /// The hash of every leaf, the header's first.
    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }

    /// What [`Segment::leaves`] gives, and the buffer that holds the content.
    pub fn into_parts(self) -> (Vec<Hash>, Vec<u8>) {
        (self.leaves, self.content)
    }

    /// Bytes of the content, uncompressed.
    pub fn content_bytes(&self) -> u64 {
        self.content.len() as u64
    }
}

/// Reads the header from the beginning of an object (as much of it as was read),
/// and checks its form and signature. The body is not looked at.
///
/// # Errors
/// As [`Segment::open`]; [`FrameError::Zstd`] also when line 1 goes on past
/// what was given.
pub fn open_header(object_start: &[u8], key: &VerifierKey) -> Result<Header, SegmentError> {
    let mut decoder = zstd::stream::Decoder::with_buffer(object_start)
        .map_err(|error| FrameError::Zstd(error.to_string()))?;
    let mut content = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        let count = decoder
            .read(&mut chunk)
            .map_err(|error| FrameError::Zstd(error.to_string()))?;
        let at = content.len();
        content.extend_from_slice(&chunk[..count]);
        if let Some(found) = memchr::memchr(b'\n', &content[at..]) {
            break at + found;
        }
        if count == 0 || content.len() > MAX_CONTENT_BYTES {
            return Err(SegmentError::Lines);
        }
    };
    let header: Header = signed::open(&content[..end], key)?;
    header.check()?;
    Ok(header)
}

/// Encodes a segment from its signed header line and its record lines, which may
/// stand in several places.
///
/// # Errors
/// When the content is over [`MAX_CONTENT_BYTES`], or zstd fails.
pub fn encode(header_line: &[u8], bodies: &[&[u8]], level: i32) -> Result<Vec<u8>, FrameError> {
    let parts: Vec<&[u8]> = [header_line, b"\n"]
        .into_iter()
        .chain(bodies.iter().copied())
        .collect();
    compress(&parts, level)
}

/// SHA-256 of a body, which may stand in several places, each of whole lines; its
/// lines' leaf hashes are appended to `leaves`.
pub fn hash_lines(bodies: &[&[u8]], leaves: &mut Vec<Hash>) -> [u8; 32] {
    let mut whole = Sha256::new();
    for body in bodies {
        whole.update(body);
        leaves.extend(lines(body).map(Hash::leaf));
    }
    whole.finalize().into()
}

/// What a signed header says of a body.
pub fn body_sha256(body: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(body))
}

/// The lines of a content that ends with LF, without their LFs.
pub fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    memchr::memchr_iter(b'\n', content).map(move |end| {
        let line = &content[from..end];
        from = end + 1;
        line
    })
}

pub(crate) fn first_line(content: &[u8]) -> Result<usize, SegmentError> {
    memchr::memchr(b'\n', content).ok_or(SegmentError::Lines)
}

/// Why an object's compression is not in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Something before, after or other than one zstd frame.
    #[error("the object is not exactly one zstd frame")]
    NotOneFrame,
    /// A frame without content checksum.
    #[error("the zstd frame has no content checksum")]
    NoChecksum,
    /// More than is allowed.
    #[error("the content has more than {limit} bytes")]
    TooLarge {
        /// The cap, in bytes.
        limit: usize,
    },
    /// The frame is damaged.
    #[error("the zstd frame is damaged: {0}")]
    Zstd(String),
}

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bit of the frame header's descriptor byte (RFC 8878 §3.1.1.1.1).
const CHECKSUM_FLAG: u8 = 0b100;

/// Up to here a content is copied into one place to be compressed: a copy of the
/// largest content would be too much for a small function.
const MAX_AT_ONCE_BYTES: usize = 16 << 20;

/// Compresses into one zstd frame with content checksum and content size.
///
/// # Errors
/// When the parts are over [`MAX_CONTENT_BYTES`], or zstd fails.
pub fn compress(parts: &[&[u8]], level: i32) -> Result<Vec<u8>, FrameError> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    if bytes > MAX_CONTENT_BYTES {
        return Err(FrameError::TooLarge {
            limit: MAX_CONTENT_BYTES,
        });
    }
    let at_once = || -> std::io::Result<Vec<u8>> {
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        compressor.include_checksum(true)?;
        compressor.include_contentsize(true)?;
        compressor.compress(&parts.concat())
    };
    let streaming = || -> std::io::Result<Vec<u8>> {
        let mut encoder = zstd::stream::Encoder::new(Vec::with_capacity(bytes / 8 + 64), level)?;
        encoder.include_checksum(true)?;
        encoder.include_contentsize(true)?;
        encoder.set_pledged_src_size(Some(bytes as u64))?;
        for part in parts {
            encoder.write_all(part)?;
        }
        encoder.finish()
    };
    // At once is faster: no window slides. But it needs all of it in one place.
    let done = if bytes <= MAX_AT_ONCE_BYTES {
        at_once()
    } else {
        streaming()
    };
    done.map_err(|error| FrameError::Zstd(error.to_string()))
}

/// Decompresses an object that is exactly one zstd frame with content checksum.
///
/// # Errors
/// When it is not, is damaged, or holds more than `limit` bytes; memory is
/// bounded by `limit` whatever the frame claims.
pub fn decompress(object: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    decompress_in(Vec::new(), object, limit)
}

/// How many bytes of content an object claims to hold, which is how many
/// [`decompress`] asks for; none where it is no frame or does not say.
pub fn claimed_bytes(object: &[u8]) -> Option<u64> {
    zstd::zstd_safe::get_frame_content_size(object).ok()?
}

fn decompress_in(mut content: Vec<u8>, object: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    content.clear();
    if object.first_chunk() != Some(&ZSTD_MAGIC) {
        return Err(FrameError::NotOneFrame);
    }
    match object.get(4) {
        Some(descriptor) if descriptor & CHECKSUM_FLAG != 0 => {}
        Some(_) => return Err(FrameError::NoChecksum),
        None => return Err(FrameError::NotOneFrame),
    }
    match zstd::zstd_safe::find_frame_compressed_size(object) {
        Ok(bytes) if bytes == object.len() => {}
        _ => return Err(FrameError::NotOneFrame),
    }
    let damaged = |error: std::io::Error| FrameError::Zstd(error.to_string());
    let claimed = match zstd::zstd_safe::get_frame_content_size(object) {
        Ok(claimed) => claimed,
        Err(_) => return Err(FrameError::NotOneFrame),
    };
    if claimed.is_some_and(|bytes| bytes > limit as u64) {
        return Err(FrameError::TooLarge { limit });
    }
    if let Some(bytes) = claimed {
        // Claimed in vain, it is address space and no memory.
        content.reserve_exact(bytes as usize);
        zstd::bulk::Decompressor::new()
            .and_then(|mut decompressor| decompressor.decompress_to_buffer(object, &mut content))
            .map_err(damaged)?;
        return Ok(content);
    }
    let mut decoder = zstd::stream::Decoder::with_buffer(object)
        .map_err(damaged)?
        .single_frame();
    decoder.window_log_max(27).map_err(damaged)?;
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut content)
        .map_err(damaged)?;
    if content.len() > limit {
        return Err(FrameError::TooLarge { limit });
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
