//! Three clouds, whose settings, keys' policy and reports are in a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_service::anchor::{Signers, anchor, anchor_with};
use countersign_service::chain::Deployment;
use countersign_service::clock::SystemClock;
use countersign_service::config::Settings;
use countersign_service::init::init_with;
use countersign_service::keys::{chain_signer, witness_signer};
use countersign_service::prove::prove;
use countersign_service::seal::{Incoming, Job};
use countersign_service::stores::Stores;
use countersign_service::timeline::Timeline;
use countersign_service::verify;
use countersign_service::witness::Witnessing;
use serde_json::Value;

use super::super::seal::sealers;
use crate::ui::Failure;

/// The settings file.
pub const CONFIG: &str = "countersign.toml";
/// The proof of one record.
pub const PROOF: &str = "proof.json";
/// What verify said last, as a page.
pub const REPORT: &str = "report.html";
/// Where the tampered copies are.
pub const TAMPERED: &str = "tampered";
/// A copy of what aws stored at noon.
const NOON: &str = "aws-at-noon";

/// The clouds, each with its logs of a day.
const CLOUDS: [(&str, &str, &str); 3] = [
    (
        "aws",
        "aws-cloudtrail.json",
        include_str!("../../../samples/aws-cloudtrail.json"),
    ),
    (
        "azure",
        "azure-activity.ndjson",
        include_str!("../../../samples/azure-activity.ndjson"),
    ),
    (
        "gcp",
        "gcp-audit.ndjson",
        include_str!("../../../samples/gcp-audit.ndjson"),
    ),
];

/// Appears in the first line of the afternoon, in each of the logs.
const NOON_MARK: &str = "2026-11-23T12:";

/// The files of real logs that are looked for in a folder of them.
const REAL_LOGS: [(&str, &str); 3] = [
    ("aws", "cloudtrail.ndjson"),
    ("azure", "azure.ndjson"),
    ("gcp", "gcp_audit.ndjson"),
];

/// A folder with three clouds, or the settings of three elsewhere.
pub struct World {
    folder: PathBuf,
    stores: Arc<Stores>,
}

/// What a cloud hands over to be sealed.
pub struct Delivery {
    /// The chain.
    pub chain: &'static str,
    /// Where it is from, for people.
    pub from: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// What verify says.
pub struct Judged {
    /// The verdict.
    pub result: String,
    /// Records in all chains.
    pub records: u64,
    /// Segments in all chains.
    pub segments: u64,
    /// The checks that failed.
    pub failing: Vec<Failing>,
}

/// A check that failed.
pub struct Failing {
    /// The chain.
    pub origin: String,
    /// The check.
    pub check: String,
    /// Codes of what it found, each once.
    pub codes: Vec<String>,
    /// Why it is not known, where that is so.
    pub reason: String,
}

impl World {
    /// In that folder, with its stores opened so.
    pub fn new(folder: &Path, stores: Arc<Stores>) -> Self {
        Self {
            folder: folder.to_owned(),
            stores,
        }
    }

    /// A path in the folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// Writes the settings and begins the chains; gives their origins.
    pub async fn init(&self, settings: &str) -> Result<Vec<String>, Failure> {
        doing("made", &self.folder, fs::create_dir_all(&self.folder))?;
        let config = self.path(CONFIG);
        doing("written", &config, fs::write(&config, settings))?;
        let settings = self.settings()?;
        let report = init_with(&settings, None, None, &SystemClock, &self.stores).await;
        Ok(report.map_err(Failure::undone)?.chains)
    }

    fn settings(&self) -> Result<Settings, Failure> {
        // Not the environment's: it may be that of another deployment.
        Settings::load(&self.path(CONFIG), []).map_err(Failure::undone)
    }

    /// The open deployment.
    pub async fn deployment(&self) -> Result<Deployment, Failure> {
        let stores = Arc::clone(&self.stores);
        let opened = Deployment::open_with(self.settings()?, None, stores).await;
        opened.map_err(Failure::undone)
    }

