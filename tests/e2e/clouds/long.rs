//! A long chain in S3, verified: time, memory and requests. `SEGMENTS=10000`
//! makes it longer.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use countersign_core::names;
use countersign_service::chain::{Chain, Deployment};
use countersign_service::clock::SystemClock;
use countersign_service::config::Settings;
use countersign_service::head::{head_key, load_head};
use countersign_service::keys;
use countersign_service::publish::publish;
use countersign_service::seal::{Incoming, Job, Sealer};
use countersign_service::stores::Stores;
use countersign_service::verify::{Options, Verdict, verify};
use countersign_store::emulators::Emulators;
use countersign_store::memory::{MemoryHeadStore, MemorySealedStore};
use countersign_store::{HeadStore, ObjectPages, Retention, SealedStore};
use countersign_tests::Clouds;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{Ground, alone, deliveries, emulators, now_millis};

/// Set for the process that verifies, to the folder of its settings.
const CHILD: &str = "COUNTERSIGN_TEST_VERIFIES";
/// Segments from one publication to the next.
const PUBLISHED_EVERY: usize = 100;
/// Objects that are put at a time.
const PUTS_IN_FLIGHT: usize = 32;
/// What `verify` may take, whatever the length of the chain.
const MAX_PEAK_BYTES: u64 = 512 << 20;

/// Seals one record a segment, by the same job that everything is sealed by, into
/// stores in memory that stand in for the chain's own.
async fn built(clouds: &Clouds, chain: &Chain, segments: usize) -> Chain {
    let deployment = clouds.deployment().await;
    let genesis = chain.sealed.get(names::GENESIS, 1 << 20).await.unwrap();
    let memory = Chain {
        sealed: Arc::new(MemorySealedStore::new("long")),
        head: Arc::new(MemoryHeadStore::new("long")),
        ..chain.clone()
    };
    let put = memory
        .sealed
        .put_new(names::GENESIS, genesis, Retention::None);
    put.await.unwrap();
    let signer = keys::chain_signer(&chain.settings, &deployment.stores).await;
    let sealer = Sealer::open(memory.clone(), signer.unwrap(), clouds.clock.clone(), 12);
    let mut sealers = [sealer.unwrap()];
    for (nth, (from, content)) in deliveries("long", segments).into_iter().enumerate() {
        let mut job = Job::new(&mut sealers, 1 << 20);
        let incoming = Incoming {
            from,
            id: None,
            input: Box::new(content),
        };
        job.add(incoming).await.unwrap();
        assert_eq!(job.finish().await.unwrap().len(), 1);
        clouds.clock.advance(100);
        if (nth + 1) % PUBLISHED_EVERY == 0 || nth + 1 == segments {
            publish(&mut sealers[0]).await.unwrap().unwrap();
        }
    }
    memory
}

/// Puts all objects and the head where they belong, many at a time.
async fn moved(from: &Chain, to: &Chain, retention: Retention) -> usize {
    let objects = ObjectPages::new(&*from.sealed, "").collect().await.unwrap();
    let puts = stream::iter(objects)
        .filter(|object| std::future::ready(object.key != names::GENESIS))
        .map(|object| async move {
            let bytes = from.sealed.get(&object.key, object.bytes).await.unwrap();
            let put = to.sealed.put_new(&object.key, bytes, retention);
            put.await.unwrap();
        });
    let count = puts.buffer_unordered(PUTS_IN_FLIGHT).count().await;
    let key = head_key(to.origin());
    let head = from.head.load(&key).await.unwrap().unwrap();
    let before = load_head(&*to.head, to.origin()).await.unwrap().unwrap();
    let swapped = to.head.swap(&key, before.version.as_ref(), head.bytes);
    swapped.await.unwrap();
    count
}

/// The most memory that this process ever took, in bytes.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn verifies_in_a_process_of_its_own() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let settings = Settings::load(&Path::new(&folder).join("countersign.toml"), []).unwrap();
    let stores = Stores::over(&Emulators::from_environment().unwrap()).unwrap();
    let deployment = Deployment::open_with(settings, None, Arc::new(stores)).await;
    let began = now_millis();
    let deployment = deployment.unwrap();
    let report = verify(&deployment, &Options::default(), &SystemClock, &()).await;
    let report = report.unwrap();
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    let chain = &report.chains[0];
    let told = json!({
        "millis": now_millis() - began,
        "peak_bytes": peak_bytes(),
        "segments": chain.segments,
        "requests": chain.requests,
        "requests_per_segment": chain.requests_per_segment,
    });
    println!("TOLD {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_chain_in_s3() {
    let Some(emulators) = emulators() else {
        return;
    };
    let segments = std::env::var("SEGMENTS").map_or(300, |text| text.parse().unwrap());
    let ground = Ground::new(&emulators, "aws").await;
    let clouds = Clouds::over(&emulators, &alone(&ground)).await;
    let deployment = clouds.deployment().await;
    let chain = &deployment.chains[0];
    let began = now_millis();
    let memory = built(&clouds, chain, segments).await;
    let sealed = now_millis();
    let objects = moved(&memory, chain, chain.retention(sealed)).await;
    println!(
        "{segments} segments sealed in {} ms; {objects} objects put into S3 in {} ms",
        sealed - began,
        now_millis() - sealed
    );
    drop(memory);

    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "clouds::long::verifies_in_a_process_of_its_own",
            "--nocapture",
        ])
        .env(CHILD, clouds.path(""));
    let output = tokio::task::spawn_blocking(move || child.output().unwrap());
    let output = output.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().find_map(|line| line.split_once("TOLD "));
    let Some((_, told)) = told.filter(|_| output.status.success()) else {
        panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    let told: Value = serde_json::from_str(told).unwrap();
    println!("verified: {told}");
    assert_eq!(told["segments"], segments);
    // An object, and its retention; the rest is shared by many.
    let each = told["requests_per_segment"].as_f64().unwrap();
    assert!((2.0..3.0).contains(&each), "{told}");
    assert!(
        told["peak_bytes"].as_u64().unwrap() < MAX_PEAK_BYTES,
        "{told}"
    );
}
