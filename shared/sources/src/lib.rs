//! From what a cloud delivers to the records that countersign seals.
//!
//! A delivery's bytes are split into events as they stand, without a parser's
//! re-serialization in between, so that number spellings survive; each event
//! becomes a record line ([`recognize`] says of which source), and the lines are
//! cut into parts by the delivery's content alone.
//!
//! Everything streams: memory grows with the largest event, not with the delivery,
//! and what is longer than a record may be is not read to its end.

mod input;
mod parts;
mod recognize;
mod split;
pub mod trigger;
mod window;

pub use input::{FileInput, Input};
pub use parts::{Part, PartReader, PartSize, Survey, survey};
pub use recognize::{Recognized, recognize};
pub use split::{Found, Shape, Splitter, Stop};

use std::io;

/// Why a delivery cannot be sealed. Nothing of it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// There is nothing in it.
    #[error("is empty, not a single byte: was its delivery cut off?")]
    Empty,
    /// A document or a gzip stream that breaks off or is damaged.
    #[error("is broken at byte {offset} (uncompressed): {reason}")]
    Broken {
        /// Uncompressed bytes before the problem.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Over the cap on uncompressed bytes.
    #[error("has more than {limit} bytes uncompressed: raise `max_input_bytes` if that is right")]
    TooLarge {
        /// The cap.
        limit: u64,
    },
    /// An event that is over the cap of a record as it stands, or whose record
    /// line would be.
    #[error(
        "the event at byte {offset} (uncompressed) makes a record of more than {limit} bytes, which none may have"
    )]
    EventTooLarge {
        /// Where the event, or the line that holds it, begins.
        offset: u64,
        /// The cap.
        limit: u64,
    },
    /// It is another delivery than a moment ago.
    #[error("changed while it was read: seal it again when nothing writes to it")]
    Changed,
}