    /// What the clouds hand over in half a day, which is kept in the folder, and
    /// in the second half the real logs of `logs`.
    pub fn deliveries(&self, half: usize, logs: Option<&Path>) -> Result<Vec<Delivery>, Failure> {
        let mut deliveries = Vec::new();
        for (chain, file, sample) in CLOUDS {
            let bytes = halves(sample)[half].clone().into_bytes();
            let from = format!("logs/{half}/{file}");
            let path = self.path(&from);
            if let Some(parent) = path.parent() {
                doing("made", parent, fs::create_dir_all(parent))?;
            }
            doing("written", &path, fs::write(&path, &bytes))?;
            deliveries.push(Delivery { chain, from, bytes });
        }
        let Some(logs) = logs.filter(|_| half == 1) else {
            return Ok(deliveries);
        };
        let found = REAL_LOGS.map(|(chain, file)| (chain, file, logs.join(file)));
        if found.iter().all(|(.., path)| !path.is_file()) {
            return Err(Failure::undone(format_args!(
                "{} holds none of cloudtrail.ndjson, azure.ndjson and gcp_audit.ndjson: give another folder with --logs, or none",
                logs.display()
            )));
        }
        for (chain, file, path) in found {
            if path.is_file() {
                deliveries.push(Delivery {
                    chain,
                    from: file.to_owned(),
                    bytes: read(&path)?,
                });
            }
        }
        Ok(deliveries)
    }

    /// Seals a delivery; gives the number of its records.
    pub async fn seal(&self, delivery: Delivery) -> Result<u64, Failure> {
        let deployment = self.deployment().await?;
        let mut sealers = sealers(&deployment, delivery.chain).await?;
        let mut job = Job::new(&mut sealers, deployment.settings.max_input_bytes);
        let incoming = Incoming {
            from: delivery.from,
            id: None,
            input: Box::new(delivery.bytes),
        };
        let mut receipts = job.add(incoming).await.map_err(Failure::undone)?;
        receipts.extend(job.finish().await.map_err(Failure::undone)?);
        Ok(receipts.iter().map(|receipt| receipt.records).sum())
    }

    /// Runs anchor in all clouds; gives the number of new cosignatures.
    pub async fn anchor(&self) -> Result<usize, Failure> {
        let report = anchor(&self.deployment().await?, Arc::new(SystemClock)).await;
        let report = report.map_err(Failure::undone)?;
        if let Some((what, error)) = report.errors.first() {
            return Err(Failure::undone(format_args!("{what}: {error}")));
        }
        let cosigned = |what: &Witnessing| matches!(what, Witnessing::Cosigned { .. });
        Ok(report
            .witnessed
            .iter()
            .filter(|(_, _, what)| cosigned(what))
            .count())
    }

    /// Runs anchor with the keys of aws alone.
    pub async fn anchor_aws_alone(&self) -> Result<(), Failure> {
        let deployment = self.deployment().await?;
        let mut signers = Signers::new();
        for chain in deployment.chains_named("aws").map_err(Failure::undone)? {
            let signer = chain_signer(&chain.settings, &deployment.stores).await;
            signers.insert(chain.origin().to_owned(), signer.map_err(Failure::undone)?);
        }
        for witness in deployment
            .witnesses
            .iter()
            .filter(|witness| witness.settings.name == "aws")
        {
            let signer = witness_signer(&witness.settings, &deployment.stores).await;
            let signer = signer.map_err(Failure::undone)?;
            signers.insert(witness.settings.key_name.clone(), signer);
        }
        // What it complains of is the forger's trouble.
        anchor_with(&deployment, &signers, Arc::new(SystemClock)).await;
        Ok(())
    }

    /// Keeps a copy of what aws stores now.
    pub fn remember_noon(&self) -> Result<(), Failure> {
        copy_tree(&self.path("data/aws"), &self.path(NOON))
    }

