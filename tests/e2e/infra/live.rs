//! The bucket of a chain as the AWS module makes it, on S3's stand-in: its settings
//! and policies are taken from what Terraform applied, and then seal, verify, a
//! stranger and an administrator try what they may and may not.
//!
//! The policies of identities are MinIO's to judge; the bucket's policy is judged by
//! the stand-in before it, since MinIO asks it for nobody who is signed in.

use bytes::Bytes;
use countersign_store::aws::{Access, S3SealedStore};
use countersign_store::emulators::aws::Administrator;
use countersign_store::emulators::{ActError, Emulators, fresh_name};
use countersign_store::{
    Bucket, Expected, GetError, Lock, PutError, Retention, SealedStore, SettingState, VersionPages,
};
use countersign_tests::stand_in;
use serde_json::Value;

use super::{State, aws_module};

const CHAIN: &str = "aws";
/// Actions that MinIO does not have, so that it refuses a policy with them.
const NOT_MINIOS: [&str; 2] = [
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPublicAccessBlock",
];
const SEGMENT: &str = "segments/00000000000000000000";

/// A bucket that was made as the module says.
struct Made<'a> {
    state: &'a State,
    emulators: Emulators,
    sts: String,
    name: String,
    keep: Expected,
}

impl<'a> Made<'a> {
    async fn new(state: &'a State, emulators: Emulators, sts: String) -> Self {
        let of = |kind: &str| state.of(&format!("{kind}.sealed[\"{CHAIN}\"]"));
        assert_eq!(of("aws_s3_bucket")["object_lock_enabled"], true);
        let versions = &of("aws_s3_bucket_versioning")["versioning_configuration"][0]["status"];
        assert_eq!(versions, "Enabled");
        let default =
            &of("aws_s3_bucket_object_lock_configuration")["rule"][0]["default_retention"];
        let days = default[0]["days"].as_u64().unwrap();
        let keep = Expected {
            retention_days: u32::try_from(days).unwrap(),
            lock: match default[0]["mode"].as_str() {
                Some("GOVERNANCE") => Lock::Governance,
                Some("COMPLIANCE") => Lock::Compliance,
                other => panic!("{other:?}"),
            },
        };
        let made = Self {
            state,
            emulators,
            sts,
            name: fresh_name("infra").unwrap(),
            keep,
        };
        let administrator = made.emulators.aws_administrator().unwrap();
        administrator.new_bucket(&made.name, keep).await.unwrap();
        let rule = &of("aws_s3_bucket_lifecycle_configuration")["rule"][0];
        let prefix = rule["filter"][0]["prefix"].as_str().unwrap();
        let days = rule["expiration"][0]["days"].as_i64().unwrap();
        let expire = administrator.expire_after(&made.name, prefix, i32::try_from(days).unwrap());
        expire.await.unwrap();
        let policy = made.here(state.text(
            &format!("aws_s3_bucket_policy.sealed[\"{CHAIN}\"]"),
            "policy",
        ));
        administrator.put_policy(&made.name, &policy).await.unwrap();
        made
    }

    /// A policy over this bucket in place of the one that was planned.
    fn here(&self, policy: &str) -> String {
        let planned = self
            .state
            .text(&format!("aws_s3_bucket.sealed[\"{CHAIN}\"]"), "bucket");
        let partition = self.state.text("data.aws_partition.current", "partition");
        assert!(policy.contains(planned), "{policy}");
        policy
            .replace(planned, &self.name)
            .replace(&format!("arn:{partition}:"), "arn:aws:")
    }

    /// Somebody with the part of that policy that is about S3.
    async fn session(&self, policy: &str) -> (S3SealedStore, Administrator) {
        let mut document: Value = serde_json::from_str(&self.here(policy)).unwrap();
        let statements = document["Statement"].as_array_mut().unwrap();
        let of_s3 = |action: &Value| action.as_str().unwrap().starts_with("s3:");
        statements.retain(|one| one["Action"].as_array().unwrap().iter().all(of_s3));
        assert!(!statements.is_empty());
        for statement in statements {
            let actions = statement["Action"].as_array_mut().unwrap();
            actions.retain(|action| !NOT_MINIOS.contains(&action.as_str().unwrap()));
        }
        let policy = document.to_string();
        let session = self.emulators.aws_session(&self.sts, &policy).await;
        let (access, acts) = session.unwrap();
        (self.store(&access), acts)
    }

