//! Canonical JSON (RFC 8785) in one pass from input bytes to canonical bytes.
//!
//! There is no value tree: members are written as they are read, and an object
//! whose members turn out not to be in order has their bytes permuted when it
//! closes. Buffers are kept between calls.
//!
//! [`Canonicalizer::exact`] takes only what canonicalization does not change the
//! meaning of; [`Canonicalizer::jcs`] rounds numbers to doubles, as RFC 8785 does.
//! [`scan`] answers what is JSON at all, at any depth.

mod lex;
mod number;
pub mod scan;

use std::cmp::Ordering;
use std::fmt;

/// Open brackets that an exact event may have at most.
pub const MAX_DEPTH: usize = 128;

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

/// Turns JSON into its canonical bytes, reusing its buffers.
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
    round_numbers: bool,
    max_depth: usize,
    out: Vec<u8>,
    /// Where members are permuted.
    scratch: Vec<u8>,
    /// The members of all open objects, innermost last.
    members: Vec<Member>,
    open: Vec<Open>,
}

/// A member of an open object, as offsets into the output.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// The first eight bytes of the name, big-endian, padded with zeros.
    prefix: u64,
    /// The name begins here (after its quote).
    name: usize,
    /// The name ends here (before its quote).
    name_end: usize,
    /// The value ends here.
    end: usize,
    /// The name's bytes compare as its UTF-16 code units do: ASCII, no escape.
    plain: bool,
}

/// An open array or object.
#[derive(Debug)]
struct Open {
    object: bool,
    /// Its first member in `members`.
    first_member: usize,
    /// The members so far are in order and distinct.
    ordered: bool,
    /// Offset of the bracket in the input.
    input_at: usize,
    /// Offset after the bracket in the output.
    out_at: usize,
}

impl Canonicalizer {
    /// Takes exact input only (see [`Reason::is_inexact`]), with at most
    /// [`MAX_DEPTH`] open brackets.
    pub fn exact() -> Self {
        Self::with(false, MAX_DEPTH)
    }

    /// As [`Canonicalizer::exact`], with another bound on the open brackets.
    pub fn exact_to_depth(max_depth: usize) -> Self {
        Self::with(false, max_depth)
    }

    /// Plain RFC 8785: numbers become the nearest double.
    pub fn jcs() -> Self {
        Self::with(true, 1 << 16)
    }

