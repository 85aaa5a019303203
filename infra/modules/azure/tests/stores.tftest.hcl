mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  location = "westeurope"
}

run "governance_by_default" {
  command = plan

  assert {
    condition     = azurerm_storage_container_immutability_policy.sealed["azure"].immutability_period_in_days == 365 && azurerm_storage_container_immutability_policy.sealed["azure"].locked == false
    error_message = "The policy keeps blobs for the chain's retention, and is unlocked."
  }
  assert {
    condition     = !azurerm_storage_container_immutability_policy.sealed["azure"].protected_append_writes_enabled && !azurerm_storage_container_immutability_policy.sealed["azure"].protected_append_writes_all_enabled
    error_message = "Nothing can be appended to."
  }
  assert {
    condition     = length(terraform_data.compliance) == 0 && length([for sentence in output.not_protected : sentence if strcontains(sentence, "not locked")]) == 1
    error_message = "It is said what an unlocked policy leaves open."
  }
  assert {
    condition     = length(azurerm_management_lock.store) == 1 && azurerm_management_lock.store[0].lock_level == "CanNotDelete"
    error_message = "A lock keeps the account."
  }
}

run "the_account" {
  command = plan

  assert {
    condition = alltrue([
      !azurerm_storage_account.sealed.shared_access_key_enabled,
      azurerm_storage_account.sealed.min_tls_version == "TLS1_2",
      azurerm_storage_account.sealed.https_traffic_only_enabled,
      !azurerm_storage_account.sealed.allow_nested_items_to_be_public,
      !azurerm_storage_account.sealed.cross_tenant_replication_enabled,
      !azurerm_storage_account.sealed.is_hns_enabled,
      !azurerm_storage_account.sealed.sftp_enabled,
      !azurerm_storage_account.sealed.local_user_enabled,
      !azurerm_storage_account.sealed.blob_properties[0].versioning_enabled,
    ])
    error_message = "No keys, no plain http, nobody anonymous, no versions, no folders, no other way in."
  }
  assert {
    condition     = length(azurerm_storage_account.sealed.blob_properties[0].delete_retention_policy) == 0 && azurerm_storage_account.sealed.blob_properties[0].container_delete_retention_policy[0].days == 30
    error_message = "A head that moves leaves no copies behind; a removed container can be brought back."
  }
  assert {
    condition     = can(regex("^countersigsealed[0-9a-f]{8}$", azurerm_storage_account.sealed.name)) && length(azurerm_storage_account.sealed.name) == 24
    error_message = "The name fits: ${azurerm_storage_account.sealed.name}"
  }
  assert {
    condition     = alltrue([for container in azurerm_storage_container.this : container.container_access_type == "private"])
    error_message = "All containers are private."
  }
  assert {
    condition     = { for log in azurerm_monitor_diagnostic_setting.store.enabled_log : log.category => true } == { StorageWrite = true, StorageDelete = true } && azurerm_monitor_diagnostic_setting.store.eventhub_name == null
    error_message = "Writes and deletions in the account are recorded, and not fed back into the chain."
  }
  assert {
    condition     = azurerm_key_vault.this.purge_protection_enabled && azurerm_key_vault.this.rbac_authorization_enabled && length(azurerm_key_vault.this.name) <= 24
    error_message = "Nobody can purge the keys, and roles alone open them."
  }
}

run "off" {
  command = plan
  variables {
    lock_mode    = "off"
    account_lock = false
  }

  assert {
    condition     = length(azurerm_storage_container_immutability_policy.sealed) == 0 && length(azurerm_management_lock.store) == 0
    error_message = "There is no lock of any kind."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "nothing is locked")]) == 1 && length([for sentence in output.not_protected : sentence if strcontains(sentence, "no resource lock")]) == 1
    error_message = "Both are said."
  }
  assert {
    condition     = strcontains(output.settings, "lock_mode = \"off\"")
    error_message = "The settings say so too."
  }
}

run "compliance_unacknowledged" {
  command = plan
  variables {
    lock_mode = "compliance"
  }
  expect_failures = [terraform_data.compliance]
}

