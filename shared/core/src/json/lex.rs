//! The lexical pieces that the canonicalizer and the scanner share (RFC 8259).

use wide::u8x16;

use super::Reason;

/// Bytes that are looked at together.
const WIDTH: usize = 16;

const QUOTE: u8x16 = u8x16::splat(b'"');
const BACKSLASH: u8x16 = u8x16::splat(b'\\');
const LAST_CONTROL: u8x16 = u8x16::splat(0x1f);

/// A run of string bytes that need no treatment, from `from` up to a quote, a
/// backslash, a control character or the end of the input.
pub(super) struct Run {
    /// Where the run ends (exclusive).
    pub end: usize,
    /// No byte of the run has its high bit set.
    pub ascii: bool,
}

/// Finds the end of a plain run.
#[inline(always)]
pub(super) fn plain_run(input: &[u8], from: usize) -> Run {
    let mut at = from;
    let mut ascii = true;
    loop {
        let chunk = input.get(at..).unwrap_or_default();
        let (bytes, last) = match chunk.first_chunk::<WIDTH>() {
            Some(bytes) => (*bytes, false),
            None => {
                // A quote ends the run where the input ends.
                let mut padded = [b'"'; WIDTH];
                padded[..chunk.len()].copy_from_slice(chunk);
                (padded, true)
            }
        };
        let bytes = u8x16::new(bytes);
        let control = bytes.min(LAST_CONTROL).simd_eq(bytes);
        let special = bytes.simd_eq(QUOTE) | bytes.simd_eq(BACKSLASH) | control;
        let (special, high) = (special.to_bitmask(), bytes.to_bitmask());
        if special != 0 {
            let offset = special.trailing_zeros();
            return Run {
                end: at + offset as usize,
                ascii: ascii && high & ((1 << offset) - 1) == 0,
            };
        }
        debug_assert!(!last, "the padding holds a quote");
        ascii &= high == 0;
        at += WIDTH;
    }
}

/// Checks a run's bytes as UTF-8. Sequences cannot span an escape or a quote, so
/// each run stands alone.
pub(super) fn check_utf8(input: &[u8], from: usize, run: &Run) -> Result<(), (usize, Reason)> {
    if run.ascii {
        return Ok(());
    }
    match std::str::from_utf8(&input[from..run.end]) {
        Ok(_) => Ok(()),
        // A sequence cut off by the end of the input may go on in the next bytes.
        Err(error) if error.error_len().is_none() && run.end == input.len() => {
            Err((run.end, Reason::UnexpectedEnd))
        }
        Err(error) => Err((from + error.valid_up_to(), Reason::InvalidUtf8)),
    }
}

/// Skips JSON white space.
#[inline(always)]
pub(super) fn skip_space(input: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = input.get(at) {
        at += 1;
    }
    at
}

/// What an escape stands for.
pub(super) enum Escape {
    /// A Unicode scalar value.
    Char(char),
    /// A surrogate without its partner.
    Lone,
}

/// Reads the escape whose backslash stands at `at`; returns it and where it ends.
/// A surrogate pair is one escape of twelve bytes.
pub(super) fn escape(input: &[u8], at: usize) -> Result<(Escape, usize), (usize, Reason)> {
    let Some(&kind) = input.get(at + 1) else {
        return Err((input.len(), Reason::UnexpectedEnd));
    };
    let char = match kind {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = hex4(input, at + 2)?;
            return match unit {
                0xD800..=0xDBFF => {
                    if input.len() < at + 12 && is_prefix_of_low_surrogate(&input[at + 6..]) {
                        return Err((input.len(), Reason::UnexpectedEnd));
                    }
                    if input.get(at + 6..at + 8) == Some(b"\\u") {
                        let low = hex4(input, at + 8)?;
                        if (0xDC00..=0xDFFF).contains(&low) {
                            let scalar =
                                0x10000 + ((u32::from(unit) - 0xD800) << 10) + u32::from(low)
                                    - 0xDC00;
                            let char = char::from_u32(scalar).unwrap_or('\u{FFFD}');
                            return Ok((Escape::Char(char), at + 12));
                        }
                    }
                    Ok((Escape::Lone, at + 6))
                }
                0xDC00..=0xDFFF => Ok((Escape::Lone, at + 6)),
                _ => {
                    let char = char::from_u32(u32::from(unit)).unwrap_or('\u{FFFD}');
                    Ok((Escape::Char(char), at + 6))
                }
            };
        }
        _ => return Err((at + 1, Reason::InvalidEscape)),
    };
    Ok((Escape::Char(char), at + 2))
}

