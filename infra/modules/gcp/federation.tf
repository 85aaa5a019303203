# The other clouds' functions come in by tokens of their own clouds. No key exists.
locals {
  pool     = "${var.name}-readers"
  pool_ref = "projects/${local.number}/locations/global/workloadIdentityPools/${local.pool}"

  aws_roles = var.trusted.aws == null ? {} : {
    anchor = var.trusted.aws.anchor_role_name
    verify = var.trusted.aws.verify_role_name
  }
  azure_principals = var.trusted.azure == null ? {} : {
    anchor = var.trusted.azure.anchor_principal_id
    verify = var.trusted.azure.verify_principal_id
  }

  # A subject is a role's name or a principal's id, whatever the session.
  federated = merge(
    { for job, role in local.aws_roles : "aws ${job}" => role },
    { for job, principal in local.azure_principals : "azure ${job}" => principal },
  )
}

resource "google_iam_workload_identity_pool" "readers" {
  count = var.trusted.aws == null && var.trusted.azure == null ? 0 : 1

  project                   = var.project_id
  workload_identity_pool_id = local.pool
  display_name              = "${var.name} readers"
  description               = "Anchor and verify functions of the other clouds."

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "aws" {
  count = var.trusted.aws == null ? 0 : 1

  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.readers[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "aws"
  display_name                       = "AWS"

  attribute_mapping = {
    "google.subject" = "assertion.arn.extract('assumed-role/{role}/')"
  }
  attribute_condition = "assertion.account == '${var.trusted.aws.account_id}' && google.subject in ['${join("', '", values(local.aws_roles))}']"

  aws {
    account_id = var.trusted.aws.account_id
  }
}

resource "google_iam_workload_identity_pool_provider" "azure" {
  count = var.trusted.azure == null ? 0 : 1

  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.readers[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "azure"
  display_name                       = "Azure"

  attribute_mapping = {
    "google.subject" = "assertion.sub"
  }
  attribute_condition = "assertion.tid == '${var.trusted.azure.tenant_id}' && google.subject in ['${join("', '", values(local.azure_principals))}']"

  oidc {
    issuer_uri        = "https://sts.windows.net/${var.trusted.azure.tenant_id}/"
    allowed_audiences = [var.trusted.azure.audience]
  }
}

resource "google_service_account_iam_member" "federated" {
  for_each = local.federated

  service_account_id = google_service_account.this["reader"].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${local.pool_ref}/subject/${each.value}"

  depends_on = [google_iam_workload_identity_pool.readers]
}
