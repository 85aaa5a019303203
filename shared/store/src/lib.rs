//! Where countersign keeps things: sealed stores, which hold objects that
//! nobody may change, and head stores, which hold small documents that move by
//! compare-and-swap.
//!
//! - [`SealedStore`] and [`HeadStore`] are the two traits, each with its
//!   consistency contract written on it.
//! - [`memory`] and [`local`] are backends; each module stands alone. Each
//!   cloud's are behind a feature of its name.
//! - [`federation`] opens a cloud with the identity that a process has in another.
//! - [`conformance`] is the suite that every backend runs.
//! - `emulators`, behind a feature, reaches the local servers that stand in
//!   for the clouds.
//! - [`fault`] wraps any store and fails the calls that a test picks.
//!
//! This crate knows nothing of logs, records or signatures: keys and bytes in,
//! keys and bytes out. It never reads the clock, and it repeats no call that may
//! have changed something: each error says whether a caller may.

mod address;
mod error;
mod failure;
mod head;
mod key;
mod listing;
mod logs;
mod posture;
mod requests;
mod sealed;
mod secret;
#[cfg(test)]
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod testing;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod tls;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
pub mod conformance;
#[cfg(feature = "emulators")]
pub mod emulators;
pub mod fault;
pub mod federation;
#[cfg(feature = "gcp")]
pub mod gcp;
pub mod local;
pub mod memory;

pub use address::{AddressError, Bucket, KeyAddress, StoreAddress};
pub use error::{BoxError, GetError, HeadError, ListError, PutError, SwapError};
pub use head::{HeadStore, MAX_HEAD_BYTES, Stored, Version};
pub use key::{MAX_KEY_BYTES, key_is_valid};
pub use listing::{ObjectPages, VersionPages};
pub use logs::{LogObject, LogStore};
pub use posture::{Aspect, Expected, Lock, Setting, SettingState};
pub use requests::count_requests;
pub use sealed::{
    Knowledge, LockMode, ObjectMeta, ObjectVersion, Page, Retention, SealedStore, VersionLock,
    VersionPage,
};
pub use secret::{RemoteKey, Secret, SecretError};
