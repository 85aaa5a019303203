# From CloudTrail's files to the queue that the seal function takes from.

resource "aws_sqs_queue" "logs" {
  name                       = local.queue
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 6 * local.seal_timeout_seconds
  sqs_managed_sse_enabled    = true
  tags                       = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = 8
  })
}

# What could not be sealed. It waits here for a person, for two weeks.
resource "aws_sqs_queue" "dead" {
  name                      = local.dead_queue
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "logs" {
  queue_url = aws_sqs_queue.logs.id
  policy    = jsonencode(local.queue_policy)
}

locals {
  queue_policy = {
    Version = "2012-10-17"
    Statement = [
      var.trail.announced_by == "sns" ? {
        Sid       = "TheTopicSends"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arn
        Condition = { ArnEquals = { "aws:SourceArn" = [var.trail.topic_arn] } }
        } : {
        Sid       = "TheBucketSends"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arn
        Condition = { ArnEquals = { "aws:SourceArn" = [local.trail_bucket_arn] } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.queue_arn
        Condition = { Bool = { "aws:SecureTransport" = ["false"] } }
      },
    ]
  }
}

# The digests beside the files are passed over by the function itself.
resource "aws_s3_bucket_notification" "trail" {
  count = var.trail.announced_by == "bucket" ? 1 : 0

  bucket = var.trail.create ? aws_s3_bucket.trail[0].id : var.trail.bucket

  queue {
    id            = "${var.name}-seal"
    queue_arn     = aws_sqs_queue.logs.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = local.trail_prefix
    filter_suffix = ".json.gz"
  }

  depends_on = [aws_sqs_queue_policy.logs]
}

resource "aws_sns_topic_subscription" "logs" {
  count = var.trail.announced_by == "sns" ? 1 : 0

  topic_arn            = var.trail.topic_arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.logs.arn
  raw_message_delivery = false

  depends_on = [aws_sqs_queue_policy.logs]
}

# A trail of our own, where there is none.

locals {
  trail_name = "${var.name}-trail"
  trail_arn  = "arn:${local.partition}:cloudtrail:${local.region}:${local.account}:trail/${local.trail_name}"
  writers    = var.trail.organization ? ["${local.trail_bucket_arn}/${local.trail_prefix}*"] : ["${local.trail_bucket_arn}/${local.trail_prefix}${local.account}/*"]

  trail_bucket_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "CloudTrailLooks"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = [local.trail_bucket_arn]
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      },
      {
        Sid       = "CloudTrailWrites"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = local.writers
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn, "s3:x-amz-acl" = "bucket-owner-full-control" } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "s3:*"
        Resource  = [local.trail_bucket_arn, "${local.trail_bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  }
}

resource "aws_s3_bucket" "trail" {
  count = var.trail.create ? 1 : 0

  bucket = local.trail_bucket
  tags   = var.tags
}

resource "aws_s3_bucket_versioning" "trail" {
  count = var.trail.create ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "trail" {
  count = var.trail.create ? 1 : 0

  bucket                  = aws_s3_bucket.trail[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "trail" {
  count = var.trail.create ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "trail" {
  count = var.trail.create ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id

  rule {
    id     = "sealed-by-then"
    status = "Enabled"

    filter {}

    expiration {
      days = var.trail.retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = var.trail.retention_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.trail]
}

resource "aws_s3_bucket_policy" "trail" {
  count = var.trail.create ? 1 : 0

  bucket = aws_s3_bucket.trail[0].id
  policy = jsonencode(local.trail_bucket_policy)

  depends_on = [aws_s3_bucket_public_access_block.trail]
}

resource "aws_cloudtrail" "trail" {
  count = var.trail.create ? 1 : 0

  name                          = local.trail_name
  s3_bucket_name                = aws_s3_bucket.trail[0].id
  s3_key_prefix                 = var.trail.prefix == "" ? null : trimsuffix(var.trail.prefix, "/")
  is_multi_region_trail         = true
  is_organization_trail         = var.trail.organization
  include_global_service_events = true
  enable_log_file_validation    = true
  tags                          = var.tags

  advanced_event_selector {
    name = "management events"

    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }

  # Without the buckets that this module and the trail write: each write would be an
  # event, which would be written.
  dynamic "advanced_event_selector" {
    for_each = var.trail.data_events ? ["objects of S3"] : []

    content {
      name = advanced_event_selector.value

      field_selector {
        field  = "eventCategory"
        equals = ["Data"]
      }

      field_selector {
        field  = "resources.type"
        equals = ["AWS::S3::Object"]
      }

      field_selector {
        field           = "resources.ARN"
        not_starts_with = [for arn in concat(local.sealed_arns, [local.trail_bucket_arn]) : "${arn}/"]
      }
    }
  }

  depends_on = [aws_s3_bucket_policy.trail]
}
