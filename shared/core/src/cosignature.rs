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

/// Whether a cosignature can carry this time, before anything is written that
/// promises one.
///
/// # Errors
/// When it is zero or above 2^63 - 1.
pub fn check_time(time: u64) -> Result<(), SignError> {
    if !time_is_valid(time) {
        return Err(SignError(format!(
            "{time} is not a time that a cosignature can carry: set the clock right"
        )));
    }
    Ok(())
}

/// What a witness signs to cosign a checkpoint's body, if the key may and the time fits.
///
/// # Errors
///
/// When the key is not a witness's, or the time is not one that a cosignature may carry (zero,
/// or above 2^63 - 1).
pub fn message_for(key: &VerifierKey, time: u64, body: &str) -> Result<Vec<u8>, SignError> {
    if key.kind() != KeyKind::Witness {
        return Err(SignError(format!(
            "{} is a log's key; only a witness cosigns",
            key.name()
        )));
    }
    check_time(time)?;
    Ok(message(time, body))
}

/// Cosigns a checkpoint's body.
///
/// Says nothing about whether it should be: [`crate::witness::decide`] first, and persist its
/// outcome before the line is given out.
///
/// # Errors
///
/// As [`message_for`], or when signing fails.
pub fn cosign(signer: &dyn Signer, time: u64, body: &str) -> Result<SignatureLine, SignError> {
    let key = signer.key();
    let signature = signer.sign(&message_for(key, time, body)?)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Seed, SeedSigner};
    use crate::worked_example::{BODY, NOTE, TIME, log, witness};

    fn verify_lines(lines: Vec<SignatureLine>) -> Cosigned {
        verify(witness().key(), &Note::new(BODY.into(), lines).unwrap())
    }

    #[test]
    fn the_message_holds_time_and_body() {
        assert_eq!(
            message(TIME, "a\n5\nr\n"),
            b"cosignature/v1\ntime 1700000000\na\n5\nr\n"
        );
    }

    #[test]
    fn the_latest_time_counts() {
        let at = |time| cosign(&witness(), time, BODY).unwrap();
        assert_eq!(verify_lines(vec![at(7)]), Cosigned::At(7));
        assert_eq!(verify_lines(vec![at(7), at(9), at(8)]), Cosigned::At(9));
        assert_eq!(
            verify_lines(vec![at(i64::MAX as u64)]),
            Cosigned::At(i64::MAX as u64)
        );
    }

    #[test]
    fn bad_lines_are_told_from_absent_ones() {
        let good = cosign(&witness(), 7, BODY).unwrap();
        let with = |bytes: Vec<u8>| SignatureLine {
            bytes,
            ..good.clone()
        };
        for at in 0..good.bytes.len() {
            let mut bytes = good.bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(verify_lines(vec![with(bytes.clone())]), Cosigned::Bad);
            assert_eq!(verify_lines(vec![good.clone(), with(bytes)]), Cosigned::Bad);
            if at > 0 {
                assert_eq!(
                    verify_lines(vec![with(good.bytes[..at].to_vec())]),
                    Cosigned::Bad
                );
            }
        }
        assert_eq!(
            verify_lines(vec![with([&good.bytes[..], &[0]].concat())]),
            Cosigned::Bad
        );
        let other_body = cosign(&witness(), 7, "other\n").unwrap();
        assert_eq!(verify_lines(vec![other_body]), Cosigned::Bad);

        let other_name = SignatureLine {
            name: "other".into(),
            ..good.clone()
        };
        let other_id = SignatureLine {
            key_id: [0; 4],
            ..good.clone()
        };
        assert_eq!(verify_lines(vec![other_name, other_id]), Cosigned::Absent);
    }

    #[test]
    fn times_that_none_may_carry_are_refused() {
        for time in [0, i64::MAX as u64 + 1, u64::MAX] {
            assert!(cosign(&witness(), time, BODY).is_err());
            let signature = witness().sign(&message(time, BODY)).unwrap();
            let line = line(witness().key(), time, &signature);
            assert_eq!(verify_lines(vec![line]), Cosigned::Bad);
        }
    }

    #[test]
    fn a_log_cosigns_nothing() {
        assert!(cosign(&log(), 7, BODY).is_err());
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(verify(log().key(), &note), Cosigned::Absent);
        // A line that would hold, but in the name of a log's key.
        let signature = log().sign(&message(7, BODY)).unwrap();
        let note = Note::new(BODY.into(), vec![line(log().key(), 7, &signature)]).unwrap();
        assert_eq!(verify(log().key(), &note), Cosigned::Absent);
    }

    #[test]
    fn a_plain_signature_is_no_cosignature() {
        let seed = Seed::from_bytes([2; 32]);
        let plain = SeedSigner::new("witness.example/w1", KeyKind::Log, &seed).unwrap();
        let bytes = plain.sign(BODY.as_bytes()).unwrap().to_vec();
        let key = witness().key().clone();
        let (name, key_id) = (key.name().to_owned(), key.id());
        assert_eq!(
            verify_lines(vec![SignatureLine {
                name,
                key_id,
                bytes
            }]),
            Cosigned::Bad
        );
    }

    /// The example of C2SP tlog-cosignature, as far as it goes: its line parses, and the time
    /// is the one in its message.
    #[test]
    fn the_specification_s_time() {
        let line: SignatureLine = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
            .parse()
            .unwrap();
        let time = line.bytes.first_chunk().copied().map(u64::from_be_bytes);
        assert_eq!((time, line.bytes.len()), (Some(1_679_315_147), 72));
    }
}
