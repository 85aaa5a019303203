//! What the functions of every cloud do alike: find their settings, open the chain
//! of their own cloud, run a job and tell how it went.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use countersign_core::record::Cloud;
use countersign_store::StoreAddress;
use tokio::signal::unix::{SignalKind, signal};

use crate::chain::OpenError;
use crate::config::{ConfigError, DEFAULT_FILE, Settings};
use crate::intake::IntakeOpenError;
use crate::telemetry::{self, Platform};

mod dead_letters;
#[cfg(feature = "mail")]
mod jobs;
mod sealing;
pub use dead_letters::{DeadLetterError, DeadLetters};
#[cfg(feature = "mail")]
pub use jobs::{anchor, verify};
pub use sealing::Sealing;

/// Names the settings file; `countersign.toml` in the working folder where it is
/// not set.
const CONFIG: &str = "COUNTERSIGN_CONFIG";

/// Names the chain that a seal function writes; not needed where its cloud has one
/// alone.
const CHAIN: &str = "COUNTERSIGN_SEAL_CHAIN";

/// Why a function cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The stores.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The chain or its key.
    #[error(transparent)]
    Intake(#[from] IntakeOpenError),
    /// Which chain is meant.
    #[error(
        "{CHAIN} is to name the chain that this function writes: the settings have {found} of {cloud}"
    )]
    Chain {
        /// The function's cloud.
        cloud: Cloud,
        /// `none`, or several.
        found: String,
    },
}

/// What the program of a function does first and last: it sets up what is told to
/// the platform, runs, and tells why it ends, if that was not asked of it.
pub fn run<E: Display + From<io::Error>>(
    platform: Platform,
    work: impl Future<Output = Result<(), E>>,
) -> ExitCode {
    telemetry::init(platform);
    let runtime = crate::runtime().map_err(E::from);
    match runtime.and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the function ends: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until the platform ends the process: what runs is then to be finished.
pub async fn ended() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        // Where it cannot be waited for, it ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}

/// Reads the settings as the environment says.
///
/// # Errors
/// When they are not in order.
pub fn settings() -> Result<Settings, ConfigError> {
    let path = std::env::var_os(CONFIG).map_or_else(|| PathBuf::from(DEFAULT_FILE), PathBuf::from);
    Settings::load(&path, std::env::vars())
}

/// The buckets and containers that countersign writes itself.
pub fn own_buckets(settings: &Settings) -> Vec<String> {
    let of_chains = settings.chains.iter().map(|chain| &chain.sealed);
    let of_witnesses = settings.witnesses.iter().map(|witness| &witness.sealed);
    let heads = settings.chains.iter().map(|chain| &chain.head);
    let mut names: Vec<String> = of_chains
        .chain(of_witnesses)
        .chain(heads)
        .filter_map(|address| match address {
            StoreAddress::S3(bucket) | StoreAddress::Gcs(bucket) => Some(bucket.name.clone()),
            StoreAddress::AzureBlob { container, .. } => Some(container.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
