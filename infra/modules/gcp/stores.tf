# What stands behind a lock cannot be taken back. This marks it in the state, so
# that a plan that would leave compliance, or destroy the module, fails.
resource "terraform_data" "compliance" {
  count = var.lock_mode == "compliance" ? 1 : 0

  input = { for chain, bucket in local.sealed_buckets : bucket => var.chains[chain].retention_days }

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = var.compliance_acknowledged
      error_message = <<-EOT
        lock_mode = "compliance" locks the retention policies of ${join(", ", values(local.sealed_buckets))} for good:
        - No object can be deleted or replaced until its retention has ended: not by you, not by an administrator, not by Google.
        - A policy can be made longer, never shorter, and never removed. The buckets can be deleted only when they are empty, and the project only when they are gone.
        - Storage is paid for until then. Nothing of this can be undone by Terraform, by the console or by support.
        Where that is what you want, set compliance_acknowledged = true. To try things out, use "governance" or "off".
      EOT
    }
  }
}

resource "google_storage_bucket" "sealed" {
  for_each = var.chains

  project                     = var.project_id
  name                        = local.sealed_buckets[each.key]
  location                    = local.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = var.labels

  # With versions, a retained object could be made noncurrent and replaced.
  versioning {
    enabled = false
  }

  # What is removed after all leaves a trace and can be restored for a week.
  soft_delete_policy {
    retention_duration_seconds = 7 * 86400
  }

  dynamic "retention_policy" {
    for_each = var.lock_mode == "off" ? [] : [each.value.retention_days]

    content {
      retention_period = tostring(retention_policy.value * 86400)
      is_locked        = var.lock_mode == "compliance"
    }
  }

  # Segments hold the records. Genesis, indexes, tiles, checkpoints and anchors
  # are small, and without them an expired record looks like a missing one.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = each.value.retention_days + 1
      matches_prefix = ["segments/"]
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.cold_after_days == null ? [] : [each.value]

    content {
      action {
        type          = "SetStorageClass"
        storage_class = lifecycle_rule.value.cold_class
      }
      condition {
        age            = lifecycle_rule.value.cold_after_days
        matches_prefix = ["segments/"]
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.sealed_buckets[each.key]) <= 63
      error_message = "The bucket's name ${local.sealed_buckets[each.key]} has more than 63 characters: shorten name or the chain's."
    }
  }

  depends_on = [google_project_service.this, terraform_data.compliance]
}

# Heads move, so that this bucket has no retention. Replacing an object is
# deleting it to Cloud Storage: whoever may move a head may delete it. A deleted
# head stops its chain until it is restored; it forges nothing.
resource "google_storage_bucket" "heads" {
  project                     = var.project_id
  name                        = local.heads_bucket
  location                    = local.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = var.labels

  versioning {
    enabled = false
  }

  soft_delete_policy {
    retention_duration_seconds = 7 * 86400
  }

  depends_on = [google_project_service.this]
}
