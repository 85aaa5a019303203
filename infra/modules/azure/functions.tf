locals {
  functions = merge(
    !local.deployed ? {} : {
      seal   = var.packages.seal
      anchor = var.packages.anchor
    },
    !local.verifies ? {} : { verify = var.packages.verify },
  )

  insights_id = "${local.group_id}/providers/Microsoft.Insights/components/${var.name}-${local.unique}"
  hosts       = { for job in ["seal", "anchor", "verify"] : job => "${local.compact}${job}${local.unique}" }
  apps        = { for job in keys(local.functions) : job => "${var.name}-${job}-${local.unique}" }

  reach_settings = merge(
    var.reach.aws == null ? {} : {
      COUNTERSIGN_REACH_AWS_ROLE     = var.reach.aws.role_arn
      COUNTERSIGN_REACH_AWS_AUDIENCE = local.audience
    },
    try(var.reach.aws.region, null) == null ? {} : { COUNTERSIGN_REACH_AWS_REGION = var.reach.aws.region },
    var.reach.gcp == null ? {} : {
      COUNTERSIGN_REACH_GCP_PROVIDER        = var.reach.gcp.provider_from["azure"]
      COUNTERSIGN_REACH_GCP_SERVICE_ACCOUNT = var.reach.gcp.service_account
      COUNTERSIGN_REACH_GCP_AUDIENCE        = local.audience
    },
  )

  # Each cloud reads the mail server's password from its own secret store.
  mail_settings = var.mail_password_secret == null ? {} : {
    COUNTERSIGN_MAIL_PASSWORD = "keyvault:${local.vault}/${var.mail_password_secret}"
  }

  # What is not in the settings file: where a function runs, as whom, and what calls it.
  job_settings = {
    seal = {
      COUNTERSIGN_SEAL_CHAIN          = local.seal_chain
      COUNTERSIGN_DEAD_LETTERS        = "azblob://${local.store}/${local.dead_letters}"
      EVENT_HUB_NAMESPACE             = local.namespace
      EVENT_HUB_NAME                  = local.hub
      EVENT_HUB_CONSUMER_GROUP        = local.consumer_group
      EVENTS__fullyQualifiedNamespace = "${local.namespace}.servicebus.windows.net"
      EVENTS__credential              = "managedidentity"
      EVENTS__clientId                = azurerm_user_assigned_identity.this["seal"].client_id
    }
    anchor = merge(local.reach_settings, local.mail_settings, { COUNTERSIGN_SCHEDULE = var.schedules.anchor })
    verify = merge(
      local.reach_settings,
      local.mail_settings,
      { COUNTERSIGN_SCHEDULE = var.schedules.verify },
      # One cloud seals the reports: here the settings' [report] may be another's.
      var.report ? {} : { COUNTERSIGN_REPORT = "off" },
    )
  }
}

resource "azurerm_application_insights" "this" {
  count = local.deployed ? 1 : 0

  name                = "${var.name}-${local.unique}"
  resource_group_name = local.group
  location            = var.location
  workspace_id        = azurerm_log_analytics_workspace.this.id
  application_type    = "other"
  # Its connection string opens nothing: who tells has an identity.
  local_authentication_enabled = false
  tags                         = var.tags

  depends_on = [azurerm_resource_group.this]
}

# An account for each function's package, leases and checkpoints, so that none can
# change what another one runs. They and their grants stand before the packages
# come: a grant takes minutes until it holds.
resource "azurerm_storage_account" "host" {
  for_each = local.hosts

  name                            = each.value
  resource_group_name             = local.group
  location                        = var.location
  account_kind                    = "StorageV2"
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  min_tls_version                 = "TLS1_2"
  https_traffic_only_enabled      = true
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  allow_nested_items_to_be_public = false
  local_user_enabled              = false
  tags                            = var.tags

  depends_on = [azurerm_resource_group.this]
}

resource "azurerm_storage_container" "package" {
  for_each = local.hosts

  name                  = "package"
  storage_account_id    = azurerm_storage_account.host[each.key].id
  container_access_type = "private"
}

