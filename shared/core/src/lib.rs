//! The pure part of countersign: bytes in, bytes out.
//!
//! Canonical JSON, records, the Merkle log, signed notes, segments, proofs and
//! the decisions of a witness. No I/O, no clock, no randomness, no async: what
//! is nondeterministic is passed in.

pub mod anchor;
mod base64;
pub mod checkpoint;
pub mod cosignature;
pub mod delivery;
pub mod genesis;
pub mod index;
pub mod json;
pub mod keys;
pub mod merkle;
pub mod names;
pub mod note;
pub mod policy;
pub mod proof;
pub mod record;
pub mod segment;
pub mod signed;
pub mod time;
pub mod tlog_proof;
pub mod witness;
#[cfg(test)]
mod worked_example;

#[cfg(test)]
mod format_example;
