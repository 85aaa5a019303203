# What Azure would answer, in the form that the provider checks.
mock_data "azurerm_client_config" {
  defaults = {
    tenant_id       = "11111111-2222-3333-4444-555555555555"
    subscription_id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
    client_id       = "00000000-0000-0000-0000-0000000000c1"
    object_id       = "00000000-0000-0000-0000-0000000000d1"
  }
}

mock_resource "azurerm_resource_group" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign"
  }
}

mock_resource "azurerm_storage_account" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.Storage/storageAccounts/mock"
  }
}

mock_resource "azurerm_storage_container" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.Storage/storageAccounts/mock/blobServices/default/containers/mock"
  }
}

mock_resource "azurerm_key_vault" {
  defaults = {
    id        = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.KeyVault/vaults/mock"
    vault_uri = "https://mock.vault.azure.net/"
  }
}

mock_resource "azurerm_user_assigned_identity" {
  defaults = {
    id           = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mock"
    client_id    = "00000000-0000-0000-0000-0000000000a1"
    principal_id = "00000000-0000-0000-0000-0000000000b1"
    tenant_id    = "11111111-2222-3333-4444-555555555555"
  }
}

mock_resource "azurerm_role_definition" {
  defaults = {
    id                          = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/providers/Microsoft.Authorization/roleDefinitions/00000000-0000-0000-0000-0000000000e1|/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign"
    role_definition_resource_id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/providers/Microsoft.Authorization/roleDefinitions/00000000-0000-0000-0000-0000000000e1"
  }
}

mock_resource "azurerm_eventhub_namespace" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.EventHub/namespaces/mock-namespace"
  }
}

mock_resource "azurerm_eventhub" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.EventHub/namespaces/mock-namespace/eventhubs/logs"
  }
}

mock_resource "azurerm_eventhub_namespace_authorization_rule" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.EventHub/namespaces/mock-namespace/authorizationRules/diagnostics"
  }
}

mock_resource "azurerm_log_analytics_workspace" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.OperationalInsights/workspaces/mock"
  }
}

mock_resource "azurerm_application_insights" {
  defaults = {
    id                = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.Insights/components/mock"
    connection_string = "InstrumentationKey=00000000-0000-0000-0000-0000000000f1"
  }
}

mock_resource "azurerm_service_plan" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.Web/serverFarms/mock"
  }
}

mock_resource "azurerm_monitor_action_group" {
  defaults = {
    id = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.Insights/actionGroups/mock"
  }
}

mock_resource "azurerm_resource_group_template_deployment" {
  defaults = {
    id             = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.Resources/deployments/mock"
    output_content = "{}"
  }
}
