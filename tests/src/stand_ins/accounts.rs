//! What Azure holds of a storage account: Resource Manager sets it, the front of
//! the blobs enforces it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use countersign_service::clock::Clock;
use serde_json::{Value, json};

use super::answer::lock;
use super::azurite::Azurite;

const DAY_MILLIS: u64 = 86_400_000;

/// What Resource Manager sets and the front of the blobs enforces.
#[derive(Debug, Clone)]
pub struct Accounts {
    pub(super) azurite: Azurite,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) state: Arc<Mutex<Settings>>,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) account: Value,
    pub(super) blob_service: Value,
    /// The rules that delete blobs, as they were given.
    pub(super) management_policy: Option<Value>,
    /// By the path of what they are for, then by name.
    pub(super) diagnostics: BTreeMap<String, BTreeMap<String, Value>>,
    pub(super) changes: u64,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Container {
    pub(super) policy: Option<Policy>,
    pub(super) hold_tags: Vec<String>,
    /// Whether each version has a policy of its own.
    pub(super) version_level: bool,
    /// By the blob's name, in a container of the version level.
    pub(super) blobs: BTreeMap<String, BlobLock>,
}

#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) days: u64,
    pub(super) locked: bool,
    pub(super) append_writes: bool,
    pub(super) extensions: u32,
    pub(super) etag: String,
}

impl Policy {
    pub(super) fn period_millis(&self) -> u64 {
        self.days * DAY_MILLIS
    }
}

/// What a blob of the version level carries.
#[derive(Debug, Default, Clone)]
pub(super) struct BlobLock {
    /// Milliseconds since 1970, and whether it is locked.
    pub(super) until: Option<(u64, bool)>,
    pub(super) legal_hold: bool,
}

impl Accounts {
    /// One account with the settings of a new one, its blobs in `azurite`.
    pub fn new(azurite_url: &str, clock: Arc<dyn Clock>) -> Self {
        let settings = Settings {
            containers: BTreeMap::new(),
            account: json!({
                "allowBlobPublicAccess": false,
                "allowSharedKeyAccess": true,
                "minimumTlsVersion": "TLS1_2",
                "publicNetworkAccess": "Enabled",
                "supportsHttpsTrafficOnly": true,
                "provisioningState": "Succeeded",
            }),
            blob_service: json!({
                "isVersioningEnabled": false,
                "changeFeed": {"enabled": false},
                "deleteRetentionPolicy": {"enabled": false},
                "containerDeleteRetentionPolicy": {"enabled": false},
            }),
            management_policy: None,
            diagnostics: BTreeMap::new(),
            changes: 0,
        };
        Self {
            azurite: Azurite::new(azurite_url),
            clock,
            state: Arc::new(Mutex::new(settings)),
        }
    }

    /// What holds for the container.
    pub(super) fn container(&self, name: &str) -> Container {
        lock(&self.state)
            .containers
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// Changes what holds for the container.
    pub(super) fn change<T>(&self, name: &str, change: impl FnOnce(&mut Container) -> T) -> T {
        change(
            lock(&self.state)
                .containers
                .entry(name.to_owned())
                .or_default(),
        )
    }

    /// Forgets a container that is no more.
    pub(super) fn forget(&self, name: &str) {
        lock(&self.state).containers.remove(name);
    }
}
