//! Witnessing a chain of another cloud: its newest checkpoint is cosigned only if
//! it continues what this witness saw before.
//!
//! The state is swapped before a cosignature leaves the process, and it never
//! falls below what stands in the witness's own sealed store. It names the anchor
//! that comes next, down to its second: whichever run goes on writes the same
//! bytes, and no other anchor is announced before that one has its record.

use bytes::Bytes;
use countersign_core::anchor::{Anchor, AnchorError};
use countersign_core::checkpoint::{Checkpoint, CheckpointError};
use countersign_core::cosignature;
use countersign_core::keys::SignError;
use countersign_core::merkle::Hash;
use countersign_core::merkle::proof::{TileSet, consistency_tiles};
use countersign_core::names::{self, Object};
use countersign_core::segment::{Delivery, body_sha256};
use countersign_core::signed::canonical;
use countersign_core::witness::{Accept, Refusal, Witnessed, decide};
use countersign_store::{GetError, ListError, ObjectPages, Retention, SwapError};
use serde::Serialize;

use crate::chain::{Chain, Witness};
use crate::clock::Clock;
use crate::head::{Loaded, StateError, WitnessState, load_witness, swap_witness};
use crate::keys::{Signer, cosign};
use crate::objects::{MAX_SMALL_BYTES, WriteError, newest_checkpoint, put_same};
use crate::seal::Pending;

/// An anchor is written anew once the newest is this old.
pub const ANCHOR_SECONDS: u64 = 3600;

/// Other runs of the same witness may swap in between so often.
pub(crate) const MAX_LOST_SWAPS: u32 = 8;

/// What a witness did about a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witnessing {
    /// The chain has no checkpoint yet.
    NotPublished,
    /// The newest anchor covers the newest checkpoint and is young.
    Current {
        /// Its size.
        size: u64,
    },
    /// A checkpoint was cosigned.
    Cosigned {
        /// Its size.
        size: u64,
        /// The cosignature's time.
        seconds: u64,
    },
    /// The chain contradicts what this witness saw. Nothing was cosigned.
    Contradiction {
        /// What contradicts what.
        problem: String,
        /// The object that keeps both heads, in the witness's store.
        evidence: String,
    },
    /// What is published does not hold or is not whole. Nothing was cosigned.
    Suspect {
        /// What is wrong.
        problem: String,
    },
}

impl std::fmt::Display for Witnessing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotPublished => f.write_str("not published yet"),
            Self::Current { size } => write!(f, "countersigned up to {size} before"),
            Self::Cosigned { size, .. } => write!(f, "countersigned up to {size}"),
            Self::Contradiction { problem, evidence } => write!(
                f,
                "contradicts what was seen before, and was not countersigned: {problem}; both heads are kept in {evidence}"
            ),
            Self::Suspect { problem } => {
                write!(f, "does not hold, and was not countersigned: {problem}")
            }
        }
    }
}

/// What a witness did, and which anchors are to be sealed as records.
#[derive(Debug, Clone)]
pub struct Done {
    /// What it did; none where the records come first: seal them, take note of it
    /// with [`recorded`], and witness again.
    pub witnessing: Option<Witnessing>,
    /// Anchors whose records are still to be sealed, oldest first.
    pub records: Vec<Pending>,
}

/// Why a witness could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The state is damaged or cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state cannot be moved. Nothing was cosigned.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// An object cannot be read.
    #[error(transparent)]
    Get(#[from] GetError),
    /// A store cannot be listed.
    #[error(transparent)]
    List(#[from] ListError),
    /// An object cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The anchor cannot be made.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The state and the witness's own anchors contradict each other.
    #[error(
        "ALARM: the state of {witness} and its anchor {anchor} have other roots at one size: run verify, and find out who changed the state"
    )]
    OwnContradiction {
        /// The witness.
        witness: String,
        /// The anchor.
        anchor: String,
    },
    /// Other runs announced anchors as fast as this one sealed their records.
    #[error("other runs of {witness} were faster, time and again: the next run goes on")]
    Overtaken {
        /// The witness.
        witness: String,
    },
}

