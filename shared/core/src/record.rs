//! Records: one sealed event each, one canonical line, one leaf.

use std::borrow::Cow;
use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base64;
use crate::json::{self, Canonicalizer, JsonError, Parsed, scan};
use crate::merkle::Hash;
use crate::time;

/// A record line has at most this many bytes, without its LF.
pub const MAX_LINE_BYTES: usize = 48 << 20;

/// Open brackets of a record line at most: the event's and its own.
const MAX_LINE_DEPTH: usize = json::MAX_DEPTH + 1;

/// The source of the records that hold another cloud's anchor.
pub const ANCHOR_SOURCE: &str = "countersign.anchor";

/// The cloud that an event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
    /// None of the three.
    Other,
}

impl Cloud {
    /// As it stands in records and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Other => "other",
        }
    }

    /// The cloud of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Aws, Self::Azure, Self::Gcp, Self::Other]
            .into_iter()
            .find(|cloud| cloud.as_str() == name)
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event in the form that a record holds it: the first of the three that can.
#[derive(Debug, Clone, Copy)]
pub enum Carrier<'a> {
    /// Exact JSON, which the record has in its canonical bytes (`event`).
    Event(Parsed<'a>),
    /// Text that is not exact JSON (`raw`).
    Raw(&'a str),
    /// Bytes that are not UTF-8 (`raw_base64`).
    Bytes(&'a [u8]),
}

impl<'a> Carrier<'a> {
    /// The carrier of an event that is not exact JSON.
    pub fn of_inexact(event: &'a [u8]) -> Self {
        match std::str::from_utf8(event) {
            Ok(text) => Self::Raw(text),
            Err(_) => Self::Bytes(event),
        }
    }

    /// The carrier of any event.
    pub fn of(event: &'a [u8], canonicalizer: &'a mut Canonicalizer) -> Self {
        match canonicalizer.read(event) {
            Ok(parsed) => Self::Event(parsed),
            Err(_) => Self::of_inexact(event),
        }
    }

    /// The event id: SHA-256 of the canonical event, or of the raw bytes.
    pub fn event_id(&self) -> [u8; 32] {
        match self {
            Self::Event(parsed) => Sha256::digest(parsed.canonical()),
            Self::Raw(text) => Sha256::digest(text),
            Self::Bytes(bytes) => Sha256::digest(bytes),
        }
        .into()
    }
}

/// Appends a record line, without LF.
///
/// ```
/// use countersign_core::record::{self, Carrier, Cloud};
///
/// let mut line = Vec::new();
/// record::push(Cloud::Other, &Carrier::Raw("boot\t1"), "text", None, &mut line);
/// assert_eq!(line, br#"{"cloud":"other","raw":"boot\t1","source":"text"}"#);
/// ```
pub fn push(
    cloud: Cloud,
    carrier: &Carrier<'_>,
    source: &str,
    time: Option<&str>,
    line: &mut Vec<u8>,
) {
    line.extend_from_slice(b"{\"cloud\":\"");
    line.extend_from_slice(cloud.as_str().as_bytes());
    line.extend_from_slice(b"\",");
    match carrier {
        Carrier::Event(parsed) => {
            line.extend_from_slice(b"\"event\":");
            parsed.push_to(line);
        }
        Carrier::Raw(text) => {
            line.extend_from_slice(b"\"raw\":");
            json::push_string(text, line);
        }
        Carrier::Bytes(bytes) => {
            line.extend_from_slice(b"\"raw_base64\":\"");
            let from = line.len();
            line.resize(from + BASE64.encode_len(bytes.len()), 0);
            BASE64.encode_mut(bytes, &mut line[from..]);
            line.push(b'"');
        }
    }
    line.extend_from_slice(b",\"source\":");
    json::push_string(source, line);
    if let Some(time) = time {
        line.extend_from_slice(b",\"time\":");
        json::push_string(time, line);
    }
    line.push(b'}');
}

/// The leaf hash of a line (RFC 6962 §2.1).
pub fn leaf_hash(line: &[u8]) -> Hash {
    Hash::leaf(line)
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The cloud.
    pub cloud: Cloud,
    /// The source, such as `aws.cloudtrail`.
    pub source: Cow<'a, str>,
    /// The event's own time in RFC 3339, UTC.
    pub time: Option<&'a str>,
    /// How the event is held.
    pub carrier: CarrierKind,
    /// The carrier's value as it stands in the line: JSON, strings with quotes.
    pub value: &'a [u8],
}

/// Which of the three carriers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarrierKind {
    /// `event`
    Event,
    /// `raw`
    Raw,
    /// `raw_base64`
    Bytes,
}

impl Record<'_> {
    /// The event's own bytes: canonical JSON, or the raw bytes.
    pub fn event_bytes(&self) -> Cow<'_, [u8]> {
        match self.carrier {
            CarrierKind::Event => Cow::Borrowed(self.value),
            CarrierKind::Raw => match scan::string(self.value) {
                Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
                Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
                None => Cow::Borrowed(&[]),
            },
            CarrierKind::Bytes => {
                let text = scan::string(self.value).unwrap_or_default();
                Cow::Owned(base64::decode(&text).unwrap_or_default())
            }
        }
    }

    /// The event id: SHA-256 of [`Record::event_bytes`].
    pub fn event_id(&self) -> [u8; 32] {
        Sha256::digest(self.event_bytes()).into()
    }
}

