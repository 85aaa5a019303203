//! Canonical JSON (RFC 8785) in one pass over the input, without a value tree.
//!
//! Reading a value notes only where its spelling is not the canonical one: white
//! space, escapes and numbers that are spelt otherwise, objects whose members
//! are not in order. Most of real input needs none of this but the order, so
//! its canonical bytes are a few long copies, and whether a line is canonical
//! already is known without writing anything. Buffers are kept between calls.
//!
//! [`Canonicalizer::exact`] takes only what canonicalization does not change the
//! meaning of; [`Canonicalizer::jcs`] rounds numbers to doubles, as RFC 8785 does.
//! [`scan`] answers what is JSON at all, at any depth.

mod lex;
mod member;
mod number;
mod plan;
mod reader;
pub mod scan;

use std::borrow::Cow;
use std::fmt;

use plan::Plan;
use reader::Reader;

/// Open brackets that an exact event may have at most.
pub const MAX_DEPTH: usize = 128;

/// The same for plain RFC 8785.
const MAX_JCS_DEPTH: usize = 1024;

/// Why an input is not JSON, or not exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The input ends inside the value.
    UnexpectedEnd,
    /// A byte that cannot stand there.
    UnexpectedByte,
    /// Something other than white space follows the value.
    TrailingBytes,
    /// A control character inside a string.
    ControlCharacter,
    /// An escape that RFC 8259 does not know.
    InvalidEscape,
    /// A number that RFC 8259 does not allow.
    InvalidNumber,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// Exactness: an object has two members of one name.
    DuplicateName,
    /// Exactness: an escaped surrogate without its partner.
    LoneSurrogate,
    /// Exactness: the number's canonical spelling denotes another decimal value.
    InexactNumber,
    /// Exactness: too many open brackets.
    TooDeep,
}

impl Reason {
    /// The input is JSON as far as it was read; only its exactness fails.
    pub fn is_inexact(self) -> bool {
        matches!(
            self,
            Self::DuplicateName | Self::LoneSurrogate | Self::InexactNumber | Self::TooDeep
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedEnd => "the input ends inside the value",
            Self::UnexpectedByte => "unexpected byte",
            Self::TrailingBytes => "something follows the value",
            Self::ControlCharacter => "unescaped control character in a string",
            Self::InvalidEscape => "invalid escape in a string",
            Self::InvalidNumber => "invalid number",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::DuplicateName => "an object has two members of one name",
            Self::LoneSurrogate => "a surrogate stands without its partner",
            Self::InexactNumber => "a number that no double denotes exactly",
            Self::TooDeep => "too many open brackets",
        })
    }
}

/// A problem and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct JsonError {
    /// Offset into the input in bytes. For a duplicate name, where its object begins.
    pub offset: usize,
    /// What is wrong.
    pub reason: Reason,
}

impl From<(usize, Reason)> for JsonError {
    fn from((offset, reason): (usize, Reason)) -> Self {
        Self { offset, reason }
    }
}

/// Reads JSON and gives its canonical bytes, reusing its buffers.
///
/// ```
/// use countersign_core::json::Canonicalizer;
///
/// let mut canonicalizer = Canonicalizer::exact();
/// let canonical = canonicalizer.canonicalize(br#"{ "b": 1.0, "a": "\u00e9" }"#)?;
/// assert_eq!(canonical, r#"{"a":"é","b":1}"#.as_bytes());
/// # Ok::<(), countersign_core::json::JsonError>(())
/// ```
#[derive(Debug)]
pub struct Canonicalizer {
    reader: Reader,
    out: Vec<u8>,
}

impl Canonicalizer {
    /// Takes exact input only (see [`Reason::is_inexact`]), with at most
    /// [`MAX_DEPTH`] open brackets.
    pub fn exact() -> Self {
        Self::exact_to_depth(MAX_DEPTH)
    }

    /// As [`Canonicalizer::exact`], with another bound on the open brackets.
    pub fn exact_to_depth(max_depth: usize) -> Self {
        Self {
            reader: Reader::new(false, max_depth),
            out: Vec::new(),
        }
    }

