provider "aws" {
  region = try(var.aws.region, "us-east-1")
}

# Null where this cloud takes no part; then there is no module either.
module "aws" {
  source = "../../modules/aws"
  count  = contains(var.clouds, "aws") ? 1 : 0

  name                    = var.name
  chains                  = local.chains.aws
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged
  trail                   = try(var.aws.trail, null)
  packages                = local.packages.aws
  web_identity_issuer     = try(var.aws.web_identity_issuer, null)

  trusted = { azure = local.identity.azure, gcp = local.identity.gcp }
  reach   = { azure = local.reach.azure, gcp = local.reach.gcp }

  report               = var.report_in == "aws"
  mail_password_secret = local.mail_password_secret
  alarm_emails         = var.alarm_emails
  auditors             = try(var.aws.auditors, null)
}
