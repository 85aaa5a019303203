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

run "the_trail_of_the_organization" {
  variables {
    packages = "tests"
    auditors = ["arn:aws:iam::444455556666:role/audit"]
  }
  assert {
    condition     = strcontains(output.settings, "retention_days = 2555") && !strcontains(output.settings, "[mail]")
    error_message = "Records are kept for seven years: ${output.settings}"
  }
  assert {
    condition     = strcontains(jsonencode(output.policies.identities.seal), "arn:aws:s3:::countersign-trail-111122223333/AWSLogs/*")
    error_message = "seal reads the files of all accounts."
  }
  assert {
    condition     = output.auditor_role_arn != null
    error_message = "Auditors have a role."
  }
}

run "a_domain_is_lower_case" {
  command = plan
  variables {
    domain = "Audit"
  }
  expect_failures = [var.domain]
}
