//! What a platform hands to a function, taken apart into deliveries.
//!
//! A decoder reads only what it needs and keeps the bytes of a log event as they
//! came, so that the spelling of numbers and the order of members survive. What
//! is not a log delivery is refused with a reason, never passed over in silence;
//! what is known to be none (a bucket's own test event, a digest file, an object
//! of our own) is passed over and named.

pub mod aws;
pub mod azure;
pub mod gcp;

use serde::Deserialize;
use serde_json::value::RawValue;

/// One delivery of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, made of its native identity; none where only its content tells it
    /// apart.
    pub id: Option<String>,
    /// Where it comes from, for the segment's header: `s3://bucket/key?versionId=…`.
    pub from: String,
    /// Its bytes, or where they are.
    pub content: Content,
}

/// What a delivery holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Here it is.
    Bytes(Vec<u8>),
    /// It stands in a bucket.
    Object(Object),
}

/// An object in a bucket of logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The bucket's name.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version, or the generation, that was announced; none in a bucket
    /// without versions.
    pub version: Option<String>,
    /// Its size as announced, in bytes.
    pub bytes: Option<u64>,
}

/// What a trigger, or a message of it, brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brought {
    /// To be sealed.
    pub deliveries: Vec<Delivery>,
    /// Not to be sealed: what, and why.
    pub passed_over: Vec<String>,
}

/// Why a trigger's event is not taken. Nothing of it was sealed: the platform
/// delivers it again and then puts it aside as dead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What cannot be read as the JSON it should be.
    fn unreadable(what: &str, error: &serde_json::Error) -> Self {
        // Of the parser's message only the place: the rest may repeat the event.
        Self(format!(
            "{what} cannot be read: {} at line {}, column {}",
            match error.classify() {
                serde_json::error::Category::Eof => "it breaks off",
                serde_json::error::Category::Syntax => "it is no JSON",
                _ => "it has not the members that it should have",
            },
            error.line(),
            error.column()
        ))
    }
}

/// Reads a JSON text.
fn read<'a, T: Deserialize<'a>>(what: &str, text: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text).map_err(|error| Refusal::unreadable(what, &error))
}

/// A member's bytes as they stand.
fn bytes_of(value: &RawValue) -> Vec<u8> {
    value.get().as_bytes().to_vec()
}

/// At most so much of a name from outside is repeated in a message.
const MAX_SHOWN_CHARS: usize = 120;

/// A name from outside as it can stand in a message: short, on one line.
fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_SHOWN_CHARS).map(clean).collect()
}

#[cfg(test)]
mod tests;
