//! `seal`: files and stdin into a chain.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_service::chain::Deployment;
use countersign_service::clock::{Clock, SystemClock};
use countersign_service::keys::chain_signer;
use countersign_service::printable;
use countersign_service::seal::{
    Incoming, Job, JobError, Outcome as Sealing, Receipt, SealError, Sealer,
};
use countersign_sources::{FileInput, SourceError};

use super::{deployment, open};
use crate::args::{Common, Seal};
use crate::ui::{Failure, Out, Outcome, Status, count, counter, say};

/// What a delivery from stdin is called.
const STDIN: &str = "stdin";

/// Seals the files.
///
/// # Errors
/// When the chain cannot be written.
pub async fn run(common: &Common, args: &Seal) -> Outcome {
    let files = files(args)?;
    let deployment = deployment(common).await?;
    let mut sealers = sealers(&deployment, &args.chain).await?;
    let max_bytes = deployment.settings.max_input_bytes;
    let mut job = Job::new(&mut sealers, max_bytes);
    let mut out = Out::new();
    let mut tally = Tally::default();
    let mut left_out = 0;
    let bar = counter("files read");
    for path in &files {
        bar.inc(1);
        let receipts = match incoming(path, max_bytes) {
            Ok(incoming) => job.add(incoming).await,
            Err(error) => {
                left_out += 1;
                let name = name(path);
                bar.suspend(|| {
                    say(format_args!(
                        "countersign: {name} {error}; it was not sealed"
                    ))
                });
                continue;
            }
        };
        match receipts {
            Ok(receipts) => bar.suspend(|| tally.take(receipts, &mut out)),
            Err(JobError::Source { from, error }) => {
                left_out += 1;
                bar.suspend(|| {
                    say(format_args!(
                        "countersign: {from} {error}; nothing of it was sealed"
                    ))
                });
            }
            Err(JobError::Seal(error)) => return stopped(error, out),
        }
    }
    bar.finish_and_clear();
    match job.finish().await {
        Ok(receipts) => tally.take(receipts, &mut out),
        Err(error) => return stopped(error, out),
    }
    out.finish()?;
    tally.say(&args.chain, left_out);
    Ok(if left_out == 0 {
        Status::Well
    } else {
        Status::Undone
    })
}

/// What was printed by then is durable; the rest is not known to be.
fn stopped(error: SealError, out: Out) -> Outcome {
    out.finish()?;
    let next = "deliveries without a line on stdout are to be sealed again";
    let message = format_args!("{error}; {next}").to_string();
    Err(match error {
        SealError::Alarm { .. } | SealError::NoHead { .. } => Failure::failed(message),
        _ => Failure::undone(message),
    })
}

/// `-` once, or nothing where something is piped in, is stdin.
fn files(args: &Seal) -> Result<Vec<PathBuf>, Failure> {
    if !args.files.is_empty() {
        return Ok(args.files.clone());
    }
    if io::stdin().is_terminal() {
        return Err(Failure::undone(
            "nothing to seal: name files, or pipe logs in",
        ));
    }
    Ok(vec!["-".into()])
}

/// Writers of the chain, one a shard. This opens its keys.
pub(super) async fn sealers(deployment: &Deployment, name: &str) -> Result<Vec<Sealer>, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let window = deployment.settings.duplicate_window;
    let mut sealers = Vec::new();
    for chain in deployment.chains_named(name).map_err(Failure::undone)? {
        let signer = chain_signer(&chain.settings, &deployment.stores).await;
        let signer = signer.map_err(Failure::undone)?;
        let sealer = Sealer::open(chain.clone(), signer, Arc::clone(&clock), window);
        sealers.push(sealer.map_err(Failure::undone)?);
    }
    Ok(sealers)
}

fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return STDIN.to_owned();
    }
    path.display().to_string()
}

fn incoming(path: &Path, max_bytes: u64) -> io::Result<Incoming> {
    let file = if path == Path::new("-") {
        spooled_stdin(max_bytes)?
    } else {
        open(path)?
    };
    Ok(Incoming {
        from: name(path),
        id: None,
        input: Box::new(FileInput::new(file)),
    })
}

/// A delivery is read twice, and stdin gives it once. It may have no end, so what
/// is over the cap of uncompressed bytes as it comes is not kept.
fn spooled_stdin(max_bytes: u64) -> io::Result<File> {
    let spool = |error: io::Error| io::Error::other(format!("cannot be kept meanwhile: {error}"));
    let mut file = tempfile::tempfile().map_err(spool)?;
    let mut stdin = io::stdin().lock().take(max_bytes.saturating_add(1));
    if io::copy(&mut stdin, &mut file).map_err(spool)? > max_bytes {
        return Err(io::Error::other(SourceError::TooLarge { limit: max_bytes }));
    }
    file.rewind().map_err(spool)?;
    Ok(file)
}

/// Receipts come a part at a time; a delivery gets one line.
#[derive(Default)]
struct Tally {
    /// The delivery that is not complete yet, by chain.
    open: BTreeMap<String, Delivery>,
    deliveries: u64,
    already: u64,
    records: u64,
}

/// What is known of a delivery.
#[derive(Debug, Default, PartialEq, Eq)]
struct Delivery {
    records: u64,
    /// First and last leaf index of what was sealed now.
    range: Option<(u64, u64)>,
    sealed_now: bool,
}

impl Tally {
    fn take(&mut self, receipts: Vec<Receipt>, out: &mut Out) {
        for receipt in receipts {
            let (part, parts) = receipt.part;
            let delivery = self.open.entry(receipt.origin).or_default();
            if part == 1 {
                *delivery = Delivery::default();
            }
            delivery.records += receipt.records;
            if let Sealing::Sealed { first_index } = receipt.outcome {
                delivery.sealed_now = true;
                self.records += receipt.records;
                if let Some(before_last) = receipt.records.checked_sub(1) {
                    let first = delivery.range.map_or(first_index, |range| range.0);
                    delivery.range = Some((first, first_index + before_last));
                }
            }
            if part == parts {
                let range = match delivery.range {
                    Some((first, last)) => format!("{first}..{last}"),
                    None => "-".to_owned(),
                };
                let what = if delivery.sealed_now {
                    "sealed"
                } else {
                    self.already += 1;
                    "already sealed"
                };
                self.deliveries += 1;
                let (records, from) = (delivery.records, receipt.from);
                let from = printable(&from); // a name may hold a line feed
                out.line(format_args!("{what} {range} {records} records {from}"));
            }
        }
        out.flush();
    }

    fn say(&self, chain: &str, left_out: u64) {
        let Self {
            deliveries,
            already,
            records,
            ..
        } = self;
        let now = deliveries - already;
        let left_out = match left_out {
            0 => String::new(),
            number => format!("; {} left out", count(number, "file was", "files were")),
        };
        say(format_args!(
            "{chain}: {} of {} sealed; {} sealed already{left_out}",
            count(*records, "record", "records"),
            count(now, "delivery", "deliveries"),
            count(*already, "delivery was", "deliveries were")
        ));
    }
}
