variable "domain" {
  description = "What the chains' names begin with, such as audit.example.org. Yours for good: it stands in every signature."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.domain))
    error_message = "domain is a domain name in lower case."
  }
}

variable "clouds" {
  description = "The clouds that take part: two or all three. A cloud is added by adding it here and running init again."
  type        = set(string)
  default     = ["aws", "azure", "gcp"]

  validation {
    condition     = length(var.clouds) > 0 && length(setsubtract(var.clouds, ["aws", "azure", "gcp"])) == 0
    error_message = "clouds are some of aws, azure and gcp."
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

variable "retention_days" {
  description = "How long records are kept and locked."
  type        = number
  default     = 365
}

variable "scrub_days" {
  description = "Within how many days the scheduled verification re-reads all of the history. Raise it where that takes longer than a function may run (infra/README.md)."
  type        = number
  default     = 30
}

variable "packages" {
  description = "The folder of the functions' packages; scripts/deploy gives it."
  type        = string
  default     = null
}

variable "verify_in" {
  description = "The clouds that verify on a schedule, report_in among them; all where null. The others remember nothing and read everything each time (infra/README.md)."
  type        = set(string)
  default     = null

  validation {
    condition     = var.verify_in == null ? true : contains(var.verify_in, var.report_in) && length(setsubtract(var.verify_in, var.clouds)) == 0
    error_message = "verify_in are some of clouds, with report_in."
  }
}

variable "report_in" {
  description = "The cloud whose verification seals and mails the reports, and remembers what it found."
  type        = string
  default     = "aws"

  validation {
    condition     = contains(var.clouds, var.report_in)
    error_message = "report_in is one of clouds."
  }
}

variable "mail" {
  description = "The mail server for reports and alarms of contradiction. password_secret is the name of a secret that you make in the secret store of each cloud. Null: no mail."
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
  type        = set(string)
  default     = []
}

variable "aws" {
  description = "AWS: the region, the trail (see the module's README), who audits."
  type = object({
    region              = string
    auditors            = optional(list(string), [])
    web_identity_issuer = optional(string)
    trail = object({
      create       = optional(bool, false)
      organization = optional(bool, false)
      bucket       = optional(string)
      prefix       = optional(string, "")
      kms_key_arn  = optional(string)
      announced_by = optional(string, "bucket")
      topic_arn    = optional(string)
    })
  })
  default = null

  validation {
    condition     = !contains(var.clouds, "aws") || var.aws != null
    error_message = "aws is needed, or clouds without it."
  }
}

variable "azure" {
  description = "Azure: the subscription, the location, whose logs, the Application ID URI that tokens for the other clouds are made for, who audits."
  type = object({
    subscription_id     = string
    location            = string
    federation_audience = optional(string)
    auditors            = optional(set(string), [])
    operators           = optional(set(string))
    account_lock        = optional(bool, true)
    source_logs = optional(object({
      subscriptions    = optional(set(string))
      entra_categories = optional(set(string), [])
    }), {})
  })
  default = null

  validation {
    condition     = !contains(var.clouds, "azure") || var.azure != null
    error_message = "azure is needed, or clouds without it."
  }
}

variable "gcp" {
  description = "Google Cloud: the project, the region, whose logs (see the module's README), who audits."
  type = object({
    project_id = string
    region     = string
    location   = optional(string)
    auditors   = optional(set(string), [])
    source_logs = optional(object({
      scope            = optional(string, "project")
      id               = optional(string)
      filter           = optional(string)
      include_children = optional(bool, true)
    }), {})
    data_access_logs = optional(map(set(string)), {})
    # A segment a minute instead of one for each entry; null: entry by entry.
    gather_seconds = optional(number, 60)
    project_lien   = optional(bool, true)
  })
  default = null

  validation {
    condition     = !contains(var.clouds, "gcp") || var.gcp != null
    error_message = "gcp is needed, or clouds without it."
  }
}
