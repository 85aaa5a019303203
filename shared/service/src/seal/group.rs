//! Group commit: callers that come at the same time share segments.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_core::record::Cloud;
use countersign_sources::SourceError;
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::spawn_blocking;

use super::batch::{BATCH_BYTES, Batch, Parts};
use super::{Incoming, Outcome, Pending, Receipt, SealError, Sealer};

/// Lines of one shard that are in memory at a time: the batch in flight, the one
/// that fills meanwhile, and one for what comes in between.
const ROOM_BYTES: usize = 3 * BATCH_BYTES;
/// What a part takes of the room beside its lines, so that empty ones are bounded
/// too.
const PART_BYTES: usize = 1 << 10;

/// Seals deliveries of many callers at once, of one chain or of its shards.
///
/// Each shard has one writer with one PUT in flight. What comes meanwhile makes
/// the next batch, in the order in which it came: a lone caller waits for one
/// PUT and no timer, and under load the cost of a PUT is shared by all that
/// waited. A caller has its receipts only once its parts are durable.
///
/// Memory is bounded: deliveries are split on as many threads as there are cores
/// (away from the tasks that answer requests: a large one takes long), and a
/// split part waits for room before the next delivery is split.
///
/// A failed batch is an error for each of its callers, and the writer goes on
/// with the next from what the store says then: an alarm lasts as long as its
/// cause, and no longer. A caller that is dropped while it waits takes nothing
/// away from the others; its delivery may be sealed or not, and handing it in
/// again is always right.
///
/// Clones are handles of the same writers. They end when [`Group::close`] is
/// called or the last handle is dropped, after what was handed in by then.
#[derive(Clone)]
pub struct Group {
    shared: Arc<Shared>,
}

struct Shared {
    /// None once closed.
    lanes: Mutex<Option<Arc<Lanes>>>,
    /// Each writer that still runs has a receiver.
    writers: watch::Sender<()>,
}

/// What a call holds as long as it hands parts in.
struct Lanes {
    cloud: Cloud,
    max_input_bytes: u64,
    splitting: Arc<Semaphore>,
    shards: Vec<Lane>,
}

/// The way to a shard's writer.
struct Lane {
    room: Arc<Semaphore>,
    queue: UnboundedSender<Waiting>,
}

/// A part on its way to the writer.
struct Waiting {
    part: Pending,
    answer: oneshot::Sender<Result<Receipt, GroupError>>,
    room: OwnedSemaphorePermit,
}

type Answer = oneshot::Receiver<Result<Receipt, GroupError>>;

/// Why a delivery is not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The delivery is broken; the others go on.
    #[error("{from} {error}")]
    Source {
        /// The delivery's `from`.
        from: String,
        /// What is wrong with it.
        error: SourceError,
    },
    /// The chain was not written, or is not known to be. All callers of the batch
    /// are told the same.
    #[error(transparent)]
    Seal(Arc<SealError>),
    /// It was not taken.
    #[error("this process is about to end and takes no more deliveries: hand it to another")]
    Closed,
    /// Sealing stopped half way.
    #[error(
        "sealing stopped in the middle: hand the delivery in again; if that goes on, report what the log says of a panic"
    )]
    Stopped,
}

impl Group {
    /// Seals into the chain of these sealers: one, or one a shard. The writers
    /// are tasks of the runtime that this is called in.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(sealers: Vec<Sealer>, max_input_bytes: u64) -> Self {
        let writers = watch::Sender::new(());
        let cloud = sealers.first().map(|first| first.chain().settings.cloud);
        let start = |sealer| {
            let (queue, waiting) = unbounded_channel();
            tokio::spawn(write(sealer, waiting, writers.subscribe()));
            let room = Arc::new(Semaphore::new(ROOM_BYTES));
            Lane { room, queue }
        };
        let shards = sealers.into_iter().map(start).collect();
        let lanes = cloud.map(|cloud| {
            Arc::new(Lanes {
                cloud,
                max_input_bytes,
                splitting: Arc::new(Semaphore::new(crate::cores())),
                shards,
            })
        });
        let lanes = Mutex::new(lanes);
        Self {
            shared: Arc::new(Shared { lanes, writers }),
        }
    }

    /// Seals a delivery and gives the receipts of its parts, in order, once all
    /// are durable.
    ///
    /// # Errors
    /// [`GroupError`]; hand the delivery in again, unless it is broken. What did get
    /// through is then recognized as a duplicate.
    pub async fn seal(&self, incoming: Incoming) -> Result<Vec<Receipt>, GroupError> {
        let lanes = self.shared.lanes().clone().ok_or(GroupError::Closed)?;
        let Ok(permit) = Arc::clone(&lanes.splitting).acquire_owned().await else {
            return Err(GroupError::Closed);
        };
        let runtime = Handle::current();
        let hand_in = move || {
            let _permit = permit;
            lanes.hand_in(&incoming, &runtime)
        };
        let answers = spawn_blocking(hand_in)
            .await
            .map_err(|_| GroupError::Stopped)??;
        let mut receipts = Vec::with_capacity(answers.len());
        for answer in answers {
            receipts.push(answer.await.map_err(|_| GroupError::Stopped)??);
        }
        Ok(receipts)
    }

    /// Takes no more deliveries, and returns when those handed in before are
    /// sealed or failed and their callers told. Call it when the platform says
    /// that the process will be ended.
    pub async fn close(&self) {
        self.shared.lanes().take();
        self.shared.writers.closed().await;
    }
}

