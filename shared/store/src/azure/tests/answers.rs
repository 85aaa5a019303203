//! What no emulator answers: versions, policies, settings, damage.

use azure_core::base64;
use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::{ACCOUNT, Somebody, endpoints};
use crate::azure::{Access, BlobSealedStore};
use crate::error::{GetError, ListError};
use crate::listing::VersionPages;
use crate::posture::{Aspect, Expected, Lock, Setting, SettingState};
use crate::sealed::{Knowledge, LockMode, ObjectVersion, Retention, SealedStore, VersionLock};
use crate::testing::server::{Answer, Asked, Server};

const DAY_MILLIS: u64 = 86_400_000;

/// 2026-11-24T00:00:00Z
const CREATED: u64 = 1_795_478_400_000;

fn store(blobs: &Server, arm: Option<&Server>, lock: Lock) -> BlobSealedStore {
    let mut endpoints = endpoints(&blobs.url);
    if let Some(arm) = arm {
        endpoints = endpoints.with_resource_manager(&arm.url).unwrap();
    }
    let access = Access::new(std::sync::Arc::new(Somebody), endpoints).unwrap();
    BlobSealedStore::open(&access, ACCOUNT, "sealed", "", lock).unwrap()
}

/// A blob of a listing: name, version, what else stands in the item and in its
/// properties.
fn item(name: &str, version: &str, item: &str, properties: &str) -> String {
    let version = match version {
        "" => String::new(),
        version => format!("<VersionId>{version}</VersionId>"),
    };
    format!(
        "<Blob><Name>{name}</Name>{version}{item}<Properties><Creation-Time>Tue, 24 Nov 2026 00:00:00 GMT</Creation-Time><Content-Length>7</Content-Length><BlobType>BlockBlob</BlobType>{properties}</Properties></Blob>"
    )
}

fn listing(items: &[String], marker: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://x/\" ContainerName=\"sealed\"><Blobs>{}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>",
        items.concat()
    );
    Answer::new(200, body).with("content-type", "application/xml")
}

/// A container whose listing has these items and whose properties these headers.
async fn container(
    items: Vec<String>,
    properties: &'static [(&'static str, &'static str)],
) -> Server {
    Server::new(
        move |asked: &Asked| match asked.line.contains("comp=list") {
            true => listing(&items, ""),
            false => properties
                .iter()
                .fold(Answer::new(200, ""), |answer, (name, value)| {
                    answer.with(name, *value)
                }),
        },
    )
    .await
}

