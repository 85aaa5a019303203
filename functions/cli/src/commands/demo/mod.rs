//! `demo`: three clouds on this machine, sealed, countersigned, tampered with
//! and caught.

mod attack;
#[cfg(feature = "emulators")]
mod emulated;
mod stage;
mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_core::proof::ProofFile;
use countersign_service::chain::read_policy;
use countersign_service::stores::Stores;

use self::attack::ATTACKS;
use self::stage::Stage;
use self::world::World;
use super::check;
use crate::args::{Demo, DemoStores};
use crate::ui::{Failure, Outcome};

/// Plays it.
///
/// # Errors
/// When the folder is in use, or something on this machine stands in the way.
pub async fn run(args: &Demo) -> Outcome {
    match args.stores {
        DemoStores::Folders => on_folders(args).await,
        #[cfg(feature = "emulators")]
        DemoStores::Emulators => emulated::run(args).await,
        #[cfg(not(feature = "emulators"))]
        DemoStores::Emulators => Err(Failure::undone(
            "this countersign was built without the demo over emulators: run scripts/demo --stores emulators, or build it with --features emulators",
        )),
    }
}

async fn on_folders(args: &Demo) -> Outcome {
    let folder = folder(args.dir.as_deref())?;
    let mut stage = Stage::new();
    let world = World::new(&folder, Arc::new(Stores::default()));
    stage.line(&format!("A demonstration in {}", folder.display()));
    let logs = args.logs.as_deref();
    begin(&world, &world::on_folders(), logs, &mut stage, async || {
        world.remember_noon()
    })
    .await?;
    let index = prove(&world, &mut stage).await?;
    tamper(&world, index, &mut stage).await?;
    next_steps(&folder, &mut stage);
    stage.end()
}

/// A new folder, or one that is empty.
fn folder(dir: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(path) = dir else {
        let fresh = tempfile::Builder::new()
            .prefix("countersign-demo-")
            .tempdir();
        return fresh.map(tempfile::TempDir::keep).map_err(|error| {
            Failure::undone(format_args!(
                "no temporary folder to play in: {error}; give one with --dir"
            ))
        });
    };
    let cannot = |error: std::io::Error| {
        Failure::undone(format_args!("{} cannot be used: {error}", path.display()))
    };
    std::fs::create_dir_all(path).map_err(cannot)?;
    if std::fs::read_dir(path).map_err(cannot)?.next().is_some() {
        return Err(Failure::undone(format_args!(
            "{} is not empty, and nothing in it is touched: give a new folder",
            path.display()
        )));
    }
    Ok(path.to_owned())
}

/// Acts 1 to 3: a day of logs, sealed and countersigned twice.
async fn begin(
    world: &World,
    settings: &str,
    logs: Option<&Path>,
    stage: &mut Stage,
    at_noon: impl AsyncFnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    stage.act("Three chains, each witnessed by the two other clouds");
    for origin in world.init(settings).await? {
        stage.line(&format!("   begun {origin}"));
    }
    stage.act("A day of logs is sealed and countersigned, once at noon and once at night");
    let mut at_noon = Some(at_noon);
    for half in [0, 1] {
        for delivery in world.deliveries(half, logs)? {
            let (chain, from) = (delivery.chain, delivery.from.clone());
            let records = world.seal(delivery).await?;
            stage.line(&format!("   {chain:<6} {records} records of {from}"));
        }
        let cosigned = world.anchor().await?;
        stage.line(&format!(
            "   published; {cosigned} cosignatures by other clouds"
        ));
        if let Some(at_noon) = at_noon.take() {
            at_noon().await?;
        }
    }
    stage.act("Everything is verified against the policy");
    let judged = world.judge(world::REPORT).await?;
    stage.whole(&judged, "");
    Ok(())
}

/// Act 4: one record is proven to somebody who has no access to the chain.
async fn prove(world: &World, stage: &mut Stage) -> Result<u64, Failure> {
    stage.act("One record is proven to an auditor, who needs the proof and the policy alone");
    let index = world.find_stop_logging().await?;
    let proof = world.prove(index).await?;
    let bytes = world::read(&proof)?;
    let (policy, _) = read_policy(&world.auditors_policy()).map_err(Failure::undone)?;
    match ProofFile::check(&bytes, &policy) {
        Ok((file, proven)) => check::print(&file, &proven, &policy, "   ", &mut stage.out),
        Err(error) => {
            stage.expect(false);
            stage.line(&format!("   does not hold: {error}"));
        }
    }
    let forged = String::from_utf8_lossy(&bytes).replace("StopLogging", "StartLogging");
    let refused = ProofFile::check(forged.as_bytes(), &policy);
    stage.expect(refused.is_err());
    let word = stage.verdict(
        if refused.is_err() { "refused" } else { "TAKEN" },
        refused.is_err(),
    );
    stage.line(&format!(
        "   the same proof, with StopLogging made StartLogging: {word}"
    ));
    Ok(index)
}

/// Act 5: an administrator of one cloud changes history.
async fn tamper(world: &World, index: u64, stage: &mut Stage) -> Result<(), Failure> {
    stage.act("Now an administrator who holds the keys of aws tampers, each time in a fresh copy");
    let widest = ATTACKS.iter().map(|attack| attack.what().len()).max();
    let width = widest.unwrap_or_default();
    stage.table(width);
    for (nth, attack) in ATTACKS.into_iter().enumerate() {
        let copy = world.copy(&format!("{}-{}", nth + 1, attack.name()))?;
        attack.carry_out(&copy, index).await?;
        let judged = copy.judge(world::REPORT).await?;
        stage.row(attack.what(), width, attack.trace(), &judged);
    }
    Ok(())
}

fn next_steps(folder: &Path, stage: &mut Stage) {
    stage.act("Try next");
    let config = folder.join(world::CONFIG);
    let tampered = folder.join(world::TAMPERED);
    let (config, tampered) = (config.display(), tampered.display());
    for step in [
        format!("countersign log    --config {config}"),
        format!("countersign verify --config {config}"),
        format!(
            "countersign verify --config {tampered}/5-rebuilt/{}",
            world::CONFIG
        ),
        check_step(folder),
    ] {
        stage.line(&format!("   {step}"));
    }
    let report = |of: PathBuf| of.join(world::REPORT).display().to_string();
    stage.line(&format!(
        "   in a browser: {} and {}",
        report(folder.to_owned()),
        report(folder.join(world::TAMPERED).join("5-rebuilt"))
    ));
    stage.line(&format!(
        "   and tamper with {} yourself: can you do it unseen?",
        folder.join("data").display()
    ));
}

fn check_step(folder: &Path) -> String {
    format!(
        "countersign check {} --policy {}",
        folder.join(world::PROOF).display(),
        folder.join("countersign.aws.policy").display()
    )
}
