//! Ed25519 keys as C2SP signed-note names and spells them, and what signs with them.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base64;

/// What a key signs; the signature type of C2SP signed-note.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyKind {
    /// A chain's key: plain Ed25519 (0x01).
    Log,
    /// A witness's key: timestamped Ed25519 cosignatures (0x04).
    Witness,
}

impl KeyKind {
    /// The signature type identifier byte.
    #[must_use]
    pub fn algorithm(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Witness => 0x04,
        }
    }
}

/// Why a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty or holds a space, a plus sign or a control character.
    #[error(
        "{0:?} is no key name: it must not be empty, nor hold spaces, '+' or control characters"
    )]
    Name(String),
    /// The text is not `name+8 hex digits+base64`.
    #[error("this is no verifier key: it must read <name>+<8 hex digits>+<base64>")]
    Format,
    /// The signature type is not one of [`KeyKind`].
    #[error("signature type 0x{0:02x} is not supported: only 0x01 (log) and 0x04 (witness) are")]
    Algorithm(u8),
    /// The key id is not the one that follows from name and key.
    #[error(
        "the key id {found} does not belong to this name and key (theirs is {expected}): is the verifier key complete and unchanged?"
    )]
    Id {
        /// The id of this name and key, in hex.
        expected: String,
        /// The id that was given, in hex.
        found: String,
    },
    /// The public key is no point of the curve, not canonical, or of small order.
    #[error("the public key is not a usable Ed25519 point")]
    Point,
    /// A seed file does not hold a seed.
    #[error("this is no seed: a seed file holds 64 lower-case hex digits and a line feed")]
    Seed,
}

/// Signing failed; says why. A key in memory never fails, a key management service may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not sign: {0}")]
pub struct SignError(pub String);

/// A public key with its name: what signatures are verified with (C2SP signed-note, "vkey").
///
/// Displays and parses as `name+keyid+base64`. Only points that are canonical and
/// not of small order can be held.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    id: [u8; 4],
    point: VerifyingKey,
}

impl VerifierKey {
    /// A key from its parts; `public` is the 32-byte encoding of RFC 8032.
    ///
    /// # Errors
    ///
    /// When the name is no key name or the point cannot be used.
    pub fn new(name: &str, kind: KeyKind, public: [u8; 32]) -> Result<Self, KeyError> {
        if !name_is_valid(name) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let point = VerifyingKey::from_bytes(&public).map_err(|_| KeyError::Point)?;
        if point.is_weak() || !is_reduced(&public) {
            return Err(KeyError::Point);
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            id: key_id(name, kind, &public),
            point,
        })
    }

    /// The key's name: a chain's origin, or a witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key id: SHA-256(name ‖ 0x0A ‖ type ‖ public key), its first four bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key, as RFC 8032 encodes it.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.point.to_bytes()
    }

    /// Whether the signature over exactly these bytes holds, by the strict rules
    /// (RFC 8032 with small-order and non-canonical points refused).
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.point
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = [self.kind.algorithm(); 33];
        key[1..].copy_from_slice(self.point.as_bytes());
        write!(
            f,
            "{}+{}+{}",
            self.name,
            HEXLOWER.encode(&self.id),
            BASE64.encode(&key)
        )
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    /// Reads exactly what `Display` writes.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        // Base64 may hold plus signs, a name may not.
        let (name, rest) = text.split_once('+').ok_or(KeyError::Format)?;
        let (found, key) = rest.split_once('+').ok_or(KeyError::Format)?;
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if found.len() != 8 || !found.bytes().all(is_hex) {
            return Err(KeyError::Format);
        }
        let key = base64::decode(key).ok_or(KeyError::Format)?;
        let (&algorithm, public) = key.split_first().ok_or(KeyError::Format)?;
        let kind = match algorithm {
            0x01 => KeyKind::Log,
            0x04 => KeyKind::Witness,
            other => return Err(KeyError::Algorithm(other)),
        };
        let public: [u8; 32] = public.try_into().map_err(|_| KeyError::Format)?;
        let verifier = Self::new(name, kind, public)?;
        let expected = HEXLOWER.encode(&verifier.id);
        if found != expected {
            return Err(KeyError::Id {
                expected,
                found: found.to_owned(),
            });
        }
        Ok(verifier)
    }
}

