//! Stores whose every call waits for its turn, and which may be broken on purpose.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use countersign_core::merkle::Hash;
use countersign_store::fault::{CallKind, Fault, Faulty};
use countersign_store::memory::{MemoryHeadStore, MemorySealedStore};
use countersign_store::{
    Expected, GetError, HeadError, HeadStore, Knowledge, ListError, Page, PutError, Retention,
    SealedStore, Setting, Stored, SwapError, Version, VersionPage,
};
use serde::Deserialize;

use super::audit::Ledger;
use super::scheduler::{Scheduler, Verdict};

/// How a store breaks its contract: each must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// A put replaces what is there.
    PutOverwrites,
    /// A put looks first and writes later.
    PutInTwoSteps,
    /// A put is confirmed before it is durable, and some never are.
    PutForgets,
    /// A swap compares first and writes later.
    SwapInTwoSteps,
    /// A swap does not compare.
    SwapOverwrites,
    /// A swap is confirmed, and some are never done.
    SwapForgets,
}

/// What every store of an actor knows.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) actor: usize,
    pub(super) scheduler: Scheduler,
    pub(super) ledger: Arc<Ledger>,
    pub(super) broken: Option<Broken>,
}

impl Caller {
    async fn turn(&self, kind: CallKind, store: &str, key: &str) -> Verdict {
        let what = format!("{kind:?} {store}/{key}");
        self.scheduler.turn(self.actor, Some(kind), what).await
    }

    async fn wait(&self, what: String) {
        self.scheduler.turn(self.actor, None, what).await;
    }

    /// Whether a store that forgets does so now: every fifth time.
    fn forgets(&self, what: Broken) -> bool {
        self.broken == Some(what) && self.ledger.count_writes() % 5 == 4
    }
}

#[derive(Debug)]
pub(super) struct SimulatedSealed {
    pub(super) inner: Arc<Faulty<MemorySealedStore>>,
    pub(super) caller: Caller,
}

#[derive(Debug)]
pub(super) struct SimulatedHeads {
    pub(super) inner: Arc<Faulty<MemoryHeadStore>>,
    pub(super) caller: Caller,
}

