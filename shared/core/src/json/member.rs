//! The members of an object, and their order.

use std::cmp::Ordering;

/// A member, as offsets into the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// Where the name's opening quote stands.
    pub start: usize,
    pub name: Name,
    /// The value.
    pub value: usize,
    pub end: usize,
    /// The first edit at or after `start`.
    pub edit: usize,
}

/// A member's name, without quotes, in canonical form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    /// Its first eight bytes, big-endian, padded with zeros.
    prefix: u64,
    from: usize,
    to: usize,
    /// It stands in the plan's text: its spelling in the input is another.
    respelt: bool,
    /// Its bytes compare as its UTF-16 code units do: ASCII, no escape.
    plain: bool,
}

impl Name {
    /// The name `input[from..to]`, which is canonical as it stands there.
    #[inline(always)]
    pub(super) fn in_input(input: &[u8], (from, to): (usize, usize), plain: bool) -> Self {
        Self {
            prefix: prefix(input, from, to),
            from,
            to,
            respelt: false,
            plain,
        }
    }

    /// The name `text[from..]` of the plan.
    pub(super) fn in_text(text: &[u8], from: usize) -> Self {
        Self {
            prefix: prefix(text, from, text.len()),
            from,
            to: text.len(),
            respelt: true,
            plain: false,
        }
    }

    #[inline(always)]
    pub(super) fn bytes<'a>(&self, input: &'a [u8], text: &'a [u8]) -> &'a [u8] {
        let from = if self.respelt { text } else { input };
        &from[self.from..self.to]
    }

    /// Its first eight bytes as a number, which orders plain names as far as they
    /// differ there.
    #[inline(always)]
    pub(super) fn prefix(&self) -> u64 {
        self.prefix
    }

    /// Whether it is ASCII without escapes.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The order of two names by UTF-16 code units (RFC 8785 §3.2.3).
    pub(super) fn compare(&self, other: &Self, input: &[u8], text: &[u8]) -> Ordering {
        let (name, others) = (self.bytes(input, text), other.bytes(input, text));
        if self.plain && other.plain {
            name.cmp(others)
        } else {
            utf16_units(name).cmp(utf16_units(others))
        }
    }
}

#[inline(always)]
fn prefix(bytes: &[u8], from: usize, to: usize) -> u64 {
    let len = to - from;
    match bytes[from..].first_chunk::<8>() {
        Some(first) if len >= 8 => u64::from_be_bytes(*first),
        Some(first) => u64::from_be_bytes(*first) & !(u64::MAX >> (8 * len)),
        None => {
            let mut padded = [0; 8];
            let len = len.min(8);
            padded[..len].copy_from_slice(&bytes[from..from + len]);
            u64::from_be_bytes(padded)
        }
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