/// Azure Resource Manager with one account.
async fn manager(answers: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Server {
    let id = format!(
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
    );
    Server::new(move |asked: &Asked| {
        if asked
            .line
            .starts_with("POST /providers/Microsoft.ResourceGraph/resources?")
        {
            let query = String::from_utf8_lossy(&asked.body);
            assert!(query.contains(ACCOUNT), "{query}");
            return json_answer(200, &json!({ "data": [{ "id": id }] }));
        }
        let path = asked
            .line
            .strip_prefix("GET ")
            .and_then(|path| path.strip_prefix(&*id));
        let path = path
            .and_then(|path| path.split_once('?'))
            .expect("a path of the account")
            .0;
        answers(path).unwrap_or_else(|| {
            json_answer(
                404,
                &json!({ "error": { "code": "ImmutabilityPolicyNotFound" } }),
            )
        })
    })
    .await
}

fn json_answer(status: u16, body: &Value) -> Answer {
    Answer::new(status, body.to_string()).with("content-type", "application/json")
}

fn policy(days: u32, state: &str) -> Answer {
    let properties = json!({ "immutabilityPeriodSinceCreationInDays": days, "state": state });
    json_answer(200, &json!({ "properties": properties }))
}

async fn versions(store: &BlobSealedStore) -> Vec<ObjectVersion> {
    let Knowledge::Known(page) = store.versions("", None).await.unwrap() else {
        panic!("a container has versions")
    };
    assert!(!page.more);
    page.versions
}

#[tokio::test]
async fn a_second_version_and_deletions_are_seen() {
    let items = vec![
        item("a", "2026-11-24T00:00:00.0000000Z", "", ""),
        item(
            "a",
            "2026-11-25T00:00:00.0000000Z",
            "<IsCurrentVersion>true</IsCurrentVersion>",
            "",
        ),
        item("b", "2026-11-24T00:00:00.0000000Z", "", ""),
        item("c", "", "<Deleted>true</Deleted>", ""),
        item("d", "", "", ""),
    ];
    let blobs = container(items, &[]).await;
    let found = versions(&store(&blobs, None, Lock::Off)).await;
    let seen: Vec<_> = found
        .iter()
        .map(|v| (&*v.key, &*v.version, v.is_latest, v.delete_marker, v.bytes))
        .collect();
    assert_eq!(
        seen,
        [
            ("a", "2026-11-25T00:00:00.0000000Z", true, false, 7),
            ("a", "2026-11-24T00:00:00.0000000Z", false, false, 7),
            ("b", "deleted", true, true, 0),
            ("b", "2026-11-24T00:00:00.0000000Z", false, false, 7),
            ("c", "deleted", true, true, 0),
            ("c", "soft-deleted", false, false, 7),
            ("d", "current", true, false, 7),
        ]
    );
    let asked = blobs.asked().pop().unwrap().line;
    assert!(asked.contains("include=versions%2Cdeleted"), "{asked}");
}

#[tokio::test]
async fn all_versions_of_a_key_stand_in_one_page() {
    // Pages of the service of two, three and one item.
    let blobs = Server::new(|asked: &Asked| {
        if !asked.line.contains("comp=list") {
            return Answer::new(200, "");
        }
        let of = |key: &str, day: u32| item(key, &format!("2026-11-{day}"), "", "");
        let current = |key: &str, day: u32| {
            item(
                key,
                &format!("2026-11-{day}"),
                "<IsCurrentVersion>true</IsCurrentVersion>",
                "",
            )
        };
        let all = [
            of("a", 10),
            of("a", 11),
            of("a", 12),
            of("a", 13),
            current("a", 14),
            current("b", 10),
        ];
        match asked
            .line
            .split_once("marker=")
            .map(|(_, marker)| marker.split('&').next())
        {
            None => listing(&all[..2], "m1"),
            Some(Some("m1")) => listing(&all[2..5], "m2"),
            _ => listing(&all[5..], ""),
        }
    })
    .await;
    let store = store(&blobs, None, Lock::Off);
    let mut pages = VersionPages::new(&store, "");
    let mut keys = Vec::new();
    while let Knowledge::Known(Some(page)) = pages.next().await.unwrap() {
        keys.push(
            page.into_iter()
                .map(|version| version.key)
                .collect::<Vec<_>>(),
        );
    }
    let of_page: Vec<_> = keys.iter().map(|page| page.concat()).collect();
    assert!(
        of_page == ["aaaaab"] || of_page == ["aaaaa", "b"],
        "{of_page:?}"
    );
}

#[tokio::test]
async fn a_page_is_asked_for_from_the_last_key_and_what_comes_before_it_is_left_out() {
    let items: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|key| item(key, "", "", ""))
        .collect();
    let blobs = container(items, &[]).await;
    let page = store(&blobs, None, Lock::Off)
        .list("", Some("b"))
        .await
        .unwrap();
    let keys: Vec<_> = page.objects.iter().map(|object| &*object.key).collect();
    assert_eq!(
        keys,
        ["c"],
        "a server that does not know startFrom gives all"
    );
    let asked = blobs.asked().pop().unwrap().line;
    assert!(asked.contains("startFrom=b"), "{asked}");
}

