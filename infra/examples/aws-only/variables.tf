variable "domain" {
  description = "What the origins of chains begin with, such as audit.example.org: a name of yours that stays."
  type        = string
}

variable "region" {
  description = "The region of AWS."
  type        = string
}

variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "countersign"
}

variable "chains" {
  description = "The chains and their retention."
  type        = map(object({ retention_days = number, colder_after_days = optional(number), allow_empty = optional(bool, false) }))
  default     = { aws = { retention_days = 365 } }
}

variable "lock_mode" {
  description = "\"off\", \"governance\" or \"compliance\", which cannot be undone."
  type        = string
  default     = "governance"
}

variable "lock_for_good" {
  description = "Must be true where lock_mode is \"compliance\"."
  type        = bool
  default     = false
}

variable "trail" {
  description = "Where CloudTrail's files are: `{ bucket = \"…\" }` of an existing trail, or `{ create = true }`. See modules/aws."
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
}

variable "packages" {
  description = "The folder that scripts/build packed the functions into; null until then."
  type        = string
  default     = null
}

variable "mail" {
  description = "How reports are mailed: see [mail] in the README of the project. password_secret is the name of a secret in Secrets Manager."
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
  description = "ARNs of people and roles that may read the sealed stores."
  type        = list(string)
  default     = []
}
