//! Several writers of one chain, in each cloud.

use std::sync::Arc;

use countersign_service::seal::{Outcome, Receipt};
use countersign_store::emulators::Emulators;
use countersign_tests::Clouds;
use tokio::sync::Barrier;

use super::{Ground, alone, anchored, deliveries, emulators, stored, verified};

const WRITERS: usize = 8;
/// What each of them seals, one delivery after the other, besides what all do.
const EACH: usize = 6;

async fn race(emulators: &Emulators, cloud: &'static str) {
    let ground = Ground::new(emulators, cloud).await;
    let clouds = Arc::new(Clouds::over(emulators, &alone(&ground)).await);
    let together = Arc::new(Barrier::new(WRITERS));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (clouds, together) = (Arc::clone(&clouds), Arc::clone(&together));
        writers.spawn(async move {
            let mut receipts: Vec<Receipt> = Vec::new();
            let own = deliveries(&format!("writer{writer}"), EACH);
            together.wait().await;
            // Each as another instance of a function, which knows nothing yet.
            for delivery in own.into_iter().chain(deliveries("all", 1)) {
                let (done, errors) = clouds.seal("alone", vec![delivery]).await;
                assert!(errors.is_empty(), "{errors:?}");
                receipts.extend(done);
            }
            receipts
        });
    }
    let receipts: Vec<Receipt> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(receipts.len(), WRITERS * (EACH + 1));
    let sealed = |receipt: &&Receipt| matches!(receipt.outcome, Outcome::Sealed { .. });
    let common = receipts.iter().filter(|receipt| receipt.from == "all-0");
    assert!(common.filter(sealed).count() <= 1, "one is first");

    let stored = stored(&clouds, "alone").await;
    assert_eq!(stored.len(), WRITERS * EACH + 1, "nothing is lost");
    assert!(stored.values().all(|count| *count == 1), "{stored:?}");
    anchored(&clouds).await;
    let report = verified(&clouds).await;
    let chain = &report.chains[0];
    assert_eq!(chain.duplicates, 0);
    assert_eq!(chain.records, (WRITERS * EACH + 1) as u64);
    println!(
        "{cloud}: {} records of {WRITERS} writers in {} segments",
        chain.records, chain.segments
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_over_s3_and_dynamodb_lose_nothing() {
    if let Some(emulators) = emulators() {
        race(&emulators, "aws").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_over_azure_blobs_lose_nothing() {
    if let Some(emulators) = emulators() {
        race(&emulators, "azure").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_over_cloud_storage_lose_nothing() {
    if let Some(emulators) = emulators() {
        race(&emulators, "gcp").await;
    }
}