/// Why a line is not a record in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not exact JSON.
    #[error("the line is not exact JSON: {0}")]
    Json(#[from] JsonError),
    /// Exact JSON in another spelling.
    #[error("the line is not in canonical form")]
    NotCanonical,
    /// Too long.
    #[error("the line has {bytes} bytes; a record has at most {MAX_LINE_BYTES}")]
    TooLong {
        /// Its length, without LF.
        bytes: usize,
    },
    /// Other members than a record's.
    #[error("the line's members are not those of a record: {0}")]
    Shape(&'static str),
    /// A carrier, though an earlier one can hold the event.
    #[error("the event is held as `{used}`, though `{first}` can hold it")]
    Carrier {
        /// The carrier used.
        used: &'static str,
        /// The one that should have been.
        first: &'static str,
    },
}

/// Reads records and checks their form, reusing its buffers.
#[derive(Debug)]
pub struct RecordReader {
    line: Canonicalizer,
    event: Canonicalizer,
}

impl Default for RecordReader {
    fn default() -> Self {
        Self {
            line: Canonicalizer::exact_to_depth(MAX_LINE_DEPTH),
            event: Canonicalizer::exact(),
        }
    }
}

impl RecordReader {
    /// Reads a line (without LF) and checks that it is the canonical form of a
    /// record.
    ///
    /// # Errors
    /// What is not in order with the line.
    pub fn read<'a>(&'a mut self, line: &'a [u8]) -> Result<Record<'a>, RecordError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(RecordError::TooLong { bytes: line.len() });
        }
        let parsed = self.line.read(line)?;
        if !parsed.is_canonical() || parsed.spelling() != line {
            return Err(RecordError::NotCanonical);
        }
        // Canonical: the members come in order, each name once.
        let mut members = parsed.members().peekable();
        let mut next = |name: &str| {
            members
                .next_if(|(found, _)| *found == name.as_bytes())
                .map(|(_, value)| value)
        };
        let cloud = next("cloud").ok_or(RecordError::Shape("no `cloud`"))?;
        let carriers = [
            ("event", CarrierKind::Event),
            ("raw", CarrierKind::Raw),
            ("raw_base64", CarrierKind::Bytes),
        ];
        let (value, carrier) = carriers
            .into_iter()
            .find_map(|(name, kind)| Some((next(name)?, kind)))
            .ok_or(RecordError::Shape("no `event`, `raw` or `raw_base64`"))?;
        let source = next("source").ok_or(RecordError::Shape("no `source`"))?;
        let time = next("time");
        if members.next().is_some() {
            return Err(RecordError::Shape("a member that no record has"));
        }
        let cloud = scan::string(cloud)
            .and_then(|name| Cloud::parse(&name))
            .ok_or(RecordError::Shape("`cloud` is not a known cloud"))?;
        let source = scan::string(source)
            .filter(|source| !source.is_empty())
            .ok_or(RecordError::Shape("`source` is not a name"))?;
        let time = match time.map(scan::string) {
            None => None,
            Some(Some(Cow::Borrowed(text))) if time::to_utc(text).as_deref() == Some(text) => {
                Some(text)
            }
            Some(_) => return Err(RecordError::Shape("`time` is not RFC 3339 in UTC")),
        };
        check_carrier(carrier, value, &mut self.event)?;
        Ok(Record {
            cloud,
            source,
            time,
            carrier,
            value,
        })
    }
}

