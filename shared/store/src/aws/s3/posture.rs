//! How well a bucket's own settings protect what stands in it.

use std::error::Error;

use aws_sdk_s3::types::{
    BucketVersioningStatus, ExpirationStatus, LifecycleRule, ObjectLockEnabled,
    ObjectLockRetentionMode, ObjectOwnership, ServerSideEncryption, TransitionStorageClass,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::S3SealedStore;
use crate::aws::failure::{self, Answer};
use crate::posture::{Aspect, Expected, Lock, Setting, SettingState};

impl S3SealedStore {
    /// Every setting that was looked at, those that could not be read included.
    pub(super) async fn settings(&self, expected: Expected) -> Vec<Setting> {
        let (lock, versioning, policy, access, lifecycle, replication, encryption, ownership) = tokio::join!(
            self.object_lock(expected),
            self.versioning(),
            self.policy(),
            self.public_access(),
            self.lifecycle(expected),
            self.replication(),
            self.encryption(),
            self.ownership(),
        );
        let mut settings = lock;
        settings.push(versioning);
        settings.extend(policy);
        settings.extend([access, lifecycle, replication, encryption, ownership]);
        settings
    }

    async fn object_lock(&self, expected: Expected) -> Vec<Setting> {
        let lock = |state| retention("Object Lock of the bucket", state);
        let default = |state| retention("Default retention of the bucket", state);
        let asked = self
            .client
            .get_object_lock_configuration()
            .bucket(&self.bucket.name)
            .send()
            .await;
        let configuration = match asked {
            Ok(output) => output.object_lock_configuration,
            Err(error) if Answer::of(&error).is_some_and(|answer| answer.is_without_lock()) => None,
            Err(error) => {
                let state = self.unknown(&error, "s3:GetBucketObjectLockConfiguration");
                return vec![lock(state.clone()), default(state)];
            }
        };
        let enabled = configuration
            .as_ref()
            .and_then(|configuration| configuration.object_lock_enabled())
            == Some(&ObjectLockEnabled::Enabled);
        if expected.lock == Lock::Off {
            let found = if enabled { "enabled" } else { "none" };
            return vec![lock(holds(format!(
                "{found}; the settings ask for no lock"
            )))];
        }
        if !enabled {
            return vec![lock(SettingState::Weak {
                open: true,
                expected: "enabled".to_owned(),
                found: "none".to_owned(),
                why: "nothing keeps objects from being removed or replaced".to_owned(),
                mend: format!(
                    "aws s3api put-object-lock-configuration --bucket {} --object-lock-configuration ObjectLockEnabled=Enabled, after versioning; what stands there already is locked by aws s3api put-object-retention, object by object",
                    self.bucket.name
                ),
            })];
        }
        let rule = configuration
            .as_ref()
            .and_then(|configuration| configuration.rule())
            .and_then(|rule| rule.default_retention());
        let mode = rule.and_then(|rule| rule.mode());
        let days = rule.and_then(|rule| {
            let years = rule.years().map(|years| i64::from(years) * 365);
            rule.days().map(i64::from).or(years)
        });
        let found = match (mode, days) {
            (Some(mode), Some(days)) => format!("{}, {days} days", mode.as_str()),
            _ => "none".to_owned(),
        };
        let firm_enough = expected.lock == Lock::Governance && mode.is_some()
            || mode == Some(&ObjectLockRetentionMode::Compliance);
        let long_enough = days.is_some_and(|days| days >= i64::from(expected.retention_days));
        let state = if firm_enough && long_enough {
            holds(found)
        } else {
            let mode = match expected.lock {
                Lock::Compliance => "COMPLIANCE",
                _ => "GOVERNANCE",
            };
            SettingState::Weak {
                open: false,
                expected: format!("{mode}, {} days", expected.retention_days),
                found,
                why: "every object is put with a lock of its own; one that another writer puts without has only the default"
                    .to_owned(),
                mend: format!(
                    "aws s3api put-object-lock-configuration --bucket {} --object-lock-configuration 'ObjectLockEnabled=Enabled,Rule={{DefaultRetention={{Mode={mode},Days={}}}}}'",
                    self.bucket.name, expected.retention_days
                ),
            }
        };
        vec![lock(holds("enabled".to_owned())), default(state)]
    }

    async fn versioning(&self) -> Setting {
        let asked = self
            .client
            .get_bucket_versioning()
            .bucket(&self.bucket.name)
            .send()
            .await;
        let state = match asked {
            Ok(output) if output.status() == Some(&BucketVersioningStatus::Enabled) => {
                holds("enabled".to_owned())
            }
            Ok(output) => SettingState::Weak {
                open: true,
                expected: "enabled".to_owned(),
                found: output
                    .status()
                    .map_or("never enabled".to_owned(), |status| {
                        status.as_str().to_owned()
                    }),
                why: "without versions a put replaces an object for good".to_owned(),
                mend: format!(
                    "aws s3api put-bucket-versioning --bucket {} --versioning-configuration Status=Enabled",
                    self.bucket.name
                ),
            },
            Err(error) => self.unknown(&error, "s3:GetBucketVersioning"),
        };
        retention("Versioning of the bucket", state)
    }

    async fn public_access(&self) -> Setting {
        let asked = self
            .client
            .get_public_access_block()
            .bucket(&self.bucket.name)
            .send()
            .await;
        let configuration = match asked {
            Ok(output) => output.public_access_block_configuration,
            Err(error) if has_code(&error, "NoSuchPublicAccessBlockConfiguration") => None,
            Err(error) => {
                let state = self.unknown(&error, "s3:GetBucketPublicAccessBlock");
                return store("Public access block of the bucket", state);
            }
        };
        let all = configuration.is_some_and(|block| {
            [
                block.block_public_acls(),
                block.ignore_public_acls(),
                block.block_public_policy(),
                block.restrict_public_buckets(),
            ]
            .iter()
            .all(|set| *set == Some(true))
        });
        let state = if all {
            holds("all four set".to_owned())
        } else {
            SettingState::Weak {
                open: false,
                expected: "all four set".to_owned(),
                found: "not all of them".to_owned(),
                why: "one wrong policy or ACL would show the records to everybody".to_owned(),
                mend: format!(
                    "aws s3api put-public-access-block --bucket {} --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
                    self.bucket.name
                ),
            }
        };
        store("Public access block of the bucket", state)
    }

    async fn lifecycle(&self, expected: Expected) -> Setting {
        let asked = self
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(&self.bucket.name)
            .send()
            .await;
        let rules = match asked {
            Ok(output) => output.rules.unwrap_or_default(),
            Err(error) if has_code(&error, "NoSuchLifecycleConfiguration") => Vec::new(),
            Err(error) => {
                let state = self.unknown(&error, "s3:GetLifecycleConfiguration");
                return retention("Lifecycle of the bucket", state);
            }
        };
        retention(
            "Lifecycle of the bucket",
            self.judge_lifecycle(&rules, expected),
        )
    }

    fn judge_lifecycle(&self, rules: &[LifecycleRule], expected: Expected) -> SettingState {
        let own = self.full("");
        let early = |days: Option<i32>| {
            days.is_some_and(|days| i64::from(days) < i64::from(expected.retention_days))
        };
        let mut harm: Option<(bool, String, &str)> = None;
        for rule in rules.iter().filter(|rule| applies(rule, &own)) {
            let id = rule.id().unwrap_or("without a name");
            let expiration = rule.expiration();
            let expires = expiration
                .is_some_and(|expiration| early(expiration.days()) || expiration.date().is_some());
            let removes = rule
                .noncurrent_version_expiration()
                .is_some_and(|expiration| early(expiration.noncurrent_days()));
            let archives = rule.transitions().iter().any(|transition| {
                let archive = matches!(
                    transition.storage_class(),
                    Some(TransitionStorageClass::Glacier | TransitionStorageClass::DeepArchive)
                );
                archive && (early(transition.days()) || transition.date().is_some())
            });
            let found = if expires {
                (
                    true,
                    format!("the rule {id} expires objects before their retention ends"),
                    "it puts delete markers over objects: readers no longer find them, and their keys can be put again",
                )
            } else if removes {
                (
                    false,
                    format!("the rule {id} removes older versions before their retention ends"),
                    "what no lock holds is gone: what a second version hid, for one",
                )
            } else if archives {
                (
                    false,
                    format!("the rule {id} archives objects before their retention ends"),
                    "archived objects cannot be read at once, so that they cannot be verified",
                )
            } else {
                continue;
            };
            if harm.as_ref().is_none_or(|harm| found.0 && !harm.0) {
                harm = Some(found);
            }
        }
        let expected = format!(
            "no rule that expires or archives objects within {} days",
            expected.retention_days
        );
        match harm {
            None => holds(format!("{} rules, none that acts early", rules.len())),
            Some((open, found, why)) => SettingState::Weak {
                open,
                expected,
                found,
                why: why.to_owned(),
                mend: format!(
                    "aws s3api get-bucket-lifecycle-configuration --bucket {0}, then put-bucket-lifecycle-configuration without that rule",
                    self.bucket.name
                ),
            },
        }
    }

    async fn replication(&self) -> Setting {
        let name = "Replication of the bucket";
        let asked = self
            .client
            .get_bucket_replication()
            .bucket(&self.bucket.name)
            .send()
            .await;
        let state = match asked {
            Err(error) if has_code(&error, "ReplicationConfigurationNotFoundError") => {
                holds("none".to_owned())
            }
            Err(error) => self.unknown(&error, "s3:GetReplicationConfiguration"),
            Ok(output) => {
                let targets: Vec<_> = output
                    .replication_configuration
                    .iter()
                    .flat_map(|configuration| configuration.rules())
                    .filter_map(|rule| rule.destination())
                    .map(|destination| destination.bucket().to_owned())
                    .collect();
                // A copy takes nothing away from what stands here.
                holds(format!("copies go to {}", targets.join(", ")))
            }
        };
        store(name, state)
    }

    async fn encryption(&self) -> Setting {
        let name = "Encryption of the bucket";
        let asked = self
            .client
            .get_bucket_encryption()
            .bucket(&self.bucket.name)
            .send()
            .await;
        let rules = match asked {
            Ok(output) => output
                .server_side_encryption_configuration
                .map(|configuration| configuration.rules)
                .unwrap_or_default(),
            // S3 encrypts with keys of its own where nothing is said.
            Err(error) if has_code(&error, "ServerSideEncryptionConfigurationNotFoundError") => {
                Vec::new()
            }
            Err(error) => {
                return store(name, self.unknown(&error, "s3:GetEncryptionConfiguration"));
            }
        };
        let key = rules
            .iter()
            .filter_map(|rule| rule.apply_server_side_encryption_by_default())
            .filter(|default| *default.sse_algorithm() != ServerSideEncryption::Aes256)
            .filter_map(|default| default.kms_master_key_id())
            // Nobody can delete the one that AWS manages.
            .find(|key| !key.ends_with("alias/aws/s3"));
        let state = match key {
            None => holds("keys that AWS manages".to_owned()),
            Some(key) => SettingState::Weak {
                open: false,
                expected: "keys that AWS manages (SSE-S3)".to_owned(),
                found: format!("the KMS key {key}"),
                why: "whoever may schedule the key's deletion destroys every object a week later, locked or not"
                    .to_owned(),
                mend: format!(
                    "aws s3api put-bucket-encryption --bucket {} --server-side-encryption-configuration '{{\"Rules\":[{{\"ApplyServerSideEncryptionByDefault\":{{\"SSEAlgorithm\":\"AES256\"}}}}]}}' for objects to come, and deny kms:ScheduleKeyDeletion in that key's policy",
                    self.bucket.name
                ),
            },
        };
        store(name, state)
    }

    async fn ownership(&self) -> Setting {
        let name = "Object ownership of the bucket";
        let asked = self
            .client
            .get_bucket_ownership_controls()
            .bucket(&self.bucket.name)
            .send()
            .await;
        let rule = match asked {
            Ok(output) => output
                .ownership_controls
                .and_then(|controls| controls.rules.into_iter().next())
                .map(|rule| rule.object_ownership),
            Err(error) if has_code(&error, "OwnershipControlsNotFoundError") => None,
            Err(error) => {
                return store(name, self.unknown(&error, "s3:GetBucketOwnershipControls"));
            }
        };
        let state = if rule == Some(ObjectOwnership::BucketOwnerEnforced) {
            holds("bucket owner enforced".to_owned())
        } else {
            SettingState::Weak {
                open: false,
                expected: "bucket owner enforced".to_owned(),
                found: rule.map_or("none".to_owned(), |rule| rule.as_str().to_owned()),
                why: "ACLs count: another account that puts an object may keep the bucket's owner from reading it, or let everybody read it"
                    .to_owned(),
                mend: format!(
                    "aws s3api put-bucket-ownership-controls --bucket {} --ownership-controls 'Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]'",
                    self.bucket.name
                ),
            }
        };
        store(name, state)
    }

    pub(super) fn unknown<E>(
        &self,
        error: &SdkError<E, HttpResponse>,
        permission: &'static str,
    ) -> SettingState
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let denied = Answer::of(error).is_some_and(|answer| answer.is_denied());
        let failure = failure::of(error, self.on_bucket(permission));
        SettingState::Unknown {
            reason: failure::reason(failure),
            permission: denied.then(|| permission.to_owned()),
        }
    }
}

fn retention(name: &str, state: SettingState) -> Setting {
    Setting {
        name: name.to_owned(),
        aspect: Aspect::Retention,
        state,
    }
}

pub(super) fn store(name: &str, state: SettingState) -> Setting {
    Setting {
        name: name.to_owned(),
        aspect: Aspect::Store,
        state,
    }
}

pub(super) fn holds(found: String) -> SettingState {
    SettingState::Holds { found }
}

pub(super) fn has_code<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    code: &str,
) -> bool {
    Answer::of(error).is_some_and(|answer| answer.code == code)
}

/// Whether a lifecycle rule may act on objects whose keys begin with `own`.
fn applies(rule: &LifecycleRule, own: &str) -> bool {
    let filter = rule.filter();
    let both = filter.and_then(|filter| filter.and());
    #[allow(deprecated, reason = "old configurations still have it")]
    let prefix = filter
        .and_then(|filter| filter.prefix())
        .or_else(|| both.and_then(|both| both.prefix()))
        .or_else(|| rule.prefix())
        .unwrap_or_default();
    *rule.status() == ExpirationStatus::Enabled
        && (own.starts_with(prefix) || prefix.starts_with(own))
}
