//! What a folder can hold, and who may put it there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use super::{LocalHeadStore, LocalSealedStore};
use crate::conformance::{self, Scope};
use crate::{
    GetError, HeadError, HeadStore, Knowledge, ListError, ObjectPages, PutError, Retention,
    SealedStore, SwapError,
};

const ONE: Bytes = Bytes::from_static(b"1");

fn sealed() -> (TempDir, LocalSealedStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalSealedStore::open(dir.path());
    (dir, store)
}

fn heads() -> (TempDir, LocalHeadStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalHeadStore::open(dir.path());
    (dir, store)
}

fn pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
}

async fn keys(store: &LocalSealedStore) -> Vec<String> {
    let objects = ObjectPages::new(store, "").collect().await.unwrap();
    objects.into_iter().map(|object| object.key).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sealed_store_conforms() {
    let (_dir, store) = sealed();
    // Paging is tried below, on files that were not flushed one by one.
    let scope = Scope {
        many: 1_000,
        ..Scope::new("suite")
    };
    conformance::sealed_store(Arc::new(store), &scope).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn head_store_conforms() {
    let (_dir, store) = heads();
    conformance::head_store(Arc::new(store), &Scope::new("suite")).await;
}

#[tokio::test]
async fn a_missing_folder_is_an_error_until_it_is_created() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("not/there");
    conformance::missing_sealed_store(&LocalSealedStore::open(&path)).await;
    conformance::missing_head_store(&LocalHeadStore::open(&path)).await;
    assert!(!dir.path().join("not").exists(), "opening creates nothing");

    let store = LocalSealedStore::create(&path).unwrap();
    assert_eq!(store.list("", None).await.unwrap().objects, []);
    assert_eq!(store.describe(), format!("file:{}", path.display()));
    store.put_new("a", ONE, Retention::None).await.unwrap();
    LocalHeadStore::create(&path)
        .unwrap()
        .swap("h", None, ONE)
        .await
        .unwrap();
    let again = LocalSealedStore::create(&path).unwrap();
    assert_eq!(
        again.get("a", 1).await.unwrap(),
        ONE,
        "creating what stands changes nothing"
    );
}

#[tokio::test]
async fn a_file_in_the_place_of_the_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "x").unwrap();
    assert!(
        LocalSealedStore::create(&path)
            .unwrap_err()
            .to_string()
            .contains("name another")
    );
    let store = LocalSealedStore::open(&path);
    assert!(matches!(
        store.list("", None).await,
        Err(ListError::Refused { .. })
    ));
    assert!(matches!(
        store.get("a", 1).await,
        Err(GetError::Refused { .. })
    ));
    let put = store.put_new("a", ONE, Retention::None).await;
    assert!(matches!(put, Err(PutError::Refused { .. })));
}

