output "settings" {
  description = "The chains and the witness of this account, as tables of countersign.toml."
  value = join("\n", concat(
    [
      for chain in local.chain_names : <<-EOT
        [chain.${chain}]
        cloud = "aws"
        sealed = "s3://${local.buckets[chain]}?region=${local.region}"
        head = "dynamodb://${local.heads}?region=${local.region}"
        key = "${local.key_addresses["chain-${chain}"]}"
        retention_days = ${var.chains[chain].retention_days}
        lock_mode = "${var.lock_mode}"
        allow_empty = ${var.chains[chain].allow_empty}
      EOT
    ],
    [<<-EOT
      [witness.aws]
      cloud = "aws"
      key = "${local.key_addresses["witness"]}"
      state = "dynamodb://${local.heads}?region=${local.region}"
      sealed = "s3://${local.buckets[local.witness_chain]}?region=${local.region}"
      chain = "${local.witness_chain}"
    EOT
    ],
  ))
}

output "report_settings" {
  description = "The table [report] of countersign.toml, where this account's verification seals its reports; else empty."
  value       = !var.report ? "" : <<-EOT
    [report]
    chain = "${local.witness_chain}"
    key = "${local.key_addresses["report"]}"
    state = "dynamodb://${local.heads}?region=${local.region}"
  EOT
}

output "identity" {
  description = "Who the functions of this account are, for `trusted.aws` of the other clouds' modules."
  value = {
    account_id       = local.account
    issuer           = var.web_identity_federation ? aws_iam_outbound_web_identity_federation.account[0].issuer_identifier : var.web_identity_issuer
    anchor_role_arn  = "arn:${local.partition}:iam::${local.account}:role/${var.name}-anchor"
    verify_role_arn  = "arn:${local.partition}:iam::${local.account}:role/${var.name}-verify"
    anchor_role_name = "${var.name}-anchor"
    verify_role_name = "${var.name}-verify"
  }
}

output "reach" {
  description = "How the other clouds' functions get in, for `reach.aws` of their modules."
  value = {
    role_arn = "arn:${local.partition}:iam::${local.account}:role/${var.name}-reader"
    region   = local.region
  }
}

output "chains" {
  description = "The names of the chains."
  value       = local.chain_names
}

output "buckets" {
  description = "The sealed bucket of each chain."
  value       = local.buckets
}

output "heads_table" {
  description = "The table of heads."
  value       = local.heads
}

output "queue" {
  description = "The queue that the seal function takes from, for routes of your own."
  value       = { arn = local.queue_arn, url = aws_sqs_queue.logs.url, dead_letters = local.dead_queue }
}

output "alarm_topic_arn" {
  description = "Where alarms go."
  value       = local.topic_arn
}

output "auditor_role_arn" {
  description = "The role that auditors assume; null where none was named."
  value       = try(aws_iam_role.auditor[0].arn, null)
}

output "policies" {
  description = "The policy of each identity, and of each bucket."
  value = {
    identities = local.policies
    buckets    = local.bucket_policies
    reader     = local.reader_trust
  }
}

output "not_protected" {
  description = "What this configuration leaves open, in sentences."
  value = concat(
    var.lock_mode == "off" ? ["AWS: nothing is locked (lock_mode = \"off\"): sealed objects can be deleted once the bucket policy is changed."] : [],
    var.lock_mode == "governance" ? ["AWS: an administrator who changes the bucket policy and has s3:BypassGovernanceRetention can delete sealed objects (lock_mode = \"governance\")."] : [],
    length(var.alarm_emails) == 0 ? ["AWS: alarms reach nobody (alarm_emails is empty)."] : [],
    var.packages == null ? ["AWS: there are no functions yet: nothing is sealed (packages is null)."] : [],
    try(var.packages.verify, null) == null ? ["AWS: no verification is scheduled in this account."] : [],
    var.trail.announced_by == "nobody" ? ["AWS: nothing announces the trail's files to the queue (trail.announced_by = \"nobody\")."] : [],
  )
}
