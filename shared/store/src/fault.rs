//! A wrapper that fails the calls a test picks and counts them all.
//!
//! Whatever can be lost on a network is told to the caller the same way: it
//! does not know. So a failed write comes in two kinds, lost and done, and a
//! caller that is right about one may be wrong about the other.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use bytes::Bytes;
//! use countersign_store::fault::{Fault, Faults, Faulty};
//! use countersign_store::memory::MemorySealedStore;
//! use countersign_store::{PutError, Retention, SealedStore};
//!
//! let faults = Faults::new();
//! let store = Faulty::new(MemorySealedStore::new("x"), &faults);
//! faults.fail_write(1, Fault::Done);
//!
//! let put = store.put_new("a", Bytes::from_static(b"1"), Retention::None).await;
//! assert!(matches!(put, Err(PutError::Unknown { .. })));
//! assert_eq!(store.get("a", 1).await.unwrap(), "1");
//! assert_eq!((faults.counts().puts, faults.counts().gets), (1, 1));
//! # });
//! ```

use std::fmt::{self, Debug};
use std::ops::{Range, Sub};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{BoxError, GetError, HeadError, ListError, PutError, SwapError};
use crate::head::{HeadStore, Stored, Version};
use crate::posture::{Expected, Setting};
use crate::sealed::{Knowledge, Page, Retention, SealedStore, VersionPage};

/// A store whose calls can be made to fail.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    faults: Faults,
}

impl<S> Faulty<S> {
    /// Wraps `inner`. Several stores may share `faults`: their calls are then
    /// counted as one sequence.
    pub fn new(inner: S, faults: &Faults) -> Self {
        Self {
            inner,
            faults: faults.clone(),
        }
    }

    /// The store itself, whose calls are neither failed nor counted.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write is not done, and its outcome reported as unknown. A read fails
    /// for now.
    Lost,
    /// A write is done, and its outcome reported as unknown. A read fails for
    /// now.
    Done,
    /// Not done, and reported so: it may be repeated.
    Transient,
    /// Not done, and reported so: a person must act.
    Refused,
}

/// What a caller is told of the fault. A read knows no unknown outcome.
impl Fault {
    /// Of a put.
    pub fn put_error(self, object: String) -> PutError {
        match self {
            Self::Lost | Self::Done => PutError::Unknown {
                object,
                cause: cause(),
            },
            Self::Transient => PutError::Transient {
                object,
                cause: cause(),
            },
            Self::Refused => {
                let (reason, next) = refusal();
                PutError::Refused {
                    object,
                    reason,
                    next,
                }
            }
        }
    }

    /// Of a read.
    pub fn get_error(self, object: String) -> GetError {
        match self {
            Self::Refused => {
                let (reason, next) = refusal();
                GetError::Refused {
                    object,
                    reason,
                    next,
                }
            }
            _ => GetError::Transient {
                object,
                cause: cause(),
            },
        }
    }

    /// Of a listing.
    pub fn list_error(self, store: String) -> ListError {
        match self {
            Self::Refused => {
                let (reason, next) = refusal();
                ListError::Refused {
                    store,
                    reason,
                    next,
                }
            }
            _ => ListError::Transient {
                store,
                cause: cause(),
            },
        }
    }

    /// Of a load.
    pub fn head_error(self, head: String) -> HeadError {
        match self {
            Self::Refused => {
                let (reason, next) = refusal();
                HeadError::Refused { head, reason, next }
            }
            _ => HeadError::Transient {
                head,
                cause: cause(),
            },
        }
    }

    /// Of a swap.
    pub fn swap_error(self, head: String) -> SwapError {
        match self {
            Self::Lost | Self::Done => SwapError::Unknown {
                head,
                cause: cause(),
            },
            Self::Transient => SwapError::Transient {
                head,
                cause: cause(),
            },
            Self::Refused => {
                let (reason, next) = refusal();
                SwapError::Refused { head, reason, next }
            }
        }
    }
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// `put_new`
    Put,
    /// `get` and `get_range`
    Get,
    /// `list`
    List,
    /// `versions`
    Versions,
    /// `load`
    Load,
    /// `swap`
    Swap,
}

