variable "project_id" {
  description = "The project that holds the stores and runs the functions. One of its own is best: its owners and editors administer what is sealed."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is a project's id, such as audit-logs-4711: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Where the functions run and the keys are, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+(-[a-z]+)+[0-9]+$", var.region))
    error_message = "region is a region, such as europe-west1."
  }
}

variable "location" {
  description = "Where the buckets are: a region, dual-region or multi-region such as EU. The region by default. It cannot be changed later."
  type        = string
  default     = null
}

variable "name" {
  description = "What all names begin with."
  type        = string
  default     = "countersign"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 20
    error_message = "name has 3 to 20 lower-case letters, digits and single hyphens and begins with a letter."
  }
}

variable "lock_mode" {
  description = "How firmly sealed objects are locked: off (not at all), governance (a retention policy that administrators can shorten or remove), compliance (a locked one, which nobody can)."
  type        = string
  default     = "governance"

  validation {
    condition     = contains(["off", "governance", "compliance"], var.lock_mode)
    error_message = "lock_mode is \"off\", \"governance\" or \"compliance\"."
  }
}

variable "compliance_acknowledged" {
  description = "Must be true with lock_mode = \"compliance\", which cannot be undone."
  type        = bool
  default     = false
}

variable "chains" {
  description = "The chains, each a retention class with a bucket of its own. cold_after_days moves older segments to cold_class, which a lock permits; the scheduled verification reads them all the same and pays for it."
  type = map(object({
    retention_days  = number
    allow_empty     = optional(bool, false)
    cold_after_days = optional(number)
    cold_class      = optional(string, "COLDLINE")
  }))
  default = { gcp = { retention_days = 365 } }

  validation {
    condition     = length(var.chains) > 0
    error_message = "chains names one chain at least."
  }
  validation {
    condition     = alltrue([for name in keys(var.chains) : can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", name)) && length(name) <= 16])
    error_message = "A chain's name has up to 16 lower-case letters, digits and single hyphens and begins with a letter."
  }
  validation {
    condition     = length(setintersection(keys(var.chains), ["heads", "code", "arrivals", "witness", "report"])) == 0
    error_message = "The names heads, code, arrivals, witness and report are taken: a chain has another."
  }
  validation {
    condition     = alltrue([for chain in values(var.chains) : chain.retention_days >= 1 && chain.retention_days <= 36500 && floor(chain.retention_days) == chain.retention_days])
    error_message = "retention_days is a whole number from 1 to 36,500 (Cloud Storage retains for 100 years at most)."
  }
  validation {
    condition     = alltrue([for chain in values(var.chains) : contains(["NEARLINE", "COLDLINE", "ARCHIVE"], chain.cold_class)])
    error_message = "cold_class is NEARLINE, COLDLINE or ARCHIVE."
  }
  validation {
    condition     = alltrue([for chain in values(var.chains) : chain.cold_after_days == null ? true : chain.cold_after_days >= 1 && chain.cold_after_days < chain.retention_days])
    error_message = "cold_after_days is less than retention_days and 1 at least."
  }
}

variable "seal_chain" {
  description = "The chain that seals the logs, holds the anchors of the other clouds and the reports. The first by name where none is given."
  type        = string
  default     = null

  validation {
    condition     = var.seal_chain == null ? true : contains(keys(var.chains), var.seal_chain)
    error_message = "seal_chain is one of the chains."
  }
}

variable "keys" {
  description = "Where signing keys are: secret (seeds in Secret Manager, made by countersign init) or kms (Cloud KMS, which signs; keys never leave it)."
  type        = string
  default     = "secret"

  validation {
    condition     = contains(["secret", "kms"], var.keys)
    error_message = "keys is \"secret\" or \"kms\"."
  }
}

variable "packages" {
  description = "Files of the packages that scripts/build made. Without them there are no functions, triggers, schedules and alarms; without verify no scheduled verification."
  type = object({
    seal   = string
    anchor = string
    verify = optional(string)
  })
  default = null
}

variable "trusted" {
  description = "Who of the other clouds may read this one: the identity outputs of their modules."
  type = object({
    aws = optional(object({
      account_id       = string
      anchor_role_name = string
      verify_role_name = string
    }))
    azure = optional(object({
      tenant_id           = string
      audience            = string
      anchor_principal_id = string
      verify_principal_id = string
    }))
  })
  default = {}
}

variable "reach" {
  description = "How this cloud's functions get into the others: the reach outputs of their modules."
  type = object({
    aws = optional(object({
      role_arn = string
      region   = optional(string)
    }))
    azure = optional(object({
      tenant_id = string
      client_id = string
    }))
  })
  default = {}
}

variable "source_logs" {
  description = "Whose logs are sealed: scope project, folder or organization; id where it is not this project (a project's id, a folder's or organization's number); a filter other than all audit logs."
  type = object({
    scope            = optional(string, "project")
    id               = optional(string)
    filter           = optional(string)
    include_children = optional(bool, true)
  })
  default = {}

  validation {
    condition     = contains(["project", "folder", "organization"], var.source_logs.scope)
    error_message = "source_logs.scope is project, folder or organization."
  }
  validation {
    condition     = var.source_logs.scope == "project" ? true : can(regex("^[0-9]+$", var.source_logs.id))
    error_message = "source_logs.id is the number of the folder or organization."
  }
}

variable "gather_seconds" {
  description = "For how long log entries are gathered in a file before they are sealed: 60 to 600, so that one call and one segment hold many. Without it each entry is pushed by itself: sealed within seconds, at many times the price."
  type        = number
  default     = null

  validation {
    condition     = var.gather_seconds == null ? true : var.gather_seconds >= 60 && var.gather_seconds <= 600 && floor(var.gather_seconds) == var.gather_seconds
    error_message = "gather_seconds is 60 to 600 (Pub/Sub's own limits)."
  }
}

variable "data_access_logs" {
  description = "Data-access audit logs to switch on, by service: {\"storage.googleapis.com\" = [\"DATA_WRITE\"]}. Google bills their ingestion. Of the project, or of the organization where that is the source; not of a folder."
  type        = map(set(string))
  default     = {}

  validation {
    condition     = alltrue([for kinds in values(var.data_access_logs) : length(kinds) > 0 && length(setsubtract(kinds, ["ADMIN_READ", "DATA_READ", "DATA_WRITE"])) == 0])
    error_message = "Each service has some of ADMIN_READ, DATA_READ and DATA_WRITE."
  }
  validation {
    condition     = length(var.data_access_logs) == 0 || var.source_logs.scope != "folder"
    error_message = "Data-access logs are switched on for the project or the organization: with a folder as the source, do so in its projects."
  }
}

variable "schedules" {
  description = "When anchor and verify run: cron, in UTC."
  type = object({
    anchor = optional(string, "*/5 * * * *")
    verify = optional(string, "17 3 * * *")
  })
  default = {}
}

variable "sizes" {
  description = "Memory of the functions, and how many calls an instance of seal takes at once, in how many instances at most."
  type = object({
    seal_memory    = optional(string, "256Mi")
    seal_calls     = optional(number, 250)
    seal_instances = optional(number, 4)
    anchor_memory  = optional(string, "1Gi")
    verify_memory  = optional(string, "1Gi")
  })
  default = {}
}

variable "base_image" {
  description = "The base image under the packages, without the region's registry before it. Google keeps it up to date."
  type        = string
  default     = "serverless-runtimes/google-24/runtimes/osonly24"
}

variable "report" {
  description = "Whether this cloud's verification seals and mails the report. One cloud does."
  type        = bool
  default     = false

  validation {
    condition     = !var.report || var.packages == null ? true : var.packages.verify != null
    error_message = "report needs packages.verify: the verification makes the report."
  }
}

variable "mail_password_secret" {
  description = "The secret of this project that holds the password of the mail server. It is made outside Terraform, so that no state holds it. The settings must have the table [mail] then."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Who gets alarms."
  type        = set(string)
  default     = []
}

variable "alarm_after" {
  description = "Seconds until an alarm: without an anchor run, without a verification (90,000, which is 25 hours, at most), with an unsealed message."
  type = object({
    anchor  = optional(number, 1800)
    verify  = optional(number, 90000)
    backlog = optional(number, 900)
  })
  default = {}

  validation {
    condition     = var.alarm_after.anchor >= 120 && var.alarm_after.anchor <= 84600 && var.alarm_after.anchor % 60 == 0
    error_message = "alarm_after.anchor is 120 to 84,600 seconds in whole minutes."
  }
  validation {
    condition     = var.alarm_after.verify >= 3600 && var.alarm_after.verify <= 90000 && var.alarm_after.verify % 60 == 0
    error_message = "alarm_after.verify is 3,600 to 90,000 seconds in whole minutes."
  }
}

variable "auditors" {
  description = "People who may read the stores: user:…, group:… or serviceAccount:…"
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for auditor in var.auditors : can(regex("^(user|group|serviceAccount):[^:@]+@[^:@]+$", auditor))])
    error_message = "An auditor is user:NAME@DOMAIN, group:… or serviceAccount:…: nobody anonymous."
  }
}

variable "project_lien" {
  description = "Whether a lien keeps the project from being deleted. Needs roles/resourcemanager.lienModifier."
  type        = bool
  default     = true
}

variable "enable_apis" {
  description = "Whether Terraform enables the APIs that are needed. They stay enabled."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of all that takes labels."
  type        = map(string)
  default     = {}
}