    fn with(round_numbers: bool, max_depth: usize) -> Self {
        Self {
            round_numbers,
            max_depth,
            out: Vec::new(),
            scratch: Vec::new(),
            members: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The canonical bytes of `input`, which is one JSON value and white space.
    ///
    /// # Errors
    /// The first problem met. If it [is inexact](Reason::is_inexact), what
    /// follows it was not looked at: [`scan::is_json`] tells the two cases apart.
    pub fn canonicalize(&mut self, input: &[u8]) -> Result<&[u8], JsonError> {
        let end = self.canonicalize_prefix(input)?;
        let rest = lex::skip_space(input, end);
        if rest < input.len() {
            return Err((rest, Reason::TrailingBytes).into());
        }
        Ok(&self.out)
    }

    /// Canonicalizes the value at the start of `input` (white space may precede
    /// it) and returns where it ends. A number that ends with the input might go
    /// on in what follows.
    ///
    /// # Errors
    /// As [`Canonicalizer::canonicalize`].
    pub fn canonicalize_prefix(&mut self, input: &[u8]) -> Result<usize, JsonError> {
        self.out.clear();
        self.members.clear();
        self.open.clear();
        Ok(self.run(input)?)
    }

    /// The canonical bytes of the last value that was taken.
    pub fn output(&self) -> &[u8] {
        &self.out
    }

    /// The members of the last value taken if it is an object, in canonical order:
    /// the name without quotes and the value, both in canonical bytes.
    pub fn members(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let members = match self.out.first() {
            Some(b'{') => &self.members[..],
            _ => &[],
        };
        members.iter().map(|member| {
            let name = &self.out[member.name..member.name_end];
            (name, &self.out[member.name_end + 2..member.end])
        })
    }

    /// The value of a member of the last value taken, in canonical bytes; none
    /// if that value is not an object or has no such member.
    pub fn member(&self, name: &str) -> Option<&[u8]> {
        let found = self.members().find(|member| member.0 == name.as_bytes())?;
        Some(found.1)
    }

    fn run(&mut self, input: &[u8]) -> Result<usize, (usize, Reason)> {
        let mut at = lex::skip_space(input, 0);
        loop {
            // A value begins at `at`.
            let Some(&byte) = input.get(at) else {
                return Err((at, Reason::UnexpectedEnd));
            };
            match byte {
                b'"' => (at, _) = self.string(input, at)?,
                b'-' | b'0'..=b'9' => at = self.number(input, at)?,
                b'{' | b'[' => {
                    let object = byte == b'{';
                    if self.open.len() == self.max_depth {
                        return Err((at, Reason::TooDeep));
                    }
                    self.out.push(byte);
                    self.open.push(Open {
                        object,
                        first_member: self.members.len(),
                        ordered: true,
                        input_at: at,
                        out_at: self.out.len(),
                    });
                    at = lex::skip_space(input, at + 1);
                    if input.get(at) == Some(&if object { b'}' } else { b']' }) {
                        self.out.push(input[at]);
                        self.open.pop();
                        at += 1;
                    } else {
                        if object {
                            at = self.name(input, at)?;
                        }
                        continue;
                    }
                }
                _ => {
                    let len = lex::word(input, at)?;
                    self.out.extend_from_slice(&input[at..at + len]);
                    at += len;
                }
            }
            // A value ended at `at`: close what closes.
            loop {
                let Some(open) = self.open.last() else {
                    return Ok(at);
                };
                let object = open.object;
                if object && let Some(member) = self.members.last_mut() {
                    member.end = self.out.len();
                }
                at = lex::skip_space(input, at);
                match input.get(at) {
                    Some(b',') => {
                        self.out.push(b',');
                        at = lex::skip_space(input, at + 1);
                        if object {
                            at = self.name(input, at)?;
                        }
                        break;
                    }
                    Some(b'}') if object => self.close_object()?,
                    Some(b']') if !object => {
                        self.out.push(b']');
                        self.open.pop();
                    }
                    Some(_) => return Err((at, Reason::UnexpectedByte)),
                    None => return Err((at, Reason::UnexpectedEnd)),
                }
                at += 1;
            }
        }
    }

    /// A member's name and its colon; returns where the value begins.
    fn name(&mut self, input: &[u8], at: usize) -> Result<usize, (usize, Reason)> {
        match input.get(at) {
            Some(b'"') => {}
            Some(_) => return Err((at, Reason::UnexpectedByte)),
            None => return Err((at, Reason::UnexpectedEnd)),
        }
        let name = self.out.len() + 1;
        let (at, plain) = self.string(input, at)?;
        let name_end = self.out.len() - 1;
        let at = lex::skip_space(input, at);
        match input.get(at) {
            Some(b':') => self.out.push(b':'),
            Some(_) => return Err((at, Reason::UnexpectedByte)),
            None => return Err((at, Reason::UnexpectedEnd)),
        }
        let member = Member {
            prefix: prefix(&self.out[name..name_end]),
            name,
            name_end,
            end: 0,
            plain,
        };
        if let Some(open) = self.open.last_mut()
            && open.ordered
            && self.members.len() > open.first_member
            && let Some(last) = self.members.last()
        {
            open.ordered = compare(&self.out, last, &member) == Ordering::Less;
        }
        self.members.push(member);
        Ok(lex::skip_space(input, at + 1))
    }

    /// A string, from its quote at `at`; returns where it ends and whether it is
    /// ASCII without escapes in its canonical form.
    fn string(&mut self, input: &[u8], at: usize) -> Result<(usize, bool), (usize, Reason)> {
        let mut from = at; // what is not yet copied, the opening quote included
        let mut run_from = at + 1;
        let mut plain = true;
        loop {
            let run = lex::plain_run(input, run_from);
            lex::check_utf8(input, run_from, &run)?;
            plain &= run.ascii;
            match input.get(run.end) {
                Some(b'"') => {
                    self.out.extend_from_slice(&input[from..=run.end]);
                    return Ok((run.end + 1, plain));
                }
                Some(b'\\') => {
                    self.out.extend_from_slice(&input[from..run.end]);
                    let (escape, end) = lex::escape(input, run.end)?;
                    let lex::Escape::Char(char) = escape else {
                        return Err((run.end, Reason::LoneSurrogate));
                    };
                    plain &= (' '..='\x7f').contains(&char) && char != '"' && char != '\\';
                    push_char(char, &mut self.out);
                    from = end;
                    run_from = end;
                }
                Some(_) => return Err((run.end, Reason::ControlCharacter)),
                None => return Err((run.end, Reason::UnexpectedEnd)),
            }
        }
    }

    #[inline(always)]
    fn number(&mut self, input: &[u8], at: usize) -> Result<usize, (usize, Reason)> {
        let literal = lex::number(input, at)?;
        // An integer below 10^15 is its own canonical spelling, but for minus zero.
        if literal.end == literal.int_end
            && literal.end - at <= 15
            && &input[at..literal.end] != b"-0"
        {
            self.out.extend_from_slice(&input[at..literal.end]);
            return Ok(literal.end);
        }
        let push = if self.round_numbers {
            number::push_rounded
        } else {
            number::push_exact
        };
        push(input, at, &literal, &mut self.out).map_err(|reason| (at, reason))?;
        Ok(literal.end)
    }

    /// Puts the members of the innermost object in order and closes it.
    fn close_object(&mut self) -> Result<(), (usize, Reason)> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        if !open.ordered {
            let out = &self.out;
            let members = &mut self.members[open.first_member..];
            members.sort_unstable_by(|a, b| compare(out, a, b));
            let same = |pair: &[Member]| compare(out, &pair[0], &pair[1]) == Ordering::Equal;
            if members.windows(2).any(same) {
                return Err((open.input_at, Reason::DuplicateName));
            }
            self.scratch.clear();
            for member in members {
                if !self.scratch.is_empty() {
                    self.scratch.push(b',');
                }
                let moved = open.out_at + self.scratch.len() + 1;
                self.scratch
                    .extend_from_slice(&out[member.name - 1..member.end]);
                member.name_end = moved + (member.name_end - member.name);
                member.end = moved + (member.end - member.name);
                member.name = moved;
            }
            self.out.truncate(open.out_at);
            self.out.extend_from_slice(&self.scratch);
        }
        self.out.push(b'}');
        // The root's members stay, for `member`.
        if !self.open.is_empty() {
            self.members.truncate(open.first_member);
        }
        Ok(())
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

#[inline(always)]
fn prefix(name: &[u8]) -> u64 {
    if let Some(first) = name.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut bytes = [0; 8];
    bytes[..name.len()].copy_from_slice(name);
    u64::from_be_bytes(bytes)
}

/// The order of two names by UTF-16 code units (RFC 8785 §3.2.3).
#[inline(always)]
fn compare(out: &[u8], a: &Member, b: &Member) -> Ordering {
    let (name_a, name_b) = (&out[a.name..a.name_end], &out[b.name..b.name_end]);
    if a.plain && b.plain {
        // No name holds a zero byte, so the padding sorts a shorter name first.
        a.prefix.cmp(&b.prefix).then_with(|| name_a.cmp(name_b))
    } else {
        utf16_units(name_a).cmp(utf16_units(name_b))
    }
}

/// The UTF-16 code units of a canonical string's inside.
fn utf16_units(canonical: &[u8]) -> impl Iterator<Item = u16> {
    let text = std::str::from_utf8(canonical).unwrap_or_default();
    let mut rest = text.chars();
    let units = move || {
        let char = match rest.next()? {
            '\\' => match rest.next()? {
                'b' => '\u{8}',
                't' => '\t',
                'n' => '\n',
                'f' => '\u{c}',
                'r' => '\r',
                'u' => {
                    let code = rest.by_ref().take(4);
                    let value = code.filter_map(|digit| digit.to_digit(16));
                    char::from_u32(value.fold(0, |code, digit| code << 4 | digit))?
                }
                escaped => escaped,
            },
            char => char,
        };
        Some(char)
    };
    std::iter::from_fn(units).flat_map(|char| {
        let mut buffer = [0; 2];
        let len = char.encode_utf16(&mut buffer).len();
        buffer.into_iter().take(len)
    })
}

#[cfg(test)]
mod tests;
