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
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555", key_id = "11111111-2222-3333-4444-555555555555" }
  }
  mock_resource "aws_iam_outbound_web_identity_federation" {
    defaults = { issuer_identifier = "https://11111111-2222-3333-4444-555555555555.tokens.sts.global.api.aws" }
  }
}

variables {
  trail = { bucket = "trail" }
}

run "stores_alone_without_packages" {
  assert {
    condition     = length(aws_lambda_function.function) == 0 && length(aws_scheduler_schedule.job) == 0 && length(aws_cloudwatch_metric_alarm.platform) == 0
    error_message = "Without packages there are no functions, schedules or alarms."
  }
  assert {
    condition     = aws_s3_bucket.sealed["aws"].bucket == "countersign-aws-111122223333" && aws_s3_bucket.sealed["aws"].object_lock_enabled
    error_message = "The bucket is named after the account, and has Object Lock."
  }
  assert {
    condition     = output.settings == <<-EOT
      [chain.aws]
      cloud = "aws"
      sealed = "s3://countersign-aws-111122223333?region=eu-central-1"
      head = "dynamodb://countersign-heads?region=eu-central-1"
      key = "awssecret:countersign-chain-aws"
      retention_days = 365
      lock_mode = "governance"
      allow_empty = false

      [witness.aws]
      cloud = "aws"
      key = "awssecret:countersign-witness"
      state = "dynamodb://countersign-heads?region=eu-central-1"
      sealed = "s3://countersign-aws-111122223333?region=eu-central-1"
      chain = "aws"
    EOT
    error_message = "The settings are those of the resources: ${output.settings}"
  }
  assert {
    condition     = output.report_settings == "" && !strcontains(jsonencode(output.policies.identities.verify), "s3:PutObject")
    error_message = "A verification that seals no reports writes nothing."
  }
}

run "governance_by_default" {
  assert {
    condition     = one(aws_s3_bucket_object_lock_configuration.sealed["aws"].rule[0].default_retention).mode == "GOVERNANCE" && one(aws_s3_bucket_object_lock_configuration.sealed["aws"].rule[0].default_retention).days == 365
    error_message = "The default lock is GOVERNANCE for the retention of the chain."
  }
  assert {
    condition     = length(terraform_data.locked_for_good) == 0
    error_message = "Nothing is guarded as locked for good."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.sealed["aws"].rule[0].expiration[0].days > 365
    error_message = "Nothing expires before its lock ends."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.sealed["aws"].rule[0].filter[0].prefix == "segments/"
    error_message = "Records expire; what later records lean on does not."
  }
}

run "off_locks_nothing" {
  variables {
    lock_mode = "off"
  }
  assert {
    condition     = length(aws_s3_bucket_object_lock_configuration.sealed) == 0 && !aws_s3_bucket.sealed["aws"].object_lock_enabled && !aws_dynamodb_table.heads.deletion_protection_enabled
    error_message = "off is off."
  }
  assert {
    condition     = strcontains(join("", output.not_protected), "nothing is locked")
    error_message = "And it is said."
  }
}

run "compliance_must_be_meant" {
  command = plan
  variables {
    lock_mode = "compliance"
  }
  expect_failures = [aws_s3_bucket.sealed]
}

run "compliance_is_guarded" {
  command = plan
  variables {
    lock_mode               = "compliance"
    compliance_acknowledged = true
    chains                  = { audit = { retention_days = 2555 }, flow = { retention_days = 30, cold_after_days = 7 } }
  }
  assert {
    condition     = length(terraform_data.locked_for_good) == 2
    error_message = "Each bucket is guarded."
  }
  assert {
    condition     = one(aws_s3_bucket_object_lock_configuration.sealed["audit"].rule[0].default_retention).mode == "COMPLIANCE" && one(aws_s3_bucket_object_lock_configuration.sealed["audit"].rule[0].default_retention).days == 2555 && one(aws_s3_bucket_object_lock_configuration.sealed["flow"].rule[0].default_retention).days == 30
    error_message = "Each chain has its own retention."
  }
  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.sealed["flow"].rule) == 2 && aws_s3_bucket_lifecycle_configuration.sealed["flow"].rule[1].transition != null
    error_message = "Segments move to a colder class."
  }
}

