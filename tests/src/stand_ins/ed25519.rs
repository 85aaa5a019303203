//! Keys for the services that sign.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::SigningKey;

/// What stands before the 32 bytes of a key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A key of its own.
pub fn new_key() -> SigningKey {
    SigningKey::from_bytes(&random())
}

/// The public key in DER.
pub fn spki(key: &SigningKey) -> Vec<u8> {
    [&SPKI_HEAD[..], key.verifying_key().as_bytes()].concat()
}

/// The public key in PEM.
pub fn pem(key: &SigningKey) -> String {
    let text = BASE64.encode(&spki(key));
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

/// An id in the form of a UUID.
pub fn random_id() -> String {
    let hex = HEXLOWER.encode(&random::<16>());
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's randomness");
    bytes
}
