//! The scheduled verification: what was trusted before is remembered, what is new
//! is verified, the report is sealed and mailed.
//!
//! Between two readings of the whole history, reading begins at the newest
//! checkpoint that an earlier run found in order, whose root is remembered outside
//! the sealed store: a history that was replaced below it contradicts it. Every
//! `scrub_days` all is read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use countersign_core::keys::KeyKind;
use countersign_core::merkle::Hash;
use countersign_core::signed::canonical;
use countersign_store::{HeadError, HeadStore, SwapError};
use serde::{Deserialize, Serialize};

use crate::attest::{self, AttestError};
use crate::chain::{Deployment, OpenError};
use crate::clock::Clock;
use crate::config::{MailWhen, ReportSettings};
use crate::keys::{KeyOpenError, named_signer};
use crate::mail::{self, Letter, MailError};
use crate::stores::AccessError;
use crate::verify::{self, Options, Progress, Report, Since, Verdict, VerifyError};

/// The key of what is remembered.
const STATE_KEY: &str = "verification";
const STATE_TYPE: &str = "verification/v1";

/// Findings that are remembered at most, to tell what is new.
const MAX_FINDINGS: usize = 200;

const DAY_MILLIS: u64 = 86_400_000;

/// What a run came to. The report stands whatever became of the rest.
#[derive(Debug)]
pub struct Run {
    /// The verification.
    pub report: Report,
    /// Where the report was sealed, if the settings say where.
    pub sealed: Option<String>,
    /// Whether it was mailed.
    pub mailed: bool,
    /// What could not be done beside.
    pub errors: Vec<RunError>,
}

impl Run {
    /// 0 verified and told; 1 failed; 2 incomplete, or not told.
    pub fn exit_code(&self) -> u8 {
        match self.report.exit_code() {
            0 if !self.errors.is_empty() => 2,
            code => code,
        }
    }
}

/// Why a run is not complete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is nothing to report.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The key of the reports cannot be used.
    #[error(transparent)]
    Key(#[from] KeyOpenError),
    /// A store cannot be reached.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The chain in whose store reports are sealed is not there.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The report was not sealed.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// The report was not mailed.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// What was remembered cannot be read: all is verified, as the first time.
    #[error("what earlier verifications found could not be read, and all was verified: {0}")]
    Load(#[from] HeadError),
    /// What was remembered is damaged: all is verified, as the first time.
    #[error(
        "what earlier verifications found is damaged ({0}), and all was verified: find out who wrote to {1}"
    )]
    Damaged(String, String),
    /// What was found is not remembered: the next run verifies it again.
    #[error("what was found is not remembered, so that the next run verifies it again: {0}")]
    Save(#[from] SwapError),
}