/// Witnesses a chain once. `records` is the chain that holds the anchors' records,
/// and by which they are retained.
///
/// # Errors
/// When something cannot be read or written; nothing is cosigned then that the
/// state does not hold.
pub async fn witness(
    witness: &Witness,
    signer: &dyn Signer,
    chain: &Chain,
    records: &Chain,
    clock: &dyn Clock,
) -> Result<Done, WitnessError> {
    let own = own_anchors(witness, chain).await?;
    // An anchor is kept as long as the chain that holds its record.
    let retention = || records.retention(clock.unix_millis());
    let mut records: Vec<_> = own.unrecorded.iter().map(pending).collect();
    records.extend(finish(witness, signer, chain, &own, retention()).await?);
    let known = own.known;
    let done = |witnessing, records| Done {
        witnessing: Some(witnessing),
        records,
    };
    let (bytes, checkpoint, accept) = match look(witness, chain, &known).await? {
        Looked::Seen(bytes, checkpoint, accept) => (bytes, checkpoint, accept),
        Looked::Nothing => return Ok(done(Witnessing::NotPublished, records)),
        Looked::Suspect(problem) => return Ok(done(Witnessing::Suspect { problem }, records)),
        Looked::Contradiction(refusal) => {
            let newest = own.newest.as_ref();
            let evidence =
                keep_evidence(witness, chain, &known, newest, &refusal, retention()).await?;
            let problem = refusal.problem;
            let witnessing = Witnessing::Contradiction { problem, evidence };
            return Ok(done(witnessing, records));
        }
    };
    // After all that it vouches for was read, however long that took.
    let seconds = clock.unix_seconds();
    let size = checkpoint.size;
    let young = |anchor: &Anchor| {
        anchor.checkpoint.size == size && seconds < anchor.seconds.saturating_add(ANCHOR_SECONDS)
    };
    if accept == Accept::Same && own.newest.as_ref().is_some_and(young) {
        return Ok(done(Witnessing::Current { size }, records));
    }
    if !records.is_empty() {
        return Ok(Done {
            witnessing: None,
            records,
        });
    }
    cosignature::check_time(seconds)?;
    // The state first: whatever happens next, no other head of this size or below
    // will be cosigned.
    let name = names::anchor_of(chain.origin(), size, seconds);
    let state = WitnessState {
        witnessed: Witnessed {
            size,
            root: checkpoint.root,
        },
        recorded: own.state.value.recorded.clone(),
        announced: Some(name.clone()),
    };
    let version = own.state.version.as_ref();
    let (witness_name, origin) = (witness.key.name(), chain.origin());
    swap_witness(&*witness.state, witness_name, origin, version, &state).await?;
    let line = cosign(signer, seconds, &checkpoint.body()).await?;
    let anchor = Anchor::new(&bytes, &chain.key, line, seconds)?;
    let object = anchor.to_bytes().into();
    put_same(&*witness.sealed, &name, &object, retention()).await?;
    let records = vec![pending(&anchor)];
    Ok(done(Witnessing::Cosigned { size, seconds }, records))
}

/// Writes the anchor that the state announces, where the run that announced it
/// has not yet: should it do so later, it writes the same. Nothing where the
/// checkpoint does not hold any more, which the look at the chain tells.
async fn finish(
    witness: &Witness,
    signer: &dyn Signer,
    chain: &Chain,
    own: &Own,
    retention: Retention,
) -> Result<Option<Pending>, WitnessError> {
    let Witnessed { size, root } = own.state.value.witnessed;
    let Some(name) = own.state.value.unfinished() else {
        return Ok(None);
    };
    let Some(Object::Anchor { seconds, .. }) = Object::parse(name) else {
        return Ok(None);
    };
    let stands = |anchor: &Anchor| (anchor.checkpoint.size, anchor.seconds) == (size, seconds);
    if own.unrecorded.iter().any(stands) || names::anchor_of(chain.origin(), size, seconds) != name
    {
        return Ok(None);
    }
    let checkpoint = names::checkpoint(size);
    let bytes = match chain.sealed.get(&checkpoint, MAX_SMALL_BYTES).await {
        Err(GetError::NotFound { .. }) => return Ok(None),
        bytes => bytes?,
    };
    let checkpoint = match Checkpoint::open(&bytes, &chain.key) {
        Ok((checkpoint, _)) if (checkpoint.size, checkpoint.root) == (size, root) => checkpoint,
        _ => return Ok(None),
    };
    let line = cosign(signer, seconds, &checkpoint.body()).await?;
    let anchor = Anchor::new(&bytes, &chain.key, line, seconds)?;
    let object = anchor.to_bytes().into();
    put_same(&*witness.sealed, name, &object, retention).await?;
    Ok(Some(pending(&anchor)))
}

/// [`witness`], begun anew where another run of this witness was faster.
///
/// # Errors
/// As [`witness`].
pub async fn witness_with_retries(
    of: &Witness,
    signer: &dyn Signer,
    chain: &Chain,
    records: &Chain,
    clock: &dyn Clock,
) -> Result<Done, WitnessError> {
    let mut lost = 0;
    loop {
        match witness(of, signer, chain, records, clock).await {
            Err(WitnessError::Swap(SwapError::Lost { .. } | SwapError::Unknown { .. }))
                if lost < MAX_LOST_SWAPS =>
            {
                lost += 1;
                crate::objects::pause(lost.min(3)).await;
            }
            result => return result,
        }
    }
}

