mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  location = "westeurope"
}

run "an_unknown_lock_mode" {
  command = plan
  variables {
    lock_mode = "locked"
  }
  expect_failures = [var.lock_mode]
}

run "a_region_as_the_portal_shows_it" {
  command = plan
  variables {
    location = "West Europe"
  }
  expect_failures = [var.location]
}

run "a_name_that_no_vault_can_have" {
  command = plan
  variables {
    name = "counter--sign"
  }
  expect_failures = [var.name]
}

run "no_chain" {
  command = plan
  variables {
    chains     = {}
    seal_chain = "azure"
  }
  expect_failures = [var.chains]
}

run "a_chain_in_capitals" {
  command = plan
  variables {
    chains = { Azure = { retention_days = 1 } }
  }
  expect_failures = [var.chains]
}

run "a_retention_of_half_a_day" {
  command = plan
  variables {
    chains = { azure = { retention_days = 0.5 } }
  }
  expect_failures = [var.chains]
}

run "longer_than_azure_keeps" {
  command = plan
  variables {
    chains = { azure = { retention_days = 146001 } }
  }
  expect_failures = [var.chains]
}

run "cold_only_after_the_end" {
  command = plan
  variables {
    chains = { azure = { retention_days = 30, cold_after_days = 30 } }
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

run "a_subscription_by_name" {
  command = plan
  variables {
    source_logs = { subscriptions = ["production"] }
  }
  expect_failures = [var.source_logs]
}

run "no_logs_at_all" {
  command = plan
  variables {
    source_logs = { subscriptions = [] }
  }
  expect_failures = [var.source_logs]
}

run "an_auditor_by_mail" {
  command = plan
  variables {
    auditors = ["auditor@example.org"]
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

run "a_schedule_without_seconds" {
  command = plan
  variables {
    schedules = { anchor = "*/5 * * * *" }
  }
  expect_failures = [var.schedules]
}

run "memory_that_there_is_not" {
  command = plan
  variables {
    memory = { seal = 128 }
  }
  expect_failures = [var.memory]
}

run "logs_kept_too_short" {
  command = plan
  variables {
    log_retention_days = 7
  }
  expect_failures = [var.log_retention_days]
}

run "an_audience_that_is_no_uri" {
  command = plan
  variables {
    federation_audience = "countersign"
  }
  expect_failures = [var.federation_audience]
}

run "one_copy_of_the_account" {
  command = plan
  variables {
    replication = "NONE"
  }
  expect_failures = [var.replication]
}

run "the_longest_names_fit" {
  command = plan
  variables {
    name     = "a-prefix-of-20-chars"
    packages = { seal = "versions.tf", anchor = "versions.tf", verify = "versions.tf" }
    chains   = { a-name-of-16-cha = { retention_days = 1 } }
  }

  assert {
    condition     = length(output.store.account) == 24 && length(output.vault) <= 24 && can(regex("^[a-z0-9-]+$", output.vault)) && !strcontains(output.vault, "--")
    error_message = "The account and the vault have names of 24: ${output.store.account} ${output.vault}"
  }
  assert {
    condition     = alltrue([for account in azurerm_storage_account.host : can(regex("^[a-z0-9]{3,24}$", account.name))]) && alltrue([for app in output.functions : length(app) <= 60]) && length(output.event_hub.namespace) <= 50
    error_message = "So have the functions and the hub."
  }
}
