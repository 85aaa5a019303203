//! `scripts/bench [NDJSON]`: how fast, how many requests, how much memory. Every
//! speed is told beside SHA-256 alone in the same run, for machines differ and
//! are noisy. `scripts/bench starts`: how soon the functions are ready.

mod corpus;
mod measure;
mod memory;
mod requests;
mod speed;
mod starts;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use corpus::Corpus;

/// First argument of `scripts/bench starts`.
const STARTS: &str = "--starts";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.retain(|argument| argument != "--bench"); // cargo's own
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [memory::CHILD, what, folder, path] => {
            memory::child(what, Path::new(folder), Path::new(path))
        }
        [STARTS, folder] => starts::print(Path::new(folder)),
        [] => figures(&data("cloudtrail.ndjson")),
        [path] if !path.starts_with('-') => figures(Path::new(path)),
        _ => Err("usage: scripts/bench [FILE OF CLOUDTRAIL RECORDS, ONE A LINE]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn figures(path: &Path) -> Result<(), String> {
    let corpus = Corpus::read(path)?;
    speed::print(&corpus);
    requests::print(&corpus);
    memory::print(path)
}

/// A file of the real test material beside the project.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(name)
}