    /// Verifies everything, and keeps the report as that page of the folder.
    pub async fn judge(&self, page: &str) -> Result<Judged, Failure> {
        self.judge_into(&self.path(page)).await
    }

    /// Verifies everything, and keeps the report as that page.
    pub async fn judge_into(&self, page: &Path) -> Result<Judged, Failure> {
        let deployment = self.deployment().await?;
        let options = verify::Options::default();
        let report = verify::verify(&deployment, &options, &SystemClock, &()).await;
        let report = report.map_err(Failure::undone)?;
        if let Some(parent) = page.parent() {
            doing("made", parent, fs::create_dir_all(parent))?;
        }
        doing("written", page, fs::write(page, report.to_html()))?;
        let report: Value = serde_json::from_str(&report.to_json()).map_err(Failure::undone)?;
        Ok(Judged::read(&report))
    }

    /// The record in which the attacker stops the trail.
    pub async fn find_stop_logging(&self) -> Result<u64, Failure> {
        let deployment = self.deployment().await?;
        let aws = deployment.chains_named("aws").map_err(Failure::undone)?;
        let (timeline, problems) =
            Timeline::collect(aws.into_iter().cloned().collect(), None, |_| ()).await;
        if let Some(problem) = problems.first() {
            return Err(Failure::failed(problem));
        }
        let mut found = None;
        let read = timeline.read(|entry| {
            let event: Value =
                serde_json::from_slice(&entry.record.event_bytes()).unwrap_or_default();
            let stopped = event["eventName"] == "StopLogging" && event["errorCode"].is_null();
            found = stopped.then_some(entry.index);
            found.is_none()
        });
        read.await.map_err(Failure::undone)?;
        found.ok_or_else(|| Failure::failed("the samples hold no StopLogging"))
    }

    /// Writes the proof of a record of aws; gives its path.
    pub async fn prove(&self, index: u64) -> Result<PathBuf, Failure> {
        let deployment = self.deployment().await?;
        let aws = deployment.chains_named("aws").map_err(Failure::undone)?;
        let Some(chain) = aws.first() else {
            return Err(Failure::failed("there is no chain aws"));
        };
        let proof = prove(&deployment, chain, index)
            .await
            .map_err(Failure::undone)?;
        let path = self.path(PROOF);
        doing("written", &path, fs::write(&path, proof.file.to_bytes()))?;
        Ok(path)
    }

    /// What an auditor of aws gets.
    pub fn auditors_policy(&self) -> PathBuf {
        self.path("countersign.aws.policy")
    }

    /// A copy of all, to be tampered with.
    pub fn copy(&self, name: &str) -> Result<Self, Failure> {
        let folder = self.path(TAMPERED).join(name);
        for part in [CONFIG, "countersign.policy", "keys", "data", NOON] {
            copy_tree(&self.path(part), &folder.join(part))?;
        }
        Ok(Self::new(&folder, Arc::clone(&self.stores)))
    }

    /// Puts back what aws stored at noon.
    pub fn restore_noon(&self) -> Result<(), Failure> {
        remove(&self.path("data/aws"))?;
        copy_tree(&self.path(NOON), &self.path("data/aws"))
    }

