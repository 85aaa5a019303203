locals {
  seal_timeout_seconds = 300

  sizes = {
    seal   = { memory_mb = 256, timeout_seconds = local.seal_timeout_seconds }
    anchor = { memory_mb = 512, timeout_seconds = 300 }
    verify = { memory_mb = 1024, timeout_seconds = 900 }
  }

  # What is not in the settings: where a function runs, and how it gets elsewhere.
  environment = {
    for job in keys(local.sizes) : job => merge(
      {
        COUNTERSIGN_HOME = "aws"
        LOG_LEVEL        = "info"
      },
      job == "seal" ? { COUNTERSIGN_SEAL_CHAIN = local.seal_chain } : {},
      # The settings name one cloud's secret; here it is this account's.
      job == "seal" || var.mail_password_secret == null ? {} : {
        COUNTERSIGN_MAIL_PASSWORD = "awssecret:${var.mail_password_secret}"
      },
      # One cloud seals the reports: here the settings' [report] may be another's.
      job != "verify" || var.report ? {} : { COUNTERSIGN_REPORT = "off" },
      job == "seal" || var.reach.azure == null ? {} : {
        COUNTERSIGN_REACH_AZURE_TENANT = var.reach.azure.tenant_id
        COUNTERSIGN_REACH_AZURE_CLIENT = var.reach.azure.client_id
      },
      job == "seal" || var.reach.gcp == null ? {} : {
        COUNTERSIGN_REACH_GCP_PROVIDER        = var.reach.gcp.provider_from["aws"]
        COUNTERSIGN_REACH_GCP_SERVICE_ACCOUNT = var.reach.gcp.service_account
      },
    )
  }

  scheduled = { for job in keys(local.functions) : job => local.functions[job] if job != "seal" }
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_lambda_function" "function" {
  for_each = local.functions

  function_name    = "${var.name}-${each.key}"
  description      = "countersign: ${each.key}"
  role             = aws_iam_role.job[each.key].arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  filename         = each.value
  source_code_hash = filebase64sha256(each.value)
  memory_size      = local.sizes[each.key].memory_mb
  timeout          = local.sizes[each.key].timeout_seconds
  tags             = var.tags

  environment {
    variables = local.environment[each.key]
  }

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.job]
}

# Of a batch, only what failed comes again.
resource "aws_lambda_event_source_mapping" "seal" {
  count = var.packages == null ? 0 : 1

  event_source_arn                   = aws_sqs_queue.logs.arn
  function_name                      = aws_lambda_function.function["seal"].arn
  batch_size                         = 100
  maximum_batching_window_in_seconds = 5
  function_response_types            = ["ReportBatchItemFailures"]

  # Instances of one chain wait for each other.
  scaling_config {
    maximum_concurrency = 4
  }
}

resource "aws_iam_role" "scheduler" {
  count = length(local.scheduled) == 0 ? 0 : 1

  name        = "${var.name}-scheduler"
  description = "countersign: calls anchor and verify"
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  count = length(local.scheduled) == 0 ? 0 : 1

  name = "call"
  role = aws_iam_role.scheduler[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [for job in keys(local.scheduled) : "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}-${job}"]
    }]
  })
}

resource "aws_scheduler_schedule" "job" {
  for_each = local.scheduled

  name                = "${var.name}-${each.key}"
  description         = "countersign: ${each.key}"
  schedule_expression = var.schedules[each.key]

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.function[each.key].arn
    role_arn = aws_iam_role.scheduler[0].arn

    # The next run does what this one could not.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }
}

# A failed run is told by its alarm; running it twice more would tell it thrice.
resource "aws_lambda_function_event_invoke_config" "job" {
  for_each = local.scheduled

  function_name                = aws_lambda_function.function[each.key].function_name
  maximum_event_age_in_seconds = 300
  maximum_retry_attempts       = 0
}
