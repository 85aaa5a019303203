//! The jobs of countersign and their configuration: all that a function or the
//! command line calls. Functions are adapters around these.
//!
//! [`seal`] puts deliveries into a chain, [`anchor`] publishes chains and
//! witnesses those of other clouds, [`verify`] re-checks everything against a
//! pinned policy.

pub mod anchor;
pub mod attest;
pub mod chain;
pub mod clock;
pub mod config;
pub mod doctor;
mod files;
mod find;
#[cfg(feature = "function")]
pub mod function;
pub mod head;
pub mod init;
#[cfg(feature = "function")]
pub mod intake;
pub mod keys;
#[cfg(feature = "mail")]
pub mod mail;
pub mod objects;
pub mod outside;
mod printable;
pub mod prove;
pub mod publish;
#[cfg(feature = "mail")]
pub mod scheduled;
pub mod seal;
pub mod stores;
#[cfg(feature = "function")]
pub mod telemetry;
pub mod timeline;
pub mod verify;
pub mod witness;

use std::sync::OnceLock;

pub use printable::printable;

/// The runtime that programs run the jobs on.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = cores();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(cores)
        // Splitting takes a thread a core; files and the rest want some too. With
        // many more, the C library keeps memory for each of them.
        .max_blocking_threads(cores + 2)
        .build()
}

/// The threads that run at a time. Asked once: the system's answer takes a tenth of a
/// function's start.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(2, usize::from))
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;
