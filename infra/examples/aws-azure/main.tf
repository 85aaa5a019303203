# Two clouds, each of which seals its own logs and countersigns the other's.

provider "aws" {
  region = var.aws.region
}

provider "azurerm" {
  subscription_id = var.azure.subscription_id
  # The accounts have no keys.
  storage_use_azuread = true
  resource_providers_to_register = [
    "Microsoft.EventHub",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    "Microsoft.Web",
  ]

  features {
    # Packages are deployed by templates; there is nothing to delete below those.
    template_deployment {
      delete_nested_items_during_deletion = false
    }
  }
}

locals {
  packages = {
    for cloud in ["aws", "azure"] : cloud => var.packages == null ? null : {
      for job in ["seal", "anchor", "verify"] : job => "${var.packages}/${cloud}-${job}.zip"
    }
  }
}

# Every module tells who its functions are (`identity`) and how others get in
# (`reach`). Neither depends on the other cloud, so that each can be given to it.
module "aws" {
  source = "../../modules/aws"

  name                    = var.name
  chains                  = var.aws.chains
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged
  trail                   = var.aws.trail
  packages                = local.packages.aws
  web_identity_issuer     = var.aws.web_identity_issuer

  trusted = { azure = module.azure.identity }
  reach   = { azure = module.azure.reach }

  report               = true
  mail_password_secret = try(var.mail.password_secret, null)
  alarm_emails         = var.alarm_emails
  auditors             = var.aws.auditors
  tags                 = var.tags
}

module "azure" {
  source = "../../modules/azure"

  name                    = var.name
  location                = var.azure.location
  chains                  = var.azure.chains
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged
  account_lock            = var.azure.account_lock
  source_logs             = var.azure.source_logs
  packages                = local.packages.azure
  federation_audience     = var.azure.federation_audience

  trusted = { aws = module.aws.identity }
  reach   = { aws = module.aws.reach }

  mail_password_secret = try(var.mail.password_secret, null)
  alarm_emails         = var.alarm_emails
  auditors             = var.azure.auditors
  operators            = var.azure.operators
  tags                 = var.tags
}
