//! End-to-end tests over local folders.

#![allow(clippy::unwrap_used)] // a test may

mod corpus;
mod proofs;
mod real;
mod tamper;
