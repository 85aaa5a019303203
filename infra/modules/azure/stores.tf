# What stands behind a lock cannot be taken back. This marks it in the state, so
# that a plan that would leave compliance, or destroy the module, fails.
resource "terraform_data" "compliance" {
  count = var.lock_mode == "compliance" ? 1 : 0

  input = { for chain, container in local.sealed : "${local.store}/${container}" => var.chains[chain].retention_days }

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = var.compliance_acknowledged
      error_message = <<-EOT
        lock_mode = "compliance" locks the immutability policies of ${join(", ", [for container in values(local.sealed) : "${local.store}/${container}"])} for good:
        - No blob can be deleted or replaced until its retention has ended: not by you, not by an administrator, not by Microsoft.
        - A policy can be made longer, five times at most, never shorter, and never removed. The containers and the account can be deleted only when no blob is kept any more.
        - Storage is paid for until then. Nothing of this can be undone by Terraform, by the portal or by support.
        Where that is what you want, set compliance_acknowledged = true. To try things out, use "governance" or "off".
      EOT
    }
  }
}

resource "azurerm_storage_account" "sealed" {
  name                             = local.store
  resource_group_name              = local.group
  location                         = var.location
  account_kind                     = "StorageV2"
  account_tier                     = "Standard"
  account_replication_type         = var.replication
  access_tier                      = "Hot"
  min_tls_version                  = "TLS1_2"
  https_traffic_only_enabled       = true
  shared_access_key_enabled        = false
  default_to_oauth_authentication  = true
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  allowed_copy_scope               = "AAD"
  local_user_enabled               = false
  sftp_enabled                     = false
  is_hns_enabled                   = false
  # The witnesses in other clouds come over the internet, with tokens.
  public_network_access_enabled = true
  tags                          = var.tags

  blob_properties {
    # With versions, a name could come to stand for another blob than the sealed one.
    # Soft delete of blobs stays off: each move of a head would leave a copy behind, and
    # what keeps records from deletion is the policy.
    versioning_enabled = false

    container_delete_retention_policy {
      days = 30
    }
  }

  depends_on = [azurerm_resource_group.this, terraform_data.compliance]
}

resource "azurerm_storage_container" "this" {
  for_each = local.containers

  name                  = each.value
  storage_account_id    = azurerm_storage_account.sealed.id
  container_access_type = "private"
}

resource "azurerm_storage_container_immutability_policy" "sealed" {
  for_each = var.lock_mode == "off" ? {} : local.sealed

  storage_container_resource_manager_id = azurerm_storage_container.this[each.value].id
  immutability_period_in_days           = var.chains[each.key].retention_days
  locked                                = var.lock_mode == "compliance"
  protected_append_writes_enabled       = false
  protected_append_writes_all_enabled   = false

  depends_on = [terraform_data.compliance]
}

# Segments hold the records. Genesis, indexes, tiles, checkpoints and anchors are
# small, and without them an expired record looks like a missing one.
resource "azurerm_storage_management_policy" "sealed" {
  storage_account_id = azurerm_storage_account.sealed.id

  dynamic "rule" {
    for_each = local.sealed

    content {
      name    = "expire-${rule.key}"
      enabled = true

      filters {
        blob_types   = ["blockBlob"]
        prefix_match = ["${rule.value}/segments/"]
      }

      actions {
        base_blob {
          delete_after_days_since_creation_greater_than       = var.chains[rule.key].retention_days + 1
          tier_to_cold_after_days_since_creation_greater_than = var.chains[rule.key].cold_after_days
        }
      }
    }
  }
}

# Who writes to the account or deletes in it. To the workspace and not to the hub:
# what is sealed would be logged, and sealed again.
resource "azurerm_monitor_diagnostic_setting" "store" {
  name                       = var.name
  target_resource_id         = "${azurerm_storage_account.sealed.id}/blobServices/default"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  enabled_log {
    category = "StorageWrite"
  }

  enabled_log {
    category = "StorageDelete"
  }
}

resource "azurerm_management_lock" "store" {
  count = var.account_lock ? 1 : 0

  name       = "${var.name}-sealed"
  scope      = azurerm_storage_account.sealed.id
  lock_level = "CanNotDelete"
  notes      = "Sealed audit logs."

  # It goes first when all goes.
  depends_on = [
    azurerm_storage_container.this,
    azurerm_storage_management_policy.sealed,
    azurerm_storage_container_immutability_policy.sealed,
    azurerm_monitor_diagnostic_setting.store,
    azurerm_role_assignment.this,
  ]
}

# Seeds of the signing keys. `countersign init` makes them; no state holds them.
resource "azurerm_key_vault" "this" {
  name                       = local.vault
  resource_group_name        = local.group
  location                   = var.location
  tenant_id                  = local.tenant
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 90
  tags                       = var.tags

  depends_on = [azurerm_resource_group.this]
}

resource "azurerm_log_analytics_workspace" "this" {
  name                = "${var.name}-${local.unique}"
  resource_group_name = local.group
  location            = var.location
  sku                 = "PerGB2018"
  retention_in_days   = var.log_retention_days
  # No keys: whoever writes or reads has an identity.
  local_authentication_enabled = false
  tags                         = var.tags

  depends_on = [azurerm_resource_group.this]
}

resource "azurerm_monitor_diagnostic_setting" "vault" {
  name                       = var.name
  target_resource_id         = azurerm_key_vault.this.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.this.id

  enabled_log {
    category = "AuditEvent"
  }
}
