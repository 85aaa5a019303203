//! `anchor`: publishes and witnesses every chain once.

use std::sync::Arc;

use countersign_core::time;
use countersign_service::anchor::{AnchorReport, anchor};
use countersign_service::clock::SystemClock;
use countersign_service::outside::OutsideResult;
use countersign_service::witness::Witnessing;

use super::deployment;
use crate::args::Common;
use crate::ui::{Failure, Out, Outcome, Status, say};

/// Publishes and witnesses.
///
/// # Errors
/// When keys or stores cannot be opened.
pub async fn run(common: &Common) -> Outcome {
    let deployment = deployment(common).await?;
    let report = anchor(&deployment, Arc::new(SystemClock))
        .await
        .map_err(Failure::undone)?;
    let mut out = Out::new();
    print(&report, &mut out);
    out.finish()?;
    Ok(match report.exit_code() {
        0 => Status::Well,
        1 => Status::Failed,
        _ => Status::Undone,
    })
}

/// What was done on stdout, what is wrong on stderr.
fn print(report: &AnchorReport, out: &mut Out) {
    for (origin, published) in &report.published {
        match published {
            Some(published) => out.line(format_args!(
                "published {origin} {} (was {})",
                published.size, published.from
            )),
            None => out.line(format_args!("unchanged {origin}")),
        }
    }
    for (witness, origin, witnessing) in &report.witnessed {
        match witnessing {
            Witnessing::Cosigned { size, seconds } => {
                let when = time::from_unix_seconds(*seconds);
                out.line(format_args!(
                    "cosigned {origin} {size} by {witness} at {when}"
                ));
            }
            Witnessing::Current { size } => {
                out.line(format_args!("current {origin} {size} by {witness}"));
            }
            Witnessing::NotPublished => {
                out.line(format_args!("unpublished {origin} for {witness}"));
            }
            Witnessing::Contradiction { problem, evidence } => say(format_args!(
                "countersign: ALARM: {witness} did not cosign {origin}: {problem}; both heads are kept in {evidence}: run verify"
            )),
            Witnessing::Suspect { problem } => say(format_args!(
                "countersign: ALARM: {witness} did not cosign {origin}: {problem}: run verify"
            )),
        }
    }
    for (url, origin, result) in &report.outside {
        match result {
            OutsideResult::Cosigned { size, seconds } => {
                let when = time::from_unix_seconds(*seconds);
                out.line(format_args!("cosigned {origin} {size} by {url} at {when}"));
            }
            OutsideResult::Current { size } => {
                out.line(format_args!("current {origin} {size} by {url}"));
            }
            OutsideResult::Ahead { size, seen } => out.line(format_args!(
                "current {origin} {size} by {url}, which saw {seen} already"
            )),
            OutsideResult::Failed { problem } => say(format_args!(
                "countersign: {url} did not cosign {origin}: {problem}; the next run asks again"
            )),
            OutsideResult::Contradiction { problem } => say(format_args!(
                "countersign: ALARM: {url} contradicts {origin}: {problem}: run verify"
            )),
        }
    }
    for (what, error) in &report.errors {
        say(format_args!("countersign: {what}: {error}"));
    }
}
