//! A folder whose files appear whole or not at all, and last.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use thiserror::Error;

use super::failure::{NO_FOLDER, certainly_not_done};
use crate::failure::Failure;

/// Where files are written before they get their name.
const TEMP_FOLDER: &str = ".tmp";

/// A temporary file this much older than a new one, and not locked, belongs to a
/// writer that died. The age covers the instant before its writer has the lock; a
/// writer that was stopped right there tries again. Longer, and one that dies over
/// and over would fill the disk.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Why a store's folder could not be made.
#[derive(Debug, Error)]
#[error("{} could not be created ({cause}): give this user the right to create it, or name another folder", path.display())]
pub struct CreateError {
    /// The folder asked for.
    pub path: PathBuf,
    /// What the file system reported.
    pub cause: io::Error,
}

/// The folder of a store.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Folders known to survive a crash, with all that they lie in.
    durable: Mutex<HashSet<PathBuf>>,
}

/// Why a file could not be read.
#[derive(Debug)]
pub(super) enum ReadFailure {
    Missing,
    TooLarge {
        bytes: u64,
    },
    /// What stands there cannot be read as a file.
    Corrupt(String),
    Failed(Failure),
}

/// Why a file did not get its name.
#[derive(Debug)]
pub(super) enum PublishFailure {
    Exists,
    Unknown(io::Error),
    Failed(Failure),
}

impl Folder {
    pub(super) fn open(root: PathBuf) -> Self {
        Self {
            root,
            durable: Mutex::default(),
        }
    }

    /// Makes the folder with all that it lies in, durably.
    pub(super) fn create(root: PathBuf) -> Result<Self, CreateError> {
        match create_durably(&root) {
            Ok(()) => Ok(Self::open(root)),
            Err(cause) => Err(CreateError { path: root, cause }),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn describe(&self) -> String {
        format!("file:{}", self.root.display())
    }

    pub(super) fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.describe())
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Fails unless the folder itself is there.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match fs::metadata(&self.root) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(io::Error::from(ErrorKind::NotADirectory).into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(NO_FOLDER),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the file of a valid key, whole, if it is no larger than `max_bytes`.
    pub(super) fn read(&self, key: &str, max_bytes: u64) -> Result<Bytes, ReadFailure> {
        let (file, metadata) = self.open_regular(key)?;
        if metadata.len() > max_bytes {
            return Err(ReadFailure::TooLarge {
                bytes: metadata.len(),
            });
        }
        read_exactly(file, 0..metadata.len())
    }

    /// Reads the bytes `range` of the file of a valid key, as far as they exist.
    pub(super) fn read_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ReadFailure> {
        let (file, metadata) = self.open_regular(key)?;
        let end = range.end.min(metadata.len());
        read_exactly(file, range.start.min(end)..end)
    }

    /// Makes the name of a file that was just seen survive a crash. Its writer
    /// may have died before it got to that, and who acts on the file must not
    /// lose it.
    pub(super) fn settle(&self, key: &str) -> io::Result<()> {
        match sync_parent(&self.path(key)) {
            // Nobody is writing there.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => Ok(()),
            other => other,
        }
    }

    /// Makes the folders that the file of a valid key lies in, durably, and
    /// gives the file's path.
    pub(super) fn prepare(&self, key: &str) -> Result<PathBuf, Failure> {
        let path = self.path(key);
        let mut above = vec![self.root.clone()];
        let mut created = false;
        let parents = key.rsplit_once('/').map_or("", |(parents, _)| parents);
        for part in parents.split('/').filter(|part| !part.is_empty()) {
            let folder = above[above.len() - 1].join(part);
            created |= create_folder(&folder)?;
            above.push(folder);
        }
        let Some(parent) = above.pop() else {
            return Ok(path);
        };
        // A folder that stands may have been made a moment ago by a writer that
        // did not get to make it durable: that is done once for each, here.
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if created || !durable.contains(&parent) {
            for folder in &above {
                sync_folder(folder)?;
            }
            durable.insert(parent);
        }
        Ok(path)
    }

    /// Writes a file that has no name of its own yet. It is on the disk when
    /// this returns, readable as `mode` and the umask allow.
    pub(super) fn write_temp(&self, bytes: &[u8], mode: u32) -> Result<Temp, Failure> {
        let folder = self.root.join(TEMP_FOLDER);
        create_folder(&folder)?;
        let mut temp = Temp::create(&folder, mode)?;
        temp.file.write_all(bytes)?;
        temp.file.sync_all()?;
        temp.sweep(&folder);
        Ok(temp)
    }

    /// Opens the file of a valid key, neither following a link nor waiting for
    /// the other end of a pipe.
    fn open_regular(&self, key: &str) -> Result<(File, Metadata), ReadFailure> {
        let mut path = self.root.clone();
        let mut parts = key.split('/').peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            let kind = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) => return Err(self.read_failure(error)),
            };
            let last = parts.peek().is_none();
            if (last && !kind.is_file()) || (!last && !kind.is_dir()) {
                let place = if last {
                    "there"
                } else {
                    "in the place of a folder above it"
                };
                return Err(ReadFailure::Corrupt(format!(
                    "{} stands {place}",
                    kind_name(kind)
                )));
            }
        }
        // The checks above were a moment ago: the flags hold now.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(error) => return Err(self.read_failure(error.into())),
        };
        let metadata = file.metadata().map_err(|error| self.read_failure(error))?;
        if !metadata.is_file() {
            return Err(ReadFailure::Corrupt(
                "it changed while it was opened".to_owned(),
            ));
        }
        // The temporary name is dropped once the other is durable.
        if metadata.nlink() > 1 {
            self.settle(key)?;
        }
        Ok((file, metadata))
    }

    fn read_failure(&self, error: io::Error) -> ReadFailure {
        if error.kind() != ErrorKind::NotFound {
            return error.into();
        }
        match self.check() {
            Ok(()) => ReadFailure::Missing,
            Err(failure) => ReadFailure::Failed(failure),
        }
    }
}

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// A file in the folder for temporary files, removed when dropped. It is locked
/// as long as its writer lives.
#[derive(Debug)]
pub(super) struct Temp {
    path: PathBuf,
    file: File,
}

