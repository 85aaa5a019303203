# Programs tell numbers in log lines: {"message":"metrics","about":…,"FailedCalls":1}.
locals {
  lines = {
    for function in keys(local.functions) : function =>
    "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}-${function}\" AND jsonPayload.message=\"metrics\""
  }
  failed_job = {
    for job in keys(local.jobs) : job =>
    "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${var.name}-${job}\" AND severity>=ERROR"
  }

  # Counters of log lines.
  counters = merge(
    !local.deployed ? {} : {
      failed_calls = { filter = "${local.lines.seal} AND jsonPayload.FailedCalls>=1", resource = "cloud_run_revision" }
      anchor_runs  = { filter = "${local.lines.anchor} AND jsonPayload.ChainsWitnessed>=0", resource = "cloud_run_revision" }
      anchor_fails = { filter = local.failed_job.anchor, resource = "cloud_scheduler_job" }
    },
    !local.verifies ? {} : {
      verify_runs = { filter = "${local.lines.verify} AND jsonPayload.Verified>=0", resource = "cloud_run_revision" }
    },
  )

  counted = { for name, counter in local.counters : name => "metric.type=\"logging.googleapis.com/user/${var.name}/${name}\" AND resource.type=\"${counter.resource}\"" }

  # A number stays above or below a limit. `missing`: no number is one too.
  thresholds = merge(
    !local.deployed ? {} : {
      seal-fails = {
        title   = "Log messages cannot be sealed", severity = "ERROR", filter = local.counted.failed_calls
        aligner = "ALIGN_SUM", period = 300, reducer = "REDUCE_SUM", comparison = "COMPARISON_GT", limit = 0, duration = 300, missing = null
        say     = "Calls of the seal function failed in two periods of five minutes. Its log says why. Messages come again; after a hundred attempts they stand in the subscription ${local.dead_letters}."
      }
      backlog = {
        title      = "Log messages wait to be sealed", severity = "ERROR"
        filter     = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=one_of(\"${var.name}-seal\", \"${var.name}-gather\")"
        aligner    = "ALIGN_MAX", period = 60, reducer = "REDUCE_MAX"
        comparison = "COMPARISON_GT", limit = var.alarm_after.backlog, duration = 60, missing = null
        say        = "The oldest message is older than ${var.alarm_after.backlog} seconds. Nothing is lost for 31 days."
      }
      dead-letters = {
        title      = "Log messages were put aside", severity = "ERROR"
        filter     = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${local.dead_letters}\""
        aligner    = "ALIGN_MAX", period = 60, reducer = "REDUCE_MAX"
        comparison = "COMPARISON_GT", limit = 0, duration = 60, missing = null
        say        = "Pull them within 31 days (gcloud pubsub subscriptions pull ${local.dead_letters}), mend what they say, and seal them with countersign seal --chain ${local.seal_chain}."
      }
      anchor-fails = {
        title   = "Anchor runs fail", severity = "ERROR", filter = local.counted.anchor_fails
        aligner = "ALIGN_SUM", period = 1800, reducer = "REDUCE_SUM", comparison = "COMPARISON_GT", limit = 2, duration = 0, missing = null
        say     = "More than two runs in half an hour failed: heads of this cloud are not published, or those of the others not countersigned. The log of ${var.name}-anchor says why."
      }
    },
    !local.verifies ? {} : {
      # A metric may be absent for 23.5 hours at most in Google's own absence
      # condition, which is less than a day.
      verify-missing = {
        title   = "No verification has run", severity = "ERROR", filter = local.counted.verify_runs
        aligner = "ALIGN_SUM", period = var.alarm_after.verify, reducer = "REDUCE_SUM", comparison = "COMPARISON_LT", limit = 1, duration = 60, missing = "EVALUATION_MISSING_DATA_ACTIVE"
        say     = "For ${var.alarm_after.verify} seconds no verification came to a verdict. See the job ${var.name}-verify and its service's log."
      }
    },
  )

  absences = !local.deployed ? {} : {
    anchor-missing = {
      title = "No anchor run has ended", severity = "ERROR", filter = local.counted.anchor_runs, duration = var.alarm_after.anchor
      say   = "For ${var.alarm_after.anchor} seconds nothing was published or countersigned here. See the job ${var.name}-anchor and its service's log."
    }
  }

  sealed_pattern = join("|", [for bucket in sort(concat(values(local.buckets), local.gathers ? [local.arrivals_bucket] : [])) : bucket])

  # One line is enough.
  matches = merge(
    !local.deployed ? {} : {
      contradiction = {
        title = "A chain contradicts itself", severity = "CRITICAL", filter = "${local.lines.anchor} AND jsonPayload.Conflicts>=1"
        say   = "A chain shows a history that differs from what was seen of it before. Both heads are kept under evidence/. Run countersign verify, and keep the stores as they are."
      }
      logging-changed = {
        title = "The log sink or what is logged was changed", severity = "CRITICAL"
        filter = join(" AND ", [
          "log_id(\"cloudaudit.googleapis.com/activity\")",
          "((protoPayload.serviceName=\"logging.googleapis.com\" AND protoPayload.methodName=~\"(UpdateSink|DeleteSink|CreateExclusion|UpdateExclusion|UpdateSettings|UpdateBucket)$\") OR (protoPayload.methodName=~\"SetIamPolicy$\" AND protoPayload.serviceData.policyDelta.auditConfigDeltas.action:*))",
        ])
        say = "From here on logs may be missing. The entry says who did it."
      }
      store-changed = {
        title = "A store's settings or its access were changed", severity = "CRITICAL"
        filter = join(" AND ", [
          "log_id(\"cloudaudit.googleapis.com/activity\")",
          "protoPayload.serviceName=\"storage.googleapis.com\"",
          "protoPayload.methodName=~\"^storage\\.(buckets\\.(update|patch|delete|lockRetentionPolicy|relocate)|setIamPermissions)$\"",
          "resource.labels.bucket_name=~\"^(${local.sealed_pattern})$\"",
        ])
        say = "Retention, versioning, lifecycle or access of a bucket that holds sealed records or heads was changed. Run countersign doctor."
      }
      guard-changed = {
        title = "What runs or guards the sealing was changed", severity = "ERROR"
        filter = join(" AND ", [
          "log_id(\"cloudaudit.googleapis.com/activity\")",
          "(${join(" OR ", [
            # Functions, schedules, subscriptions.
            "(protoPayload.serviceName=\"run.googleapis.com\" AND protoPayload.methodName=~\"(ReplaceService|UpdateService|DeleteService|SetIamPolicy)$\" AND protoPayload.resourceName:\"/services/${var.name}-\")",
            "(protoPayload.serviceName=\"cloudscheduler.googleapis.com\" AND protoPayload.methodName=~\"(PauseJob|UpdateJob|DeleteJob)$\" AND protoPayload.resourceName:\"/jobs/${var.name}-\")",
            "(protoPayload.serviceName=\"pubsub.googleapis.com\" AND protoPayload.methodName=~\"(DeleteTopic|DeleteSubscription|UpdateSubscription|ModifyPushConfig|Seek)$\" AND protoPayload.resourceName=~\"/(topics|subscriptions)/${var.name}-\")",
            # Roles, the ways in, keys, the lien.
            "(protoPayload.serviceName=\"iam.googleapis.com\" AND protoPayload.methodName=~\"(UpdateRole|DeleteRole|CreateServiceAccountKey|UpdateWorkloadIdentityPoolProvider|CreateWorkloadIdentityPoolProvider)$\" AND protoPayload.resourceName=~\"(/roles/${replace(var.name, "-", "_")}_|${var.name}-|/workloadIdentityPools/)\")",
            "(protoPayload.serviceName=\"secretmanager.googleapis.com\" AND protoPayload.methodName=~\"(AddSecretVersion|DisableSecretVersion|DestroySecretVersion|DeleteSecret|SetIamPolicy)$\" AND protoPayload.resourceName:\"/secrets/${var.name}-\")",
            "(protoPayload.serviceName=\"cloudkms.googleapis.com\" AND protoPayload.methodName=~\"(UpdateCryptoKeyVersion|DestroyCryptoKeyVersion|SetIamPolicy)$\" AND protoPayload.resourceName:\"/keyRings/${var.name}/\")",
            "(protoPayload.serviceName=\"cloudresourcemanager.googleapis.com\" AND protoPayload.methodName=~\"(DeleteLien|DeleteProject)$\")",
          ])})",
        ])
        say = "A deployment of yours does this too. If it was none, the entry says who did it."
      }
    },
    !local.verifies ? {} : {
      not-verified = {
        title  = "A verification failed or is incomplete", severity = "CRITICAL"
        filter = "${local.lines.verify} AND (jsonPayload.Failed>=1 OR jsonPayload.Incomplete>=1)"
        say    = "The mailed report, and the one under reports/, say which check failed and what to do next."
      }
      verify-fails = {
        title = "A verification could not be done or told", severity = "ERROR", filter = local.failed_job.verify
        say   = "The log of ${var.name}-verify says why."
      }
    },
  )

  channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  # Audit entries about a folder's or organization's sinks stand there, and alerts
  # see this project's entries alone.
  watched_elsewhere = local.deployed && var.source_logs.scope != "project"
}