#[tokio::test]
async fn the_retention_of_a_blob_is_that_of_its_container_or_its_own() {
    let own = |days: u32, mode: &str| {
        let until = format!(
            "<ImmutabilityPolicyUntilDate>Sun, {days} Nov 2026 00:00:00 GMT</ImmutabilityPolicyUntilDate>"
        );
        format!("{until}<ImmutabilityPolicyMode>{mode}</ImmutabilityPolicyMode>")
    };
    let items = vec![item("a", "", "", ""), item("b", "", "", &own(29, "locked"))];
    let arm = manager(|path| {
        path.ends_with("immutabilityPolicies/default")
            .then(|| policy(3, "Locked"))
    })
    .await;
    let blobs = container(items, &[("x-ms-has-immutability-policy", "true")]).await;
    let found = versions(&store(&blobs, Some(&arm), Lock::Compliance)).await;
    let kept: Vec<_> = found.iter().map(|v| v.lock.until()).collect();
    assert_eq!(
        kept,
        [
            Some((CREATED + 3 * DAY_MILLIS, LockMode::Locked)),
            Some((CREATED + 5 * DAY_MILLIS, LockMode::Locked)),
        ]
    );

    // Where immutability is per version, the container's policy is but the
    // default for what is put without one.
    let items = vec![
        item("a", "1", "<IsCurrentVersion>true</IsCurrentVersion>", ""),
        item(
            "b",
            "1",
            "<IsCurrentVersion>true</IsCurrentVersion>",
            &own(29, "unlocked"),
        ),
    ];
    let blobs = container(
        items,
        &[("x-ms-immutable-storage-with-versioning-enabled", "true")],
    )
    .await;
    let found = versions(&store(&blobs, Some(&arm), Lock::Compliance)).await;
    let kept: Vec<_> = found.iter().map(|v| v.lock.until()).collect();
    assert_eq!(
        kept,
        [None, Some((CREATED + 5 * DAY_MILLIS, LockMode::Unlocked))]
    );
}

#[tokio::test]
async fn a_policy_that_may_not_be_read_is_not_taken_for_none() {
    let arm = manager(|_| {
        Some(json_answer(
            403,
            &json!({ "error": { "code": "AuthorizationFailed" } }),
        ))
    })
    .await;
    let blobs = container(
        vec![item("a", "", "", "")],
        &[("x-ms-has-immutability-policy", "true")],
    )
    .await;
    let found = versions(&store(&blobs, Some(&arm), Lock::Compliance)).await;
    let [VersionLock::Unknown { reason }] =
        &found.iter().map(|v| v.lock.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("the retention is not known: {found:?}")
    };
    assert!(
        reason.contains("immutabilityPolicies/read is missing"),
        "{reason}"
    );

    // A resource group that was mistyped is no missing policy either.
    let arm = manager(|_| {
        Some(json_answer(
            404,
            &json!({ "error": { "code": "ResourceGroupNotFound" } }),
        ))
    })
    .await;
    let found = versions(&store(&blobs, Some(&arm), Lock::Compliance)).await;
    let VersionLock::Unknown { reason } = &found[0].lock else {
        panic!("the retention is not known: {found:?}")
    };
    assert!(reason.contains("ResourceGroupNotFound"), "{reason}");
}

