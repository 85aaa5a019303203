# The diagram in infra/README.md says what the modules grant: compared for each
# cloud as the one that makes the report, where it grants the most.
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

run "google" {
  command = plan
  variables {
    report_in = "gcp"
  }

  assert {
    condition = sort(distinct(flatten([for grant in module.gcp[0].grants : concat(
      contains(grant.permissions, "storage.objects.get") ? ["${grant.identity} reads ${grant.store}"] : [],
      contains(grant.permissions, "storage.objects.create") ? [grant.store == "heads" ? "${grant.identity} moves heads" : "${grant.identity} creates ${join(" ", grant.prefixes)} sealed"] : [],
    )]))) == sort([for edge in regexall("(?m)^  (\\w+) -->\\|([^|]+)\\| (sealed|heads)\\b", file("../../README.md")) : join(" ", edge)])
    error_message = "The diagram and the grants of Google Cloud differ: ${jsonencode(module.gcp[0].grants)}"
  }
}

run "azure" {
  command = plan
  variables {
    report_in = "azure"
  }

  # Operators are people, who begin the chains.
  assert {
    condition = sort(distinct(flatten([for grant in module.azure[0].grants : [
      for verb, permission in { reads = "/blobs/read", creates = "/blobs/add/action", moves = "/blobs/write" } :
      "${grant.identity} ${verb}${verb == "creates" ? " ${join(" ", grant.prefixes)}" : ""} ${contains(values(module.azure[0].store.sealed), grant.on) ? "sealed" : "heads"}"
      if grant.identity != "operator" && grant.on != module.azure[0].store.dead_letters && anytrue([for granted in grant.permissions : endswith(granted, permission)])
    ]]))) == sort([for edge in regexall("(?m)^  (\\w+) -->\\|([^|]+)\\| (sealed|heads)\\b", file("../../README.md")) : join(" ", edge)])
    error_message = "The diagram and the grants of Azure differ: ${jsonencode(module.azure[0].grants)}"
  }
}

run "aws" {
  command = plan
  variables {
    report_in = "aws"
  }

  assert {
    condition = sort(distinct(flatten([for who, policy in module.aws[0].policies.identities : [for statement in policy.Statement : concat(
      contains(statement.Action, "s3:GetObject") && anytrue([for resource in statement.Resource : anytrue([for bucket in values(module.aws[0].buckets) : endswith(resource, ":${bucket}/*")])]) ? ["${who} reads sealed"] : [],
      contains(statement.Action, "s3:PutObject") ? ["${who} creates ${join(" ", [for resource in statement.Resource : "${split("/", resource)[1]}/"])} sealed"] : [],
      contains(statement.Action, "dynamodb:GetItem") ? ["${who} reads heads"] : [],
      contains(statement.Action, "dynamodb:PutItem") ? ["${who} moves heads"] : [],
    )]]))) == sort([for edge in regexall("(?m)^  (\\w+) -->\\|([^|]+)\\| (sealed|heads)\\b", file("../../README.md")) : join(" ", edge)])
    error_message = "The diagram and the policies of AWS differ: ${jsonencode(module.aws[0].policies.identities)}"
  }
}
