//! What must hold of any input: the fuzzers (`tests/fuzz`) look for inputs of
//! which it does not, and the ordinary tests replay those kept in `tests/corpus`.
//!
//! A target panics where its property fails. Where an input only changes a valid
//! object, its first byte says how it is to be taken.

mod canonicalizer;
mod config;
mod note;
mod policy;
mod proof;
mod segment;
mod sources;
mod triggers;

use countersign_core::keys::{KeyKind, Seed, SeedSigner};

pub use canonicalizer::canonicalizer;
pub use config::config;
pub use note::note;
pub use policy::policy;
pub use proof::proof;
pub use segment::segment;
pub use sources::sources;
pub use triggers::triggers;

/// Panics where something does not hold of the input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also its folder's in `tests/corpus`.
pub const ALL: [(&str, Target); 8] = [
    ("canonicalizer", canonicalizer),
    ("config", config),
    ("note", note),
    ("policy", policy),
    ("proof", proof),
    ("segment", segment),
    ("sources", sources),
    ("triggers", triggers),
];

/// The chain of the valid objects that inputs change.
const ORIGIN: &str = "audit.example.org/aws";

/// Its key's seed, each byte.
const LOG_SEED: u8 = 1;

fn log() -> SeedSigner {
    SeedSigner::new(ORIGIN, KeyKind::Log, &Seed::from_bytes([LOG_SEED; 32])).unwrap()
}

/// A witness by its cloud's name and its seed's bytes.
fn witness(cloud: &str, seed: u8) -> SeedSigner {
    let name = format!("audit.example.org/witness/{cloud}");
    SeedSigner::new(&name, KeyKind::Witness, &Seed::from_bytes([seed; 32])).unwrap()
}

/// How an input is to be taken, and the rest of it.
fn mode(input: &[u8]) -> (u8, &[u8]) {
    input
        .split_first()
        .map_or((0, input), |(mode, rest)| (*mode, rest))
}

/// `base` with the changes of a script, four bytes each: what is done, where
/// (two bytes, big-endian), and with which byte.
fn edited(base: &[u8], script: &[u8]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for step in script.chunks_exact(4).take(64) {
        let at = usize::from(u16::from_be_bytes([step[1], step[2]])) % (bytes.len() + 1);
        let end = bytes.len().min(at + usize::from(step[3]));
        match step[0] % 6 {
            0 if at < bytes.len() => bytes[at] ^= step[3],
            1 if at < bytes.len() => bytes[at] = step[3],
            2 => bytes.insert(at, step[3]),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let run = bytes[at..end].to_vec();
                bytes.splice(at..at, run);
            }
            5 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}