    /// Plain RFC 8785: numbers become the nearest double.
    pub fn jcs() -> Self {
        Self {
            reader: Reader::new(true, MAX_JCS_DEPTH),
            out: Vec::new(),
        }
    }

    /// The canonical bytes of `input`, which is one JSON value and white space.
    ///
    /// # Errors
    /// The first problem met. If it [is inexact](Reason::is_inexact), what
    /// follows it was not looked at: [`scan::is_json`] tells the two cases apart.
    pub fn canonicalize(&mut self, input: &[u8]) -> Result<&[u8], JsonError> {
        self.reader.read(input)?;
        self.out.clear();
        self.reader.plan.push_to(input, &mut self.out);
        Ok(&self.out)
    }

    /// Reads `input`, which is one JSON value and white space, without writing
    /// its canonical bytes yet.
    ///
    /// # Errors
    /// As [`Canonicalizer::canonicalize`].
    pub fn read<'a>(&'a mut self, input: &'a [u8]) -> Result<Parsed<'a>, JsonError> {
        self.reader.read(input)?;
        Ok(self.parsed(input))
    }

    /// Reads the value at the start of `input` (white space may precede it) and
    /// returns where it ends. A number that ends with the input might go on in
    /// what follows.
    ///
    /// # Errors
    /// As [`Canonicalizer::canonicalize`].
    pub fn read_prefix(&mut self, input: &[u8]) -> Result<usize, JsonError> {
        Ok(self.reader.read_prefix(input)?)
    }

    /// The value that was read last, and without an error, from this `input`.
    ///
    /// # Panics
    /// Its methods may, if it was read from another input.
    pub fn parsed<'a>(&'a self, input: &'a [u8]) -> Parsed<'a> {
        Parsed {
            plan: &self.reader.plan,
            input,
        }
    }
}

/// A JSON value that was read, in whatever spelling it has.
#[derive(Clone, Copy)]
pub struct Parsed<'a> {
    plan: &'a Plan,
    input: &'a [u8],
}

impl<'a> Parsed<'a> {
    /// The value as it stands in the input, without white space around it.
    pub fn spelling(&self) -> &'a [u8] {
        self.plan.spelling(self.input)
    }

    /// Whether that spelling is the canonical one.
    pub fn is_canonical(&self) -> bool {
        self.plan.is_canonical()
    }

    /// Appends its canonical bytes.
    pub fn push_to(&self, out: &mut Vec<u8>) {
        self.plan.push_to(self.input, out);
    }

    /// Its canonical bytes.
    pub fn canonical(&self) -> Cow<'a, [u8]> {
        if self.is_canonical() {
            return Cow::Borrowed(self.spelling());
        }
        let mut out = Vec::new();
        self.push_to(&mut out);
        Cow::Owned(out)
    }

    /// The members if it is an object, in canonical order; nothing for other
    /// values. The name without quotes in canonical form, the value as it stands
    /// in the input.
    pub fn members(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let Self { plan, input } = *self;
        let members = plan.root_members(input).iter();
        members.map(move |member| {
            let name = member.name.bytes(input, &plan.text);
            (name, &input[member.value..member.end])
        })
    }

    /// The value of a member, as it stands in the input; none if this is no object
    /// or has no such member.
    pub fn member(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.members().find(|member| member.0 == name.as_bytes())?;
        Some(found.1)
    }
}

impl fmt::Debug for Parsed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parsed({})", self.spelling().escape_ascii())
    }
}

/// Appends a string as canonical JSON, quotes included.
pub fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    while from < bytes.len() {
        let run = lex::plain_run(bytes, from);
        out.extend_from_slice(&bytes[from..run.end]);
        if let Some(&byte) = bytes.get(run.end) {
            push_char(byte as char, out);
        }
        from = run.end + 1;
    }
    out.push(b'"');
}

/// Appends a character as it stands inside a canonical string (RFC 8785 §3.2.2.2).
fn push_char(char: char, out: &mut Vec<u8>) {
    match char {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\0'..='\x1f' => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let code = char as usize;
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[code >> 4], HEX[code & 15]]);
        }
        _ => {
            let mut buffer = [0; 4];
            out.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
