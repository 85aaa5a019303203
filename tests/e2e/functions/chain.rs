//! The whole way of a log: put into a trail's bucket, announced, sealed,
//! countersigned by the other clouds' functions, verified, and told by mail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use countersign_core::delivery::Identity;
use countersign_core::keys::VerifierKey;
use countersign_service::attest::{self, Envelope};
use countersign_store::emulators::{Emulators, fresh_name};
use countersign_store::{Expected, Lock, ObjectPages};
use countersign_tests::mails::{Mails, address};
use countersign_tests::{CLOUDS, data, stand_in};
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::trail::{Trail, front, gzipped};
use super::{Deployed, Function, invocation, push};
use crate::clouds::{Ground, domain, emulators, keys};
use crate::stand_ins::call;

/// Of buckets and containers that are no sealed store.
const UNLOCKED: Expected = Expected {
    retention_days: 1,
    lock: Lock::Off,
};

/// Where the trail's account writes its files.
const FOLDER: &str = "AWSLogs/218007301253/CloudTrail/us-east-1/2023/07/10";

/// Three clouds, each with its stores and its secrets, whose reports are sealed in
/// AWS and mailed.
async fn three_clouds(emulators: &Emulators, mails: &Mails, to: &str) -> Option<Deployed> {
    let (seeds, witnesses) = (keys::secrets("seed"), keys::secrets("witness"));
    let mut settings = domain("audit");
    for (nth, cloud) in CLOUDS.into_iter().enumerate() {
        let ground = Ground::new(emulators, cloud).await;
        settings += &ground.chain(cloud, &seeds[nth]);
        settings += &ground.witness(cloud, &witnesses[nth]);
        if cloud == "aws" {
            let [key, ..] = keys::secrets("report");
            let state = &ground.head;
            settings +=
                &format!("[report]\nchain = \"aws\"\nkey = \"{key}\"\nstate = \"{state}\"\n");
        }
    }
    settings += &mails.settings(to, "weekly");
    Deployed::over(emulators, &settings).await
}

/// Files of CloudTrail as they were delivered: name and content.
fn delivered(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    files.iter().map(read).collect()
}

/// Events, however their numbers are spelled: how often each occurs.
fn counted(events: impl Iterator<Item = Value>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let canonical = serde_json_canonicalizer::to_string(&event).unwrap();
        *counts.entry(canonical).or_default() += 1;
    }
    counts
}

async fn same(deployed: &Deployed, cloud: &str, events: &[Value]) {
    let records = deployed.logs(cloud).await;
    assert_eq!(records.len(), events.len(), "{cloud}");
    // One that has a number which no double holds stands as its text.
    let event = |record: &Value| match record["raw"].as_str() {
        Some(text) => serde_json::from_str(text).unwrap(),
        None => record["event"].clone(),
    };
    let sealed = counted(records.iter().map(event));
    assert!(sealed == counted(events.iter().cloned()), "{cloud}");
}

/// Puts real files into a trail's bucket, and delivers what the queue has; gives
/// their events.
async fn from_a_trail(function: &Function<'_>, files: &[(String, Vec<u8>)]) -> Vec<Value> {
    let trail = Trail::new().await;
    let mut events = Vec::new();
    for (name, content) in files {
        let key = format!("{FOLDER}/{name}.gz");
        trail.put(&key, gzipped(content)).await;
        let file: Value = serde_json::from_slice(content).unwrap();
        events.extend(file["Records"].as_array().unwrap().iter().cloned());
    }
    // What is no log stays out, and a file that was cut off comes again and again.
    let digest = FOLDER.replace("CloudTrail", "CloudTrail-Digest");
    let whole = gzipped(b"{\"Records\":[{\"cut\":1}]}");
    trail
        .put(&format!("{digest}/d.json.gz"), whole.clone())
        .await;
    trail
        .put(
            &format!("{FOLDER}/cut off.json.gz").replace(' ', "%20"),
            whole[..20].to_vec(),
        )
        .await;
    let mut taken = 0;
    loop {
        let (messages, failed) = trail.deliver(function).await;
        taken += messages - failed.len();
        assert!(messages > 0, "the file that was cut off is gone");
        if failed.len() == messages {
            break;
        }
    }
    // The test event of S3, the files, the digest.
    assert_eq!(taken, files.len() + 2, "{}", function.program.text());
    events
}