#[tokio::test]
async fn objects_are_read_only_and_leave_no_temporary_file() {
    let (dir, store) = sealed();
    store.put_new("a/b", ONE, Retention::None).await.unwrap();
    let _ = store
        .put_new("a/b", ONE, Retention::None)
        .await
        .unwrap_err();
    let mode = fs::metadata(dir.path().join("a/b"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o333, 0, "nobody may write it: {mode:o}");
    assert_eq!(fs::read_dir(dir.path().join(".tmp")).unwrap().count(), 0);
    assert_eq!(keys(&store).await, ["a/b"]);
    let Knowledge::NotApplicable { reason } = store.versions("", None).await.unwrap() else {
        panic!("a folder knows no versions");
    };
    assert_eq!(reason, "a local folder keeps no versions and has no lock");
}

#[tokio::test]
async fn what_is_no_file_is_neither_followed_nor_waited_for() {
    let (dir, store) = sealed();
    store
        .put_new("real/object", ONE, Retention::None)
        .await
        .unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    pipe(&dir.path().join("pipe"));
    symlink(dir.path().join("real/object"), dir.path().join("link")).unwrap();
    symlink(dir.path().join("real"), dir.path().join("linked-folder")).unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();

    for (key, is) in [
        ("folder", "a folder stands there"),
        ("pipe", "a pipe stands there"),
        ("link", "a symbolic link stands there"),
        ("dangling", "a symbolic link stands there"),
        (
            "linked-folder/object",
            "a symbolic link stands in the place of a folder",
        ),
        ("real/object/x", "a file stands in the place of a folder"),
    ] {
        for got in [store.get(key, 9).await, store.get_range(key, 0..9).await] {
            let Err(GetError::Corrupt { reason, .. }) = &got else {
                panic!("{key}: {got:?}")
            };
            assert!(reason.contains(is), "{key}: {reason}");
        }
    }
    for key in ["folder", "pipe", "link", "dangling", "linked-folder/object"] {
        let put = store.put_new(key, ONE, Retention::None).await;
        assert!(
            matches!(put, Err(PutError::Exists { .. })),
            "{key}: {put:?}"
        );
    }
    for key in ["linked-folder/new", "real/object/x", "pipe/x"] {
        let put = store.put_new(key, ONE, Retention::None).await;
        assert!(
            matches!(put, Err(PutError::Refused { .. })),
            "{key}: {put:?}"
        );
    }

    let listed = store.list("", None).await.unwrap().objects;
    let seen: Vec<_> = listed
        .iter()
        .map(|o| (o.key.as_str(), o.regular, o.bytes))
        .collect();
    assert_eq!(
        seen,
        [
            ("dangling", false, 0),
            ("link", false, 0),
            ("linked-folder", false, 0),
            ("pipe", false, 0),
            ("real/object", true, 1),
        ]
    );
}

#[tokio::test]
async fn files_that_are_no_objects_are_listed_and_flagged() {
    let (dir, store) = sealed();
    store.put_new("a/good", ONE, Retention::None).await.unwrap();
    fs::create_dir(dir.path().join(OsStr::from_bytes(b"b\xff"))).unwrap();
    for name in [
        &b"a/b c"[..],
        b"a/\xfe",
        b"a/new\nline",
        b"b\xff/x",
        "é".as_bytes(),
    ] {
        fs::write(dir.path().join(OsStr::from_bytes(name)), "x").unwrap();
    }
    for name in [".DS_Store", "a/.hidden"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let listed = store.list("", None).await.unwrap().objects;
    let seen: Vec<_> = listed
        .iter()
        .map(|o| (o.key.as_str(), o.valid_name))
        .collect();
    let expected = [
        ("a/%FE", false),
        ("a/b c", false),
        ("a/good", true),
        ("a/new%0Aline", false),
        ("b%FF/x", false),
        ("é", false),
    ];
    assert_eq!(seen, expected);
    for (index, (key, _)) in expected.iter().enumerate() {
        let rest = store.list("", Some(key)).await.unwrap().objects;
        assert!(
            rest.iter()
                .map(|o| o.key.as_str())
                .eq(expected[index + 1..].iter().map(|e| e.0))
        );
    }
    assert_eq!(store.list("b%FF/", None).await.unwrap().objects.len(), 1);
}

#[tokio::test]
async fn large_folders_are_listed_by_pages() {
    let (dir, store) = sealed();
    fs::create_dir(dir.path().join("many")).unwrap();
    // Empty folders, as a crash leaves them, neither end a page nor fill one.
    for index in 0..20 {
        fs::create_dir(dir.path().join(format!("many/0{index}"))).unwrap();
    }
    for index in (0..20_000).rev() {
        fs::write(dir.path().join(format!("many/{index:05}.x")), "").unwrap();
    }
    let mut pages = ObjectPages::new(&store, "many/");
    let mut sizes = Vec::new();
    let mut all = Vec::new();
    while let Some(objects) = pages.next().await.unwrap() {
        sizes.push(objects.len());
        all.extend(objects.into_iter().map(|object| object.key));
    }
    assert_eq!(sizes, [8192, 8192, 20_000 - 2 * 8192]);
    assert!(
        all.into_iter()
            .eq((0..20_000).map(|index| format!("many/{index:05}.x")))
    );
    let page = store.list("many/1999", None).await.unwrap();
    assert_eq!((page.objects.len(), page.more), (10, false));
}

#[tokio::test]
async fn a_full_page_that_is_the_last_says_so() {
    let (dir, store) = sealed();
    for index in 0..8192 {
        fs::write(dir.path().join(index.to_string()), "").unwrap();
    }
    let page = store.list("", None).await.unwrap();
    assert_eq!((page.objects.len(), page.more), (8192, false));
}

#[tokio::test]
async fn only_temporary_files_of_dead_writers_are_removed() {
    let (dir, store) = sealed();
    store.put_new("a", ONE, Retention::None).await.unwrap();
    let temp = dir.path().join(".tmp");
    let two_hours_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = |name: &str, old: bool| {
        let file = fs::File::create(temp.join(name)).unwrap();
        if old {
            file.set_modified(two_hours_ago).unwrap();
        }
        file
    };
    drop(file("dead", true));
    drop(file("young", false));
    let living = file("living", true);
    living.lock().unwrap();
    pipe(&temp.join("pipe"));

    store.put_new("b", ONE, Retention::None).await.unwrap();
    let mut left: Vec<_> = fs::read_dir(&temp)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["living", "pipe", "young"]);

    drop(living);
    store.put_new("c", ONE, Retention::None).await.unwrap();
    assert!(!temp.join("living").exists());
}

#[tokio::test]
async fn an_object_whose_writer_died_after_the_link_is_whole() {
    let (dir, store) = sealed();
    store.put_new("a", ONE, Retention::None).await.unwrap();
    fs::hard_link(dir.path().join("a"), dir.path().join(".tmp/left")).unwrap();
    assert_eq!(store.get("a", 1).await.unwrap(), ONE);
    let put = store.put_new("a", ONE, Retention::None).await;
    assert!(matches!(put, Err(PutError::Exists { .. })));
}

#[tokio::test]
async fn a_file_that_is_no_head_is_refused_and_left() {
    let (dir, store) = heads();
    let path = dir.path().join("h");
    let version = store.swap("h", None, ONE).await.unwrap();
    let contents: [&[u8]; 8] = [
        b"",
        b"1",
        b"x\n1",
        b"01\n1",
        b"+1\n1",
        b"\n1",
        b"99999999999999999999\n1",
        b"\xff\n1",
    ];
    for content in contents {
        fs::write(&path, content).unwrap();
        let loaded = store.load("h").await;
        let Err(HeadError::Corrupt { next, .. }) = &loaded else {
            panic!("{loaded:?}")
        };
        assert!(next.contains("restore"), "{next}");
        for expected in [None, Some(&version)] {
            let swapped = store.swap("h", expected, ONE).await;
            assert!(
                matches!(swapped, Err(SwapError::Refused { .. })),
                "{swapped:?}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    fs::write(&path, format!("{}\n1", u64::MAX)).unwrap();
    let last = store.load("h").await.unwrap().unwrap().version;
    let swapped = store.swap("h", Some(&last), ONE).await;
    assert!(
        matches!(swapped, Err(SwapError::Refused { .. })),
        "{swapped:?}"
    );

    fs::write(&path, vec![b'1'; 1 << 20]).unwrap();
    assert!(matches!(
        store.load("h").await,
        Err(HeadError::Corrupt { .. })
    ));
    fs::remove_file(&path).unwrap();
    pipe(&path);
    assert!(matches!(
        store.load("h").await,
        Err(HeadError::Corrupt { .. })
    ));
}

#[tokio::test]
async fn a_head_put_back_from_a_copy_is_not_taken_for_another() {
    let (dir, store) = heads();
    let path = dir.path().join("h");
    let first = store
        .swap("h", None, Bytes::from_static(b"a"))
        .await
        .unwrap();
    let copy = fs::read(&path).unwrap();
    let second = store
        .swap("h", Some(&first), Bytes::from_static(b"b"))
        .await
        .unwrap();
    fs::write(&path, copy).unwrap();
    store
        .swap("h", Some(&first), Bytes::from_static(b"c"))
        .await
        .unwrap();
    let swapped = store
        .swap("h", Some(&second), Bytes::from_static(b"d"))
        .await;
    assert!(
        matches!(swapped, Err(SwapError::Lost { .. })),
        "both were the second write"
    );
}
