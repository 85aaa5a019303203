//! What a function reads before it seals does not grow with its chain.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use countersign_service::keys;
use countersign_service::publish::publish;
use countersign_service::seal::Sealer;
use countersign_store::count_requests;
use countersign_tests::Clouds;

use super::front::Fronts;
use super::{Ground, alone, deliveries, emulators, verified};

/// Index objects that are searched for duplicates.
const WINDOW: usize = 12;
/// Segments from one publication to the next.
const PUBLISHED_EVERY: usize = 5;

async fn sealer(clouds: &Clouds) -> Sealer {
    let deployment = clouds.deployment().await;
    let chain = deployment.chains[0].clone();
    let signer = keys::chain_signer(&chain.settings, &deployment.stores).await;
    Sealer::open(chain, signer.unwrap(), clouds.clock.clone(), WINDOW).unwrap()
}

/// The requests of a writer that knows nothing until it knows the newest state,
/// as it counts them.
async fn newest_state(clouds: &Clouds) -> u64 {
    let mut sealer = sealer(clouds).await;
    let sent = Arc::default();
    let head = count_requests(&sent, sealer.load_and_adopt()).await;
    assert!(head.unwrap().size() > 0);
    sent.load(Ordering::Relaxed)
}

async fn is_constant(cloud: &'static str) {
    let fronts = Fronts::new().await;
    let ground = Ground::new(&fronts.emulators, cloud).await;
    let clouds = Clouds::over(&fronts.emulators, &alone(&ground)).await;
    let mut counts = Vec::new();
    let mut writer = sealer(&clouds).await;
    let mut segments = 0;
    for until in [10, 300] {
        while segments < until {
            let (from, content) = deliveries("one", segments + 1).pop().unwrap();
            let mut sealers = [writer];
            let mut job = countersign_service::seal::Job::new(&mut sealers, 1 << 20);
            let incoming = countersign_service::seal::Incoming {
                from,
                id: None,
                input: Box::new(content),
            };
            job.add(incoming).await.unwrap();
            assert_eq!(job.finish().await.unwrap().len(), 1);
            [writer] = sealers;
            segments += 1;
            clouds.clock.advance(1000);
            if segments % PUBLISHED_EVERY == 0 {
                publish(&mut writer).await.unwrap().unwrap();
            }
        }
        fronts.take();
        let counted = newest_state(&clouds).await;
        let received = fronts.take();
        assert_eq!(counted, received.len() as u64, "{received:#?}");
        let indexes = (segments / PUBLISHED_EVERY).min(WINDOW) as u64;
        println!("{cloud}, {segments} segments: {counted} requests, {indexes} of them indexes");
        counts.push((counted, indexes));
    }
    let [(few, few_indexes), (many, many_indexes)] = counts[..] else {
        panic!("{counts:?}");
    };
    assert_eq!((few_indexes, many_indexes), (2, 12));
    assert_eq!(few - few_indexes, many - many_indexes, "{counts:?}");
    let report = verified(&clouds).await;
    assert_eq!(report.chains[0].segments, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_state_in_s3_takes_as_many_requests_at_10_segments_as_at_300() {
    if emulators().is_some() {
        is_constant("aws").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_state_in_blobs_takes_as_many_requests_at_10_segments_as_at_300() {
    if emulators().is_some() {
        is_constant("azure").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_state_in_cloud_storage_takes_as_many_requests_at_10_segments_as_at_300() {
    if emulators().is_some() {
        is_constant("gcp").await;
    }
}