/// Verifies what is due, and tells.
///
/// # Errors
/// When there is nothing to report: the settings do not fit the stores.
pub async fn run(
    deployment: &Deployment,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<Run, RunError> {
    let settings = deployment.settings.report.as_ref();
    let mut errors = Vec::new();
    let mut memory = Memory::default();
    if let Some(report) = settings {
        match Memory::load(deployment, report).await {
            Ok(loaded) => memory = loaded,
            Err(error) => errors.push(error),
        }
    }
    let now = clock.unix_millis();
    let due = memory.scrub_is_due(now, deployment);
    let options = Options {
        trusted: match due {
            true => BTreeMap::new(),
            false => memory.trusted(),
        },
        ..Options::default()
    };
    let report = verify::verify(deployment, &options, clock, progress).await?;
    let findings = findings(&report);
    let before = memory
        .state
        .as_ref()
        .map(|state| (state.verdict.into(), &*state.findings));
    let changes = mail::changes(before, (report.result, &findings));

    let mut sealed = None;
    let mut envelope = None;
    if let Some(settings) = settings {
        match seal(deployment, settings, &report, clock).await {
            Ok((address, bytes)) => {
                sealed = Some(address);
                envelope = Some(bytes);
            }
            Err(error) => errors.push(error),
        }
    }
    let mut mailed = false;
    if let Some(mail) = &deployment.settings.mail
        && memory.mail_is_due(when(mail.when, settings), report.result, now)
    {
        let letter = Letter::of_report(&report, envelope.as_deref(), &changes);
        match mail::send(mail, &deployment.stores, &letter).await {
            Ok(()) => mailed = true,
            Err(error) => errors.push(error.into()),
        }
    }
    if let Some(store) = memory.store.take() {
        let state = memory.next(&report, findings, due, mailed, now);
        let bytes = Bytes::from(canonical(&state));
        let swapped = store.swap(STATE_KEY, memory.version.as_ref(), bytes).await;
        match swapped {
            // Another run was faster: what it remembers is as good.
            Ok(_) | Err(SwapError::Lost { .. }) => {}
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(Run {
        report,
        sealed,
        mailed,
        errors,
    })
}

/// A run that remembers nothing cannot know whether a week has passed: that all is
/// well is for the one to tell that seals the reports.
fn when(asked: MailWhen, reports: Option<&ReportSettings>) -> MailWhen {
    match (asked, reports) {
        (MailWhen::Weekly, None) => MailWhen::Failure,
        _ => asked,
    }
}

async fn seal(
    deployment: &Deployment,
    settings: &ReportSettings,
    report: &Report,
    clock: &dyn Clock,
) -> Result<(String, Bytes), RunError> {
    let chain = deployment.chains_named(&settings.chain)?;
    let Some(chain) = chain.first() else {
        return Err(OpenError::NoSuchChain {
            name: settings.chain.clone(),
            known: deployment.settings.chain_names().join(", "),
        }
        .into());
    };
    let name = settings.key_name(&deployment.settings.domain);
    let signer = named_signer(&settings.key, &name, KeyKind::Log, &deployment.stores).await?;
    let envelope = attest::sign(report, &*signer)
        .await
        .map_err(AttestError::from)?;
    let retention = chain.retention(clock.unix_millis());
    let (key, bytes) =
        attest::seal(&envelope, &report.finished_at, &*chain.sealed, retention).await?;
    Ok((format!("{}/{key}", chain.sealed.describe()), bytes))
}

/// `CHECK CODE of ORIGIN`, once each, those that fail.
fn findings(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    for chain in &report.chains {
        for check in &chain.checks {
            for finding in check.findings.iter().filter(|finding| finding.fails) {
                let (check, code) = (check.name.name(), finding.code);
                found.push(format!("{check} {code} of {}", chain.origin));
            }
        }
    }
    found.sort();
    found.dedup();
    found.truncate(MAX_FINDINGS);
    found
}

/// What earlier runs left, and where.
#[derive(Default)]
struct Memory {
    store: Option<Arc<dyn HeadStore>>,
    version: Option<countersign_store::Version>,
    state: Option<State>,
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct State {
    countersign: String,
    /// By origin.
    chains: BTreeMap<String, Trusted>,
    findings: Vec<String>,
    /// When all was read last: milliseconds since 1970; 0 for never.
    full_at_millis: u64,
    /// When a good report was mailed last.
    mailed_at_millis: u64,
    verdict: StoredVerdict,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Trusted {
    root: Hash,
    size: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum StoredVerdict {
    Verified,
    Failed,
    Incomplete,
}

impl Memory {
    async fn load(deployment: &Deployment, settings: &ReportSettings) -> Result<Self, RunError> {
        let store = deployment.stores.head(&settings.state).await?;
        let stored = store.load(STATE_KEY).await?;
        let mut memory = Self {
            version: stored.as_ref().map(|stored| stored.version.clone()),
            store: Some(store),
            state: None,
        };
        if let Some(stored) = stored {
            let read: Result<State, _> = serde_json::from_slice(&stored.bytes);
            memory.state = match read {
                Ok(state) if state.countersign == STATE_TYPE => Some(state),
                Ok(state) => return Err(memory.damaged(format!("it is a {}", state.countersign))),
                Err(error) => return Err(memory.damaged(error.to_string())),
            };
        }
        Ok(memory)
    }

    fn damaged(&self, problem: String) -> RunError {
        let place = self.store.as_ref().map(|store| store.describe());
        RunError::Damaged(problem, place.unwrap_or_default())
    }

    /// Whether the whole history is to be read again.
    fn scrub_is_due(&self, now: u64, deployment: &Deployment) -> bool {
        let days = u64::from(deployment.settings.scrub_days);
        let last = self.state.as_ref().map_or(0, |state| state.full_at_millis);
        // A failure is looked at whole, every time.
        let sound = self
            .state
            .as_ref()
            .is_some_and(|state| state.verdict == StoredVerdict::Verified);
        !sound || last > now || now - last >= days * DAY_MILLIS
    }

    fn trusted(&self) -> BTreeMap<String, Since> {
        let chains = self.state.iter().flat_map(|state| &state.chains);
        chains
            .map(|(origin, trusted)| {
                let since = Since {
                    size: trusted.size,
                    root: Some(trusted.root),
                };
                (origin.clone(), since)
            })
            .collect()
    }

    fn mail_is_due(&self, when: MailWhen, verdict: Verdict, now: u64) -> bool {
        let mailed = self
            .state
            .as_ref()
            .map_or(0, |state| state.mailed_at_millis);
        match (verdict, when) {
            (Verdict::Failed | Verdict::Incomplete, _) | (_, MailWhen::Always) => true,
            (Verdict::Verified, MailWhen::Failure) => false,
            (Verdict::Verified, MailWhen::Weekly) => mailed > now || now - mailed >= 7 * DAY_MILLIS,
        }
    }

    /// What is to be remembered now: of a chain in order its newest checkpoint;
    /// of another what was trusted before.
    fn next(
        &self,
        report: &Report,
        findings: Vec<String>,
        full: bool,
        mailed: bool,
        now: u64,
    ) -> State {
        let before = self.state.as_ref();
        let mut chains = before.map_or_else(BTreeMap::new, |state| state.chains.clone());
        let verified = report.result == Verdict::Verified;
        for chain in report.chains.iter().filter(|_| verified) {
            if let (size @ 1.., Some(root)) = (chain.published, chain.published_root) {
                chains.insert(chain.origin.clone(), Trusted { root, size });
            }
        }
        let good_mail = mailed && verified;
        State {
            countersign: STATE_TYPE.to_owned(),
            chains,
            findings,
            full_at_millis: match before {
                _ if full && verified => now,
                Some(state) => state.full_at_millis,
                None => 0,
            },
            mailed_at_millis: match before {
                _ if good_mail => now,
                Some(state) => state.mailed_at_millis,
                None => 0,
            },
            verdict: report.result.into(),
        }
    }
}

impl From<Verdict> for StoredVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Verified => Self::Verified,
            Verdict::Failed => Self::Failed,
            Verdict::Incomplete => Self::Incomplete,
        }
    }
}

impl From<StoredVerdict> for Verdict {
    fn from(verdict: StoredVerdict) -> Self {
        match verdict {
            StoredVerdict::Verified => Self::Verified,
            StoredVerdict::Failed => Self::Failed,
            StoredVerdict::Incomplete => Self::Incomplete,
        }
    }
}

#[cfg(test)]
mod tests;