/// Something that signs: a seed in memory, or a key management service behind it.
pub trait Signer: Send + Sync {
    /// The public side of the key.
    fn key(&self) -> &VerifierKey;

    /// The Ed25519 signature (RFC 8032) over exactly these bytes.
    ///
    /// # Errors
    ///
    /// When the signature could not be made.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// The secret of an Ed25519 key, 32 bytes. Wiped when dropped, and never shown.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A seed from its bytes; the caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a seed file: exactly 64 lower-case hex digits, and a line feed that may be missing.
    ///
    /// # Errors
    ///
    /// [`KeyError::Seed`] for anything else; it repeats nothing of the content.
    pub fn parse(file: &[u8]) -> Result<Self, KeyError> {
        let digits = file.strip_suffix(b"\n").unwrap_or(file);
        let mut seed = Zeroizing::new([0; 32]);
        if digits.len() != 64 {
            return Err(KeyError::Seed);
        }
        HEXLOWER
            .decode_mut(digits, seed.as_mut_slice())
            .map_err(|_| KeyError::Seed)?;
        Ok(Self(seed))
    }

    /// A seed derived from this one: HKDF-SHA256 (RFC 5869) with empty salt. Each
    /// `info` gives another.
    #[must_use]
    pub fn derived(&self, info: &str) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        let extracted = Hkdf::<Sha256>::new(None, self.0.as_slice());
        if extracted
            .expand(info.as_bytes(), seed.as_mut_slice())
            .is_err()
        {
            unreachable!("HKDF gives up to 255 blocks of 32 bytes");
        }
        Self(seed)
    }

    /// The content of a seed file: 64 hex digits and a line feed.
    #[must_use]
    pub fn to_file(&self) -> Zeroizing<String> {
        // At its full size from the start: growing would leave a copy behind.
        let mut file = Zeroizing::new(String::with_capacity(65));
        HEXLOWER.encode_append(self.0.as_slice(), &mut file);
        file.push('\n');
        file
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// Signs with a seed that is in memory.
pub struct SeedSigner {
    signing: SigningKey,
    key: VerifierKey,
}

impl SeedSigner {
    /// The signer of a name with this seed.
    ///
    /// # Errors
    ///
    /// When the name is no key name.
    pub fn new(name: &str, kind: KeyKind, seed: &Seed) -> Result<Self, KeyError> {
        let signing = SigningKey::from_bytes(&seed.0);
        let key = VerifierKey::new(name, kind, signing.verifying_key().to_bytes())?;
        Ok(Self { signing, key })
    }
}

impl Signer for SeedSigner {
    fn key(&self) -> &VerifierKey {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.signing.sign(message).to_bytes())
    }
}

impl fmt::Debug for SeedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeedSigner({})", self.key)
    }
}

/// The `signature` member of signed JSON: base64 of the key id (4 bytes) ‖ signature.
#[must_use]
pub fn tagged_signature(key: &VerifierKey, signature: &[u8; 64]) -> String {
    let mut tagged = key.id.to_vec();
    tagged.extend_from_slice(signature);
    BASE64.encode(&tagged)
}

/// Whether a `signature` member names this key and its signature over `message` holds.
#[must_use]
pub fn verify_tagged(key: &VerifierKey, message: &[u8], member: &str) -> bool {
    // 68 bytes are 92 characters; the length first, so that no long member is decoded in vain.
    member.len() == 92
        && base64::decode(member).is_some_and(|tagged| {
            tagged
                .strip_prefix(&key.id)
                .and_then(|signature| signature.try_into().ok())
                .is_some_and(|signature| key.verify(message, signature))
        })
}

/// Whether a text can be a key name: not empty, no Unicode space, no plus sign, no ASCII
/// control character (C2SP signed-note, "Format").
#[must_use]
pub fn name_is_valid(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c == '+' || c < ' ')
}

/// Whether an encoded point's y is below p = 2^255 - 19 (RFC 8032, section 5.1.3):
/// decompression takes y and y + p for the same point.
fn is_reduced(public: &[u8; 32]) -> bool {
    let [lowest, between @ .., highest] = public;
    *lowest < 0xed || highest & 0x7f != 0x7f || between.iter().any(|byte| *byte != 0xff)
}

fn key_id(name: &str, kind: KeyKind, public: &[u8; 32]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind.algorithm()])
        .chain_update(public)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests;