impl CallKind {
    /// Whether it is meant to change the store.
    pub fn is_write(self) -> bool {
        matches!(self, Self::Put | Self::Swap)
    }
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What it does.
    pub kind: CallKind,
    /// The address of the store.
    pub store: &'a str,
    /// The key, or the prefix of a listing.
    pub key: &'a str,
    /// The calls so far, this one included.
    pub counts: Counts,
}

/// How many calls were made, failed ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `put_new`.
    pub puts: u64,
    /// Calls of `get` and `get_range`.
    pub gets: u64,
    /// Calls of `list`.
    pub lists: u64,
    /// Calls of `versions`.
    pub versions: u64,
    /// Calls of `load`.
    pub loads: u64,
    /// Calls of `swap`.
    pub swaps: u64,
}

impl Counts {
    /// Calls meant to change a store.
    pub fn writes(self) -> u64 {
        self.puts + self.swaps
    }

    /// All calls.
    pub fn total(self) -> u64 {
        self.writes() + self.gets + self.lists + self.versions + self.loads
    }

    fn count(&mut self, kind: CallKind) {
        *match kind {
            CallKind::Put => &mut self.puts,
            CallKind::Get => &mut self.gets,
            CallKind::List => &mut self.lists,
            CallKind::Versions => &mut self.versions,
            CallKind::Load => &mut self.loads,
            CallKind::Swap => &mut self.swaps,
        } += 1;
    }
}

impl Sub for Counts {
    type Output = Self;

    /// The calls made since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            puts: self.puts - earlier.puts,
            gets: self.gets - earlier.gets,
            lists: self.lists - earlier.lists,
            versions: self.versions - earlier.versions,
            loads: self.loads - earlier.loads,
            swaps: self.swaps - earlier.swaps,
        }
    }
}

/// Which calls fail, and how many there were. Clones share one script and one
/// count.
#[derive(Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

impl Faults {
    /// No call fails yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails one write: 1 is the next put or swap, 2 the one after it.
    ///
    /// # Panics
    ///
    /// If `nth` is 0.
    pub fn fail_write(&self, nth: u64, fault: Fault) {
        assert!(nth > 0, "writes are counted from 1");
        let chosen = self.counts().writes() + nth;
        self.fail_when(move |call| {
            (call.kind.is_write() && call.counts.writes() == chosen).then_some(fault)
        });
    }

    /// Asks `rule` about each call from now on, after the rules set before;
    /// the first that gives a fault decides.
    pub fn fail_when(&self, rule: impl FnMut(&Call<'_>) -> Option<Fault> + Send + 'static) {
        self.state().rules.push(Box::new(rule));
    }

    /// Lets all calls through again. The counts go on.
    pub fn clear(&self) {
        self.state().rules.clear();
    }

    /// The calls so far. The difference of two is what was called in between.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, kind: CallKind, store: &str, key: &str) -> Option<Fault> {
        let mut state = self.state();
        state.counts.count(kind);
        let call = Call {
            kind,
            store,
            key,
            counts: state.counts,
        };
        state.rules.iter_mut().find_map(|rule| rule(&call))
    }
}