#[async_trait]
impl SealedStore for SimulatedSealed {
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        let store = self.describe();
        let object = format!("{store}/{key}");
        match self.caller.turn(CallKind::Put, &store, key).await {
            Verdict::Go => self.put(key, bytes, retention).await,
            Verdict::GoAnswerLater => {
                let answer = self.put(key, bytes, retention).await;
                self.caller.wait(format!("answer to Put {object}")).await;
                answer
            }
            Verdict::Late => {
                let (inner, key) = (self.inner.clone(), key.to_owned());
                let effect = async move {
                    let _ = inner.put_new(&key, bytes, retention).await;
                };
                let what = format!("Put {object}");
                self.caller.scheduler.later(what, Box::pin(effect));
                Err(Fault::Done.put_error(object))
            }
            Verdict::Fails(fault) => {
                if fault == Fault::Done {
                    // Whatever came of it: the answer is what got lost.
                    let _ = self.put(key, bytes, retention).await;
                }
                Err(fault.put_error(object))
            }
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        self.read(key).await?;
        self.inner.get(key, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        self.read(key).await?;
        self.inner.get_range(key, range).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        self.listed(CallKind::List, prefix).await?;
        let mut page = self.inner.list(prefix, after).await?;
        let most = self.caller.scheduler.page_objects();
        page.more |= page.objects.len() > most;
        page.objects.truncate(most);
        Ok(page)
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        self.listed(CallKind::Versions, prefix).await?;
        self.inner.versions(prefix, after).await
    }

    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        self.inner.posture(expected).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl SimulatedSealed {
    /// The effect of a put, as far as this store keeps to its contract.
    async fn put(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        let object = format!("{}/{key}", self.describe());
        if self.caller.forgets(Broken::PutForgets) {
            return Ok(());
        }
        match self.caller.broken {
            Some(Broken::PutOverwrites) => {
                self.inner.inner().tamper_remove(key);
            }
            Some(Broken::PutInTwoSteps) => {
                if self.inner.get_range(key, 0..1).await.is_ok() {
                    return Err(PutError::Exists { object });
                }
                self.caller.wait(format!("middle of Put {object}")).await;
                self.inner.inner().tamper_remove(key);
            }
            _ => {}
        }
        self.inner.put_new(key, bytes, retention).await
    }

    async fn read(&self, key: &str) -> Result<(), GetError> {
        let store = self.describe();
        match self.caller.turn(CallKind::Get, &store, key).await {
            Verdict::Fails(fault) => Err(fault.get_error(format!("{store}/{key}"))),
            _ => Ok(()),
        }
    }

    async fn listed(&self, kind: CallKind, prefix: &str) -> Result<(), ListError> {
        let store = self.describe();
        match self.caller.turn(kind, &store, prefix).await {
            Verdict::Fails(fault) => Err(fault.list_error(store)),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl HeadStore for SimulatedHeads {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        let store = self.describe();
        match self.caller.turn(CallKind::Load, &store, key).await {
            Verdict::Fails(fault) => Err(fault.head_error(format!("{store}/{key}"))),
            _ => self.inner.load(key).await,
        }
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        let store = self.describe();
        let head = format!("{store}/{key}");
        let size = Document::of(&new).size;
        let verdict = {
            let what = format!("Swap {store}/{key} to {size}");
            let scheduler = &self.caller.scheduler;
            scheduler
                .turn(self.caller.actor, Some(CallKind::Swap), what)
                .await
        };
        match verdict {
            Verdict::Go => self.exchange(key, expected, new).await,
            Verdict::GoAnswerLater => {
                let answer = self.exchange(key, expected, new).await;
                self.caller.wait(format!("answer to Swap {head}")).await;
                answer
            }
            Verdict::Late => {
                let (inner, ledger) = (self.inner.clone(), self.caller.ledger.clone());
                let (key, expected) = (key.to_owned(), expected.cloned());
                let effect = async move {
                    let _ = exchange(&inner, &ledger, &key, expected.as_ref(), new).await;
                };
                let what = format!("Swap {head} to {size}");
                self.caller.scheduler.later(what, Box::pin(effect));
                Err(Fault::Done.swap_error(head))
            }
            Verdict::Fails(fault) => {
                if fault == Fault::Done {
                    // Whatever came of it: the answer is what got lost.
                    let _ = self.exchange(key, expected, new).await;
                }
                Err(fault.swap_error(head))
            }
        }
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl SimulatedHeads {
    /// The effect of a swap, as far as this store keeps to its contract.
    async fn exchange(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        let ledger = &self.caller.ledger;
        if self.caller.forgets(Broken::SwapForgets) {
            return Ok(Version::new("forgotten"));
        }
        let version = |stored: Option<Stored>| stored.map(|stored| stored.version);
        let mut latest = expected.cloned();
        match self.caller.broken {
            Some(Broken::SwapOverwrites) => {
                latest = version(self.inner.load(key).await.ok().flatten());
            }
            Some(Broken::SwapInTwoSteps) => {
                let head = format!("{}/{key}", self.describe());
                let found = version(self.inner.load(key).await.ok().flatten());
                if found.as_ref() != expected {
                    return Err(SwapError::Lost { head });
                }
                self.caller.wait(format!("middle of Swap {head}")).await;
                latest = version(self.inner.load(key).await.ok().flatten());
            }
            _ => {}
        }
        exchange(&self.inner, ledger, key, latest.as_ref(), new).await
    }
}

/// Swaps, and takes note of every head that ever stood in a store.
async fn exchange(
    inner: &Faulty<MemoryHeadStore>,
    ledger: &Ledger,
    key: &str,
    expected: Option<&Version>,
    new: Bytes,
) -> Result<Version, SwapError> {
    let document = Document::of(&new);
    let version = inner.swap(key, expected, new).await?;
    ledger.head_stood(key, document.size, document.root);
    Ok(version)
}

/// What heads and witness states have in common.
#[derive(Deserialize)]
struct Document {
    size: u64,
    root: Hash,
}

impl Document {
    fn of(bytes: &Bytes) -> Self {
        serde_json::from_slice(bytes).expect("a head or a witness state")
    }
}
