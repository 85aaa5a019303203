# Entries gathered in files: Pub/Sub writes them to a bucket, whose notifications
# are pushed to the seal function instead of the entries.
locals {
  arrivals_bucket = "${local.arrivals}-${var.project_id}"
  storage_agent   = "service-${local.number}@gs-project-accounts.iam.gserviceaccount.com"
}

resource "google_storage_bucket" "arrivals" {
  count = local.gathers ? 1 : 0

  project                     = var.project_id
  name                        = local.arrivals_bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  labels                      = var.labels

  # As long as a message waits for the seal function.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 31
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "pubsub" {
  for_each = local.gathers ? toset(["roles/storage.objectCreator", "roles/storage.legacyBucketReader"]) : []

  bucket = google_storage_bucket.arrivals[0].name
  role   = each.key
  member = "serviceAccount:${local.pubsub_agent}"

  depends_on = [google_project_service_identity.pubsub]
}

resource "google_storage_bucket_iam_member" "arrivals" {
  count = local.gathers ? 1 : 0

  bucket = google_storage_bucket.arrivals[0].name
  role   = local.role_names.arrival_reader
  member = local.members.seal

  depends_on = [google_project_iam_custom_role.this, google_service_account.this]
}

resource "google_pubsub_subscription" "gather" {
  count = local.gathers ? 1 : 0

  project                    = var.project_id
  name                       = "${var.name}-gather"
  topic                      = "projects/${var.project_id}/topics/${google_pubsub_topic.logs[0].name}"
  ack_deadline_seconds       = 600
  message_retention_duration = "2678400s"
  labels                     = var.labels

  # A line for each entry. The program tells lines from other content itself.
  cloud_storage_config {
    bucket          = google_storage_bucket.arrivals[0].name
    filename_prefix = "logs/"
    filename_suffix = ".ndjson"
    max_duration    = "${var.gather_seconds}s"
    max_bytes       = 33554432
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters[0].id
    max_delivery_attempts = 100
  }

  expiration_policy {
    ttl = ""
  }

  # Files written before the notification stands would be announced to nobody.
  depends_on = [
    google_storage_bucket_iam_member.pubsub,
    google_storage_notification.arrivals,
    google_pubsub_topic_iam_member.dead_letters,
  ]
}

resource "google_pubsub_subscription_iam_member" "gather_dead_letters" {
  count = local.gathers ? 1 : 0

  project      = var.project_id
  subscription = google_pubsub_subscription.gather[0].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${local.pubsub_agent}"
}

resource "google_pubsub_topic" "arrivals" {
  count = local.gathers ? 1 : 0

  project = var.project_id
  name    = local.arrivals
  labels  = var.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "arrivals" {
  count = local.gathers ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.arrivals[0].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.storage_agent}"
}

resource "google_storage_notification" "arrivals" {
  count = local.gathers ? 1 : 0

  bucket             = google_storage_bucket.arrivals[0].name
  topic              = "projects/${var.project_id}/topics/${google_pubsub_topic.arrivals[0].name}"
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "logs/"

  depends_on = [google_pubsub_topic_iam_member.arrivals, google_pubsub_subscription.seal]
}
