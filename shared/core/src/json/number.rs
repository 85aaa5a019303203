//! Numbers as ECMAScript prints them (RFC 8785 §3.2.2.3), and whether that
//! spelling still denotes the literal's decimal value.

use std::io::Write;

use super::{
    Reason,
    lex::{self, Literal},
};

/// An IEEE double never needs more significant digits than this.
const MAX_DIGITS: usize = 17;

/// A decimal value: `0.d₁d₂…dₖ × 10^point`, with neither leading nor trailing zeros.
#[derive(PartialEq, Eq)]
struct Decimal {
    digits: [u8; MAX_DIGITS],
    len: usize,
    point: i64,
}

/// Appends the ECMAScript spelling of an exact literal.
///
/// # Errors
/// [`Reason::InexactNumber`] if that spelling denotes another decimal value.
pub(super) fn push_exact(
    input: &[u8],
    at: usize,
    literal: &Literal,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    let Some(decimal) = read(input, literal) else {
        return Err(Reason::InexactNumber);
    };
    if decimal.len == 0 {
        out.push(b'0'); // minus zero too: its decimal value is zero
        return Ok(());
    }
    // Up to 15 significant digits round-trip through a double wherever it is
    // normal, and then no shorter spelling denotes the same double: the
    // shortest spelling is the literal's own digits.
    let certain = decimal.len <= 15 && (-300..=300).contains(&decimal.point);
    if !certain && shortest(decimal.to_f64()).as_ref() != Some(&decimal) {
        return Err(Reason::InexactNumber);
    }
    if input[at] == b'-' {
        out.push(b'-');
    }
    push_decimal(&decimal, out);
    Ok(())
}

/// Appends the ECMAScript spelling of the double nearest to a literal, exact or
/// not (plain RFC 8785).
///
/// # Errors
/// [`Reason::InexactNumber`] if there is no finite double near it.
pub(super) fn push_rounded(
    input: &[u8],
    at: usize,
    literal: &Literal,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    let text = std::str::from_utf8(&input[at..literal.end]).map_err(|_| Reason::InvalidNumber)?;
    let value: f64 = text.parse().map_err(|_| Reason::InvalidNumber)?;
    if !value.is_finite() {
        return Err(Reason::InexactNumber);
    }
    push_f64(value, out);
    Ok(())
}

/// Appends a finite double as ECMAScript's `Number::toString` does.
pub(super) fn push_f64(value: f64, out: &mut Vec<u8>) {
    match shortest(value.abs()) {
        Some(decimal) => {
            if value < 0.0 {
                out.push(b'-');
            }
            push_decimal(&decimal, out);
        }
        None => out.push(b'0'),
    }
}

/// The literal's value, or none if it has too many significant digits for any double.
fn read(input: &[u8], literal: &Literal) -> Option<Decimal> {
    let mut decimal = Decimal {
        digits: [0; MAX_DIGITS],
        len: 0,
        point: 0,
    };
    let int = &input[literal.digits..literal.int_end];
    let frac = match literal.frac_end {
        end if end > literal.int_end => &input[literal.int_end + 1..end],
        _ => &[],
    };
    let mut significant = 0usize; // digits since the first that is not zero
    let mut leading = 0i64; // zeros before it
    for &digit in int.iter().chain(frac) {
        if significant == 0 && digit == b'0' {
            leading += 1;
            continue;
        }
        if digit != b'0' {
            if significant >= MAX_DIGITS {
                return None;
            }
            decimal.digits[significant] = digit;
            decimal.len = significant + 1;
        } else if significant < MAX_DIGITS {
            decimal.digits[significant] = digit;
        }
        significant += 1;
    }
    // Digits past the last that is not zero must not tell two equal values apart.
    decimal.digits[decimal.len..].fill(0);
    if decimal.len > 0 {
        decimal.point = (int.len() as i64 - leading).saturating_add(exponent(input, literal));
    }
    Some(decimal)
}

fn exponent(input: &[u8], literal: &Literal) -> i64 {
    if literal.end == literal.frac_end {
        return 0;
    }
    let text = &input[literal.frac_end + 1..literal.end];
    let (negative, digits) = match text[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = digits.iter().fold(0i64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    if negative { -magnitude } else { magnitude }
}

impl Decimal {
    /// The nearest double: infinite or zero where it is out of range.
    fn to_f64(&self) -> f64 {
        if self.point > 400 {
            return f64::INFINITY;
        }
        if self.point < -400 {
            return 0.0;
        }
        let mut text = [0u8; MAX_DIGITS + 16];
        let mut rest = &mut text[..];
        let _ = rest.write_all(b"0.");
        let _ = rest.write_all(&self.digits[..self.len]);
        let _ = write!(rest, "e{}", self.point);
        let unused = rest.len();
        let used = text.len() - unused;
        std::str::from_utf8(&text[..used])
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN)
    }
}

/// The shortest decimal that denotes a positive double: of several the closest,
/// of two equally close the even one. None for zero and what is not finite.
fn shortest(value: f64) -> Option<Decimal> {
    if value == 0.0 || !value.is_finite() {
        return None;
    }
    // Not the standard library's printer: of two equally close it takes the upper.
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    read(text, &lex::number(text, 0).ok()?)
}

/// ECMAScript `Number::toString`, steps 6 to 10, with k = `len` and n = `point`.
fn push_decimal(decimal: &Decimal, out: &mut Vec<u8>) {
    let digits = &decimal.digits[..decimal.len];
    let (k, n) = (decimal.len as i64, decimal.point);
    if k <= n && n <= 21 {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', (n - k) as usize));
    } else if 0 < n && n <= 21 {
        out.extend_from_slice(&digits[..n as usize]);
        out.push(b'.');
        out.extend_from_slice(&digits[n as usize..]);
    } else if -6 < n && n <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', -n as usize));
        out.extend_from_slice(digits);
    } else {
        out.push(digits[0]);
        if k > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.push(if n > 0 { b'+' } else { b'-' });
        // Writing to a vector cannot fail.
        let _ = write!(out, "{}", (n - 1).unsigned_abs());
    }
}
