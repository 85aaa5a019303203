# Who may do what. One role for each job; none may both write and delete, and none
# may change a lock.

locals {
  sealed_arns = values(local.bucket_arns)

  # What `verify` and `doctor` ask of a bucket's own settings.
  posture_actions = [
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
  ]

  read_objects = [
    {
      Sid      = "ReadSealed"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = [for arn in local.sealed_arns : "${arn}/*"]
    },
    {
      Sid      = "ListSealed"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = local.sealed_arns
    },
    {
      Sid      = "ReadHeads"
      Effect   = "Allow"
      Action   = ["dynamodb:GetItem"]
      Resource = [local.heads_arn]
    },
  ]
  read_settings = [
    {
      Sid      = "ReadLocks"
      Effect   = "Allow"
      Action   = ["s3:GetObjectRetention"]
      Resource = [for arn in local.sealed_arns : "${arn}/*"]
    },
    {
      Sid      = "ReadSettings"
      Effect   = "Allow"
      Action   = concat(["s3:ListBucketVersions"], local.posture_actions)
      Resource = local.sealed_arns
    },
  ]
  read_all = concat(local.read_objects, local.read_settings)

  # `folders` of the buckets of `chains`.
  put_statement = {
    for job, put in {
      seal   = { chains = [local.seal_chain], folders = ["segments"] }
      anchor = { chains = local.chain_names, folders = ["segments", "tile", "index", "checkpoints", "anchors", "evidence"] }
      verify = { chains = [local.witness_chain], folders = ["reports"] }
      } : job => {
      Sid      = "PutSealed"
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:PutObjectRetention"]
      Resource = flatten([for chain in put.chains : [for folder in put.folders : "${local.bucket_arns[chain]}/${folder}/*"]])
    }
  }

  # Items of the table by what their keys begin with.
  head_statement = {
    for job, prefixes in {
      seal   = ["head-*"]
      anchor = ["head-*", "witness-*", "outside-*"]
      verify = ["verification"]
      } : job => {
      Sid       = "MoveHeads"
      Effect    = "Allow"
      Action    = ["dynamodb:GetItem", "dynamodb:PutItem"]
      Resource  = [local.heads_arn]
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = prefixes } }
    }
  }

  job_signers = {
    seal   = ["chain-${local.seal_chain}"]
    anchor = concat([for chain in local.chain_names : "chain-${chain}"], ["witness"])
    verify = var.report ? ["report"] : []
  }
  sign_statements = {
    for job, signers in local.job_signers : job => length(signers) == 0 ? [] : [
      var.keys == "kms" ? {
        Sid      = "Sign"
        Effect   = "Allow"
        Action   = ["kms:GetPublicKey", "kms:Sign"]
        Resource = [for signer in signers : try(aws_kms_key.signer[signer].arn, "")]
        } : {
        Sid    = "ReadSeeds"
        Effect = "Allow"
        Action = ["secretsmanager:GetSecretValue"]
        # Secrets Manager adds a hyphen and six characters to each name.
        Resource = [for signer in signers : "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${local.signers[signer]}-??????"]
      }
    ]
  }

  mail_statements = var.mail_password_secret == null ? [] : [{
    Sid      = "ReadMailPassword"
    Effect   = "Allow"
    Action   = ["secretsmanager:GetSecretValue"]
    Resource = ["arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.mail_password_secret}-??????"]
  }]

  # Tokens for the other clouds, by the account's own issuer.
  token_statements = var.reach.azure == null ? [] : [{
    Sid      = "GetTokensForAzure"
    Effect   = "Allow"
    Action   = ["sts:GetWebIdentityToken"]
    Resource = ["*"]
    Condition = {
      "ForAllValues:StringEquals" = { "sts:IdentityTokenAudience" = ["api://AzureADTokenExchange"] }
    }
  }]

  log_statement = {
    for job in ["seal", "anchor", "verify"] : job => {
      Sid      = "WriteOwnLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${var.name}-${job}:*"]
    }
  }

  job_policies = {
    seal = concat(
      [
        local.put_statement.seal,
        {
          Sid      = "ReadOwnChain"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = ["${local.bucket_arns[local.seal_chain]}/*"]
        },
        {
          Sid      = "ListOwnChain"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = [local.bucket_arns[local.seal_chain]]
        },
        local.head_statement.seal,
        {
          Sid      = "ReadTrail"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:GetObjectVersion"]
          Resource = ["${local.trail_bucket_arn}/${local.trail_prefix}*"]
        },
        {
          Sid      = "TakeFromQueue"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
          Resource = [local.queue_arn]
        },
        local.log_statement.seal,
      ],
      var.trail.kms_key_arn == null ? [] : [{
        Sid      = "DecryptTrail"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.trail.kms_key_arn]
      }],
      local.sign_statements.seal,
    )
    anchor = concat(
      local.read_objects,
      [local.put_statement.anchor, local.head_statement.anchor, local.log_statement.anchor],
      local.sign_statements.anchor,
      local.mail_statements,
      local.token_statements,
    )
    verify = concat(
      local.read_all,
      [for statement in [local.put_statement.verify, local.head_statement.verify] : statement if var.report],
      [local.log_statement.verify],
      local.sign_statements.verify,
      local.mail_statements,
      local.token_statements,
    )
  }

  # Every policy of an identity, for tests and for who wants to read them.
  policies = merge(
    { for job, statements in local.job_policies : job => { Version = "2012-10-17", Statement = statements } },
    { for who in ["reader", "auditor"] : who => { Version = "2012-10-17", Statement = local.read_all } },
  )
}

