mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  location = "westeurope"
  packages = { seal = "versions.tf", anchor = "versions.tf", verify = "versions.tf" }
}

run "stores_before_the_functions" {
  command = plan
  variables {
    packages = null
  }

  assert {
    condition = sum([
      length(azurerm_function_app_flex_consumption.this), length(azurerm_service_plan.this), length(azurerm_storage_blob.package), length(azurerm_resource_group_template_deployment.package),
      length(azurerm_application_insights.this), length(azurerm_monitor_scheduled_query_rules_alert_v2.this),
      length(azurerm_monitor_activity_log_alert.this), length(azurerm_monitor_action_group.alarms),
    ]) == 0
    error_message = "Without packages there are no functions and no alarms."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "no functions are deployed")]) == 1
    error_message = "It is said."
  }
}

run "the_functions" {
  command = plan

  assert {
    condition = alltrue([for job in ["seal", "anchor", "verify"] : alltrue([
      azurerm_function_app_flex_consumption.this[job].runtime_name == "custom",
      azurerm_service_plan.this[job].sku_name == "FC1",
      azurerm_service_plan.this[job].os_type == "Linux",
      !azurerm_function_app_flex_consumption.this[job].webdeploy_publish_basic_authentication_enabled,
      azurerm_function_app_flex_consumption.this[job].https_only,
      azurerm_function_app_flex_consumption.this[job].identity[0].type == "UserAssigned",
      azurerm_function_app_flex_consumption.this[job].storage_authentication_type == "UserAssignedIdentity",
      azurerm_function_app_flex_consumption.this[job].storage_access_key == null,
    ])])
    error_message = "Each is an app of Flex Consumption with an identity, no key and no password."
  }
  assert {
    condition     = alltrue([for account in azurerm_storage_account.host : !account.shared_access_key_enabled && account.min_tls_version == "TLS1_2" && length(account.name) <= 24]) && length(distinct([for account in azurerm_storage_account.host : account.name])) == 3
    error_message = "Each has an account of its own, without keys."
  }
  assert {
    condition     = alltrue([for assignment in azurerm_role_assignment.host : assignment.role_definition_name == "Storage Blob Data Owner"]) && length(azurerm_role_assignment.host) == 3
    error_message = "Each holds its own account's leases, and no other's."
  }
  assert {
    condition     = toset(keys(azurerm_role_assignment.packer)) == toset(["seal", "anchor", "verify"]) && alltrue([for assignment in azurerm_role_assignment.packer : assignment.principal_id == "00000000-0000-0000-0000-0000000000d1"])
    error_message = "Who applies puts the packages there."
  }
  assert {
    condition = alltrue([for job in ["seal", "anchor", "verify"] : jsondecode(azurerm_resource_group_template_deployment.package[job].template_content).resources == [{
      type       = "Microsoft.Web/sites/extensions"
      apiVersion = "2022-09-01"
      name       = "${output.functions[job]}/onedeploy"
      location   = "westeurope"
      properties = {
        packageUri  = "https://${azurerm_storage_account.host[job].name}.blob.core.windows.net/package/${filesha256("versions.tf")}/released-package.zip"
        remoteBuild = false
      }
    }] && azurerm_storage_blob.package[job].source == "versions.tf"])
    error_message = "Each package is deployed, another one where its content is another."
  }
  assert {
    condition     = azurerm_function_app_flex_consumption.this["anchor"].storage_container_endpoint == "https://${azurerm_storage_account.host["anchor"].name}.blob.core.windows.net/package"
    error_message = "The package is kept there: ${azurerm_function_app_flex_consumption.this["anchor"].storage_container_endpoint}"
  }
}

