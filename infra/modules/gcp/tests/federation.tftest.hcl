mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google-beta" {
  source = "./tests/mocks-beta"
}

variables {
  project_id = "audit-logs-4711"
  region     = "europe-west1"
  aws = {
    account_id       = "111122223333"
    anchor_role_name = "countersign-anchor"
    verify_role_name = "countersign-verify"
  }
  azure = {
    tenant_id           = "11111111-2222-3333-4444-555555555555"
    audience            = "api://countersign"
    anchor_principal_id = "aaaaaaaa-0000-0000-0000-000000000001"
    verify_principal_id = "aaaaaaaa-0000-0000-0000-000000000002"
  }
}

run "alone_nobody_comes_in" {
  command = plan

  assert {
    condition     = length(google_iam_workload_identity_pool.readers) + length(google_service_account_iam_member.federated) == 0
    error_message = "Without other clouds there is no way in."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "none countersigns")]) == 1
    error_message = "It is said that nobody countersigns."
  }
}

run "with_aws" {
  command = plan
  variables {
    trusted = { aws = var.aws }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.aws[0].aws[0].account_id == "111122223333" && length(google_iam_workload_identity_pool_provider.azure) == 0
    error_message = "The provider takes that account."
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.aws[0].attribute_condition == "assertion.account == '111122223333' && google.subject in ['countersign-anchor', 'countersign-verify']"
    error_message = "And of it two roles."
  }
  assert {
    condition     = toset([for member in google_service_account_iam_member.federated : member.member]) == toset([for role in ["countersign-anchor", "countersign-verify"] : "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/countersign-readers/subject/${role}"])
    error_message = "They become the reader."
  }
  assert {
    condition     = output.reach.provider_from.aws == "projects/123456789012/locations/global/workloadIdentityPools/countersign-readers/providers/aws" && output.reach.service_account == "countersign-reader@audit-logs-4711.iam.gserviceaccount.com"
    error_message = "AWS learns the way."
  }
}

run "with_azure" {
  command = plan
  variables {
    trusted = { azure = var.azure }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.azure[0].oidc[0].issuer_uri == "https://sts.windows.net/11111111-2222-3333-4444-555555555555/" && google_iam_workload_identity_pool_provider.azure[0].oidc[0].allowed_audiences == tolist(["api://countersign"])
    error_message = "The provider takes that tenant's tokens for our audience."
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.azure[0].attribute_condition == "assertion.tid == '11111111-2222-3333-4444-555555555555' && google.subject in ['aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-0000-0000-0000-000000000002']"
    error_message = "Of two principals."
  }
  assert {
    condition     = length(google_iam_workload_identity_pool_provider.aws) == 0 && output.reach.provider_from.azure == "projects/123456789012/locations/global/workloadIdentityPools/countersign-readers/providers/azure"
    error_message = "Nobody of AWS."
  }
}

run "with_both" {
  command = plan
  variables {
    trusted  = { aws = var.aws, azure = var.azure }
    packages = { seal = "versions.tf", anchor = "versions.tf", verify = "versions.tf" }
    reach = {
      aws   = { role_arn = "arn:aws:iam::111122223333:role/countersign-reader", region = "eu-central-1" }
      azure = { tenant_id = "11111111-2222-3333-4444-555555555555", client_id = "bbbbbbbb-0000-0000-0000-000000000001" }
    }
  }

  assert {
    condition     = length(google_service_account_iam_member.federated) == 4 && alltrue([for member in google_service_account_iam_member.federated : member.role == "roles/iam.workloadIdentityUser"])
    error_message = "Two functions of each."
  }
  assert {
    condition = alltrue([for job in ["anchor", "verify"] : { for env in google_cloud_run_v2_service.this[job].template[0].containers[0].env : env.name => env.value if env.name != "COUNTERSIGN_REPORT" } == {
      COUNTERSIGN_HOME               = "gcp"
      COUNTERSIGN_REACH_AWS_ROLE     = "arn:aws:iam::111122223333:role/countersign-reader"
      COUNTERSIGN_REACH_AWS_REGION   = "eu-central-1"
      COUNTERSIGN_REACH_AZURE_TENANT = "11111111-2222-3333-4444-555555555555"
      COUNTERSIGN_REACH_AZURE_CLIENT = "bbbbbbbb-0000-0000-0000-000000000001"
    }])
    error_message = "Anchor and verify learn the ways out."
  }
  assert {
    condition     = length([for sentence in output.not_protected : sentence if strcontains(sentence, "other cloud")]) == 0
    error_message = "Nothing is missing between the clouds."
  }
}

run "reach_of_one" {
  command = plan
  variables {
    packages = { seal = "versions.tf", anchor = "versions.tf" }
    reach    = { aws = { role_arn = "arn:aws:iam::111122223333:role/countersign-reader" } }
  }

  assert {
    condition     = { for env in google_cloud_run_v2_service.this["anchor"].template[0].containers[0].env : env.name => env.value } == { COUNTERSIGN_HOME = "gcp", COUNTERSIGN_REACH_AWS_ROLE = "arn:aws:iam::111122223333:role/countersign-reader" }
    error_message = "What is not given is not set."
  }
}

run "who_the_readers_are" {
  command = apply

  assert {
    condition     = output.identity == { anchor_service_account_id = "100000000000000000001", verify_service_account_id = "100000000000000000001", anchor_email = "countersign-anchor@audit-logs-4711.iam.gserviceaccount.com", verify_email = "countersign-verify@audit-logs-4711.iam.gserviceaccount.com" }
    error_message = "The others trust unique ids, which no new account of the same name gets."
  }
}
