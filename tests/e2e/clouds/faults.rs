//! Every store call of sealing and of anchoring fails once, lost and done, over
//! each cloud's stores; then all must hold.
//!
//! The tables of the service's own simulation go further, in memory; here the
//! stores are the clouds'.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_service::anchor::anchor;
use countersign_service::chain::Deployment;
use countersign_service::seal::Outcome;
use countersign_store::emulators::Emulators;
use countersign_store::fault::{CallKind, Fault, Faults, Faulty};
use countersign_tests::Clouds;
use futures_util::{StreamExt, stream};

use super::{Ground, anchored, deliveries, domain, emulators, stored, verified};

/// Cases that are under way at a time.
const AT_A_TIME: usize = 6;

/// What is done while a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// A chain's first segment, and one more.
    SealFirst,
    /// Two segments of a chain that others sealed, published and witnessed.
    Seal,
    /// Publish what was sealed since, and witness the other cloud.
    Anchor,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A write is lost; a read fails for now.
    Lost,
    /// A write is done and reported as failed; a read is refused.
    Done,
}

impl Way {
    fn fault(self, kind: CallKind) -> Fault {
        match (self, kind.is_write()) {
            (Self::Lost, true) => Fault::Lost,
            (Self::Done, true) => Fault::Done,
            (Self::Lost, false) => Fault::Transient,
            (Self::Done, false) => Fault::Refused,
        }
    }
}

/// The deployment, the calls to its clouds' stores counted by `faults`, which
/// may let them fail.
fn faulty(mut deployment: Deployment, cloud: &str, faults: &Faults) -> Deployment {
    for chain in &mut deployment.chains {
        if chain.settings.cloud.as_str() == cloud {
            chain.sealed = Arc::new(Faulty::new(Arc::clone(&chain.sealed), faults));
            chain.head = Arc::new(Faulty::new(Arc::clone(&chain.head), faults));
        }
    }
    for witness in &mut deployment.witnesses {
        if witness.settings.cloud.as_str() == cloud {
            witness.sealed = Arc::new(Faulty::new(Arc::clone(&witness.sealed), faults));
            witness.state = Arc::new(Faulty::new(Arc::clone(&witness.state), faults));
        }
    }
    deployment
}

/// A chain over a cloud's stores and one in a folder, which witness each other.
struct Stage {
    clouds: Clouds,
    cloud: &'static str,
    /// Deliveries that were handed in, and whether each was acknowledged.
    sealed: Vec<(String, bool)>,
}

impl Stage {
    async fn new(emulators: &Emulators, ground: &Ground, part: &str, job: Job) -> Self {
        let ground = ground.part(part);
        let other = if ground.cloud == "aws" {
            "azure"
        } else {
            "aws"
        };
        let folder = Ground {
            cloud: other,
            sealed: "file:other/sealed".to_owned(),
            head: "file:other/state".to_owned(),
        };
        let settings = domain(part)
            + &ground.chain("here", "file:here.seed")
            + &ground.witness("here", "file:here-witness.seed")
            + &folder.chain("there", "file:there.seed")
            + &folder.witness("there", "file:there-witness.seed");
        let mut stage = Self {
            clouds: Clouds::over(emulators, &settings).await,
            cloud: ground.cloud,
            sealed: Vec::new(),
        };
        stage.clouds.seal("there", deliveries("there", 1)).await;
        if job == Job::SealFirst {
            return stage;
        }
        let deployment = stage.clouds.deployment().await;
        stage.seal(&deployment, "before").await;
        anchored(&stage.clouds).await;
        if job == Job::Anchor {
            stage.seal(&deployment, "since").await;
            stage.clouds.seal("there", deliveries("there too", 1)).await;
        }
        stage
    }

    /// Seals two deliveries, each on its own.
    async fn seal(&mut self, deployment: &Deployment, of: &str) {
        for delivery in deliveries(of, 2) {
            let name = delivery.0.clone();
            let sealed = self.clouds.seal_through(deployment, "here", vec![delivery]);
            let (receipts, _) = sealed.await;
            self.sealed.push((name, !receipts.is_empty()));
        }
    }

