//! Each cloud's stores on its stand-ins, as a deployer makes them.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{ActError, Emulators, EmulatorsError, fresh_name};
use crate::address::Bucket;
use crate::aws::{DynamoHeadStore, S3SealedStore};
use crate::azure::{BlobHeadStore, BlobSealedStore};
use crate::gcp::{GcsHeadStore, GcsSealedStore};
use crate::posture::{Expected, Lock};
use crate::testing::stand_in;
use crate::{HeadStore, Knowledge, PutError, Retention, SealedStore, VersionLock};

const DAY_MILLIS: u64 = 86_400_000;

const OFF: Expected = Expected {
    retention_days: 0,
    lock: Lock::Off,
};

fn emulators() -> Option<Emulators> {
    stand_in("STANDIN_S3")?;
    Some(Emulators::from_environment().unwrap())
}

fn bucket(name: &str) -> Bucket {
    Bucket {
        name: name.to_owned(),
        prefix: String::new(),
        region: None,
    }
}

/// A pair of stores of each cloud, locked so.
async fn stores(
    emulators: &Emulators,
    keep: Expected,
) -> [(Box<dyn SealedStore>, Box<dyn HeadStore>); 3] {
    let name = fresh_name("deployed").unwrap();
    let heads = format!("{name}-heads");
    let (aws, azure, gcp) = (
        emulators.aws_administrator().unwrap(),
        emulators.azure_administrator().unwrap(),
        emulators.gcp_administrator().unwrap(),
    );
    aws.new_bucket(&name, keep).await.unwrap();
    aws.new_table(&name).await.unwrap();
    azure.new_container(&name, keep).await.unwrap();
    azure.new_container(&heads, OFF).await.unwrap();
    gcp.new_bucket(&name, keep).await.unwrap();
    gcp.new_bucket(&heads, OFF).await.unwrap();

    let account = super::azure::ACCOUNT;
    let (s3, blob, gcs) = (
        emulators.aws().unwrap(),
        emulators.azure().unwrap(),
        emulators.gcp(),
    );
    [
        (
            Box::new(S3SealedStore::open(&s3, &bucket(&name), keep.lock).unwrap()),
            Box::new(DynamoHeadStore::open(&s3, &name, None).unwrap()),
        ),
        (
            Box::new(BlobSealedStore::open(&blob, account, &name, "", keep.lock).unwrap()),
            Box::new(BlobHeadStore::open(&blob, account, &heads, "").unwrap()),
        ),
        (
            Box::new(GcsSealedStore::open(&gcs, &bucket(&name), keep.lock)),
            Box::new(GcsHeadStore::open(&gcs, &bucket(&heads))),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_keeps_objects_as_firmly_as_asked() {
    let Some(emulators) = emulators() else { return };
    for lock in [Lock::Off, Lock::Governance, Lock::Compliance] {
        let keep = Expected {
            retention_days: 2,
            lock,
        };
        for (sealed, heads) in stores(&emulators, keep).await {
            let until = Retention::Until(now_millis() + DAY_MILLIS);
            let one = Bytes::from_static(b"1");
            sealed.put_new("a", one.clone(), until).await.unwrap();
            let again = sealed.put_new("a", Bytes::new(), until).await;
            assert!(matches!(again, Err(PutError::Exists { .. })), "{again:?}");
            let Knowledge::Known(page) = sealed.versions("", None).await.unwrap() else {
                panic!("{} has versions", sealed.describe())
            };
            assert_eq!(page.versions.len(), 1, "{}", sealed.describe());
            let kept = &page.versions[0].lock;
            let firm = kept.until().map(|(_, mode)| mode.is_firm());
            let expected = match lock {
                Lock::Off => None,
                lock => Some(lock == Lock::Compliance),
            };
            assert_eq!(firm, expected, "{}: {kept:?}", sealed.describe());
            assert_eq!(matches!(kept, VersionLock::None), lock == Lock::Off);
            heads.swap("h", None, one).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_refusal_is_told_by_the_clouds_own_code() {
    let Some(emulators) = emulators() else { return };
    let name = fresh_name("twice").unwrap();
    let code = |done: Result<(), ActError>| match done {
        Err(ActError::Refused { status, code, .. }) => (status, code),
        other => panic!("{other:?}"),
    };
    let aws = emulators.aws_administrator().unwrap();
    aws.new_bucket(&name, OFF).await.unwrap();
    let again = code(aws.new_bucket(&name, OFF).await);
    assert_eq!(again, (409, "BucketAlreadyOwnedByYou".to_owned()));

    let azure = emulators.azure_administrator().unwrap();
    let keep = Expected {
        retention_days: 2,
        lock: Lock::Compliance,
    };
    azure.new_container(&name, keep).await.unwrap();
    let again = code(azure.set_policy(&name, 1).await);
    let locked = "ContainerImmutabilityPolicyFailure".to_owned();
    assert_eq!(again, (409, locked));

    let gcp = emulators.gcp_administrator().unwrap();
    gcp.new_bucket(&name, keep).await.unwrap();
    assert_eq!(code(gcp.lock_policy(&name).await).0, 400);
}

#[test]
fn what_is_shown_of_an_access_holds_no_key() {
    let file = [
        "S3", "AWS", "AWS_KMS", "BLOB", "ARM", "KEYVAULT", "GCS", "GCP",
    ];
    let file: String = file
        .iter()
        .map(|name| format!("STANDIN_{name}=http://127.0.0.1:1\n"))
        .collect();
    let emulators = Emulators::parse(&file).unwrap();
    let shown = format!(
        "{emulators:?} {:?} {:?} {:?}",
        emulators.aws().unwrap(),
        emulators.azure().unwrap(),
        emulators.gcp()
    );
    assert!(
        !shown.contains("minioadmin") && !shown.contains("sig="),
        "{shown}"
    );
}

const FILE: &str = "STANDIN_S3=http://127.0.0.1:1\nSTANDIN_S3_DIRECT=http://127.0.0.1:9\nSTANDIN_AWS=http://127.0.0.1:2\nSTANDIN_AWS_KMS=http://127.0.0.1:3\nSTANDIN_BLOB=http://127.0.0.1:4\nSTANDIN_ARM=http://127.0.0.1:5\nSTANDIN_KEYVAULT=http://127.0.0.1:6\nSTANDIN_GCS=http://127.0.0.1:7\nSTANDIN_GCP=http://127.0.0.1:8\n";

#[test]
fn the_addresses_are_those_of_the_file() {
    let emulators = Emulators::parse(FILE).unwrap();
    assert_eq!(emulators.s3.to_string(), "http://127.0.0.1:1");
    assert_eq!(emulators.gcp.to_string(), "http://127.0.0.1:8");
}

#[test]
fn a_missing_address_says_how_to_start_the_servers() {
    for variable in ["STANDIN_S3", "STANDIN_GCP"] {
        let without: String = FILE
            .lines()
            .filter(|line| !line.starts_with(&format!("{variable}=")))
            .flat_map(|line| [line, "\n"])
            .collect();
        let error = Emulators::parse(&without).unwrap_err();
        assert_eq!(error, EmulatorsError::Missing { variable });
        assert!(error.to_string().contains("scripts/services up"));
    }
}

#[test]
fn no_other_machine_is_taken_for_a_stand_in() {
    for other in [
        "https://s3.amazonaws.com",
        "http://example.org",
        "nothing at all",
    ] {
        let file = FILE.replace("http://127.0.0.1:1\n", &format!("{other}\n"));
        let variable = "STANDIN_S3";
        assert_eq!(
            Emulators::parse(&file),
            Err(EmulatorsError::Address { variable }),
            "{other}"
        );
    }
}

#[test]
fn fresh_names_differ() {
    assert_ne!(fresh_name("x").unwrap(), fresh_name("x").unwrap());
}

/// Milliseconds since 1970.
fn now_millis() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "retention counts from the real time"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
