output "settings" {
  description = "This cloud's part of countersign.toml: its chains and its witness."
  value = join("\n", concat(
    [for name, chain in var.chains : <<-EOT
      [chain.${name}]
      cloud = "gcp"
      sealed = "gs://${local.sealed_buckets[name]}"
      head = "gs://${local.heads_bucket}/${name}"
      key = "${local.key_addresses["chain-${name}"]}"
      retention_days = ${chain.retention_days}
      lock_mode = "${var.lock_mode}"
      allow_empty = ${chain.allow_empty}
    EOT
    ],
    [<<-EOT
      [witness.gcp]
      cloud = "gcp"
      key = "${local.key_addresses.witness}"
      state = "gs://${local.heads_bucket}/witness"
      sealed = "gs://${local.sealed_buckets[local.seal_chain]}"
      chain = "${local.seal_chain}"
    EOT
    ],
  ))
}

output "report_settings" {
  description = "The table [report] of countersign.toml, where this cloud makes the report; else empty."
  value       = !var.report ? "" : <<-EOT
    [report]
    chain = "${local.seal_chain}"
    key = "${local.key_addresses.report}"
    state = "gs://${local.heads_bucket}/report"
  EOT
}

output "mail_password" {
  description = "The address of the mail server's password for the table [mail]; null where there is none."
  value       = local.mail_password
}

output "identity" {
  description = "Who this cloud's readers are: what the other clouds' modules take as trusted.gcp."
  value = {
    anchor_service_account_id = google_service_account.this["anchor"].unique_id
    verify_service_account_id = google_service_account.this["verify"].unique_id
    anchor_email              = local.emails.anchor
    verify_email              = local.emails.verify
  }
}

# Not from `trusted`: what the others need to be trusted must not depend on it.
output "reach" {
  description = "How the others get in: what their modules take as reach.gcp. A provider exists once its cloud is trusted."
  value = {
    provider_from   = { for cloud in ["aws", "azure"] : cloud => "${local.pool_ref}/providers/${cloud}" }
    service_account = local.emails.reader
  }
}

output "chains" {
  description = "The names of the chains."
  value       = keys(var.chains)
}

output "sealed_buckets" {
  description = "The sealed store of each chain."
  value       = local.sealed_buckets
}

output "heads_bucket" {
  description = "The bucket of heads, of the witness's state and of the report's."
  value       = local.heads_bucket
}

output "service_accounts" {
  description = "The e-mail address of each identity."
  value       = local.emails
}

output "grants" {
  description = "Who may do what to which store: identity, store (a chain, or heads), permissions, and the beginnings of the object names that they hold for (none: all)."
  value = [
    for grant in local.grants : {
      identity    = grant.identity
      store       = grant.store == "heads" ? "heads" : "sealed"
      chain       = grant.store == "heads" ? null : grant.store
      permissions = local.roles[grant.role]
      prefixes    = grant.prefixes
    }
  ]
}

output "roles" {
  description = "The custom roles and their permissions."
  value       = { for role, permissions in local.roles : local.role_names[role] => permissions }
}

output "functions" {
  description = "The addresses of the functions by job."
  value       = { for job, service in google_cloud_run_v2_service.this : job => service.uri }
}

output "dead_letters" {
  description = "The subscription where messages wait that could not be sealed."
  value       = local.deployed ? "projects/${var.project_id}/subscriptions/${local.dead_letters}" : null
}

output "not_protected" {
  description = "What this configuration leaves open, in sentences."
  value = compact([
    var.lock_mode == "off" ? "Google Cloud: sealed objects have no lock (lock_mode = \"off\"): whoever administers the project can delete them." : "",
    var.lock_mode == "governance" ? "Google Cloud: the retention policies are not locked (lock_mode = \"governance\"): whoever administers the project can shorten or remove them and then delete objects." : "",
    local.deployed ? "" : "Google Cloud: no functions are deployed: nothing is sealed, countersigned or verified by itself.",
    local.gathers ? "Google Cloud: log entries stand in the bucket ${local.arrivals_bucket} for up to ${var.gather_seconds} seconds before they are sealed: whoever administers the project can change them there." : "",
    local.deployed && !local.verifies ? "Google Cloud: no verification is scheduled here: another cloud must have one." : "",
    local.deployed && length(var.alarm_emails) == 0 ? "Google Cloud: alarms reach nobody (alarm_emails is empty)." : "",
    var.trusted.aws == null && var.trusted.azure == null ? "Google Cloud: no other cloud may read these stores, so that none countersigns them." : "",
    var.reach.aws == null && var.reach.azure == null ? "Google Cloud: its functions reach no other cloud, so that they countersign none." : "",
    var.project_lien ? "" : "Google Cloud: no lien guards the project: whoever may delete it deletes the buckets with it.",
    length(var.data_access_logs) == 0 ? "Google Cloud: no data-access logs are switched on here (data_access_logs is empty): reads of data leave no record unless they are on elsewhere." : "",
    var.keys == "secret" ? "Google Cloud: signing keys are seeds in Secret Manager: whoever may read these secrets can sign as this cloud." : "",
  ])
}
