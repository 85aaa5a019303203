//! What a policy keeps, over the front that enforces it before Azurite.

use std::sync::Arc;

use azure_core::http::{Method, Request, Url};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{ACCOUNT, Somebody, access, endpoints, now_millis, unique};
use crate::azure::blob::Container;
use crate::azure::wire::{Call, Wire, client};
use crate::azure::{Access, BlobHeadStore, BlobSealedStore, KeyVaultSecret};
use crate::conformance::{self, Scope};
use crate::error::{PutError, SwapError};
use crate::head::HeadStore;
use crate::posture::{Expected, Lock, SettingState};
use crate::sealed::{Knowledge, LockMode, ObjectVersion, Retention, SealedStore, VersionLock};
use crate::secret::{Secret, SecretError};
use crate::testing::stand_in;

const DAY_MILLIS: u64 = 86_400_000;

/// A container behind the front, with Azure Resource Manager.
struct Ground {
    blobs: String,
    arm: String,
    name: String,
}

impl Ground {
    /// A container of its own; `version_level` where each blob keeps itself.
    async fn new(version_level: bool) -> Option<Self> {
        let (blobs, arm) = (stand_in("STANDIN_BLOB")?, stand_in("STANDIN_ARM")?);
        let name = unique();
        let ground = Self { blobs, arm, name };
        let properties = match version_level {
            true => json!({ "immutableStorageWithVersioning": { "enabled": true } }),
            false => json!({}),
        };
        ground
            .call(Method::Put, "", Some(json!({ "properties": properties })))
            .await;
        Some(ground)
    }