resource "aws_iam_role" "job" {
  for_each = local.job_policies

  name        = "${var.name}-${each.key}"
  description = "countersign: the function ${each.key}"
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "job" {
  for_each = local.job_policies

  name   = each.key
  role   = aws_iam_role.job[each.key].id
  policy = jsonencode(local.policies[each.key])
}

# The functions of the other clouds, by the tokens of their own identities.

locals {
  azure_issuer = var.trusted.azure == null ? "" : "sts.windows.net/${var.trusted.azure.tenant_id}/"

  reader_trust = concat(
    var.trusted.azure == null ? [] : [{
      Effect    = "Allow"
      Principal = { Federated = "arn:${local.partition}:iam::${local.account}:oidc-provider/${local.azure_issuer}" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.azure_issuer}:aud" = var.trusted.azure.audience
          "${local.azure_issuer}:sub" = [var.trusted.azure.anchor_principal_id, var.trusted.azure.verify_principal_id]
        }
      }
    }],
    var.trusted.gcp == null ? [] : [{
      Effect    = "Allow"
      Principal = { Federated = "accounts.google.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "accounts.google.com:oaud" = "sts.amazonaws.com"
          "accounts.google.com:sub"  = [var.trusted.gcp.anchor_service_account_id, var.trusted.gcp.verify_service_account_id]
        }
      }
    }],
  )
  has_reader = length(local.reader_trust) > 0
}

resource "aws_iam_openid_connect_provider" "azure" {
  count = var.trusted.azure == null ? 0 : 1

  url            = "https://${local.azure_issuer}"
  client_id_list = [var.trusted.azure.audience]
  tags           = var.tags
}

resource "aws_iam_role" "reader" {
  count = local.has_reader ? 1 : 0

  name        = "${var.name}-reader"
  description = "countersign: the functions of the other clouds, which read"
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.reader_trust
  })

  depends_on = [aws_iam_openid_connect_provider.azure]
}

resource "aws_iam_role_policy" "reader" {
  count = local.has_reader ? 1 : 0

  name   = "read"
  role   = aws_iam_role.reader[0].id
  policy = jsonencode(local.policies.reader)
}

# One switch for the whole account.
resource "aws_iam_outbound_web_identity_federation" "account" {
  count = var.reach.azure != null && var.web_identity_issuer == null ? 1 : 0
}

# People.

resource "aws_iam_role" "auditor" {
  count = length(var.auditors) == 0 ? 0 : 1

  name        = "${var.name}-auditor"
  description = "countersign: people who verify"
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.auditors }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "auditor" {
  count = length(var.auditors) == 0 ? 0 : 1

  name   = "read"
  role   = aws_iam_role.auditor[0].id
  policy = jsonencode(local.policies.auditor)
}
