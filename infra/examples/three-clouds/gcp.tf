provider "google" {
  project = try(var.gcp.project_id, null)
  region  = try(var.gcp.region, null)
}

provider "google-beta" {
  project = try(var.gcp.project_id, null)
  region  = try(var.gcp.region, null)
}

module "gcp" {
  source = "../../modules/gcp"
  count  = contains(var.clouds, "gcp") ? 1 : 0

  name                    = var.name
  project_id              = var.gcp.project_id
  region                  = var.gcp.region
  location                = var.gcp.location
  chains                  = local.chains.gcp
  lock_mode               = var.lock_mode
  compliance_acknowledged = var.compliance_acknowledged
  source_logs             = var.gcp.source_logs
  data_access_logs        = var.gcp.data_access_logs
  gather_seconds          = var.gcp.gather_seconds
  project_lien            = var.gcp.project_lien
  packages                = local.packages.gcp

  trusted = { aws = local.identity.aws, azure = local.identity.azure }
  reach   = { aws = local.reach.aws, azure = local.reach.azure }

  report               = var.report_in == "gcp"
  mail_password_secret = local.mail_password_secret
  alarm_emails         = var.alarm_emails
  auditors             = var.gcp.auditors
}
