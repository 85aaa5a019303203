mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google-beta" {
  source = "./tests/mocks-beta"
}

variables {
  project_id   = "audit-logs-4711"
  region       = "europe-west1"
  packages     = { seal = "versions.tf", anchor = "versions.tf", verify = "versions.tf" }
  alarm_emails = ["ops@example.org"]
}

run "every_alarm_reaches_the_people" {
  command = apply

  assert {
    condition = alltrue([for policy in concat(values(google_monitoring_alert_policy.threshold), values(google_monitoring_alert_policy.absence), values(google_monitoring_alert_policy.match)) :
      policy.notification_channels == tolist(["projects/audit-logs-4711/notificationChannels/1"]) && length(policy.documentation[0].content) > 20
    ])
    error_message = "Each alarm is mailed and says what to do."
  }
  assert {
    condition     = one([for channel in google_monitoring_notification_channel.email : channel.labels.email_address if channel.type == "email"]) == "ops@example.org"
    error_message = "To whom it was said."
  }
}

run "what_is_watched" {
  command = plan

  assert {
    condition     = toset(keys(google_monitoring_alert_policy.threshold)) == toset(["seal-fails", "backlog", "dead-letters", "anchor-fails", "verify-missing"]) && toset(keys(google_monitoring_alert_policy.match)) == toset(["contradiction", "logging-changed", "store-changed", "guard-changed", "not-verified", "verify-fails"]) && keys(google_monitoring_alert_policy.absence) == ["anchor-missing"]
    error_message = "Errors, dead letters, age, anchors, verifications, changes."
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.match : policy.alert_strategy[0].notification_rate_limit[0].period == "300s"])
    error_message = "Google asks for a rate limit of whatever matches lines."
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.threshold : policy.conditions[0].condition_threshold[0].aggregations[0].alignment_period != "0s"])
    error_message = "Numbers are gathered over a time."
  }
}

run "metrics_read_what_the_programs_tell" {
  command = plan

  assert {
    condition     = google_logging_metric.this["failed_calls"].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"countersign-seal\" AND jsonPayload.message=\"metrics\" AND jsonPayload.FailedCalls>=1"
    error_message = "Failed calls of seal."
  }
  assert {
    condition     = strcontains(google_logging_metric.this["anchor_runs"].filter, "jsonPayload.ChainsWitnessed>=0") && strcontains(google_logging_metric.this["verify_runs"].filter, "jsonPayload.Verified>=0")
    error_message = "A run is one that came to its end, whatever it found."
  }
  assert {
    condition     = alltrue([for name in ["seal-fails", "anchor-fails", "verify-missing"] : startswith(google_monitoring_alert_policy.threshold[name].conditions[0].condition_threshold[0].filter, "metric.type=\"logging.googleapis.com/user/countersign/")])
    error_message = "Alarms read these metrics."
  }
}

run "silence_is_an_alarm" {
  command = plan

  assert {
    condition     = google_monitoring_alert_policy.threshold["verify-missing"].conditions[0].condition_threshold[0].evaluation_missing_data == "EVALUATION_MISSING_DATA_ACTIVE" && google_monitoring_alert_policy.threshold["verify-missing"].conditions[0].condition_threshold[0].aggregations[0].alignment_period == "90000s"
    error_message = "A day and an hour without a verification."
  }
  assert {
    condition     = google_monitoring_alert_policy.absence["anchor-missing"].conditions[0].condition_absent[0].duration == "1800s"
    error_message = "Half an hour without an anchor run."
  }
}

run "changes_of_logs_and_stores_are_seen" {
  command = plan

  assert {
    condition     = alltrue([for method in ["UpdateSink", "DeleteSink", "CreateExclusion"] : length(regexall(method, google_monitoring_alert_policy.match["logging-changed"].conditions[0].condition_matched_log[0].filter)) > 0])
    error_message = "Sinks and exclusions."
  }
  assert {
    condition     = alltrue([for bucket in ["countersign-gcp-audit-logs-4711", "countersign-heads-audit-logs-4711"] : strcontains(google_monitoring_alert_policy.match["store-changed"].conditions[0].condition_matched_log[0].filter, bucket)])
    error_message = "Every bucket."
  }
  assert {
    condition     = can(regex("jsonPayload.Failed>=1 OR jsonPayload.Incomplete>=1", google_monitoring_alert_policy.match["not-verified"].conditions[0].condition_matched_log[0].filter))
    error_message = "Failed and incomplete alike."
  }
}

run "changes_of_what_runs_are_seen" {
  command = plan

  assert {
    condition = alltrue([for part in [
      "run.googleapis.com", "PauseJob", "DeleteSubscription", "/roles/countersign_", "UpdateWorkloadIdentityPoolProvider",
      "/secrets/countersign-", "/keyRings/countersign/", "DeleteLien",
    ] : strcontains(google_monitoring_alert_policy.match["guard-changed"].conditions[0].condition_matched_log[0].filter, part)])
    error_message = "Functions, schedules, subscriptions, roles, ways in, keys, the lien."
  }
  assert {
    condition     = startswith(google_monitoring_alert_policy.match["guard-changed"].conditions[0].condition_matched_log[0].filter, "log_id(\"cloudaudit.googleapis.com/activity\") AND ((")
    error_message = "Of the audit log alone: the alternatives stand in parentheses."
  }
}

run "alarms_without_people_are_said" {
  command = plan
  variables {
    alarm_emails = []
  }

  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "alarms reach nobody")]) == 1
    error_message = "It is said."
  }
}
