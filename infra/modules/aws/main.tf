data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

# Names and ARNs are put together here and not taken from the resources, so that a
# plan shows every policy whole.
locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  chain_names   = sort(keys(var.chains))
  seal_chain    = coalesce(var.seal_chain, local.chain_names[0])
  witness_chain = local.chain_names[0]

  buckets     = { for chain in local.chain_names : chain => "${var.name}-${chain}-${local.account}" }
  bucket_arns = { for chain, bucket in local.buckets : chain => "arn:${local.partition}:s3:::${bucket}" }

  heads     = "${var.name}-heads"
  heads_arn = "arn:${local.partition}:dynamodb:${local.region}:${local.account}:table/${local.heads}"

  # What signs: a name for each key, the same in Secrets Manager and as alias in KMS.
  signers = merge(
    { for chain in local.chain_names : "chain-${chain}" => "${var.name}-chain-${chain}" },
    { witness = "${var.name}-witness" },
    var.report ? { report = "${var.name}-report" } : {},
  )
  key_addresses = {
    for signer, name in local.signers :
    signer => var.keys == "kms" ? "awskms:alias/${name}" : "awssecret:${name}"
  }

  functions = var.packages == null ? {} : {
    for job, package in var.packages : job => package if package != null
  }

  trail_bucket     = var.trail.create ? "${var.name}-trail-${local.account}" : var.trail.bucket
  trail_bucket_arn = "arn:${local.partition}:s3:::${local.trail_bucket}"
  trail_prefix     = var.trail.prefix == "" ? "AWSLogs/" : "${trimsuffix(var.trail.prefix, "/")}/AWSLogs/"

  queue       = "${var.name}-logs"
  queue_arn   = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.queue}"
  dead_queue  = "${var.name}-logs-dead"
  alarm_topic = "${var.name}-alarms"
  topic_arn   = "arn:${local.partition}:sns:${local.region}:${local.account}:${local.alarm_topic}"

  locked = var.lock_mode != "off"
  mode   = var.lock_mode == "compliance" ? "COMPLIANCE" : "GOVERNANCE"
}
