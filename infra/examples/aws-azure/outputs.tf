output "settings" {
  description = "countersign.toml: terraform output -raw settings."
  value = join("\n", compact([
    "domain = ${jsonencode(var.domain)}\n",
    module.aws.settings,
    module.azure.settings,
    module.aws.report_settings,
    local.mail_settings,
  ]))
}

locals {
  mail = {
    from     = try(var.mail.from, null)
    password = try("awssecret:${var.mail.password_secret}", null)
    server   = try(var.mail.server, null)
    tls      = try(var.mail.tls, null)
    to       = try(var.mail.to, null)
    user     = try(var.mail.user, null)
    when     = try(var.mail.when, null)
  }
  mail_settings = var.mail == null ? "" : join("", concat(
    ["[mail]\n"],
    [for key, value in local.mail : "${key} = ${jsonencode(value)}\n" if value != null],
  ))
}

output "functions" {
  description = "The packages that scripts/build is to make."
  value       = flatten([for cloud in ["aws", "azure"] : [for job in ["seal", "anchor", "verify"] : "${cloud}-${job}"]])
}

output "chains" {
  description = "The names of the chains."
  value       = concat(module.aws.chains, module.azure.chains)
}

output "vault" {
  description = "The key vault, for the mail server's password."
  value       = module.azure.vault
}

output "auditor_role_arn" {
  description = "The role that auditors assume in AWS."
  value       = module.aws.auditor_role_arn
}

output "not_protected" {
  description = "What this configuration leaves open."
  value = concat(
    ["Two clouds: each has one witness. Whoever administers both can rewrite history."],
    module.aws.not_protected,
    module.azure.not_protected,
  )
}
