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

run "an_unknown_lock_mode" {
  command = plan
  variables {
    lock_mode = "locked"
  }
  expect_failures = [var.lock_mode]
}

run "a_name_that_no_bucket_can_have" {
  command = plan
  variables {
    name = "Countersign_"
  }
  expect_failures = [var.name]
}

run "a_bucket_name_that_is_too_long" {
  command = plan
  variables {
    project_id = "a-project-with-a-name-of-30-ch"
    name       = "a-prefix-of-20-chars"
    chains     = { a-name-of-16-cha = { retention_days = 1 } }
  }
  expect_failures = [google_storage_bucket.sealed]
}

run "no_chain" {
  command = plan
  variables {
    chains     = {}
    seal_chain = "gcp"
  }
  expect_failures = [var.chains]
}

run "a_chain_named_as_the_heads_are" {
  command = plan
  variables {
    chains = { heads = { retention_days = 1 } }
  }
  expect_failures = [var.chains]
}

run "a_retention_of_half_a_day" {
  command = plan
  variables {
    chains = { gcp = { retention_days = 0.5 } }
  }
  expect_failures = [var.chains]
}

run "cold_only_after_the_end" {
  command = plan
  variables {
    chains = { gcp = { retention_days = 30, cold_after_days = 30 } }
  }
  expect_failures = [var.chains]
}

run "a_chain_to_seal_that_is_none" {
  command = plan
  variables {
    seal_chain = "other"
  }
  expect_failures = [var.seal_chain]
}

run "an_organization_without_a_number" {
  command = plan
  variables {
    source_logs = { scope = "organization", id = "example.org" }
  }
  expect_failures = [var.source_logs]
}

run "data_access_of_a_folder" {
  command = plan
  variables {
    source_logs      = { scope = "folder", id = "123" }
    data_access_logs = { "storage.googleapis.com" = ["DATA_WRITE"] }
  }
  expect_failures = [var.data_access_logs]
}

run "data_access_of_no_kind" {
  command = plan
  variables {
    data_access_logs = { "storage.googleapis.com" = ["WRITE"] }
  }
  expect_failures = [var.data_access_logs]
}

run "an_auditor_who_is_everybody" {
  command = plan
  variables {
    auditors = ["allUsers"]
  }
  expect_failures = [var.auditors]
}

run "a_report_without_a_verification" {
  command = plan
  variables {
    report   = true
    packages = { seal = "versions.tf", anchor = "versions.tf" }
  }
  expect_failures = [var.report]
}

run "an_alarm_later_than_google_can_see" {
  command = plan
  variables {
    alarm_after = { verify = 172800 }
  }
  expect_failures = [var.alarm_after]
}

run "keys_that_there_are_not" {
  command = plan
  variables {
    keys = "hsm"
  }
  expect_failures = [var.keys]
}

run "a_file_an_hour" {
  command = plan
  variables {
    gather_seconds = 3600
  }
  expect_failures = [var.gather_seconds]
}
