//! `init`: begins every new chain.

use countersign_service::clock::SystemClock;
use countersign_service::init::{InitError, init};

use super::settings;
use crate::args::{Common, Init};
use crate::ui::{Failure, Out, Outcome, Status, count, say};

/// Begins what was not begun.
///
/// # Errors
/// When there is nothing to begin, or it cannot be begun.
pub async fn run(common: &Common, args: &Init) -> Outcome {
    let settings = settings(common)?;
    let succeeds = args.succeeds.as_deref();
    let report = init(&settings, common.policy.as_deref(), succeeds, &SystemClock)
        .await
        .map_err(|error| match error {
            InitError::AlreadyInitialized => Failure::undone(format_args!(
                "{error}; for a new chain add its table to {} first",
                common.config.display()
            )),
            error => Failure::undone(error),
        })?;
    let mut out = Out::new();
    for origin in &report.chains {
        out.line(format_args!("begun {origin}"));
    }
    for path in &report.policies {
        out.line(format_args!("policy {}", path.display()));
    }
    out.finish()?;
    say(format_args!(
        "{} begun, {} made. Keep the policy files where no cloud administrator can change them; next: countersign seal",
        count(report.chains.len() as u64, "chain", "chains"),
        count(report.keys as u64, "key", "keys")
    ));
    Ok(Status::Well)
}
