//! Stores in memory, for tests and examples: they enforce what a locked bucket
//! enforces, and let a test do what an adversary would.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{GetError, HeadError, ListError, PutError, SwapError};
use crate::head::{HeadStore, Stored, Version, swap_refusal};
use crate::key::{INVALID_KEY, key_is_valid};
use crate::posture::{Expected, Setting};
use crate::requests;
use crate::sealed::{
    Knowledge, LockMode, ObjectMeta, ObjectVersion, Page, Retention, SealedStore, VersionLock,
    VersionPage,
};

/// How many objects a page holds.
const PAGE_OBJECTS: usize = 8192;

/// A sealed store in memory that behaves as a bucket with versions and a lock:
/// a delete marker hides an object and opens its key again.
///
/// Nothing but the `tamper_…` calls can change or remove an object under
/// retention.
#[derive(Debug)]
pub struct MemorySealedStore {
    name: String,
    mode: Option<LockMode>,
    state: Mutex<Objects>,
}

impl MemorySealedStore {
    /// An empty store that holds retention as firmly as S3's compliance mode,
    /// with the address `memory:<name>`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mode: Some(LockMode::Compliance),
            state: Mutex::default(),
        }
    }

    /// The same store with another lock; `None` remembers no retention at all.
    pub fn with_lock_mode(self, mode: Option<LockMode>) -> Self {
        Self { mode, ..self }
    }

    /// Does what a bucket's lifecycle does at `now_millis` (milliseconds since
    /// 1970): removes the versions whose retention has ended, and no others.
    /// Gives the keys that lost a version.
    pub fn expire(&self, now_millis: u64) -> Vec<String> {
        let mut expired = Vec::new();
        self.objects().by_key.retain(|key, versions| {
            let before = versions.len();
            versions.retain(|version| version.retain_until.is_none_or(|until| until > now_millis));
            if versions.len() < before {
                expired.push(key.clone());
            }
            !versions.is_empty()
        });
        expired
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        requests::request();
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.describe())
    }

    fn current(&self, key: &str) -> Result<Bytes, GetError> {
        if !key_is_valid(key) {
            let (reason, next) = INVALID_KEY;
            return Err(GetError::Refused {
                object: self.address(key),
                reason: reason.to_owned(),
                next: next.to_owned(),
            });
        }
        self.objects()
            .current(key)
            .cloned()
            .ok_or_else(|| GetError::NotFound {
                object: self.address(key),
            })
    }
}

/// What an adversary does who got past the lock: for tests of `verify` alone.
impl MemorySealedStore {
    /// Replaces the content at `key` in place: same version, same retention.
    /// Plants an object where none is.
    pub fn tamper_replace(&self, key: &str, bytes: impl Into<Bytes>) {
        let mut objects = self.objects();
        let content = Some(bytes.into());
        match objects
            .by_key
            .get_mut(key)
            .and_then(|versions| versions.last_mut())
        {
            Some(latest) => latest.content = content,
            None => objects.add(key, content, None),
        }
    }

    /// Removes `key` with all its versions, without a trace. Gives whether
    /// there was one.
    pub fn tamper_remove(&self, key: &str) -> bool {
        self.objects().by_key.remove(key).is_some()
    }

    /// Puts a newer version over `key`, which hides the one that is there.
    pub fn tamper_add_version(&self, key: &str, bytes: impl Into<Bytes>) {
        self.objects().add(key, Some(bytes.into()), None);
    }

    /// Puts a delete marker over `key`: reads no longer find it, and a put of
    /// the same key succeeds.
    pub fn tamper_delete_marker(&self, key: &str) {
        self.objects().add(key, None, None);
    }

    /// Sets until when the versions of `key` are retained, in milliseconds
    /// since 1970.
    pub fn tamper_retention(&self, key: &str, retain_until: Option<u64>) {
        if let Some(versions) = self.objects().by_key.get_mut(key) {
            for version in versions {
                version.retain_until = retain_until;
            }
        }
    }

    /// Gives the store settings of its own, as a cloud's has.
    pub fn tamper_settings(&self, settings: Vec<Setting>) {
        self.objects().settings = Some(settings);
    }

    /// Takes away the permission to read how long versions are retained.
    pub fn tamper_hide_retention(&self, reason: impl Into<String>) {
        self.objects().retention_unknown = Some(reason.into());
    }
}