/// Posts real messages as the host does, with real metadata, twice; one that breaks
/// off is among them, and ends in the container of dead letters.
async fn from_a_hub(
    emulators: &Emulators,
    deployed: &mut Deployed,
    records: &str,
    metadata: &[u8],
) -> Vec<Value> {
    let administrator = emulators.azure_administrator().unwrap();
    let container = fresh_name("dead").unwrap();
    administrator
        .new_container(&container, UNLOCKED)
        .await
        .unwrap();
    let dead_letters = format!("azblob://devstoreaccount1/{container}");
    deployed.set("COUNTERSIGN_DEAD_LETTERS", &dead_letters);
    let function = deployed.start("azure", "seal");
    let events: Vec<Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lines: Vec<&str> = records.lines().collect();
    let mut messages: Vec<String> = lines
        .chunks(7)
        .map(|lines| format!("{{\"records\":[{}]}}", lines.join(",")))
        .collect();
    let broken = "{\"records\":[{\"cut\":1}";
    messages.insert(1, broken.to_owned());
    let bodies: Vec<&[u8]> = messages.iter().map(|message| message.as_bytes()).collect();
    let numbers: Vec<u64> = (47..).take(bodies.len()).collect();
    let metadata: Value = serde_json::from_slice(metadata).unwrap();
    let body = invocation(&metadata["PartitionContext"], &numbers, &bodies);
    for _ in 0..2 {
        assert_eq!(function.call(&body), Ok(Value::Null));
    }
    let identity = Identity::EventHub {
        namespace: "logs",
        hub: metadata["PartitionContext"]["EventHubPath"]
            .as_str()
            .unwrap(),
        partition: "0",
        sequence: numbers[1],
    };
    let name = format!("dead-letters/{}.json", identity.id());
    let letter = administrator.get(&container, &name).await.unwrap();
    let letter: Value = serde_json::from_slice(&letter).unwrap();
    assert_eq!(letter["bytes"], BASE64.encode(broken.as_bytes()));
    events
}

