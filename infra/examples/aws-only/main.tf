# One AWS account. Its chain is sealed and verified, and countersigned by nobody: add
# a second cloud to have a witness.

provider "aws" {
  region = var.region
}

module "aws" {
  source = "../../modules/aws"

  name                    = var.name
  chains                  = var.chains
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged

  trail = var.trail

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