#[async_trait]
impl SealedStore for MemorySealedStore {
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        if !key_is_valid(key) {
            let (reason, next) = INVALID_KEY;
            return Err(PutError::Refused {
                object: self.address(key),
                reason: reason.to_owned(),
                next: next.to_owned(),
            });
        }
        let retain_until = match (self.mode, retention) {
            (Some(_), Retention::Until(millis)) => Some(millis),
            _ => None,
        };
        let mut objects = self.objects();
        if objects.current(key).is_some() {
            return Err(PutError::Exists {
                object: self.address(key),
            });
        }
        objects.add(key, Some(bytes), retain_until);
        Ok(())
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        let content = self.current(key)?;
        let bytes = content.len() as u64;
        if bytes > max_bytes {
            return Err(GetError::TooLarge {
                object: self.address(key),
                bytes,
                limit: max_bytes,
            });
        }
        Ok(content)
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        let content = self.current(key)?;
        let clamp = |at: u64| usize::try_from(at).map_or(content.len(), |at| at.min(content.len()));
        let (start, end) = (clamp(range.start), clamp(range.end));
        Ok(content.slice(start..end.max(start)))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        let objects = self.objects();
        let mut found = objects.under(prefix, after).filter_map(|(key, versions)| {
            let content = versions.last()?.content.as_ref()?;
            Some(ObjectMeta::new(key.clone(), content.len() as u64))
        });
        let page = found.by_ref().take(PAGE_OBJECTS).collect();
        Ok(Page {
            objects: page,
            more: found.next().is_some(),
        })
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        let objects = self.objects();
        let mut found = objects.under(prefix, after);
        let mut page = VersionPage::default();
        for (key, versions) in found.by_ref().take(PAGE_OBJECTS) {
            let newest_first = versions.iter().rev().enumerate();
            page.versions.extend(newest_first.map(|(age, version)| {
                ObjectVersion {
                    key: key.clone(),
                    version: version.number.to_string(),
                    is_latest: age == 0,
                    delete_marker: version.content.is_none(),
                    bytes: version
                        .content
                        .as_ref()
                        .map_or(0, |content| content.len() as u64),
                    lock: match (&objects.retention_unknown, version.retain_until, self.mode) {
                        (Some(reason), ..) => VersionLock::Unknown {
                            reason: reason.clone(),
                        },
                        (None, Some(millis), Some(mode)) => VersionLock::Until { millis, mode },
                        _ => VersionLock::None,
                    },
                }
            }));
        }
        page.more = found.next().is_some();
        Ok(Knowledge::Known(page))
    }

    async fn posture(&self, _expected: Expected) -> Knowledge<Vec<Setting>> {
        match &self.objects().settings {
            Some(settings) => Knowledge::Known(settings.clone()),
            None => Knowledge::NotApplicable {
                reason: "a store in memory has no settings".to_owned(),
            },
        }
    }

    fn describe(&self) -> String {
        format!("memory:{}", self.name)
    }
}

/// A head store in memory.
#[derive(Debug)]
pub struct MemoryHeadStore {
    name: String,
    state: Mutex<Heads>,
}

impl MemoryHeadStore {
    /// An empty store with the address `memory:<name>`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: Mutex::default(),
        }
    }

    fn heads(&self) -> MutexGuard<'_, Heads> {
        requests::request();
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.describe())
    }
}

/// What a person who got at the table does: for tests alone.
impl MemoryHeadStore {
    /// Removes the head at `key`, without a trace. Gives whether there was one.
    pub fn tamper_remove(&self, key: &str) -> bool {
        self.heads().by_key.remove(key).is_some()
    }

    /// Replaces the document at `key`, as a write past the compare-and-swap.
    pub fn tamper_replace(&self, key: &str, bytes: impl Into<Bytes>) {
        self.heads().write(key, bytes.into());
    }
}

#[async_trait]
impl HeadStore for MemoryHeadStore {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        if !key_is_valid(key) {
            let (reason, next) = INVALID_KEY;
            return Err(HeadError::Refused {
                head: self.address(key),
                reason: reason.to_owned(),
                next: next.to_owned(),
            });
        }
        Ok(self.heads().by_key.get(key).cloned())
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        if let Some((reason, next)) = swap_refusal(key, &new) {
            return Err(SwapError::Refused {
                head: self.address(key),
                reason,
                next,
            });
        }
        let mut heads = self.heads();
        if heads.by_key.get(key).map(|stored| &stored.version) != expected {
            return Err(SwapError::Lost {
                head: self.address(key),
            });
        }
        Ok(heads.write(key, new))
    }

    fn describe(&self) -> String {
        format!("memory:{}", self.name)
    }
}

#[derive(Debug, Default)]
struct Objects {
    /// The versions of a key, newest last, never none.
    by_key: BTreeMap<String, Vec<Written>>,
    versions: u64,
    retention_unknown: Option<String>,
    settings: Option<Vec<Setting>>,
}

#[derive(Debug)]
struct Written {
    number: u64,
    /// `None`: a delete marker.
    content: Option<Bytes>,
    retain_until: Option<u64>,
}

impl Objects {
    fn current(&self, key: &str) -> Option<&Bytes> {
        self.by_key.get(key)?.last()?.content.as_ref()
    }

