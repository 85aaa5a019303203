//! How well a bucket's own settings protect what stands in it.

use serde::Deserialize;

use super::listing;
use super::objects::Objects;
use super::settings::Settings;
use crate::gcp::access::Service;
use crate::gcp::call::Request;
use crate::gcp::failure::{Class, Failure};
use crate::posture::{Aspect, Expected, Lock, Setting, SettingState};

const BUCKET_PERMISSION: &str = "storage.buckets.get";
const REMOVED_PERMISSION: &str = "storage.objects.restore";
const LIENS_PERMISSION: &str = "resourcemanager.projects.get";

const DAY_SECS: u64 = 24 * 60 * 60;

/// Google's own default for soft delete.
const SOFT_DELETE_SECS: u64 = 7 * DAY_SECS;

/// What each setting is called in a report.
mod name {
    pub(super) const RETENTION: &str = "retention policy of the bucket";
    pub(super) const VERSIONING: &str = "Object Versioning of the bucket";
    pub(super) const LIFECYCLE: &str = "lifecycle rules of the bucket";
    pub(super) const SOFT_DELETE: &str = "soft delete of the bucket";
    pub(super) const REMOVED: &str = "listing of removed objects";
    pub(super) const ENCRYPTION: &str = "encryption key of the bucket";
    pub(super) const UNIFORM: &str = "uniform bucket-level access";
    pub(super) const PUBLIC: &str = "public access prevention";
    pub(super) const LIEN: &str = "lien on the project";
}

#[derive(Deserialize)]
struct Liens {
    #[serde(default)]
    liens: Vec<Lien>,
}

#[derive(Deserialize)]
struct Lien {
    #[serde(default)]
    restrictions: Vec<String>,
}

/// Every setting of the bucket that matters, judged.
pub(super) async fn judge(objects: &Objects, expected: Expected) -> Vec<Setting> {
    let settings = match Settings::read(objects).await {
        Ok(settings) => settings,
        Err(failure) => return all_unknown(failure),
    };
    let bucket = objects.bucket();
    vec![
        retention(&settings, bucket, expected),
        versioning(&settings, bucket),
        lifecycle(&settings, objects, expected),
        soft_delete(&settings, bucket),
        removed(&settings, objects).await,
        encryption(&settings, bucket),
        uniform_access(&settings, bucket),
        public_access(&settings, bucket),
        lien(objects, &settings.project_number).await,
    ]
}

fn all_unknown(failure: Failure) -> Vec<Setting> {
    let state = unknown(failure, BUCKET_PERMISSION);
    let names = [
        (name::RETENTION, Aspect::Retention),
        (name::VERSIONING, Aspect::Store),
        (name::LIFECYCLE, Aspect::Store),
        (name::SOFT_DELETE, Aspect::Store),
        (name::REMOVED, Aspect::Store),
        (name::ENCRYPTION, Aspect::Store),
        (name::UNIFORM, Aspect::Store),
        (name::PUBLIC, Aspect::Store),
        (name::LIEN, Aspect::Store),
    ];
    let settings = names.into_iter().map(|(name, aspect)| Setting {
        name: name.to_owned(),
        aspect,
        state: state.clone(),
    });
    settings.collect()
}

fn unknown(failure: Failure, permission: &str) -> SettingState {
    let denied = matches!(&failure, Failure::Answer(answer) if answer.status == 403);
    let reason = match failure.class(true, permission) {
        Class::Refused { reason, next } => format!("{reason}; {next}"),
        Class::Transient(cause) | Class::Unknown(cause) => cause.to_string(),
        Class::Missing => "the bucket or project does not exist".to_owned(),
        other => format!("the server's answer cannot be: {other:?}"),
    };
    SettingState::Unknown {
        reason,
        permission: denied.then(|| permission.to_owned()),
    }
}

fn setting(name: &str, state: SettingState) -> Setting {
    Setting {
        name: name.to_owned(),
        aspect: Aspect::Store,
        state,
    }
}

fn holds(found: impl Into<String>) -> SettingState {
    SettingState::Holds {
        found: found.into(),
    }
}

