//! What Cloud Storage keeps of a bucket and fake-gcs-server does not.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;
use countersign_core::time;
use serde_json::{Value, json};

use super::error;

const MAX_RETENTION_SECONDS: u64 = 3_155_760_000;
const SOFT_DELETE_SECONDS: u64 = 604_800;
/// What a bucket keeps as it was given.
const KEPT: [&str; 3] = ["lifecycle", "encryption", "logging"];

/// A bucket's settings, and the holds on its objects.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub retention: Option<Retention>,
    pub soft_delete_seconds: u64,
    pub soft_delete_since_millis: u64,
    pub versioning: bool,
    pub access: Value,
    pub kept: BTreeMap<&'static str, Value>,
    pub metageneration: u64,
    /// By the object's name.
    pub holds: BTreeMap<String, Holds>,
}

/// A retention policy.
#[derive(Debug, Clone)]
pub struct Retention {
    pub seconds: u64,
    pub effective_millis: u64,
    pub locked: bool,
}

/// The holds on one object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holds {
    pub temporary: bool,
    pub event_based: bool,
}

impl Bucket {
    /// A bucket without settings.
    pub fn new(now_millis: u64) -> Self {
        Self {
            retention: None,
            soft_delete_seconds: SOFT_DELETE_SECONDS,
            soft_delete_since_millis: now_millis,
            versioning: false,
            access: json!({
                "bucketPolicyOnly": {"enabled": false},
                "uniformBucketLevelAccess": {"enabled": false},
                "publicAccessPrevention": "inherited",
            }),
            kept: BTreeMap::new(),
            metageneration: 1,
            holds: BTreeMap::new(),
        }
    }

    /// Adds what the front keeps to the server's description of the bucket.
    pub fn add_to(self, body: &mut Value) {
        body["metageneration"] = json!(self.metageneration.to_string());
        body["iamConfiguration"] = self.access;
        body["versioning"] = json!({"enabled": self.versioning});
        body["softDeletePolicy"] = json!({
            "retentionDurationSeconds": self.soft_delete_seconds.to_string(),
            "effectiveTime": time::from_unix_millis(self.soft_delete_since_millis),
        });
        if let Some(retention) = self.retention {
            body["retentionPolicy"] = json!({
                "retentionPeriod": retention.seconds.to_string(),
                "effectiveTime": time::from_unix_millis(retention.effective_millis),
                "isLocked": retention.locked,
            });
        }
        for (field, value) in self.kept {
            body[field] = value;
        }
    }

    /// Sets what `settings` names; null removes.
    pub fn set(&mut self, settings: &Value, now_millis: u64) -> Result<(), Response> {
        if let Some(policy) = settings.get("retentionPolicy") {
            self.set_retention(policy, now_millis)?;
        }
        if let Some(policy) = settings.get("softDeletePolicy") {
            let seconds = seconds_in(policy.get("retentionDurationSeconds")).unwrap_or(0);
            if seconds != 0 && !(SOFT_DELETE_SECONDS..=7_776_000).contains(&seconds) {
                let message = "Soft delete policies must have a retention duration of 0 or from 7 to 90 days.";
                return Err(error(StatusCode::BAD_REQUEST, "invalid", message));
            }
            self.soft_delete_seconds = seconds;
            self.soft_delete_since_millis = now_millis;
        }
        if let Some(versioning) = settings.get("versioning") {
            self.versioning = versioning.get("enabled") == Some(&Value::Bool(true));
        }
        let access = settings.get("iamConfiguration").and_then(Value::as_object);
        for (name, value) in access.into_iter().flatten() {
            self.access[name] = value.clone();
        }
        for field in KEPT {
            match settings.get(field) {
                Some(Value::Null) => drop(self.kept.remove(field)),
                Some(value) => drop(self.kept.insert(field, value.clone())),
                None => {}
            }
        }
        Ok(())
    }

    fn set_retention(&mut self, policy: &Value, now_millis: u64) -> Result<(), Response> {
        let seconds = seconds_in(policy.get("retentionPeriod"));
        let is_locked = self
            .retention
            .as_ref()
            .is_some_and(|retention| retention.locked);
        let refuse = |what: &str| {
            let message = format!("Cannot {what} a locked Retention Policy.");
            Err(error(StatusCode::FORBIDDEN, "forbidden", &message))
        };
        match (seconds, &mut self.retention) {
            (None | Some(0), _) if is_locked => return refuse("remove"),
            (None | Some(0), retention) => *retention = None,
            (Some(seconds), Some(retention)) if retention.locked && seconds < retention.seconds => {
                return refuse("reduce retention duration of");
            }
            (Some(seconds), _) if seconds > MAX_RETENTION_SECONDS => {
                let message = "The retention period must be less than 100 years.";
                return Err(error(StatusCode::BAD_REQUEST, "invalid", message));
            }
            (Some(seconds), Some(retention)) => retention.seconds = seconds,
            (Some(seconds), retention) => {
                *retention = Some(Retention {
                    seconds,
                    effective_millis: now_millis,
                    locked: false,
                });
            }
        }
        Ok(())
    }

    /// Whether anything in the bucket can be protected.
    pub fn protects(&self) -> bool {
        let held = |holds: &Holds| holds.temporary || holds.event_based;
        self.retention.is_some() || self.holds.values().any(held)
    }

    pub fn retained_until(&self, object: &Value) -> Option<u64> {
        let seconds = self.retention.as_ref()?.seconds;
        let created = time::parse(object.get("timeCreated")?.as_str()?)?.unix_millis();
        Some(u64::try_from(created).ok()?.saturating_add(seconds * 1000))
    }

    pub fn add_object(&self, object: &mut Value) {
        if let Some(until_millis) = self.retained_until(object) {
            object["retentionExpirationTime"] = json!(time::from_unix_millis(until_millis));
        }
        let name = object
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let Some(holds) = self.holds.get(name).copied() else {
            return;
        };
        object["temporaryHold"] = json!(holds.temporary);
        object["eventBasedHold"] = json!(holds.event_based);
    }
}

/// A count of seconds, which the API writes as text and reads as either.
fn seconds_in(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
