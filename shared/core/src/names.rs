//! Names of the objects in a sealed store. Sizes and indexes are 20 decimal
//! digits, so that names sort as numbers do.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::merkle::tile::TileId;

/// The genesis of the chain.
pub const GENESIS: &str = "genesis.json";

/// What an object's name says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// `genesis.json`
    Genesis,
    /// `segments/<start>.ndjson.zst`
    Segment {
        /// Index of its first leaf.
        start: u64,
    },
    /// `tile/<L>/<N>[.p/<W>]`
    Tile(TileId),
    /// `index/<size>.ndjson.zst`
    Index {
        /// The checkpoint's size.
        size: u64,
    },
    /// `checkpoints/<size>`
    Checkpoint {
        /// Its size.
        size: u64,
    },
    /// `anchors/<origin hash>/<size>.<unix seconds>`
    Anchor {
        /// Hex SHA-256 of the chain's origin.
        origin_hash: String,
        /// The checkpoint's size.
        size: u64,
        /// The cosignature's time in seconds since 1970.
        seconds: u64,
        /// Of an outside witness: its key id in hex.
        outside: Option<String>,
    },
    /// `evidence/…`: heads that contradict each other.
    Evidence,
    /// `reports/…`: sealed verification reports.
    Report,
}

impl Object {
    /// Reads a name; none if it belongs to no object of a sealed store.
    pub fn parse(name: &str) -> Option<Self> {
        if name == GENESIS {
            return Some(Self::Genesis);
        }
        let (folder, rest) = name.split_once('/')?;
        match folder {
            "segments" => Some(Self::Segment {
                start: number(rest.strip_suffix(".ndjson.zst")?)?,
            }),
            "tile" => TileId::parse(name).map(Self::Tile),
            "index" => Some(Self::Index {
                size: number(rest.strip_suffix(".ndjson.zst")?)?,
            }),
            "checkpoints" => Some(Self::Checkpoint {
                size: number(rest)?,
            }),
            "anchors" => anchor(rest),
            "evidence" => Some(Self::Evidence),
            "reports" => Some(Self::Report),
            _ => None,
        }
    }
}

/// `segments/<start>.ndjson.zst`
pub fn segment(start: u64) -> String {
    format!("segments/{start:020}.ndjson.zst")
}

/// `index/<size>.ndjson.zst`
pub fn index(size: u64) -> String {
    format!("index/{size:020}.ndjson.zst")
}

/// `checkpoints/<size>`
pub fn checkpoint(size: u64) -> String {
    format!("checkpoints/{size:020}")
}

/// `anchors/<hex SHA-256 of the origin>/`
pub fn anchors(origin: &str) -> String {
    format!("anchors/{}/", origin_hash(origin))
}

/// `anchors/<hex SHA-256 of the origin>/<size>.<unix seconds>`
pub fn anchor_of(origin: &str, size: u64, seconds: u64) -> String {
    format!("{}{size:020}.{seconds}", anchors(origin))
}

/// Hex SHA-256 of an origin.
pub fn origin_hash(origin: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(origin.as_bytes()))
}

/// Twenty decimal digits.
fn number(digits: &str) -> Option<u64> {
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

fn anchor(rest: &str) -> Option<Object> {
    let (origin_hash, name) = rest.split_once('/')?;
    if !is_hex(origin_hash, 64) {
        return None;
    }
    let mut parts = name.split('.');
    let size = number(parts.next()?)?;
    let seconds = parts.next()?;
    let outside = parts.next();
    if parts.next().is_some() || outside.is_some_and(|id| !is_hex(id, 8)) {
        return None;
    }
    let plain = seconds == "0" || !seconds.starts_with('0');
    if !plain || !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Object::Anchor {
        origin_hash: origin_hash.to_owned(),
        size,
        seconds: seconds.parse().ok()?,
        outside: outside.map(str::to_owned),
    })
}

/// Lower-case hex of that many digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == digits && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back_and_others_do_not_belong() {
        let hash = origin_hash("audit.example.org/aws");
        assert_eq!(
            Object::parse(&segment(7)),
            Some(Object::Segment { start: 7 })
        );
        assert_eq!(
            Object::parse(&index(u64::MAX)),
            Some(Object::Index { size: u64::MAX })
        );
        assert_eq!(
            Object::parse(&checkpoint(1)),
            Some(Object::Checkpoint { size: 1 })
        );
        let anchor = Object::Anchor {
            origin_hash: hash.clone(),
            size: 12,
            seconds: 1_700_000_000,
            outside: None,
        };
        assert_eq!(
            Object::parse(&anchor_of("audit.example.org/aws", 12, 1_700_000_000)),
            Some(anchor)
        );
        for name in [
            format!("anchors/{hash}/00000000000000000012.17.0a1b2c3d"),
            "evidence/x".into(),
            "tile/0/000".into(),
            GENESIS.into(),
        ] {
            assert!(Object::parse(&name).is_some(), "{name}");
        }
        for name in [
            "segments/7.ndjson.zst".into(),
            "segments/00000000000000000007.ndjson".into(),
            "segments/+0000000000000000007.ndjson.zst".into(),
            "segments/99999999999999999999.ndjson.zst".into(),
            "checkpoints/00000000000000000007.old".into(),
            "index/".into(),
            "genesis.json.bak".into(),
            "stray".into(),
            "tile/0/00".into(),
            "tile/entries/000".into(),
            format!("anchors/{hash}/00000000000000000012.017"),
            format!("anchors/{hash}/00000000000000000012"),
            format!("anchors/{hash}/00000000000000000012.17.0A1B2C3D"),
            format!("anchors/{}/00000000000000000012.17", &hash[1..]),
        ] {
            assert_eq!(Object::parse(&name), None, "{name}");
        }
    }
}
