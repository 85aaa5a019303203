# Who is told when something fails, stops, or is switched off.

resource "azurerm_monitor_action_group" "alarms" {
  name                = "${var.name}-alarms"
  resource_group_name = azurerm_resource_group.own.name
  short_name          = "countersign"
  tags                = var.tags

  dynamic "email_receiver" {
    for_each = toset(var.alarm_emails)

    content {
      name                    = email_receiver.value
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

locals {
  # The functions' own lines, as the host passes them on.
  lines = "AppTraces | extend line = parse_json(Message) | where isnotempty(line)"

  every_query = merge(
    {
      for job in keys(local.sizes) : "${job}-errors" => {
        job         = job
        description = "The function ${job} failed; its log says why."
        query       = "AppRequests | where AppRoleName startswith '${var.name}-${job}-' and Success == false"
        window      = "PT15M"
        frequency   = "PT5M"
        operator    = "GreaterThan"
        threshold   = 0
      }
    },
    {
      for job in ["anchor", "verify"] : "${job}-not-run" => {
        job         = job
        description = "The function ${job} was not called when it was due."
        query       = "AppRequests | where AppRoleName startswith '${var.name}-${job}-'"
        window      = job == "anchor" ? "PT30M" : "P2D"
        frequency   = job == "anchor" ? "PT15M" : "P1D"
        operator    = "LessThan"
        threshold   = 1
      }
    },
    {
      dead-letters = {
        job         = "seal"
        description = "Deliveries could not be sealed and wait in the container ${local.dead_letters}: seal them by hand."
        query       = "${local.lines} | where tostring(line.message) startswith 'set aside'"
        window      = "PT15M"
        frequency   = "PT5M"
        operator    = "GreaterThan"
        threshold   = 0
      }
      conflicts = {
        job         = "anchor"
        description = "A chain contradicts what was seen of it before: treat its history as rewritten, and run countersign verify."
        query       = "${local.lines} | where toint(line.Conflicts) > 0"
        window      = "PT15M"
        frequency   = "PT5M"
        operator    = "GreaterThan"
        threshold   = 0
      }
      verification = {
        job         = "verify"
        description = "The verification failed or could not read all that it needs. The report says what."
        query       = "${local.lines} | where toint(line.Failed) > 0 or toint(line.Incomplete) > 0"
        window      = "PT1H"
        frequency   = "PT15M"
        operator    = "GreaterThan"
        threshold   = 0
      }
      anchor-age = {
        job         = "verify"
        description = "The newest anchor of some pair of chain and witness is over two hours old."
        query       = "${local.lines} | where toint(line.AnchorAge) > 7200"
        window      = "PT1H"
        frequency   = "PT15M"
        operator    = "GreaterThan"
        threshold   = 0
      }
    },
  )

  queries = { for name, query in local.every_query : name => query if contains(keys(local.functions), query.job) }

  # Changes of what is logged and of what protects it, as the Activity Log tells them.
  watched_calls = {
    diagnostic-setting-deleted = "Microsoft.Insights/diagnosticSettings/delete"
    diagnostic-setting-changed = "Microsoft.Insights/diagnosticSettings/write"
    policy-deleted             = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/delete"
    policy-changed             = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/write"
    account-changed            = "Microsoft.Storage/storageAccounts/write"
    account-deleted            = "Microsoft.Storage/storageAccounts/delete"
    container-deleted          = "Microsoft.Storage/storageAccounts/blobServices/containers/delete"
    lifecycle-changed          = "Microsoft.Storage/storageAccounts/managementPolicies/write"
    lock-removed               = "Microsoft.Authorization/locks/delete"
    role-assigned              = "Microsoft.Authorization/roleAssignments/write"
    function-deleted           = "Microsoft.Web/sites/delete"
    function-stopped           = "Microsoft.Web/sites/stop/action"
    hub-deleted                = "Microsoft.EventHub/namespaces/eventhubs/delete"
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "alarm" {
  for_each = local.queries

  name                    = "${var.name}-${each.key}"
  description             = each.value.description
  resource_group_name     = azurerm_resource_group.own.name
  location                = azurerm_resource_group.own.location
  scopes                  = [azurerm_log_analytics_workspace.own.id]
  severity                = 1
  window_duration         = each.value.window
  evaluation_frequency    = each.value.frequency
  auto_mitigation_enabled = true
  # The tables come to be with the first lines.
  skip_query_validation = true
  tags                  = var.tags

  criteria {
    query                   = each.value.query
    time_aggregation_method = "Count"
    operator                = each.value.operator
    threshold               = each.value.threshold
  }

  action {
    action_groups = [azurerm_monitor_action_group.alarms.id]
  }
}

# Messages that wait: more come in than are read.
resource "azurerm_monitor_metric_alert" "throttled" {
  name                = "${var.name}-throttled"
  description         = "The Event Hub refuses log records: raise maximum_throughput_units."
  resource_group_name = azurerm_resource_group.own.name
  scopes              = [azurerm_eventhub_namespace.logs.id]
  severity            = 1
  frequency           = "PT5M"
  window_size         = "PT15M"
  tags                = var.tags

  criteria {
    metric_namespace = "Microsoft.EventHub/namespaces"
    metric_name      = "ThrottledRequests"
    aggregation      = "Total"
    operator         = "GreaterThan"
    threshold        = 0
  }

  action {
    action_group_id = azurerm_monitor_action_group.alarms.id
  }
}

resource "azurerm_monitor_activity_log_alert" "watched" {
  for_each = local.watched_calls

  name                = "${var.name}-${each.key}"
  description         = "countersign: ${each.key}"
  resource_group_name = azurerm_resource_group.own.name
  location            = "global"
  # Settings of the logs are of the subscription, all else is of the group.
  scopes = [startswith(each.key, "diagnostic-setting") ? "/subscriptions/${local.subscription}" : azurerm_resource_group.own.id]
  tags   = var.tags

  criteria {
    category       = "Administrative"
    operation_name = each.value
  }

  action {
    action_group_id = azurerm_monitor_action_group.alarms.id
  }
}
