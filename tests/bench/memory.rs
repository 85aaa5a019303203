//! Peak memory of sealing and verifying, each in a process of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use countersign_service::anchor::anchor;
use countersign_service::chain::Deployment;
use countersign_service::clock::SystemClock;
use countersign_service::config::Settings;
use countersign_service::init::init;
use countersign_service::keys;
use countersign_service::seal::Sealer;
use countersign_service::verify::{self, Options, Verdict};
use tokio::runtime::Runtime;

use crate::corpus::Corpus;
use crate::world::{CHAIN, seal};

/// First argument of a process that is measured.
pub const CHILD: &str = "--measured";

/// One cloud in a folder: what is measured is one chain.
const SETTINGS: &str = "domain = \"audit.example.org\"\n[chain.aws]\nsealed = \"file:sealed\"\nhead = \"file:state\"\nkey = \"file:aws.seed\"\n";

/// Prints the peaks at 10^5 and 10^6 records.
pub fn print(path: &Path) -> Result<(), String> {
    println!("\npeak memory of a process (MB)       seal   verify");
    for records in [100_000, 1_000_000] {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        fs::write(folder.path().join("countersign.toml"), SETTINGS)
            .map_err(|error| error.to_string())?;
        let peak = |what: &str| measured(what, folder.path(), path);
        let sealed = peak(&records.to_string())?;
        let verified = peak("verify")?;
        println!("  {records:9} records               {sealed:6.0}   {verified:6.0}");
    }
    println!("  (wanted: equal within 20 %, seal below 128, verify below 512)");
    Ok(())
}

fn measured(what: &str, folder: &Path, path: &Path) -> Result<f64, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(this)
        .args([CHILD, what])
        .args([folder, path])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&child.stdout);
    let kilobytes: f64 = text.trim().parse().map_err(|_| {
        let talk = String::from_utf8_lossy(&child.stderr);
        format!("the measured process failed: {talk}")
    })?;
    Ok(kilobytes * 1024.0 / 1e6)
}

/// Seals that many records, or verifies, and prints this process's peak in KiB.
pub fn child(what: &str, folder: &Path, path: &Path) -> Result<(), String> {
    let runtime = countersign_service::runtime().map_err(|error| error.to_string())?;
    match what {
        "verify" => verify_all(&runtime, folder)?,
        records => {
            let records = records.parse().map_err(|_| "not a number of records")?;
            seal_all(&runtime, folder, &Corpus::read(path)?, records)?;
        }
    }
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.ok_or("this system does not tell a process's peak")?;
    println!("{}", peak.trim().trim_end_matches(" kB"));
    Ok(())
}

fn settings(folder: &Path) -> Result<Settings, String> {
    Settings::load(&folder.join("countersign.toml"), []).map_err(|error| error.to_string())
}

fn seal_all(
    runtime: &Runtime,
    folder: &Path,
    corpus: &Corpus,
    records: usize,
) -> Result<(), String> {
    let settings = settings(folder)?;
    runtime.block_on(async {
        let begun = init(&settings, None, None, &SystemClock).await;
        begun.map_err(|error| error.to_string())?;
        let deployment = Deployment::open(settings.clone(), None)
            .await
            .map_err(|error| error.to_string())?;
        let chain = deployment
            .chains_named(CHAIN)
            .map_err(|error| error.to_string())?[0]
            .clone();
        let signer = keys::chain_signer(&chain.settings, &deployment.stores).await;
        let signer = signer.map_err(|error| error.to_string())?;
        let sealer = Sealer::open(chain, signer, Arc::new(SystemClock), 12);
        let mut sealer = sealer.map_err(|error| error.to_string())?;
        seal(&mut sealer, corpus.deliveries(records)).await;
        let anchored = anchor(&deployment, Arc::new(SystemClock)).await;
        match anchored.map_err(|error| error.to_string())?.exit_code() {
            0 => Ok(()),
            _ => Err("the chain could not be published".into()),
        }
    })
}

fn verify_all(runtime: &Runtime, folder: &Path) -> Result<(), String> {
    let deployment = runtime
        .block_on(Deployment::open(settings(folder)?, None))
        .map_err(|error| error.to_string())?;
    let options = Options::default();
    let report = runtime.block_on(verify::verify(&deployment, &options, &SystemClock, &()));
    let report = report.map_err(|error| error.to_string())?;
    if report.result != Verdict::Verified {
        return Err(report.to_json());
    }
    Ok(())
}
