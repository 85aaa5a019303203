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
}

variables {
  domain = "audit.example.org"
  region = "eu-central-1"
}

run "stores_before_the_functions" {
  variables {
    trail = { bucket = "trail" }
  }
  assert {
    condition     = startswith(output.settings, "domain = \"audit.example.org\"\n\n[chain.aws]\n") && strcontains(output.settings, "[witness.aws]") && strcontains(output.settings, "[report]")
    error_message = "The settings are whole: ${output.settings}"
  }
  assert {
    condition     = !strcontains(output.settings, "[mail]") && strcontains(join("", output.not_protected), "no functions yet")
    error_message = "There is no mail, and nothing is sealed yet."
  }
}

run "functions_from_a_folder" {
  variables {
    trail    = { bucket = "trail" }
    packages = "tests"
    mail     = { server = "smtp.example.org:587", user = "countersign", password_secret = "smtp", from = "audit@example.org", to = ["security@example.org"] }
  }
  assert {
    condition = endswith(output.settings, <<-EOT
      [mail]
      from = "audit@example.org"
      password = "awssecret:smtp"
      server = "smtp.example.org:587"
      tls = "starttls"
      to = ["security@example.org"]
      user = "countersign"
      when = "weekly"
    EOT
    )
    error_message = "Reports are mailed: ${output.settings}"
  }
  assert {
    condition     = strcontains(jsonencode(output.policies.identities.verify), ":secret:smtp-??????") && !strcontains(jsonencode(output.policies.identities.seal), ":secret:smtp")
    error_message = "Who mails may read the password, seal may not."
  }
  assert {
    condition     = !strcontains(join("", output.not_protected), "no functions yet") && strcontains(output.not_protected[0], "no independent witness")
    error_message = "What stays open with functions is said."
  }
}

run "a_new_trail" {
  variables {
    trail = { create = true }
  }
  assert {
    condition     = strcontains(jsonencode(output.policies.identities.seal), "arn:aws:s3:::countersign-trail-111122223333/AWSLogs/*")
    error_message = "seal reads the trail that is made."
  }
}

run "a_domain_is_lower_case" {
  command = plan
  variables {
    domain = "Audit"
    trail  = { bucket = "trail" }
  }
  expect_failures = [var.domain]
}