    /// The logs that aws delivered, half a day each.
    pub fn deliveries_of_aws() -> [String; 2] {
        halves(CLOUDS[0].2)
    }
}

impl Judged {
    fn read(report: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let empty = Vec::new();
        let list = |value: &Value| value.as_array().unwrap_or(&empty).clone();
        let chains = list(&report["chains"]);
        let sum = |name: &str| chains.iter().filter_map(|chain| chain[name].as_u64()).sum();
        let mut failing = Vec::new();
        for chain in &chains {
            for check in list(&chain["checks"]) {
                if check["status"] == "fail" || check["status"] == "unknown" {
                    let findings = list(&check["findings"]);
                    let mut codes: Vec<_> =
                        findings.iter().map(|found| text(&found["code"])).collect();
                    codes.dedup();
                    failing.push(Failing {
                        origin: text(&chain["origin"]),
                        check: text(&check["name"]),
                        codes,
                        reason: text(&check["reason"]),
                    });
                }
            }
        }
        Self {
            result: text(&report["result"]),
            records: sum("records"),
            segments: sum("segments"),
            failing,
        }
    }
}

/// The settings of three clouds in the folder itself.
pub fn on_folders() -> String {
    let mut text = "# Three clouds on local folders.\ndomain = \"audit.example.org\"\n".to_owned();
    for (cloud, ..) in CLOUDS {
        text += &format!(
            "\n[chain.{cloud}]\n\
             sealed = \"file:data/{cloud}/sealed\"\n\
             head = \"file:data/{cloud}/state\"\n\
             key = \"file:keys/{cloud}.seed\"\n\n\
             [witness.{cloud}]\n\
             sealed = \"file:data/{cloud}/sealed\"\n\
             state = \"file:data/{cloud}/state\"\n\
             key = \"file:keys/{cloud}-witness.seed\"\n"
        );
    }
    text
}

/// A sample's morning and afternoon, each a delivery of its kind.
fn halves(sample: &str) -> [String; 2] {
    let lines: Vec<&str> = sample.lines().collect();
    let noon = lines.iter().position(|line| line.contains(NOON_MARK));
    let (morning, afternoon) = lines.split_at(noon.unwrap_or(lines.len() / 2));
    if lines.first() == Some(&"{\"Records\":[") {
        let document = |records: &[&str]| {
            let records = records.join("\n");
            format!("{{\"Records\":[\n{}\n]}}\n", records.trim_end_matches(','))
        };
        let end = afternoon.len().saturating_sub(1);
        [document(&morning[1..]), document(&afternoon[..end])]
    } else {
        [morning.join("\n") + "\n", afternoon.join("\n") + "\n"]
    }
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    doing("read", path, fs::read(path))
}

/// Replaces a file, whoever may write it.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    doing("removed", path, fs::remove_file(path))?;
    doing("written", path, fs::write(path, bytes))
}

/// Removes a file or folder, if it is there.
pub fn remove(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        doing("removed", path, fs::remove_dir_all(path))
    } else if path.exists() {
        doing("removed", path, fs::remove_file(path))
    } else {
        Ok(())
    }
}

/// The files of a folder, by name.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let list = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut files = doing("listed", path, list())?;
    files.sort();
    Ok(files)
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Failure> {
    if from.is_dir() {
        doing("made", to, fs::create_dir_all(to))?;
        for file in files(from)? {
            if let Some(name) = file.file_name() {
                copy_tree(&file, &to.join(name))?;
            }
        }
        Ok(())
    } else {
        if let Some(parent) = to.parent() {
            doing("made", parent, fs::create_dir_all(parent))?;
        }
        doing("copied", from, fs::copy(from, to)).map(|_| ())
    }
}

/// Says what could not be done to which path.
pub fn doing<T>(what: &str, path: &Path, result: io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| {
        Failure::undone(format_args!("{} cannot be {what}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_day_hold_all_of_it() {
        for (_, _, sample) in CLOUDS {
            let records = |text: &str| text.matches("2026-11-23T").count();
            let [morning, afternoon] = halves(sample);
            assert!(records(&morning) > 0 && records(&afternoon) > 0);
            assert_eq!(records(&morning) + records(&afternoon), records(sample));
        }
        for half in halves(CLOUDS[0].2) {
            let document: Value = serde_json::from_str(&half).unwrap();
            assert!(document["Records"].as_array().unwrap().len() > 20);
        }
        assert!(halves(CLOUDS[0].2)[1].contains("\"StopLogging\""));
    }
}
