//! Stores and secrets in Azure: blobs of a container, documents that move by
//! ETag, secrets of a key vault.
//!
//! Every request goes through one transport (`wire`), which bounds its time
//! and its answer, checks what Azure's checksums say, and knows of a request
//! that failed whether it was handed over whole. Nothing is repeated: the
//! libraries' own retries are off, since a put that was done and is repeated
//! would be told of its own blob as of another's.

mod access;
mod arm;
mod blob;
mod failure;
mod head;
#[cfg(any(test, feature = "emulators"))]
pub(crate) mod sas;
mod secret;
mod wire;

#[cfg(test)]
mod tests;

pub use access::{Access, AccessError, Endpoints};
pub use blob::BlobSealedStore;
#[cfg(any(feature = "aws", feature = "gcp"))]
pub(crate) use failure::without_token;
pub use head::BlobHeadStore;
pub use secret::KeyVaultSecret;
#[cfg(any(feature = "aws", feature = "gcp"))]
pub(crate) use wire::Call;
