mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  location = "westeurope"
  report   = true
  packages = { seal = "versions.tf", anchor = "versions.tf", verify = "versions.tf" }
  auditors = ["00000000-0000-0000-0000-0000000000aa"]
  blobs    = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
}

run "nobody_deletes_and_nobody_unlocks" {
  command = plan

  assert {
    condition = length(flatten([for role in output.roles : concat(role.actions, role.data_actions)])) > 10 && length([
      for permission in flatten([for role in output.roles : concat(role.actions, role.data_actions)]) : permission
      if can(regex("(?i)(\\*|delete|immutableStorage|runAsSuperUser|purge|extend|clearLegalHold|listKeys|generateUserDelegationKey|roleAssignments)", permission))
    ]) == 0
    error_message = "No role of this module deletes, changes a lock, hands on access, or holds a wildcard."
  }
  assert {
    condition     = alltrue([for role in output.roles : alltrue([for action in role.actions : endswith(action, "/read")])])
    error_message = "What is managed is read alone."
  }
  assert {
    condition     = alltrue([for grant in output.grants : !contains(grant.permissions, "${var.blobs}/write") if startswith(grant.on, "sealed-") || grant.on == "dead-letters"])
    error_message = "Where records stand, blobs are added and never replaced."
  }
  assert {
    condition = alltrue([
      for key, assignment in azurerm_role_assignment.this :
      (strcontains(key, " store-adder ") && !startswith(key, "00000000-")) == (assignment.condition != null)
    ])
    error_message = "Each function that adds blobs is confined to folders."
  }
  assert {
    condition     = alltrue([for role in azurerm_role_definition.this : role.scope == "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign" && role.assignable_scopes == tolist([role.scope])])
    error_message = "The roles can be given in this resource group alone."
  }
  assert {
    condition = alltrue([
      for assignment in azurerm_role_assignment.this : contains([for role in azurerm_role_definition.this : "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/providers/Microsoft.Authorization/roleDefinitions/${role.role_definition_id}"], assignment.role_definition_id)
    ])
    error_message = "All grants are of these roles."
  }
  assert {
    condition     = alltrue([for assignment in azurerm_role_assignment.this : startswith(assignment.scope, "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/countersign/providers/Microsoft.")])
    error_message = "No grant is on the whole group."
  }
}

run "seal_adds_segments_of_its_chain" {
  command = plan

  assert {
    condition = toset([for grant in output.grants : "${grant.role} ${grant.on} ${join(",", grant.prefixes)}" if grant.identity == "seal"]) == toset([
      "store-reader sealed-azure ",
      "store-adder sealed-azure segments/",
      "head-mover head-azure ",
      "store-reader dead-letters ",
      "store-adder dead-letters dead-letters/",
      "secret-reader countersign-chain-azure ",
      "log-receiver hub ",
      "telemetry-writer insights ",
    ])
    error_message = "Seal may do this and nothing else."
  }
  assert {
    condition     = azurerm_role_assignment.this["seal store-adder sealed-azure"].condition == "((!(ActionMatches{'${var.blobs}/add/action'})) OR (@Resource[${var.blobs}:path] StringLike 'segments/*'))" && azurerm_role_assignment.this["seal store-adder sealed-azure"].condition_version == "2.0"
    error_message = "The condition names the folder: ${azurerm_role_assignment.this["seal store-adder sealed-azure"].condition}"
  }
  assert {
    condition     = endswith(azurerm_role_assignment.this["seal secret-reader countersign-chain-azure"].scope, "/secrets/countersign-chain-azure") && azurerm_role_assignment.this["seal secret-reader countersign-chain-azure"].principal_type == "ServicePrincipal"
    error_message = "It reads one secret."
  }
}

run "anchor_writes_here_alone" {
  command = plan

  assert {
    condition = toset([for grant in output.grants : "${grant.role} ${grant.on} ${join(",", grant.prefixes)}" if grant.identity == "anchor"]) == toset([
      "store-reader sealed-azure ",
      "store-adder sealed-azure segments/,tile/,index/,checkpoints/,anchors/,evidence/",
      "head-mover head-azure ",
      "head-mover witness ",
      "secret-reader countersign-chain-azure ",
      "secret-reader countersign-witness ",
      "telemetry-writer insights ",
    ])
    error_message = "Anchor publishes and countersigns."
  }
  assert {
    condition     = length(regexall("StringLike", azurerm_role_assignment.this["anchor store-adder sealed-azure"].condition)) == 6
    error_message = "Six folders: ${azurerm_role_assignment.this["anchor store-adder sealed-azure"].condition}"
  }
}