    async fn job(&self, job: &str) -> (S3SealedStore, Administrator) {
        let address = format!("aws_iam_role_policy.job[\"{job}\"]");
        self.session(self.state.text(&address, "policy")).await
    }

    fn store(&self, access: &Access) -> S3SealedStore {
        let bucket = Bucket {
            name: self.name.clone(),
            prefix: String::new(),
            region: None,
        };
        S3SealedStore::open(access, &bucket, self.keep.lock).unwrap()
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The end of a retention that is long enough.
fn retention() -> Retention {
    Retention::Until(crate::clouds::now_millis() + 400 * 86_400_000)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(done: Result<T, ActError>, what: &str) {
    match done {
        Err(ActError::Refused { status: 403, .. }) => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[track_caller]
fn put_refused(done: Result<(), PutError>, what: &str) {
    assert!(
        matches!(done, Err(PutError::Refused { .. })),
        "{what}: {done:?}"
    );
}

/// Nobody may: put over an object, take it away, or weaken what keeps it.
async fn can_undo_nothing(made: &Made<'_>, acts: &Administrator, version: &str) {
    let bucket = &*made.name;
    let weaker = Expected {
        retention_days: 1,
        ..made.keep
    };
    refused(
        acts.put(bucket, SEGMENT, b"forged".to_vec()).await,
        "put over",
    );
    refused(
        acts.put(bucket, "segments/1", b"forged".to_vec()).await,
        "put plainly",
    );
    refused(acts.delete(bucket, SEGMENT).await, "delete");
    refused(
        acts.delete_version(bucket, SEGMENT, version).await,
        "delete the version",
    );
    refused(
        acts.set_default_retention(bucket, weaker).await,
        "weaken the default",
    );
}

/// Nor shorten a retention. (MinIO lets whoever may set one shorten it too, with the
/// bypass, whatever he may bypass: seal is not tried. S3 asks for both permissions.)
async fn can_shorten_no_retention(made: &Made<'_>, acts: &Administrator, version: &str) {
    let soon = crate::clouds::now_millis() + 60_000;
    let shorter = acts.retain(&made.name, SEGMENT, version, soon, made.keep.lock);
    refused(shorter.await, "retain shorter");
}

/// Only who administrates may change the bucket itself.
async fn can_change_no_setting(made: &Made<'_>, acts: &Administrator) {
    let bucket = &*made.name;
    refused(acts.remove_policy(bucket).await, "remove the policy");
    let open = r#"{"Version":"2012-10-17","Statement":[]}"#;
    refused(acts.put_policy(bucket, open).await, "put another policy");
    refused(acts.suspend_versions(bucket).await, "suspend versions");
    refused(acts.expire_after(bucket, "", 1).await, "expire objects");
    refused(acts.remove_lifecycle(bucket).await, "remove the lifecycle");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_the_module_keeps_what_is_sealed() {
    let Some(state) = aws_module() else { return };
    let (Some(_), Some(sts)) = (stand_in("STANDIN_S3"), stand_in("STANDIN_S3_DIRECT")) else {
        return;
    };
    let emulators = Emulators::from_environment().unwrap();
    let made = Made::new(state, emulators, sts).await;
    let bucket = &*made.name;
    let administrator = made.emulators.aws_administrator().unwrap();

    // Seal puts segments, once each, and nothing else.
    let (seal, as_seal) = made.job("seal").await;
    seal.put_new(SEGMENT, bytes("sealed"), retention())
        .await
        .unwrap();
    let again = seal.put_new(SEGMENT, bytes("again"), retention()).await;
    assert!(matches!(again, Err(PutError::Exists { .. })), "{again:?}");
    assert_eq!(seal.get(SEGMENT, 100).await.unwrap(), "sealed");
    for key in [
        "genesis.json",
        "tile/0/000",
        "checkpoints/1",
        "anchors/a/1.2",
        "reports/1",
    ] {
        put_refused(seal.put_new(key, bytes("x"), retention()).await, key);
    }
    let version = administrator.version(bucket, SEGMENT).await.unwrap();
    can_undo_nothing(&made, &as_seal, &version).await;
    can_change_no_setting(&made, &as_seal).await;

    // Verify reads, the versions and locks too, and puts its reports.
    let (verify, as_verify) = made.job("verify").await;
    assert_eq!(verify.get(SEGMENT, 100).await.unwrap(), "sealed");
    let mut pages = VersionPages::new(&verify, "");
    let page = pages.next().await.unwrap();
    assert!(format!("{page:?}").contains(SEGMENT), "{page:?}");
    put_refused(
        verify.put_new("segments/1", bytes("x"), retention()).await,
        "a segment",
    );
    can_undo_nothing(&made, &as_verify, &version).await;
    can_shorten_no_retention(&made, &as_verify, &version).await;
    can_change_no_setting(&made, &as_verify).await;

    // A stranger, who may do all in a bucket of his own, does nothing in this one.
    let of_his_own = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],
        "Resource":["arn:aws:s3:::BUCKET-else","arn:aws:s3:::BUCKET-else/*"]}]}"#;
    let of_his_own = of_his_own.replace("BUCKET", bucket);
    let stranger = made
        .emulators
        .aws_session(&made.sts, &of_his_own)
        .await
        .unwrap();
    let (his, as_stranger) = (made.store(&stranger.0), stranger.1);
    let got = his.get(SEGMENT, 100).await;
    assert!(matches!(got, Err(GetError::Refused { .. })), "{got:?}");
    refused(as_stranger.list(bucket).await, "list");
    put_refused(
        his.put_new("segments/1", bytes("x"), retention()).await,
        "a segment",
    );
    can_undo_nothing(&made, &as_stranger, &version).await;
    can_shorten_no_retention(&made, &as_stranger, &version).await;
    can_change_no_setting(&made, &as_stranger).await;

    // Who administrates the account may not either, as long as the policy stands.
    can_undo_nothing(&made, &administrator, &version).await;
    administrator
        .put_new(bucket, "genesis.json", b"new".to_vec())
        .await
        .unwrap();
    assert_eq!(administrator.get(bucket, SEGMENT).await.unwrap(), b"sealed");
    judged_by_verify(&made).await;

    // And what "governance" leaves open is what the module says.
    administrator.remove_policy(bucket).await.unwrap();
    administrator
        .delete_version(bucket, SEGMENT, &version)
        .await
        .unwrap();
    let open = state.output("not_protected").to_string();
    assert!(
        open.contains("changes the bucket policy and has s3:BypassGovernanceRetention"),
        "{open}"
    );
}

/// `countersign verify` finds the bucket's settings in order, but for what the
/// stand-in does not have.
async fn judged_by_verify(made: &Made<'_>) {
    let store = made.store(&made.emulators.aws().unwrap());
    let known = store.posture(made.keep).await;
    let countersign_store::Knowledge::Known(settings) = known else {
        panic!("{known:?}")
    };
    for name in [
        "Object Lock of the bucket",
        "Default retention of the bucket",
        "Versioning of the bucket",
        "Lifecycle of the bucket",
        "Bucket policy: deletions",
        "Bucket policy: create-only puts",
        "Bucket policy: weaker locks",
        "Bucket policy: replication into it",
        "Bucket policy: TLS",
    ] {
        let setting = settings.iter().find(|setting| setting.name == name);
        let state = &setting
            .unwrap_or_else(|| panic!("{name}: {settings:?}"))
            .state;
        assert!(
            matches!(state, SettingState::Holds { .. }),
            "{name}: {state:?}"
        );
    }
}
