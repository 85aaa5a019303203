# Log entries of a project, folder or organization, through a sink, a topic and a
# push subscription to the seal function, gathered in files before where that is
# asked for (gather.tf). Made with the function: what a sink sends
# to a topic that nobody reads is lost.
locals {
  source_id = coalesce(var.source_logs.id, var.project_id)
  log_filter = coalesce(
    var.source_logs.filter,
    "log_id(\"cloudaudit.googleapis.com/activity\") OR log_id(\"cloudaudit.googleapis.com/data_access\") OR log_id(\"cloudaudit.googleapis.com/policy\") OR log_id(\"cloudaudit.googleapis.com/system_event\")",
  )

  # What we read and write is logged as data access: sealing that would make more
  # of it without end. Access by anybody else to the same stores is sealed.
  pubsub_agent = "service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  own_access = join(" AND ", [
    "log_id(\"cloudaudit.googleapis.com/data_access\")",
    "protoPayload.authenticationInfo.principalEmail=(${join(" OR ", [
      for email in concat([for identity in ["anchor", "reader", "seal", "verify"] : local.emails[identity]], [local.pubsub_agent]) : "\"${email}\""
    ])})",
  ])
  exclusion = { name = "own-data-access", description = "Reads and writes of ${var.name} itself.", filter = local.own_access }

  destination = "pubsub.googleapis.com/projects/${var.project_id}/topics/${local.topic}"

  writers = concat(
    google_logging_project_sink.logs[*].writer_identity,
    google_logging_folder_sink.logs[*].writer_identity,
    google_logging_organization_sink.logs[*].writer_identity,
  )
}

resource "google_pubsub_topic" "logs" {
  count = local.deployed ? 1 : 0

  project = var.project_id
  name    = local.topic
  labels  = var.labels

  depends_on = [google_project_service.this]
}

resource "google_logging_project_sink" "logs" {
  count = local.deployed && var.source_logs.scope == "project" ? 1 : 0

  project                = local.source_id
  name                   = local.sink
  description            = "Audit logs for ${var.name} to seal."
  destination            = local.destination
  filter                 = local.log_filter
  unique_writer_identity = true

  exclusions {
    name        = local.exclusion.name
    description = local.exclusion.description
    filter      = local.exclusion.filter
  }

  depends_on = [google_pubsub_topic.logs]
}

resource "google_logging_folder_sink" "logs" {
  count = local.deployed && var.source_logs.scope == "folder" ? 1 : 0

  folder           = local.source_id
  name             = local.sink
  description      = "Audit logs for ${var.name} to seal."
  destination      = local.destination
  filter           = local.log_filter
  include_children = var.source_logs.include_children

  exclusions {
    name        = local.exclusion.name
    description = local.exclusion.description
    filter      = local.exclusion.filter
  }

  depends_on = [google_pubsub_topic.logs]
}

resource "google_logging_organization_sink" "logs" {
  count = local.deployed && var.source_logs.scope == "organization" ? 1 : 0

  org_id           = local.source_id
  name             = local.sink
  description      = "Audit logs for ${var.name} to seal."
  destination      = local.destination
  filter           = local.log_filter
  include_children = var.source_logs.include_children

  exclusions {
    name        = local.exclusion.name
    description = local.exclusion.description
    filter      = local.exclusion.filter
  }

  depends_on = [google_pubsub_topic.logs]
}

resource "google_pubsub_topic_iam_member" "sink" {
  count = local.deployed ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.logs[0].name
  role    = "roles/pubsub.publisher"
  member  = local.writers[0]
}

resource "google_project_service_identity" "pubsub" {
  provider = google-beta
  count    = local.deployed ? 1 : 0

  project = var.project_id
  service = "pubsub.googleapis.com"

  depends_on = [google_project_service.this]
}

# What could not be sealed in a hundred attempts (some sixteen hours) waits here for
# a person, 31 days.
resource "google_pubsub_topic" "dead_letters" {
  count = local.deployed ? 1 : 0

  project = var.project_id
  name    = local.dead_letters
  labels  = var.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "dead_letters" {
  count = local.deployed ? 1 : 0

  project                    = var.project_id
  name                       = local.dead_letters
  topic                      = google_pubsub_topic.dead_letters[0].id
  message_retention_duration = "2678400s"
  labels                     = var.labels

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  count = local.deployed ? 1 : 0

  project = var.project_id
  topic   = google_pubsub_topic.dead_letters[0].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.pubsub_agent}"

  depends_on = [google_project_service_identity.pubsub]
}

resource "google_pubsub_subscription" "seal" {
  count = local.deployed ? 1 : 0

  project                    = var.project_id
  name                       = "${var.name}-seal"
  topic                      = "projects/${var.project_id}/topics/${local.gathers ? google_pubsub_topic.arrivals[0].name : google_pubsub_topic.logs[0].name}"
  ack_deadline_seconds       = 300
  message_retention_duration = "2678400s"
  labels                     = var.labels

  push_config {
    push_endpoint = google_cloud_run_v2_service.this["seal"].uri

    oidc_token {
      service_account_email = google_service_account.this["invoker"].email
      audience              = google_cloud_run_v2_service.this["seal"].uri
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters[0].id
    max_delivery_attempts = 100
  }

  # A quiet month is no reason to drop it.
  expiration_policy {
    ttl = ""
  }

  depends_on = [google_pubsub_topic_iam_member.dead_letters]
}

# Pub/Sub takes a message off the subscription when it puts it aside.
resource "google_pubsub_subscription_iam_member" "dead_letters" {
  count = local.deployed ? 1 : 0

  project      = var.project_id
  subscription = google_pubsub_subscription.seal[0].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${local.pubsub_agent}"
}

resource "google_project_iam_audit_config" "this" {
  for_each = var.source_logs.scope == "project" ? var.data_access_logs : {}

  project = local.source_id
  service = each.key

  dynamic "audit_log_config" {
    for_each = each.value

    content {
      log_type = audit_log_config.value
    }
  }
}

resource "google_organization_iam_audit_config" "this" {
  for_each = var.source_logs.scope == "organization" ? var.data_access_logs : {}

  org_id  = local.source_id
  service = each.key

  dynamic "audit_log_config" {
    for_each = each.value

    content {
      log_type = audit_log_config.value
    }
  }
}
