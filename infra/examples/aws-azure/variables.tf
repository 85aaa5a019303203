variable "domain" {
  description = "What the chains' names begin with, such as audit.example.org. Yours for good: it stands in every signature."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.domain))
    error_message = "domain must be a domain name in lower case."
  }
}

variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "countersign"
}

variable "lock_mode" {
  description = "\"off\", \"governance\" or \"compliance\"; the last cannot be undone."
  type        = string
  default     = "governance"
}

variable "compliance_acknowledged" {
  description = "Must be true where lock_mode is \"compliance\"."
  type        = bool
  default     = false
}

variable "aws" {
  description = "AWS: the region, the trail (see the module's README), the chains, who audits."
  type = object({
    region              = string
    web_identity_issuer = optional(string)
    auditors            = optional(list(string), [])
    chains = optional(map(object({
      retention_days  = number
      cold_after_days = optional(number)
      allow_empty     = optional(bool, false)
    })), { aws = { retention_days = 365 } })
    trail = object({
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
  })
}

variable "azure" {
  description = "Azure: the subscription, the location, whose logs, the Application ID URI that tokens for AWS are made for, the chains, who audits and operates, the resource lock (see the module's README)."
  type = object({
    subscription_id     = string
    location            = string
    federation_audience = optional(string)
    auditors            = optional(set(string), [])
    operators           = optional(set(string))
    account_lock        = optional(bool, true)
    chains = optional(map(object({
      retention_days  = number
      cold_after_days = optional(number)
      allow_empty     = optional(bool, false)
    })), { azure = { retention_days = 365 } })
    source_logs = optional(object({
      subscriptions    = optional(set(string))
      entra_categories = optional(set(string), [])
      partitions       = optional(number, 4)
    }), {})
  })

  validation {
    condition     = length(setintersection(keys(var.azure.chains), keys(var.aws.chains))) == 0
    error_message = "Chains of the two clouds must have different names."
  }
}

variable "packages" {
  description = "The folder of the functions' packages; scripts/deploy gives it."
  type        = string
  default     = null
}

variable "mail" {
  description = "The mail server for reports, and for what contradicts. password_secret is the name of a secret that you make in Secrets Manager and in the key vault. Null: no mail."
  type = object({
    server          = string
    tls             = optional(string, "starttls")
    user            = optional(string)
    password_secret = optional(string)
    from            = string
    to              = list(string)
    when            = optional(string, "weekly")
  })
  default = null
}

variable "alarm_emails" {
  description = "Who is told when something fails or stops."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
