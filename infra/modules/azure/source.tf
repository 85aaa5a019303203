# Azure's logs go to an Event Hub, and from there to the seal function.

locals {
  namespace_id   = "${local.group_id}/providers/Microsoft.EventHub/namespaces/${local.namespace}"
  consumer_group = "seal"
  subscriptions  = coalesce(var.source_logs.subscriptions, toset([local.subscription]))

  activity_categories = ["Administrative", "Alert", "Autoscale", "Policy", "Recommendation", "ResourceHealth", "Security", "ServiceHealth"]
}

resource "azurerm_eventhub_namespace" "logs" {
  name                     = local.namespace
  resource_group_name      = local.group
  location                 = var.location
  sku                      = "Standard"
  capacity                 = 1
  auto_inflate_enabled     = true
  maximum_throughput_units = 4
  minimum_tls_version      = "1.2"
  # Azure Monitor sends with a key of the rule below: it knows no other way.
  local_authentication_enabled = true
  tags                         = var.tags

  depends_on = [azurerm_resource_group.this]
}

resource "azurerm_eventhub" "logs" {
  name            = local.hub
  namespace_id    = azurerm_eventhub_namespace.logs.id
  partition_count = var.source_logs.partitions

  # Longer is not to be had with Standard: what is not sealed within a week is lost.
  retention_description {
    cleanup_policy          = "Delete"
    retention_time_in_hours = 168
  }
}

resource "azurerm_eventhub_consumer_group" "seal" {
  name                = local.consumer_group
  resource_group_name = local.group
  namespace_name      = azurerm_eventhub_namespace.logs.name
  eventhub_name       = azurerm_eventhub.logs.name
}

# Diagnostic settings ask for a rule with all three.
resource "azurerm_eventhub_namespace_authorization_rule" "diagnostics" {
  name                = "diagnostics"
  resource_group_name = local.group
  namespace_name      = azurerm_eventhub_namespace.logs.name
  listen              = true
  send                = true
  manage              = true
}

resource "azurerm_monitor_diagnostic_setting" "activity" {
  for_each = local.subscriptions

  name                           = var.name
  target_resource_id             = "/subscriptions/${each.key}"
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
  count = length(var.source_logs.entra_categories) == 0 ? 0 : 1

  name                           = var.name
  eventhub_name                  = azurerm_eventhub.logs.name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id

  dynamic "enabled_log" {
    for_each = var.source_logs.entra_categories

    content {
      category = enabled_log.value
    }
  }
}

# What comes in and what goes out, for the alarm.
resource "azurerm_monitor_diagnostic_setting" "hub" {
  name                       = var.name
  target_resource_id         = azurerm_eventhub_namespace.logs.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  enabled_metric {
    category = "AllMetrics"
  }
}
