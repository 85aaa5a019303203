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
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/sts.windows.net/11111111-2222-3333-4444-555555555555/" }
  }
  mock_resource "aws_iam_outbound_web_identity_federation" {
    defaults = { issuer_identifier = "https://11111111-2222-3333-4444-555555555555.tokens.sts.global.api.aws" }
  }
}

mock_provider "azurerm" {
  source = "../../modules/azure/tests/mocks"
}

variables {
  domain = "audit.example.org"
  aws    = { region = "eu-central-1", trail = { bucket = "trail" } }
  azure  = { subscription_id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", location = "westeurope" }
}

run "plans_with_nothing_there" {
  command = plan

  assert {
    condition     = strcontains(output.settings, "[chain.aws]") && strcontains(output.settings, "[chain.azure]")
    error_message = "The settings are known before anything is made."
  }
}

run "stores_before_the_functions" {
  assert {
    condition = startswith(output.settings, "domain = \"audit.example.org\"\n\n[chain.aws]\n") && alltrue([
      for table in ["[witness.aws]", "[chain.azure]", "[witness.azure]", "[report]"] : length(split("\n${table}\n", output.settings)) == 2
    ])
    error_message = "The settings are whole, each table once: ${output.settings}"
  }
  assert {
    condition     = !strcontains(output.settings, "[mail]") && length([for sentence in output.not_protected : sentence if strcontains(sentence, "no functions")]) == 2
    error_message = "There is no mail, and nothing is sealed yet in either cloud."
  }
  assert {
    condition     = jsonencode(output.chains) == jsonencode(["aws", "azure"]) && jsonencode(output.functions) == jsonencode(["aws-seal", "aws-anchor", "aws-verify", "azure-seal", "azure-anchor", "azure-verify"])
    error_message = "Two chains, six functions."
  }
}

run "functions_from_a_folder" {
  variables {
    packages     = "tests"
    alarm_emails = ["security@example.org"]
    mail         = { server = "smtp.example.org:587", password_secret = "smtp", from = "audit@example.org", to = ["security@example.org"] }
  }

  assert {
    condition     = strcontains(output.settings, "password = \"awssecret:smtp\"") && endswith(output.settings, "when = \"weekly\"\n")
    error_message = "Reports are mailed: ${output.settings}"
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if can(regex("no functions|none countersigns|countersign none|alarms reach nobody", sentence))]) == 0 && strcontains(output.not_protected[0], "one witness")
    error_message = "Each cloud reads the other, and what two clouds leave open is said: ${join("\n", output.not_protected)}"
  }
}

run "who_comes_in_where" {
  variables {
    packages = "tests"
  }

  assert {
    condition = jsonencode(module.aws.policies.reader[0].Condition) == jsonencode({ StringEquals = {
      "sts.windows.net/11111111-2222-3333-4444-555555555555/:aud" = "api://11111111-2222-3333-4444-555555555555/countersign"
      "sts.windows.net/11111111-2222-3333-4444-555555555555/:sub" = ["00000000-0000-0000-0000-0000000000b1", "00000000-0000-0000-0000-0000000000b1"]
    } })
    error_message = "AWS's reader is assumed by Azure's two functions, for our audience: ${jsonencode(module.aws.policies.reader)}"
  }
  assert {
    condition     = module.azure.reach.client_id == "00000000-0000-0000-0000-0000000000a1" && module.aws.reach.role_arn == "arn:aws:iam::111122223333:role/countersign-reader"
    error_message = "Both ways are told."
  }
  assert {
    condition     = module.aws.identity.issuer == "https://11111111-2222-3333-4444-555555555555.tokens.sts.global.api.aws"
    error_message = "AWS's tokens have the account's issuer."
  }
}

run "for_good" {
  command = plan
  variables {
    lock_mode               = "compliance"
    compliance_acknowledged = true
  }

  assert {
    condition     = length(split("lock_mode = \"compliance\"", output.settings)) == 3 && length([for sentence in output.not_protected : sentence if strcontains(sentence, "lock_mode")]) == 0
    error_message = "Both clouds lock for good."
  }
}

run "one_name_for_two_chains" {
  command = plan
  variables {
    azure = { subscription_id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", location = "westeurope", chains = { aws = { retention_days = 1 } } }
  }
  expect_failures = [var.azure]
}

run "a_domain_is_lower_case" {
  command = plan
  variables {
    domain = "Audit"
  }
  expect_failures = [var.domain]
}
