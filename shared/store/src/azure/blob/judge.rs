//! What each setting should be, why it matters, and what mends it.

use serde_json::Value;

use super::listing::ContainerPolicy;
use super::posture::{Found, Own};
use crate::azure::arm::NotRead;
use crate::posture::{Aspect, Expected, Lock, Setting, SettingState};
use crate::sealed::LockMode;

const READ_ACCOUNT: &str = "Microsoft.Storage/storageAccounts/read";
const READ_SERVICE: &str = "Microsoft.Storage/storageAccounts/blobServices/read";
const READ_LIFECYCLE: &str = "Microsoft.Storage/storageAccounts/managementPolicies/read";
const READ_DIAGNOSTICS: &str = "Microsoft.Insights/diagnosticSettings/read";
pub(super) const READ_POLICY: &str =
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/read";

/// A container's policy, if it keeps blobs at all.
pub(super) fn policy_of(answer: &Value) -> Option<ContainerPolicy> {
    let properties = &answer["properties"];
    let days = properties["immutabilityPeriodSinceCreationInDays"].as_u64()?;
    let mode = match properties["state"].as_str() {
        Some("Locked") => LockMode::Locked,
        _ => LockMode::Unlocked,
    };
    (days > 0).then_some(ContainerPolicy { days, mode })
}

/// What the settings should come to, and of what.
pub(super) struct Judge<'a> {
    pub(super) account: &'a str,
    pub(super) container: &'a str,
    pub(super) prefix: &'a str,
    pub(super) id: &'a str,
    pub(super) expected: Expected,
    pub(super) version_level: bool,
}

