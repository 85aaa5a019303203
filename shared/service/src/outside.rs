//! Feeding witnesses outside all clouds of the deployment (C2SP tlog-witness,
//! `add-checkpoint` over HTTP), and keeping their cosignatures.
//!
//! They stand on other people's machines: an answer is believed as far as its
//! signature holds, and a witness that fails holds nothing else up.

use bytes::Bytes;
use countersign_core::anchor::Anchor;
use countersign_core::checkpoint::Checkpoint;
use countersign_core::keys::VerifierKey;
use countersign_core::names::{self, origin_hash};
use countersign_core::note::Note;
use countersign_core::signed::canonical;
use countersign_store::{Retention, SwapError, Version};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use self::client::{LIMITS, Limits, Outside};
use crate::anchor::AnchorReport;
use crate::chain::{Chain, Deployment, Witness};
use crate::clock::Clock;
use crate::head::StateError;
use crate::objects::{MAX_SMALL_BYTES, newest_checkpoint, put_same};
use crate::witness::{WitnessError, Witnessing, consistency_proof};

mod client;

/// What an outside witness did about a chain's newest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutsideResult {
    /// It cosigned, and the cosignature is kept.
    Cosigned {
        /// The checkpoint's size.
        size: u64,
        /// The cosignature's time in seconds since 1970.
        seconds: u64,
    },
    /// Its cosignature at this size is kept already: it was not asked.
    Current {
        /// The checkpoint's size.
        size: u64,
    },
    /// It saw a larger checkpoint, which the chain has published meanwhile.
    Ahead {
        /// The checkpoint's size.
        size: u64,
        /// The size that the witness saw.
        seen: u64,
    },
    /// No cosignature: it could not be reached, does not know the chain, or its
    /// answer is worth nothing. A warning; the next run asks again.
    Failed {
        /// What went wrong.
        problem: String,
    },
    /// What it saw, or the tiles that were to be shown to it, contradict the
    /// chain's checkpoint.
    Contradiction {
        /// What contradicts what.
        problem: String,
    },
}

/// Feeds every outside witness of the settings each chain that a witness of ours
/// has found in order in this run, as the report tells, and reports on it.
pub async fn feed_all(deployment: &Deployment, clock: &dyn Clock, report: &mut AnchorReport) {
    feed_within(LIMITS, deployment, clock, report).await;
}

async fn feed_within(
    limits: Limits,
    deployment: &Deployment,
    clock: &dyn Clock,
    report: &mut AnchorReport,
) {
    let mut outsides: Vec<Outside> = Vec::new();
    for (nth, settings) in deployment.settings.outside_witnesses.iter().enumerate() {
        // What is kept is found again by the key's id: each must mean one key, and
        // none of ours.
        let taken = |key: &VerifierKey| {
            let of_policy = deployment.policy.witnesses().iter();
            let ours = |own: &Witness| own.key == *key;
            outsides.iter().any(|other| other.key.id() == key.id())
                || deployment.witnesses.iter().any(ours)
                || of_policy
                    .map(|known| &known.key)
                    .any(|other| other.id() == key.id() && other != key)
        };
        match Outside::open(settings, taken, limits) {
            Ok(outside) => outsides.push(outside),
            Err(error) => report
                .errors
                .push((format!("outside_witnesses[{nth}]"), error.into())),
        }
    }
    for nth in 0..report.witnessed.len() {
        let (name, origin, witnessing) = &report.witnessed[nth];
        let (Witnessing::Cosigned { size, .. } | Witnessing::Current { size }) = *witnessing else {
            continue;
        };
        let named = |witness: &&Witness| witness.settings.key_name == *name;
        let Some(witness) = deployment.witnesses.iter().find(named) else {
            continue;
        };
        let holds = |chain: &&Chain| chain.settings.name == witness.settings.chain;
        let own = deployment.chains.iter().find(holds);
        let (Some(chain), Some(own)) = (deployment.chain(origin), own) else {
            continue;
        };
        for outside in &mut outsides {
            let retention = own.retention(clock.unix_millis());
            let now = clock.unix_seconds();
            match outside.feed(witness, chain, size, retention, now).await {
                Ok(result) => {
                    report
                        .outside
                        .push((outside.url.clone(), chain.origin().to_owned(), result));
                }
                Err(error) => report.errors.push((
                    format!("{} on {}", outside.url, chain.origin()),
                    error.into(),
                )),
            }
        }
    }
}

