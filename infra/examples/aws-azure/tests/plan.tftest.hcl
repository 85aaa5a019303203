mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/countersign-mock" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:111122223333:countersign-mock", url = "https://sqs.eu-central-1.amazonaws.com/111122223333/countersign-mock" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:countersign-alarms" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:countersign-mock" }
  }
  mock_resource "aws_iam_outbound_web_identity_federation" {
    defaults = { issuer_identifier = "https://11111111-2222-3333-4444-555555555555.tokens.sts.global.api.aws" }
  }
}

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
  domain                    = "audit.example.org"
  aws_region                = "eu-central-1"
  aws_trail                 = { bucket = "trail" }
  azure_subscription        = "00000000-1111-2222-3333-444444444444"
  azure_location            = "westeurope"
  azure_federation_audience = "api://countersign"
}

run "each_names_the_other" {
  assert {
    condition     = alltrue([for table in ["[chain.aws]", "[chain.azure]", "[witness.aws]", "[witness.azure]", "[report]"] : strcontains(output.settings, table)])
    error_message = "The settings are whole: ${output.settings}"
  }
  assert {
    condition     = output.chains == tolist(["aws", "azure"])
    error_message = "A chain in each."
  }
}

run "issuer_that_is_on_already" {
  command = plan
  variables {
    aws_web_identity_issuer = "https://99999999-2222-3333-4444-555555555555.tokens.sts.global.api.aws"
  }
  assert {
    condition     = length(output.functions) == 5
    error_message = "Two clouds seal and anchor, one verifies."
  }
}
