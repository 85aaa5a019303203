//! What all exchanges have in common: their limits, and how they fail.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// The longest exchange, with all its calls. Each cloud's library waits longer
/// for credentials (8 s and more), so that what is told is what is known here.
pub(super) const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(7);

/// How long before their end credentials are renewed.
pub(super) const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// The largest token or answer with one, in bytes.
pub(super) const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// What another party said is repeated up to here, in characters.
const MAX_TOLD_CHARS: usize = 300;

/// A word longer than this may be a token: it is not repeated.
const MAX_WORD_CHARS: usize = 100;

/// Why the home cloud's identity opens no way into another cloud.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}; {next}", self.reason())]
pub(crate) struct FederationError {
    route: Route,
    pub(super) trouble: String,
    /// What a person should do.
    pub(crate) next: String,
    /// Whether it may go away by itself.
    pub(crate) transient: bool,
}

impl FederationError {
    /// What happened, without what to do.
    pub(crate) fn reason(&self) -> String {
        let Route { home, target } = self.route;
        format!(
            "the identity in {home} could not be exchanged for access to {target}: {}",
            self.trouble
        )
    }

    /// The one that caused an error, if one did.
    pub(crate) fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(found) = cause.downcast_ref() {
                return Some(found);
            }
            next = cause.source();
        }
        None
    }
}

/// From which cloud to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) home: &'static str,
    pub(super) target: &'static str,
}

#[cfg(feature = "aws")]
pub(super) const AWS: &str = "AWS";
#[cfg(feature = "azure")]
pub(super) const AZURE: &str = "Azure";
#[cfg(feature = "gcp")]
pub(super) const GCP: &str = "Google Cloud";

/// Why a step of an exchange failed.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) reason: String,
    pub(super) next: String,
    pub(super) transient: bool,
}

impl Trouble {
    /// A person must act.
    pub(super) fn refused(reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            next: next.into(),
            transient: false,
        }
    }

    /// It may go away by itself.
    pub(super) fn transient(reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            transient: true,
            ..Self::refused(reason, next)
        }
    }

    pub(super) fn on(self, route: Route) -> FederationError {
        FederationError {
            route,
            trouble: self.reason,
            next: self.next,
            transient: self.transient,
        }
    }
}

/// What proves the home identity to another cloud.
#[async_trait]
pub(super) trait IdentityToken: Debug + Send + Sync {
    /// A new proof, or one that is good for some minutes yet.
    async fn identity_token(&self) -> Result<Zeroizing<String>, Trouble>;
}

/// The exchange, or why it did not come about in time. `tried` is what may be
/// silent: `the metadata server and AWS STS`.
pub(super) async fn in_time<T>(
    work: impl Future<Output = Result<T, Trouble>>,
    tried: &str,
) -> Result<T, Trouble> {
    until(Instant::now() + EXCHANGE_TIMEOUT, work, tried).await
}

/// The same of one that began earlier.
pub(super) async fn until<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Trouble>>,
    tried: &str,
) -> Result<T, Trouble> {
    let late = |_| {
        Err(Trouble::transient(
            format!(
                "no answer within {} s from {tried}",
                EXCHANGE_TIMEOUT.as_secs()
            ),
            "check the network, DNS and firewalls; it may be tried again",
        ))
    };
    timeout_at(deadline, work).await.unwrap_or_else(late)
}

/// What another party said, in one short line. Long words are left out, and the
/// last one where the text was cut: they may be the tokens it was sent.
pub(super) fn told(text: &str) -> String {
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .map(|word| match word.chars().count() {
            ..=MAX_WORD_CHARS => word,
            _ => "…",
        });
    let mut words: Vec<_> = words.collect();
    if words.last() == Some(&"...") {
        words.truncate(words.len().saturating_sub(2));
        words.push("…");
    }
    let line = words.join(" ");
    if line.chars().count() <= MAX_TOLD_CHARS {
        return line;
    }
    let short = line.chars().take(MAX_TOLD_CHARS);
    short.chain(" …".chars()).collect()
}
