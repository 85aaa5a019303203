//! Signed notes (C2SP signed-note): a text and the signatures under it.
//!
//! Reading and writing only. What a signature must cover depends on what the
//! note is, so [`crate::checkpoint`] and [`crate::cosignature`] verify.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;

use crate::base64;
use crate::keys::{VerifierKey, name_is_valid};

/// The largest note that is read or made, in bytes: 1 MiB.
pub const MAX_NOTE_BYTES: usize = 1 << 20;

/// The most signature lines that a note may have. C2SP asks for 16 at least.
pub const MAX_SIGNATURES: usize = 1024;

/// One signature line: `— <name> base64(keyID ‖ bytes)`.
///
/// Displays without the line feed at its end, and parses that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureLine {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: [u8; 4],
    /// What follows the id: a signature, or whatever the key's type puts there. Not empty.
    pub bytes: Vec<u8>,
}

impl SignatureLine {
    /// Whether name and id are those of this key, so that the signature must verify with it.
    #[must_use]
    pub fn names(&self, key: &VerifierKey) -> bool {
        self.key_id == key.id() && self.name == key.name()
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = [&self.key_id, self.bytes.as_slice()].concat();
        write!(f, "— {} {}", self.name, BASE64.encode(&signature))
    }
}

impl FromStr for SignatureLine {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let (name, signature) = line
            .strip_prefix("— ")
            .and_then(|rest| rest.split_once(' '))
            .filter(|(name, _)| name_is_valid(name))
            .ok_or(NoteError::SignatureLine)?;
        let signature = base64::decode(signature).ok_or(NoteError::SignatureLine)?;
        match signature.split_first_chunk() {
            Some((&key_id, bytes)) if !bytes.is_empty() => Ok(Self {
                name: name.to_owned(),
                key_id,
                bytes: bytes.to_vec(),
            }),
            _ => Err(NoteError::SignatureLine),
        }
    }
}

/// Why bytes are not a signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than [`MAX_NOTE_BYTES`].
    #[error("the note is larger than 1 MiB")]
    TooLarge,
    /// More than [`MAX_SIGNATURES`] signature lines.
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// Not UTF-8, or a control character other than the line feed.
    #[error("the note is not UTF-8 text without control characters")]
    Characters,
    /// The text does not end with a line feed.
    #[error("the note's text does not end with a line feed")]
    Text,
    /// No blank line followed by signature lines.
    #[error("the note has no signatures: a blank line and signature lines must follow its text")]
    Unsigned,
    /// The last line has no line feed.
    #[error("the note's last line does not end with a line feed: is it cut off?")]
    CutOff,
    /// A line after the last blank line is not a signature line.
    #[error("a signature line of the note does not read '— <name> <base64>'")]
    SignatureLine,
}

/// A signed note: its text, and at least one signature line.
///
/// Displays as the exact bytes that it was parsed from. The signatures have not
/// been verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// A note from its text (which ends with a line feed) and its signatures.
    ///
    /// # Errors
    ///
    /// When the note could not be parsed again: see [`NoteError`].
    pub fn new(text: String, signatures: Vec<SignatureLine>) -> Result<Self, NoteError> {
        let well_formed =
            |line: &SignatureLine| name_is_valid(&line.name) && !line.bytes.is_empty();
        if !text.ends_with('\n') {
            return Err(NoteError::Text);
        }
        if signatures.is_empty() {
            return Err(NoteError::Unsigned);
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        if !signatures.iter().all(well_formed) {
            return Err(NoteError::SignatureLine);
        }
        let note = Self { text, signatures };
        check_characters(&note.text)?;
        if note.to_string().len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        Ok(note)
    }

    /// Reads a note. Accepts exactly one spelling of each: `Display` gives the same bytes again.
    ///
    /// At most [`MAX_NOTE_BYTES`] and [`MAX_SIGNATURES`] are read.
    ///
    /// # Errors
    ///
    /// [`NoteError`] when the bytes are not a signed note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        check_characters(note)?;
        // The text may hold blank lines, so the last one separates.
        let blank = note.rfind("\n\n").ok_or(NoteError::Unsigned)?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        if lines.is_empty() {
            return Err(NoteError::Unsigned);
        }
        let lines = lines.strip_suffix('\n').ok_or(NoteError::CutOff)?;
        if lines.split('\n').nth(MAX_SIGNATURES).is_some() {
            return Err(NoteError::TooManySignatures);
        }
        let signatures = lines
            .split('\n')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The text with its final line feed, without the blank line after it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in order.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|b| b < b' ' && b != b'\n') {
        return Err(NoteError::Characters);
    }
    Ok(())
}
