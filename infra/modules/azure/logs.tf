# From the Activity Log and Entra ID to the hub that the seal function reads.

resource "azurerm_eventhub_namespace" "logs" {
  name                = local.namespace
  resource_group_name = azurerm_resource_group.own.name
  location            = azurerm_resource_group.own.location
  sku                 = "Standard"
  capacity            = 1
  # A burst must not be refused: what Azure Monitor cannot send is gone.
  auto_inflate_enabled     = true
  maximum_throughput_units = 10
  minimum_tls_version      = "1.2"
  tags                     = var.tags
}

resource "azurerm_eventhub" "logs" {
  name            = local.hub
  namespace_id    = azurerm_eventhub_namespace.logs.id
  partition_count = 4

  # As long as this, sealing may stand still.
  retention_description {
    cleanup_policy          = "Delete"
    retention_time_in_hours = 168
  }
}

resource "azurerm_eventhub_consumer_group" "seal" {
  name                = "seal"
  namespace_name      = azurerm_eventhub_namespace.logs.name
  eventhub_name       = azurerm_eventhub.logs.name
  resource_group_name = azurerm_resource_group.own.name
}

# Diagnostic settings send with a rule of the namespace; they know no other way, and
# ask for all three rights.
resource "azurerm_eventhub_namespace_authorization_rule" "diagnostics" {
  name                = "diagnostics"
  namespace_name      = azurerm_eventhub_namespace.logs.name
  resource_group_name = azurerm_resource_group.own.name
  listen              = true
  send                = true
  manage              = true
}

locals {
  subscriptions       = coalesce(var.activity_log_subscriptions, [local.subscription])
  activity_categories = ["Administrative", "Alert", "Autoscale", "Policy", "Recommendation", "ResourceHealth", "Security", "ServiceHealth"]
}

resource "azurerm_monitor_diagnostic_setting" "activity" {
  for_each = toset(local.subscriptions)

  name                           = var.name
  target_resource_id             = "/subscriptions/${each.value}"
  eventhub_name                  = azurerm_eventhub.logs.name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id

  dynamic "enabled_log" {
    for_each = local.activity_categories

    content {
      category = enabled_log.value
    }
  }
}

resource "azurerm_monitor_aad_diagnostic_setting" "entra" {
  count = length(var.entra_categories) == 0 ? 0 : 1

  name                           = var.name
  eventhub_name                  = azurerm_eventhub.logs.name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id

  dynamic "enabled_log" {
    for_each = var.entra_categories

    content {
      category = enabled_log.value
    }
  }
}

resource "azurerm_role_assignment" "hub" {
  scope                = azurerm_eventhub.logs.id
  role_definition_name = "Azure Event Hubs Data Receiver"
  principal_id         = azurerm_user_assigned_identity.job["seal"].principal_id
  principal_type       = "ServicePrincipal"
}
