# The sealed stores: a container for each chain, in an account of their own.

resource "azurerm_storage_account" "sealed" {
  name                            = local.account
  resource_group_name             = azurerm_resource_group.own.name
  location                        = azurerm_resource_group.own.location
  account_kind                    = "StorageV2"
  account_tier                    = "Standard"
  account_replication_type        = var.replication
  min_tls_version                 = "TLS1_2"
  https_traffic_only_enabled      = true
  allow_nested_items_to_be_public = false
  # Whoever has a key of the account writes past all roles.
  shared_access_key_enabled        = false
  default_to_oauth_authentication  = true
  cross_tenant_replication_enabled = false
  local_user_enabled               = false
  tags                             = var.tags

  blob_properties {
    # A name stands for one blob.
    versioning_enabled = false

    delete_retention_policy {
      days = 30
    }

    container_delete_retention_policy {
      days = 30
    }
  }

  lifecycle {
    precondition {
      condition     = var.lock_mode != "compliance" || var.lock_for_good
      error_message = <<-EOT
        lock_mode = "compliance" cannot be undone. A locked policy is never shortened or removed: every blob stays until its
        retention ends (${jsonencode({ for chain, settings in var.chains : chain => "${settings.retention_days} days" })}), neither the owner of the
        subscription nor Microsoft can delete it, the account and the resource group cannot be removed before, and you pay
        for them until then. The policy can be extended five times. Set lock_for_good = true if that is what you want.
      EOT
    }
  }
}

resource "azurerm_storage_container" "sealed" {
  for_each = local.containers

  name                  = each.value
  storage_account_id    = azurerm_storage_account.sealed.id
  container_access_type = "private"
}

# Of the container, not of each version: what is under it is never overwritten, not
# even after its time.
resource "azurerm_storage_container_immutability_policy" "sealed" {
  for_each = var.lock_mode == "off" ? {} : local.containers

  storage_container_resource_manager_id = azurerm_storage_container.sealed[each.key].id
  immutability_period_in_days           = var.chains[each.key].retention_days
  locked                                = var.lock_mode == "compliance"
}

# Destroying it is refused, and so is every plan that leaves "compliance" or takes a
# container away: the lock of a container cannot depend on a variable, this can.
resource "terraform_data" "locked_for_good" {
  for_each = var.lock_mode == "compliance" ? local.containers : {}

  input = azurerm_storage_container_immutability_policy.sealed[each.key].id

  lifecycle {
    prevent_destroy = true
  }
}

# The account itself: an unlocked policy does not keep it from being deleted.
resource "azurerm_management_lock" "sealed" {
  count = var.lock_mode == "off" ? 0 : 1

  name       = "sealed"
  scope      = azurerm_storage_account.sealed.id
  lock_level = "CanNotDelete"
  notes      = "Sealed logs stand here. Removing this lock is told to whoever gets the alarms."
}

# After the lock ends records are gone, as `expired`.
resource "azurerm_storage_management_policy" "sealed" {
  storage_account_id = azurerm_storage_account.sealed.id

  dynamic "rule" {
    for_each = local.containers

    content {
      name    = rule.value
      enabled = true

      filters {
        blob_types   = ["blockBlob"]
        prefix_match = ["${rule.value}/"]
      }

      actions {
        base_blob {
          delete_after_days_since_creation_greater_than       = var.chains[rule.key].retention_days + 1
          tier_to_cold_after_days_since_creation_greater_than = var.chains[rule.key].colder_after_days
        }
      }
    }
  }
}

# Heads of chains and the witness's state: they move by compare-and-swap.
resource "azurerm_storage_container" "heads" {
  name                  = local.heads
  storage_account_id    = azurerm_storage_account.sealed.id
  container_access_type = "private"
}

# What could not be sealed waits here for a person.
resource "azurerm_storage_container" "dead_letters" {
  name                  = local.dead_letters
  storage_account_id    = azurerm_storage_account.sealed.id
  container_access_type = "private"
}

# Who writes to the account, or tries to delete in it.
resource "azurerm_monitor_diagnostic_setting" "sealed" {
  name                       = "countersign"
  target_resource_id         = "${azurerm_storage_account.sealed.id}/blobServices/default"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.own.id

  enabled_log {
    category = "StorageWrite"
  }

  enabled_log {
    category = "StorageDelete"
  }
}

# Seeds of the signing keys. `countersign init` makes them, so that no state file
# holds them.
resource "azurerm_key_vault" "keys" {
  name                       = local.vault
  resource_group_name        = azurerm_resource_group.own.name
  location                   = azurerm_resource_group.own.location
  tenant_id                  = local.tenant
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  # A seed that is purged ends its chain.
  purge_protection_enabled   = var.lock_mode != "off"
  soft_delete_retention_days = 90
  tags                       = var.tags
}

resource "azurerm_log_analytics_workspace" "own" {
  name                = var.name
  resource_group_name = azurerm_resource_group.own.name
  location            = azurerm_resource_group.own.location
  sku                 = "PerGB2018"
  retention_in_days   = var.log_retention_days
  tags                = var.tags
}