impl Temp {
    /// Gives the file the name `path` if that is free, durably.
    pub(super) fn publish_new(self, path: &Path) -> Result<(), PublishFailure> {
        match fs::hard_link(&self.path, path) {
            Ok(()) => sync_parent(path).map_err(PublishFailure::Unknown),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(PublishFailure::Exists),
            // File systems without hard links say this too.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(PublishFailure::Failed(Failure::refused(
                    error.to_string(),
                    "give this user access to the folder, and keep it on a file system with hard links",
                )))
            }
            Err(error) => Err(PublishFailure::of(error)),
        }
    }

    /// Gives the file the name `path` in the place of what has it, durably.
    pub(super) fn publish_over(self, path: &Path) -> Result<(), PublishFailure> {
        fs::rename(&self.path, path).map_err(PublishFailure::of)?;
        sync_parent(path).map_err(PublishFailure::Unknown)
    }

    fn create(folder: &Path, mode: u32) -> io::Result<Self> {
        static CREATED: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = CREATED.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}.{count}", std::process::id()));
            let mut options = OpenOptions::new();
            match options.write(true).create_new(true).mode(mode).open(&path) {
                Ok(file) => {
                    let temp = Self { path, file };
                    temp.file.lock()?;
                    return Ok(temp);
                }
                // Left by a dead process of the same number, or by a living
                // one that another machine or container counts so.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes what dead writers left. Nothing depends on it, so what cannot
    /// be removed stays for the next writer to try.
    fn sweep(&self, folder: &Path) {
        // The age is told by the file system's own clock, which may not be
        // this machine's.
        let Ok(now) = self
            .file
            .metadata()
            .and_then(|metadata| metadata.modified())
        else {
            return;
        };
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let age = metadata
                .modified()
                .ok()
                .and_then(|then| now.duration_since(then).ok());
            if metadata.is_file() && age.is_some_and(|age| age >= STALE_AFTER) {
                remove_if_dead(&entry.path());
            }
        }
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // What stays behind is never an object, and is swept later.
        let _ = fs::remove_file(&self.path);
    }
}

impl PublishFailure {
    fn of(error: io::Error) -> Self {
        if certainly_not_done(&error) {
            Self::Failed(error.into())
        } else {
            Self::Unknown(error)
        }
    }
}

/// What stands in the place of a file, in words.
fn kind_name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a file"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Makes one folder, unless it stands. Gives whether it made it.
fn create_folder(path: &Path) -> Result<bool, Failure> {
    match DirBuilder::new().create(path) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(NO_FOLDER),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        Err(_) => {}
    }
    let kind = fs::symlink_metadata(path)?.file_type();
    if !kind.is_dir() {
        return Err(Failure::refused(
            format!(
                "{} stands at {}, not a folder",
                kind_name(kind),
                path.display()
            ),
            "find out who put it there, and run verify",
        ));
    }
    Ok(false)
}

fn create_durably(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => return Err(ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    if let Some(parent) = path.parent().filter(|parent| *parent != OsStr::new("")) {
        create_durably(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent != OsStr::new("") => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn read_exactly(mut file: File, range: Range<u64>) -> Result<Bytes, ReadFailure> {
    let wanted = range.end - range.start;
    let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
    file.seek(SeekFrom::Start(range.start))?;
    file.take(wanted).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != wanted {
        return Err(ReadFailure::Corrupt(
            "it shrank while it was read".to_owned(),
        ));
    }
    Ok(bytes.into())
}

/// Removes a temporary file unless its writer lives and holds its lock.
fn remove_if_dead(path: &Path) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from)
        && file.try_lock().is_ok()
    {
        let _ = fs::remove_file(path);
    }
}
