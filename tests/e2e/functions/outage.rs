//! A store that is down for a while, before a function that its platform calls
//! again and again: nothing is lost, nothing stands twice. `OUTAGE_SECONDS=60` is
//! the whole minute, once with the store's port shut and once with a store that
//! takes connections and never answers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use countersign_tests::gate::{Gate, Stance};
use countersign_tests::stand_in;
use serde_json::json;

use super::{Deployed, Function};
use crate::clouds::{Ground, alone, emulators, verified};

/// Deliveries of a call.
const BATCH: u64 = 5;
/// How soon a platform calls again.
const AGAIN: Duration = Duration::from_millis(200);
/// How soon all must be sealed once the store is back.
const PATIENCE: Duration = Duration::from_secs(120);

fn seconds() -> Duration {
    let text = std::env::var("OUTAGE_SECONDS");
    Duration::from_secs(text.map_or(4, |text| text.parse().unwrap()))
}

fn delivery(number: u64) -> (u64, Vec<u8>) {
    (number, json!({ "nth": number }).to_string().into_bytes())
}

/// Delivers until all is taken; gives how many calls there were before.
fn until_taken(function: &Function<'_>, numbers: std::ops::Range<u64>) -> usize {
    let mut waiting: Vec<u64> = numbers.collect();
    let mut calls = 0;
    let began = Instant::now();
    while !waiting.is_empty() {
        assert!(
            began.elapsed() < 2 * seconds() + PATIENCE,
            "{waiting:?} wait still: {}",
            function.program.text()
        );
        let deliveries: Vec<_> = waiting.iter().copied().map(delivery).collect();
        waiting = function.deliver(&deliveries);
        calls += 1;
        if !waiting.is_empty() {
            std::thread::sleep(AGAIN);
        }
    }
    calls
}

/// Seals before, during and after the store of `variable` is down.
async fn rides_out(cloud: &'static str, variable: &str, name: &'static str) {
    let Some(emulators) = emulators() else { return };
    let ground = Ground::new(&emulators, cloud).await;
    let Some(mut deployed) = Deployed::over(&emulators, &alone(&ground)).await else {
        return;
    };
    let gate = Gate::before(&stand_in(variable).unwrap());
    deployed.set(name, &gate.url);
    deployed.set("COUNTERSIGN_SEAL_CHAIN", "alone");
    let mut function = deployed.start(cloud, "seal");
    assert_eq!(
        until_taken(&function, 0..BATCH),
        1,
        "{}",
        function.program.text()
    );

    let mut sent = BATCH;
    for stance in [Stance::Refuses, Stance::Hangs] {
        gate.set(stance);
        let (down, numbers) = (Instant::now(), sent..sent + BATCH);
        let calls = std::thread::scope(|scope| {
            let platform = scope.spawn(|| until_taken(&function, numbers));
            std::thread::sleep(seconds());
            assert!(!platform.is_finished(), "taken while the store was down");
            gate.set(Stance::Open);
            platform.join().unwrap()
        });
        println!("{cloud} {stance:?}: {calls} calls in {:?}", down.elapsed());
        // One that hangs may outlast a short silence, and succeed.
        assert!(calls > 1 || stance == Stance::Hangs, "no call failed");
        sent += BATCH;
    }
    assert!(function.program.is_alive());
    assert_eq!(until_taken(&function, sent..sent + BATCH), 1);
    sent += BATCH;
    // What was taken comes once more, as a platform may send it.
    assert_eq!(until_taken(&function, 0..sent), 1);

    let records = deployed.logs("alone").await;
    let numbers: BTreeSet<u64> = records
        .iter()
        .map(|record| record["event"]["nth"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..sent).collect());
    assert_eq!(records.len(), numbers.len(), "something stands twice");
    deployed.catch_up();
    assert_eq!(deployed.clouds.anchor().await.exit_code(), 0);
    assert_eq!(verified(&deployed.clouds).await.chains[0].duplicates, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_down_for_a_while() {
    rides_out("aws", "STANDIN_S3", "AWS_ENDPOINT_URL_S3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_blob_is_down_for_a_while() {
    rides_out("azure", "STANDIN_BLOB", "AZURE_STORAGE_BLOB_ENDPOINT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_storage_is_down_for_a_while() {
    rides_out("gcp", "STANDIN_GCS", "STORAGE_EMULATOR_HOST").await;
}
