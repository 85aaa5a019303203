provider "azurerm" {
  subscription_id     = try(var.azure.subscription_id, null)
  storage_use_azuread = true

  features {}
}

module "azure" {
  source = "../../modules/azure"
  count  = contains(var.clouds, "azure") ? 1 : 0

  name                    = var.name
  location                = var.azure.location
  chains                  = local.chains.azure
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged
  source_logs             = var.azure.source_logs
  packages                = local.packages.azure
  federation_audience     = var.azure.federation_audience

  trusted = { aws = local.identity.aws, gcp = local.identity.gcp }
  reach   = { aws = local.reach.aws, gcp = local.reach.gcp }

  report               = var.report_in == "azure"
  mail_password_secret = local.mail_password_secret
  alarm_emails         = var.alarm_emails
  auditors             = var.azure.auditors
  operators            = var.azure.operators
}
