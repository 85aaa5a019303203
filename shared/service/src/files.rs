//! Files that are the operator's own: keys and policies.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Whether a file may take the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is none at the path, or it is an error.
    New,
    /// What is at the path is replaced.
    Any,
}

/// Writes a file, and the folders that it lies in, so that it is there whole and
/// for good, or not at all. What a process that died left of an earlier attempt
/// is written over. A new file has the permissions `mode` as the umask allows.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32, place: Place) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(mode);
    let mut file = options.open(new)?;
    file.lock()?;
    // Who had the lock before may have given the file its name: it is theirs then.
    let ours = file.metadata()?;
    let named = fs::metadata(new).is_ok_and(|named| named.ino() == ours.ino());
    if !named || ours.nlink() > 1 {
        if named {
            fs::remove_file(new)?; // they died before they got to that
        }
        return Err(io::Error::other("another process wrote it just now"));
    }
    let mut write = || {
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match place {
            Place::New => fs::hard_link(new, path),
            Place::Any => fs::rename(new, path),
        }
    };
    let written = write();
    if written.is_err() || place == Place::New {
        // Renamed, or not needed any more; what stays is written over.
        let _ = fs::remove_file(new);
    }
    written?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_writers_at_one_time_the_first_decides() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.seed");
        let contents: Vec<Vec<u8>> = (0..8).map(|n| vec![n; 1000 * usize::from(n)]).collect();
        let won = std::thread::scope(|scope| {
            let write = |content| write_whole(&path, content, 0o600, Place::New);
            let threads: Vec<_> = contents
                .iter()
                .map(|content| scope.spawn(move || write(content).is_ok().then_some(content)))
                .collect();
            let join =
                |thread: std::thread::ScopedJoinHandle<'_, Option<_>>| thread.join().unwrap();
            threads.into_iter().filter_map(join).collect::<Vec<_>>()
        });
        assert_eq!(won.len(), 1);
        assert_eq!(&fs::read(&path).unwrap(), won[0]);
    }

    #[test]
    fn what_a_dead_writer_named_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.seed");
        let new = folder.path().join("a.seed.new");
        fs::write(&new, "theirs").unwrap();
        fs::hard_link(&new, &path).unwrap();
        write_whole(&path, b"ours", 0o600, Place::New).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert!(!new.exists());
    }

    #[test]
    fn what_an_earlier_attempt_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/a.seed");
        fs::create_dir(folder.path().join("keys")).unwrap();
        fs::write(folder.path().join("keys/a.seed.new"), "cut off, and longer").unwrap();
        write_whole(&path, b"one\n", 0o600, Place::New).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        let again = write_whole(&path, b"two\n", 0o600, Place::New).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        write_whole(&path, b"two\n", 0o600, Place::Any).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two\n");
        let left = fs::read_dir(folder.path().join("keys")).unwrap();
        assert_eq!(left.count(), 1);
    }
}
