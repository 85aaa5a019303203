//! End-to-end tests over local folders and over the clouds' stores, and tests of
//! the stand-ins for the clouds.

#![allow(clippy::unwrap_used)] // a test may

#[cfg(feature = "emulators")]
mod clouds;
mod corpus;
#[cfg(feature = "emulators")]
mod functions;
mod infra;
mod packages;
mod proofs;
mod real;
mod stand_ins;
mod tamper;
