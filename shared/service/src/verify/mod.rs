//! Verification: everything that is stored, against a pinned policy.
//!
//! Heads are read first and again last; names are listed in the reverse order of
//! their writing, segments last; segments are read in parallel and hashed into
//! the tree in order (`walk`); all else is compared with that tree. What
//! could not be read is told apart from what contradicts.

mod anchors;
mod checks;
mod codes;
mod fetch;
mod heads;
mod history;
mod html;
mod match_anchors;
mod names;
mod posture;
mod published;
mod read;
mod report;
mod requests;
mod room;
mod run;
mod series;
mod since;
pub(crate) mod summary;
mod text;
mod tiles;
mod volume;
mod walk;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use countersign_core::merkle::Hash;

use crate::chain::{Deployment, OpenError};
use crate::clock::Clock;

pub use checks::Check;
pub use report::{
    AnchorReport, ChainReport, CheckReport, Finding, KeyReport, PolicyReport, Report, Severity,
    Status, Verdict,
};
pub use requests::Requests;
pub use series::{Break, Growth, Point, SourceVolume, Volume};

/// What is verified, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One chain by name (or all its shards); all of them otherwise. The others
    /// are read too, since their records hold its anchors.
    pub chain: Option<String>,
    /// Begin at a size that is trusted.
    pub since: Option<Since>,
    /// The same for several chains, by origin: what a schedule remembers.
    pub trusted: BTreeMap<String, Since>,
    /// Milliseconds since 1970 that ages are taken from instead of now.
    pub at_millis: Option<u64>,
    /// Objects that are asked for at a time; as many as suit the store where none
    /// is given. How many segments are open at a time follows the cores and the
    /// memory that is allowed.
    pub concurrency: Option<usize>,
}

/// A size that is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Leaves before it are not read again.
    pub size: u64,
    /// The root at that size; otherwise the checkpoint there needs a quorum.
    pub root: Option<Hash>,
}

/// Where a verification tells how far it is.
pub trait Progress: Send + Sync {
    /// Segments to read in all, and the bytes of their objects.
    fn total(&self, _objects: u64, _bytes: u64) {}
    /// So many more were read.
    fn advanced(&self, _objects: u64, _bytes: u64) {}
}

impl Progress for () {}

/// Why there is nothing to report: the question cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No chain of that name.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A size is one chain's.
    #[error("--since is a size of one chain: name it with --chain")]
    SinceNeedsChain,
    /// No segment begins there.
    #[error(
        "--since {size}: no segment of {origin} begins there; give the size of a checkpoint, or of an earlier report"
    )]
    SinceNoBoundary {
        /// The size asked for.
        size: u64,
        /// The chain.
        origin: String,
    },
    /// Nothing vouches for the history before that size.
    #[error(
        "--since {size}: {origin} has no checkpoint there with the policy's quorum; give its root as --since {size}:ROOT, or verify from the beginning"
    )]
    SinceUntrusted {
        /// The size asked for.
        size: u64,
        /// The chain.
        origin: String,
    },
}

/// Verifies a deployment.
///
/// What cannot be read is in the report, as `incomplete`, not an error.
///
/// # Errors
/// When the question itself is wrong: see [`VerifyError`].
pub async fn verify(
    deployment: &Deployment,
    options: &Options,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<Report, VerifyError> {
    run::run(deployment, options, clock, progress).await
}
