locals {
  key_names = merge(
    { for chain in keys(var.chains) : "chain-${chain}" => "${var.name}-chain-${chain}" },
    { witness = "${var.name}-witness" },
    var.report ? { report = "${var.name}-report" } : {},
  )

  key_ring = "projects/${var.project_id}/locations/${var.region}/keyRings/${var.name}"

  key_addresses = {
    for key, name in local.key_names : key => (
      var.keys == "kms"
      ? "gcpkms:${local.key_ring}/cryptoKeys/${name}/cryptoKeyVersions/1"
      : "gcpsecret:projects/${var.project_id}/secrets/${name}"
    )
  }

  mail_password = var.mail_password_secret == null ? null : "gcpsecret:projects/${var.project_id}/secrets/${var.mail_password_secret}"

  # Who signs with which key.
  key_users = merge(
    { "seal chain-${local.seal_chain}" = { identity = "seal", key = "chain-${local.seal_chain}" } },
    { for chain in keys(var.chains) : "anchor chain-${chain}" => { identity = "anchor", key = "chain-${chain}" } },
    { "anchor witness" = { identity = "anchor", key = "witness" } },
    var.report ? { "verify report" = { identity = "verify", key = "report" } } : {},
  )
}

# Empty: `countersign init` adds the one version, with a seed that it makes. So no
# seed is ever in Terraform's state.
resource "google_secret_manager_secret" "seed" {
  for_each = var.keys == "secret" ? local.key_names : {}

  project             = var.project_id
  secret_id           = each.value
  labels              = var.labels
  deletion_protection = true

  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}

resource "google_secret_manager_secret_iam_member" "key" {
  for_each = var.keys == "secret" ? local.key_users : {}

  project   = var.project_id
  secret_id = google_secret_manager_secret.seed[each.value.key].secret_id
  role      = local.role_names.secret_reader
  member    = local.members[each.value.identity]

  depends_on = [google_project_iam_custom_role.this, google_service_account.this]
}

resource "google_kms_key_ring" "this" {
  count = var.keys == "kms" ? 1 : 0

  project  = var.project_id
  name     = var.name
  location = var.region

  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "this" {
  for_each = var.keys == "kms" ? local.key_names : {}

  key_ring = google_kms_key_ring.this[0].id
  name     = each.value
  purpose  = "ASYMMETRIC_SIGN"
  labels   = var.labels

  # The longest that Cloud KMS leaves for second thoughts.
  destroy_scheduled_duration = "10368000s"

  version_template {
    algorithm        = "EC_SIGN_ED25519"
    protection_level = "SOFTWARE"
  }

  # A chain whose key is gone can never go on.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "key" {
  for_each = var.keys == "kms" ? local.key_users : {}

  crypto_key_id = google_kms_crypto_key.this[each.value.key].id
  role          = local.role_names.key_signer
  member        = local.members[each.value.identity]

  depends_on = [google_project_iam_custom_role.this, google_service_account.this]
}

# The password was made by a person; its name is all that Terraform knows.
resource "google_secret_manager_secret_iam_member" "mail" {
  for_each = var.mail_password_secret == null ? [] : toset(["anchor", "verify"])

  project   = var.project_id
  secret_id = var.mail_password_secret
  role      = local.role_names.secret_reader
  member    = local.members[each.key]

  depends_on = [google_project_iam_custom_role.this, google_service_account.this]
}