run "what_calls_them" {
  command = apply

  assert {
    condition = { for name, value in azurerm_function_app_flex_consumption.this["seal"].app_settings : name => value if startswith(name, "EVENT") || startswith(name, "COUNTERSIGN") } == {
      COUNTERSIGN_HOME                = "azure"
      COUNTERSIGN_SEAL_CHAIN          = "azure"
      COUNTERSIGN_DEAD_LETTERS        = "azblob://${output.store.account}/dead-letters"
      EVENT_HUB_NAMESPACE             = output.event_hub.namespace
      EVENT_HUB_NAME                  = "logs"
      EVENT_HUB_CONSUMER_GROUP        = "seal"
      EVENTS__fullyQualifiedNamespace = "${output.event_hub.namespace}.servicebus.windows.net"
      EVENTS__credential              = "managedidentity"
      EVENTS__clientId                = "00000000-0000-0000-0000-0000000000a1"
    }
    error_message = "Seal takes from the hub, as function.json names it."
  }
  assert {
    condition = alltrue([for app in azurerm_function_app_flex_consumption.this : alltrue([
      app.app_settings.AzureWebJobsStorage == "",
      app.app_settings.AzureWebJobsStorage__credential == "managedidentity",
      app.app_settings.AzureWebJobsStorage__clientId == app.app_settings.AZURE_CLIENT_ID,
      app.app_settings.AZURE_CLIENT_ID == "00000000-0000-0000-0000-0000000000a1",
      app.app_settings.AZURE_SUBSCRIPTION_ID == "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
      app.app_settings.AZURE_RESOURCE_GROUP == "countersign",
      app.app_settings.APPLICATIONINSIGHTS_AUTHENTICATION_STRING == "ClientId=00000000-0000-0000-0000-0000000000a1;Authorization=AAD",
    ])])
    error_message = "All of them have one identity for the host, the store and the telemetry."
  }
  assert {
    condition     = azurerm_function_app_flex_consumption.this["anchor"].app_settings.COUNTERSIGN_SCHEDULE == "0 */5 * * * *" && azurerm_function_app_flex_consumption.this["verify"].app_settings.COUNTERSIGN_SCHEDULE == "0 17 3 * * *"
    error_message = "Anchor runs every five minutes, verify daily."
  }
  assert {
    condition     = { for job, app in azurerm_function_app_flex_consumption.this : job => lookup(app.app_settings, "COUNTERSIGN_REPORT", "") } == { seal = "", anchor = "", verify = "off" }
    error_message = "verify leaves out [report], which is another cloud's."
  }
  assert {
    condition     = !azurerm_application_insights.this[0].local_authentication_enabled && !azurerm_log_analytics_workspace.this.local_authentication_enabled
    error_message = "Nobody tells anything by a key."
  }
}

run "logs_come_in" {
  command = apply
  variables {
    source_logs = {
      subscriptions    = ["aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee"]
      entra_categories = ["AuditLogs", "SignInLogs"]
    }
  }

  assert {
    condition     = toset([for setting in azurerm_monitor_diagnostic_setting.activity : setting.target_resource_id]) == toset(["/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "/subscriptions/bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee"])
    error_message = "The Activity Log of both subscriptions goes to the hub."
  }
  assert {
    condition     = alltrue([for setting in azurerm_monitor_diagnostic_setting.activity : length(setting.enabled_log) == 8 && setting.eventhub_name == "logs" && endswith(setting.eventhub_authorization_rule_id, "/authorizationRules/diagnostics")])
    error_message = "All of its categories do."
  }
  assert {
    condition     = toset([for log in azurerm_monitor_aad_diagnostic_setting.entra[0].enabled_log : log.category]) == toset(["AuditLogs", "SignInLogs"]) && azurerm_monitor_aad_diagnostic_setting.entra[0].eventhub_name == "logs"
    error_message = "So does what was asked of Entra ID."
  }
  assert {
    condition     = azurerm_eventhub.logs.partition_count == 4 && azurerm_eventhub.logs.retention_description[0].retention_time_in_hours == 168 && azurerm_eventhub_namespace.logs.minimum_tls_version == "1.2"
    error_message = "They wait there for a week."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "not in the others")]) == 1 && length([for sentence in output.not_protected : sentence if strcontains(sentence, "Entra ID")]) == 0
    error_message = "What the alarms do not see is said."
  }
}

