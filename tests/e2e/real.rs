//! Real logs of three clouds, whole.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_core::json::{Canonicalizer, scan};
use countersign_core::record::{CarrierKind, RecordReader};
use countersign_core::segment;
use countersign_service::seal::Outcome;
use countersign_tests::{CLOUDS, Clouds, data, failed};
use serde_json::value::RawValue;

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    found
}

fn deliveries(paths: Vec<PathBuf>) -> Vec<(String, Vec<u8>)> {
    paths
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read(path).unwrap()))
        .collect()
}

/// Record lines of a chain, in order.
fn lines(clouds: &Clouds, cloud: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for name in clouds.named(cloud, "segments/") {
        let content = segment::decompress(&clouds.objects(cloud)[&name], 64 << 20).unwrap();
        found.extend(segment::lines(&content).skip(1).map(<[u8]>::to_vec));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn real_logs_are_sealed_anchored_and_verified_and_not_sealed_twice() {
    let (Some(aws), Some(azure), Some(gcp)) = (
        data("delivered/aws"),
        data("azure.ndjson"),
        data("gcp_audit.ndjson"),
    ) else {
        return;
    };
    let clouds = Clouds::new().await;
    let inputs = [
        ("aws", deliveries(files(&aws))),
        ("azure", deliveries(vec![azure])),
        ("gcp", deliveries(vec![gcp])),
    ];
    let mut broken = 0;
    for (cloud, deliveries) in &inputs {
        let count = deliveries.len();
        let (receipts, errors) = clouds.seal(cloud, deliveries.clone()).await;
        assert_eq!(receipts.len() + errors.len(), count);
        broken += errors.len();
        let records: u64 = receipts.iter().map(|receipt| receipt.records).sum();
        assert!(records > 60, "{cloud}: {records}");
    }
    let report = clouds.anchor().await;
    assert_eq!(report.exit_code(), 0, "{report:?}");
    let before = clouds.verify().await;
    assert_eq!(before["result"], "verified", "{:?}", failed(&before));
    // Again: broken files are broken again, and no record is added.
    for (cloud, deliveries) in inputs {
        let (receipts, errors) = clouds.seal(cloud, deliveries).await;
        broken -= errors.len();
        assert!(
            receipts
                .iter()
                .all(|receipt| receipt.outcome == Outcome::AlreadySealed)
        );
    }
    assert_eq!(broken, 0);
    let after = clouds.verify().await;
    assert_eq!(after["result"], "verified");
    for (chain, cloud) in CLOUDS.iter().enumerate() {
        assert_eq!(
            after["chains"][chain]["size"], before["chains"][chain]["size"],
            "{cloud}"
        );
    }
    let aws = lines(&clouds, "aws");
    let trail = aws
        .iter()
        .filter(|line| String::from_utf8_lossy(line).contains(r#""source":"aws.cloudtrail""#));
    assert!(trail.count() > 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_valid_case_of_the_json_test_suite_comes_back() {
    let Some(folder) = data("jsontestsuite/test_parsing") else {
        return;
    };
    let mut canonicalizer = Canonicalizer::exact();
    let mut valid = 0;
    for path in files(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        let clouds = Clouds::new().await;
        let (_, errors) = clouds
            .seal("aws", vec![(name.clone(), bytes.clone())])
            .await;
        let sealed = lines(&clouds, "aws");
        let mut reader = RecordReader::default();
        if name.starts_with("n_") {
            // Broken, or raw: never exact as a whole.
            assert!(canonicalizer.canonicalize(&bytes).is_err(), "{name}");
            assert!(
                errors.len() == 1 || !sealed.is_empty() || scan::trim(&bytes).is_empty(),
                "{name}"
            );
            continue;
        }
        if !name.starts_with("y_") {
            continue;
        }
        valid += 1;
        assert!(errors.is_empty(), "{name}: {errors:?}");
        let text = std::str::from_utf8(&bytes).unwrap();
        let events: Vec<&str> = match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(elements) => elements.into_iter().map(RawValue::get).collect(),
            Err(_) => vec![text],
        };
        assert_eq!(sealed.len(), events.len(), "{name}");
        for (line, event) in sealed.iter().zip(events) {
            let record = reader.read(line).unwrap();
            let event = scan::trim(event.as_bytes());
            match canonicalizer.canonicalize(event) {
                Ok(canonical) => assert_eq!(
                    (record.carrier, record.value),
                    (CarrierKind::Event, canonical),
                    "{name}"
                ),
                Err(_) => assert_eq!(
                    (record.carrier, &*record.event_bytes()),
                    (CarrierKind::Raw, event),
                    "{name}"
                ),
            }
        }
    }
    assert!(valid > 90);
}