/// Pushes real messages, and announces an object that a sink wrote.
async fn from_a_topic_and_a_bucket(
    emulators: &Emulators,
    function: &Function<'_>,
    pushed: &str,
    written: &str,
    envelope: &[u8],
) -> Vec<Value> {
    for (nth, line) in pushed.lines().enumerate() {
        let body = push(&format!("message-{nth}"), line.as_bytes());
        for _ in 0..2 {
            assert_eq!(function.call(&body), Ok(Value::Null));
        }
    }
    let bucket = fresh_name("sink").unwrap();
    let administrator = emulators.gcp_administrator().unwrap();
    administrator.new_bucket(&bucket, UNLOCKED).await.unwrap();
    let name = "cloudaudit.googleapis.com/activity/2026/11/24/00:00:00_00:59:59_S0.json";
    let put = administrator.put(&bucket, name, written.as_bytes().to_vec());
    put.await.unwrap();
    let escaped = name.replace('/', "%2F");
    let path = format!("/storage/v1/b/{bucket}/o/{escaped}");
    let object = call(&stand_in("STANDIN_GCS").unwrap(), "GET", &path, &[], "").await;
    let object = object.is(200).json();
    let mut event: Value = serde_json::from_slice(envelope).unwrap();
    for member in ["bucket", "name", "generation", "metageneration", "size"] {
        event[member] = object[member].clone();
    }
    let event = event.to_string();
    for _ in 0..2 {
        let eventarc = [
            ("content-type", "application/json"),
            ("ce-id", "event-1"),
            ("ce-type", "google.cloud.storage.object.v1.finalized"),
        ];
        assert_eq!(function.send(&eventarc, event.as_bytes()), Ok(Value::Null));
    }
    let lines = pushed.lines().chain(written.lines());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_go_from_the_trail_to_the_mail() {
    let (Some(emulators), Some(mails)) = (emulators(), Mails::found()) else {
        return;
    };
    let found = (
        data("delivered/aws/invictus-aws_dataset/CloudTrail"),
        data("azure.ndjson"),
        data("gcp_audit.ndjson"),
        data("gcp_logentry_other.ndjson"),
        data("envelopes"),
    );
    let (Some(trail), Some(azure), Some(audit), Some(other), Some(envelopes)) = found else {
        return;
    };
    let to = address("chain");
    let Some(mut deployed) = three_clouds(&emulators, &mails, &to).await else {
        return;
    };
    let s3 = front().await;
    deployed.set("AWS_ENDPOINT_URL_S3", &s3.url);

    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let files = delivered(&trail);
    let seal = deployed.start("aws", "seal");
    let aws = from_a_trail(&seal, &files).await;
    same(&deployed, "aws", &aws).await;
    drop(seal);
    let metadata = envelopes.join("azure-functions/eventhub_trigger_metadata.json");
    let metadata = fs::read(metadata).unwrap();
    let azure = from_a_hub(&emulators, &mut deployed, &text(&azure), &metadata).await;
    same(&deployed, "azure", &azure).await;
    let seal = deployed.start("gcp", "seal");
    let envelope = envelopes.join(
        "google/google-cloudevents-testdata/google/events/cloud/storage/v1/StorageObjectData-simple.json",
    );
    let envelope = fs::read(envelope).unwrap();
    let (audit, other) = (text(&audit), text(&other));
    let gcp = from_a_topic_and_a_bucket(&emulators, &seal, &audit, &other, &envelope).await;
    same(&deployed, "gcp", &gcp).await;
    assert!(aws.len() > 500 && azure.len() > 50 && gcp.len() > 50);

    // The second round countersigns what the first published.
    for _ in 0..2 {
        for cloud in CLOUDS {
            assert_eq!(deployed.scheduled(cloud, "anchor"), Ok(()));
        }
    }
    assert_eq!(deployed.scheduled("aws", "verify"), Ok(()));

    let found = mails.to(&to);
    let [mail] = &found[..] else {
        panic!("{found:?}")
    };
    let subject = mail["Subject"].as_str().unwrap();
    let said = "[countersign] VERIFIED audit.example.org: 3 chains";
    assert!(subject.starts_with(said), "{subject}");
    // Attached is the report as it was sealed.
    let attached = mails.attached(mail, "report.dsse.json");
    let deployment = deployed.clouds.deployment().await;
    let sealed = &deployment.chains_named("aws").unwrap()[0].sealed;
    let reports = ObjectPages::new(&**sealed, "reports/").collect().await;
    let [stored] = &reports.unwrap()[..] else {
        panic!("several reports are sealed")
    };
    let stored = sealed.get(&stored.key, stored.bytes).await.unwrap();
    assert_eq!(stored, attached);
    let envelope: Envelope = serde_json::from_slice(&attached).unwrap();
    let key: VerifierKey = envelope.signatures[0].keyid.parse().unwrap();
    let report = attest::open(&attached, &key).unwrap()["predicate"].take();
    assert_eq!(report["result"], "verified");
    assert_eq!(report["anchors"].as_array().unwrap().len(), 6);
    for (chain, events) in report["chains"]
        .as_array()
        .unwrap()
        .iter()
        .zip([aws, azure, gcp])
    {
        // And the records of two anchors.
        assert_eq!(chain["records"], json!(events.len() + 2), "{chain}");
        assert_eq!(chain["duplicates"], 0);
    }
    // The other clouds' functions come to the same, and mail no more this week.
    for cloud in ["azure", "gcp"] {
        assert_eq!(deployed.scheduled(cloud, "verify"), Ok(()));
    }
    assert_eq!(mails.to(&to).len(), 1);
    let reports = ObjectPages::new(&**sealed, "reports/").collect();
    assert_eq!(reports.await.unwrap().len(), 3);
}
