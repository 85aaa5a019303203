output "settings" {
  description = "This cloud's part of countersign.toml: its chains and its witness."
  value = join("\n", concat(
    [for chain in local.chain_names : <<-EOT
      [chain.${chain}]
      cloud = "azure"
      sealed = "azblob://${local.store}/${local.sealed[chain]}"
      head = "azblob://${local.store}/${local.heads[chain]}"
      key = "keyvault:${local.vault}/${local.signers["chain-${chain}"]}"
      retention_days = ${var.chains[chain].retention_days}
      lock_mode = "${var.lock_mode}"
      allow_empty = ${var.chains[chain].allow_empty}
    EOT
    ],
    [<<-EOT
      [witness.azure]
      cloud = "azure"
      key = "keyvault:${local.vault}/${local.signers.witness}"
      state = "azblob://${local.store}/${local.witness}"
      sealed = "azblob://${local.store}/${local.sealed[local.seal_chain]}"
      chain = "${local.seal_chain}"
    EOT
    ],
  ))
}

output "report_settings" {
  description = "The table [report] of countersign.toml, where this cloud's verification seals its reports; else empty."
  value       = !var.report ? "" : <<-EOT
    [report]
    chain = "${local.seal_chain}"
    key = "keyvault:${local.vault}/${local.signers.report}"
    state = "azblob://${local.store}/${local.reported}"
  EOT
}

output "mail_password" {
  description = "The address of the mail server's password for the table [mail]; null where there is none."
  value       = var.mail_password_secret == null ? null : "keyvault:${local.vault}/${var.mail_password_secret}"
}

output "identity" {
  description = "Who the functions of this cloud are, for `trusted.azure` of the other clouds' modules."
  value = {
    tenant_id           = local.tenant
    audience            = local.audience
    anchor_principal_id = azurerm_user_assigned_identity.this["anchor"].principal_id
    verify_principal_id = azurerm_user_assigned_identity.this["verify"].principal_id
  }
}

output "reach" {
  description = "How the other clouds' functions get in, for `reach.azure` of their modules."
  value = {
    tenant_id = local.tenant
    client_id = azurerm_user_assigned_identity.this["reader"].client_id
  }
}

output "chains" {
  description = "The names of the chains."
  value       = local.chain_names
}

output "resource_group" {
  description = "The resource group of everything."
  value       = local.group
}

output "store" {
  description = "The storage account of everything that is sealed, and the containers of the chains in it."
  value       = { account = local.store, id = local.store_id, sealed = local.sealed, dead_letters = local.dead_letters }
}

output "vault" {
  description = "The key vault of the seeds."
  value       = local.vault
}

output "event_hub" {
  description = "Where logs arrive, for diagnostic settings of your own."
  value       = { namespace = local.namespace, hub = local.hub, authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id }
}

output "functions" {
  description = "The apps of the functions by job."
  value       = local.apps
}

output "grants" {
  description = "Who may do what to what: identity, what it is on (a container, a secret, the account, the vault, the hub, the function's telemetry), permissions, and the beginnings of the blob names that they hold for (none: all)."
  value = [for grant in local.grants : {
    identity    = grant.identity
    on          = grant.on
    role        = grant.role
    permissions = concat(local.roles[grant.role].actions, local.roles[grant.role].data_actions)
    prefixes    = grant.folders
  }]
}

output "roles" {
  description = "The roles that this module defines."
  value       = local.roles
}

output "not_protected" {
  description = "What this configuration leaves open, in sentences."
  value = compact([
    var.lock_mode == "off" ? "Azure: nothing is locked (lock_mode = \"off\"): whoever administers the storage account can delete sealed blobs." : "",
    var.lock_mode == "governance" ? "Azure: the immutability policies are not locked (lock_mode = \"governance\"): whoever administers the storage account can remove them, and then delete sealed blobs." : "",
    var.account_lock ? "" : "Azure: no resource lock guards the storage account (account_lock = false)${var.lock_mode == "compliance" ? "." : ": whoever may delete it deletes all that is sealed with it."}",
    local.deployed ? "" : "Azure: no functions are deployed: nothing is sealed, countersigned or verified by itself.",
    local.deployed && !local.verifies ? "Azure: no verification is scheduled here: another cloud must have one." : "",
    local.deployed && length(var.alarm_emails) == 0 ? "Azure: alarms reach nobody (alarm_emails is empty)." : "",
    "Azure: signing keys are seeds in the key vault: whoever may read these secrets can sign as this cloud.",
    length(local.operators) == 0 ? "" : "Azure: ${length(local.operators)} ${length(local.operators) == 1 ? "operator" : "operators"} can read the keys and write to the stores. Once the deployment runs, set operators = []${var.account_lock ? " (and account_lock = false for that one apply)" : ""}.",
    length(var.source_logs.entra_categories) == 0 ? "Azure: logs of Entra ID, such as sign-ins and changes of roles, are not sealed (source_logs.entra_categories is empty)." : "",
    local.deployed && length(setsubtract(local.subscriptions, [local.subscription])) > 0 ? "Azure: alarms see changes of diagnostic settings in this module's subscription alone, not in the others whose logs are sealed." : "",
    var.trusted.aws == null && var.trusted.gcp == null ? "Azure: no other cloud may read these stores, so that none countersigns them." : "",
    var.reach.aws == null && var.reach.gcp == null ? "Azure: its functions reach no other cloud, so that they countersign none." : "",
  ])
}