# What the host of Azure Functions asks for: it holds leases and checkpoints there.
resource "azurerm_role_assignment" "host" {
  for_each = local.hosts

  scope                = azurerm_storage_account.host[each.key].id
  role_definition_name = "Storage Blob Data Owner"
  principal_id         = azurerm_user_assigned_identity.this[each.key].principal_id
  principal_type       = "ServicePrincipal"
}

# Who applies puts the packages there.
resource "azurerm_role_assignment" "packer" {
  for_each = local.hosts

  scope                = azurerm_storage_account.host[each.key].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = data.azurerm_client_config.current.object_id
}

resource "azurerm_storage_blob" "package" {
  for_each = local.functions

  name                 = "${filesha256(each.value)}/released-package.zip"
  storage_container_id = azurerm_storage_container.package[each.key].id
  type                 = "Block"
  source               = each.value
  content_md5          = filemd5(each.value)

  depends_on = [azurerm_role_assignment.packer]
}

# A plan of Flex Consumption takes one app.
resource "azurerm_service_plan" "this" {
  for_each = local.functions

  name                = local.apps[each.key]
  resource_group_name = local.group
  location            = var.location
  os_type             = "Linux"
  sku_name            = "FC1"
  tags                = var.tags

  depends_on = [azurerm_resource_group.this]
}

resource "azurerm_function_app_flex_consumption" "this" {
  for_each = local.functions

  name                          = local.apps[each.key]
  resource_group_name           = local.group
  location                      = var.location
  service_plan_id               = azurerm_service_plan.this[each.key].id
  https_only                    = true
  public_network_access_enabled = true
  tags                          = var.tags

  runtime_name    = "custom"
  runtime_version = "1.0"
  # Nobody publishes with the app's password.
  webdeploy_publish_basic_authentication_enabled = false

  instance_memory_in_mb  = var.memory[each.key]
  maximum_instance_count = 40

  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "https://${local.hosts[each.key]}.blob.core.windows.net/${azurerm_storage_container.package[each.key].name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = azurerm_user_assigned_identity.this[each.key].id

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.this[each.key].id]
  }

  app_settings = merge(
    {
      # Without the empty one the provider puts a connection string without a key
      # there, which the host takes before the identity.
      AzureWebJobsStorage              = ""
      AzureWebJobsStorage__accountName = local.hosts[each.key]
      AzureWebJobsStorage__credential  = "managedidentity"
      AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.this[each.key].client_id

      APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "ClientId=${azurerm_user_assigned_identity.this[each.key].client_id};Authorization=AAD"

      AZURE_CLIENT_ID       = azurerm_user_assigned_identity.this[each.key].client_id
      AZURE_SUBSCRIPTION_ID = local.subscription
      AZURE_RESOURCE_GROUP  = local.group
      COUNTERSIGN_HOME      = "azure"
      LOG_LEVEL             = "info"
    },
    local.job_settings[each.key],
  )

  site_config {
    application_insights_connection_string = azurerm_application_insights.this[0].connection_string
    minimum_tls_version                    = "1.2"
    scm_minimum_tls_version                = "1.2"
    http2_enabled                          = true
  }

  depends_on = [
    azurerm_role_assignment.host,
    azurerm_role_assignment.this,
    azurerm_eventhub_consumer_group.seal,
  ]
}

# Flex Consumption takes packages by One Deploy, which the provider's own
# zip_deploy_file does not speak. It fetches the blob with the app's identity.
resource "azurerm_resource_group_template_deployment" "package" {
  for_each = local.functions

  name                = "${local.apps[each.key]}-package"
  resource_group_name = local.group
  deployment_mode     = "Incremental"
  tags                = var.tags

  template_content = jsonencode({
    "$schema"      = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    contentVersion = "1.0.0.0"
    resources = [{
      type       = "Microsoft.Web/sites/extensions"
      apiVersion = "2022-09-01"
      name       = "${local.apps[each.key]}/onedeploy"
      location   = var.location
      properties = {
        packageUri  = "https://${local.hosts[each.key]}.blob.core.windows.net/package/${azurerm_storage_blob.package[each.key].name}"
        remoteBuild = false
      }
    }]
  })

  depends_on = [azurerm_function_app_flex_consumption.this]
}
