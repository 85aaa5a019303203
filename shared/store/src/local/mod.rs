//! Stores in a local folder, for one machine: a sealed store and a head store.
//!
//! An object is a file, its key the path below the folder. Files and folders
//! whose names begin with a dot are the store's own and never objects:
//! `.tmp` holds what is being written, `.<name>.lock` guards a head.
//!
//! A folder has no lock against its owner. It keeps the create-only and
//! durability promises of the traits between all processes of one machine, on
//! a Unix file system with hard links and file locks.

mod failure;
mod folder;
mod head;
mod sealed;
mod walk;

#[cfg(test)]
mod process_tests;
#[cfg(test)]
mod tests;

pub use folder::CreateError;
pub use head::LocalHeadStore;
pub use sealed::LocalSealedStore;

use crate::error::BoxError;
use crate::requests;

/// Runs file system calls where they may block; `lost` makes the error for
/// work of which nothing was heard again.
async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
    lost: impl FnOnce(BoxError) -> E,
) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    requests::request();
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(lost(error.into())),
    }
}
