//! The jobs of countersign and their configuration: all that a function or the
//! command line calls. Functions are adapters around these.
//!
//! [`seal`] puts deliveries into a chain, [`anchor`] publishes chains and
//! witnesses those of other clouds, [`verify`] re-checks everything against a
//! pinned policy.

pub mod anchor;
pub mod chain;
pub mod clock;
pub mod config;
mod find;
pub mod head;
pub mod init;
pub mod keys;
pub mod objects;
pub mod outside;
pub mod prove;
pub mod publish;
pub mod seal;
pub mod terminal;
pub mod timeline;
pub mod verify;
pub mod witness;

#[cfg(test)]
mod testing;