run "compliance" {
  command = plan
  variables {
    lock_mode               = "compliance"
    compliance_acknowledged = true
    chains                  = { azure = { retention_days = 2555 }, short = { retention_days = 30 } }
  }

  assert {
    condition     = alltrue([for policy in azurerm_storage_container_immutability_policy.sealed : policy.locked]) && { for chain, policy in azurerm_storage_container_immutability_policy.sealed : chain => policy.immutability_period_in_days } == { azure = 2555, short = 30 }
    error_message = "Each policy is locked for its own chain's days."
  }
  assert {
    condition     = length(terraform_data.compliance) == 1
    error_message = "The mark that keeps it from being destroyed stands."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "lock_mode")]) == 0
    error_message = "Nothing is said to be unlocked."
  }
}

run "retention_classes" {
  command = plan
  variables {
    chains = {
      audit = { retention_days = 2555, cold_after_days = 90 }
      debug = { retention_days = 30, allow_empty = true }
    }
    seal_chain = "audit"
  }

  assert {
    condition     = toset(keys(azurerm_storage_container.this)) == toset(["sealed-audit", "sealed-debug", "head-audit", "head-debug", "witness", "dead-letters"])
    error_message = "A container for each chain, each head, the witness, and what cannot be sealed."
  }
  assert {
    condition     = toset(keys(azurerm_storage_container_immutability_policy.sealed)) == toset(["audit", "debug"])
    error_message = "Heads move: only the sealed containers have a policy."
  }
  assert {
    condition = jsonencode({
      for rule in azurerm_storage_management_policy.sealed.rule : one(rule.filters[0].prefix_match) => [
        rule.actions[0].base_blob[0].delete_after_days_since_creation_greater_than,
        rule.actions[0].base_blob[0].tier_to_cold_after_days_since_creation_greater_than,
      ]
    }) == jsonencode({ "sealed-audit/segments/" = [2556, 90], "sealed-debug/segments/" = [31, null] })
    error_message = "Segments alone go, after their retention."
  }
  assert {
    condition     = output.chains == tolist(["audit", "debug"])
    error_message = "The chains are told."
  }
}

run "settings_of_two_chains" {
  command = plan
  variables {
    chains = { azure = { retention_days = 365 }, short = { retention_days = 30, allow_empty = true } }
    report = true
  }

  assert {
    condition     = output.settings == <<-EOT
      [chain.azure]
      cloud = "azure"
      sealed = "azblob://${output.store.account}/sealed-azure"
      head = "azblob://${output.store.account}/head-azure"
      key = "keyvault:${output.vault}/countersign-chain-azure"
      retention_days = 365
      lock_mode = "governance"
      allow_empty = false

      [chain.short]
      cloud = "azure"
      sealed = "azblob://${output.store.account}/sealed-short"
      head = "azblob://${output.store.account}/head-short"
      key = "keyvault:${output.vault}/countersign-chain-short"
      retention_days = 30
      lock_mode = "governance"
      allow_empty = true

      [witness.azure]
      cloud = "azure"
      key = "keyvault:${output.vault}/countersign-witness"
      state = "azblob://${output.store.account}/witness"
      sealed = "azblob://${output.store.account}/sealed-azure"
      chain = "azure"
    EOT
    error_message = "The settings are: ${output.settings}"
  }
  assert {
    condition     = output.report_settings == <<-EOT
      [report]
      chain = "azure"
      key = "keyvault:${output.vault}/countersign-report"
      state = "azblob://${output.store.account}/report"
    EOT
    error_message = "The report's settings are: ${output.report_settings}"
  }
}

run "a_group_that_stands_there" {
  command = plan
  variables {
    create_resource_group = false
    resource_group_name   = "audit"
  }

  assert {
    condition     = length(azurerm_resource_group.this) == 0 && azurerm_storage_account.sealed.resource_group_name == "audit" && azurerm_key_vault.this.resource_group_name == "audit"
    error_message = "It is used, and not made."
  }
}
