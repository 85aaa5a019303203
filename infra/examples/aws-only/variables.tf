variable "domain" {
  description = "What the chains' names begin with, such as audit.example.org. Yours for good: it stands in every signature."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.domain))
    error_message = "domain must be a domain name in lower case."
  }
}

variable "region" {
  description = "The region of the stores and functions; the trail's bucket must be in it too."
  type        = string
}

variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "countersign"
}

variable "chains" {
  description = "The chains by name, each with its own bucket and retention in days."
  type = map(object({
    retention_days  = number
    cold_after_days = optional(number)
    allow_empty     = optional(bool, false)
  }))
  default = { aws = { retention_days = 365 } }
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

variable "trail" {
  description = "Where CloudTrail's files are: the `bucket` of a trail that there is, or `create = true` for a new one. See the module's README."
  type = object({
    create         = optional(bool, false)
    data_events    = optional(bool, false)
    retention_days = optional(number, 30)
    bucket         = optional(string)
    prefix         = optional(string, "")
    kms_key_arn    = optional(string)
    announced_by   = optional(string, "bucket")
    topic_arn      = optional(string)
  })
}

variable "packages" {
  description = "The folder of the functions' packages; scripts/deploy gives it."
  type        = string
  default     = null
}

variable "mail" {
  description = "The mail server for reports; the secret of its password is in Secrets Manager. Null: no mail."
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

variable "auditors" {
  description = "ARNs of people and roles that may read the stores, and nothing else."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
