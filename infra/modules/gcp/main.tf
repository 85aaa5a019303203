data "google_project" "this" {
  project_id = var.project_id
}

locals {
  # Names are made of inputs alone, so that they are known before anything exists.
  number     = data.google_project.this.number
  location   = coalesce(var.location, var.region)
  seal_chain = coalesce(var.seal_chain, sort(keys(var.chains))[0])
  deployed   = var.packages != null
  gathers    = local.deployed && var.gather_seconds != null
  verifies   = local.deployed ? var.packages.verify != null : false

  sealed_buckets = { for chain in keys(var.chains) : chain => "${var.name}-${chain}-${var.project_id}" }
  heads_bucket   = "${var.name}-heads-${var.project_id}"
  arrivals       = "${var.name}-arrivals"
  code_bucket    = "${var.name}-code-${var.project_id}"

  topic        = "${var.name}-logs"
  dead_letters = "${var.name}-dead-letters"
  sink         = "${var.name}-logs"

  apis = toset(concat(
    [
      "cloudresourcemanager.googleapis.com",
      "iam.googleapis.com",
      "iamcredentials.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "cloudscheduler.googleapis.com",
      "storage.googleapis.com",
      "sts.googleapis.com",
      # The mail server's password is a secret even where the keys are not.
      "secretmanager.googleapis.com",
    ],
    var.keys == "kms" ? ["cloudkms.googleapis.com"] : [],
  ))
}

resource "google_project_service" "this" {
  for_each = var.enable_apis ? local.apis : []

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}

resource "google_resource_manager_lien" "this" {
  count = var.project_lien ? 1 : 0

  parent       = "projects/${local.number}"
  restrictions = ["resourcemanager.projects.delete"]
  origin       = var.name
  reason       = "The project holds sealed audit logs."

  depends_on = [google_project_service.this]
}
