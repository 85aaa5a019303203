variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "countersign"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and hyphens, beginning with a letter: bucket names begin with it."
  }
}

variable "chains" {
  description = "The chains of this account by name, each with its own bucket and retention in days."
  type = map(object({
    retention_days = number
    # Days until objects move to a colder storage class that is read at once (GLACIER_IR); never where null.
    cold_after_days = optional(number)
    allow_empty     = optional(bool, false)
  }))
  default = { aws = { retention_days = 365 } }

  validation {
    condition     = length(var.chains) > 0
    error_message = "chains must name at least one chain."
  }
  validation {
    condition     = alltrue([for name in keys(var.chains) : can(regex("^[a-z][a-z0-9-]{0,15}$", name))])
    error_message = "Names of chains must be up to 16 lower-case letters, digits and hyphens, beginning with a letter."
  }
  validation {
    condition     = alltrue([for chain in var.chains : chain.retention_days >= 1 && chain.retention_days <= 36500 && floor(chain.retention_days) == chain.retention_days])
    error_message = "retention_days must be a whole number from 1 to 36500."
  }
}

variable "seal_chain" {
  description = "The chain that takes the logs; the first by name where null."
  type        = string
  default     = null

  validation {
    condition     = var.seal_chain == null || contains(keys(var.chains), coalesce(var.seal_chain, "-"))
    error_message = "seal_chain must be one of chains."
  }
}

variable "lock_mode" {
  description = "How firmly objects are locked: \"off\", \"governance\" (lifted only with a special permission), \"compliance\" (lifted by nobody)."
  type        = string
  default     = "governance"

  validation {
    condition     = contains(["off", "governance", "compliance"], var.lock_mode)
    error_message = "lock_mode must be \"off\", \"governance\" or \"compliance\"."
  }
}

variable "compliance_acknowledged" {
  description = "Must be true where lock_mode is \"compliance\": what is locked so cannot be undone."
  type        = bool
  default     = false
}

variable "keys" {
  description = "Where signing keys are: \"secret\" (seeds in Secrets Manager, made by `countersign init`) or \"kms\" (Ed25519 keys that never leave AWS KMS)."
  type        = string
  default     = "secret"

  validation {
    condition     = contains(["secret", "kms"], var.keys)
    error_message = "keys must be \"secret\" or \"kms\"."
  }
}

variable "packages" {
  description = "The functions' packages as scripts/build makes them; without them there are stores and identities alone. Without `verify` no verification is scheduled here."
  type = object({
    seal   = string
    anchor = string
    verify = optional(string)
  })
  default = null
}

variable "architecture" {
  description = "What the packages are built for: \"arm64\" or \"x86_64\"."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be \"arm64\" or \"x86_64\"."
  }
}

variable "trail" {
  description = <<-EOT
    Where CloudTrail's files are. An existing trail: its `bucket`, the `prefix` before AWSLogs/, the `kms_key_arn` that
    encrypts it, and `announced_by`: "bucket" (this module sets the bucket's notifications, all of them: those that stand
    there go), "eventbridge" (the bucket sends its events to EventBridge already), "sns" (the bucket announces to the
    topic `topic_arn` already), or "nobody" (route the queue in the output yourself).
    `create` makes a trail and its bucket: of all regions and validated, of the whole organization where `organization`.
    A second trail over the same events is billed.
  EOT
  type = object({
    create         = optional(bool, false)
    organization   = optional(bool, false)
    data_events    = optional(bool, false)
    retention_days = optional(number, 30)
    bucket         = optional(string)
    prefix         = optional(string, "")
    kms_key_arn    = optional(string)
    announced_by   = optional(string, "bucket")
    topic_arn      = optional(string)
  })

  validation {
    condition     = var.trail.create != (var.trail.bucket != null)
    error_message = "trail needs either create = true or the bucket of an existing trail."
  }
  validation {
    condition     = contains(["bucket", "eventbridge", "sns", "nobody"], var.trail.announced_by)
    error_message = "trail.announced_by must be \"bucket\", \"eventbridge\", \"sns\" or \"nobody\"."
  }
  validation {
    condition     = (var.trail.announced_by == "sns") == (var.trail.topic_arn != null)
    error_message = "trail.topic_arn goes with announced_by = \"sns\"."
  }
  validation {
    condition     = !(var.trail.create && var.trail.announced_by != "bucket")
    error_message = "A trail that is created is announced by its bucket."
  }
  validation {
    condition     = var.trail.create || !(var.trail.organization || var.trail.data_events)
    error_message = "trail.organization and trail.data_events are of a trail that is created."
  }
}

variable "trusted" {
  description = "Identities of the other clouds that read this one: the output `identity` of their modules."
  type = object({
    azure = optional(object({
      tenant_id           = string
      audience            = string
      anchor_principal_id = string
      verify_principal_id = string
    }))
    gcp = optional(object({
      anchor_service_account_id = string
      verify_service_account_id = string
    }))
  })
  default = {}
}

variable "reach" {
  description = "How the functions get into the other clouds: the output `reach` of their modules."
  type = object({
    azure = optional(object({
      tenant_id = string
      client_id = string
    }))
    gcp = optional(object({
      provider_from   = map(string)
      service_account = string
    }))
  })
  default = {}
}

variable "web_identity_issuer" {
  description = "Issuer of the account's outbound web identity federation (https://….tokens.sts.global.api.aws), where it is on already. Where null and Azure is to be reached, this module switches it on, for the whole account, and off again when it is destroyed."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^https://", coalesce(var.web_identity_issuer, "https://")))
    error_message = "web_identity_issuer must begin with https://."
  }
}

variable "schedules" {
  description = "When anchor and verify run: expressions of EventBridge Scheduler. An alarm tells when half an hour passes without the one, or a day without the other."
  type = object({
    anchor = optional(string, "rate(5 minutes)")
    verify = optional(string, "rate(1 day)")
  })
  default = {}
}

variable "report" {
  description = "Whether this account's verification seals its reports and remembers what it found. One cloud of a deployment does."
  type        = bool
  default     = false
}

variable "mail_password_secret" {
  description = "Name of the secret in Secrets Manager that holds the mail server's password."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Who is told when something fails or stops. Each has to confirm the first mail."
  type        = list(string)
  default     = []
}

variable "auditors" {
  description = "ARNs of people and roles that may read the sealed stores, and nothing else."
  type        = list(string)
  default     = []
}

variable "log_retention_days" {
  description = "How long the functions' own logs are kept."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
