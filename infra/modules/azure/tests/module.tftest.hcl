mock_provider "azurerm" {
  mock_data "azurerm_client_config" {
    defaults = { subscription_id = "00000000-1111-2222-3333-444444444444", tenant_id = "11111111-2222-3333-4444-555555555555" }
  }
  mock_resource "azurerm_resource_group" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign" }
  }
  mock_resource "azurerm_storage_account" {
    defaults = {
      id                    = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.Storage/storageAccounts/mock"
      primary_blob_endpoint = "https://mock.blob.core.windows.net/"
    }
  }
  mock_resource "azurerm_storage_container" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.Storage/storageAccounts/mock/blobServices/default/containers/mock" }
  }
  mock_resource "azurerm_user_assigned_identity" {
    defaults = {
      id           = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mock"
      client_id    = "66666666-7777-8888-9999-000000000000"
      principal_id = "77777777-8888-9999-0000-111111111111"
    }
  }
  mock_resource "azurerm_role_definition" {
    defaults = { role_definition_resource_id = "/subscriptions/00000000-1111-2222-3333-444444444444/providers/Microsoft.Authorization/roleDefinitions/88888888-9999-0000-1111-222222222222" }
  }
  mock_resource "azurerm_key_vault" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.KeyVault/vaults/mock" }
  }
  mock_resource "azurerm_log_analytics_workspace" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.OperationalInsights/workspaces/mock" }
  }
  mock_resource "azurerm_eventhub_namespace" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.EventHub/namespaces/mock" }
  }
  mock_resource "azurerm_eventhub" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.EventHub/namespaces/mock/eventhubs/logs" }
  }
  mock_resource "azurerm_eventhub_namespace_authorization_rule" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.EventHub/namespaces/mock/authorizationRules/diagnostics" }
  }
  mock_resource "azurerm_service_plan" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.Web/serverFarms/mock" }
  }
  mock_resource "azurerm_monitor_action_group" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.Insights/actionGroups/mock" }
  }
  mock_resource "azurerm_storage_container_immutability_policy" {
    defaults = { id = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.Storage/storageAccounts/mock/blobServices/default/containers/mock/immutabilityPolicies/default" }
  }
  mock_resource "azurerm_application_insights" {
    defaults = { connection_string = "InstrumentationKey=00000000-0000-0000-0000-000000000000" }
  }
}

variables {
  location = "westeurope"
}

run "stores_alone_without_packages" {
  assert {
    condition     = length(azurerm_function_app_flex_consumption.function) == 0 && length(azurerm_storage_account.host) == 0 && length(azurerm_monitor_scheduled_query_rules_alert_v2.alarm) == 0
    error_message = "Without packages there are no functions and no alarms of theirs."
  }
  assert {
    condition     = !azurerm_storage_account.sealed.shared_access_key_enabled && !azurerm_storage_account.sealed.allow_nested_items_to_be_public && azurerm_storage_account.sealed.min_tls_version == "TLS1_2" && azurerm_storage_account.sealed.https_traffic_only_enabled
    error_message = "No shared keys, nothing public, TLS alone."
  }
  assert {
    condition     = !azurerm_storage_account.sealed.blob_properties[0].versioning_enabled
    error_message = "A name stands for one blob."
  }
  assert {
    condition     = can(regex("^[a-z0-9]{3,24}$", azurerm_storage_account.sealed.name)) && can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$", azurerm_key_vault.keys.name))
    error_message = "The names are such as Azure takes."
  }
  assert {
    condition     = strcontains(output.settings, "sealed = \"azblob://${azurerm_storage_account.sealed.name}/${azurerm_storage_container.sealed["azure"].name}\"") && strcontains(output.settings, "key = \"keyvault:${azurerm_key_vault.keys.name}/chain-azure\"")
    error_message = "The settings are those of the resources: ${output.settings}"
  }
}

