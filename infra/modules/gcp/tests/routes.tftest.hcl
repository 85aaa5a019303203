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

run "without_packages_nothing_runs" {
  command = plan
  variables {
    packages = null
  }

  assert {
    condition = 0 == sum([
      length(google_cloud_run_v2_service.this), length(google_cloud_scheduler_job.this), length(google_pubsub_topic.logs),
      length(google_pubsub_subscription.seal), length(google_logging_project_sink.logs), length(google_storage_bucket.code),
      length(google_monitoring_alert_policy.threshold), length(google_monitoring_alert_policy.absence),
      length(google_monitoring_alert_policy.match), length(google_logging_metric.this), length(google_monitoring_notification_channel.email),
    ])
    error_message = "No functions, triggers, schedules, alarms."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "no functions")]) == 1
    error_message = "It is said that nothing runs."
  }
}

run "the_logs_of_the_project_reach_seal" {
  command = plan

  assert {
    condition     = google_logging_project_sink.logs[0].destination == "pubsub.googleapis.com/projects/audit-logs-4711/topics/countersign-logs" && google_pubsub_topic.logs[0].name == "countersign-logs" && google_logging_project_sink.logs[0].project == "audit-logs-4711"
    error_message = "The sink writes to the topic."
  }
  assert {
    condition     = alltrue([for log in ["activity", "data_access", "policy", "system_event"] : strcontains(google_logging_project_sink.logs[0].filter, "log_id(\"cloudaudit.googleapis.com/${log}\")")])
    error_message = "All audit logs."
  }
  assert {
    condition     = length(google_logging_folder_sink.logs) + length(google_logging_organization_sink.logs) == 0
    error_message = "One sink."
  }
  assert {
    condition     = google_pubsub_subscription.seal[0].dead_letter_policy[0].max_delivery_attempts == 100 && google_pubsub_subscription.seal[0].expiration_policy[0].ttl == "" && google_pubsub_subscription.seal[0].message_retention_duration == "2678400s"
    error_message = "What cannot be sealed is kept, put aside after a hundred attempts, and the subscription never expires."
  }
}

run "our_own_reads_and_writes_make_no_logs_without_end" {
  command = plan

  assert {
    condition     = alltrue([for identity in ["seal", "anchor", "verify", "reader"] : strcontains(google_logging_project_sink.logs[0].exclusions[0].filter, "\"countersign-${identity}@audit-logs-4711.iam.gserviceaccount.com\"")])
    error_message = "What the functions access is left out."
  }
  assert {
    condition     = startswith(google_logging_project_sink.logs[0].exclusions[0].filter, "log_id(\"cloudaudit.googleapis.com/data_access\") AND ")
    error_message = "Of data access alone: what they administer is sealed."
  }
  assert {
    condition     = !strcontains(google_logging_project_sink.logs[0].exclusions[0].filter, "bucket")
    error_message = "Others' access to our buckets is sealed."
  }
}

run "routes_are_closed_to_all_but_the_invoker" {
  command = apply

  assert {
    condition     = alltrue([for service in google_cloud_run_v2_service.this : service.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && service.invoker_iam_disabled != true])
    error_message = "Calls come from Google's own services, with a token."
  }
  assert {
    condition     = toset([for name, member in google_cloud_run_v2_service_iam_member.invoker : "${name} ${member.role} ${member.member}"]) == toset([for name in ["seal", "anchor", "verify"] : "${name} roles/run.invoker serviceAccount:countersign-invoker@audit-logs-4711.iam.gserviceaccount.com"])
    error_message = "One account calls, no allUsers."
  }
  assert {
    condition     = google_pubsub_subscription.seal[0].push_config[0].push_endpoint == google_cloud_run_v2_service.this["seal"].uri && google_pubsub_subscription.seal[0].push_config[0].oidc_token[0].audience == google_cloud_run_v2_service.this["seal"].uri && length(google_pubsub_subscription.seal[0].push_config[0].no_wrapper) == 0
    error_message = "The subscription pushes to seal, wrapped, with a token for it."
  }
  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.this : job.http_target[0].oidc_token[0].audience == job.http_target[0].uri && job.http_target[0].http_method == "POST" && job.retry_config[0].retry_count == 0])
    error_message = "Schedules call with a token for what they call."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.sink[0].member == google_logging_project_sink.logs[0].writer_identity && google_pubsub_topic_iam_member.sink[0].role == "roles/pubsub.publisher"
    error_message = "The sink may publish."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.dead_letters[0].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com" && google_pubsub_subscription_iam_member.dead_letters[0].role == "roles/pubsub.subscriber"
    error_message = "Pub/Sub may put messages aside."
  }
}