resource "google_monitoring_notification_channel" "email" {
  for_each = local.deployed ? var.alarm_emails : []

  project      = var.project_id
  display_name = "${var.name}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "this" {
  for_each = local.counters

  project = var.project_id
  name    = "${var.name}/${each.key}"
  filter  = each.value.filter

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.thresholds

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter                  = each.value.filter
      comparison              = each.value.comparison
      threshold_value         = each.value.limit
      duration                = "${each.value.duration}s"
      evaluation_missing_data = each.value.missing

      aggregations {
        alignment_period     = "${each.value.period}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.say
  }

  depends_on = [google_logging_metric.this]
}

resource "google_monitoring_alert_policy" "absence" {
  for_each = local.absences

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    condition_absent {
      filter   = each.value.filter
      duration = "${each.value.duration}s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.say
  }

  depends_on = [google_logging_metric.this]
}

resource "google_monitoring_alert_policy" "match" {
  for_each = local.matches

  project               = var.project_id
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    condition_matched_log {
      filter = each.value.filter
    }
  }

  alert_strategy {
    auto_close = "604800s"

    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.say
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_folder_sink" "watch" {
  count = local.watched_elsewhere && var.source_logs.scope == "folder" ? 1 : 0

  folder           = local.source_id
  name             = "${var.name}-watch"
  description      = "Changes of what is logged, for the alarm."
  destination      = "logging.googleapis.com/projects/${var.project_id}"
  filter           = local.matches.logging-changed.filter
  include_children = true
}

resource "google_logging_organization_sink" "watch" {
  count = local.watched_elsewhere && var.source_logs.scope == "organization" ? 1 : 0

  org_id           = local.source_id
  name             = "${var.name}-watch"
  description      = "Changes of what is logged, for the alarm."
  destination      = "logging.googleapis.com/projects/${var.project_id}"
  filter           = local.matches.logging-changed.filter
  include_children = true
}

resource "google_project_iam_member" "watch" {
  count = local.watched_elsewhere ? 1 : 0

  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = concat(google_logging_folder_sink.watch[*].writer_identity, google_logging_organization_sink.watch[*].writer_identity)[0]
}
