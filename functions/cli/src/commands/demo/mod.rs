//! `demo`: three clouds on this machine, sealed, countersigned, tampered with
//! and caught.

mod attack;
mod world;

use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use countersign_core::proof::ProofFile;
use countersign_service::chain::read_policy;

use self::attack::{ATTACKS, Attack};
use self::world::World;
use super::check;
use crate::args::Demo;
use crate::ui::{Failure, Out, Outcome, Status, stdout_takes_colour, styled};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEADLINE: Style = Style::new().bold();

/// Plays it.
///
/// # Errors
/// When the folder is in use, or something on this machine stands in the way.
pub async fn run(args: &Demo) -> Outcome {
    let folder = folder(args.dir.as_deref())?;
    let mut stage = Stage {
        out: Out::new(),
        colour: stdout_takes_colour(),
        act: 0,
        as_expected: true,
    };
    let world = World::new(&folder);
    stage.line(&format!("A demonstration in {}", folder.display()));
    begin(&world, &mut stage).await?;
    let index = prove(&world, &mut stage).await?;
    tamper(&world, index, &mut stage).await?;
    next_steps(&folder, &mut stage);
    let as_expected = stage.as_expected;
    stage.out.finish()?;
    if as_expected {
        Ok(Status::Well)
    } else {
        Err(Failure::failed(
            "not everything came out as expected (see above): this is a fault of countersign",
        ))
    }
}

/// Where it is told what happens.
struct Stage {
    out: Out,
    colour: bool,
    act: usize,
    as_expected: bool,
}

impl Stage {
    fn act(&mut self, title: &str) {
        self.act += 1;
        let title = format!("{}  {title}", self.act);
        let title = styled(&title, HEADLINE, self.colour);
        self.out.line(format_args!("\n{title}"));
    }

    fn line(&mut self, text: &str) {
        self.out.line(format_args!("{text}"));
        // What takes long comes after it.
        self.out.flush();
    }

    fn expect(&mut self, holds: bool) {
        self.as_expected &= holds;
    }

    fn verdict(&self, text: &str, good: bool) -> String {
        styled(text, if good { GOOD } else { BAD }, self.colour)
    }
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
async fn begin(world: &World, stage: &mut Stage) -> Result<(), Failure> {
    stage.act("Three chains, each witnessed by the two other clouds");
    for origin in world.init().await? {
        stage.line(&format!("   begun {origin}"));
    }
    stage.act("A day of logs is sealed and countersigned, once at noon and once at night");
    for half in [0, 1] {
        for (chain, sealed) in world.seal(half).await? {
            stage.line(&format!("   {chain:<6} {sealed}"));
        }
        let cosigned = world.anchor().await?;
        stage.line(&format!(
            "   published; {cosigned} cosignatures by other clouds"
        ));
        if half == 0 {
            world.remember_noon()?;
        }
    }
    stage.act("Everything is verified against the policy");
    let judged = world.judge().await?;
    stage.expect(judged.result == "verified");
    let verdict = stage.verdict(&judged.result, judged.result == "verified");
    stage.line(&format!(
        "   {verdict}: {} records in {} segments",
        judged.records, judged.segments
    ));
    for failing in &judged.failing {
        stage.line(&format!(
            "   {}: {} {}",
            failing.origin, failing.check, failing.title
        ));
    }
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
    stage.line(&format!(
        "   {:<width$}  verify says  found by",
        "what was done"
    ));
    for (nth, attack) in ATTACKS.into_iter().enumerate() {
        let copy = world.copy(&format!("{}-{}", nth + 1, attack.name()))?;
        attack.carry_out(&copy, index).await?;
        let judged = copy.judge().await?;
        let (caught, by) = found_by(attack, &judged);
        let as_expected = caught && judged.result == "failed";
        stage.expect(as_expected);
        let result = stage.verdict(&format!("{:<11}", judged.result), as_expected);
        let mark = if as_expected {
            String::new()
        } else {
            format!("  (expected {})", attack.check())
        };
        stage.line(&format!(
            "   {:<width$}  {result}  {by}{mark}",
            attack.what()
        ));
    }
    Ok(())
}

/// Whether the check that should see it does; it first, then the others.
fn found_by(attack: Attack, judged: &world::Judged) -> (bool, String) {
    let mut checks: Vec<&str> = Vec::new();
    for failing in judged
        .failing
        .iter()
        .filter(|failing| failing.origin.ends_with("/aws"))
    {
        if !checks.contains(&&*failing.check) {
            checks.push(&failing.check);
        }
    }
    let caught = checks.contains(&attack.check());
    checks.sort_by_key(|check| *check != attack.check());
    let by = match checks.as_slice() {
        [] => "nothing".to_owned(),
        checks => checks.join(", "),
    };
    (caught, by)
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
        format!(
            "countersign check {} --policy {}",
            folder.join(world::PROOF).display(),
            folder.join("countersign.aws.policy").display()
        ),
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
