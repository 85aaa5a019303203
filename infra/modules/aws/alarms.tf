# Who is told when something fails, stops, or is switched off.

resource "aws_sns_topic" "alarms" {
  name = local.alarm_topic
  tags = var.tags
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = toset(var.alarm_emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = jsonencode(local.alarm_topic_policy)
}

locals {
  alarm_topic_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsAndRulesOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = local.topic_arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  }

  sum_above_zero = { statistic = "Sum", threshold = 0, comparison = "GreaterThanThreshold", missing = "notBreaching" }

  every_alarm = merge(
    {
      for job in keys(local.sizes) : "${job}-errors" => merge(local.sum_above_zero, {
        job         = job
        description = "The function ${job} failed; its log says why."
        namespace   = "AWS/Lambda"
        metric      = "Errors"
        dimensions  = { FunctionName = "${var.name}-${job}" }
        period      = 300
      })
    },
    {
      for job in ["anchor", "verify"] : "${job}-not-run" => {
        job         = job
        description = "The function ${job} was not called when it was due."
        namespace   = "AWS/Lambda"
        metric      = "Invocations"
        dimensions  = { FunctionName = "${var.name}-${job}" }
        statistic   = "Sum"
        threshold   = 1
        comparison  = "LessThanThreshold"
        missing     = "breaching"
        # A day of CloudWatch is the longest period.
        period = job == "anchor" ? 1800 : 86400
      }
    },
    {
      dead-letters = merge(local.sum_above_zero, {
        job         = "seal"
        description = "Deliveries could not be sealed and wait in the queue ${local.dead_queue}: seal them by hand within two weeks."
        namespace   = "AWS/SQS"
        metric      = "ApproximateNumberOfMessagesVisible"
        dimensions  = { QueueName = local.dead_queue }
        statistic   = "Maximum"
        period      = 300
      })
      backlog = merge(local.sum_above_zero, {
        job         = "seal"
        description = "Deliveries wait for over an hour to be sealed."
        namespace   = "AWS/SQS"
        metric      = "ApproximateAgeOfOldestMessage"
        dimensions  = { QueueName = local.queue }
        statistic   = "Maximum"
        threshold   = 3600
        period      = 300
      })
      conflicts = merge(local.sum_above_zero, {
        job         = "anchor"
        description = "A chain contradicts what was seen of it before: treat its history as rewritten, and run countersign verify."
        namespace   = "countersign"
        metric      = "Conflicts"
        period      = 300
      })
      verification = merge(local.sum_above_zero, {
        job         = "verify"
        description = "The verification failed: the evidence contradicts. The report says what."
        namespace   = "countersign"
        metric      = "Failed"
        period      = 3600
      })
      incomplete = merge(local.sum_above_zero, {
        job         = "verify"
        description = "The verification could not read all that it needs."
        namespace   = "countersign"
        metric      = "Incomplete"
        period      = 3600
      })
      anchor-age = merge(local.sum_above_zero, {
        job         = "verify"
        description = "The newest anchor of some pair of chain and witness is over two hours old."
        namespace   = "countersign"
        metric      = "AnchorAge"
        statistic   = "Maximum"
        threshold   = 7200
        period      = 3600
      })
    },
  )

  alarms = { for name, alarm in local.every_alarm : name => alarm if contains(keys(local.functions), alarm.job) }

  # Metrics of ours carry the chain, or the deployment's domain: all are looked at.
  own_alarms = { for name, alarm in local.alarms : name => alarm if alarm.namespace == "countersign" }
}

resource "aws_cloudwatch_metric_alarm" "platform" {
  for_each = { for name, alarm in local.alarms : name => alarm if alarm.namespace != "countersign" }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison
  treat_missing_data  = each.value.missing
  period              = each.value.period
  evaluation_periods  = 1
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "own" {
  for_each = local.own_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison
  treat_missing_data  = each.value.missing
  evaluation_periods  = 1
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  metric_query {
    id          = "all"
    expression  = "SELECT ${each.value.statistic == "Maximum" ? "MAX" : "SUM"}(${each.value.metric}) FROM countersign"
    period      = each.value.period
    return_data = true
  }
}

# Changes of what is logged and of what protects it, as CloudTrail tells them.
locals {
  watched_calls = {
    logging = {
      source = ["aws.cloudtrail"]
      events = ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "PutInsightSelectors"]
      match  = {}
    }
    stores = {
      source = ["aws.s3"]
      events = [
        "DeleteBucketPolicy", "PutBucketPolicy", "PutBucketVersioning", "PutBucketObjectLockConfiguration", "DeleteBucket",
        "PutBucketLifecycle", "PutBucketReplication", "PutBucketNotification", "DeleteBucketEncryption", "PutBucketPublicAccessBlock",
      ]
      match = { requestParameters = { bucketName = concat(values(local.buckets), [local.trail_bucket]) } }
    }
    functions = {
      source = ["aws.lambda"]
      events = [
        { prefix = "DeleteFunction" }, { prefix = "UpdateFunctionCode" }, { prefix = "UpdateFunctionConfiguration" },
        { prefix = "PutFunctionConcurrency" }, { prefix = "DeleteEventSourceMapping" }, { prefix = "UpdateEventSourceMapping" },
      ]
      match = {}
    }
    keys = {
      source = ["aws.kms", "aws.secretsmanager"]
      events = ["ScheduleKeyDeletion", "DisableKey", "DeleteSecret", "PutSecretValue", "UpdateSecret"]
      match  = {}
    }
  }
}

resource "aws_cloudwatch_event_rule" "watched" {
  for_each = local.watched_calls

  name        = "${var.name}-${each.key}-changed"
  description = "countersign: ${each.key} changed"
  tags        = var.tags
  event_pattern = jsonencode({
    source        = each.value.source
    "detail-type" = ["AWS API Call via CloudTrail"]
    detail        = merge({ eventName = each.value.events }, each.value.match)
  })
}

resource "aws_cloudwatch_event_target" "watched" {
  for_each = local.watched_calls

  rule = aws_cloudwatch_event_rule.watched[each.key].name
  arn  = aws_sns_topic.alarms.arn
}
