output "settings" {
  description = "The chains and the witness of this subscription, as tables of countersign.toml."
  value = join("\n", concat(
    [
      for chain in local.chain_names : <<-EOT
        [chain.${chain}]
        cloud = "azure"
        sealed = "azblob://${local.account}/${local.containers[chain]}"
        head = "azblob://${local.account}/${local.heads}"
        key = "${local.key_addresses["chain-${chain}"]}"
        retention_days = ${var.chains[chain].retention_days}
        lock_mode = "${var.lock_mode}"
        allow_empty = ${var.chains[chain].allow_empty}
      EOT
    ],
    [<<-EOT
      [witness.azure]
      cloud = "azure"
      key = "${local.key_addresses["witness"]}"
      state = "azblob://${local.account}/${local.heads}"
      sealed = "azblob://${local.account}/${local.containers[local.witness_chain]}"
      chain = "${local.witness_chain}"
    EOT
    ],
  ))
}

output "report_settings" {
  description = "The table [report] of countersign.toml, where this subscription's verification seals its reports; else empty."
  value       = !var.report ? "" : <<-EOT
    [report]
    chain = "${local.witness_chain}"
    key = "${local.key_addresses["report"]}"
    state = "azblob://${local.account}/${local.heads}"
  EOT
}

output "identity" {
  description = "Who the functions of this subscription are, for `trusted.azure` of the other clouds' modules."
  value = {
    tenant_id           = local.tenant
    audience            = var.federation_audience
    anchor_principal_id = azurerm_user_assigned_identity.job["anchor"].principal_id
    verify_principal_id = azurerm_user_assigned_identity.job["verify"].principal_id
  }
}

output "reach" {
  description = "How the other clouds' functions get in, for `reach.azure` of their modules."
  value = {
    tenant_id = local.tenant
    client_id = azurerm_user_assigned_identity.job["reader"].client_id
  }
}

output "chains" {
  description = "The names of the chains."
  value       = local.chain_names
}

output "account" {
  description = "The storage account of the sealed stores."
  value       = local.account
}

output "containers" {
  description = "The sealed container of each chain."
  value       = local.containers
}

output "key_vault" {
  description = "The vault of the seeds. Whoever runs `countersign init` needs Key Vault Secrets Officer on it, and Storage Blob Data Contributor on the account."
  value       = local.vault
}

output "roles" {
  description = "The actions of each role, and which identity has which role where."
  value       = { definitions = local.roles, grants = local.grants }
}

output "not_protected" {
  description = "What this configuration leaves open, in sentences."
  value = concat(
    var.lock_mode == "off" ? ["Azure: nothing is locked (lock_mode = \"off\"): sealed blobs can be deleted and overwritten by whoever may write."] : [],
    var.lock_mode == "governance" ? ["Azure: whoever may change the immutability policy can remove it, and then delete sealed blobs (lock_mode = \"governance\")."] : [],
    length(var.alarm_emails) == 0 ? ["Azure: alarms reach nobody (alarm_emails is empty)."] : [],
    length(var.entra_categories) == 0 ? ["Azure: no logs of Entra ID are sealed (entra_categories is empty)."] : [],
    var.packages == null ? ["Azure: there are no functions yet: nothing is sealed (packages is null)."] : [],
    try(var.packages.verify, null) == null ? ["Azure: no verification is scheduled in this subscription."] : [],
  )
}