run "functions_are_triggered_and_scheduled" {
  variables {
    packages = { seal = "tests/package.zip", anchor = "tests/package.zip", verify = "tests/package.zip" }
    report   = true
    reach = {
      azure = { tenant_id = "11111111-2222-3333-4444-555555555555", client_id = "66666666-7777-8888-9999-000000000000" }
      gcp   = { provider_from = { aws = "projects/1/locations/global/workloadIdentityPools/p/providers/aws" }, service_account = "reader@p.iam.gserviceaccount.com" }
    }
    alarm_emails = ["security@example.org"]
  }
  assert {
    condition     = aws_lambda_event_source_mapping.seal[0].event_source_arn == aws_sqs_queue.logs.arn && contains(aws_lambda_event_source_mapping.seal[0].function_response_types, "ReportBatchItemFailures")
    error_message = "The queue calls seal, and only what failed comes again."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.logs.redrive_policy).deadLetterTargetArn == aws_sqs_queue.dead.arn
    error_message = "What cannot be sealed goes to the dead-letter queue."
  }
  assert {
    condition     = aws_s3_bucket_notification.trail[0].bucket == "trail" && aws_s3_bucket_notification.trail[0].queue[0].filter_prefix == "AWSLogs/"
    error_message = "The trail's bucket announces its files."
  }
  assert {
    condition     = toset(keys(aws_scheduler_schedule.job)) == toset(["anchor", "verify"]) && aws_scheduler_schedule.job["anchor"].schedule_expression == "rate(5 minutes)"
    error_message = "anchor and verify are scheduled, seal is not."
  }
  assert {
    condition     = aws_lambda_function.function["anchor"].environment[0].variables["COUNTERSIGN_REACH_AZURE_TENANT"] == "11111111-2222-3333-4444-555555555555" && !contains(keys(aws_lambda_function.function["seal"].environment[0].variables), "COUNTERSIGN_REACH_AZURE_TENANT")
    error_message = "anchor reaches the other clouds, seal does not."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.function : function.architectures == tolist(["arm64"]) && function.runtime == "provided.al2023"])
    error_message = "The functions are arm64 programs."
  }
  assert {
    condition = toset(concat(keys(aws_cloudwatch_metric_alarm.platform), keys(aws_cloudwatch_metric_alarm.own))) == toset([
      "seal-errors", "anchor-errors", "verify-errors", "anchor-not-run", "verify-not-run", "dead-letters", "backlog", "conflicts", "verification", "incomplete", "anchor-age",
    ])
    error_message = "Everything that can fail or stop has its alarm."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.platform["verify-not-run"].treat_missing_data == "breaching"
    error_message = "Silence is an alarm."
  }
  assert {
    condition     = contains(jsondecode(aws_cloudwatch_event_rule.watched["logging"].event_pattern).detail.eventName, "StopLogging")
    error_message = "Switching the trail off is told."
  }
  assert {
    condition     = strcontains(output.report_settings, "key = \"awssecret:countersign-report\"")
    error_message = "The report has a key."
  }
  assert {
    condition     = length(aws_iam_outbound_web_identity_federation.account) == 1 && output.identity.issuer != null
    error_message = "Azure is reached by the account's issuer."
  }
}

run "another_cloud_reports" {
  variables {
    packages             = { seal = "tests/package.zip", anchor = "tests/package.zip", verify = "tests/package.zip" }
    mail_password_secret = "smtp"
  }
  assert {
    condition     = { for job, function in aws_lambda_function.function : job => lookup(function.environment[0].variables, "COUNTERSIGN_REPORT", "") } == { seal = "", anchor = "", verify = "off" }
    error_message = "verify leaves out [report], which is another cloud's."
  }
  assert {
    condition     = { for job, function in aws_lambda_function.function : job => lookup(function.environment[0].variables, "COUNTERSIGN_MAIL_PASSWORD", "") } == { seal = "", anchor = "awssecret:smtp", verify = "awssecret:smtp" }
    error_message = "The password comes from this account's secret."
  }
}

run "peers_may_read" {
  variables {
    trusted = {
      azure = { tenant_id = "11111111-2222-3333-4444-555555555555", audience = "api://countersign", anchor_principal_id = "a", verify_principal_id = "v" }
      gcp   = { anchor_service_account_id = "1", verify_service_account_id = "2" }
    }
  }
  assert {
    condition     = length(jsondecode(aws_iam_role.reader[0].assume_role_policy).Statement) == 2
    error_message = "Both clouds assume the reader."
  }
  assert {
    condition     = jsondecode(aws_iam_role.reader[0].assume_role_policy).Statement[0].Condition.StringEquals["sts.windows.net/11111111-2222-3333-4444-555555555555/:sub"] == ["a", "v"]
    error_message = "Azure's by the object ids of its two identities."
  }
  assert {
    condition     = jsondecode(aws_iam_role.reader[0].assume_role_policy).Statement[1].Condition.StringEquals["accounts.google.com:sub"] == ["1", "2"]
    error_message = "Google's by the unique ids of its two service accounts."
  }
}

