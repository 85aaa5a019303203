//! The report of a verification: exactly the JSON of the format, and what text
//! and HTML need beside it.

use countersign_core::keys::VerifierKey;
use countersign_core::merkle::Hash;
use countersign_core::record::Cloud;
use countersign_core::segment::body_sha256;
use serde::Serialize;
use std::borrow::Cow;

use super::checks::Check;
use super::requests::Requests;
use super::series::{Growth, Volume};
use crate::chain::Deployment;

/// What a verification came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All that was checked holds.
    Verified,
    /// The evidence contradicts.
    Failed,
    /// Something needed could not be read.
    Incomplete,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It does not apply to this store.
    Skip,
    /// What it needs could not be read.
    Unknown,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The history contradicts itself or its anchors.
    Critical,
    /// Evidence is missing or damaged.
    High,
    /// Protection is weaker than promised.
    Medium,
    /// Worth a look.
    Low,
    /// For information.
    Info,
}

/// A verification's outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The verdict.
    pub result: Verdict,
    /// When it began: RFC 3339.
    pub started_at: String,
    /// When it ended: RFC 3339.
    pub finished_at: String,
    /// The policy that was enforced.
    pub policy: PolicyReport,
    /// A report for each chain asked for.
    pub chains: Vec<ChainReport>,
    /// All anchors of these chains.
    pub anchors: Vec<AnchorReport>,
    /// The settings' domain, for the headline.
    #[serde(skip)]
    pub domain: String,
    /// The ages are taken from here: milliseconds since 1970.
    #[serde(skip)]
    pub judged_at_millis: i64,
    /// The command line that repeats this verification.
    #[serde(skip)]
    pub reproduce: String,
}

/// The policy that was enforced.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyReport {
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// In words.
    pub quorum: String,
    /// The chains' and witnesses' keys, as the policy pins them.
    #[serde(skip)]
    pub keys: Vec<KeyReport>,
}

/// A key that the policy pins.
#[derive(Debug, Clone)]
pub struct KeyReport {
    /// `log` or `witness`, as the policy says.
    pub role: &'static str,
    /// Its name.
    pub name: String,
    /// Its cloud, as the settings say; none for a witness outside all clouds.
    pub cloud: Option<Cloud>,
    /// Hex SHA-256 of its verifier key as text: name, key id and base64.
    pub sha256: String,
}

/// One chain's outcome.
#[derive(Debug, Clone, Serialize)]
pub struct ChainReport {
    /// The chain.
    pub origin: String,
    /// Leaves up to the end of its segments.
    pub size: u64,
    /// The newest checkpoint's size; 0 without one.
    pub published: u64,
    /// The root of the newest checkpoint.
    #[serde(skip)]
    pub published_root: Option<Hash>,
    /// The root at `size`, where it could be computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Hash>,
    /// Segments read.
    pub segments: u64,
    /// Records read.
    pub records: u64,
    /// Bytes of the segments, uncompressed.
    pub bytes: u64,
    /// Deliveries' parts that were sealed more than once.
    pub duplicates: u64,
    /// Requests that were sent to verify it.
    pub requests: Requests,
    /// All of them for each segment read, to two digits; none where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_segment: Option<f64>,
    /// Every check, in the design's order.
    pub checks: Vec<CheckReport>,
    /// The cloud it stands in.
    #[serde(skip)]
    pub cloud: Cloud,
    /// Where reading began: what stands before was taken as trusted.
    #[serde(skip)]
    pub since: u64,
    /// The key names of the witnesses of other clouds.
    #[serde(skip)]
    pub witnesses: Vec<String>,
    /// When its first and its last segment read were sealed, milliseconds since 1970.
    #[serde(skip)]
    pub span: Option<(i64, i64)>,
    /// Its size over time.
    #[serde(skip)]
    pub growth: Growth,
    /// Records by source over time.
    #[serde(skip)]
    pub volume: Volume,
}

/// One check's outcome.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub name: Check,
    /// How it ended.
    pub status: Status,
    /// Things looked at.
    pub checked: u64,
    /// Things that failed.
    pub failed: u64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Why it was skipped or is unknown, or a remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Something that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Its stable code.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The leaf, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The object, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to do next.
    pub next: Cow<'static, str>,
    /// The code in words.
    #[serde(skip)]
    pub title: &'static str,
    /// Whether it fails its check, or is a remark.
    #[serde(skip)]
    pub fails: bool,
}

/// One anchor.
#[derive(Debug, Clone, Serialize)]
pub struct AnchorReport {
    /// The anchored chain.
    pub origin: String,
    /// The witness's key name.
    pub witness: String,
    /// The anchored size.
    pub size: u64,
    /// The cosignature's time: RFC 3339.
    pub time: String,
    /// Seconds from the sealing of the last anchored segment to the cosignature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<i64>,
    /// Whether it holds.
    pub status: Status,
}

impl Report {
    /// 0 verified, 1 failed, 2 incomplete.
    pub fn exit_code(&self) -> u8 {
        match self.result {
            Verdict::Verified => 0,
            Verdict::Failed => 1,
            Verdict::Incomplete => 2,
        }
    }

    /// One line of JSON with its LF.
    pub fn to_json(&self) -> String {
        // These types serialize to JSON always: their keys are strings.
        let mut json = serde_json::to_string(self).unwrap_or_default();
        json.push('\n');
        json
    }

    /// The report for people: 80 columns, the verdict first and last.
    pub fn to_text(&self, colour: bool) -> String {
        super::text::render(self, colour)
    }

    /// The report for browsers: one file that loads nothing and runs nothing.
    /// It is well-formed XML but for its first line and the `meta` elements.
    pub fn to_html(&self) -> String {
        super::html::render(self)
    }
}

impl PolicyReport {
    /// Of a deployment's policy: the keys of its chains, and all witnesses'.
    pub(super) fn of(deployment: &Deployment) -> Self {
        let report = |role, key: &VerifierKey, cloud| KeyReport {
            role,
            name: key.name().to_owned(),
            cloud,
            sha256: body_sha256(key.to_string().as_bytes()),
        };
        let chains = deployment.chains.iter();
        let logs = chains.map(|chain| report("log", &chain.key, Some(chain.settings.cloud)));
        let witnesses = deployment.policy.witnesses().iter().map(|witness| {
            let mut known = deployment.witnesses.iter();
            let known = known.find(|known| known.key == witness.key);
            let cloud = known.map(|known| known.settings.cloud);
            report("witness", &witness.key, cloud)
        });
        Self {
            sha256: deployment.policy_sha256.clone(),
            quorum: deployment.policy.describe_quorum(),
            keys: logs.chain(witnesses).collect(),
        }
    }
}

impl Verdict {
    /// As headlines say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "VERIFIED",
            Self::Failed => "FAILED",
            Self::Incomplete => "INCOMPLETE",
        }
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Verified => "all that was checked holds",
            Self::Failed => "the evidence contradicts; see the findings",
            Self::Incomplete => "something needed could not be read; nothing read contradicts",
        }
    }
}

impl Severity {
    /// As reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

impl ChainReport {
    /// The outcome of one check.
    pub fn check(&self, check: Check) -> Option<&CheckReport> {
        self.checks.iter().find(|report| report.name == check)
    }
}
