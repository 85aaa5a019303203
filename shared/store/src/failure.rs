//! How a call failed, whatever the backend: the classes of [`crate::error`]
//! before it is said what was to be done. Backends classify; this words it.

use crate::error::{BoxError, GetError, HeadError, ListError, PutError, SwapError};
use crate::key::INVALID_KEY;

/// Why a call did not do what it was asked to.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "azure", feature = "gcp")),
    allow(dead_code, reason = "not every backend has every class")
)]
pub(crate) enum Failure {
    /// The store is there, what was asked for is not.
    Missing,
    /// The folder, bucket, container or table is not there.
    NoStore(NoStore),
    /// Something stands there already, and may not be replaced.
    Exists,
    /// What stands there is not at the version that was expected.
    Moved,
    /// Certainly not done, and a person must act.
    Refused { reason: String, next: String },
    /// Certainly not done, and may go away by itself.
    Transient(BoxError),
    /// It may have been done.
    Unknown(BoxError),
}

/// What a backend says of a store that is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoStore {
    /// `its bucket does not exist`.
    pub(crate) reason: &'static str,
    /// What makes one.
    pub(crate) next: &'static str,
}

impl Failure {
    pub(crate) fn refused(reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
            next: next.into(),
        }
    }

    pub(crate) fn invalid_key() -> Self {
        let (reason, next) = INVALID_KEY;
        Self::refused(reason, next)
    }

    /// Of a call that changes nothing: whether it was carried out is the same.
    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
    pub(crate) fn of_read(self) -> Self {
        match self {
            Self::Unknown(cause) => Self::Transient(cause),
            other => other,
        }
    }

    pub(crate) fn into_put(self, object: String) -> PutError {
        match self.of_write() {
            Write::Exists => PutError::Exists { object },
            Write::Refused { reason, next } => PutError::Refused {
                object,
                reason,
                next,
            },
            Write::Transient(cause) => PutError::Transient { object, cause },
            Write::Unknown(cause) => PutError::Unknown { object, cause },
        }
    }

    pub(crate) fn into_swap(self, head: String) -> SwapError {
        // A head that is not there is not at the version that was expected.
        let failure = match self {
            Self::Missing => Self::Moved,
            other => other,
        };
        match failure.of_write() {
            Write::Exists => SwapError::Lost { head },
            Write::Refused { reason, next } => SwapError::Refused { head, reason, next },
            Write::Transient(cause) => SwapError::Transient { head, cause },
            Write::Unknown(cause) => SwapError::Unknown { head, cause },
        }
    }

    pub(crate) fn into_get(self, object: String, store: String) -> GetError {
        match self {
            Self::Missing => GetError::NotFound { object },
            Self::NoStore(_) => GetError::NoStore { store },
            Self::Refused { reason, next } => GetError::Refused {
                object,
                reason,
                next,
            },
            Self::Transient(cause) | Self::Unknown(cause) => GetError::Transient { object, cause },
            Self::Exists | Self::Moved => GetError::Transient {
                object,
                cause: "it was replaced while it was read".into(),
            },
        }
    }

    pub(crate) fn into_list(self, store: String) -> ListError {
        match self {
            Self::NoStore(_) => ListError::NoStore { store },
            Self::Refused { reason, next } => ListError::Refused {
                store,
                reason,
                next,
            },
            Self::Transient(cause) | Self::Unknown(cause) => ListError::Transient { store, cause },
            Self::Missing | Self::Exists | Self::Moved => {
                Self::refused(NO_ADDRESS.0, NO_ADDRESS.1).into_list(store)
            }
        }
    }

    /// Of a head that stood there: one that does not ([`Missing`](Self::Missing))
    /// is no error of a load.
    pub(crate) fn into_load(self, head: String, store: String) -> HeadError {
        match self {
            Self::NoStore(_) => HeadError::NoStore { store },
            Self::Refused { reason, next } => HeadError::Refused { head, reason, next },
            Self::Transient(cause) | Self::Unknown(cause) => HeadError::Transient { head, cause },
            Self::Missing | Self::Exists | Self::Moved => HeadError::Transient {
                head,
                cause: "it was moved while it was read".into(),
            },
        }
    }

    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
    pub(crate) fn into_secret(self, secret: String) -> crate::secret::SecretError {
        use crate::secret::SecretError;
        match self {
            Self::Exists | Self::Moved => SecretError::Exists { secret },
            Self::Missing | Self::NoStore(_) => SecretError::NotFound { secret },
            Self::Refused { reason, next } => SecretError::Refused {
                secret,
                reason,
                next,
            },
            Self::Transient(cause) => SecretError::Transient { secret, cause },
            Self::Unknown(cause) => SecretError::Unknown { secret, cause },
        }
    }

    /// Why another cloud gave nothing for the home cloud's identity.
    #[cfg(any(
        all(feature = "aws", any(feature = "azure", feature = "gcp")),
        all(feature = "azure", feature = "gcp")
    ))]
    pub(crate) fn of_federation(error: &crate::federation::FederationError) -> Self {
        match error.transient {
            true => Self::Transient(error.to_string().into()),
            false => Self::refused(error.reason(), &*error.next),
        }
    }

    /// The reason, what to do, and whether it may go away by itself, of a call
    /// that changes nothing.
    #[cfg(any(
        all(feature = "aws", any(feature = "azure", feature = "gcp")),
        all(feature = "azure", feature = "gcp")
    ))]
    pub(crate) fn into_parts(self) -> (String, String, bool) {
        match self {
            Self::Refused { reason, next } => (reason, next, false),
            Self::Transient(cause) | Self::Unknown(cause) => {
                (cause.to_string(), "it may be tried again".to_owned(), true)
            }
            Self::NoStore(NoStore { reason, next }) => (reason.to_owned(), next.to_owned(), false),
            Self::Missing | Self::Exists | Self::Moved => {
                (NO_ADDRESS.0.to_owned(), NO_ADDRESS.1.to_owned(), false)
            }
        }
    }

    fn of_write(self) -> Write {
        match self {
            Self::Exists | Self::Moved => Write::Exists,
            Self::NoStore(NoStore { reason, next }) => refusal(reason, next),
            Self::Missing => refusal(NO_ADDRESS.0, NO_ADDRESS.1),
            Self::Refused { reason, next } => Write::Refused { reason, next },
            Self::Transient(cause) => Write::Transient(cause),
            Self::Unknown(cause) => Write::Unknown(cause),
        }
    }
}

/// The classes that a write can have.
enum Write {
    Exists,
    Refused { reason: String, next: String },
    Transient(BoxError),
    Unknown(BoxError),
}

fn refusal(reason: &str, next: &str) -> Write {
    Write::Refused {
        reason: reason.to_owned(),
        next: next.to_owned(),
    }
}

const NO_ADDRESS: (&str, &str) = (
    "there is no such address",
    "check the names of the account and of the bucket or container in the setting",
);