run "functions_are_the_packages" {
  command = plan

  assert {
    condition     = alltrue([for service in google_cloud_run_v2_service.this : service.template[0].containers[0].command == tolist(["./service"]) && service.template[0].containers[0].image == "scratch" && service.template[0].containers[0].base_image_uri == "europe-west1-docker.pkg.dev/serverless-runtimes/google-24/runtimes/osonly24" && service.template[0].scaling[0].min_instance_count == 0])
    error_message = "Cloud Run starts the program of the package, and stops it when idle."
  }
  assert {
    condition     = google_cloud_run_v2_service.this["anchor"].template[0].max_instance_request_concurrency == 1 && google_cloud_run_v2_service.this["anchor"].template[0].scaling[0].max_instance_count == 1
    error_message = "One anchor run at a time."
  }
  assert {
    condition     = { for env in google_cloud_run_v2_service.this["seal"].template[0].containers[0].env : env.name => env.value } == { COUNTERSIGN_SEAL_CHAIN = "gcp" }
    error_message = "Seal knows its chain and no way out."
  }
  assert {
    condition     = google_storage_bucket_object.package["seal"].name == "seal/${filesha256("versions.tf")}/versions.tf" && google_storage_bucket.code[0].public_access_prevention == "enforced"
    error_message = "A package's name follows its content, so that a new one is deployed."
  }
  assert {
    condition     = google_storage_bucket_iam_member.code[0].member == "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com" && google_storage_bucket_iam_member.code[0].role == "roles/storage.objectViewer"
    error_message = "Cloud Run's agent reads the packages, and writes none."
  }
  assert {
    condition     = { for job, it in google_cloud_scheduler_job.this : job => "${it.schedule} ${it.time_zone}" } == { anchor = "*/5 * * * * Etc/UTC", verify = "17 3 * * * Etc/UTC" }
    error_message = "Anchor every five minutes, verify every day."
  }
}

run "the_cloud_that_reports" {
  command = plan
  variables {
    report = true
  }

  assert {
    condition     = length([for env in google_cloud_run_v2_service.this["verify"].template[0].containers[0].env : env if env.name == "COUNTERSIGN_REPORT"]) == 0
    error_message = "It takes [report] from the settings."
  }
}

run "a_cloud_that_does_not_report" {
  command = plan

  assert {
    condition     = one([for env in google_cloud_run_v2_service.this["verify"].template[0].containers[0].env : env.value if env.name == "COUNTERSIGN_REPORT"]) == "off"
    error_message = "It leaves out [report], which is another cloud's."
  }
}

run "without_a_verification" {
  command = plan
  variables {
    packages = { seal = "versions.tf", anchor = "versions.tf" }
  }

  assert {
    condition     = toset(keys(google_cloud_run_v2_service.this)) == toset(["seal", "anchor"]) && toset(keys(google_cloud_scheduler_job.this)) == toset(["anchor"])
    error_message = "Another cloud verifies."
  }
  assert {
    condition     = length([for name in concat(keys(google_monitoring_alert_policy.threshold), keys(google_monitoring_alert_policy.match), keys(google_logging_metric.this)) : name if strcontains(name, "verif")]) == 0
    error_message = "And nobody waits for it here."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "no verification is scheduled")]) == 1
    error_message = "It is said."
  }
}

