locals {
  sizes = {
    seal   = { memory_mb = 512, instances = 40 }
    anchor = { memory_mb = 512, instances = 40 }
    verify = { memory_mb = 2048, instances = 40 }
  }

  # What is not in the settings: where a function runs, and how it gets elsewhere.
  environment = {
    for job in keys(local.sizes) : job => merge(
      {
        COUNTERSIGN_HOME      = "azure"
        LOG_LEVEL             = "info"
        AZURE_CLIENT_ID       = azurerm_user_assigned_identity.job[job].client_id
        AZURE_SUBSCRIPTION_ID = local.subscription
        AZURE_RESOURCE_GROUP  = azurerm_resource_group.own.name
        # The host's own storage, by identity. The empty one keeps the provider from setting a key.
        AzureWebJobsStorage              = ""
        AzureWebJobsStorage__accountName = local.host
        AzureWebJobsStorage__credential  = "managedidentity"
        AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.job[job].client_id
      },
      job != "seal" ? { COUNTERSIGN_SCHEDULE = var.schedules[job] } : {
        COUNTERSIGN_SEAL_CHAIN               = local.seal_chain
        COUNTERSIGN_DEAD_LETTERS             = "azblob://${local.account}/${local.dead_letters}"
        EVENT_HUB_NAMESPACE                  = local.namespace
        EVENT_HUB_NAME                       = local.hub
        EVENT_HUB_CONSUMER_GROUP             = azurerm_eventhub_consumer_group.seal.name
        EVENTS__fullyQualifiedNamespace      = "${local.namespace}.servicebus.windows.net"
        EVENTS__credential                   = "managedidentity"
        EVENTS__clientId                     = azurerm_user_assigned_identity.job[job].client_id
      },
      job == "seal" || var.mail_password_secret == null ? {} : {
        COUNTERSIGN_MAIL_PASSWORD = "keyvault:${local.vault}/${var.mail_password_secret}"
      },
      job == "seal" || var.reach.aws == null ? {} : {
        COUNTERSIGN_REACH_AWS_ROLE     = var.reach.aws.role_arn
        COUNTERSIGN_REACH_AWS_REGION   = var.reach.aws.region
        COUNTERSIGN_REACH_AWS_AUDIENCE = var.federation_audience
      },
      job == "seal" || var.reach.gcp == null ? {} : {
        COUNTERSIGN_REACH_GCP_PROVIDER        = var.reach.gcp.provider_from["azure"]
        COUNTERSIGN_REACH_GCP_SERVICE_ACCOUNT = var.reach.gcp.service_account
        COUNTERSIGN_REACH_GCP_AUDIENCE        = var.federation_audience
      },
    )
  }

  # What the host of Azure Functions needs of its own account: leases, timers and code.
  host_roles = ["Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Table Data Contributor"]
  host_grants = merge([
    for job in keys(local.functions) : { for role in local.host_roles : "${job} ${role}" => { who = job, role = role } }
  ]...)
}

# Apart from the sealed stores: the host writes, leases and deletes here.
resource "azurerm_storage_account" "host" {
  count = var.packages == null ? 0 : 1

  name                            = local.host
  resource_group_name             = azurerm_resource_group.own.name
  location                        = azurerm_resource_group.own.location
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  min_tls_version                 = "TLS1_2"
  https_traffic_only_enabled      = true
  allow_nested_items_to_be_public = false
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  tags                            = var.tags
}

resource "azurerm_storage_container" "code" {
  for_each = local.functions

  name                  = "code-${each.key}"
  storage_account_id    = azurerm_storage_account.host[0].id
  container_access_type = "private"
}

resource "azurerm_role_assignment" "host" {
  for_each = local.host_grants

  scope                = azurerm_storage_account.host[0].id
  role_definition_name = each.value.role
  principal_id         = azurerm_user_assigned_identity.job[each.value.who].principal_id
  principal_type       = "ServicePrincipal"
}

# An app for each function: an app has one identity.
resource "azurerm_service_plan" "function" {
  for_each = local.functions

  name                = "${var.name}-${each.key}"
  resource_group_name = azurerm_resource_group.own.name
  location            = azurerm_resource_group.own.location
  os_type             = "Linux"
  sku_name            = "FC1"
  tags                = var.tags
}

resource "azurerm_application_insights" "own" {
  count = var.packages == null ? 0 : 1

  name                = var.name
  resource_group_name = azurerm_resource_group.own.name
  location            = azurerm_resource_group.own.location
  workspace_id        = azurerm_log_analytics_workspace.own.id
  application_type    = "other"
  # Each line counts.
  sampling_percentage = 100
  tags                = var.tags
}

resource "azurerm_function_app_flex_consumption" "function" {
  for_each = local.functions

  name                = "${var.name}-${each.key}-${local.suffix}"
  resource_group_name = azurerm_resource_group.own.name
  location            = azurerm_resource_group.own.location
  service_plan_id     = azurerm_service_plan.function[each.key].id
  https_only          = true
  tags                = var.tags

  runtime_name    = "custom"
  runtime_version = "1.0"
  zip_deploy_file = each.value

  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "${azurerm_storage_account.host[0].primary_blob_endpoint}${azurerm_storage_container.code[each.key].name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = azurerm_user_assigned_identity.job[each.key].id

  instance_memory_in_mb  = local.sizes[each.key].memory_mb
  maximum_instance_count = local.sizes[each.key].instances

  webdeploy_publish_basic_authentication_enabled = false

  app_settings = local.environment[each.key]

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.job[each.key].id]
  }

  site_config {
    application_insights_connection_string = azurerm_application_insights.own[0].connection_string
    minimum_tls_version                    = "1.2"
  }

  depends_on = [azurerm_role_assignment.job, azurerm_role_assignment.host, azurerm_role_assignment.hub]
}
