# All accounts of an organization: its trail is made in the management account, and
# sealed there.

provider "aws" {
  region = var.region
}

module "aws" {
  source = "../../modules/aws"

  name                    = var.name
  chains                  = var.chains
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged

  trail = {
    create         = true
    organization   = true
    data_events    = var.data_events
    retention_days = var.trail_retention_days
  }

  packages = var.packages == null ? null : {
    seal   = "${var.packages}/aws-seal.zip"
    anchor = "${var.packages}/aws-anchor.zip"
    verify = "${var.packages}/aws-verify.zip"
  }

  report               = true
  mail_password_secret = try(var.mail.password_secret, null)
  alarm_emails         = var.alarm_emails
  auditors             = var.auditors
  tags                 = var.tags
}
