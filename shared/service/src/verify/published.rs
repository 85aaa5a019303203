//! Genesis, checkpoints and indexes.

use std::sync::Arc;

use countersign_core::checkpoint::Checkpoint;
use countersign_core::genesis::{Genesis, file_sha256};
use countersign_core::index::{Index, IndexError};
use countersign_core::keys::VerifierKey;
use countersign_core::merkle::Hash;
use countersign_core::names;
use countersign_store::SealedStore;
use futures_util::{StreamExt, stream};

use super::checks::{Check, Checks, Detail};
use super::codes;
use super::fetch::{Absent, get};
use super::history::{Fact, History, RootAt};
use super::names::Names;
use crate::objects::{MAX_OBJECT_BYTES, MAX_SMALL_BYTES};

/// Reads the genesis; its bytes' hash, if it could be read at all.
pub(super) async fn genesis(
    store: &dyn SealedStore,
    key: &VerifierKey,
    checks: &mut Checks,
) -> (Option<Genesis>, Option<String>) {
    let file = match get(store, names::GENESIS, MAX_SMALL_BYTES).await {
        Ok(file) => file,
        Err(Absent::Missing) => {
            checks.checked(Check::Genesis, 1);
            checks.find(&codes::GENESIS_MISSING, Detail::object(names::GENESIS));
            return (None, None);
        }
        Err(Absent::Corrupt(why)) => {
            checks.checked(Check::Genesis, 1);
            let detail = Detail::object(names::GENESIS).found(why);
            checks.find(&codes::GENESIS_INVALID, detail);
            return (None, None);
        }
        Err(Absent::Unreadable(why)) => {
            checks.unknown(Check::Genesis, why);
            return (None, None);
        }
    };
    checks.checked(Check::Genesis, 1);
    match Genesis::open(&file, key) {
        Ok(genesis) => (Some(genesis), Some(file_sha256(&file))),
        Err(error) => {
            let detail = Detail::object(names::GENESIS)
                .expected(format!("signed by {key}"))
                .found(error);
            checks.find(&codes::GENESIS_INVALID, detail);
            (None, Some(file_sha256(&file)))
        }
    }
}

/// The genesis is the one that the first segment names.
pub(super) fn genesis_is_first(stored: Option<&str>, named: Option<&str>, checks: &mut Checks) {
    if let (Some(stored), Some(named)) = (stored, named)
        && stored != named
        && !checks.has_failed(Check::Genesis)
    {
        let detail = Detail::object(names::GENESIS).expected(named).found(stored);
        checks.find(&codes::GENESIS_REPLACED, detail);
    }
}

/// Opens all checkpoints from `since` on; those that hold, by size.
pub(super) async fn checkpoints(
    store: &dyn SealedStore,
    key: &VerifierKey,
    sizes: &[u64],
    concurrency: usize,
    checks: &mut Checks,
) -> Vec<(u64, Hash)> {
    let reads = stream::iter(sizes.iter().copied()).map(|size| async move {
        let name = names::checkpoint(size);
        (size, get(store, &name, MAX_SMALL_BYTES).await)
    });
    let mut reads = reads.buffered(concurrency.max(1));
    let mut good = Vec::new();
    while let Some((size, read)) = reads.next().await {
        checks.checked(Check::CheckpointsSigned, 1);
        let detail = Detail::object(names::checkpoint(size));
        match read.map(|bytes| Checkpoint::open(&bytes, key)) {
            Ok(Ok((checkpoint, _))) if checkpoint.size == size => {
                good.push((size, checkpoint.root));
            }
            Ok(Ok((checkpoint, _))) => {
                let detail = detail.expected(size).found(checkpoint.size);
                checks.find(&codes::CHECKPOINT_MISPLACED, detail);
            }
            Ok(Err(error)) => checks.find(&codes::CHECKPOINT_INVALID, detail.found(error)),
            Err(Absent::Unreadable(why)) => checks.unknown(Check::CheckpointsSigned, why),
            Err(absent) => checks.find(&codes::CHECKPOINT_INVALID, detail.found(absent)),
        }
    }
    good
}

/// Every checkpoint is a head of the stored history.
pub(super) fn checkpoints_consistent(
    checkpoints: &[(u64, Hash)],
    history: &History,
    checks: &mut Checks,
) {
    let (mut differing, mut beyond) = (Vec::new(), Vec::new());
    for (size, root) in checkpoints {
        checks.checked(Check::CheckpointsConsistent, 1);
        match history.root_at(*size) {
            RootAt::Known(expected) if expected == *root => {}
            RootAt::Known(expected) => differing.push((*size, *root, expected)),
            RootAt::Beyond => beyond.push(*size),
            RootAt::NoBoundary => {
                let detail = Detail::object(names::checkpoint(*size));
                checks.find(&codes::CHECKPOINT_BOUNDARY, detail);
            }
            RootAt::Stopped => {
                let reason = history.stopped.as_deref().unwrap_or_default();
                checks.unknown(Check::CheckpointsConsistent, reason);
            }
            RootAt::Before => {}
        }
    }
    // One cause, one finding: a change shows in every later checkpoint.
    if let Some((size, root, expected)) = differing.first() {
        let detail = Detail::object(names::checkpoint(*size))
            .expected(expected)
            .found(format!("{root}{}", and_more(differing.len())));
        checks.find_many(&codes::CHECKPOINT_ROOT, differing.len() as u64, detail);
    }
    if let Some(size) = beyond.first() {
        let detail = Detail::object(names::checkpoint(*size))
            .expected(format!("at most {}", history.end))
            .found(format!("{size}{}", and_more(beyond.len())));
        checks.find_many(&codes::CHECKPOINT_BEYOND, beyond.len() as u64, detail);
    }
}

