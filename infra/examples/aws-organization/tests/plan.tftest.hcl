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

run "a_trail_of_the_organization_kept_for_years" {
  variables {
    data_events = true
  }
  assert {
    condition     = strcontains(output.settings, "[chain.audit]") && strcontains(output.settings, "retention_days = 2555")
    error_message = "The settings are whole: ${output.settings}"
  }
  assert {
    condition     = output.chains == tolist(["audit"])
    error_message = "One chain."
  }
}
