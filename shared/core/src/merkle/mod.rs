//! The Merkle tree of RFC 6962 §2.1, over SHA-256.
//!
//! Hashing, the resumable [`Frontier`], C2SP tiles ([`tile`]) and proofs
//! ([`proof`]). Leaves are hashed by [`Hash::leaf`]; everything else works on
//! hashes alone, so nothing here ever holds a record.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

mod frontier;
pub mod proof;
#[cfg(test)]
mod testing;
pub mod tile;

pub use frontier::{Frontier, FrontierError};

/// The largest tree that a [`Frontier`] or a [`tile::TileBuilder`] goes on from: 2^63 leaves.
///
/// Beyond it a size is not a count that anybody reached, and the bound keeps
/// sizes from overflowing. Proofs are verified for every `u64` size.
pub const MAX_TREE_SIZE: u64 = 1 << 63;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// A SHA-256 hash: of a leaf, of an inner node, or the root of a tree.
///
/// Displays, serializes and deserializes as standard base64 (44 characters);
/// its `Debug` form is shortened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    /// The root of the tree without leaves: SHA-256 of no bytes (RFC 6962 §2.1).
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// The hash of a leaf: SHA-256(0x00 ‖ data) (RFC 6962 §2.1).
    #[must_use]
    pub fn leaf(data: &[u8]) -> Self {
        Self(
            Sha256::new_with_prefix([0x00])
                .chain_update(data)
                .finalize()
                .into(),
        )
    }

    /// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right) (RFC 6962 §2.1).
    #[must_use]
    pub fn node(left: &Self, right: &Self) -> Self {
        // One contiguous input: a single call into the compression function's loop.
        let mut input = [0x01; 1 + 2 * HASH_BYTES];
        input[1..=HASH_BYTES].copy_from_slice(&left.0);
        input[1 + HASH_BYTES..].copy_from_slice(&right.0);
        Self(Sha256::digest(input).into())
    }

    /// Standard base64 with padding, 44 characters.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }

    /// Reads exactly what [`Hash::to_base64`] writes; any other spelling is `None`.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        // The length first, so that no long input is decoded in vain.
        if text.len() != 44 {
            return None;
        }
        crate::base64::decode(text)?.try_into().ok().map(Self)
    }

    /// Lower-case hex, 64 digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_base64())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({}…)", &self.to_base64()[..8])
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;

        impl serde::de::Visitor<'_> for Base64 {
            type Value = Hash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a SHA-256 hash in base64 (44 characters)")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hash, E> {
                Hash::from_base64(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Base64)
    }
}

/// Splits the bytes of a tile into hashes. A rest that is no whole hash is left out;
/// callers have checked the length.
fn hashes(bytes: &[u8]) -> impl ExactSizeIterator<Item = Hash> {
    bytes
        .as_chunks::<HASH_BYTES>()
        .0
        .iter()
        .map(|&hash| Hash(hash))
}

/// The root over a run of hashes whose count is a power of two.
fn perfect_root(bytes: &[u8]) -> Hash {
    let mut row: Vec<Hash> = hashes(bytes).collect();
    debug_assert!(
        row.len().is_power_of_two(),
        "a perfect subtree has 2^k leaves"
    );
    while row.len() > 1 {
        for i in 0..row.len() / 2 {
            row[i] = Hash::node(&row[2 * i], &row[2 * i + 1]);
        }
        row.truncate(row.len() / 2);
    }
    row.first().copied().unwrap_or(Hash::EMPTY_ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_and_nodes_are_hashed_apart() {
        assert_eq!(
            Hash::leaf(b"").to_hex(),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        let (a, b) = (Hash::leaf(b"a"), Hash::leaf(b"b"));
        let both: Vec<u8> = [a.0, b.0].concat();
        let by_hand: [u8; 32] = Sha256::digest([&[1], both.as_slice()].concat()).into();
        assert_eq!(Hash::node(&a, &b), Hash(by_hand));
        assert_ne!(Hash::node(&a, &b), Hash::leaf(&both));
        assert_ne!(Hash::node(&a, &b), Hash::node(&b, &a));
    }

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        let empty: [u8; 32] = Sha256::digest(b"").into();
        assert_eq!(Hash::EMPTY_ROOT, Hash(empty));
    }

    #[test]
    fn base64_has_one_spelling() {
        let hash = Hash::leaf(b"x");
        let text = hash.to_base64();
        assert_eq!((text.len(), Hash::from_base64(&text)), (44, Some(hash)));
        assert_eq!(hash.to_string(), text);
        for (at, _) in text.char_indices() {
            for with in ["A", "=", "!", "-", "\n", "é"] {
                let mut other = text.clone();
                other.replace_range(at..=at, with);
                assert!(
                    other == text || Hash::from_base64(&other) != Some(hash),
                    "{other}"
                );
            }
            assert_eq!(Hash::from_base64(&text[..at]), None);
        }
        assert_eq!(Hash::from_base64(&format!("{text}\n")), None);
        // 44 characters and 32 bytes too, with the padding in the middle.
        assert_eq!(Hash::from_base64(&format!("AAA={}", "A".repeat(40))), None);
        assert_eq!(Hash::from_base64(&format!("{}B=", "A".repeat(42))), None);
    }

    #[test]
    fn serializes_as_base64_and_debugs_short() {
        let hash = Hash::leaf(b"");
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(json, format!("\"{hash}\""));
        assert_eq!(serde_json::from_str::<Hash>(&json).unwrap(), hash);
        for bad in ["\"\"", "null", "[1]", "\"AAAA\""] {
            assert!(serde_json::from_str::<Hash>(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{hash:?}"), "Hash(bjQLnP+z…)");
    }
}
