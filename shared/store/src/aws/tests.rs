//! AWS's services as their stand-ins and canned answers play them.

mod answers;
mod canned;
mod dynamodb;
mod environment;
mod keys;
mod posture;
mod s3;
mod secrecy;
mod versions;
mod wires;

use std::sync::atomic::{AtomicU64, Ordering};

use aws_credential_types::Credentials;

use super::{Access, Client, S3SealedStore};
use crate::address::Bucket;
use crate::posture::Lock;
use canned::Canned;

const REGION: &str = "us-east-1";

/// In 2035, and not on a whole second.
const UNTIL: u64 = 2_051_222_400_123;

/// What every stand-in takes.
fn access(endpoint: &str) -> Access {
    let credentials = Credentials::new("minioadmin", "minioadmin", None, None, "test");
    Access::new(credentials, Some(REGION), Some(endpoint)).unwrap()
}

/// The library's own client, to do what an administrator may.
fn admin(endpoint: &str) -> Client<aws_sdk_s3::Client> {
    access(endpoint).s3(None, "s3://test").unwrap()
}

/// A name that no other test and no earlier run has.
fn fresh_name(of: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 6];
    getrandom::fill(&mut random).unwrap();
    let random = random.map(|byte| format!("{byte:02x}")).concat();
    format!("{of}-{random}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A new bucket, with Object Lock or without.
async fn new_bucket(endpoint: &str, locked: bool) -> String {
    let name = fresh_name("bucket");
    admin(endpoint)
        .create_bucket()
        .bucket(&name)
        .object_lock_enabled_for_bucket(locked)
        .send()
        .await
        .unwrap();
    name
}

fn store(endpoint: &str, bucket: &str, prefix: &str, lock: Lock) -> S3SealedStore {
    let bucket = Bucket {
        name: bucket.to_owned(),
        prefix: prefix.to_owned(),
        region: None,
    };
    S3SealedStore::open(&access(endpoint), &bucket, lock).unwrap()
}
