//! Errors, classed by what the caller should do.
//!
//! The classes that recur:
//!
//! | class | meaning | what to do |
//! |---|---|---|
//! | `Unknown` | the call may or may not have taken effect | read before anything else |
//! | `Refused` | certainly not done, and would be refused again | a person must act |
//! | `Transient` | certainly not done | may be repeated |
//! | `Corrupt` | what stands there cannot be what was written | evidence: run verify |
//! | `NoStore` | the folder, bucket or table is not there | fix the settings, or run init |
//!
//! Every message is complete in itself: it holds the address, the cause and the
//! next step, so that `source()` is not needed to understand it.

use thiserror::Error;

/// Whatever a platform reported, kept as it came.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why [`put_new`](crate::SealedStore::put_new) did not confirm a new object.
#[derive(Debug, Error)]
pub enum PutError {
    /// Something stands at the key already, and was left as it is.
    #[error("{object} exists already and was left as it is: read it to learn whose it is")]
    Exists {
        /// The address of the object.
        object: String,
    },
    /// The object may stand there or not. Repeating blindly would take one's
    /// own object for another's.
    #[error("it is not known whether {object} was written ({cause}): read it before anything else")]
    Unknown {
        /// The address of the object.
        object: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
    /// Not written, and a repetition would be refused too.
    #[error("{object} was not written: {reason}; {next}")]
    Refused {
        /// The address of the object.
        object: String,
        /// Why.
        reason: String,
        /// What a person should do.
        next: String,
    },
    /// Certainly not written.
    #[error("{object} was not written ({cause}); it may be tried again")]
    Transient {
        /// The address of the object.
        object: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
}

/// Why an object could not be read.
#[derive(Debug, Error)]
pub enum GetError {
    /// The store is there, and holds nothing at the key.
    #[error("{object} does not exist: list the store to see what does")]
    NotFound {
        /// The address of the object.
        object: String,
    },
    /// The object is larger than the caller allowed; nothing was read.
    #[error(
        "{object} holds {bytes} bytes, more than the {limit} allowed for it: it is not what it is taken for; run verify"
    )]
    TooLarge {
        /// The address of the object.
        object: String,
        /// Its size.
        bytes: u64,
        /// What the caller allowed.
        limit: u64,
    },
    /// Something stands at the key that no writer of this project left there.
    #[error("{object} is not a whole object: {reason}; run verify and find out who put it there")]
    Corrupt {
        /// The address of the object.
        object: String,
        /// What stands there instead.
        reason: String,
    },
    /// The folder or bucket is not there.
    #[error("{store} does not exist: correct the setting, or run init if it is new")]
    NoStore {
        /// The address of the store.
        store: String,
    },
    /// Reading is not permitted, or cannot work.
    #[error("{object} could not be read: {reason}; {next}")]
    Refused {
        /// The address of the object.
        object: String,
        /// Why.
        reason: String,
        /// What a person should do.
        next: String,
    },
    /// Not read this time.
    #[error("{object} could not be read ({cause}); it may be tried again")]
    Transient {
        /// The address of the object.
        object: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
}

/// Why a store could not be listed.
#[derive(Debug, Error)]
pub enum ListError {
    /// The folder or bucket is not there. An empty one is no error.
    #[error("{store} does not exist: correct the setting, or run init if it is new")]
    NoStore {
        /// The address of the store.
        store: String,
    },
    /// Listing is not permitted, or cannot work.
    #[error("{store} could not be listed: {reason}; {next}")]
    Refused {
        /// The address of the store, or of a part of it.
        store: String,
        /// Why.
        reason: String,
        /// What a person should do.
        next: String,
    },
    /// Not listed this time.
    #[error("{store} could not be listed ({cause}); it may be tried again")]
    Transient {
        /// The address of the store, or of a part of it.
        store: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
}

/// Why a head could not be loaded.
#[derive(Debug, Error)]
pub enum HeadError {
    /// The folder or table is not there.
    #[error("{store} does not exist: correct the setting, or run init if it is new")]
    NoStore {
        /// The address of the store.
        store: String,
    },
    /// What stands there was not written by a swap.
    #[error("{head} cannot be read as a head: {reason}; {next}")]
    Corrupt {
        /// The address of the head.
        head: String,
        /// What is wrong with it.
        reason: String,
        /// What a person should do.
        next: String,
    },
    /// Reading is not permitted, or cannot work.
    #[error("{head} could not be loaded: {reason}; {next}")]
    Refused {
        /// The address of the head.
        head: String,
        /// Why.
        reason: String,
        /// What a person should do.
        next: String,
    },
    /// Not loaded this time.
    #[error("{head} could not be loaded ({cause}); it may be tried again")]
    Transient {
        /// The address of the head.
        head: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
}

/// Why [`swap`](crate::HeadStore::swap) did not confirm that the head moved.
#[derive(Debug, Error)]
pub enum SwapError {
    /// The head is not at the expected version: another writer moved it.
    #[error("{head} was moved by another writer: load it again and start from there")]
    Lost {
        /// The address of the head.
        head: String,
    },
    /// The head may have moved or not.
    #[error("it is not known whether {head} was moved ({cause}): load it before anything else")]
    Unknown {
        /// The address of the head.
        head: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
    /// Not moved, and a repetition would be refused too.
    #[error("{head} was not moved: {reason}; {next}")]
    Refused {
        /// The address of the head.
        head: String,
        /// Why.
        reason: String,
        /// What a person should do.
        next: String,
    },
    /// Certainly not moved.
    #[error("{head} was not moved ({cause}); it may be tried again")]
    Transient {
        /// The address of the head.
        head: String,
        /// What was seen of the failure.
        cause: BoxError,
    },
}
