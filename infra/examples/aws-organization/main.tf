# An organization of AWS: a trail over all its accounts and regions, created here
# and sealed, kept for seven years and moved to a colder class after three months.
# Apply it in the management account, or in the delegated
# administrator's of CloudTrail.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.26"
    }
  }
}

provider "aws" {
  region = var.region
}

module "aws" {
  source = "../../modules/aws"

  name          = var.name
  chains        = var.chains
  lock_mode     = var.lock_mode
  lock_for_good = var.lock_for_good
  seal_chain    = "audit"
  trail = {
    create       = true
    organization = true
    data_events  = var.data_events
  }
  packages     = local.packages
  report       = true
  alarm_emails = var.alarm_emails
  auditors     = var.auditors

  mail_password_secret = try(var.mail.password_secret, null)
}

locals {
  packages = var.packages == null ? null : {
    for job in ["seal", "anchor", "verify"] : job => "${var.packages}/aws-${job}.zip"
  }
}
