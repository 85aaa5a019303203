//! `prove`: a proof file of one record.

use std::path::Path;

use countersign_service::chain::{Chain, Deployment};
use countersign_service::prove::{ProveError, event_ids, find_event, prove};

use super::{deployment, read_up_to};
use crate::args::{Common, Prove};
use crate::ui::{Failure, Out, Outcome, Status, count, counter, say};

/// Proves a record.
///
/// # Errors
/// When there is no such record, nothing covers it yet, or the stores contradict
/// themselves.
pub async fn run(common: &Common, args: &Prove) -> Outcome {
    let deployment = deployment(common).await?;
    let chains = deployment
        .chains_named(&args.chain)
        .map_err(Failure::undone)?;
    let (chain, index) = match (args.leaf.index, &args.leaf.event) {
        (Some(index), _) => (one_of(&chains)?, index),
        (None, Some(file)) => search(&deployment, &chains, file).await?,
        (None, None) => return Err(Failure::undone("give --index or --event")),
    };
    let proof = prove(&deployment, chain, index).await.map_err(classed)?;
    let bytes = proof.file.to_bytes();
    let origin = chain.origin();
    match &args.output {
        Some(path) => {
            std::fs::write(path, bytes).map_err(|error| {
                Failure::undone(format_args!(
                    "{} cannot be written: {error}",
                    path.display()
                ))
            })?;
            say(format_args!(
                "leaf {index} of {origin} is proven at size {} with {}; next: countersign check {} --policy FILE",
                proof.proven.checkpoint.size,
                count(
                    proof.proven.cosigned.len() as u64,
                    "cosignature",
                    "cosignatures"
                ),
                path.display()
            ));
        }
        None => {
            let mut out = Out::new();
            out.bytes(&bytes);
            out.finish()?;
        }
    }
    Ok(Status::Well)
}

fn one_of<'a>(chains: &[&'a Chain]) -> Result<&'a Chain, Failure> {
    match chains {
        [chain] => Ok(chain),
        shards => {
            let names: Vec<_> = shards
                .iter()
                .map(|chain| chain.settings.display_name())
                .collect();
            Err(Failure::undone(format_args!(
                "the chain has shards, each with indexes of its own: give --chain one of {}",
                names.join(", ")
            )))
        }
    }
}

/// Finds the record of an event.
async fn search<'a>(
    deployment: &Deployment,
    chains: &[&'a Chain],
    file: &Path,
) -> Result<(&'a Chain, u64), Failure> {
    let name = file.display();
    let limit = deployment.settings.max_input_bytes;
    let bytes =
        read_up_to(file, limit).map_err(|error| Failure::undone(format_args!("{name} {error}")))?;
    let bar = counter("leaves searched");
    for chain in chains {
        let ids = event_ids(chain, &bytes, limit)
            .map_err(|error| Failure::undone(format_args!("{name} {error}")))?;
        let found = find_event(chain, &ids, |leaves| bar.set_position(leaves)).await;
        if let Some(index) = found.map_err(classed)? {
            bar.finish_and_clear();
            return Ok((chain, index));
        }
    }
    bar.finish_and_clear();
    Err(Failure::undone(format_args!(
        "the event in {name} was not sealed into that chain; the file must hold one event as it was delivered"
    )))
}

fn classed(error: ProveError) -> Failure {
    if error.is_evidence() {
        Failure::failed(error)
    } else {
        Failure::undone(error)
    }
}