impl Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: SealedStore> SealedStore for Faulty<S> {
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        let store = self.inner.describe();
        let object = format!("{store}/{key}");
        let Some(fault) = self.faults.next(CallKind::Put, &store, key) else {
            return self.inner.put_new(key, bytes, retention).await;
        };
        if fault == Fault::Done {
            // Whatever came of it: the answer is what got lost.
            let _ = self.inner.put_new(key, bytes, retention).await;
        }
        Err(fault.put_error(object))
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        self.fail_get(key)?;
        self.inner.get(key, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        self.fail_get(key)?;
        self.inner.get_range(key, range).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        self.fail_list(CallKind::List, prefix)?;
        self.inner.list(prefix, after).await
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        self.fail_list(CallKind::Versions, prefix)?;
        self.inner.versions(prefix, after).await
    }

    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        self.inner.posture(expected).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[async_trait]
impl<S: HeadStore> HeadStore for Faulty<S> {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        let store = self.inner.describe();
        let head = format!("{store}/{key}");
        match self.faults.next(CallKind::Load, &store, key) {
            None => self.inner.load(key).await,
            Some(fault) => Err(fault.head_error(head)),
        }
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        let store = self.inner.describe();
        let head = format!("{store}/{key}");
        let Some(fault) = self.faults.next(CallKind::Swap, &store, key) else {
            return self.inner.swap(key, expected, new).await;
        };
        if fault == Fault::Done {
            // Whatever came of it: the answer is what got lost.
            let _ = self.inner.swap(key, expected, new).await;
        }
        Err(fault.swap_error(head))
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl<S: SealedStore> Faulty<S> {
    fn fail_get(&self, key: &str) -> Result<(), GetError> {
        let store = self.inner.describe();
        let object = format!("{store}/{key}");
        let fault = self.faults.next(CallKind::Get, &store, key);
        fault.map_or(Ok(()), |fault| Err(fault.get_error(object)))
    }

    fn fail_list(&self, kind: CallKind, prefix: &str) -> Result<(), ListError> {
        let store = self.inner.describe();
        let fault = self.faults.next(kind, &store, prefix);
        fault.map_or(Ok(()), |fault| Err(fault.list_error(store)))
    }
}

type Rule = Box<dyn FnMut(&Call<'_>) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    counts: Counts,
    rules: Vec<Rule>,
}

fn cause() -> BoxError {
    "a fault set by the test".into()
}

fn refusal() -> (String, String) {
    (
        "a refusal set by the test".to_owned(),
        "clear the faults".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryHeadStore, MemorySealedStore};

    const ONE: Bytes = Bytes::from_static(b"1");

    #[tokio::test]
    async fn the_nth_write_over_both_stores_fails() {
        let faults = Faults::new();
        let sealed = Faulty::new(MemorySealedStore::new("s"), &faults);
        let heads = Faulty::new(MemoryHeadStore::new("h"), &faults);
        sealed.put_new("a", ONE, Retention::None).await.unwrap();
        faults.fail_write(2, Fault::Lost);
        faults.fail_write(3, Fault::Done);

        sealed.put_new("b", ONE, Retention::None).await.unwrap();
        let lost = heads.swap("h", None, ONE).await;
        assert!(matches!(lost, Err(SwapError::Unknown { .. })));
        assert_eq!(heads.load("h").await.unwrap(), None);
        let done = heads.swap("h", None, ONE).await;
        assert!(matches!(done, Err(SwapError::Unknown { .. })));
        let stored = heads.load("h").await.unwrap().unwrap();
        heads.swap("h", Some(&stored.version), ONE).await.unwrap();

        let counts = faults.counts();
        assert_eq!(
            counts,
            Counts {
                puts: 2,
                loads: 2,
                swaps: 3,
                ..Counts::default()
            }
        );
        assert_eq!((counts.writes(), counts.total()), (5, 7));
    }

    #[tokio::test]
    async fn a_done_put_hides_that_the_object_existed() {
        let faults = Faults::new();
        let store = Faulty::new(MemorySealedStore::new("s"), &faults);
        store.put_new("a", ONE, Retention::None).await.unwrap();
        faults.fail_write(1, Fault::Done);
        let put = store.put_new("a", ONE, Retention::None).await;
        assert!(matches!(put, Err(PutError::Unknown { .. })));
    }

    #[tokio::test]
    async fn rules_see_the_call_and_can_be_cleared() {
        let faults = Faults::new();
        let store = Faulty::new(MemorySealedStore::new("s"), &faults);
        faults.fail_when(|call| {
            assert_eq!(call.store, "memory:s");
            match (call.kind, call.key) {
                (CallKind::Get, "a") => Some(Fault::Refused),
                (CallKind::List, _) => Some(Fault::Lost),
                (CallKind::Put, _) => Some(Fault::Transient),
                _ => None,
            }
        });
        assert!(matches!(
            store.get("a", 1).await,
            Err(GetError::Refused { .. })
        ));
        assert!(matches!(
            store.get_range("b", 0..1).await,
            Err(GetError::NotFound { .. })
        ));
        assert!(matches!(
            store.list("", None).await,
            Err(ListError::Transient { .. })
        ));
        assert!(matches!(
            store.versions("", None).await,
            Ok(Knowledge::Known(_))
        ));
        let before = faults.counts();
        let put = store.put_new("a", ONE, Retention::None).await;
        assert!(matches!(put, Err(PutError::Transient { .. })));

        faults.clear();
        store.put_new("a", ONE, Retention::None).await.unwrap();
        assert_eq!(store.inner().get("a", 1).await.unwrap(), ONE);
        assert_eq!(
            faults.counts() - before,
            Counts {
                puts: 2,
                ..Counts::default()
            }
        );
    }
}
