mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  location = "westeurope"
  packages = { seal = "versions.tf", anchor = "versions.tf", verify = "versions.tf" }
  aws = {
    issuer          = "https://11111111-2222-3333-4444-555555555555.tokens.sts.global.api.aws"
    anchor_role_arn = "arn:aws:iam::111122223333:role/countersign-anchor"
    verify_role_arn = "arn:aws:iam::111122223333:role/countersign-verify"
  }
  gcp = {
    anchor_service_account_id = "100000000000000000001"
    verify_service_account_id = "100000000000000000002"
  }
  into_aws = { role_arn = "arn:aws:iam::111122223333:role/countersign-reader", region = "eu-central-1" }
  into_gcp = {
    provider_from   = { aws = null, azure = "projects/123456789012/locations/global/workloadIdentityPools/countersign-readers/providers/azure" }
    service_account = "countersign-reader@audit-logs-4711.iam.gserviceaccount.com"
  }
}

run "alone_nobody_comes_in" {
  command = plan

  assert {
    condition     = length(azurerm_federated_identity_credential.reader) == 0
    error_message = "Without other clouds there is no way in."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "none countersigns them")]) == 1 && length([for sentence in output.not_protected : sentence if strcontains(sentence, "countersign none")]) == 1
    error_message = "Both are said."
  }
  assert {
    condition     = length([for name in keys(azurerm_function_app_flex_consumption.this["anchor"].app_settings) : name if startswith(name, "COUNTERSIGN_REACH")]) == 0
    error_message = "And no way out."
  }
}

run "with_aws" {
  command = plan
  variables {
    trusted = { aws = var.aws }
    reach   = { aws = var.into_aws }
  }

  assert {
    condition = { for name, credential in azurerm_federated_identity_credential.reader : name => "${credential.issuer} ${credential.subject} ${join(",", credential.audience)}" } == {
      aws-anchor = "${var.aws.issuer} ${var.aws.anchor_role_arn} api://AzureADTokenExchange"
      aws-verify = "${var.aws.issuer} ${var.aws.verify_role_arn} api://AzureADTokenExchange"
    }
    error_message = "Two roles come in by the account's own tokens."
  }
  assert {
    condition = { for name, value in azurerm_function_app_flex_consumption.this["verify"].app_settings : name => value if startswith(name, "COUNTERSIGN_REACH") } == {
      COUNTERSIGN_REACH_AWS_ROLE     = var.into_aws.role_arn
      COUNTERSIGN_REACH_AWS_REGION   = "eu-central-1"
      COUNTERSIGN_REACH_AWS_AUDIENCE = "api://11111111-2222-3333-4444-555555555555/countersign"
    }
    error_message = "And our functions get out."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "other cloud")]) == 0
    error_message = "Nothing is missing between the clouds."
  }
}

run "with_google" {
  command = plan
  variables {
    trusted             = { gcp = var.gcp }
    reach               = { gcp = var.into_gcp }
    federation_audience = "api://audit"
  }

  assert {
    condition = { for name, credential in azurerm_federated_identity_credential.reader : name => "${credential.issuer} ${credential.subject}" } == {
      gcp-anchor = "https://accounts.google.com 100000000000000000001"
      gcp-verify = "https://accounts.google.com 100000000000000000002"
    }
    error_message = "Two service accounts come in, by their unique ids."
  }
  assert {
    condition = { for name, value in azurerm_function_app_flex_consumption.this["anchor"].app_settings : name => value if startswith(name, "COUNTERSIGN_REACH") } == {
      COUNTERSIGN_REACH_GCP_PROVIDER        = "projects/123456789012/locations/global/workloadIdentityPools/countersign-readers/providers/azure"
      COUNTERSIGN_REACH_GCP_SERVICE_ACCOUNT = "countersign-reader@audit-logs-4711.iam.gserviceaccount.com"
      COUNTERSIGN_REACH_GCP_AUDIENCE        = "api://audit"
    }
    error_message = "And our functions get out."
  }
}

run "with_both" {
  command = plan
  variables {
    trusted = { aws = var.aws, gcp = var.gcp }
    reach   = { aws = var.into_aws, gcp = var.into_gcp }
  }

  assert {
    condition     = toset(keys(azurerm_federated_identity_credential.reader)) == toset(["aws-anchor", "aws-verify", "gcp-anchor", "gcp-verify"])
    error_message = "Two functions of each."
  }
  assert {
    condition     = length([for name in keys(azurerm_function_app_flex_consumption.this["anchor"].app_settings) : name if startswith(name, "COUNTERSIGN_REACH")]) == 6 && length([for name in keys(azurerm_function_app_flex_consumption.this["seal"].app_settings) : name if startswith(name, "COUNTERSIGN_REACH")]) == 0
    error_message = "Anchor and verify reach both; seal reaches nobody."
  }
}

run "who_the_readers_are" {
  command = apply

  assert {
    condition     = output.identity == { tenant_id = "11111111-2222-3333-4444-555555555555", audience = "api://11111111-2222-3333-4444-555555555555/countersign", anchor_principal_id = "00000000-0000-0000-0000-0000000000b1", verify_principal_id = "00000000-0000-0000-0000-0000000000b1" }
    error_message = "The others trust principals, which no new identity of the same name gets."
  }
  assert {
    condition     = output.reach == { tenant_id = "11111111-2222-3333-4444-555555555555", client_id = "00000000-0000-0000-0000-0000000000a1" }
    error_message = "They become the reader."
  }
}