run "governance_by_default" {
  assert {
    condition     = !azurerm_storage_container_immutability_policy.sealed["azure"].locked && azurerm_storage_container_immutability_policy.sealed["azure"].immutability_period_in_days == 365
    error_message = "The policy is unlocked, for the retention of the chain."
  }
  assert {
    condition     = length(terraform_data.locked_for_good) == 0 && length(azurerm_management_lock.sealed) == 1
    error_message = "The account cannot be deleted by mistake, and nothing is locked for good."
  }
  assert {
    condition     = azurerm_storage_management_policy.sealed.rule[0].actions[0].base_blob[0].delete_after_days_since_creation_greater_than > 365
    error_message = "Nothing is removed before its lock ends."
  }
}

run "off_locks_nothing" {
  variables {
    lock_mode = "off"
  }
  assert {
    condition     = length(azurerm_storage_container_immutability_policy.sealed) == 0 && length(azurerm_management_lock.sealed) == 0 && !azurerm_key_vault.keys.purge_protection_enabled
    error_message = "off is off."
  }
  assert {
    condition     = strcontains(join("", output.not_protected), "nothing is locked")
    error_message = "And it is said."
  }
}

run "compliance_must_be_meant" {
  command = plan
  variables {
    lock_mode = "compliance"
  }
  expect_failures = [azurerm_storage_account.sealed]
}

run "compliance_is_guarded" {
  command = plan
  variables {
    lock_mode     = "compliance"
    lock_for_good = true
    chains        = { audit = { retention_days = 2555 }, flow = { retention_days = 30, colder_after_days = 7 } }
  }
  assert {
    condition     = length(terraform_data.locked_for_good) == 2 && alltrue([for policy in azurerm_storage_container_immutability_policy.sealed : policy.locked])
    error_message = "Each policy is locked and guarded."
  }
  assert {
    condition     = azurerm_storage_container_immutability_policy.sealed["flow"].immutability_period_in_days == 30 && azurerm_storage_container_immutability_policy.sealed["audit"].immutability_period_in_days == 2555
    error_message = "Each chain has its own retention."
  }
}

run "functions_are_triggered_and_scheduled" {
  variables {
    packages            = { seal = "seal.zip", anchor = "anchor.zip", verify = "verify.zip" }
    report              = true
    federation_audience = "api://countersign"
    reach = {
      aws = { role_arn = "arn:aws:iam::111122223333:role/countersign-reader", region = "eu-central-1" }
      gcp = { provider_from = { azure = "projects/1/locations/global/workloadIdentityPools/p/providers/azure" }, service_account = "reader@p.iam.gserviceaccount.com" }
    }
    alarm_emails = ["security@example.org"]
  }
  assert {
    condition     = azurerm_function_app_flex_consumption.function["seal"].app_settings["EVENT_HUB_NAME"] == azurerm_eventhub.logs.name && azurerm_function_app_flex_consumption.function["seal"].app_settings["EVENTS__credential"] == "managedidentity"
    error_message = "The hub calls seal, which reads it by its identity."
  }
  assert {
    condition     = azurerm_function_app_flex_consumption.function["seal"].app_settings["COUNTERSIGN_DEAD_LETTERS"] == "azblob://${azurerm_storage_account.sealed.name}/dead-letters"
    error_message = "What cannot be sealed is set aside."
  }
  assert {
    condition     = azurerm_function_app_flex_consumption.function["anchor"].app_settings["COUNTERSIGN_SCHEDULE"] == "0 */5 * * * *" && azurerm_function_app_flex_consumption.function["anchor"].app_settings["COUNTERSIGN_REACH_AWS_AUDIENCE"] == "api://countersign"
    error_message = "anchor has a schedule, and reaches the other clouds."
  }
  assert {
    condition     = !contains(keys(azurerm_function_app_flex_consumption.function["seal"].app_settings), "COUNTERSIGN_REACH_AWS_ROLE")
    error_message = "seal reaches no other cloud."
  }
  assert {
    condition     = alltrue([for app in azurerm_function_app_flex_consumption.function : app.runtime_name == "custom" && app.storage_authentication_type == "UserAssignedIdentity" && app.https_only])
    error_message = "The apps are custom handlers, without keys."
  }
  assert {
    condition     = alltrue([for setting in azurerm_monitor_diagnostic_setting.activity : setting.eventhub_name == "logs" && length(setting.enabled_log) == 8]) && length(azurerm_monitor_diagnostic_setting.activity) == 1 && length(azurerm_monitor_aad_diagnostic_setting.entra) == 1
    error_message = "The Activity Log and Entra ID go to the hub."
  }
  assert {
    condition     = toset(keys(azurerm_monitor_scheduled_query_rules_alert_v2.alarm)) == toset(["seal-errors", "anchor-errors", "verify-errors", "anchor-not-run", "verify-not-run", "dead-letters", "conflicts", "verification", "anchor-age"])
    error_message = "Everything that can fail or stop has its alarm."
  }
  assert {
    condition     = azurerm_monitor_activity_log_alert.watched["diagnostic-setting-deleted"].scopes == toset(["/subscriptions/00000000-1111-2222-3333-444444444444"])
    error_message = "Switching the logs off is told, for the whole subscription."
  }
}

