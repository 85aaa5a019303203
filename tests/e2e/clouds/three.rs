//! Three clouds, each with its own stores and its own places for keys.

use std::fs;

use countersign_core::proof::ProofFile;
use countersign_service::chain::read_policy;
use countersign_service::prove::prove;
use countersign_service::seal::Outcome;
use countersign_store::emulators::Emulators;
use countersign_tests::{CLOUDS, Clouds, data};

use super::{Ground, anchored, domain, emulators, keys, verified};

/// Chains whose seeds are secrets of their clouds; the witnesses of AWS and
/// Google Cloud sign in a key service.
async fn three_clouds(emulators: &Emulators) -> Clouds {
    let seeds = keys::secrets("seed");
    let [_, azure_witness, _] = keys::secrets("witness");
    let witnesses = [keys::aws_kms().await, azure_witness, keys::gcp_kms().await];
    let mut settings = domain("audit");
    for (nth, cloud) in CLOUDS.into_iter().enumerate() {
        let ground = Ground::new(emulators, cloud).await;
        settings += &ground.chain(cloud, &seeds[nth]);
        settings += &ground.witness(cloud, &witnesses[nth]);
    }
    Clouds::over(emulators, &settings).await
}

/// The logs that come with the command line, and real ones where they are there.
fn logs() -> [Vec<(String, Vec<u8>)>; 3] {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/cli/samples");
    let sample = |name: &str| {
        let path = format!("{samples}/{name}");
        (path.clone(), fs::read(path).unwrap())
    };
    let mut logs = [
        vec![sample("aws-cloudtrail.json")],
        vec![sample("azure-activity.ndjson")],
        vec![sample("gcp-audit.ndjson")],
    ];
    let real = ["cloudtrail.ndjson", "azure.ndjson", "gcp_audit.ndjson"];
    for (logs, name) in logs.iter_mut().zip(real) {
        if let Some(path) = data(name) {
            logs.push((name.to_owned(), fs::read(path).unwrap()));
        }
    }
    logs
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_three_clouds_are_sealed_countersigned_verified_and_proven() {
    let Some(emulators) = emulators() else {
        return;
    };
    let clouds = three_clouds(&emulators).await;
    let logs = logs();
    let mut first = Vec::new();
    for (cloud, logs) in CLOUDS.into_iter().zip(&logs) {
        let (receipts, errors) = clouds.seal(cloud, logs.clone()).await;
        assert!(errors.is_empty(), "{errors:?}");
        let records: u64 = receipts.iter().map(|receipt| receipt.records).sum();
        assert!(records > 10, "{cloud}: {records}");
        let Outcome::Sealed { first_index } = receipts[0].outcome else {
            panic!("{receipts:?}");
        };
        first.push(first_index);
    }
    anchored(&clouds).await;
    let report = verified(&clouds).await;
    for chain in &report.chains {
        assert!(chain.published > 0 && chain.witnesses.len() == 2);
        println!("{}: {:?}", chain.origin, chain.requests);
    }
    // Each chain by both others.
    assert_eq!(report.anchors.len(), 6);

    let deployment = clouds.deployment().await;
    for (cloud, index) in CLOUDS.into_iter().zip(first) {
        let chain = deployment.chains_named(cloud).unwrap()[0];
        let proof = prove(&deployment, chain, index).await.unwrap();
        // What an auditor gets, and nothing else.
        let policy = clouds.path(&format!("countersign.{cloud}.policy"));
        let (policy, _) = read_policy(&policy).unwrap();
        let (file, proven) = ProofFile::check(&proof.file.to_bytes(), &policy).unwrap();
        assert_eq!((file.index, proven.cosigned.len()), (index, 2));
    }

    // Again: nothing is sealed twice.
    for (cloud, logs) in CLOUDS.into_iter().zip(logs) {
        let (receipts, _) = clouds.seal(cloud, logs).await;
        let known = |outcome| outcome == Outcome::AlreadySealed;
        assert!(receipts.iter().all(|receipt| known(receipt.outcome)));
    }
    let again = verified(&clouds).await;
    for (before, after) in report.chains.iter().zip(&again.chains) {
        assert_eq!((after.records, after.duplicates), (before.records, 0));
    }
}