run "verify_reads_and_reports" {
  command = plan

  assert {
    condition = toset([for grant in output.grants : "${grant.role} ${grant.on} ${join(",", grant.prefixes)}" if grant.identity == "verify"]) == toset([
      "store-reader witness ",
      "store-reader sealed-azure ",
      "store-reader head-azure ",
      "store-adder sealed-azure reports/",
      "head-mover report ",
      "settings-reader account ",
      "secret-reader countersign-report ",
      "telemetry-writer insights ",
    ])
    error_message = "Verify reads all, and writes its report."
  }
}

run "verify_without_a_report_writes_nothing" {
  command = plan
  variables {
    report = false
  }

  assert {
    condition     = length([for grant in output.grants : grant if grant.identity == "verify"]) == 5 && length([for grant in output.grants : grant if grant.identity == "verify" && contains(["store-adder", "head-mover", "secret-reader"], grant.role)]) == 0
    error_message = "It reads."
  }
}

run "readers_and_auditors_read" {
  command = plan

  assert {
    condition = alltrue([for identity in ["reader", "auditor"] : toset([for grant in output.grants : "${grant.role} ${grant.on}" if grant.identity == identity]) == toset([
      "store-reader witness", "store-reader sealed-azure", "store-reader head-azure", "settings-reader account",
    ])])
    error_message = "Other clouds' functions and people who audit read stores and settings; no secret."
  }
  assert {
    condition     = azurerm_role_assignment.this["00000000-0000-0000-0000-0000000000aa store-reader sealed-azure"].principal_id == "00000000-0000-0000-0000-0000000000aa"
    error_message = "The auditor is the one that was named."
  }
}

run "the_password_is_read_by_who_mails" {
  command = apply
  variables {
    mail_password_secret = "smtp"
  }

  assert {
    condition     = toset([for grant in output.grants : grant.identity if grant.on == "smtp"]) == toset(["anchor", "verify"])
    error_message = "Verify mails reports, anchor alarms."
  }
  assert {
    condition     = output.mail_password == "keyvault:${output.vault}/smtp"
    error_message = "Its address is told."
  }
  assert {
    condition = { for job, app in azurerm_function_app_flex_consumption.this : job => lookup(app.app_settings, "COUNTERSIGN_MAIL_PASSWORD", "") } == {
      seal   = ""
      anchor = output.mail_password
      verify = output.mail_password
    }
    error_message = "To who mails, whatever cloud's the settings name."
  }
}

run "who_applies_operates" {
  command = apply

  assert {
    condition     = toset([for key, assignment in azurerm_role_assignment.this : replace(key, "00000000-0000-0000-0000-0000000000d1 ", "") if assignment.principal_id == "00000000-0000-0000-0000-0000000000d1"]) == toset(["store-reader sealed-azure", "store-adder sealed-azure", "head-mover head-azure", "head-mover witness", "settings-reader account", "secret-reader vault", "secret-maker vault"])
    error_message = "Whoever applies can begin the chains."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "1 operator can") && strcontains(sentence, "account_lock = false")]) == 1
    error_message = "And is told to give it up."
  }
}

run "nobody_operates" {
  command = plan
  variables {
    operators = []
  }

  assert {
    condition     = length([for key in keys(azurerm_role_assignment.this) : key if endswith(key, " vault") || strcontains(key, "d1 ")]) == 0 && length([for sentence in output.not_protected : sentence if strcontains(sentence, "operator")]) == 0
    error_message = "Then no person writes or reads keys."
  }
}

run "secrets_are_granted_once_they_stand" {
  command = plan
  variables {
    packages = null
  }

  assert {
    condition     = length([for key in keys(azurerm_role_assignment.this) : key if strcontains(key, "secret-reader countersign-")]) == 0 && length([for grant in output.grants : grant if grant.identity == "seal"]) == 6
    error_message = "Before the chains have begun there are no secrets to grant."
  }
}

run "chains_are_apart" {
  command = plan
  variables {
    chains     = { azure = { retention_days = 365 }, other = { retention_days = 30 } }
    seal_chain = "azure"
  }

  assert {
    condition     = length([for grant in output.grants : grant if grant.identity == "seal" && strcontains(grant.on, "other")]) == 0
    error_message = "Seal does not touch another chain."
  }
  assert {
    condition     = join(",", one([for grant in output.grants : grant.prefixes if grant.identity == "anchor" && grant.role == "store-adder" && grant.on == "sealed-other"])) == "segments/,tile/,index/,checkpoints/"
    error_message = "Anchors stand beside one chain alone."
  }
}
