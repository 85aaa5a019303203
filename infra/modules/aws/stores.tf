# The sealed stores: a bucket for each chain.

resource "aws_s3_bucket" "sealed" {
  for_each = local.buckets

  bucket              = each.value
  object_lock_enabled = local.locked
  tags                = var.tags

  lifecycle {
    precondition {
      condition     = var.lock_mode != "compliance" || var.compliance_acknowledged
      error_message = <<-EOT
        lock_mode = "compliance" cannot be undone. Every object that is sealed stays until its retention ends
        (${jsonencode({ for chain, settings in var.chains : chain => "${settings.retention_days} days" })}): nobody can delete it or
        shorten its time, neither the root user nor AWS. The buckets cannot be removed before, and you pay for them
        until then; the only way out is closing the account. Set compliance_acknowledged = true if that is what you want.
      EOT
    }
    precondition {
      condition     = length(each.value) <= 63
      error_message = "The bucket's name ${each.value} has more than 63 characters: choose a shorter name."
    }
  }
}

# Destroying it is refused, and so is every plan that leaves "compliance" or takes a
# bucket away: the lock of a bucket cannot depend on a variable, this can.
resource "terraform_data" "locked_for_good" {
  for_each = var.lock_mode == "compliance" ? local.buckets : {}

  input = aws_s3_bucket.sealed[each.key].id

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "sealed" {
  for_each = local.buckets

  bucket = aws_s3_bucket.sealed[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

# Each object is put with a lock of its own; this is for what would be put without.
resource "aws_s3_bucket_object_lock_configuration" "sealed" {
  for_each = local.locked ? local.buckets : {}

  bucket = aws_s3_bucket.sealed[each.key].id

  rule {
    default_retention {
      mode = local.mode
      days = var.chains[each.key].retention_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.sealed]
}

resource "aws_s3_bucket_public_access_block" "sealed" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.sealed[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "sealed" {
  for_each = local.buckets

  bucket = aws_s3_bucket.sealed[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# With a key of one's own, whoever may delete that key could destroy every record.
resource "aws_s3_bucket_server_side_encryption_configuration" "sealed" {
  for_each = local.buckets

  bucket = aws_s3_bucket.sealed[each.key].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# Records go once their retention has ended, a day later so that no lock is in the
# way: `verify` counts them as expired. All else stays, since later records lean on
# it: the genesis, tiles, indexes, checkpoints, anchors.
resource "aws_s3_bucket_lifecycle_configuration" "sealed" {
  for_each = local.buckets

  bucket = aws_s3_bucket.sealed[each.key].id

  rule {
    id     = "expired"
    status = "Enabled"

    filter {
      prefix = "segments/"
    }

    # A marker hides them then; what a marker or a second version hides goes a
    # retention later, so that a hidden record can be brought back.
    expiration {
      days = var.chains[each.key].retention_days + 1
    }

    noncurrent_version_expiration {
      noncurrent_days = var.chains[each.key].retention_days + 1
    }
  }

  dynamic "rule" {
    for_each = var.chains[each.key].cold_after_days == null ? [] : [var.chains[each.key].cold_after_days]

    content {
      id     = "colder"
      status = "Enabled"

      filter {
        prefix = "segments/"
      }

      # Read at once, as verification needs it.
      transition {
        days          = rule.value
        storage_class = "GLACIER_IR"
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.sealed]
}

# What nobody may do, whatever his own permissions are.
resource "aws_s3_bucket_policy" "sealed" {
  for_each = local.buckets

  bucket = aws_s3_bucket.sealed[each.key].id
  policy = jsonencode(local.bucket_policies[each.key])

  depends_on = [aws_s3_bucket_public_access_block.sealed]
}

locals {
  bucket_policies = {
    for chain, arn in local.bucket_arns : chain => {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "NobodyDeletes"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteObjectTagging"]
          Resource  = "${arn}/*"
        },
        {
          Sid       = "NobodyOverwrites"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutObject"
          Resource  = "${arn}/*"
          Condition = { Null = { "s3:if-none-match" = "true" } }
        },
        {
          Sid       = "NobodyWeakensLocks"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:BypassGovernanceRetention", "s3:PutObjectLegalHold"]
          Resource  = "${arn}/*"
        },
        {
          Sid       = "NobodyChangesTheDefaultLock"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutBucketObjectLockConfiguration"
          Resource  = arn
        },
        {
          Sid       = "NobodyReplicatesIntoIt"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags", "s3:ObjectOwnerOverrideToBucketOwner"]
          Resource  = "${arn}/*"
        },
        {
          Sid       = "OnlyTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [arn, "${arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    }
  }
}

# Heads of chains and the witness's state: they move by compare-and-swap.
resource "aws_dynamodb_table" "heads" {
  name                        = local.heads
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  deletion_protection_enabled = local.locked
  tags                        = var.tags

  attribute {
    name = "pk"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = false # the key that AWS owns: no other can be taken away
  }
}

# Keys that sign and never leave. Seeds in Secrets Manager are made by `countersign
# init`, so that no state file holds them.
resource "aws_kms_key" "signer" {
  for_each = var.keys == "kms" ? local.signers : {}

  description              = "countersign: ${each.value}"
  customer_master_key_spec = "ECC_NIST_EDWARDS25519"
  key_usage                = "SIGN_VERIFY"
  deletion_window_in_days  = 30
  tags                     = var.tags
}

resource "aws_kms_alias" "signer" {
  for_each = var.keys == "kms" ? local.signers : {}

  name          = "alias/${each.value}"
  target_key_id = aws_kms_key.signer[each.key].key_id
}
