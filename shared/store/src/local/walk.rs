//! Lists the files below a folder in the byte order of their keys.

use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::failure::NO_FOLDER;
use crate::failure::Failure;
use crate::sealed::{ObjectMeta, Page};

/// Lists up to `limit` files below `root` whose keys begin with `prefix` and
/// are greater than `after`. On failure also says where.
pub(super) fn list(
    root: &Path,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page, (PathBuf, Failure)> {
    // One more, to know whether there is more.
    let wanted = Wanted {
        prefix,
        after,
        at_once: limit + 1,
    };
    let mut open = vec![match Level::read(root.to_owned(), String::new(), &wanted) {
        Ok(level) => level,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err((root.to_owned(), NO_FOLDER));
        }
        Err(error) => return Err((root.to_owned(), error.into())),
    }];
    let mut page = Page::default();
    while let Some(level) = open.last_mut() {
        let Some(entry) = level.entries.pop() else {
            if let Err(error) = level.read_on(&wanted) {
                return Err((level.folder.clone(), error.into()));
            }
            if level.entries.is_empty() {
                open.pop();
            }
            continue;
        };
        let path = level.folder.join(&entry.name);
        if entry.kind == Kind::Folder {
            match Level::read(path.clone(), entry.key, &wanted) {
                Ok(level) => open.push(level),
                // Removed since the folder above it was read.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err((path, error.into())),
            }
            continue;
        }
        let bytes = match (entry.kind, fs::symlink_metadata(&path)) {
            (_, Err(error)) if error.kind() == ErrorKind::NotFound => continue,
            (_, Err(error)) => return Err((path, error.into())),
            (Kind::File, Ok(metadata)) => metadata.len(),
            (_, Ok(_)) => 0,
        };
        if page.objects.len() == limit {
            page.more = true;
            break;
        }
        let regular = entry.kind == Kind::File;
        page.objects.push(ObjectMeta {
            regular,
            ..ObjectMeta::new(entry.key, bytes)
        });
    }
    Ok(page)
}

/// Which keys are asked for.
struct Wanted<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    /// How many entries of a folder are held in memory.
    at_once: usize,
}

impl Wanted<'_> {
    fn has(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && self.after.is_none_or(|after| key > after)
    }

    /// Whether keys that begin with `folder` (with its slash) may be asked for.
    fn may_be_in(&self, folder: &str) -> bool {
        (folder.starts_with(self.prefix) || self.prefix.starts_with(folder))
            && self
                .after
                .is_none_or(|after| folder > after || after.starts_with(folder))
    }
}

/// A folder, and what is left to list of it: the first entries, however many
/// it holds.
struct Level {
    folder: PathBuf,
    folder_key: String,
    /// The last in order comes first.
    entries: Vec<Entry>,
    /// The key of the last entry, if others come after it.
    cut_at: Option<String>,
}

impl Level {
    fn read(folder: PathBuf, folder_key: String, wanted: &Wanted<'_>) -> io::Result<Self> {
        let mut level = Self {
            folder,
            folder_key,
            entries: Vec::new(),
            cut_at: None,
        };
        level.fill(None, wanted)?;
        Ok(level)
    }

    /// Reads the entries after those that were read first, if there are any.
    fn read_on(&mut self, wanted: &Wanted<'_>) -> io::Result<()> {
        match self.cut_at.take() {
            Some(last) => self.fill(Some(&last), wanted),
            None => Ok(()),
        }
    }

    fn fill(&mut self, after: Option<&str>, wanted: &Wanted<'_>) -> io::Result<()> {
        let mut first = BinaryHeap::new();
        let mut cut = false;
        let mut key = String::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => Kind::Folder,
                Ok(kind) if kind.is_file() => Kind::File,
                Ok(_) => Kind::Other,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            key.clone_from(&self.folder_key);
            push_printable(&mut key, &name);
            let asked_for = if kind == Kind::Folder {
                key.push('/');
                wanted.may_be_in(&key)
            } else {
                wanted.has(&key)
            };
            if !asked_for || after.is_some_and(|after| key.as_str() <= after) {
                continue;
            }
            if first.len() == wanted.at_once {
                cut = true;
                if first.peek().is_some_and(|last: &Entry| last.key <= key) {
                    continue;
                }
                first.pop();
            }
            first.push(Entry {
                key: key.clone(),
                name,
                kind,
            });
        }
        self.cut_at = first.peek().filter(|_| cut).map(|last| last.key.clone());
        self.entries = first.into_sorted_vec();
        self.entries.reverse();
        Ok(())
    }
}

/// What a folder holds, in the order of the keys: the key of a folder ends in
/// its slash, so `a.b` comes before what is in `a`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: String,
    name: OsString,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Folder,
    File,
    /// A link, pipe, socket or device.
    Other,
}

/// Appends a file name as text: as it is where it is printable text without a
/// percent sign, otherwise escaped, so that no two names look alike.
fn push_printable(key: &mut String, name: &OsStr) {
    let escape = |key: &mut String, bytes: &[u8]| {
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(key, "%{byte:02X}");
        }
    };
    for chunk in name.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '%' || character.is_control() {
                escape(key, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                key.push(character);
            }
        }
        escape(key, chunk.invalid());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_distinct() {
        let printed = |name: &[u8]| {
            let mut key = String::new();
            push_printable(&mut key, OsStr::from_bytes(name));
            key
        };
        assert_eq!(printed(b"00.ndjson.zst"), "00.ndjson.zst");
        assert_eq!(printed("é ü".as_bytes()), "é ü");
        assert_eq!(printed(b"a\xff\n"), "a%FF%0A");
        assert_eq!(printed(b"a%FF"), "a%25FF");
    }

    #[test]
    fn folders_that_hold_nothing_wanted_are_left_out() {
        let wanted = |prefix, after| Wanted {
            prefix,
            after,
            at_once: 1,
        };
        assert!(wanted("", None).may_be_in("a/"));
        assert!(wanted("a/b", None).may_be_in("a/"));
        assert!(wanted("a", None).may_be_in("ab/c/"));
        assert!(!wanted("a/b", None).may_be_in("b/"));
        assert!(!wanted("", Some("b")).may_be_in("a/"));
        assert!(wanted("", Some("a/x")).may_be_in("a/"));
        assert!(!wanted("", Some("a0")).may_be_in("a/"));
        assert!(wanted("", Some("a.b")).may_be_in("a/"));
    }

    /// Pages of any size give the same keys, also where a folder holds more
    /// folders than a page holds objects, and most of them nothing.
    #[test]
    fn pages_of_any_size_give_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for index in 0..9 {
            fs::create_dir_all(dir.path().join(format!("f/{index}/empty"))).unwrap();
        }
        let keys = ["a", "f/3.x", "f/3/y", "f/8/y", "f/8/z", "f/9", "g"];
        for key in keys {
            fs::write(dir.path().join(key), "").unwrap();
        }
        for limit in 1..=keys.len() + 1 {
            let mut listed = Vec::new();
            loop {
                let after = listed.last().cloned();
                let page = list(dir.path(), "", after.as_deref(), limit).unwrap();
                assert!(page.objects.len() == limit || !page.more);
                listed.extend(page.objects.into_iter().map(|object| object.key));
                if !page.more {
                    break;
                }
            }
            assert_eq!(listed, keys, "{limit} at a time");
        }
    }
}
