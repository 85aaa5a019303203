# One account: its CloudTrail sealed in its own locked bucket. No other cloud
# witnesses it; aws-azure and three-clouds have witnesses.

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
  trail         = var.trail
  packages      = local.packages
  report        = true
  alarm_emails  = var.alarm_emails
  auditors      = var.auditors

  mail_password_secret = try(var.mail.password_secret, null)
}

locals {
  packages = var.packages == null ? null : {
    for job in ["seal", "anchor", "verify"] : job => "${var.packages}/aws-${job}.zip"
  }
}
