//! The sealed store on Cloud Storage.

mod listing;
mod objects;
mod posture;
mod sealed;
mod settings;
mod upload;

pub(super) use objects::{Objects, READ_PERMISSION, ReadFailure};
pub use sealed::GcsSealedStore;
