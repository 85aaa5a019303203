# Who is told when something fails, stops, or is switched off.

locals {
  runs = { for job, app in local.apps : job => "AppRequests | where AppRoleName =~ '${app}'" }

  # Queries over what the functions and the stores tell. `measure`: the column that is
  # compared; where null, rows are counted.
  queries = merge(
    !local.deployed ? {} : {
      seal-fails = {
        title = "Logs cannot be sealed", severity = 1, window = "PT15M", every = "PT5M"
        query = "${local.runs.seal} | where Success == false", measure = null, operator = "GreaterThan", threshold = 2
        say   = "More than two calls of the seal function failed within a quarter of an hour; its log says why. The messages wait in the Event Hub for a week and come again."
      }
      backlog = {
        title   = "Logs wait to be sealed", severity = 1, window = "PT1H", every = "PT15M"
        query   = "AzureMetrics | where _ResourceId =~ '${local.namespace_id}' | summarize Arrived = sumif(Total, MetricName == 'IncomingMessages'), Taken = sumif(Total, MetricName == 'OutgoingMessages') | where Arrived > 0 and Taken == 0"
        measure = null, operator = "GreaterThan", threshold = 0
        say     = "For an hour messages came into the Event Hub, and none was taken out. What is not sealed within a week is lost."
      }
      dead-letters = {
        title   = "Messages were set aside", severity = 1, window = "PT1H", every = "PT15M"
        query   = "StorageBlobLogs | where AccountName =~ '${local.store}' and OperationName == 'PutBlob' and StatusCode == '201' and Uri has '/${local.dead_letters}/'"
        measure = null, operator = "GreaterThan", threshold = 0
        say     = "Messages that cannot be sealed stand in ${local.store}/${local.dead_letters}, each with the reason."
      }
      anchor-fails = {
        title = "Countersigning fails", severity = 1, window = "PT30M", every = "PT5M"
        query = "${local.runs.anchor} | where Success == false", measure = null, operator = "GreaterThan", threshold = 2
        say   = "More than two runs within half an hour failed: heads of this cloud are not published, or those of the others not countersigned. The function's log says why."
      }
      anchor-missing = {
        title = "No countersigning was done", severity = 1, window = "PT30M", every = "PT5M"
        query = "${local.runs.anchor} | where Success == true | summarize Runs = count()", measure = "Runs", operator = "LessThan", threshold = 1
        say   = "For half an hour no run of the function anchor came to its end."
      }
      contradiction = {
        title = "A chain contradicts itself", severity = 0, window = "PT15M", every = "PT5M"
        query = "AppTraces | where AppRoleName =~ '${local.apps.anchor}' | where toint(parse_json(Message).Conflicts) > 0", measure = null, operator = "GreaterThan", threshold = 0
        say   = "A chain shows a history that differs from what was seen of it before. Both heads are kept under evidence/. Run countersign verify, and keep the stores as they are."
      }
    },
    !local.verifies ? {} : {
      verify-fails = {
        title = "A verification failed or is incomplete", severity = 0, window = "PT1H", every = "PT15M"
        query = "${local.runs.verify} | where Success == false", measure = null, operator = "GreaterThan", threshold = 0
        say   = "The mailed report, and the one under reports/, say which check failed and what to do next; where there is none, the function's log says why."
      }
      verify-missing = {
        title = "No verification has run", severity = 1, window = "P2D", every = "PT1H"
        query = "${local.runs.verify} | summarize Runs = count()", measure = "Runs", operator = "LessThan", threshold = 1
        say   = "For two days no verification has run."
      }
    },
  )

  # Changes of what is logged and of what protects it, as the Activity Log tells them;
  # `everywhere`: in the whole subscription, else in this resource group.
  watched = !local.deployed ? {} : {
    logging-written       = { operation = "Microsoft.Insights/diagnosticSettings/write", everywhere = true }
    logging-deleted       = { operation = "Microsoft.Insights/diagnosticSettings/delete", everywhere = true }
    policy-written        = { operation = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/write", everywhere = false }
    policy-deleted        = { operation = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/delete", everywhere = false }
    policy-extended       = { operation = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/extend/action", everywhere = false }
    policy-locked         = { operation = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/lock/action", everywhere = false }
    hold-cleared          = { operation = "Microsoft.Storage/storageAccounts/blobServices/containers/clearLegalHold/action", everywhere = false }
    container-deleted     = { operation = "Microsoft.Storage/storageAccounts/blobServices/containers/delete", everywhere = false }
    service-written       = { operation = "Microsoft.Storage/storageAccounts/blobServices/write", everywhere = false }
    lifecycle-written     = { operation = "Microsoft.Storage/storageAccounts/managementPolicies/write", everywhere = false }
    account-written       = { operation = "Microsoft.Storage/storageAccounts/write", everywhere = false }
    account-deleted       = { operation = "Microsoft.Storage/storageAccounts/delete", everywhere = false }
    account-keys-listed   = { operation = "Microsoft.Storage/storageAccounts/listKeys/action", everywhere = false }
    lock-deleted          = { operation = "Microsoft.Authorization/locks/delete", everywhere = false }
    grant-written         = { operation = "Microsoft.Authorization/roleAssignments/write", everywhere = false }
    role-written          = { operation = "Microsoft.Authorization/roleDefinitions/write", everywhere = false }
    federation-written    = { operation = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write", everywhere = false }
    vault-written         = { operation = "Microsoft.KeyVault/vaults/write", everywhere = false }
    vault-deleted         = { operation = "Microsoft.KeyVault/vaults/delete", everywhere = false }
    hub-deleted           = { operation = "Microsoft.EventHub/namespaces/eventhubs/delete", everywhere = false }
    hub-namespace-deleted = { operation = "Microsoft.EventHub/namespaces/delete", everywhere = false }
    function-written      = { operation = "Microsoft.Web/sites/write", everywhere = false }
    function-stopped      = { operation = "Microsoft.Web/sites/stop/action", everywhere = false }
    function-deleted      = { operation = "Microsoft.Web/sites/delete", everywhere = false }
    alarm-deleted         = { operation = "Microsoft.Insights/scheduledQueryRules/delete", everywhere = false }
    watch-deleted         = { operation = "Microsoft.Insights/activityLogAlerts/delete", everywhere = false }
    receivers-written     = { operation = "Microsoft.Insights/actionGroups/write", everywhere = false }
    receivers-deleted     = { operation = "Microsoft.Insights/actionGroups/delete", everywhere = false }
  }
}

resource "azurerm_monitor_action_group" "alarms" {
  count = local.deployed ? 1 : 0

  name                = "${var.name}-alarms"
  resource_group_name = local.group
  short_name          = substr(local.compact, 0, 12)
  tags                = var.tags

  dynamic "email_receiver" {
    for_each = toset(var.alarm_emails)

    content {
      name                    = email_receiver.value
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }

  depends_on = [azurerm_resource_group.this]
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "this" {
  for_each = local.queries

  name                    = "${var.name}-${each.key}"
  display_name            = "${var.name}: ${each.value.title}"
  description             = each.value.say
  resource_group_name     = local.group
  location                = var.location
  scopes                  = [azurerm_log_analytics_workspace.this.id]
  severity                = each.value.severity
  window_duration         = each.value.window
  evaluation_frequency    = each.value.every
  auto_mitigation_enabled = true
  # The tables fill only once something has run.
  skip_query_validation = true
  tags                  = var.tags

  criteria {
    query                   = each.value.query
    metric_measure_column   = each.value.measure
    time_aggregation_method = each.value.measure == null ? "Count" : "Total"
    operator                = each.value.operator
    threshold               = each.value.threshold
  }

  action {
    action_groups = [azurerm_monitor_action_group.alarms[0].id]
  }
}

resource "azurerm_monitor_activity_log_alert" "this" {
  for_each = local.watched

  name                = "${var.name}-${each.key}"
  description         = "${each.value.operation} was done. A deployment of yours does this too; if it was none, the entry says who did it."
  resource_group_name = local.group
  location            = "global"
  scopes              = [each.value.everywhere ? "/subscriptions/${local.subscription}" : local.group_id]
  tags                = var.tags

  criteria {
    category       = "Administrative"
    operation_name = each.value.operation
    status         = "Succeeded"
  }

  action {
    action_group_id = azurerm_monitor_action_group.alarms[0].id
  }
}