fn is_prefix_of_low_surrogate(rest: &[u8]) -> bool {
    rest.iter().zip(b"\\u").all(|(have, want)| have == want)
        && rest.iter().skip(2).all(u8::is_ascii_hexdigit)
}

fn hex4(input: &[u8], at: usize) -> Result<u16, (usize, Reason)> {
    let mut unit = 0u16;
    for offset in at..at + 4 {
        let Some(&byte) = input.get(offset) else {
            return Err((input.len(), Reason::UnexpectedEnd));
        };
        let Some(digit) = (byte as char).to_digit(16) else {
            return Err((offset, Reason::InvalidEscape));
        };
        unit = unit << 4 | digit as u16;
    }
    Ok(unit)
}

/// The parts of a number literal, as offsets into the input.
pub(super) struct Literal {
    /// After the minus sign, if any.
    pub digits: usize,
    /// End of the integer digits.
    pub int_end: usize,
    /// End of the fraction (equals `int_end` without one; else the point stands at `int_end`).
    pub frac_end: usize,
    /// End of the literal.
    pub end: usize,
}

/// Reads the number that begins at `at` (a minus sign or a digit).
#[inline(always)]
pub(super) fn number(input: &[u8], at: usize) -> Result<Literal, (usize, Reason)> {
    let digits = at + usize::from(input.get(at) == Some(&b'-'));
    let int_end = skip_digits(input, digits);
    if int_end == digits {
        return Err(expected_digit(input, digits));
    }
    if input[digits] == b'0' && int_end > digits + 1 {
        return Err((digits + 1, Reason::InvalidNumber));
    }
    let mut frac_end = int_end;
    if input.get(int_end) == Some(&b'.') {
        frac_end = skip_digits(input, int_end + 1);
        if frac_end == int_end + 1 {
            return Err(expected_digit(input, frac_end));
        }
    }
    let mut end = frac_end;
    if let Some(b'e' | b'E') = input.get(frac_end) {
        let from = frac_end + 1 + usize::from(matches!(input.get(frac_end + 1), Some(b'+' | b'-')));
        end = skip_digits(input, from);
        if end == from {
            return Err(expected_digit(input, from));
        }
    }
    Ok(Literal {
        digits,
        int_end,
        frac_end,
        end,
    })
}

#[inline(always)]
fn skip_digits(input: &[u8], mut at: usize) -> usize {
    while input.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn expected_digit(input: &[u8], at: usize) -> (usize, Reason) {
    if at >= input.len() {
        (input.len(), Reason::UnexpectedEnd)
    } else {
        (at, Reason::InvalidNumber)
    }
}

/// The length of the literal (`true`, `false`, `null`) at `at`.
#[inline(always)]
pub(super) fn word(input: &[u8], at: usize) -> Result<usize, (usize, Reason)> {
    let word: &[u8] = match input[at] {
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => return Err((at, Reason::UnexpectedByte)),
    };
    let rest = &input[at..];
    if rest.starts_with(word) {
        return Ok(word.len());
    }
    match rest.iter().zip(word).position(|(have, want)| have != want) {
        Some(offset) => Err((at + offset, Reason::UnexpectedByte)),
        None => Err((input.len(), Reason::UnexpectedEnd)),
    }
}