    async fn act(&mut self, job: Job, faults: &Faults) {
        let deployment = faulty(self.clouds.deployment().await, self.cloud, faults);
        match job {
            Job::SealFirst | Job::Seal => self.seal(&deployment, "now").await,
            Job::Anchor => {
                let report = anchor(&deployment, self.clouds.clock.clone()).await;
                // A call that fails is no sign of an attack.
                assert_ne!(report.unwrap().exit_code(), 1);
            }
        }
    }

    /// As after a restart: everything comes again, and all must hold.
    async fn judge(self) {
        let clouds = &self.clouds;
        clouds.clock.advance(60_000);
        for (name, acknowledged) in &self.sealed {
            let (of, nth) = name.rsplit_once('-').unwrap();
            let delivery = deliveries(of, 2).swap_remove(nth.parse().unwrap());
            let (receipts, _) = clouds.seal("here", vec![delivery]).await;
            let again = receipts[0].outcome != Outcome::AlreadySealed;
            assert!(!(again && *acknowledged), "{name} was acknowledged");
        }
        for _ in 0..2 {
            anchored(clouds).await;
        }
        let report = verified(clouds).await;
        assert!(report.chains.iter().all(|chain| chain.duplicates == 0));
        let stored = stored(clouds, "here").await;
        for (name, _) in &self.sealed {
            assert_eq!(stored.get(name), Some(&1), "{name}: {stored:?}");
        }
    }
}

struct ShownIfItPanics(&'static str, Job, u64, Way);

impl Drop for ShownIfItPanics {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(cloud, job, nth, way) = self;
            eprintln!("{cloud}: {job:?}, call {nth}, {way:?}");
        }
    }
}

async fn table(emulators: &Emulators, cloud: &'static str) {
    let ground = &Ground::new(emulators, cloud).await;
    let mut all = 0;
    for job in [Job::SealFirst, Job::Seal, Job::Anchor] {
        let part = |nth, way| format!("{job:?}-{nth}-{way:?}").to_lowercase();
        // What is called where nothing fails.
        let mut stage = Stage::new(emulators, ground, &part(0, Way::Lost), job).await;
        let faults = Faults::new();
        stage.act(job, &faults).await;
        let counts = faults.counts();
        stage.judge().await;
        let calls = counts.total();
        assert!(
            counts.writes() >= 4 && calls > counts.writes(),
            "{counts:?}"
        );

        let cases = (1..=calls).flat_map(|nth| [(nth, Way::Lost), (nth, Way::Done)]);
        let cases = stream::iter(cases).map(|(nth, way)| async move {
            let mut stage = Stage::new(emulators, ground, &part(nth, way), job).await;
            let _shown = ShownIfItPanics(cloud, job, nth, way);
            let (faults, fired) = (Faults::new(), Arc::new(AtomicU64::new(0)));
            let count = Arc::clone(&fired);
            faults.fail_when(move |call| {
                (call.counts.total() == nth).then(|| {
                    count.fetch_add(1, Ordering::Relaxed);
                    way.fault(call.kind)
                })
            });
            stage.act(job, &faults).await;
            assert_eq!(fired.load(Ordering::Relaxed), 1, "the call was not made");
            stage.judge().await;
        });
        all += cases.buffer_unordered(AT_A_TIME).count().await;
        println!("{cloud}: {job:?}: {counts:?}");
    }
    println!("{cloud}: {all} cases");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_call_to_s3_and_dynamodb_may_be_lost_or_done_and_reported_failed() {
    if let Some(emulators) = emulators() {
        table(&emulators, "aws").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_call_to_azure_blobs_may_be_lost_or_done_and_reported_failed() {
    if let Some(emulators) = emulators() {
        table(&emulators, "azure").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_call_to_cloud_storage_may_be_lost_or_done_and_reported_failed() {
    if let Some(emulators) = emulators() {
        table(&emulators, "gcp").await;
    }
}
