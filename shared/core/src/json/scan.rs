//! What is JSON (RFC 8259) at all: at any depth, without recursion, in memory
//! that grows by one bit per open bracket.

use std::borrow::Cow;

use super::{JsonError, Reason, lex};

/// Where the value at the start of `input` ends (white space may precede it). A
/// number that ends with the input might go on in what follows.
///
/// # Errors
/// The first byte that no JSON value can have there, or the end of the input.
pub fn value_end(input: &[u8]) -> Result<usize, JsonError> {
    Ok(value_end_at(input, 0)?)
}

/// Whether `input` is one JSON value and white space.
pub fn is_json(input: &[u8]) -> bool {
    value_end(input).is_ok_and(|end| lex::skip_space(input, end) == input.len())
}

/// The first byte at or after `at` that is not JSON white space.
pub fn skip_space(input: &[u8], at: usize) -> usize {
    lex::skip_space(input, at)
}

/// `input` without JSON white space around it.
pub fn trim(input: &[u8]) -> &[u8] {
    let from = lex::skip_space(input, 0);
    let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    let end = input.iter().rposition(|byte| !space(byte));
    end.map_or(&[], |end| &input[from..=end])
}

/// The members of an object that is known to be JSON: name and value as they
/// stand in the input, the name with its quotes. Nothing for other values.
pub fn members(input: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = lex::skip_space(input, 0);
    let object = input.get(at) == Some(&b'{');
    at += 1;
    std::iter::from_fn(move || {
        if !object {
            return None;
        }
        let name_at = lex::skip_space(input, at);
        let name_end = string_end(input, name_at).ok()?;
        let colon = lex::skip_space(input, name_end);
        let value_at = lex::skip_space(input, colon + 1);
        let value_end = value_end_at(input, value_at).ok()?;
        at = lex::skip_space(input, value_end) + 1; // past the comma or the bracket
        Some((&input[name_at..name_end], &input[value_at..value_end]))
    })
}

/// What a JSON string says; none if `quoted` is not a string as a whole. Lone
/// surrogates become U+FFFD.
pub fn string(quoted: &[u8]) -> Option<Cow<'_, str>> {
    if string_end(quoted, 0).ok()? != quoted.len() {
        return None;
    }
    let inside = std::str::from_utf8(&quoted[1..quoted.len() - 1]).ok()?;
    if !inside.contains('\\') {
        return Some(Cow::Borrowed(inside));
    }
    let mut text = String::with_capacity(inside.len());
    let mut from = 1;
    while from < quoted.len() - 1 {
        let run = lex::plain_run(quoted, from);
        text.push_str(std::str::from_utf8(&quoted[from..run.end]).ok()?);
        from = run.end;
        if quoted[from] == b'\\' {
            let (escape, end) = lex::escape(quoted, from).ok()?;
            text.push(match escape {
                lex::Escape::Char(char) => char,
                lex::Escape::Lone => char::REPLACEMENT_CHARACTER,
            });
            from = end;
        }
    }
    Some(Cow::Owned(text))
}

/// Where the string at `at` ends, after its closing quote.
///
/// # Errors
/// As [`value_end`].
pub fn string_end(input: &[u8], at: usize) -> Result<usize, JsonError> {
    Ok(string_end_at(input, at)?)
}

fn string_end_at(input: &[u8], at: usize) -> Result<usize, (usize, Reason)> {
    match input.get(at) {
        Some(b'"') => {}
        Some(_) => return Err((at, Reason::UnexpectedByte)),
        None => return Err((input.len(), Reason::UnexpectedEnd)),
    }
    let mut from = at + 1;
    loop {
        let run = lex::plain_run(input, from);
        lex::check_utf8(input, from, &run)?;
        match input.get(run.end) {
            Some(b'"') => return Ok(run.end + 1),
            Some(b'\\') => (_, from) = lex::escape(input, run.end)?,
            Some(_) => return Err((run.end, Reason::ControlCharacter)),
            None => return Err((run.end, Reason::UnexpectedEnd)),
        }
    }
}

fn value_end_at(input: &[u8], at: usize) -> Result<usize, (usize, Reason)> {
    let mut open = BitStack::default();
    let mut at = lex::skip_space(input, at);
    loop {
        let Some(&byte) = input.get(at) else {
            return Err((at, Reason::UnexpectedEnd));
        };
        match byte {
            b'"' => at = string_end_at(input, at)?,
            b'-' | b'0'..=b'9' => at = lex::number(input, at)?.end,
            b'{' | b'[' => {
                let object = byte == b'{';
                at = lex::skip_space(input, at + 1);
                if input.get(at) == Some(&if object { b'}' } else { b']' }) {
                    at += 1;
                } else {
                    open.push(object);
                    if object {
                        at = name(input, at)?;
                    }
                    continue;
                }
            }
            _ => at += lex::word(input, at)?,
        }
        loop {
            let Some(object) = open.last() else {
                return Ok(at);
            };
            at = lex::skip_space(input, at);
            match input.get(at) {
                Some(b',') => {
                    at = lex::skip_space(input, at + 1);
                    if object {
                        at = name(input, at)?;
                    }
                    break;
                }
                Some(b'}') if object => open.pop(),
                Some(b']') if !object => open.pop(),
                Some(_) => return Err((at, Reason::UnexpectedByte)),
                None => return Err((at, Reason::UnexpectedEnd)),
            }
            at += 1;
        }
    }
}

/// A member's name and colon; returns where its value begins.
fn name(input: &[u8], at: usize) -> Result<usize, (usize, Reason)> {
    let at = lex::skip_space(input, string_end_at(input, at)?);
    match input.get(at) {
        Some(b':') => Ok(lex::skip_space(input, at + 1)),
        Some(_) => Err((at, Reason::UnexpectedByte)),
        None => Err((at, Reason::UnexpectedEnd)),
    }
}

/// The kinds of the open brackets: one bit each.
#[derive(Default)]
struct BitStack {
    words: Vec<u64>,
    len: usize,
}

impl BitStack {
    fn push(&mut self, bit: bool) {
        let (word, shift) = (self.len / 64, self.len % 64);
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] = self.words[word] & !(1 << shift) | u64::from(bit) << shift;
        self.len += 1;
    }

    fn pop(&mut self) {
        self.len -= 1;
    }

    fn last(&self) -> Option<bool> {
        let top = self.len.checked_sub(1)?;
        Some(self.words[top / 64] >> (top % 64) & 1 == 1)
    }
}