run "one_peer_alone" {
  variables {
    trusted = { gcp = { anchor_service_account_id = "1", verify_service_account_id = "2" } }
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.azure) == 0 && length(jsondecode(aws_iam_role.reader[0].assume_role_policy).Statement) == 1
    error_message = "Azure is not trusted where it is not used."
  }
}

run "keys_in_kms" {
  variables {
    keys = "kms"
  }
  assert {
    condition     = toset(keys(aws_kms_key.signer)) == toset(["chain-aws", "witness"]) && aws_kms_key.signer["witness"].customer_master_key_spec == "ECC_NIST_EDWARDS25519"
    error_message = "A key for the chain, one for the witness."
  }
  assert {
    condition     = strcontains(output.settings, "key = \"awskms:alias/countersign-chain-aws\"") && !strcontains(jsonencode(output.policies.identities.seal), "secretsmanager")
    error_message = "The settings name them, and nobody reads seeds."
  }
}

run "a_trail_of_our_own" {
  variables {
    trail = { create = true, organization = true, data_events = true }
  }
  assert {
    condition     = aws_cloudtrail.trail[0].is_organization_trail && aws_cloudtrail.trail[0].is_multi_region_trail && aws_cloudtrail.trail[0].enable_log_file_validation
    error_message = "It is of all regions and accounts, with digests."
  }
  assert {
    condition     = contains(flatten([for selector in aws_cloudtrail.trail[0].advanced_event_selector[1].field_selector : selector.not_starts_with == null ? [] : selector.not_starts_with]), "arn:aws:s3:::countersign-aws-111122223333/")
    error_message = "What is sealed is no event of its own."
  }
  assert {
    condition     = aws_s3_bucket_notification.trail[0].queue[0].filter_prefix == "AWSLogs/"
    error_message = "Its bucket announces its files."
  }
}

run "a_topic_announces" {
  variables {
    trail = { bucket = "trail", announced_by = "sns", topic_arn = "arn:aws:sns:eu-central-1:111122223333:trail" }
  }
  assert {
    condition     = length(aws_s3_bucket_notification.trail) == 0 && aws_sns_topic_subscription.logs[0].topic_arn == "arn:aws:sns:eu-central-1:111122223333:trail"
    error_message = "The bucket's own notifications are left alone."
  }
}

run "eventbridge_announces" {
  variables {
    trail = { bucket = "trail", prefix = "org/", announced_by = "eventbridge" }
  }
  assert {
    condition     = length(aws_s3_bucket_notification.trail) == 0 && aws_cloudwatch_event_target.trail[0].arn == aws_sqs_queue.logs.arn
    error_message = "The bucket's own notifications are left alone."
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.trail[0].event_pattern).detail == { bucket = { name = ["trail"] }, object = { key = [{ wildcard = "org/AWSLogs/*.json.gz" }] } }
    error_message = "Only files of the trail come to the queue."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.logs.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:events:eu-central-1:111122223333:rule/countersign-trail-files"
    error_message = "Only that rule may send."
  }
}

run "nobody_announces" {
  variables {
    trail = { bucket = "trail", announced_by = "nobody" }
  }
  assert {
    condition     = length(jsondecode(aws_sqs_queue_policy.logs.policy).Statement) == 1 && strcontains(join("", output.not_protected), "nothing announces")
    error_message = "Nobody may send, and it is said."
  }
}

run "an_issuer_that_is_on_already" {
  variables {
    reach               = { azure = { tenant_id = "11111111-2222-3333-4444-555555555555", client_id = "66666666-7777-8888-9999-000000000000" } }
    web_identity_issuer = "https://1.tokens.sts.global.api.aws"
  }
  assert {
    condition     = length(aws_iam_outbound_web_identity_federation.account) == 0 && output.identity.issuer == "https://1.tokens.sts.global.api.aws"
    error_message = "The account's switch is left alone."
  }
}

run "auditors_read" {
  variables {
    auditors = ["arn:aws:iam::444455556666:role/auditor"]
  }
  assert {
    condition     = jsondecode(aws_iam_role.auditor[0].assume_role_policy).Statement[0].Principal.AWS == ["arn:aws:iam::444455556666:role/auditor"]
    error_message = "Those who are named, nobody else."
  }
}

run "wrong_values_are_refused" {
  command = plan
  variables {
    name         = "Countersign"
    lock_mode    = "COMPLIANCE"
    keys         = "hsm"
    architecture = "riscv"
    chains       = { Aws = { retention_days = 0 } }
    trail        = { bucket = "trail", announced_by = "sns" }
  }
  expect_failures = [var.name, var.lock_mode, var.keys, var.architecture, var.chains, var.trail]
}

run "only_a_chain_seals" {
  command = plan
  variables {
    seal_chain = "other"
  }
  expect_failures = [var.seal_chain]
}
