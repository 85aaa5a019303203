//! What the file system reports, classed by what the caller should do.

use std::io::{self, ErrorKind};

use crate::error::{GetError, HeadError, ListError, PutError, SwapError};
use crate::key::INVALID_KEY;

const NO_FOLDER: &str = "its folder does not exist";
const RUN_INIT: &str = "correct the setting, or run init if it is new";

/// A call that certainly changed nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The store's folder is not there.
    NoStore,
    /// A person must act.
    Refused { reason: String, next: &'static str },
    /// May go away by itself.
    Transient(io::Error),
}

impl Failure {
    pub(super) fn invalid_key() -> Self {
        let (reason, next) = INVALID_KEY;
        Self::Refused {
            reason: reason.to_owned(),
            next,
        }
    }

    pub(super) fn into_put(self, object: String) -> PutError {
        match self {
            Self::NoStore => PutError::Refused {
                object,
                reason: NO_FOLDER.to_owned(),
                next: RUN_INIT.to_owned(),
            },
            Self::Refused { reason, next } => PutError::Refused {
                object,
                reason,
                next: next.to_owned(),
            },
            Self::Transient(error) => PutError::Transient {
                object,
                cause: error.into(),
            },
        }
    }

    pub(super) fn into_get(self, object: String, store: String) -> GetError {
        match self {
            Self::NoStore => GetError::NoStore { store },
            Self::Refused { reason, next } => GetError::Refused {
                object,
                reason,
                next: next.to_owned(),
            },
            Self::Transient(error) => GetError::Transient {
                object,
                cause: error.into(),
            },
        }
    }

    pub(super) fn into_list(self, store: String) -> ListError {
        match self {
            Self::NoStore => ListError::NoStore { store },
            Self::Refused { reason, next } => ListError::Refused {
                store,
                reason,
                next: next.to_owned(),
            },
            Self::Transient(error) => ListError::Transient {
                store,
                cause: error.into(),
            },
        }
    }

    pub(super) fn into_load(self, head: String, store: String) -> HeadError {
        match self {
            Self::NoStore => HeadError::NoStore { store },
            Self::Refused { reason, next } => HeadError::Refused {
                head,
                reason,
                next: next.to_owned(),
            },
            Self::Transient(error) => HeadError::Transient {
                head,
                cause: error.into(),
            },
        }
    }

    pub(super) fn into_swap(self, head: String) -> SwapError {
        match self {
            Self::NoStore => SwapError::Refused {
                head,
                reason: NO_FOLDER.to_owned(),
                next: RUN_INIT.to_owned(),
            },
            Self::Refused { reason, next } => SwapError::Refused {
                head,
                reason,
                next: next.to_owned(),
            },
            Self::Transient(error) => SwapError::Transient {
                head,
                cause: error.into(),
            },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match next_step(error.kind()) {
            Some(next) => Self::Refused {
                reason: error.to_string(),
                next,
            },
            None => Self::Transient(error),
        }
    }
}

/// Whether a failed link or rename certainly did nothing. Of a hardware error,
/// for one, that cannot be said.
pub(super) fn certainly_not_done(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || next_step(error.kind()).is_some()
}

/// What a person should do about an error that will not go away by itself.
fn next_step(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::StorageFull => {
            "free some space or move the store to a larger disk, then try again"
        }
        ErrorKind::QuotaExceeded => {
            "raise the quota of this user or free some of it, then try again"
        }
        ErrorKind::ReadOnlyFilesystem => "mount the file system for writing, then try again",
        ErrorKind::PermissionDenied => "give this user access to the folder, then try again",
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            "find out who put something else in the place of a folder or file of the store, and run verify"
        }
        ErrorKind::InvalidFilename => "use a shorter key: this file system takes none so long",
        ErrorKind::FileTooLarge => "raise the limit on the size of files, then try again",
        ErrorKind::Unsupported => {
            "move the store to a local file system with hard links and file locks"
        }
        ErrorKind::CrossesDevices => {
            "keep the whole store on one file system, its folder .tmp included"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Error numbers on Linux; ErrorKind is the same on every Unix.
    const ENOENT: i32 = 2;
    const EIO: i32 = 5;
    const EACCES: i32 = 13;
    const EMFILE: i32 = 24;
    const ENOSPC: i32 = 28;
    const EROFS: i32 = 30;
    const EDQUOT: i32 = 122;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_person_is_told_what_to_do() {
        for (number, says) in [
            (ENOSPC, "free some space"),
            (EROFS, "for writing"),
            (EACCES, "access"),
            (EDQUOT, "quota"),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert!(certainly_not_done(&error));
            let put = Failure::from(error).into_put("file:x/a".to_owned());
            assert!(matches!(put, PutError::Refused { .. }), "{put}");
            assert!(put.to_string().contains(says), "{put}");
        }
        for number in [EIO, EMFILE] {
            let error = io::Error::from_raw_os_error(number);
            assert!(!certainly_not_done(&error));
            assert!(matches!(Failure::from(error), Failure::Transient(_)));
        }
        assert!(certainly_not_done(&io::Error::from_raw_os_error(ENOENT)));
    }
}
