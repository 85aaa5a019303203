locals {
  reach_environment = merge(
    { COUNTERSIGN_HOME = "gcp" },
    var.reach.aws == null ? {} : { COUNTERSIGN_REACH_AWS_ROLE = var.reach.aws.role_arn },
    try(var.reach.aws.region, null) == null ? {} : { COUNTERSIGN_REACH_AWS_REGION = var.reach.aws.region },
    var.reach.azure == null ? {} : {
      COUNTERSIGN_REACH_AZURE_TENANT = var.reach.azure.tenant_id
      COUNTERSIGN_REACH_AZURE_CLIENT = var.reach.azure.client_id
    },
    # The settings name one cloud's secret; here it is this cloud's.
    var.mail_password_secret == null ? {} : { COUNTERSIGN_MAIL_PASSWORD = local.mail_password },
  )

  functions = merge(
    !local.deployed ? {} : {
      seal = {
        package     = var.packages.seal
        memory      = var.sizes.seal_memory
        calls       = var.sizes.seal_calls
        instances   = var.sizes.seal_instances
        timeout     = "290s"
        environment = { COUNTERSIGN_SEAL_CHAIN = local.seal_chain }
      }
      # A second run at a time would lose its swaps to the first.
      anchor = {
        package     = var.packages.anchor
        memory      = var.sizes.anchor_memory
        calls       = 1
        instances   = 1
        timeout     = "600s"
        environment = local.reach_environment
      }
    },
    !local.verifies ? {} : {
      verify = {
        package   = var.packages.verify
        memory    = var.sizes.verify_memory
        calls     = 1
        instances = 1
        timeout   = "1800s"
        # One cloud seals the reports: here the settings' [report] may be another's.
        environment = merge(local.reach_environment, var.report ? {} : { COUNTERSIGN_REPORT = "off" })
      }
    },
  )

  # Cloud Scheduler waits for an answer for half an hour at most.
  jobs = merge(
    !local.deployed ? {} : { anchor = { schedule = var.schedules.anchor, deadline = "600s" } },
    !local.verifies ? {} : { verify = { schedule = var.schedules.verify, deadline = "1800s" } },
  )
}

# Programs, settings and policy. Whoever can write here decides what runs.
resource "google_storage_bucket" "code" {
  count = local.deployed ? 1 : 0

  project                     = var.project_id
  name                        = local.code_bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  labels                      = var.labels

  depends_on = [google_project_service.this]
}

# Cloud Run fetches the packages as its own agent.
resource "google_project_service_identity" "run" {
  provider = google-beta
  count    = local.deployed ? 1 : 0

  project = var.project_id
  service = "run.googleapis.com"

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "code" {
  count = local.deployed ? 1 : 0

  bucket = google_storage_bucket.code[0].name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:service-${local.number}@serverless-robot-prod.iam.gserviceaccount.com"

  depends_on = [google_project_service_identity.run]
}

resource "google_storage_bucket_object" "package" {
  for_each = local.functions

  bucket = google_storage_bucket.code[0].name
  name   = "${each.key}/${filesha256(each.value.package)}/${basename(each.value.package)}"
  source = each.value.package

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_cloud_run_v2_service" "this" {
  provider = google-beta
  for_each = local.functions

  project             = var.project_id
  name                = "${var.name}-${each.key}"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = false
  labels              = var.labels

  template {
    service_account                  = google_service_account.this[each.key].email
    timeout                          = each.value.timeout
    max_instance_request_concurrency = each.value.calls
    labels                           = var.labels

    scaling {
      min_instance_count = 0
      max_instance_count = each.value.instances
    }

    containers {
      image          = "scratch"
      base_image_uri = "${var.region}-docker.pkg.dev/${var.base_image}"
      command        = ["./service"]

      source_code {
        cloud_storage_source {
          bucket     = google_storage_bucket_object.package[each.key].bucket
          object     = google_storage_bucket_object.package[each.key].name
          generation = google_storage_bucket_object.package[each.key].generation
        }
      }

      resources {
        limits   = { cpu = "1", memory = each.value.memory }
        cpu_idle = true
      }

      dynamic "env" {
        for_each = each.value.environment

        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  depends_on = [google_storage_bucket_iam_member.code]
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.functions

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.this[each.key].name
  role     = "roles/run.invoker"
  member   = local.members.invoker

  depends_on = [google_service_account.this]
}

resource "google_cloud_scheduler_job" "this" {
  for_each = local.jobs

  project          = var.project_id
  region           = var.region
  name             = "${var.name}-${each.key}"
  description      = local.identities[each.key]
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = each.value.deadline

  # The next run is the retry.
  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = google_cloud_run_v2_service.this[each.key].uri

    oidc_token {
      service_account_email = google_service_account.this["invoker"].email
      audience              = google_cloud_run_v2_service.this[each.key].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker]
}