#[tokio::test]
async fn a_put_keeps_its_blob_itself_where_immutability_is_per_version() {
    for (lock, per_version, mode) in [
        (Lock::Compliance, "true", Some("Locked")),
        (Lock::Governance, "true", Some("Unlocked")),
        (Lock::Compliance, "false", None),
        (Lock::Off, "true", None),
    ] {
        let blobs = Server::new(move |asked: &Asked| match asked.line.starts_with("PUT") {
            true => Answer::new(201, "").with("etag", "\"0x8D\""),
            false => Answer::new(200, "").with(
                "x-ms-immutable-storage-with-versioning-enabled",
                per_version,
            ),
        })
        .await;
        let store = store(&blobs, None, lock);
        for key in ["a", "b"] {
            let kept = Retention::Until(CREATED + 1);
            store
                .put_new(key, Bytes::from_static(b"x"), kept)
                .await
                .unwrap();
        }
        let asked = blobs.asked();
        let puts: Vec<_> = asked
            .iter()
            .filter(|asked| asked.line.starts_with("PUT"))
            .collect();
        assert_eq!(puts.len(), 2);
        assert!(asked.len() <= 3, "the container is asked once");
        for put in puts {
            assert_eq!(put.header("if-none-match"), Some("*"));
            assert_eq!(
                put.header("x-ms-immutability-policy-mode")
                    .map(str::to_lowercase),
                mode.map(str::to_lowercase)
            );
            let until = put.header("x-ms-immutability-policy-until-date");
            // Whole seconds, and never less than asked.
            let expected = mode.map(|_| "Tue, 24 Nov 2026 00:00:01 GMT");
            assert_eq!(until, expected);
            let sum = base64::encode(Md5::digest(b"x"));
            assert_eq!(put.header("content-md5"), Some(&*sum));
        }
    }
}

