//! `check`: a proof file, offline.

use countersign_core::policy::Policy;
use countersign_core::proof::{ProofFile, Proven};
use countersign_core::record::RecordReader;
use countersign_core::segment::Header;
use countersign_core::{signed, time};
use countersign_service::chain::read_policy;
use countersign_service::printable;

use super::{read_up_to, settings};
use crate::args::{Check, Common};
use crate::ui::{Failure, Out, Outcome, Status};
use crate::view::Brief;

/// A proof file has at most this many bytes: a record of 48 MiB, each byte of it
/// escaped, and the proof.
const MAX_PROOF_BYTES: u64 = 320 << 20;

/// Checks a proof file.
///
/// # Errors
/// Status 1 for whatever is not a valid proof, 2 when file or policy cannot be read.
pub fn run(common: &Common, args: &Check) -> Outcome {
    let policy = policy(common)?;
    let name = args.proof.display();
    let bytes = read_up_to(&args.proof, MAX_PROOF_BYTES)
        .map_err(|error| Failure::undone(format_args!("{name} {error}")))?;
    if bytes.len() as u64 > MAX_PROOF_BYTES {
        let message = format_args!("{name} proves nothing: it is larger than any proof");
        return Err(Failure::failed(message));
    }
    let (file, proven) = ProofFile::check(&bytes, &policy).map_err(|error| {
        let error = printable(&error.to_string());
        Failure::failed(format_args!("{name} proves nothing: {error}"))
    })?;
    let mut out = Out::new();
    print(&file, &proven, &policy, "", &mut out);
    out.finish()?;
    Ok(Status::Well)
}

/// `--policy` alone will do; without it the settings say where it is.
fn policy(common: &Common) -> Result<Policy, Failure> {
    let path = match &common.policy {
        Some(path) => path.clone(),
        None => {
            settings(common)
                .map_err(|failure| {
                    let why = failure.message;
                    Failure::undone(format_args!(
                        "a proof is checked against a policy: give --policy FILE ({why})"
                    ))
                })?
                .policy
        }
    };
    Ok(read_policy(&path).map_err(Failure::undone)?.0)
}

/// Prints what was proven, each line after the indent.
pub fn print(file: &ProofFile, proven: &Proven, policy: &Policy, indent: &str, out: &mut Out) {
    let mut line = |name: &str, text: String| out.line(format_args!("{indent}{name:<10}{text}"));
    let checkpoint = &proven.checkpoint;
    line("proven", subject(&file.record));
    line("chain", checkpoint.origin.clone());
    line("index", format!("{} of {}", file.index, checkpoint.size));
    line("root", checkpoint.root.to_string());
    for (name, seconds) in &proven.cosigned {
        let when = time::from_unix_seconds(*seconds);
        line("cosigned", format!("{when} {}", printable(name)));
    }
    let quorum = match policy.describe_quorum() {
        none if none == "none" => {
            "none: no independent witness, the chain's own key alone vouches".to_owned()
        }
        quorum => quorum,
    };
    line("quorum", printable(&quorum));
}

/// What the leaf is.
fn subject(leaf: &str) -> String {
    if let Ok(header) = signed::read::<Header>(leaf.as_bytes()) {
        return format!(
            "the segment of the leaves {} to {}, sealed at {}",
            header.start,
            header.end - 1,
            header.sealed_at
        );
    }
    let mut reader = RecordReader::default();
    match reader.read(leaf.as_bytes()) {
        Ok(record) => {
            let brief = Brief::of(&record);
            let source = printable(&record.source);
            let time = record.time.unwrap_or("(no time)");
            let by = if brief.who.is_empty() { "" } else { " by " };
            format!(
                "{time} {source} {}{by}{}",
                cut(&brief.what),
                cut(&brief.who)
            )
        }
        // The proof holds of the bytes, whatever they are.
        Err(error) => format!("a leaf that is no record in canonical form ({error})"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
