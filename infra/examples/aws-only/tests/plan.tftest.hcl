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
  trail  = { bucket = "trail" }
}

run "first_the_stores" {
  assert {
    condition     = startswith(output.settings, "domain = \"audit.example.org\"\n") && strcontains(output.settings, "[report]") && !strcontains(output.settings, "[mail]")
    error_message = "The settings are whole: ${output.settings}"
  }
  assert {
    condition     = contains(output.not_protected, "One cloud: no independent witness exists.")
    error_message = "One cloud is said to be one."
  }
}

run "mail_as_given" {
  command = plan
  variables {
    mail = { server = "smtp.example.org:587", user = "countersign", password_secret = "smtp", from = "countersign@example.org", to = ["security@example.org"] }
  }
  assert {
    condition     = strcontains(output.settings, "password = \"awssecret:smtp\"") && strcontains(output.settings, "to = [\"security@example.org\"]")
    error_message = "The password stays in its secret."
  }
}
