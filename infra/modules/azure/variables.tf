variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "countersign"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "location" {
  description = "The region."
  type        = string
}

variable "chains" {
  description = "The chains of this subscription by name, each with its own container and retention in days."
  type = map(object({
    retention_days = number
    # Days until blobs move to the cold tier, which is read at once; never where null.
    colder_after_days = optional(number)
    allow_empty       = optional(bool, false)
  }))
  default = { azure = { retention_days = 365 } }

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
  description = "How firmly blobs are locked: \"off\", \"governance\" (an unlocked policy, which administrators may change), \"compliance\" (a locked one, which nobody may)."
  type        = string
  default     = "governance"

  validation {
    condition     = contains(["off", "governance", "compliance"], var.lock_mode)
    error_message = "lock_mode must be \"off\", \"governance\" or \"compliance\"."
  }
}

variable "lock_for_good" {
  description = "Must be true where lock_mode is \"compliance\": what is locked so cannot be undone."
  type        = bool
  default     = false
}

variable "replication" {
  description = "How blobs are replicated: LRS, ZRS, GRS, …"
  type        = string
  default     = "ZRS"
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

variable "activity_log_subscriptions" {
  description = "Ids of the subscriptions whose Activity Log is sealed; this one alone where null."
  type        = list(string)
  default     = null
}

variable "entra_categories" {
  description = "Logs of Entra ID that are sealed. Needs a directory role; sign-in logs need a P1 licence. Empty: none."
  type        = set(string)
  default     = ["AuditLogs", "SignInLogs", "NonInteractiveUserSignInLogs", "ServicePrincipalSignInLogs", "ManagedIdentitySignInLogs"]
}

variable "trusted" {
  description = "Identities of the other clouds that read this one: the output `identity` of their modules."
  type = object({
    aws = optional(object({
      issuer          = string
      anchor_role_arn = string
      verify_role_arn = string
    }))
    gcp = optional(object({
      anchor_service_account_id = string
      verify_service_account_id = string
    }))
  })
  default = {}

  validation {
    condition     = var.trusted.aws == null || try(startswith(var.trusted.aws.issuer, "https://"), false)
    error_message = "trusted.aws.issuer must be the issuer of the AWS account's outbound web identity federation."
  }
}

variable "reach" {
  description = "How the functions get into the other clouds: the output `reach` of their modules."
  type = object({
    aws = optional(object({
      role_arn = string
      region   = string
    }))
    gcp = optional(object({
      provider_from   = map(string)
      service_account = string
    }))
  })
  default = {}
}

variable "federation_audience" {
  description = "Application ID URI of an application of the tenant, for which the functions get the tokens that the other clouds take (az ad app create --display-name countersign --identifier-uris api://countersign). Needed where `reach` names a cloud."
  type        = string
  default     = null

  validation {
    condition     = (var.reach.aws == null && var.reach.gcp == null) || can(regex("^api://", var.federation_audience))
    error_message = "federation_audience must be an Application ID URI such as api://countersign, where the functions reach other clouds."
  }
}

variable "schedules" {
  description = "When anchor and verify run: NCRONTAB expressions, in UTC."
  type = object({
    anchor = optional(string, "0 */5 * * * *")
    verify = optional(string, "0 30 5 * * *")
  })
  default = {}
}

variable "report" {
  description = "Whether this subscription's verification seals its reports and remembers what it found. One cloud of a deployment does."
  type        = bool
  default     = false
}

variable "mail_password_secret" {
  description = "Name of the secret in this module's vault that holds the mail server's password."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Who is told when something fails or stops."
  type        = list(string)
  default     = []
}

variable "auditors" {
  description = "Object ids of people and groups that may read the sealed stores, and nothing else."
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
