# Two clouds that witness each other: CloudTrail sealed in AWS, the Activity Log and
# Entra ID in Azure, the heads of each countersigned and kept by the other.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.26"
    }
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.2"
    }
  }
}

provider "aws" {
  region = var.aws_region
}

provider "azurerm" {
  subscription_id = var.azure_subscription
  # No account has keys.
  storage_use_azuread = true

  features {}
}

module "aws" {
  source = "../../modules/aws"

  name          = var.name
  chains        = var.aws_chains
  lock_mode     = var.lock_mode
  lock_for_good = var.lock_for_good
  trail         = var.aws_trail
  packages      = local.packages.aws
  trusted       = { azure = module.azure.identity }
  reach         = { azure = module.azure.reach }
  report        = true
  alarm_emails  = var.alarm_emails
  auditors      = var.aws_auditors

  web_identity_federation = var.aws_web_identity_issuer == null
  web_identity_issuer     = var.aws_web_identity_issuer
  mail_password_secret    = try(var.mail.password_secret, null)
}

module "azure" {
  source = "../../modules/azure"

  name                = var.name
  location            = var.azure_location
  chains              = var.azure_chains
  lock_mode           = var.lock_mode
  lock_for_good       = var.lock_for_good
  entra_categories    = var.entra_categories
  packages            = local.packages.azure
  trusted             = { aws = module.aws.identity }
  reach               = { aws = module.aws.reach }
  federation_audience = var.azure_federation_audience
  alarm_emails        = var.alarm_emails
  auditors            = var.azure_auditors

  mail_password_secret = try(var.mail.password_secret, null)
}

locals {
  # The scheduled verification runs in AWS, which seals its reports.
  functions = ["aws-seal", "aws-anchor", "aws-verify", "azure-seal", "azure-anchor"]

  packages = {
    for cloud in ["aws", "azure"] : cloud => var.packages == null ? null : {
      for job in ["seal", "anchor", "verify"] : job => contains(local.functions, "${cloud}-${job}") ? "${var.packages}/${cloud}-${job}.zip" : null
    }
  }
}
