mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google-beta" {
  source = "./tests/mocks-beta"
}

variables {
  project_id = "audit-logs-4711"
  region     = "europe-west1"
}

run "governance_is_the_default" {
  command = plan

  assert {
    condition     = google_storage_bucket.sealed["gcp"].retention_policy[0].retention_period == tostring(365 * 86400)
    error_message = "The bucket retains for as long as the chain."
  }
  assert {
    condition     = google_storage_bucket.sealed["gcp"].retention_policy[0].is_locked == false
    error_message = "Governance locks nothing for good."
  }
  assert {
    condition     = length(terraform_data.compliance) == 0
    error_message = "Only compliance is irreversible."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "not locked")]) == 1
    error_message = "It is said that the policy is not locked."
  }
}

run "off_locks_nothing" {
  command = plan
  variables {
    lock_mode = "off"
  }

  assert {
    condition     = length(google_storage_bucket.sealed["gcp"].retention_policy) == 0
    error_message = "Off has no retention policy."
  }
  assert {
    condition     = strcontains(output.settings, "lock_mode = \"off\"")
    error_message = "The programs must know that there is no lock."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "no lock")]) == 1
    error_message = "It is said that there is no lock."
  }
}

run "compliance_needs_to_be_acknowledged" {
  command = plan
  variables {
    lock_mode = "compliance"
  }

  expect_failures = [terraform_data.compliance]
}

run "compliance_locks" {
  command = plan
  variables {
    lock_mode               = "compliance"
    compliance_acknowledged = true
    chains                  = { gcp = { retention_days = 30 }, gcp-long = { retention_days = 2555 } }
  }

  assert {
    condition     = alltrue([for chain, days in { gcp = 30, gcp-long = 2555 } : google_storage_bucket.sealed[chain].retention_policy[0].is_locked && google_storage_bucket.sealed[chain].retention_policy[0].retention_period == tostring(days * 86400)])
    error_message = "Every chain's policy is locked at its own days."
  }
  assert {
    condition     = length(terraform_data.compliance) == 1
    error_message = "A plan that leaves compliance must meet something that may not be destroyed."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "lock_mode")]) == 0
    error_message = "Nothing is open about a locked policy."
  }
}

run "buckets_are_private_and_unversioned" {
  command = plan
  variables {
    chains = { gcp = { retention_days = 365 }, gcp-long = { retention_days = 2555, cold_after_days = 60 } }
  }

  assert {
    condition = alltrue([for bucket in concat(values(google_storage_bucket.sealed), [google_storage_bucket.heads]) :
      bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced" && !bucket.versioning[0].enabled &&
      bucket.soft_delete_policy[0].retention_duration_seconds >= 604800 && !bucket.force_destroy
    ])
    error_message = "Buckets: uniform access, no public access, no versions, soft delete, never emptied by Terraform."
  }
  assert {
    condition     = length(google_storage_bucket.heads.retention_policy) == 0
    error_message = "Heads must move."
  }
  assert {
    condition     = toset(values(output.sealed_buckets)) == toset(["countersign-gcp-audit-logs-4711", "countersign-gcp-long-audit-logs-4711"])
    error_message = "One bucket for each chain."
  }
}

run "records_are_removed_after_their_retention_only" {
  command = plan
  variables {
    chains = { gcp = { retention_days = 365 }, gcp-long = { retention_days = 2555, cold_after_days = 60 } }
  }

  assert {
    condition = alltrue(flatten([for chain, days in { gcp = 365, gcp-long = 2555 } : [
      for rule in google_storage_bucket.sealed[chain].lifecycle_rule :
      one(rule.action).type == "SetStorageClass" || (one(rule.condition).age > days && one(rule.condition).matches_prefix == tolist(["segments/"]))
    ]]))
    error_message = "Only segments are deleted, after their retention."
  }
  assert {
    condition     = [for rule in google_storage_bucket.sealed["gcp-long"].lifecycle_rule : one(rule.condition).age if one(rule.action).type == "SetStorageClass"] == [60]
    error_message = "Older segments move to a colder class where that is asked for."
  }
  assert {
    condition     = length(google_storage_bucket.sealed["gcp"].lifecycle_rule) == 1
    error_message = "And not otherwise."
  }
}

run "settings_are_what_the_programs_read" {
  command = plan
  variables {
    report   = true
    packages = { seal = "versions.tf", anchor = "versions.tf", verify = "versions.tf" }
  }

  assert {
    condition     = output.settings == <<-EOT
      [chain.gcp]
      cloud = "gcp"
      sealed = "gs://countersign-gcp-audit-logs-4711"
      head = "gs://countersign-heads-audit-logs-4711/gcp"
      key = "gcpsecret:projects/audit-logs-4711/secrets/countersign-chain-gcp"
      retention_days = 365
      lock_mode = "governance"
      allow_empty = false

      [witness.gcp]
      cloud = "gcp"
      key = "gcpsecret:projects/audit-logs-4711/secrets/countersign-witness"
      state = "gs://countersign-heads-audit-logs-4711/witness"
      sealed = "gs://countersign-gcp-audit-logs-4711"
      chain = "gcp"
    EOT
    error_message = "The settings: ${output.settings}"
  }
  assert {
    condition     = output.report_settings == <<-EOT
      [report]
      chain = "gcp"
      key = "gcpsecret:projects/audit-logs-4711/secrets/countersign-report"
      state = "gs://countersign-heads-audit-logs-4711/report"
    EOT
    error_message = "The report's settings: ${output.report_settings}"
  }
}

run "a_lien_guards_the_project" {
  command = plan

  assert {
    condition     = google_resource_manager_lien.this[0].parent == "projects/123456789012" && google_resource_manager_lien.this[0].restrictions == tolist(["resourcemanager.projects.delete"])
    error_message = "A lien refuses the project's deletion."
  }
}

run "a_lien_can_be_left_out" {
  command = plan
  variables {
    project_lien = false
  }

  assert {
    condition     = length(google_resource_manager_lien.this) == 0 && length([for sentence in output.not_protected : sentence if strcontains(sentence, "no lien")]) == 1
    error_message = "Without a lien it is said."
  }
}
