//! A bucket's settings, as the JSON API tells them.

use serde::Deserialize;

use super::objects::Objects;
use crate::gcp::access::Service;
use crate::gcp::call::Request;
use crate::gcp::failure::Failure;
use crate::sealed::LockMode;

/// A bucket's settings, as far as they matter here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Settings {
    pub(super) project_number: String,
    pub(super) retention_policy: Option<RetentionPolicy>,
    pub(super) versioning: Versioning,
    pub(super) lifecycle: Lifecycle,
    pub(super) soft_delete_policy: Option<SoftDeletePolicy>,
    pub(super) encryption: Encryption,
    pub(super) iam_configuration: IamConfiguration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetentionPolicy {
    /// In seconds.
    pub(super) retention_period: String,
    #[serde(default)]
    pub(super) is_locked: bool,
    #[serde(default)]
    pub(super) effective_time: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Versioning {
    pub(super) enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Lifecycle {
    pub(super) rule: Vec<Rule>,
}

#[derive(Deserialize)]
pub(super) struct Rule {
    pub(super) action: Action,
    #[serde(default)]
    pub(super) condition: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct Action {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SoftDeletePolicy {
    pub(super) retention_duration_seconds: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Encryption {
    pub(super) default_kms_key_name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct IamConfiguration {
    pub(super) uniform_bucket_level_access: UniformAccess,
    pub(super) public_access_prevention: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct UniformAccess {
    pub(super) enabled: bool,
}

/// What the listing of versions needs to know of a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// `None` when the settings may not be read.
    known: Option<KnownPolicy>,
}

#[derive(Clone, Copy, Debug)]
struct KnownPolicy {
    /// `None` without a retention policy.
    locked: Option<bool>,
    soft_deletes: bool,
}

impl Policy {
    /// The policy in a bucket's settings; unknown where they may not be read.
    /// What else keeps them from being read is an error.
    pub(super) fn as_far_as_known(settings: Result<Settings, Failure>) -> Result<Self, Failure> {
        match settings {
            Ok(settings) => Ok(settings.policy()),
            Err(Failure::Answer(answer)) if answer.status == 403 => Ok(Self { known: None }),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the bucket has a retention policy.
    pub(super) fn retains(self) -> bool {
        self.known.is_some_and(|known| known.locked.is_some())
    }

    /// Whether removed objects can be restored for a while; taken to be so
    /// where it is not known, since the listing will tell.
    pub(super) fn soft_deletes(self) -> bool {
        self.known.is_none_or(|known| known.soft_deletes)
    }

    /// How firm the retention of an object is that the bucket retains; `None`
    /// where that is not known.
    pub(super) fn mode(self) -> Option<LockMode> {
        let locked = self.known?.locked.unwrap_or(false);
        Some(if locked {
            LockMode::Locked
        } else {
            LockMode::Unlocked
        })
    }
}

impl Settings {
    /// Reads them from the service.
    pub(super) async fn read(objects: &Objects) -> Result<Self, Failure> {
        let request = Request::get(
            Service::Storage,
            &["storage", "v1", "b", objects.bucket()],
        )
        .query(
            "fields",
            "projectNumber,retentionPolicy,versioning,lifecycle,softDeletePolicy,encryption,iamConfiguration",
        );
        objects.access().read_json(&request).await
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            known: Some(KnownPolicy {
                locked: self
                    .retention_policy
                    .as_ref()
                    .map(|policy| policy.is_locked),
                soft_deletes: self.soft_delete_secs() > 0,
            }),
        }
    }

    pub(super) fn retention_secs(&self) -> u64 {
        let policy = self.retention_policy.as_ref();
        policy.map_or(0, |policy| policy.retention_period.parse().unwrap_or(0))
    }

    pub(super) fn soft_delete_secs(&self) -> u64 {
        let policy = self.soft_delete_policy.as_ref();
        policy.map_or(0, |policy| {
            policy.retention_duration_seconds.parse().unwrap_or(0)
        })
    }

    pub(super) fn is_locked(&self) -> bool {
        let policy = self.retention_policy.as_ref();
        policy.is_some_and(|policy| policy.is_locked)
    }
}

impl Rule {
    /// Whether it may delete a live object under `prefix` that is younger than
    /// `days`. All conditions of a rule must hold for it to act.
    pub(super) fn deletes_before(&self, days: u32, prefix: &str) -> bool {
        let Self { action, condition } = self;
        if action.kind != "Delete" {
            return false;
        }
        let number = |name: &str| condition.get(name).and_then(serde_json::Value::as_u64);
        let old_enough = number("age").is_some_and(|age| age >= u64::from(days));
        let noncurrent_only = condition.get("isLive") == Some(&false.into())
            || [
                "daysSinceNoncurrentTime",
                "noncurrentTimeBefore",
                "numNewerVersions",
            ]
            .into_iter()
            .any(|name| condition.contains_key(name) && number(name) != Some(0));
        let elsewhere = condition
            .get("matchesPrefix")
            .and_then(serde_json::Value::as_array)
            .is_some_and(|prefixes| {
                prefixes
                    .iter()
                    .filter_map(serde_json::Value::as_str)
                    .all(|other| !other.starts_with(prefix) && !prefix.starts_with(other))
            });
        !(old_enough || noncurrent_only || elsewhere)
    }
}