/// Takes note in the state that an anchor's record is sealed, so that the next
/// run need not look at it again. Another run may have noted a newer one.
///
/// # Errors
/// When the state cannot be moved; the next run then seals the record again, and
/// finds it sealed.
pub async fn recorded(witness: &Witness, chain: &Chain, anchor: &str) -> Result<(), WitnessError> {
    let (name, origin) = (witness.key.name(), chain.origin());
    let mut loaded = load_witness(&*witness.state, name, origin).await?;
    if loaded.value.recorded.as_deref() >= Some(anchor) {
        return Ok(());
    }
    loaded.value.recorded = Some(anchor.to_owned());
    match swap_witness(
        &*witness.state,
        name,
        origin,
        loaded.version.as_ref(),
        &loaded.value,
    )
    .await
    {
        Ok(_) | Err(SwapError::Lost { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What a witness knows of a chain: its state, and its own anchors.
struct Own {
    state: Loaded<WitnessState>,
    /// The larger of the state and the newest anchor.
    known: Witnessed,
    newest: Option<Anchor>,
    /// Anchors after the newest whose record is known to be sealed.
    unrecorded: Vec<Anchor>,
}

async fn own_anchors(witness: &Witness, chain: &Chain) -> Result<Own, WitnessError> {
    let state = load_witness(&*witness.state, witness.key.name(), chain.origin()).await?;
    let prefix = names::anchors(chain.origin());
    let mut names = Vec::new();
    names.extend(state.value.recorded.clone());
    let after = state.value.recorded.clone();
    let mut pages = ObjectPages::after(&*witness.sealed, &prefix, after);
    while let Some(objects) = pages.next().await? {
        let own = |name: &String| {
            matches!(
                Object::parse(name),
                Some(Object::Anchor { outside: None, .. })
            )
        };
        names.extend(objects.into_iter().map(|object| object.key).filter(own));
    }
    if state.version.is_none() {
        // The state was lost: the newest anchor restores it, and only that one's
        // record can be missing.
        names.drain(..names.len().saturating_sub(1));
    }
    let mut known = state.value.witnessed;
    let mut newest: Option<Anchor> = None;
    let mut unrecorded = Vec::new();
    for name in names {
        let is_recorded = state.value.recorded.as_ref() == Some(&name);
        let bytes = match witness.sealed.get(&name, MAX_SMALL_BYTES).await {
            Err(GetError::NotFound { .. }) if is_recorded => continue,
            bytes => bytes?,
        };
        let anchor = match Anchor::open(&bytes, &chain.key, &witness.key) {
            Ok(anchor)
                if names::anchor_of(chain.origin(), anchor.checkpoint.size, anchor.seconds)
                    == name =>
            {
                anchor
            }
            // Not ours: verify names it.
            _ => {
                tracing::warn!(
                    object = name,
                    "passed over: it is no anchor of this witness"
                );
                continue;
            }
        };
        let Checkpoint { size, root, .. } = anchor.checkpoint;
        if size == known.size && root != known.root {
            return Err(WitnessError::OwnContradiction {
                witness: witness.key.name().to_owned(),
                anchor: name,
            });
        }
        if size > known.size {
            known = Witnessed { size, root };
        }
        if !is_recorded {
            unrecorded.push(anchor.clone());
        }
        let newer =
            |other: &Anchor| (size, anchor.seconds) > (other.checkpoint.size, other.seconds);
        if newest.as_ref().is_none_or(newer) {
            newest = Some(anchor);
        }
    }
    Ok(Own {
        state,
        known,
        newest,
        unrecorded,
    })
}

enum Looked {
    Nothing,
    Seen(Bytes, Checkpoint, Accept),
    Suspect(String),
    Contradiction(Box<Contradiction>),
}

struct Contradiction {
    problem: String,
    seen: Option<String>,
    proof: Vec<Hash>,
}

/// Reads the chain's newest checkpoint and decides about it.
async fn look(witness: &Witness, chain: &Chain, known: &Witnessed) -> Result<Looked, WitnessError> {
    let store = &*chain.sealed;
    let mut newest = newest_checkpoint(store, known.size).await?;
    if newest.is_none() && known.size > 0 {
        newest = newest_checkpoint(store, 0).await?;
        let Some(size) = newest else {
            return Ok(Looked::Contradiction(Box::new(Contradiction {
                problem: format!(
                    "has no checkpoint left, though {} leaves were witnessed",
                    known.size
                ),
                seen: None,
                proof: Vec::new(),
            })));
        };
        tracing::warn!(
            origin = chain.origin(),
            size,
            witness = witness.key.name(),
            "the newest checkpoint is older than the one witnessed"
        );
    }
    let Some(size) = newest else {
        return Ok(Looked::Nothing);
    };
    let name = names::checkpoint(size);
    let bytes = store.get(&name, MAX_SMALL_BYTES).await?;
    let checkpoint = match Checkpoint::open(&bytes, &chain.key) {
        Ok((checkpoint, _)) if checkpoint.size == size => checkpoint,
        Ok((checkpoint, _)) => {
            return Ok(Looked::Suspect(format!(
                "{name} is the checkpoint of {}",
                checkpoint.size
            )));
        }
        Err(error @ CheckpointError::Note(_)) => {
            return Ok(Looked::Suspect(format!("{name} is no checkpoint: {error}")));
        }
        Err(error) => return Ok(Looked::Suspect(format!("{name} does not hold: {error}"))),
    };
    let proof = match consistency_proof(chain, known.size, &checkpoint).await? {
        Ok(proof) => proof,
        Err(problem) => return Ok(Looked::Suspect(problem)),
    };
    Ok(match decide(known, known.size, &proof, &checkpoint) {
        Ok(accept) => Looked::Seen(bytes, checkpoint, accept),
        Err(refusal) => Looked::Contradiction(Box::new(Contradiction {
            problem: match refusal {
                Refusal::OldTooLarge { old, size } => {
                    format!(
                        "was rolled back: its newest checkpoint has {size} leaves, {old} were witnessed"
                    )
                }
                refusal => format!("was forked: {refusal}"),
            },
            seen: Some(String::from_utf8_lossy(&bytes).into_owned()),
            proof,
        })),
    })
}

/// The proof that a chain's checkpoint continues its head of size `old`, from its
/// tiles; or why they give none. Tiles that do not give the checkpoint's own root
/// are damaged: a proof from them would make a fork of what is none.
pub(crate) async fn consistency_proof(
    chain: &Chain,
    old: u64,
    checkpoint: &Checkpoint,
) -> Result<Result<Vec<Hash>, String>, GetError> {
    let size = checkpoint.size;
    if old == 0 || old >= size {
        return Ok(Ok(Vec::new()));
    }
    let wrong = |error: String| {
        Ok(Err(format!(
            "the tiles below the checkpoint of {size}: {error}"
        )))
    };
    let mut tiles = TileSet::new(size);
    for id in consistency_tiles(old, size) {
        let tile = match chain.sealed.get(&id.path(), MAX_SMALL_BYTES).await {
            Err(error @ GetError::NotFound { .. }) => return wrong(error.to_string()),
            tile => tile?,
        };
        if let Err(error) = tiles.insert(id, &tile) {
            return wrong(error.to_string());
        }
    }
    match (tiles.root(), tiles.consistency(old)) {
        (Ok(root), Ok(path)) if root == checkpoint.root => Ok(Ok(path)),
        (Ok(_), Ok(_)) => wrong("give another root".into()),
        (Err(error), _) | (_, Err(error)) => wrong(error.to_string()),
    }
}

/// Both heads and the failed proof, as they are kept.
#[derive(Serialize)]
struct Evidence<'a> {
    countersign: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_anchor: Option<String>,
    known_root: Hash,
    known_size: u64,
    origin: &'a str,
    problem: &'a str,
    proof: &'a [Hash],
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<&'a str>,
    witness: &'a str,
}

/// Keeps evidence under its own hash: what is seen again is not written again.
async fn keep_evidence(
    witness: &Witness,
    chain: &Chain,
    known: &Witnessed,
    newest: Option<&Anchor>,
    contradiction: &Contradiction,
    retention: Retention,
) -> Result<String, WitnessError> {
    let at_known = |anchor: &&Anchor| anchor.checkpoint.size == known.size;
    let mut bytes = canonical(&Evidence {
        countersign: "evidence/v1",
        known_anchor: newest
            .filter(at_known)
            .map(|anchor| anchor.note.to_string()),
        known_root: known.root,
        known_size: known.size,
        origin: chain.origin(),
        problem: &contradiction.problem,
        proof: &contradiction.proof,
        seen: contradiction.seen.as_deref(),
        witness: witness.key.name(),
    });
    bytes.push(b'\n');
    let hash = body_sha256(&bytes);
    let name = format!(
        "evidence/{}/{hash}.json",
        names::origin_hash(chain.origin())
    );
    put_same(&*witness.sealed, &name, &bytes.into(), retention).await?;
    Ok(name)
}

/// The delivery that seals an anchor as a record.
fn pending(anchor: &Anchor) -> Pending {
    let mut body = anchor.record_line();
    body.push(b'\n');
    let Checkpoint { origin, size, .. } = &anchor.checkpoint;
    Pending {
        delivery: Delivery {
            from: names::anchor_of(origin, *size, anchor.seconds),
            id: anchor.delivery_id(),
            part: (1, 1),
            records: 1,
            sha256: body_sha256(&anchor.to_bytes()),
        },
        body,
    }
}