impl Judge<'_> {
    pub(super) fn policy(&self, found: &Found) -> SettingState {
        let Expected {
            retention_days,
            lock,
        } = self.expected;
        let of = format!(
            "--account-name {} --container-name {}",
            self.account, self.container
        );
        let answer = match found {
            Ok(answer) => answer.as_ref(),
            Err(not_read) => return unknown(not_read, READ_POLICY),
        };
        let policy = answer.and_then(policy_of);
        if lock == Lock::Off {
            return holds(match policy {
                Some(policy) => in_words(&policy),
                None => "none, and none is asked for".to_owned(),
            });
        }
        let wanted = match lock {
            Lock::Compliance => format!("{retention_days} days, Locked"),
            _ => format!("{retention_days} days"),
        };
        if self.version_level {
            return weak(
                false,
                &wanted,
                "set for each version of a blob".to_owned(),
                "a blob can be put with a shorter time of its own, or left unlocked",
                "use a container with a policy of its own; verify looks at every blob's time here"
                    .to_owned(),
            );
        }
        let Some(policy) = policy else {
            return weak(
                true,
                &wanted,
                "none".to_owned(),
                "whoever may delete blobs can delete sealed records",
                format!(
                    "az storage container immutability-policy create {of} --period {retention_days}"
                ),
            );
        };
        let etag = format!(
            "--if-match \"$(az storage container immutability-policy show {of} --query etag -o tsv)\""
        );
        if policy.days < u64::from(retention_days) {
            return weak(
                true,
                &wanted,
                in_words(&policy),
                "records can be deleted before their retention ends",
                format!(
                    "az storage container immutability-policy extend {of} --period {retention_days} {etag}"
                ),
            );
        }
        if lock == Lock::Compliance && policy.mode != LockMode::Locked {
            return weak(
                true,
                &wanted,
                in_words(&policy),
                "an administrator can shorten or remove the policy, and then delete the records",
                format!("az storage container immutability-policy lock {of} {etag}"),
            );
        }
        let appends = [
            "allowProtectedAppendWrites",
            "allowProtectedAppendWritesAll",
        ];
        let appends = appends.iter().any(|name| {
            answer.is_some_and(|answer| answer["properties"][name] == Value::Bool(true))
        });
        if appends {
            return weak(
                false,
                "no appending to protected blobs",
                format!("{}, with protected append writes", in_words(&policy)),
                "an append blob can grow while it is protected; sealed objects never do",
                "it can be set only while the policy is unlocked: portal, container, Access policy"
                    .to_owned(),
            );
        }
        holds(in_words(&policy))
    }

    pub(super) fn lifecycle(&self, found: &Found, firm: bool) -> Setting {
        let name = "lifecycle rules that delete blobs";
        let answer = match found {
            Ok(answer) => answer.as_ref(),
            Err(not_read) => {
                return setting(name, Aspect::Retention, unknown(not_read, READ_LIFECYCLE));
            }
        };
        let rules = answer.and_then(|answer| answer["properties"]["policy"]["rules"].as_array());
        let days = f64::from(self.expected.retention_days);
        let early: Vec<_> = rules
            .into_iter()
            .flatten()
            .filter(|rule| self.rule_deletes_before(rule, days))
            .map(|rule| rule["name"].as_str().unwrap_or("without a name"))
            .collect();
        let state = match early.is_empty() || self.expected.lock == Lock::Off {
            true => holds("none that deletes before the retention ends".to_owned()),
            false => weak(
                !firm,
                &format!("no deletion before {} days", self.expected.retention_days),
                format!("the rules {}", early.join(", ")),
                "the account itself deletes records, as soon as no policy keeps it from that",
                format!(
                    "portal, storage account {}, Lifecycle management: disable the rules, or leave the container out of them",
                    self.account
                ),
            ),
        };
        setting(name, Aspect::Retention, state)
    }

    fn rule_deletes_before(&self, rule: &Value, days: f64) -> bool {
        if rule["enabled"] == Value::Bool(false) {
            return false;
        }
        let place = format!("{}/{}", self.container, self.prefix);
        let prefixes = rule["definition"]["filters"]["prefixMatch"].as_array();
        let meant = prefixes.is_none_or(|prefixes| {
            prefixes.is_empty()
                || prefixes
                    .iter()
                    .filter_map(Value::as_str)
                    .any(|prefix| place.starts_with(prefix) || prefix.starts_with(&place))
        });
        let actions = &rule["definition"]["actions"];
        let early = ["baseBlob", "version", "snapshot"].iter().any(|kind| {
            let delete = actions[kind]["delete"].as_object();
            delete.is_some_and(|delete| {
                delete
                    .values()
                    .filter_map(Value::as_f64)
                    .any(|after| after < days)
            })
        });
        meant && early
    }

    pub(super) fn own(&self, own: &Own) -> [Setting; 2] {
        let hold = match own.legal_hold {
            true => "set: nothing can be deleted while it is",
            false => "none",
        };
        let public = match own.public {
            false => holds("private".to_owned()),
            true => weak(
                false,
                "private",
                "readable by anybody".to_owned(),
                "the whole log can be read without an identity",
                format!(
                    "az storage container set-permission --account-name {} --name {} --public-access off --auth-mode login",
                    self.account, self.container
                ),
            ),
        };
        [
            setting(
                "legal hold of the container",
                Aspect::Retention,
                holds(hold.to_owned()),
            ),
            setting("public access to the container", Aspect::Store, public),
        ]
    }

    pub(super) fn service(&self, found: &Found, firm: bool) -> Vec<Setting> {
        let names = ["versioning of blobs", "soft delete of blobs"];
        let properties = match properties(found, &names, READ_SERVICE) {
            Ok(properties) => properties,
            Err(settings) => return settings,
        };
        let update = format!(
            "az storage account blob-service-properties update --account-name {}",
            self.account
        );
        let versioning = match (is(properties, "isVersioningEnabled"), self.version_level) {
            (true, true) => holds("on, as immutability per version needs it".to_owned()),
            (false, _) => holds("off".to_owned()),
            (true, false) => weak(
                false,
                "off",
                "on".to_owned(),
                "a name can come to stand for another version than the sealed one",
                format!("{update} --enable-versioning false"),
            ),
        };
        let soft = &properties["deleteRetentionPolicy"];
        let soft_delete = match (is(soft, "enabled"), firm) {
            (true, _) => holds(format!("{} days", soft["days"])),
            (false, true) => {
                holds("off; the immutability policy keeps blobs from deletion".to_owned())
            }
            (false, false) => weak(
                false,
                "on",
                "off".to_owned(),
                "what is deleted is gone at once",
                format!("{update} --enable-delete-retention true --delete-retention-days 30"),
            ),
        };
        let [first, second] = names;
        vec![
            setting(first, Aspect::Store, versioning),
            setting(second, Aspect::Store, soft_delete),
        ]
    }

    pub(super) fn account(&self, found: &Found) -> Vec<Setting> {
        let names = [
            "shared key access to the account",
            "minimum TLS version of the account",
            "anonymous access in the account",
            "networks that reach the account",
            "encryption keys of the account",
            "hierarchical namespace of the account",
        ];
        let properties = match properties(found, &names, READ_ACCOUNT) {
            Ok(properties) => properties,
            Err(settings) => return settings,
        };
        let update = |option: &str| format!("az storage account update --ids {} {option}", self.id);
        // Allowed unless it is said that it is not.
        let shared_key = match properties["allowSharedKeyAccess"] == Value::Bool(false) {
            true => holds("not allowed".to_owned()),
            false => weak(
                false,
                "not allowed",
                "allowed".to_owned(),
                "whoever has a key of the account writes to it as nobody in particular, past all roles",
                update("--allow-shared-key-access false"),
            ),
        };
        let tls = properties["minimumTlsVersion"].as_str().unwrap_or("TLS1_0");
        let https = properties["supportsHttpsTrafficOnly"] != Value::Bool(false);
        let tls = match tls.replace("TLS1_", "").parse::<u32>() {
            Ok(minor) if minor >= 2 && https => holds(tls.to_owned()),
            _ => weak(
                false,
                "TLS1_2, https only",
                format!("{tls}{}", if https { "" } else { ", and plain http" }),
                "old versions of TLS, and plain http, can be read and changed on the way",
                update("--min-tls-version TLS1_2 --https-only true"),
            ),
        };
        let anonymous = match is(properties, "allowBlobPublicAccess") {
            false => holds("not allowed".to_owned()),
            true => weak(
                false,
                "not allowed",
                "allowed".to_owned(),
                "one setting of the container then opens the whole log to anybody",
                update("--allow-blob-public-access false"),
            ),
        };
        let all = properties["publicNetworkAccess"].as_str() != Some("Disabled")
            && properties["networkAcls"]["defaultAction"].as_str() != Some("Deny");
        let networks = holds(match all {
            true => "all; witnesses in other clouds read it over the internet".to_owned(),
            false => "chosen ones; the witnesses in other clouds must be among them".to_owned(),
        });
        let keys = match properties["encryption"]["keySource"].as_str() {
            Some("Microsoft.Keyvault") => weak(
                false,
                "keys of Microsoft's",
                "a key in a key vault".to_owned(),
                "whoever purges the key makes all records unreadable, however they are locked",
                update("--encryption-key-source Microsoft.Storage"),
            ),
            _ => holds("Microsoft's".to_owned()),
        };
        let hierarchy = match is(properties, "isHnsEnabled") {
            false => holds("off".to_owned()),
            true => weak(
                false,
                "off",
                "on".to_owned(),
                "folders can be renamed, and listings come in another order than verify needs",
                "it cannot be switched off: make an account without it, and a chain that succeeds this one (init --succeeds)".to_owned(),
            ),
        };
        let states = [shared_key, tls, anonymous, networks, keys, hierarchy];
        names
            .into_iter()
            .zip(states)
            .map(|(name, state)| setting(name, Aspect::Store, state))
            .collect()
    }

    pub(super) fn diagnostics(&self, found: &Found) -> Setting {
        let name = "diagnostic settings of the account's blobs";
        let answer = match found {
            Ok(answer) => answer.as_ref(),
            Err(not_read) => {
                return setting(name, Aspect::Store, unknown(not_read, READ_DIAGNOSTICS));
            }
        };
        let settings = answer.and_then(|answer| answer["value"].as_array());
        let logs: Vec<&str> = settings
            .into_iter()
            .flatten()
            .filter_map(|setting| setting["properties"]["logs"].as_array())
            .flatten()
            .filter(|log| is(log, "enabled"))
            .filter_map(|log| log["category"].as_str().or(log["categoryGroup"].as_str()))
            .collect();
        let all = logs.iter().any(|log| matches!(*log, "allLogs" | "audit"));
        let state = match all || (logs.contains(&"StorageWrite") && logs.contains(&"StorageDelete"))
        {
            true => holds(logs.join(", ")),
            false => weak(
                false,
                "StorageWrite and StorageDelete",
                match logs.is_empty() {
                    true => "none".to_owned(),
                    false => logs.join(", "),
                },
                "who writes to the account, or tries to delete in it, is recorded nowhere",
                format!(
                    "az monitor diagnostic-settings create --name countersign --resource {}/blobServices/default --logs '[{{\"categoryGroup\":\"audit\",\"enabled\":true}}]' --workspace WORKSPACE",
                    self.id
                ),
            ),
        };
        setting(name, Aspect::Store, state)
    }
}