run "an_organization" {
  command = plan
  variables {
    source_logs      = { scope = "organization", id = "456" }
    data_access_logs = { "storage.googleapis.com" = ["DATA_WRITE", "DATA_READ"] }
  }

  assert {
    condition     = google_logging_organization_sink.logs[0].org_id == "456" && google_logging_organization_sink.logs[0].include_children && length(google_logging_project_sink.logs) == 0
    error_message = "One sink for all projects of it."
  }
  assert {
    condition     = google_logging_organization_sink.logs[0].exclusions[0].filter == local.own_access
    error_message = "Our own access is left out here too."
  }
  assert {
    condition     = google_logging_organization_sink.watch[0].destination == "logging.googleapis.com/projects/audit-logs-4711" && strcontains(google_logging_organization_sink.watch[0].filter, "DeleteSink") && google_project_iam_member.watch[0].role == "roles/logging.logWriter"
    error_message = "Changes of its sinks are sent to where the alarm sees them."
  }
  assert {
    condition     = toset([for config in google_organization_iam_audit_config.this["storage.googleapis.com"].audit_log_config : config.log_type]) == toset(["DATA_WRITE", "DATA_READ"]) && length(google_project_iam_audit_config.this) == 0
    error_message = "Data access is logged in the whole organization."
  }
}

run "a_folder" {
  command = plan
  variables {
    source_logs = { scope = "folder", id = "789", include_children = false }
  }

  assert {
    condition     = google_logging_folder_sink.logs[0].folder == "789" && !google_logging_folder_sink.logs[0].include_children && length(google_logging_folder_sink.watch) == 1
    error_message = "The folder's own logs."
  }
}

run "data_access_of_the_project" {
  command = plan
  variables {
    data_access_logs = { "storage.googleapis.com" = ["DATA_WRITE"] }
  }

  assert {
    condition     = one(google_project_iam_audit_config.this["storage.googleapis.com"].audit_log_config).log_type == "DATA_WRITE" && google_project_iam_audit_config.this["storage.googleapis.com"].project == "audit-logs-4711"
    error_message = "Data access is logged."
  }
}

run "entries_gathered_in_files" {
  command = apply
  variables {
    gather_seconds = 60
  }

  assert {
    condition     = google_pubsub_subscription.gather[0].cloud_storage_config[0].bucket == "countersign-arrivals-audit-logs-4711" && google_pubsub_subscription.gather[0].cloud_storage_config[0].max_duration == "60s" && length(google_pubsub_subscription.gather[0].push_config) == 0
    error_message = "Pub/Sub writes a file a minute."
  }
  assert {
    condition     = google_storage_notification.arrivals[0].bucket == "countersign-arrivals-audit-logs-4711" && google_storage_notification.arrivals[0].topic == "projects/audit-logs-4711/topics/countersign-arrivals" && google_storage_notification.arrivals[0].event_types == toset(["OBJECT_FINALIZE"])
    error_message = "The bucket announces them."
  }
  assert {
    condition     = google_pubsub_subscription.gather[0].topic == "projects/audit-logs-4711/topics/countersign-logs" && google_pubsub_subscription.seal[0].topic == "projects/audit-logs-4711/topics/countersign-arrivals"
    error_message = "Entries go to the bucket, announcements to seal."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.arrivals[0].member == "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
    error_message = "Cloud Storage may announce."
  }
  assert {
    condition     = google_storage_bucket_iam_member.arrivals[0].member == "serviceAccount:countersign-seal@audit-logs-4711.iam.gserviceaccount.com" && endswith(google_storage_bucket_iam_member.arrivals[0].role, "/countersign_arrival_reader")
    error_message = "Seal reads the files, no more."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.match["store-changed"].conditions[0].condition_matched_log[0].filter, "countersign-arrivals-audit-logs-4711") && length([for sentence in output.not_protected : sentence if strcontains(sentence, "60 seconds")]) == 1
    error_message = "The bucket is watched, and what it leaves open is said."
  }
}

run "entries_one_by_one" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.seal[0].topic == "projects/audit-logs-4711/topics/countersign-logs"
    error_message = "Each entry is pushed to seal."
  }
  assert {
    condition     = length(google_storage_bucket.arrivals) + length(google_pubsub_subscription.gather) + length(google_storage_notification.arrivals) + length(google_pubsub_topic.arrivals) == 0
    error_message = "Otherwise nothing is gathered."
  }
}
