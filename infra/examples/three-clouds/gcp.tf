provider "google" {
  project = try(var.gcp.project_id, null)
  region  = try(var.gcp.region, null)
}

provider "google-beta" {
  project = try(var.gcp.project_id, null)
  region  = try(var.gcp.region, null)
}

# Null where this cloud takes no part; then there is no module either.
module "gcp" {
  source = "../../modules/gcp"
  count  = contains(var.clouds, "gcp") ? 1 : 0

  name                    = var.name
  project_id              = try(var.gcp.project_id, null)
  region                  = try(var.gcp.region, null)
  location                = try(var.gcp.location, null)
  chains                  = local.chains.gcp
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged
  source_logs             = try(var.gcp.source_logs, null)
  data_access_logs        = try(var.gcp.data_access_logs, null)
  gather_seconds          = try(var.gcp.gather_seconds, null)
  project_lien            = try(var.gcp.project_lien, null)
  packages                = local.packages.gcp

  trusted = { aws = local.identity.aws, azure = local.identity.azure }
  reach   = { aws = local.reach.aws, azure = local.reach.azure }

  report               = var.report_in == "gcp"
  mail_password_secret = local.mail_password_secret
  alarm_emails         = var.alarm_emails
  auditors             = try(var.gcp.auditors, null)
}
