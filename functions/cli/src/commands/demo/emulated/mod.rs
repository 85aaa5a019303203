//! The demonstration over the servers that stand in for the clouds: real
//! buckets, containers and tables, with locks that hold.

mod attacks;
mod clouds;
mod refusals;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_service::stores::Stores;
use countersign_store::Lock;
use countersign_store::emulators::Emulators;

use self::attacks::{Attack, FIRM, SOFT};
use self::clouds::Clouds;
use super::stage::Stage;
use super::world::{CONFIG, REPORT, TAMPERED, World, doing};
use super::{begin, check_step, folder, prove};
use crate::args::Demo;
use crate::ui::{Failure, Outcome};

/// What `scripts/services` writes.
const ADDRESSES: &str = "target/services/env";

/// Real logs that are sealed where nobody says which.
const LOGS: &str = "../shared/data";

/// The clouds whose locks an administrator may lift.
const SOFT_WORLD: &str = "governance";

/// What the other commands need in their environment to reach the stand-ins.
const ENVIRONMENT: &str = "env";

/// Plays it.
///
/// # Errors
/// When there are no stand-ins, the folder is in use, or something on this
/// machine stands in the way.
pub async fn run(args: &Demo) -> Outcome {
    let emulators = emulators()?;
    let stores = Arc::new(Stores::over(&emulators).map_err(Failure::undone)?);
    let folder = folder(args.dir.as_deref())?;
    let mut stage = Stage::new();
    let world = World::new(&folder, Arc::clone(&stores));
    stage.line(&format!("A demonstration in {}", folder.display()));
    stage.line("   aws    S3 with Object Lock, DynamoDB, Secrets Manager");
    stage.line("   azure  Blob with immutability policies, Key Vault");
    stage.line("   gcp    Cloud Storage with retention policies, Secret Manager");

    let mut clouds = Clouds::make(&emulators, Lock::Compliance).await?;
    write_environment(&emulators, &folder)?;
    let logs = logs(args);
    let settings = clouds.settings();
    let at_noon = async || clouds.remember_noon().await;
    begin(&world, &settings, logs.as_deref(), &mut stage, at_noon).await?;
    prove(&world, &mut stage).await?;

    stage.act("Now the administrators tamper. What a firm lock refuses them");
    refusals::try_all(&clouds, &mut stage).await?;

    stage.act("What no lock prevents, each undone before the next");
    tamper(&FIRM, 0, &clouds, &world, &world, &mut stage).await?;

    stage.act("Where administrators may lift the locks (governance, unlocked policies)");
    let soft_world = World::new(&folder.join(SOFT_WORLD), stores);
    let mut soft = Clouds::make(&emulators, Lock::Governance).await?;
    soft_world.init(&soft.settings()).await?;
    for half in [0, 1] {
        for delivery in soft_world.deliveries(half, None)? {
            soft_world.seal(delivery).await?;
        }
        soft_world.anchor().await?;
        if half == 0 {
            soft.remember_noon().await?;
        }
    }
    let judged = soft_world.judge(REPORT).await?;
    stage.whole(&judged, "");
    tamper(&SOFT, FIRM.len(), &soft, &soft_world, &world, &mut stage).await?;
    next_steps(&folder, &mut stage);
    stage.end()
}

/// The stand-ins of the environment, or those that run in this checkout.
fn emulators() -> Result<Emulators, Failure> {
    if std::env::var_os("STANDIN_S3").is_some_and(|value| !value.is_empty()) {
        return Emulators::from_environment().map_err(Failure::undone);
    }
    match std::fs::read_to_string(ADDRESSES) {
        Ok(file) => Emulators::parse(&file).map_err(Failure::undone),
        Err(error) => Err(Failure::undone(format_args!(
            "the stand-ins for the clouds are not up: STANDIN_S3 is not set, and {ADDRESSES} cannot be read ({error}); run scripts/services up, or the whole by scripts/demo --stores emulators"
        ))),
    }
}

fn logs(args: &Demo) -> Option<PathBuf> {
    let usual =
        || Some(PathBuf::from(LOGS)).filter(|path| path.join("cloudtrail.ndjson").is_file());
    args.logs.clone().or_else(usual)
}

/// What the other commands need to reach these stores. It holds credentials, if
/// only those that the emulators' makers publish.
fn write_environment(emulators: &Emulators, folder: &Path) -> Result<(), Failure> {
    let mut text = String::new();
    for (name, value) in emulators.variables() {
        text += &format!("{name}='{value}'\n");
    }
    let path = folder.join(ENVIRONMENT);
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        file.write_all(text.as_bytes())
    };
    doing("written", &path, write())
}

/// Attacks, one after the other, each judged and then undone; at the end nothing
/// of them may be left. Reports are kept in `reports`.
async fn tamper(
    attacks: &[Attack],
    before: usize,
    clouds: &Clouds,
    world: &World,
    reports: &World,
    stage: &mut Stage,
) -> Result<(), Failure> {
    let width = attacks::width();
    stage.table(width);
    let chains = world.deployment().await?;
    for (nth, attack) in attacks.iter().enumerate() {
        let kept = attack.carry_out(clouds, &chains).await?;
        let page = format!("{TAMPERED}/{}-{}/{REPORT}", before + nth + 1, attack.name());
        let judged = world.judge_into(&reports.path(&page)).await?;
        stage.row(attack.what(), width, attack.trace(), &judged);
        attack.undo(clouds, kept).await?;
    }
    let judged = world.judge(REPORT).await?;
    stage.whole(&judged, "all undone, ");
    Ok(())
}

fn next_steps(folder: &Path, stage: &mut Stage) {
    stage.act("Try next, while the stand-ins are up (as scripts/services up keeps them)");
    let config = folder.join(CONFIG);
    let config = config.display();
    for step in [
        format!("set -a; . {}; set +a", folder.join(ENVIRONMENT).display()),
        format!("countersign verify --config {config}"),
        format!("countersign log    --config {config}"),
        check_step(folder),
    ] {
        stage.line(&format!("   {step}"));
    }
    stage.line(&format!(
        "   in a browser: {} and those below {}",
        folder.join(REPORT).display(),
        folder.join(TAMPERED).display()
    ));
}
