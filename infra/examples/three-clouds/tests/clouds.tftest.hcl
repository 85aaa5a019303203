mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/countersign-mock" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:111122223333:countersign-mock", url = "https://sqs.eu-central-1.amazonaws.com/111122223333/countersign-mock" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:countersign-alarms" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:countersign-mock" }
  }
  mock_resource "aws_iam_outbound_web_identity_federation" {
    defaults = { issuer_identifier = "https://11111111-2222-3333-4444-555555555555.tokens.sts.global.api.aws" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/sts.windows.net/11111111-2222-3333-4444-555555555555/" }
  }
}

mock_provider "azurerm" {
  source = "../../modules/azure/tests/mocks"
}

mock_provider "google" {
  source = "../../modules/gcp/tests/mocks"
}

mock_provider "google-beta" {
  source = "../../modules/gcp/tests/mocks-beta"
}

variables {
  domain   = "audit.example.org"
  packages = "tests/packages"
  aws      = { region = "eu-central-1", trail = { bucket = "trail" } }
  azure = {
    subscription_id     = "11111111-2222-3333-4444-555555555555"
    location            = "westeurope"
    federation_audience = "api://countersign"
  }
  gcp = { project_id = "audit-logs-4711", region = "europe-west1" }
}

run "three" {
  command = plan

  assert {
    condition     = join(" ", output.functions) == "aws-seal aws-anchor aws-verify azure-seal azure-anchor azure-verify gcp-seal gcp-anchor gcp-verify"
    error_message = "Nine functions."
  }
  assert {
    condition     = alltrue([for part in ["domain = \"audit.example.org\"\nscrub_days = 30\n\n", "[chain.aws]", "[chain.azure]", "[chain.gcp]", "[witness.aws]", "[witness.azure]", "[witness.gcp]"] : length(split(part, output.settings)) == 2]) && length(split("[report]", output.settings)) == 2 && !strcontains(output.settings, "[mail]")
    error_message = "The settings are whole: ${output.settings}"
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if can(regex("^(One|Two) cloud", sentence)) || can(regex("other cloud (may|reads)|reach no other", sentence))]) == 0
    error_message = "Every cloud has its witnesses: ${join("\n", output.not_protected)}"
  }
}

run "three_before_the_functions" {
  command = plan
  variables {
    packages = null
  }

  assert {
    condition     = length(split("[witness.", output.settings)) == 4
    error_message = "The settings need no functions."
  }
}

run "aws_and_azure" {
  command = plan
  variables {
    clouds = ["aws", "azure"]
    gcp    = null
  }

  assert {
    condition     = !strcontains(output.settings, "gcp") && length(split("[chain.", output.settings)) == 3
    error_message = "Google Cloud takes no part: ${output.settings}"
  }
  assert {
    condition     = output.chains == tolist(["aws", "azure"]) && length([for sentence in output.not_protected : sentence if startswith(sentence, "Two clouds")]) == 1
    error_message = "It is said what two clouds leave open."
  }
}

run "aws_and_google" {
  command = plan
  variables {
    clouds = ["aws", "gcp"]
    azure  = null
  }

  assert {
    condition     = !strcontains(output.settings, "azure") && length(split("[chain.", output.settings)) == 3
    error_message = "Azure takes no part: ${output.settings}"
  }
}

run "azure_and_google" {
  command = plan
  variables {
    clouds    = ["azure", "gcp"]
    report_in = "gcp"
    aws       = null
    mail      = { server = "smtp.example.org:587", user = "countersign", password_secret = "smtp", from = "audit@example.org", to = ["security@example.org"] }
  }

  assert {
    condition     = !strcontains(output.settings, "aws") && length(split("[chain.", output.settings)) == 3
    error_message = "AWS takes no part: ${output.settings}"
  }
  assert {
    condition = strcontains(output.settings, <<-EOT
      [report]
      chain = "gcp"
      key = "gcpsecret:projects/audit-logs-4711/secrets/countersign-report"
    EOT
    )
    error_message = "Google Cloud makes the report."
  }
  assert {
    condition = endswith(output.settings, <<-EOT
      [mail]
      server = "smtp.example.org:587"
      tls = "starttls"
      user = "countersign"
      password = "gcpsecret:projects/audit-logs-4711/secrets/smtp"
      from = "audit@example.org"
      to = ["security@example.org"]
      when = "weekly"
    EOT
    )
    error_message = "And mails it: ${output.settings}"
  }
}

run "aws_alone" {
  command = plan
  variables {
    clouds = ["aws"]
    azure  = null
    gcp    = null
  }

  assert {
    condition     = length(split("[chain.", output.settings)) == 2 && output.not_protected[0] == "One cloud: no independent witness countersigns its chains."
    error_message = "One cloud plans alone, and it is said what that leaves open."
  }
}

run "azure_alone" {
  command = plan
  variables {
    clouds    = ["azure"]
    report_in = "azure"
    aws       = null
    gcp       = null
  }

  assert {
    condition     = length(split("[chain.", output.settings)) == 2
    error_message = "One cloud plans alone."
  }
}

run "google_alone" {
  command = plan
  variables {
    clouds    = ["gcp"]
    report_in = "gcp"
    aws       = null
    azure     = null
  }

  assert {
    condition     = length(split("[chain.", output.settings)) == 2
    error_message = "One cloud plans alone."
  }
}

run "all_lock_alike" {
  command = plan
  variables {
    lock_mode      = "off"
    retention_days = 7
  }

  assert {
    condition     = length(split("lock_mode = \"off\"", output.settings)) == 4 && length(split("retention_days = 7\n", output.settings)) == 4
    error_message = "Each chain: ${output.settings}"
  }
}

run "a_cloud_without_its_values" {
  command = plan
  variables {
    gcp = null
  }
  expect_failures = [var.gcp]
}

run "a_report_of_a_cloud_that_takes_no_part" {
  command = plan
  variables {
    clouds = ["azure", "gcp"]
  }
  expect_failures = [var.report_in]
}

run "one_verifies" {
  command = plan
  variables {
    verify_in = ["aws"]
  }

  assert {
    condition     = join(" ", output.functions) == "aws-seal aws-anchor aws-verify azure-seal azure-anchor gcp-seal gcp-anchor" && length([for sentence in output.not_protected : sentence if strcontains(sentence, "no verification is scheduled")]) == 2
    error_message = "The others have no verification, and that is said: ${join("\n", output.not_protected)}"
  }
}

run "a_report_without_its_verification" {
  command = plan
  variables {
    verify_in = ["gcp"]
  }
  expect_failures = [var.verify_in]
}

run "no_cloud" {
  command = plan
  variables {
    clouds = ["oracle"]
  }
  expect_failures = [var.clouds]
}
