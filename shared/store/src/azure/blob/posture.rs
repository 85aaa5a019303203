//! The settings of a container, its account and what surrounds them.

use azure_storage_blob::models::{
    BlobContainerClientGetPropertiesOptions, BlobContainerClientGetPropertiesResultHeaders,
};
use futures_util::future::join;
use serde_json::Value;

use super::BlobSealedStore;
use super::judge::{Judge, READ_POLICY, policy_of, setting};
use super::listing::ContainerPolicy;
use crate::azure::arm::{NotRead, STORAGE_VERSION};
use crate::azure::failure::{self, Ask};
use crate::azure::wire::Call;
use crate::failure::Failure;
use crate::posture::{Aspect, Expected, Setting, SettingState};
use crate::sealed::Knowledge;

const DIAGNOSTICS_VERSION: &str = "2021-05-01-preview";

const READ_CONTAINER: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/read";

/// What the container says of itself, without Azure Resource Manager.
pub(super) struct Own {
    has_policy: bool,
    pub(super) legal_hold: bool,
    pub(super) version_level: bool,
    pub(super) public: bool,
}

/// An answer of Azure Resource Manager.
pub(super) type Found = Result<Option<Value>, NotRead>;

impl BlobSealedStore {
    pub(super) async fn own_properties(&self) -> Result<Own, Failure> {
        let call = Call::new();
        let options = BlobContainerClientGetPropertiesOptions {
            method_options: call.options(),
            ..BlobContainerClientGetPropertiesOptions::default()
        };
        let failed = |error| failure::of(&error, &call, Ask::ReadBlobs).of_read();
        let found = self
            .container
            .client
            .get_properties(Some(options))
            .await
            .map_err(failed)?;
        Ok(Own {
            has_policy: found
                .has_immutability_policy()
                .map_err(failed)?
                .unwrap_or_default(),
            legal_hold: found.has_legal_hold().map_err(failed)?.unwrap_or_default(),
            version_level: found
                .is_immutable_storage_with_versioning_enabled()
                .map_err(failed)?
                .unwrap_or_default(),
            public: found.access().map_err(failed)?.is_some(),
        })
    }

    /// The policy that keeps every blob of the container, or why it is not
    /// known. Where immutability is set per version there is none: each blob
    /// has its own.
    pub(super) async fn container_policy(&self) -> Result<Option<ContainerPolicy>, String> {
        let own = match self.own_properties().await {
            Ok(own) => own,
            Err(failure) => return Err(failure.into_list(self.container.describe()).to_string()),
        };
        let Some(arm) = self.arm.as_ref().filter(|_| !own.version_level) else {
            return Ok(None);
        };
        match arm.account(&self.policy_path(), STORAGE_VERSION).await {
            Ok(found) => Ok(found.as_ref().and_then(policy_of)),
            Err(_) if !own.has_policy => Ok(None),
            Err(NotRead { reason, forbidden }) => Err(format!(
                "the container has an immutability policy that could not be read: {reason}{}",
                match forbidden {
                    true => format!("; the permission {READ_POLICY} is missing"),
                    false => String::new(),
                }
            )),
        }
    }

    pub(super) async fn settings(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        let Some(arm) = &self.arm else {
            return Knowledge::NotApplicable {
                reason: "an emulator's account has no settings: set AZURE_RESOURCE_MANAGER_ENDPOINT where one keeps them".to_owned(),
            };
        };
        // Once, so that an account that is not found is looked for once.
        let located = arm.locate().await;
        let read = async |path: &str, version: &str| match &located {
            Ok(()) => arm.account(path, version).await,
            Err(not_read) => Err(not_read.clone()),
        };
        let policy_path = self.policy_path();
        let ((own, policy), ((account, service), (lifecycle, diagnostics))) = join(
            join(self.own_properties(), read(&policy_path, STORAGE_VERSION)),
            join(
                join(
                    read("", STORAGE_VERSION),
                    read("/blobServices/default", STORAGE_VERSION),
                ),
                join(
                    read("/managementPolicies/default", STORAGE_VERSION),
                    read(
                        "/blobServices/default/providers/Microsoft.Insights/diagnosticSettings",
                        DIAGNOSTICS_VERSION,
                    ),
                ),
            ),
        )
        .await;
        let judge = Judge {
            account: &self.container.account,
            container: &self.container.name,
            prefix: &self.container.prefix,
            id: arm.id(),
            expected,
            version_level: own.as_ref().is_ok_and(|own| own.version_level),
        };
        let kept = judge.policy(&policy);
        let firm = matches!(kept, SettingState::Holds { .. });
        let mut settings = vec![setting(
            "immutability policy of the container",
            Aspect::Retention,
            kept,
        )];
        settings.push(judge.lifecycle(&lifecycle, firm));
        match own {
            Ok(own) => settings.extend(judge.own(&own)),
            Err(failure) => settings.push(setting(
                "properties of the container",
                Aspect::Store,
                SettingState::Unknown {
                    permission: matches!(failure, Failure::Refused { .. })
                        .then(|| READ_CONTAINER.to_owned()),
                    reason: failure.into_list(self.container.describe()).to_string(),
                },
            )),
        }
        settings.extend(judge.service(&service, firm));
        settings.extend(judge.account(&account));
        settings.push(judge.diagnostics(&diagnostics));
        Knowledge::Known(settings)
    }

    fn policy_path(&self) -> String {
        format!(
            "/blobServices/default/containers/{}/immutabilityPolicies/default",
            self.container.name
        )
    }
}