#[tokio::test]
async fn what_was_damaged_is_not_given_out() {
    let get = |headers: Vec<(&'static str, String)>, body: &'static [u8]| async move {
        let blobs = Server::new(move |_| Answer {
            status: 206,
            headers: headers.clone(),
            body: body.to_vec(),
        })
        .await;
        let store = store(&blobs, None, Lock::Off);
        tokio::join!(store.get("a", 10), store.get_range("a", 0..4))
    };
    let range = || ("content-range", "bytes 0-3/4".to_owned());
    let sum = |bytes: &[u8]| base64::encode(Md5::digest(bytes));

    let (whole, part) = get(
        vec![range(), ("x-ms-blob-content-md5", sum(b"good"))],
        b"good",
    )
    .await;
    assert_eq!(
        (whole.unwrap(), part.unwrap()),
        ("good".into(), "good".into())
    );
    let (whole, _) = get(
        vec![range(), ("x-ms-blob-content-md5", sum(b"good"))],
        b"evil",
    )
    .await;
    assert!(matches!(whole, Err(GetError::Corrupt { .. })), "{whole:?}");
    let (whole, part) = get(vec![range(), ("content-md5", sum(b"good"))], b"evil").await;
    assert!(
        matches!(whole, Err(GetError::Transient { .. })),
        "{whole:?}"
    );
    assert!(matches!(part, Err(GetError::Transient { .. })), "{part:?}");
    let short = vec![range(), ("content-length", "4".to_owned())];
    let (whole, _) = get(short, b"goo").await;
    assert!(whole.is_err(), "{whole:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_it() {
    let blobs = Server::new(|_| Answer::new(206, vec![b'x'; 30_000_000])).await;
    let store = store(&blobs, None, Lock::Off);
    let got = store.get("a", 1_000).await;
    assert!(
        matches!(
            got,
            Err(GetError::TooLarge { .. } | GetError::Transient { .. })
        ),
        "{got:?}"
    );
    let got = store.get_range("a", 0..1_000).await;
    assert!(matches!(got, Err(GetError::Transient { .. })), "{got:?}");
    let listed = store.list("", None).await;
    assert!(
        matches!(listed, Err(ListError::Transient { .. })),
        "{listed:?}"
    );
}

/// An account as it should be.
fn good(path: &str) -> Option<Answer> {
    let properties = match path {
        "" => json!({
            "allowSharedKeyAccess": false,
            "minimumTlsVersion": "TLS1_2",
            "supportsHttpsTrafficOnly": true,
            "allowBlobPublicAccess": false,
            "encryption": { "keySource": "Microsoft.Storage" },
        }),
        "/blobServices/default" => json!({
            "isVersioningEnabled": false,
            "deleteRetentionPolicy": { "enabled": true, "days": 30 },
        }),
        "/managementPolicies/default" => {
            return Some(json_answer(
                404,
                &json!({ "error": { "code": "ManagementPolicyNotFound" } }),
            ));
        }
        path if path.ends_with("/diagnosticSettings") => {
            let logs = json!([{ "categoryGroup": "audit", "enabled": true }]);
            return Some(json_answer(
                200,
                &json!({ "value": [{ "properties": { "logs": logs } }] }),
            ));
        }
        path if path.ends_with("/immutabilityPolicies/default") => {
            return Some(policy(365, "Locked"));
        }
        _ => return None,
    };
    Some(json_answer(200, &json!({ "properties": properties })))
}

async fn settings(store: &BlobSealedStore) -> Vec<Setting> {
    let expected = Expected {
        retention_days: 365,
        lock: Lock::Compliance,
    };
    match store.posture(expected).await {
        Knowledge::Known(settings) => settings,
        Knowledge::NotApplicable { reason } => panic!("{reason}"),
    }
}

const PROTECTED: &[(&str, &str)] = &[("x-ms-has-immutability-policy", "true")];

#[tokio::test]
async fn an_account_as_it_should_be_has_no_weakness() {
    let arm = manager(good).await;
    let blobs = container(Vec::new(), PROTECTED).await;
    let settings = settings(&store(&blobs, Some(&arm), Lock::Compliance)).await;
    assert_eq!(settings.len(), 13);
    for setting in &settings {
        assert!(
            matches!(setting.state, SettingState::Holds { .. }),
            "{setting:?}"
        );
    }
    let retention = settings
        .iter()
        .filter(|setting| setting.aspect == Aspect::Retention);
    assert_eq!(retention.count(), 3);
    for asked in arm.asked() {
        assert_eq!(
            asked.header("authorization"),
            Some("Bearer emulator"),
            "no token of anybody"
        );
    }
}

#[tokio::test]
async fn each_weakness_is_found_and_can_be_mended() {
    let weakened = |path: &'static str, with: Value| {
        move |asked: &str| match asked == path {
            true => Some(json_answer(200, &json!({ "properties": with.clone() }))),
            false => good(asked),
        }
    };
    let policy_path = "/blobServices/default/containers/sealed/immutabilityPolicies/default";
    let rule = |days: u32, prefix: &str| {
        let delete =
            json!({ "baseBlob": { "delete": { "daysAfterModificationGreaterThan": days } } });
        let definition = json!({ "actions": delete, "filters": { "prefixMatch": [prefix] } });
        json!({ "policy": { "rules": [{ "enabled": true, "name": "old", "definition": definition }] } })
    };
    for (path, with, name, open, mend) in [
        (
            policy_path,
            json!({ "immutabilityPeriodSinceCreationInDays": 365, "state": "Unlocked" }),
            "immutability policy",
            true,
            "immutability-policy lock",
        ),
        (
            policy_path,
            json!({ "immutabilityPeriodSinceCreationInDays": 30, "state": "Locked" }),
            "immutability policy",
            true,
            "immutability-policy extend",
        ),
        (
            policy_path,
            json!({ "immutabilityPeriodSinceCreationInDays": 0, "state": "Unlocked" }),
            "immutability policy",
            true,
            "immutability-policy create",
        ),
        (
            policy_path,
            json!({ "immutabilityPeriodSinceCreationInDays": 365, "state": "Locked", "allowProtectedAppendWrites": true }),
            "immutability policy",
            false,
            "portal",
        ),
        (
            "/managementPolicies/default",
            rule(30, "sealed/"),
            "lifecycle rules",
            false,
            "Lifecycle management",
        ),
        (
            "/blobServices/default",
            json!({ "isVersioningEnabled": true, "deleteRetentionPolicy": { "enabled": true, "days": 7 } }),
            "versioning",
            false,
            "--enable-versioning false",
        ),
        (
            "",
            json!({ "minimumTlsVersion": "TLS1_2" }),
            "shared key",
            false,
            "--allow-shared-key-access false",
        ),
        (
            "",
            json!({ "allowSharedKeyAccess": false }),
            "minimum TLS",
            false,
            "--min-tls-version",
        ),
        (
            "",
            json!({ "allowSharedKeyAccess": false, "minimumTlsVersion": "TLS1_2", "encryption": { "keySource": "Microsoft.Keyvault" } }),
            "encryption keys",
            false,
            "Microsoft.Storage",
        ),
        (
            "",
            json!({ "allowSharedKeyAccess": false, "minimumTlsVersion": "TLS1_2", "isHnsEnabled": true }),
            "hierarchical",
            false,
            "init --succeeds",
        ),
        (
            "",
            json!({ "allowSharedKeyAccess": false, "minimumTlsVersion": "TLS1_2", "allowBlobPublicAccess": true }),
            "anonymous",
            false,
            "--allow-blob-public-access false",
        ),
    ] {
        let arm = manager(weakened(path, with)).await;
        let blobs = container(Vec::new(), PROTECTED).await;
        let settings = settings(&store(&blobs, Some(&arm), Lock::Compliance)).await;
        let found = settings
            .iter()
            .find(|setting| setting.name.starts_with(name));
        let found = found.unwrap_or_else(|| panic!("{name} is among {settings:?}"));
        let SettingState::Weak {
            open: is_open,
            mend: how,
            ..
        } = &found.state
        else {
            panic!("{name} is weak: {found:?}")
        };
        assert_eq!((*is_open, how.contains(mend)), (open, true), "{found:?}");
    }
    // A rule for another container, or after the retention, is none of ours.
    for with in [rule(30, "other/"), rule(400, "sealed/")] {
        let arm = manager(weakened("/managementPolicies/default", with)).await;
        let blobs = container(Vec::new(), PROTECTED).await;
        let settings = settings(&store(&blobs, Some(&arm), Lock::Compliance)).await;
        let found = settings
            .iter()
            .find(|setting| setting.name.starts_with("lifecycle"))
            .unwrap();
        assert!(
            matches!(found.state, SettingState::Holds { .. }),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_setting_that_may_not_be_read_is_unknown_and_names_the_permission() {
    let arm = manager(|_| {
        Some(json_answer(
            403,
            &json!({ "error": { "code": "AuthorizationFailed" } }),
        ))
    })
    .await;
    let blobs = Server::new(|_| Answer::code(403, "AuthorizationPermissionMismatch")).await;
    let settings = settings(&store(&blobs, Some(&arm), Lock::Compliance)).await;
    assert_eq!(settings.len(), 12);
    for setting in &settings {
        let SettingState::Unknown {
            permission: Some(permission),
            ..
        } = &setting.state
        else {
            panic!("{setting:?}")
        };
        assert!(
            permission.starts_with("Microsoft.") && permission.ends_with("/read"),
            "{permission}"
        );
    }
}

#[tokio::test]
async fn settings_of_an_account_that_cannot_be_reached_are_unknown() {
    let arm = manager(good).await;
    let url = arm.url.clone();
    drop(arm);
    tokio::task::yield_now().await;
    let blobs = container(Vec::new(), PROTECTED).await;
    let endpoints = endpoints(&blobs.url).with_resource_manager(&url).unwrap();
    let access = Access::new(std::sync::Arc::new(Somebody), endpoints).unwrap();
    let store = BlobSealedStore::open(&access, ACCOUNT, "sealed", "", Lock::Compliance).unwrap();
    let settings = settings(&store).await;
    let unknown = settings.iter().filter(|setting| {
        matches!(
            setting.state,
            SettingState::Unknown {
                permission: None,
                ..
            }
        )
    });
    assert_eq!(
        unknown.count(),
        11,
        "all but what the container says: {settings:?}"
    );
}