/// ` (the first of 7)`, where there are several.
pub(super) fn and_more(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        count => format!(" (the first of {count})"),
    }
}

/// Every index says of the segments what they are, and every published segment
/// stands in one.
pub(super) async fn indexes(
    store: &Arc<dyn SealedStore>,
    key: &VerifierKey,
    names: &Names,
    history: &History,
    (published, concurrency): (u64, usize),
    checks: &mut Checks,
) {
    let since = history.from;
    let sizes = names.indexes.iter().copied().filter(|size| *size > since);
    let reads = stream::iter(sizes).map(|size| {
        let (store, key) = (Arc::clone(store), key.clone());
        async move { (size, open_index(store, key, size).await) }
    });
    let mut reads = reads.buffered(concurrency.max(1));
    let mut covered = vec![false; history.facts.len()];
    let mut unread = false;
    while let Some((size, read)) = reads.next().await {
        checks.checked(Check::Index, 1);
        let detail = Detail::object(names::index(size));
        match read {
            Ok(Ok(index)) => {
                let from = index.header.from;
                if from > history.from && !names.has_checkpoint(from) {
                    begins(&**store, from, size, published, checks).await;
                }
                one_index(&index, size, history, &mut covered, checks);
            }
            Ok(Err(error)) => checks.find(&codes::INDEX_INVALID, detail.found(error)),
            Err(Absent::Unreadable(why)) => {
                unread = true;
                checks.unknown(Check::Index, why);
            }
            Err(absent) => checks.find(&codes::INDEX_INVALID, detail.found(absent)),
        }
    }
    for size in names.checkpoints.iter().filter(|size| **size > since) {
        if *size <= published && names.indexes.binary_search(size).is_err() {
            checks.find(&codes::INDEX_MISSING, Detail::object(names::index(*size)));
        }
    }
    if unread {
        return;
    }
    for (fact, covered) in history.facts.iter().zip(covered) {
        if fact.end <= published && !covered {
            let detail = Detail::object(names::segment(fact.start)).index(fact.start);
            checks.find(&codes::INDEX_LACKS_SEGMENT, detail);
        }
    }
}

async fn open_index(
    store: Arc<dyn SealedStore>,
    key: VerifierKey,
    size: u64,
) -> Result<Result<Index, IndexError>, Absent> {
    let object = get(&*store, &names::index(size), MAX_OBJECT_BYTES).await?;
    let open = tokio::task::spawn_blocking(move || Index::open(&object, &key));
    open.await
        .map_err(|error| Absent::Unreadable(format!("reading the index was aborted: {error}")))
}

/// An index begins at a checkpoint: one that was listed, or that was published
/// since.
async fn begins(
    store: &dyn SealedStore,
    from: u64,
    size: u64,
    published: u64,
    checks: &mut Checks,
) {
    if from > published {
        match get(store, &names::checkpoint(from), MAX_SMALL_BYTES).await {
            Ok(_) => return,
            Err(Absent::Unreadable(why)) => return checks.unknown(Check::Index, why),
            Err(Absent::Missing | Absent::Corrupt(_)) => {}
        }
    }
    let detail = Detail::object(names::index(size)).expected("begins at a checkpoint");
    let found = format!("begins at {from}");
    checks.find(&codes::INDEX_MISPLACED, detail.found(found));
}

fn one_index(
    index: &Index,
    size: u64,
    history: &History,
    covered: &mut [bool],
    checks: &mut Checks,
) {
    let detail = || Detail::object(names::index(size));
    let found = index.header.size;
    if found != size {
        let detail = detail().expected(size).found(found);
        checks.find(&codes::INDEX_MISPLACED, detail);
    }
    if found > history.end && !history.open_end {
        let expected = format!("at most {}", history.end);
        let detail = detail().expected(expected).found(found);
        checks.find(&codes::INDEX_BEYOND, detail);
    }
    for line in &index.lines {
        if line.start < history.from || line.start >= history.end {
            continue;
        }
        let Some((at, fact)) = history.starting_at(line.start) else {
            let found = format!("a segment at {}", line.start);
            let detail = detail().index(line.start).found(found);
            checks.find(&codes::INDEX_DIFFERS, detail);
            continue;
        };
        covered[at] = true;
        let right = match fact {
            Fact {
                meaning: Some(meaning),
                ..
            } => line.meaning() == *meaning,
            Fact {
                broken_sha256: Some(sha256),
                ..
            } => line.object_sha256 == *sha256,
            // Missing or unread: told elsewhere.
            Fact { .. } => true,
        };
        if !right {
            let about = names::segment(line.start);
            let detail = detail()
                .index(line.start)
                .expected(format!("what {about} is"))
                .found(format!("an object with SHA-256 {}", line.object_sha256));
            checks.find(&codes::INDEX_DIFFERS, detail);
        }
    }
}
