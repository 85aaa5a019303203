//! The pure part of countersign: bytes in, bytes out.
//!
//! Canonical JSON, records, the Merkle log, signed notes, segments, proofs and
//! the decisions of a witness. No I/O, no clock, no randomness, no async: what
//! is nondeterministic is passed in.

pub mod json;
pub mod time;
