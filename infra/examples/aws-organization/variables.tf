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
  default     = { audit = { retention_days = 2555, colder_after_days = 90 } }
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

variable "data_events" {
  description = "Whether reads and writes of objects in S3 are logged too, but for the buckets of this deployment. They are billed by the event."
  type        = bool
  default     = false
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
