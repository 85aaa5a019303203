output "settings" {
  description = "countersign.toml."
  value = join("\n", compact([
    "domain = ${jsonencode(var.domain)}\n",
    module.aws.settings,
    module.aws.report_settings,
    var.mail == null ? "" : join("\n", concat(
      [
        "[mail]",
        "server = ${jsonencode(var.mail.server)}",
        "tls = ${jsonencode(var.mail.tls)}",
        "from = ${jsonencode(var.mail.from)}",
        "to = ${jsonencode(var.mail.to)}",
        "when = ${jsonencode(var.mail.when)}",
      ],
      var.mail.user == null ? [] : ["user = ${jsonencode(var.mail.user)}", "password = \"awssecret:${var.mail.password_secret}\""],
      [""],
    )),
  ]))
}

output "functions" {
  description = "The functions that are deployed."
  value       = ["aws-seal", "aws-anchor", "aws-verify"]
}

output "chains" {
  description = "The names of the chains."
  value       = module.aws.chains
}

output "not_protected" {
  description = "What this configuration leaves open."
  value       = concat(["One cloud: no independent witness exists."], module.aws.not_protected)
}

output "auditor_role_arn" {
  description = "The role that auditors assume."
  value       = module.aws.auditor_role_arn
}
