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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::worked_example::{BODY, NOTE};

    fn line(name: &str) -> SignatureLine {
        SignatureLine {
            name: name.into(),
            key_id: [1, 2, 3, 4],
            bytes: vec![5; 64],
        }
    }

    #[test]
    fn reads_and_writes_the_same_bytes() {
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.text(), BODY);
        let names: Vec<&str> = note.signatures().iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["example.com/chain", "witness.example/w1"]);
        assert_eq!(note.signatures()[1].key_id, [0xdf, 0x1c, 0x0a, 0x35]);
        assert_eq!(note.signatures()[1].bytes.len(), 72);
        assert_eq!(note.to_string(), NOTE);
        let again = Note::new(note.text().to_owned(), note.signatures().to_vec()).unwrap();
        assert_eq!(again, note);
    }

    #[test]
    fn the_last_blank_line_separates() {
        let signature = line("n");
        for text in [
            "\n",
            "a\n",
            "a\n\n",
            "\n\n\n",
            "a\n\nb\n",
            "a\n\n— n AQIDBAU=\n",
            "ü\n",
        ] {
            let note = Note::new(text.into(), vec![signature.clone()]).unwrap();
            assert_eq!(note.to_string(), format!("{text}\n{signature}\n"));
            assert_eq!(
                Note::parse(note.to_string().as_bytes()),
                Ok(note),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_could_not_be_read_again_is_not_made() {
        let new = |text: &str, line: SignatureLine| Note::new(text.into(), vec![line]);
        assert_eq!(new("", line("n")), Err(NoteError::Text));
        assert_eq!(new("a", line("n")), Err(NoteError::Text));
        assert_eq!(new("a\r\n", line("n")), Err(NoteError::Characters));
        assert_eq!(new("a\n", line("")), Err(NoteError::SignatureLine));
        assert_eq!(new("a\n", line("a b")), Err(NoteError::SignatureLine));
        assert_eq!(new("a\n", line("a+b")), Err(NoteError::SignatureLine));
        let empty = SignatureLine {
            bytes: vec![],
            ..line("n")
        };
        assert_eq!(new("a\n", empty), Err(NoteError::SignatureLine));
        assert_eq!(Note::new("a\n".into(), vec![]), Err(NoteError::Unsigned));
    }

    #[test]
    fn limits() {
        let many = |count| Note::new("a\n".into(), vec![line("n"); count]);
        let most = many(MAX_SIGNATURES).unwrap().to_string();
        assert!(Note::parse(most.as_bytes()).is_ok());
        assert_eq!(many(MAX_SIGNATURES + 1), Err(NoteError::TooManySignatures));
        let over = format!("{most}{}\n", line("n"));
        assert_eq!(
            Note::parse(over.as_bytes()),
            Err(NoteError::TooManySignatures)
        );

        let fixed = Note::new("\n".into(), vec![line("n")])
            .unwrap()
            .to_string()
            .len();
        let sized = |len: usize| format!("{}\n", "x".repeat(len - fixed));
        let largest = Note::new(sized(MAX_NOTE_BYTES), vec![line("n")])
            .unwrap()
            .to_string();
        assert_eq!(largest.len(), MAX_NOTE_BYTES);
        assert!(Note::parse(largest.as_bytes()).is_ok());
        let over = Note::new(sized(MAX_NOTE_BYTES + 1), vec![line("n")]);
        assert_eq!(over, Err(NoteError::TooLarge));
        assert_eq!(
            Note::parse(format!("x{largest}").as_bytes()),
            Err(NoteError::TooLarge)
        );
    }

    #[test]
    fn malformed_notes_say_why() {
        for (bytes, error) in [
            (&b""[..], NoteError::Unsigned),
            (b"\n", NoteError::Unsigned),
            (b"\n\n", NoteError::Unsigned),
            (b"a\n\n", NoteError::Unsigned),
            (b"a\n\xe2\x80\x94 n AQIDBAU=\n", NoteError::Unsigned),
            (b"a\n\n\xe2\x80\x94 n AQIDBAU=", NoteError::CutOff),
            (b"a\n\n\xe2\x80\x94 n AQIDBAU=\n\n", NoteError::Unsigned),
            (b"a\xff\n\n\xe2\x80\x94 n AQIDBAU=\n", NoteError::Characters),
            (
                b"a\r\n\r\n\xe2\x80\x94 n AQIDBAU=\r\n",
                NoteError::Characters,
            ),
            (b"a\0\n\n\xe2\x80\x94 n AQIDBAU=\n", NoteError::Characters),
            (b"a\n\nb\n", NoteError::SignatureLine),
        ] {
            assert_eq!(Note::parse(bytes), Err(error), "{bytes:?}");
        }
        assert!(Note::parse("a\n\n— n AQIDBAU=\n".as_bytes()).is_ok());
    }

    #[test]
    fn signature_lines_are_read_strictly() {
        assert!("— n AQIDBAU=".parse::<SignatureLine>().is_ok());
        for bad in [
            "",
            "—",
            "— n",
            "— n ",
            "— AQIDBAU=",
            "—  AQIDBAU=",
            "—n AQIDBAU=",
            "- n AQIDBAU=",
            "– n AQIDBAU=",
            " — n AQIDBAU=",
            "— n  AQIDBAU=",
            "— n AQIDBAU= ",
            "— n AQIDBAU=\n",
            "— n m AQIDBAU=",
            "— n+m AQIDBAU=",
            "—\u{a0}n AQIDBAU=",
            "— n\u{a0}m AQIDBAU=",
            "— n AQIDBAU",
            "— n AQIDBAV=",
            "— n AQID_AU=",
            "— n AQ==AQIDBA==",
            "— n AQIDBA==",
            "— n AQID",
        ] {
            assert_eq!(
                bad.parse::<SignatureLine>(),
                Err(NoteError::SignatureLine),
                "{bad:?}"
            );
        }
    }

    /// Every truncation, and every byte replaced by several others: refused, or another note.
    #[test]
    fn every_change_shows() {
        let original = Note::parse(NOTE.as_bytes()).unwrap();
        for at in 0..NOTE.len() {
            let cut = Note::parse(&NOTE.as_bytes()[..at]);
            assert!(
                cut.is_err_and(|_| true) || NOTE.as_bytes()[at - 1] == b'\n',
                "cut at {at}"
            );
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut bytes = NOTE.as_bytes().to_vec();
                bytes[at] ^= flip;
                if let Ok(note) = Note::parse(&bytes) {
                    assert_ne!(note, original);
                    assert_eq!(note.to_string().as_bytes(), bytes);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_another_implementation(
            text in "[a— \n\r\u{1}]{0,12}",
            lines in prop::collection::vec("(— )?[a+ ]{0,2} ?(AQIDBAU=|AQIDBAUG|AQIDBA==|[AQ=]{0,6})\n?", 0..4),
        ) {
            let bytes = format!("{text}\n{}", lines.concat());
            let ours = Note::parse(bytes.as_bytes());
            let theirs = signed_note::Note::from_bytes(bytes.as_bytes());
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}", ours);
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours.text().as_bytes(), theirs.text());
                prop_assert_eq!(ours.to_string().into_bytes(), theirs.to_bytes());
                prop_assert_eq!(ours.to_string(), bytes);
            }
        }

        #[test]
        fn never_panics(bytes: Vec<u8>, tail: bool) {
            let mut bytes = bytes;
            if tail {
                bytes.extend_from_slice("\n\n— n AQIDBAU=\n".as_bytes());
            }
            if let Ok(note) = Note::parse(&bytes) {
                prop_assert_eq!(note.to_string().into_bytes(), bytes);
            }
        }
    }
}
