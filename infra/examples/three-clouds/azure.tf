provider "azurerm" {
  subscription_id = try(var.azure.subscription_id, null)
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

# Null where this cloud takes no part; then there is no module either.
module "azure" {
  source = "../../modules/azure"
  count  = contains(var.clouds, "azure") ? 1 : 0

  name                    = var.name
  location                = try(var.azure.location, null)
  chains                  = local.chains.azure
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged
  source_logs             = try(var.azure.source_logs, null)
  packages                = local.packages.azure
  federation_audience     = try(var.azure.federation_audience, null)

  trusted = { aws = local.identity.aws, gcp = local.identity.gcp }
  reach   = { aws = local.reach.aws, gcp = local.reach.gcp }

  report               = var.report_in == "azure"
  mail_password_secret = local.mail_password_secret
  alarm_emails         = var.alarm_emails
  auditors             = try(var.azure.auditors, null)
  operators            = try(var.azure.operators, null)
  account_lock         = try(var.azure.account_lock, true)
}