run "grants_are_least" {
  variables {
    report = true
  }
  assert {
    condition     = alltrue([for role in output.roles.definitions : alltrue([for action in concat(role.actions, role.data_actions) : !strcontains(lower(action), "delete") && !strcontains(action, "*") && !strcontains(lower(action), "immutabilitypolicies/write")])])
    error_message = "No role deletes, has everything, or changes a policy."
  }
  assert {
    condition     = toset([for grant in output.roles.grants : "${grant.who} ${grant.role}" if endswith(grant.scope, "/sealed-azure")]) == toset(["seal put", "anchor put", "verify put"])
    error_message = "These put into the sealed container."
  }
  assert {
    condition     = alltrue([for grant in output.roles.grants : grant.role == "read" if grant.who == "reader"])
    error_message = "The other clouds read."
  }
  assert {
    condition     = toset([for grant in output.roles.grants : grant.scope if grant.who == "seal" && grant.role == "seed"]) == toset(["/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/countersign/providers/Microsoft.KeyVault/vaults/${azurerm_key_vault.keys.name}/secrets/chain-azure"])
    error_message = "seal reads the seed of its chain and no other."
  }
}

run "without_reports_verify_writes_nothing" {
  assert {
    condition     = alltrue([for grant in output.roles.grants : grant.role == "read" if grant.who == "verify"])
    error_message = "It reads."
  }
}

run "peers_may_read" {
  variables {
    trusted = {
      aws = { issuer = "https://1.tokens.sts.global.api.aws", anchor_role_arn = "arn:aws:iam::111122223333:role/countersign-anchor", verify_role_arn = "arn:aws:iam::111122223333:role/countersign-verify" }
      gcp = { anchor_service_account_id = "1", verify_service_account_id = "2" }
    }
  }
  assert {
    condition     = azurerm_federated_identity_credential.reader["aws-anchor"].subject == "arn:aws:iam::111122223333:role/countersign-anchor" && azurerm_federated_identity_credential.reader["gcp-verify"].subject == "2" && length(azurerm_federated_identity_credential.reader) == 4
    error_message = "The very roles and service accounts."
  }
}

run "one_peer_alone" {
  variables {
    trusted = { gcp = { anchor_service_account_id = "1", verify_service_account_id = "2" } }
  }
  assert {
    condition     = toset(keys(azurerm_federated_identity_credential.reader)) == toset(["gcp-anchor", "gcp-verify"])
    error_message = "AWS is not trusted where it is not used."
  }
}

run "auditors_read" {
  variables {
    auditors = ["99999999-0000-1111-2222-333333333333"]
  }
  assert {
    condition     = azurerm_role_assignment.auditor["99999999-0000-1111-2222-333333333333"].scope == azurerm_storage_account.sealed.id
    error_message = "They read the account of the sealed stores."
  }
}

run "wrong_values_are_refused" {
  command = plan
  variables {
    name      = "Countersign"
    lock_mode = "locked"
    chains    = { Azure = { retention_days = 0 } }
    trusted   = { aws = { issuer = "none", anchor_role_arn = "a", verify_role_arn = "v" } }
    reach     = { aws = { role_arn = "arn:aws:iam::111122223333:role/countersign-reader", region = "eu-central-1" } }
  }
  expect_failures = [var.name, var.lock_mode, var.chains, var.trusted, var.federation_audience]
}