run "no_entra" {
  command = plan

  assert {
    condition     = length(azurerm_monitor_aad_diagnostic_setting.entra) == 0 && join(",", keys(azurerm_monitor_diagnostic_setting.activity)) == "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
    error_message = "By default this subscription's log alone is sealed."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "Entra ID")]) == 1
    error_message = "It is said."
  }
}

run "alarms" {
  command = apply
  variables {
    alarm_emails = ["security@example.org"]
  }

  assert {
    condition     = [for receiver in azurerm_monitor_action_group.alarms[0].email_receiver : receiver.email_address] == ["security@example.org"]
    error_message = "They are mailed."
  }
  assert {
    condition     = toset(keys(azurerm_monitor_scheduled_query_rules_alert_v2.this)) == toset(["seal-fails", "backlog", "dead-letters", "anchor-fails", "anchor-missing", "contradiction", "verify-fails", "verify-missing"])
    error_message = "What fails and what stops is told."
  }
  assert {
    condition     = alltrue([for alarm in azurerm_monitor_scheduled_query_rules_alert_v2.this : one(alarm.action[0].action_groups) == azurerm_monitor_action_group.alarms[0].id && alarm.scopes == tolist([azurerm_log_analytics_workspace.this.id])])
    error_message = "All of them reach the group."
  }
  assert {
    condition     = strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.this["verify-missing"].criteria[0].query, output.functions.verify) && azurerm_monitor_scheduled_query_rules_alert_v2.this["verify-missing"].criteria[0].operator == "LessThan" && azurerm_monitor_scheduled_query_rules_alert_v2.this["verify-missing"].criteria[0].metric_measure_column == "Runs"
    error_message = "A verification that does not run is missed."
  }
  assert {
    condition = alltrue([for operation in [
      "Microsoft.Insights/diagnosticSettings/delete",
      "Microsoft.Insights/diagnosticSettings/write",
      "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/delete",
      "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/write",
      "Microsoft.Storage/storageAccounts/delete",
      "Microsoft.Storage/storageAccounts/write",
      "Microsoft.Authorization/locks/delete",
      "Microsoft.Web/sites/stop/action",
    ] : contains([for watch in azurerm_monitor_activity_log_alert.this : watch.criteria[0].operation_name], operation)])
    error_message = "Changes of what protects the log are told."
  }
  assert {
    condition     = one(azurerm_monitor_activity_log_alert.this["logging-deleted"].scopes) == "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee" && endswith(one(azurerm_monitor_activity_log_alert.this["account-written"].scopes), "/resourceGroups/countersign")
    error_message = "Diagnostic settings are watched in the whole subscription."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "alarms reach nobody")]) == 0
    error_message = "Somebody is told."
  }
}

run "entra_alone" {
  command = plan
  variables {
    source_logs = { subscriptions = [], entra_categories = ["AuditLogs"] }
  }

  assert {
    condition     = length(azurerm_monitor_diagnostic_setting.activity) == 0 && length(azurerm_monitor_aad_diagnostic_setting.entra) == 1
    error_message = "No subscription's log is sealed where none is asked for."
  }
}

run "no_verification_here" {
  command = plan
  variables {
    packages = { seal = "versions.tf", anchor = "versions.tf" }
  }

  assert {
    condition     = toset(keys(azurerm_function_app_flex_consumption.this)) == toset(["seal", "anchor"]) && !contains(keys(azurerm_monitor_scheduled_query_rules_alert_v2.this), "verify-missing")
    error_message = "There is no function verify, and none is missed."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "no verification is scheduled")]) == 1
    error_message = "It is said."
  }
}
