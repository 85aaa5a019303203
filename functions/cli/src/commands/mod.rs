//! The commands, each in its module.

mod anchor;
mod canonicalize;
mod check;
mod demo;
mod doctor;
mod init;
mod log;
mod pages;
mod prove;
mod seal;
mod verify;

use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::Path;

use countersign_service::chain::Deployment;
use countersign_service::config::Settings;

use crate::args::{Cli, Command, Common};
use crate::ui::{Failure, Outcome};

/// Runs the command.
///
/// # Errors
/// When it could not be done, or a check failed.
pub fn run(cli: Cli) -> Outcome {
    let common = &cli.common;
    match &cli.command {
        Command::Init(args) => block_on(init::run(common, args)),
        Command::Seal(args) => block_on(seal::run(common, args)),
        Command::Anchor => block_on(anchor::run(common)),
        Command::Verify(args) => block_on(verify::run(common, args)),
        Command::Prove(args) => block_on(prove::run(common, args)),
        Command::Check(args) => check::run(common, args),
        Command::Canonicalize => canonicalize::run(),
        Command::Log(args) => block_on(log::run(common, args)),
        Command::Doctor => block_on(doctor::run(common)),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Completions { shell } => pages::completions(*shell),
        Command::Man { command } => pages::man(command.as_deref()),
    }
}

fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    countersign_service::runtime()
        .map_err(|error| Failure::undone(format_args!("no threads to work with: {error}")))?
        .block_on(work)
}

/// The settings, from the file and the environment.
fn settings(common: &Common) -> Result<Settings, Failure> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Settings::load(&common.config, environment).map_err(Failure::undone)
}

/// The stores of the settings, under the policy.
async fn deployment(common: &Common) -> Result<Deployment, Failure> {
    let opened = Deployment::open(settings(common)?, common.policy.as_deref()).await;
    opened.map_err(Failure::undone)
}

/// Opens a regular file, not waiting for anybody. The error goes on from the
/// file's name.
fn open(path: &Path) -> io::Result<File> {
    let fit = |metadata: std::fs::Metadata| {
        if metadata.is_dir() {
            Err(io::Error::other(
                "is a folder, not a file: name the files in it",
            ))
        } else if metadata.is_file() {
            Ok(())
        } else {
            Err(io::Error::other(
                "is not a regular file: pipe its content in instead",
            ))
        }
    };
    // Before it is opened: a pipe without a writer would wait for ever.
    let cannot = |error: io::Error| io::Error::other(format!("cannot be read: {error}"));
    fit(std::fs::metadata(path).map_err(cannot)?)?;
    let file = File::open(path).map_err(cannot)?;
    fit(file.metadata().map_err(cannot)?)?;
    Ok(file)
}

/// Reads a file (`-` for stdin) that has at most that many bytes; what is longer
/// is cut after one byte more. The error is [`open`]'s.
fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut read = |reader: &mut dyn Read| reader.take(limit + 1).read_to_end(&mut bytes);
    let read = match path == Path::new("-") {
        true => read(&mut io::stdin().lock()),
        false => read(&mut open(path)?),
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(io::Error::other(format!("cannot be read: {error}"))),
    }
}