/// No earlier carrier may be able to hold the event.
fn check_carrier(
    carrier: CarrierKind,
    value: &[u8],
    canonicalizer: &mut Canonicalizer,
) -> Result<(), RecordError> {
    match carrier {
        CarrierKind::Event => Ok(()),
        CarrierKind::Raw => {
            let text = scan::string(value).ok_or(RecordError::Shape("`raw` is not a string"))?;
            match canonicalizer.read(text.as_bytes()) {
                Ok(_) => Err(RecordError::Carrier {
                    used: "raw",
                    first: "event",
                }),
                Err(_) => Ok(()),
            }
        }
        CarrierKind::Bytes => {
            let bytes = scan::string(value)
                .and_then(|text| base64::decode(&text))
                .ok_or(RecordError::Shape("`raw_base64` is not base64"))?;
            match std::str::from_utf8(&bytes) {
                Ok(_) => Err(RecordError::Carrier {
                    used: "raw_base64",
                    first: "raw",
                }),
                Err(_) => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(event: &[u8]) -> String {
        let mut canonicalizer = Canonicalizer::exact();
        let mut line = Vec::new();
        let carrier = Carrier::of(event, &mut canonicalizer);
        push(
            Cloud::Aws,
            &carrier,
            "json",
            Some("2026-11-24T21:00:00Z"),
            &mut line,
        );
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn the_first_carrier_that_can_hold_an_event_is_used_and_read_back() {
        let mut reader = RecordReader::default();
        for (event, wanted, kind) in [
            (
                &b"{ \"b\":1.0, \"a\":2 }"[..],
                r#""event":{"a":2,"b":1}"#,
                CarrierKind::Event,
            ),
            (
                b"9007199254740993",
                r#""raw":"9007199254740993""#,
                CarrierKind::Raw,
            ),
            (
                b"{\"a\":1,\"a\":2}",
                r#""raw":"{\"a\":1,\"a\":2}""#,
                CarrierKind::Raw,
            ),
            (
                b"line\r\x00\xc3\xa9",
                "\"raw\":\"line\\r\\u0000é\"",
                CarrierKind::Raw,
            ),
            (b"\xff\xfe", r#""raw_base64":"//4=""#, CarrierKind::Bytes),
        ] {
            let line = line_of(event);
            assert_eq!(
                line,
                format!(
                    r#"{{"cloud":"aws",{wanted},"source":"json","time":"2026-11-24T21:00:00Z"}}"#
                )
            );
            let record = reader.read(line.as_bytes()).unwrap();
            assert_eq!((record.carrier, record.cloud), (kind, Cloud::Aws));
            assert_eq!(record.time, Some("2026-11-24T21:00:00Z"));
            let mut canonicalizer = Canonicalizer::exact();
            let carrier = Carrier::of(event, &mut canonicalizer);
            assert_eq!(record.event_id(), carrier.event_id());
            if kind != CarrierKind::Event {
                assert_eq!(record.event_bytes(), event);
            }
        }
    }

    #[test]
    fn what_is_not_a_record_is_told_why() {
        let mut reader = RecordReader::default();
        let deepest = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert!(reader.read(line_of(deepest.as_bytes()).as_bytes()).is_ok());
        for (line, expected) in [
            (r#"{"cloud":"aws","event":1,"source":"json"} "#, "canonical"),
            (
                r#"{"cloud":"aws","event":1.0,"source":"json"}"#,
                "canonical",
            ),
            (r#"{"event":1,"cloud":"aws","source":"json"}"#, "canonical"),
            (
                r#"{"cloud":"aws","event":9007199254740993,"source":"json"}"#,
                "exact",
            ),
            (r#"{"cloud":"ibm","event":1,"source":"json"}"#, "cloud"),
            (r#"{"event":1,"source":"json"}"#, "cloud"),
            (r#"{"cloud":"aws","source":"json"}"#, "raw_base64"),
            (r#"{"cloud":"aws","event":1}"#, "source"),
            (r#"{"cloud":"aws","event":1,"source":""}"#, "source"),
            (
                r#"{"cloud":"aws","event":1,"raw":"x","source":"json"}"#,
                "source",
            ),
            (
                r#"{"cloud":"aws","event":1,"source":"json","tag":1}"#,
                "no record has",
            ),
            (
                r#"{"cloud":"aws","event":1,"source":"json","time":"2026-11-24"}"#,
                "RFC 3339",
            ),
            (
                r#"{"cloud":"aws","event":1,"source":"json","time":"2026-11-24T21:00:00+01:00"}"#,
                "RFC 3339",
            ),
            (
                r#"{"cloud":"aws","raw":"{\"a\":1}","source":"json"}"#,
                "`event` can",
            ),
            (r#"{"cloud":"aws","raw":1,"source":"json"}"#, "`raw`"),
            (
                r#"{"cloud":"aws","raw_base64":"YQ==","source":"text"}"#,
                "`raw` can",
            ),
            (
                r#"{"cloud":"aws","raw_base64":"//5=","source":"text"}"#,
                "base64",
            ),
            (
                r#"{"cloud":"aws","raw_base64":"//4","source":"text"}"#,
                "base64",
            ),
            (
                r#"{"cloud":"aws","raw_base64":"/w==/w==","source":"text"}"#,
                "base64",
            ),
            (r#"[1]"#, "cloud"),
            (r#""#, "exact"),
        ] {
            let error = reader.read(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
