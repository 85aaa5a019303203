output "settings" {
  description = "countersign.toml: terraform output -raw settings."
  value = join("\n", compact([
    "domain = ${jsonencode(var.domain)}\n",
    module.aws.settings,
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
  value       = ["aws-seal", "aws-anchor", "aws-verify"]
}

output "chains" {
  description = "The names of the chains."
  value       = module.aws.chains
}

output "policies" {
  description = "Who may do what: the policy of each identity and bucket."
  value       = module.aws.policies
}

output "auditor_role_arn" {
  description = "The role that auditors assume."
  value       = module.aws.auditor_role_arn
}

output "not_protected" {
  description = "What this configuration leaves open."
  value = concat(
    ["One cloud: no independent witness countersigns its chains."],
    module.aws.not_protected,
  )
}