impl Outside {
    /// Asks for a cosignature of the chain's checkpoint of that size, and keeps it
    /// in the store of our witness.
    async fn feed(
        &mut self,
        witness: &Witness,
        chain: &Chain,
        size: u64,
        retention: Retention,
        now_seconds: u64,
    ) -> Result<OutsideResult, WitnessError> {
        let (accepted, version) = self.accepted(witness, chain).await?;
        if accepted == size {
            return Ok(OutsideResult::Current { size });
        }
        let bytes = chain
            .sealed
            .get(&names::checkpoint(size), MAX_SMALL_BYTES)
            .await?;
        // More than was ever published here is no size to begin from: its answer
        // tells what it saw.
        let mut old = if accepted < size { accepted } else { 0 };
        let mut asked = false;
        let answer = loop {
            let (request, note) = match request(chain, &bytes, size, old).await? {
                Ok(request) => request,
                Err(problem) => return Ok(OutsideResult::Contradiction { problem }),
            };
            let answer = match self.post(request).await {
                Ok(answer) => answer,
                Err(problem) => return Ok(OutsideResult::Failed { problem }),
            };
            let seen = match answer.status {
                409 => answer.size(),
                _ => None,
            };
            match seen {
                Some(seen) if seen > size => return larger(chain, size, seen).await,
                Some(seen) if seen != old && !asked => (old, asked) = (seen, true),
                _ => break self.judge(&answer, &note, now_seconds),
            }
        };
        let (line, seconds) = match answer {
            Ok(cosigned) => cosigned,
            Err(result) => return Ok(result),
        };
        let anchor = Anchor::new(&bytes, &chain.key, line, seconds)?;
        let id = HEXLOWER.encode(&self.key.id());
        let name = format!("{}.{id}", names::anchor_of(chain.origin(), size, seconds));
        put_same(
            &*witness.sealed,
            &name,
            &anchor.to_bytes().into(),
            retention,
        )
        .await?;
        self.note_accepted(witness, chain, version.as_ref(), size)
            .await?;
        Ok(OutsideResult::Cosigned { size, seconds })
    }

    /// The size that it last cosigned for this witness of ours: 0 where nothing
    /// that can be read is remembered, which costs one more request.
    async fn accepted(
        &self,
        witness: &Witness,
        chain: &Chain,
    ) -> Result<(u64, Option<Version>), WitnessError> {
        let stored = witness.state.load(&self.state_key(witness, chain)).await;
        let Some(stored) = stored.map_err(StateError::Store)? else {
            return Ok((0, None));
        };
        let size = match serde_json::from_slice::<OutsideDocument>(&stored.bytes) {
            Ok(found) if found == self.document(witness, chain, found.size) => found.size,
            _ => 0,
        };
        Ok((size, Some(stored.version)))
    }

    async fn note_accepted(
        &self,
        witness: &Witness,
        chain: &Chain,
        version: Option<&Version>,
        size: u64,
    ) -> Result<(), WitnessError> {
        let document = Bytes::from(canonical(&self.document(witness, chain, size)));
        let key = self.state_key(witness, chain);
        match witness.state.swap(&key, version, document).await {
            // Another run noted its own: whichever stands is good enough.
            Ok(_) | Err(SwapError::Lost { .. } | SwapError::Unknown { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn state_key(&self, witness: &Witness, chain: &Chain) -> String {
        let (ours, theirs) = (
            origin_hash(witness.key.name()),
            origin_hash(&self.key.to_string()),
        );
        let origin = origin_hash(chain.origin());
        format!("outside-{}-{}-{origin}", &ours[..16], &theirs[..16])
    }

    fn document(&self, witness: &Witness, chain: &Chain, size: u64) -> OutsideDocument {
        OutsideDocument {
            countersign: "outside-state/v1".to_owned(),
            origin: chain.origin().to_owned(),
            outside: self.key.to_string(),
            size,
            witness: witness.key.name().to_owned(),
        }
    }
}

/// What an outside witness last cosigned of a chain, as far as it was kept.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutsideDocument {
    countersign: String,
    origin: String,
    outside: String,
    size: u64,
    witness: String,
}

/// The request's body, and the checkpoint in it under its log's signature alone;
/// or what is wrong with what is published.
async fn request(
    chain: &Chain,
    bytes: &[u8],
    size: u64,
    old: u64,
) -> Result<Result<(String, Note), String>, WitnessError> {
    let (checkpoint, note) = match Checkpoint::open(bytes, &chain.key) {
        Ok(opened) if opened.0.size == size => opened,
        Ok(_) => {
            return Ok(Err(format!(
                "the checkpoint of {size} is one of another size"
            )));
        }
        Err(error) => return Ok(Err(format!("the checkpoint of {size}: {error}"))),
    };
    let own = note
        .signatures()
        .iter()
        .filter(|line| line.names(&chain.key));
    let own: Vec<_> = own.take(1).cloned().collect();
    let note = match Note::new(note.text().to_owned(), own) {
        Ok(note) => note,
        Err(error) => return Ok(Err(format!("the checkpoint of {size}: {error}"))),
    };
    let proof = match consistency_proof(chain, old, &checkpoint).await? {
        Ok(proof) => proof,
        Err(problem) => return Ok(Err(format!("{problem}: run verify"))),
    };
    let lines: String = proof.iter().map(|hash| format!("{hash}\n")).collect();
    Ok(Ok((format!("old {old}\n{lines}\n{note}"), note)))
}

/// A witness that saw more than was just read: the chain grew meanwhile, and has
/// the checkpoint to show for it; or it was rolled back.
async fn larger(chain: &Chain, size: u64, seen: u64) -> Result<OutsideResult, WitnessError> {
    if let Some(newest) = newest_checkpoint(&*chain.sealed, seen).await? {
        let name = names::checkpoint(newest);
        let bytes = chain.sealed.get(&name, MAX_SMALL_BYTES).await?;
        let opened = Checkpoint::open(&bytes, &chain.key);
        if opened.is_ok_and(|(checkpoint, _)| checkpoint.size == newest) {
            return Ok(OutsideResult::Ahead { size, seen });
        }
    }
    let problem = format!(
        "the witness saw {seen} leaves, the newest checkpoint has {size}: the chain may have been rolled back: run verify"
    );
    Ok(OutsideResult::Contradiction { problem })
}

#[cfg(test)]
mod tests;