fn retention(settings: &Settings, bucket: &str, expected: Expected) -> Setting {
    let wanted_secs = u64::from(expected.retention_days) * DAY_SECS;
    let (days, secs) = (expected.retention_days, settings.retention_secs());
    let found = match &settings.retention_policy {
        None => "no retention policy".to_owned(),
        Some(policy) => format!(
            "{}, {}, in effect since {}",
            duration(secs),
            if policy.is_locked {
                "locked"
            } else {
                "not locked"
            },
            if policy.effective_time.is_empty() {
                "an unknown time"
            } else {
                &policy.effective_time
            },
        ),
    };
    let set = format!("gcloud storage buckets update gs://{bucket} --retention-period={days}d");
    let lock = format!("gcloud storage buckets update gs://{bucket} --lock-retention-period");
    let weak = |open, why: &str, mend: &str| SettingState::Weak {
        open,
        expected: match expected.lock {
            Lock::Off => "none".to_owned(),
            Lock::Governance => format!("a retention policy of {days} days or more"),
            Lock::Compliance => format!("a locked retention policy of {days} days or more"),
        },
        found: found.clone(),
        why: why.to_owned(),
        mend: mend.to_owned(),
    };
    let state = if expected.lock == Lock::Off {
        holds(found)
    } else if settings.retention_policy.is_none() {
        weak(
            true,
            "whoever may delete objects can remove or replace every record",
            &set,
        )
    } else if secs < wanted_secs {
        weak(
            true,
            "records can be removed before their time is over",
            &set,
        )
    } else if expected.lock == Lock::Compliance && !settings.is_locked() {
        weak(
            true,
            "whoever administers the bucket can shorten or remove the policy and then delete the records",
            &format!("{lock} (this cannot be undone)"),
        )
    } else {
        holds(found)
    };
    Setting {
        name: name::RETENTION.to_owned(),
        aspect: Aspect::Retention,
        state,
    }
}

fn versioning(settings: &Settings, bucket: &str) -> Setting {
    let state = if settings.versioning.enabled {
        SettingState::Weak {
            open: true,
            expected: "off".to_owned(),
            found: "on".to_owned(),
            why: "a retained object can be replaced by another, or taken out of sight, by making it noncurrent; without versions that is refused".to_owned(),
            mend: format!("gcloud storage buckets update gs://{bucket} --no-versioning"),
        }
    } else {
        holds("off")
    };
    setting(name::VERSIONING, state)
}

fn lifecycle(settings: &Settings, objects: &Objects, expected: Expected) -> Setting {
    let deleting: Vec<_> = settings
        .lifecycle
        .rule
        .iter()
        .filter(|rule| rule.deletes_before(expected.retention_days, &objects.name("")))
        .collect();
    // A retention policy holds back a rule until the object's time is over.
    let held = settings.retention_secs() >= u64::from(expected.retention_days) * DAY_SECS
        && settings.retention_policy.is_some()
        && expected.lock != Lock::Off;
    let state = match deleting.first() {
        None => holds("none that deletes records before their time is over"),
        Some(rule) => SettingState::Weak {
            open: !held,
            expected: format!("none that deletes before {} days", expected.retention_days),
            found: format!(
                "{} that may, the first on the condition {}",
                deleting.len(),
                serde_json::Value::Object(rule.condition.clone())
            ),
            why: if held {
                "only the retention policy keeps the service from deleting records by itself"
            } else {
                "the service deletes records by itself, and nobody is named for it"
            }
            .to_owned(),
            mend: format!(
                "take the rule away: gcloud storage buckets update gs://{} --clear-lifecycle (all rules), or --lifecycle-file=FILE",
                objects.bucket()
            ),
        },
    };
    setting(name::LIFECYCLE, state)
}

