//! How many requests a verification sends: what it costs where requests are
//! paid for, and what it waits for where they take long.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use countersign_store::{
    Expected, GetError, HeadError, HeadStore, Knowledge, ListError, Page, PutError, Retention,
    SealedStore, Setting, Stored, SwapError, Version, VersionPage, count_requests,
};
use serde::Serialize;

use crate::chain::{Chain, Witness};

/// Requests that were sent to verify one chain: to its sealed store, its head
/// store and, for its anchors, the witnesses' sealed stores.
///
/// Counted are the requests that the backends hand to their transport, each
/// attempt of one that is repeated, and those that failed. A read of a folder
/// counts as one. Not counted are requests for credentials. What is read of a
/// chain that was not asked for, since it holds the anchors of another, is in no
/// count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Pages of listings.
    pub list: u64,
    /// Reads of objects.
    pub read: u64,
    /// Pages of listings of versions, and reads of what keeps each of them.
    pub versions: u64,
    /// Reads of the stores' settings.
    pub settings: u64,
    /// Reads of the head.
    pub head: u64,
}

impl Requests {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.list + self.read + self.versions + self.settings + self.head
    }

    /// All of them for each of that many segments, to two digits; none without
    /// a segment.
    pub fn per_segment(&self, segments: u64) -> Option<f64> {
        let hundredths = self.total() as f64 * 100.0 / segments as f64;
        (segments > 0).then_some(hundredths.round() / 100.0)
    }
}

/// Counts what is sent through the stores that it hands out.
#[derive(Debug, Default)]
pub(super) struct Meter {
    list: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
    versions: Arc<AtomicU64>,
    settings: Arc<AtomicU64>,
    head: Arc<AtomicU64>,
}

impl Meter {
    /// The chain with stores that are counted.
    pub(super) fn chain(self: &Arc<Self>, chain: &Chain) -> Chain {
        let head = CountedHead {
            inner: Arc::clone(&chain.head),
            meter: Arc::clone(self),
        };
        Chain {
            settings: chain.settings.clone(),
            key: chain.key.clone(),
            sealed: self.sealed(&chain.sealed),
            head: Arc::new(head),
        }
    }

    /// The store of a witness, for anchors of this chain.
    pub(super) fn anchors(self: &Arc<Self>, witness: &Witness) -> Arc<dyn SealedStore> {
        self.sealed(&witness.sealed)
    }

    fn sealed(self: &Arc<Self>, store: &Arc<dyn SealedStore>) -> Arc<dyn SealedStore> {
        Arc::new(CountedSealed {
            inner: Arc::clone(store),
            meter: Arc::clone(self),
        })
    }

    /// The count so far.
    pub(super) fn requests(&self) -> Requests {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Requests {
            list: of(&self.list),
            read: of(&self.read),
            versions: of(&self.versions),
            settings: of(&self.settings),
            head: of(&self.head),
        }
    }
}

#[derive(Debug)]
struct CountedSealed {
    inner: Arc<dyn SealedStore>,
    meter: Arc<Meter>,
}

#[async_trait]
impl SealedStore for CountedSealed {
    /// A verification writes nothing: not counted.
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        self.inner.put_new(key, bytes, retention).await
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        count_requests(&self.meter.read, self.inner.get(key, max_bytes)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        count_requests(&self.meter.read, self.inner.get_range(key, range)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        count_requests(&self.meter.list, self.inner.list(prefix, after)).await
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        count_requests(&self.meter.versions, self.inner.versions(prefix, after)).await
    }

    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        count_requests(&self.meter.settings, self.inner.posture(expected)).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[derive(Debug)]
struct CountedHead {
    inner: Arc<dyn HeadStore>,
    meter: Arc<Meter>,
}

#[async_trait]
impl HeadStore for CountedHead {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        count_requests(&self.meter.head, self.inner.load(key)).await
    }

    /// A verification moves no head: not counted.
    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        self.inner.swap(key, expected, new).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests {
    use countersign_store::local::LocalSealedStore;

    use super::*;
    use crate::verify::tests::world;
    use crate::verify::{Options, Report};

    fn sum(report: &Report, kind: impl Fn(&Requests) -> u64) -> u64 {
        let chains = report.chains.iter();
        chains.map(|chain| kind(&chain.requests)).sum()
    }

    #[tokio::test]
    async fn over_memory_each_call_is_a_request() {
        let world = world(2).await;
        let before = world.faults.counts();
        let report = world.verified(&Options::default()).await;
        let calls = world.faults.counts() - before;
        assert_eq!(sum(&report, |requests| requests.list), calls.lists);
        assert_eq!(sum(&report, |requests| requests.read), calls.gets);
        assert_eq!(sum(&report, |requests| requests.versions), calls.versions);
        assert_eq!(sum(&report, |requests| requests.head), calls.loads);
        // These the wrapper of the test does not count.
        assert_eq!(sum(&report, |requests| requests.settings), 3);
        let total = sum(&report, Requests::total);
        assert_eq!(total, calls.total() + 3);

        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        for (chain, told) in report.chains.iter().zip(json["chains"].as_array().unwrap()) {
            let Requests {
                list,
                read,
                versions,
                settings,
                head,
            } = chain.requests;
            let expected = serde_json::json!({
                "list": list, "read": read, "versions": versions, "settings": settings, "head": head,
            });
            assert_eq!(told["requests"], expected);
            // A genesis, checkpoints, indexes and anchors are read besides.
            assert!(read > chain.segments && head == 2);
            let each = chain.requests.total() as f64 / chain.segments as f64;
            let told = told["requests_per_segment"].as_f64().unwrap();
            assert!((told - each).abs() <= 0.005, "{told} {each}");
            let said = format!(
                "{} requests, {told} for each segment",
                chain.requests.total()
            );
            assert!(report.to_text(false).contains(&said), "{said}");
            assert!(report.to_html().contains(&said), "{said}");
        }
    }

    #[tokio::test]
    async fn a_folder_is_not_asked_for_what_it_has_not() {
        let mut world = world(1).await;
        let whole = world.verified(&Options::default()).await;
        let folder = tempfile::tempdir().unwrap();
        let local = LocalSealedStore::create(folder.path()).unwrap();
        for (name, bytes) in world.objects("aws").await {
            let put = local.put_new(&name, bytes, Retention::None);
            put.await.unwrap();
        }
        world.deployment.chains[0].sealed = Arc::new(local);
        let report = world.verified(&Options::default()).await;
        let expected = Requests {
            versions: 0,
            settings: 0,
            ..whole.chains[0].requests
        };
        assert_eq!(report.chains[0].requests, expected);
        assert_eq!(report.chains[1].requests, whole.chains[1].requests);
    }

    #[tokio::test]
    async fn a_chain_alone_costs_what_it_costs_among_others() {
        let world = world(1).await;
        let whole = world.verified(&Options::default()).await;
        let options = Options {
            chain: Some("gcp".into()),
            ..Options::default()
        };
        let alone = world.verified(&options).await;
        assert_eq!(alone.chains.len(), 1);
        assert_eq!(alone.chains[0].requests, whole.chains[2].requests);
    }

    #[test]
    fn without_segments_there_is_no_share() {
        let requests = Requests {
            list: 8,
            head: 2,
            ..Requests::default()
        };
        assert_eq!(requests.per_segment(0), None);
        assert_eq!(requests.per_segment(3), Some(3.33));
        assert_eq!(requests.per_segment(4), Some(2.5));
    }
}
