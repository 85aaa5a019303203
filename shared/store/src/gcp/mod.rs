//! Stores and keys in Google Cloud: sealed stores and head stores on Cloud
//! Storage, secrets in Secret Manager, keys in Cloud KMS.
//!
//! Objects go through the official SDK's client of Cloud Storage. What that
//! offers over gRPC alone (listings, settings), and the services whose answers
//! are secret, are plain requests to Google's JSON APIs with the SDK's
//! credentials; so their size is bounded and their bytes are wiped.
//!
//! | call | time limit | repeated |
//! |---|---|---|
//! | a put, a swap | 12 to 24 s without a byte moved; a slow upload that moves goes on | never |
//! | a read of an object | 20 s until it begins, 9 s without a byte after that | up to 3 attempts |
//! | a listing, a setting, a secret or a signature | 25 s | up to 3 attempts |
//! | making a secret | 12 s for each of its requests | never |

mod access;
mod call;
mod failure;
mod gcs;
mod head;
mod kms;
mod logs;
mod secret;

#[cfg(test)]
mod tests;

pub use access::{Access, AccessError, Endpoint, Endpoints};
#[cfg(any(feature = "aws", feature = "azure"))]
pub(crate) use access::{Service, metadata_client};
#[cfg(any(feature = "aws", feature = "azure"))]
pub(crate) use call::Request;
#[cfg(any(feature = "aws", feature = "azure"))]
pub(crate) use failure::{Failure, chain};
pub use gcs::GcsSealedStore;
pub use head::GcsHeadStore;
pub use kms::KmsKey;
pub use logs::GcsLogs;
pub use secret::SecretManagerSecret;
