//! What the file system reports, classed by what the caller should do.

use std::io::{self, ErrorKind};

use crate::failure::{Failure, NoStore};

/// Of a folder that is not there.
pub(super) const NO_FOLDER: Failure = Failure::NoStore(NoStore {
    reason: "its folder does not exist",
    next: "correct the setting, or run init if it is new",
});

/// As of a call that certainly changed nothing.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match next_step(error.kind()) {
            Some(next) => Self::refused(error.to_string(), next),
            None => Self::Transient(error.into()),
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
    use crate::error::PutError;

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