fn soft_delete(settings: &Settings, bucket: &str) -> Setting {
    let secs = settings.soft_delete_secs();
    let state = if secs >= SOFT_DELETE_SECS {
        holds(duration(secs))
    } else {
        SettingState::Weak {
            open: false,
            expected: "7 days or more".to_owned(),
            found: if secs == 0 { "off".to_owned() } else { duration(secs) },
            why: "an object that is deleted after all cannot be restored for a while, and leaves no trace in the bucket".to_owned(),
            mend: format!("gcloud storage buckets update gs://{bucket} --soft-delete-duration=7d"),
        }
    };
    setting(name::SOFT_DELETE, state)
}

async fn removed(settings: &Settings, objects: &Objects) -> Setting {
    let state = if settings.soft_delete_secs() == 0 {
        holds("there are none without soft delete")
    } else {
        match listing::removed_can_be_listed(objects).await {
            Ok(()) => holds("they are among the versions"),
            Err(failure) => unknown(failure, REMOVED_PERMISSION),
        }
    };
    setting(name::REMOVED, state)
}

fn encryption(settings: &Settings, bucket: &str) -> Setting {
    let key = &settings.encryption.default_kms_key_name;
    let state = if key.is_empty() {
        holds("Google's own keys")
    } else {
        SettingState::Weak {
            open: false,
            expected: "Google's own keys".to_owned(),
            found: format!("the key {key}"),
            why: "whoever administers that key can destroy its version, and the records with it, whatever the retention policy says".to_owned(),
            mend: format!("for new objects: gcloud storage buckets update gs://{bucket} --clear-default-encryption-key; for those there, guard the key: gcloud kms keys get-iam-policy {key}"),
        }
    };
    setting(name::ENCRYPTION, state)
}

fn uniform_access(settings: &Settings, bucket: &str) -> Setting {
    let state = if settings
        .iam_configuration
        .uniform_bucket_level_access
        .enabled
    {
        holds("on")
    } else {
        SettingState::Weak {
            open: false,
            expected: "on".to_owned(),
            found: "off".to_owned(),
            why: "an access list on a single object can grant what no policy of the bucket shows"
                .to_owned(),
            mend: format!(
                "gcloud storage buckets update gs://{bucket} --uniform-bucket-level-access"
            ),
        }
    };
    setting(name::UNIFORM, state)
}

fn public_access(settings: &Settings, bucket: &str) -> Setting {
    let found = settings.iam_configuration.public_access_prevention.as_str();
    let state = if found == "enforced" {
        holds(found)
    } else {
        SettingState::Weak {
            open: false,
            expected: "enforced".to_owned(),
            found: if found.is_empty() { "not set" } else { found }.to_owned(),
            why: "one grant to allUsers would lay the records open to everybody".to_owned(),
            mend: format!("gcloud storage buckets update gs://{bucket} --public-access-prevention"),
        }
    };
    setting(name::PUBLIC, state)
}

async fn lien(objects: &Objects, project: &str) -> Setting {
    let request = Request::get(Service::ResourceManager, &["v3", "liens"])
        .query("parent", format!("projects/{project}"));
    let state = match objects.access().read_json::<Liens>(&request).await {
        Err(failure) => unknown(failure, LIENS_PERMISSION),
        Ok(Liens { liens }) => {
            let guards = |lien: &&Lien| {
                lien.restrictions
                    .iter()
                    .any(|restriction| restriction == "resourcemanager.projects.delete")
            };
            if liens.iter().find(guards).is_some() {
                holds("the project cannot be deleted while it is there")
            } else {
                SettingState::Weak {
                    open: false,
                    expected: "one against the deletion of the project".to_owned(),
                    found: "none".to_owned(),
                    why: "whoever may delete the project removes the bucket with it, locked or not"
                        .to_owned(),
                    mend: format!(
                        "gcloud alpha resource-manager liens create --project={project} --restrictions=resourcemanager.projects.delete --reason=\"audit logs\" --origin=countersign"
                    ),
                }
            }
        }
    };
    setting(name::LIEN, state)
}

fn duration(secs: u64) -> String {
    if secs.is_multiple_of(DAY_SECS) {
        format!("{} days", secs / DAY_SECS)
    } else {
        format!("{secs} seconds")
    }
}
