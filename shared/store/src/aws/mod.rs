//! Stores and keys of AWS: sealed objects in S3, heads in DynamoDB, seeds in
//! Secrets Manager, signatures by KMS.
//!
//! No call makes a bucket or a table: infrastructure is made beforehand, and
//! what is missing is said.

mod access;
mod clients;
mod dynamodb;
mod environment;
mod failure;
mod guard;
mod kms;
mod logs;
mod s3;
mod secret;

#[cfg(test)]
mod tests;

pub use access::{Access, AccessError, Endpoints};
#[cfg(any(feature = "azure", feature = "gcp"))]
pub(crate) use clients::Client;
pub use dynamodb::DynamoHeadStore;
#[cfg(any(feature = "azure", feature = "gcp"))]
pub(crate) use failure::{Asked, of as failure_of};
pub use kms::KmsKey;
pub use logs::S3Logs;
pub use s3::S3SealedStore;
pub use secret::SecretsManagerSecret;

/// The region that an ARN names: `arn:aws:kms:eu-west-1:111122223333:key/…`.
fn region_of_arn(id: &str) -> Option<&str> {
    let mut parts = id.split(':');
    (parts.next() == Some("arn"))
        .then(|| parts.nth(2))
        .flatten()
        .filter(|region| !region.is_empty())
}
