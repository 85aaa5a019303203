//! The members of an object, and their order.

use std::cmp::Ordering;

/// A member, as offsets into the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// The first eight bytes of the name, big-endian, padded with zeros.
    prefix: u64,
    /// Where the name's opening quote stands.
    pub start: usize,
    /// The name without quotes: in the input, or in the plan's text if `respelt`.
    name: (usize, usize),
    /// The value.
    value: (usize, usize),
    /// The first edit at or after `start`.
    pub edit: usize,
    /// The name stands in the plan's text: its own spelling is not canonical.
    respelt: bool,
    /// The name's bytes compare as its UTF-16 code units do: ASCII, no escape.
    plain: bool,
}

impl Member {
    /// A member whose name is `input[name.0..name.1]`.
    #[inline(always)]
    pub(super) fn new(input: &[u8], name: (usize, usize), plain: bool, edit: usize) -> Self {
        Self {
            prefix: prefix(input, name),
            start: name.0 - 1,
            name,
            value: (0, 0),
            edit,
            respelt: false,
            plain,
        }
    }

    /// Its name stands at `name` in the plan's text instead.
    pub(super) fn respell(&mut self, text: &[u8], name: (usize, usize)) {
        self.prefix = prefix(text, name);
        self.name = name;
        self.respelt = true;
    }

    #[inline(always)]
    pub(super) fn set_value_start(&mut self, at: usize) {
        self.value.0 = at;
    }

    #[inline(always)]
    pub(super) fn set_end(&mut self, at: usize) {
        self.value.1 = at;
    }

    /// Where its value ends.
    pub(super) fn end(&self) -> usize {
        self.value.1
    }

    /// Its value as it stands in the input.
    pub(super) fn value<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        &input[self.value.0..self.value.1]
    }

    /// Its name without quotes, in canonical form.
    #[inline(always)]
    pub(super) fn name<'a>(&self, input: &'a [u8], text: &'a [u8]) -> &'a [u8] {
        let from = if self.respelt { text } else { input };
        &from[self.name.0..self.name.1]
    }

    /// The order of two names by UTF-16 code units (RFC 8785 §3.2.3).
    #[inline(always)]
    pub(super) fn compare(&self, other: &Self, input: &[u8], text: &[u8]) -> Ordering {
        if self.plain && other.plain {
            // No name holds a zero byte, so the padding sorts a shorter name first.
            self.prefix.cmp(&other.prefix).then_with(|| {
                let (name, others) = (self.name(input, text), other.name(input, text));
                name.cmp(others)
            })
        } else {
            let (name, others) = (self.name(input, text), other.name(input, text));
            utf16_units(name).cmp(utf16_units(others))
        }
    }
}

#[inline(always)]
fn prefix(bytes: &[u8], (from, to): (usize, usize)) -> u64 {
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