    /// One of a day, which is the shortest there is.
    async fn protect(&self, locked: bool) {
        let policy = "/immutabilityPolicies/default";
        let properties = json!({ "immutabilityPeriodSinceCreationInDays": 1 });
        let made = self
            .call(
                Method::Put,
                policy,
                Some(json!({ "properties": properties })),
            )
            .await;
        if locked {
            let etag = made["etag"].as_str().unwrap();
            self.call_if(Method::Post, &format!("{policy}/lock"), None, Some(etag))
                .await;
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        self.call_if(method, path, body, None).await
    }

    async fn call_if(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        etag: Option<&str>,
    ) -> Value {
        let url = format!(
            "{}/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}/blobServices/default/containers/{}{path}?api-version=2023-05-01",
            self.arm, self.name
        );
        let mut request = Request::new(Url::parse(&url).unwrap(), method);
        request.insert_header("authorization", "Bearer somebody");
        request.insert_header("content-type", "application/json");
        if let Some(etag) = etag {
            request.insert_header("if-match", etag.to_owned());
        }
        if let Some(body) = body {
            request.set_body(Bytes::from(body.to_string()));
        }
        let wire = Wire::new(client(true).unwrap());
        let answer = wire.send_call(&Call::new(), &request).await.unwrap();
        assert!(
            answer.status().is_success(),
            "{path}: {:?}",
            answer.status()
        );
        let answer = answer.try_into_raw_response().await.unwrap();
        serde_json::from_slice(answer.body()).unwrap()
    }

    fn store(&self, lock: Lock) -> BlobSealedStore {
        let endpoints = endpoints(&self.blobs)
            .with_resource_manager(&self.arm)
            .and_then(|endpoints| endpoints.with_resource_group("s", "g"));
        let access = Access::new(Arc::new(Somebody), endpoints.unwrap()).unwrap();
        BlobSealedStore::open(&access, ACCOUNT, &self.name, "", lock).unwrap()
    }

    fn raw(&self) -> Container {
        Container::open(&access(&self.blobs), ACCOUNT, &self.name, "").unwrap()
    }

    async fn versions(&self) -> Vec<ObjectVersion> {
        match self
            .store(Lock::Compliance)
            .versions("", None)
            .await
            .unwrap()
        {
            Knowledge::Known(page) => page.versions,
            Knowledge::NotApplicable { reason } => panic!("{reason}"),
        }
    }
}

#[tokio::test]
async fn what_a_policy_keeps_is_neither_overwritten_nor_deleted() {
    let Some(ground) = Ground::new(false).await else {
        return;
    };
    ground.protect(true).await;
    let store = ground.store(Lock::Compliance);
    let before = now_millis();
    let kept = Retention::Until(before + DAY_MILLIS);
    store
        .put_new("a", Bytes::from_static(b"sealed"), kept)
        .await
        .unwrap();
    let again = store.put_new("a", Bytes::from_static(b"other"), kept).await;
    assert!(matches!(again, Err(PutError::Exists { .. })), "{again:?}");

    let raw = ground.raw();
    assert_eq!(
        raw.try_delete("a").await,
        Err(Some("BlobImmutableDueToPolicy".to_owned()))
    );
    assert_eq!(
        raw.try_overwrite("a").await,
        Err(Some("BlobImmutableDueToPolicy".to_owned()))
    );
    assert_eq!(store.get("a", 6).await.unwrap(), "sealed");

    let versions = ground.versions().await;
    let [version] = &versions[..] else {
        panic!("{versions:?}")
    };
    assert!(version.is_latest && !version.delete_marker);
    let (until, mode) = version.lock.until().unwrap();
    assert_eq!(mode, LockMode::Locked);
    // A creation time is a whole second.
    assert!(until + 1_000 > before + DAY_MILLIS, "{until}");

    // A head store in such a container says what is wrong with it.
    let heads = BlobHeadStore::open(&access(&ground.blobs), ACCOUNT, &ground.name, "").unwrap();
    let first = heads
        .swap("h", None, Bytes::from_static(b"1"))
        .await
        .unwrap();
    let swapped = heads
        .swap("h", Some(&first), Bytes::from_static(b"2"))
        .await;
    let Err(error @ SwapError::Refused { .. }) = swapped else {
        panic!("{swapped:?}")
    };
    assert!(
        error.to_string().contains("without an immutability policy"),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_policy_a_deletion_shows_as_an_object_that_is_gone() {
    let Some(ground) = Ground::new(false).await else {
        return;
    };
    let store = ground.store(Lock::Compliance);
    for key in ["a", "b"] {
        store
            .put_new(key, Bytes::from_static(b"sealed"), Retention::None)
            .await
            .unwrap();
    }
    assert_eq!(ground.raw().try_delete("a").await, Ok(()));
    let versions = ground.versions().await;
    let [version] = &versions[..] else {
        panic!("{versions:?}")
    };
    assert_eq!((&*version.key, &version.lock), ("b", &VersionLock::None));
}

#[tokio::test]
async fn a_blob_keeps_itself_where_immutability_is_per_version() {
    let Some(ground) = Ground::new(true).await else {
        return;
    };
    let until = now_millis() + 3_600_000;
    for (key, lock, mode) in [
        ("a", Lock::Compliance, LockMode::Locked),
        ("b", Lock::Governance, LockMode::Unlocked),
    ] {
        let store = ground.store(lock);
        store
            .put_new(key, Bytes::from_static(b"x"), Retention::Until(until))
            .await
            .unwrap();
        let versions = ground.versions().await;
        let version = versions.iter().find(|version| version.key == key).unwrap();
        let (kept, found) = version.lock.until().unwrap();
        assert!(kept >= until && kept < until + 1_000, "{kept} for {until}");
        assert_eq!(found, mode);
        let deleted = ground.raw().try_delete(key).await;
        assert_eq!(deleted, Err(Some("BlobImmutableDueToPolicy".to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_under_a_locked_policy_conforms_and_keeps_everything() {
    let Some(ground) = Ground::new(false).await else {
        return;
    };
    ground.protect(true).await;
    let scope = Scope {
        many: 120,
        // The front's creation times are whole seconds.
        retention: Retention::Until(now_millis() + DAY_MILLIS - 2_000),
        ..Scope::new("suite")
    };
    let store = ground.store(Lock::Compliance).with_pages_of(50);
    conformance::sealed_store(Arc::new(store), &scope).await;
}

#[tokio::test]
async fn the_settings_that_terraform_makes_are_read() {
    let Some(ground) = Ground::new(false).await else {
        return;
    };
    let expected = Expected {
        retention_days: 1,
        lock: Lock::Compliance,
    };
    let policy = async || {
        let Knowledge::Known(settings) = ground.store(Lock::Compliance).posture(expected).await
        else {
            panic!("there are settings")
        };
        let policy = settings
            .iter()
            .find(|setting| setting.name.starts_with("immutability"));
        policy.unwrap().state.clone()
    };
    for (locked, says) in [
        (None, "none"),
        (Some(false), "Unlocked"),
        (Some(true), "Locked"),
    ] {
        if let Some(locked) = locked {
            ground.protect(locked).await;
        }
        let state = policy().await;
        let found = match &state {
            SettingState::Weak {
                found, open: true, ..
            } if locked != Some(true) => found,
            SettingState::Holds { found } if locked == Some(true) => found,
            other => panic!("{locked:?}: {other:?}"),
        };
        assert!(found.contains(says), "{found}");
    }
}

#[tokio::test]
async fn a_secret_of_the_stand_in_is_made_once() {
    let Some(vault) = stand_in("STANDIN_KEYVAULT") else {
        return;
    };
    let endpoints = endpoints("http://127.0.0.1:1")
        .with_key_vault(&vault)
        .unwrap();
    let access = Access::new(Arc::new(Somebody), endpoints).unwrap();
    let secret = KeyVaultSecret::open(&access, "vault", &unique()).unwrap();
    assert!(secret.read(100).await.unwrap().is_none());
    secret.create(b"a seed").await.unwrap();
    let again = secret.create(b"another").await;
    assert!(
        matches!(again, Err(SecretError::Exists { .. })),
        "{again:?}"
    );
    assert_eq!(**secret.read(100).await.unwrap().unwrap(), *b"a seed");
}
