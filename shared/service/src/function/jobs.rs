//! The scheduled jobs: anchor and verify.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_core::record::Cloud;
use countersign_core::time;

use crate::anchor::{AnchorError, AnchorReport, Signers, anchor_with};
use crate::chain::Deployment;
use crate::clock::{Clock, SystemClock};
use crate::keys::{chain_signer, witness_signer};
use crate::mail::{self, Letter};
use crate::scheduled;
use crate::telemetry::{Metric, Platform, metrics};
use crate::verify::Verdict;
use crate::witness::Witnessing;

/// Publishes the chains of a cloud and witnesses those of the others, with the
/// keys of that cloud alone, and tells: what contradicts is mailed at once.
///
/// # Errors
/// A sentence, where something contradicts or could not be done, so that the
/// platform counts a failed run and its alarm fires.
pub async fn anchor(
    platform: Platform,
    deployment: &Deployment,
    cloud: Cloud,
) -> Result<(), String> {
    let report = match anchor_own(deployment, cloud).await {
        Ok(report) => report,
        Err(error) => {
            tracing::error!("{error}");
            return Err(error.to_string());
        }
    };
    let domain = &deployment.settings.domain;
    let alarms = tell_anchors(platform, domain, &report);
    if let (Some(settings), false) = (&deployment.settings.mail, alarms.is_empty()) {
        let what = "what a chain shows contradicts what was seen of it before";
        let letter = Letter::of_alarm(domain, what, &alarms);
        if let Err(error) = mail::send(settings, &deployment.stores, &letter).await {
            tracing::error!("the alarm was not mailed: {error}");
        }
    }
    match report.exit_code() {
        0 => Ok(()),
        1 => Err(format!("ALARM: {}", alarms.join("; "))),
        _ => {
            let errors = report
                .errors
                .iter()
                .map(|(on, error)| format!("{on}: {error}"));
            Err(errors.collect::<Vec<_>>().join("; "))
        }
    }
}

/// Verifies what is due, seals and mails the report, and tells.
///
/// # Errors
/// A sentence, where the verdict is not *verified*, or it could not be told.
pub async fn verify(platform: Platform, deployment: &Deployment) -> Result<(), String> {
    let run = match scheduled::run(deployment, &SystemClock, &()).await {
        Ok(run) => run,
        Err(error) => {
            tracing::error!("{error}");
            return Err(error.to_string());
        }
    };
    tell_verification(platform, &run);
    match run.exit_code() {
        0 => Ok(()),
        _ => {
            let verdict = format!(
                "{}: {}",
                run.report.result.word(),
                run.report.result.meaning()
            );
            let errors = run.errors.iter().map(ToString::to_string);
            Err(std::iter::once(verdict)
                .chain(errors)
                .collect::<Vec<_>>()
                .join("; "))
        }
    }
}

/// With the keys of one cloud alone.
async fn anchor_own(deployment: &Deployment, cloud: Cloud) -> Result<AnchorReport, AnchorError> {
    let mut signers = Signers::new();
    for chain in &deployment.chains {
        if chain.settings.cloud == cloud {
            let signer = chain_signer(&chain.settings, &deployment.stores).await?;
            signers.insert(chain.origin().to_owned(), signer);
        }
    }
    for witness in &deployment.witnesses {
        if witness.settings.cloud == cloud {
            let signer = witness_signer(&witness.settings, &deployment.stores).await?;
            signers.insert(witness.settings.key_name.clone(), signer);
        }
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(anchor_with(deployment, &signers, clock).await)
}

/// Tells in lines and metrics what an anchor run did; gives the lines of what
/// contradicts.
fn tell_anchors(platform: Platform, domain: &str, report: &AnchorReport) -> Vec<String> {
    let mut alarms = Vec::new();
    for (origin, published) in &report.published {
        let size = published.as_ref().map(|published| published.size);
        tracing::info!(origin, size, "published");
    }
    let mut anchored = 0;
    for (witness, origin, witnessing) in &report.witnessed {
        match witnessing {
            Witnessing::Contradiction { .. } | Witnessing::Suspect { .. } => {
                let line = format!("{witness} of {origin}: {witnessing}");
                tracing::error!(witness, origin, "{witnessing}");
                alarms.push(line);
            }
            other => {
                anchored += 1;
                tracing::info!(witness, origin, "{other}");
            }
        }
    }
    for (on, error) in &report.errors {
        tracing::error!(on, "{error}");
        if error.is_alarm() {
            alarms.push(format!("{on}: {error}"));
        }
    }
    let told = [
        Metric::count("ChainsPublished", report.published.len() as u64),
        Metric::count("ChainsWitnessed", anchored),
        Metric::count("Conflicts", alarms.len() as u64),
        Metric::count("AnchorErrors", report.errors.len() as u64),
    ];
    metrics(platform, domain, &told);
    alarms
}

/// Tells in a line and metrics what a scheduled verification came to.
fn tell_verification(platform: Platform, run: &scheduled::Run) {
    let report = &run.report;
    let failing: usize = report
        .chains
        .iter()
        .flat_map(|chain| &chain.checks)
        .map(|check| {
            check
                .findings
                .iter()
                .filter(|finding| finding.fails)
                .count()
        })
        .sum();
    let records: u64 = report.chains.iter().map(|chain| chain.records).sum();
    let (verdict, mailed) = (report.result.word(), run.mailed);
    let sealed = run.sealed.as_deref().unwrap_or("not");
    match report.result {
        Verdict::Verified => tracing::info!(verdict, records, mailed, sealed, "verified"),
        _ => tracing::error!(verdict, records, failing, mailed, sealed, "not verified"),
    }
    for error in &run.errors {
        tracing::error!("{error}");
    }
    // Of each pair of a chain and a witness the newest anchor.
    let judged = report.judged_at_millis;
    let mut newest = BTreeMap::new();
    for anchor in &report.anchors {
        if let Some(at) = time::parse(&anchor.time) {
            let known = newest
                .entry((&anchor.origin, &anchor.witness))
                .or_insert(i64::MIN);
            *known = (*known).max(at.unix_millis());
        }
    }
    let oldest = newest.values().min();
    let lag = oldest.map(|at| u64::try_from((judged - at) / 1000).unwrap_or(0));
    let mut told = vec![
        Metric::count("Verified", u64::from(report.result == Verdict::Verified)),
        Metric::count("Failed", u64::from(report.result == Verdict::Failed)),
        Metric::count(
            "Incomplete",
            u64::from(report.result == Verdict::Incomplete),
        ),
        Metric::count("RecordsVerified", records),
        Metric::count("FailingFindings", failing as u64),
    ];
    told.extend(lag.map(|lag| Metric::seconds("AnchorAge", lag)));
    metrics(platform, &report.domain, &told);
}