    fn add(&mut self, key: &str, content: Option<Bytes>, retain_until: Option<u64>) {
        self.versions += 1;
        let written = Written {
            number: self.versions,
            content,
            retain_until,
        };
        self.by_key.entry(key.to_owned()).or_default().push(written);
    }

    fn under<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a String, &'a Vec<Written>)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.by_key
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }
}

#[derive(Debug, Default)]
struct Heads {
    by_key: BTreeMap<String, Stored>,
    /// Counts the writes of all keys, so that no version ever comes back.
    writes: u64,
}

impl Heads {
    fn write(&mut self, key: &str, bytes: Bytes) -> Version {
        self.writes += 1;
        let version = Version::new(self.writes.to_string());
        self.by_key.insert(
            key.to_owned(),
            Stored {
                bytes,
                version: version.clone(),
            },
        );
        version
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conformance::{self, Scope};

    const UNTIL: u64 = 1_000;

    async fn versions(store: &MemorySealedStore) -> Vec<ObjectVersion> {
        match store.versions("", None).await.unwrap() {
            Knowledge::Known(page) => page.versions,
            Knowledge::NotApplicable { reason } => panic!("{reason}"),
        }
    }

    async fn store_with_object() -> MemorySealedStore {
        let store = MemorySealedStore::new("x");
        store
            .put_new("a", Bytes::from_static(b"1"), Retention::Until(UNTIL))
            .await
            .unwrap();
        store
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn conforms() {
        let scope = Scope {
            retention: Retention::Until(UNTIL),
            ..Scope::new("suite")
        };
        conformance::sealed_store(Arc::new(MemorySealedStore::new("x")), &scope).await;
        conformance::head_store(Arc::new(MemoryHeadStore::new("x")), &scope).await;
    }

    #[tokio::test]
    async fn retention_holds_until_it_ends() {
        let store = store_with_object().await;
        store
            .put_new("b", Bytes::new(), Retention::None)
            .await
            .unwrap();
        assert!(store.expire(UNTIL - 1).is_empty());
        assert_eq!(store.expire(UNTIL), ["a"]);
        assert!(matches!(
            store.get("a", 1).await,
            Err(GetError::NotFound { .. })
        ));
        store.get("b", 0).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_without_a_lock_remembers_no_retention() {
        let store = MemorySealedStore::new("x").with_lock_mode(None);
        store
            .put_new("a", Bytes::new(), Retention::Until(UNTIL))
            .await
            .unwrap();
        let version = &versions(&store).await[0];
        assert_eq!(version.lock, VersionLock::None);
    }

    #[tokio::test]
    async fn tampering_shows_as_it_would_in_a_bucket() {
        let store = store_with_object().await;
        store.tamper_replace("a", "2");
        assert_eq!(store.get("a", 1).await.unwrap(), "2");
        let replaced = versions(&store).await;
        assert_eq!(
            replaced.len(),
            1,
            "a replaced object shows no second version"
        );
        let kept = VersionLock::Until {
            millis: UNTIL,
            mode: LockMode::Compliance,
        };
        assert_eq!(replaced[0].lock, kept);

        store.tamper_add_version("a", "3");
        assert_eq!(store.get("a", 1).await.unwrap(), "3");
        store.tamper_delete_marker("a");
        assert!(matches!(
            store.get("a", 1).await,
            Err(GetError::NotFound { .. })
        ));
        assert!(store.list("", None).await.unwrap().objects.is_empty());
        store
            .put_new("a", Bytes::from_static(b"4"), Retention::None)
            .await
            .unwrap();
        let seen = versions(&store).await;
        let shown: Vec<_> = seen
            .iter()
            .map(|v| (v.is_latest, v.delete_marker, v.bytes))
            .collect();
        assert_eq!(
            shown,
            [
                (true, false, 1),
                (false, true, 0),
                (false, false, 1),
                (false, false, 1)
            ],
            "newest first, and the marker opened the key again"
        );

        store.tamper_retention("a", None);
        assert!(
            versions(&store)
                .await
                .iter()
                .all(|version| version.lock == VersionLock::None)
        );
        assert!(store.tamper_remove("a"));
        assert!(!store.tamper_remove("a"));
        assert!(versions(&store).await.is_empty());
    }

    #[tokio::test]
    async fn a_head_written_past_the_swap_gets_a_version_of_its_own() {
        let store = MemoryHeadStore::new("x");
        let first = store
            .swap("h", None, Bytes::from_static(b"1"))
            .await
            .unwrap();
        store.tamper_replace("h", "1");
        let swapped = store.swap("h", Some(&first), Bytes::new()).await;
        assert!(matches!(swapped, Err(SwapError::Lost { .. })));
        assert!(store.tamper_remove("h"));
        let second = store
            .swap("h", None, Bytes::from_static(b"1"))
            .await
            .unwrap();
        assert_ne!(first, second);
    }
}