impl Shared {
    fn lanes(&self) -> std::sync::MutexGuard<'_, Option<Arc<Lanes>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// Splits a delivery and gives its parts to the writer of its shard, waiting
    /// for room.
    fn hand_in(&self, incoming: &Incoming, runtime: &Handle) -> Result<Vec<Answer>, GroupError> {
        let source = |error| GroupError::Source {
            from: incoming.from.clone(),
            error,
        };
        let mut parts = Parts::of(incoming, self.cloud, self.max_input_bytes).map_err(source)?;
        let lane = &self.shards[parts.shard(self.shards.len())];
        let mut answers = Vec::new();
        while let Some(part) = parts.next().map_err(source)? {
            // One that is larger than all the room has it for itself.
            let bytes = (part.body.len() + PART_BYTES).min(ROOM_BYTES);
            let room = Arc::clone(&lane.room).acquire_many_owned(bytes as u32);
            let room = runtime.block_on(room).map_err(|_| GroupError::Stopped)?;
            let (answer, receiver) = oneshot::channel();
            let waiting = Waiting { part, answer, room };
            lane.queue.send(waiting).map_err(|_| GroupError::Stopped)?;
            answers.push(receiver);
        }
        Ok(answers)
    }
}

/// Seals what is handed in, batch by batch, until no one can hand anything in.
async fn write(
    mut sealer: Sealer,
    mut queue: UnboundedReceiver<Waiting>,
    _running: watch::Receiver<()>,
) {
    let mut held = None;
    loop {
        let mut next = match held.take() {
            Some(waiting) => Some(waiting),
            None => queue.recv().await,
        };
        if next.is_none() {
            return;
        }
        let mut batch = Batch::signed_by(sealer.signer());
        let mut callers = Vec::new();
        while let Some(Waiting { part, answer, room }) = next.take() {
            batch.push(part);
            callers.push((answer, room));
            if batch.is_full() {
                break;
            }
            match queue.try_recv() {
                Ok(waiting) if batch.has_room_for(&waiting.part) => next = Some(waiting),
                other => held = other.ok(),
            }
        }
        let answers = seal(&mut sealer, batch).await;
        for ((answer, _room), result) in callers.into_iter().zip(answers) {
            // A caller that is gone hands its delivery in again.
            let _ = answer.send(result);
        }
    }
}

/// Seals a batch, and says for each part what became of it.
async fn seal(sealer: &mut Sealer, batch: Batch) -> Vec<Result<Receipt, GroupError>> {
    let parts = batch.parts();
    match guarded(sealer, parts).await {
        Ok(outcomes) => {
            let origin = sealer.chain().origin();
            batch.receipts(origin, outcomes).map(Ok).collect()
        }
        // One part's fault must not be the others': search for it by halves.
        Err(Some(error)) if matches!(*error, SealError::Segment(_)) && parts.len() > 1 => {
            let mut answers = Vec::new();
            for half in batch.halves() {
                answers.extend(Box::pin(seal(sealer, half)).await);
            }
            answers
        }
        Err(Some(error)) => {
            let failed = |_| Err(GroupError::Seal(Arc::clone(&error)));
            parts.iter().map(failed).collect()
        }
        Err(None) => parts.iter().map(|_| Err(GroupError::Stopped)).collect(),
    }
}

/// Seals, and survives a panic (an error of none): the sealer then begins anew
/// from what is stored.
async fn guarded(
    sealer: &mut Sealer,
    parts: &[Pending],
) -> Result<Vec<Outcome>, Option<Arc<SealError>>> {
    match AssertUnwindSafe(sealer.seal(parts)).catch_unwind().await {
        Ok(result) => result.map_err(|error| Some(Arc::new(error))),
        Err(_) => {
            sealer.forget();
            let origin = sealer.chain().origin();
            tracing::error!(origin, "sealing panicked; it begins anew");
            Err(None)
        }
    }
}

#[cfg(test)]
mod tests;