fn in_words(policy: &ContainerPolicy) -> String {
    let state = match policy.mode {
        LockMode::Locked => "Locked",
        _ => "Unlocked",
    };
    format!("{} days, {state}", policy.days)
}

/// The properties of an answer, or that none of the settings is known.
fn properties<'a>(
    found: &'a Found,
    names: &[&str],
    permission: &str,
) -> Result<&'a Value, Vec<Setting>> {
    let missing = NotRead {
        reason: "Azure Resource Manager answered without properties".to_owned(),
        forbidden: false,
    };
    let properties = match found {
        Ok(answer) => answer
            .as_ref()
            .map(|answer| &answer["properties"])
            .filter(|properties| properties.is_object())
            .ok_or(&missing),
        Err(not_read) => Err(not_read),
    };
    properties.map_err(|not_read| {
        let unread = |name: &&str| setting(name, Aspect::Store, unknown(not_read, permission));
        names.iter().map(unread).collect()
    })
}

fn is(value: &Value, name: &str) -> bool {
    value[name] == Value::Bool(true)
}

pub(super) fn setting(name: &str, aspect: Aspect, state: SettingState) -> Setting {
    Setting {
        name: name.to_owned(),
        aspect,
        state,
    }
}

fn holds(found: String) -> SettingState {
    SettingState::Holds { found }
}

fn weak(open: bool, expected: &str, found: String, why: &str, mend: String) -> SettingState {
    SettingState::Weak {
        open,
        expected: expected.to_owned(),
        found,
        why: why.to_owned(),
        mend,
    }
}

fn unknown(not_read: &NotRead, permission: &str) -> SettingState {
    SettingState::Unknown {
        reason: not_read.reason.clone(),
        permission: not_read.forbidden.then(|| permission.to_owned()),
    }
}
