locals {
  mail_passwords = {
    aws   = local.mail_password_secret == null ? null : "awssecret:${local.mail_password_secret}"
    azure = one(module.azure[*].mail_password)
    gcp   = one(module.gcp[*].mail_password)
  }
  mail = {
    server   = try(var.mail.server, null)
    tls      = try(var.mail.tls, null)
    user     = try(var.mail.user, null)
    password = local.mail_passwords[var.report_in]
    from     = try(var.mail.from, null)
    to       = try(var.mail.to, null)
    when     = try(var.mail.when, null)
  }
  mail_settings = var.mail == null ? "" : join("", concat(
    ["[mail]\n"],
    [for key in ["server", "tls", "user", "password", "from", "to", "when"] : "${key} = ${jsonencode(local.mail[key])}\n" if local.mail[key] != null],
  ))
}

output "settings" {
  description = "countersign.toml: terraform output -raw settings."
  value = join("\n", compact(concat(
    ["domain = ${jsonencode(var.domain)}\nscrub_days = ${var.scrub_days}\n"],
    module.aws[*].settings,
    module.azure[*].settings,
    module.gcp[*].settings,
    module.aws[*].report_settings,
    module.azure[*].report_settings,
    module.gcp[*].report_settings,
    [local.mail_settings],
  )))
}

output "functions" {
  description = "The packages that scripts/build is to make."
  value       = flatten([for cloud in sort(var.clouds) : [for job in local.jobs[cloud] : "${cloud}-${job}"]])
}

output "chains" {
  description = "The names of the chains."
  value       = sort(var.clouds)
}

output "not_protected" {
  description = "What this configuration leaves open, in sentences."
  value = concat(
    length(var.clouds) == 1 ? ["One cloud: no independent witness countersigns its chains."] : [],
    length(var.clouds) == 2 ? ["Two clouds: each has one witness. Whoever administers both can rewrite history."] : [],
    flatten(module.aws[*].not_protected),
    flatten(module.azure[*].not_protected),
    flatten(module.gcp[*].not_protected),
  )
}
