//! Witness cosignatures, Ed25519 with a time (C2SP tlog-cosignature v1).
//!
//! A cosignature says: at this time, the largest head of this log that I have
//! seen, consistent with all before it, has this root.

use crate::keys::{KeyKind, SignError, Signer, VerifierKey};
use crate::note::{Note, SignatureLine};

/// What a note says of one witness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cosigned {
    /// No line names the witness's key.
    Absent,
    /// A line names the key, and its signature does not hold: the note is to be rejected.
    Bad,
    /// Cosigned at this time, in Unix seconds; with several lines, at the latest of their times.
    At(u64),
}

/// The bytes that a witness signs: `cosignature/v1`, the time in Unix seconds, and the
/// checkpoint's whole body.
#[must_use]
pub fn message(time: u64, body: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{body}").into_bytes()
}

/// The signature line: keyID ‖ time (big-endian) ‖ signature.
#[must_use]
pub fn line(key: &VerifierKey, time: u64, signature: &[u8; 64]) -> SignatureLine {
    let mut bytes = time.to_be_bytes().to_vec();
    bytes.extend_from_slice(signature);
    SignatureLine {
        name: key.name().to_owned(),
        key_id: key.id(),
        bytes,
    }
}

/// Cosigns a checkpoint's body.
///
/// Says nothing about whether it should be: [`crate::witness::decide`] first, and persist its
/// outcome before the line is given out.
///
/// # Errors
///
/// When the key is not a witness's, the time is not one that a cosignature may carry (zero, or
/// above 2^63 - 1), or signing fails.
pub fn cosign(signer: &dyn Signer, time: u64, body: &str) -> Result<SignatureLine, SignError> {
    let key = signer.key();
    if key.kind() != KeyKind::Witness {
        return Err(SignError(format!(
            "{} is a log's key; only a witness cosigns",
            key.name()
        )));
    }
    if !time_is_valid(time) {
        return Err(SignError(format!(
            "{time} is not a time that a cosignature can carry"
        )));
    }
    let signature = signer.sign(&message(time, body))?;
    Ok(line(key, time, &signature))
}

/// Looks for the cosignature of a witness and verifies it. A key that is not a witness's
/// cosigns nothing.
#[must_use]
pub fn verify(key: &VerifierKey, note: &Note) -> Cosigned {
    if key.kind() != KeyKind::Witness {
        return Cosigned::Absent;
    }
    let mut latest = None;
    for line in note.signatures().iter().filter(|line| line.names(key)) {
        match verify_line(key, line, note.text()) {
            Some(time) => latest = latest.max(Some(time)),
            None => return Cosigned::Bad,
        }
    }
    latest.map_or(Cosigned::Absent, Cosigned::At)
}

/// The time of a cosignature line that holds.
fn verify_line(key: &VerifierKey, line: &SignatureLine, body: &str) -> Option<u64> {
    let (time, signature) = line.bytes.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    let signature = signature.try_into().ok()?;
    (time_is_valid(time) && key.verify(&message(time, body), signature)).then_some(time)
}

/// Zero stands for "no time", and the specification ends at 2^63 - 1.
fn time_is_valid(time: u64) -> bool {
    (1..=i64::MAX as u64).contains(&time)
}
