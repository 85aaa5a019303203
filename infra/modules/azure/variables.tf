variable "location" {
  description = "The region of everything, such as westeurope. It cannot be changed later."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+[a-z0-9]*$", var.location))
    error_message = "location must be a region's short name, such as westeurope."
  }
}

variable "name" {
  description = "What all names begin with."
  type        = string
  default     = "countersign"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 20
    error_message = "name must have 3 to 20 lower-case letters, digits and single hyphens, beginning with a letter."
  }
}

variable "resource_group_name" {
  description = "The resource group of everything; named as `name` where null. One of its own is best: its owners administer what is sealed."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]$", coalesce(var.resource_group_name, "default")))
    error_message = "resource_group_name must have up to 90 letters, digits, and any of - _ . ( ), and not end with a full stop."
  }
}

variable "create_resource_group" {
  description = "Whether this module makes the resource group, or one that stands there is used."
  type        = bool
  default     = true
}

variable "replication" {
  description = "How often and where the sealed account keeps its blobs: LRS, ZRS, GRS, GZRS, RAGRS or RAGZRS."
  type        = string
  default     = "ZRS"

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "GZRS", "RAGRS", "RAGZRS"], var.replication)
    error_message = "replication must be LRS, ZRS, GRS, GZRS, RAGRS or RAGZRS."
  }
}

variable "chains" {
  description = "The chains by name, each a retention class with a container of its own. cold_after_days moves older segments to the cold tier, which the lock permits; the scheduled verification reads them all the same and pays for it."
  type = map(object({
    retention_days  = number
    allow_empty     = optional(bool, false)
    cold_after_days = optional(number)
  }))
  default = { azure = { retention_days = 365 } }

  validation {
    condition     = length(var.chains) > 0
    error_message = "chains must name at least one chain."
  }
  validation {
    condition     = alltrue([for name in keys(var.chains) : can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", name)) && length(name) <= 16])
    error_message = "A chain's name must have up to 16 lower-case letters, digits and single hyphens, beginning with a letter."
  }
  validation {
    condition     = alltrue([for chain in values(var.chains) : chain.retention_days >= 1 && chain.retention_days <= 146000 && floor(chain.retention_days) == chain.retention_days])
    error_message = "retention_days must be a whole number from 1 to 146,000."
  }
  validation {
    condition     = alltrue([for chain in values(var.chains) : chain.cold_after_days == null ? true : chain.cold_after_days >= 1 && chain.cold_after_days < chain.retention_days])
    error_message = "cold_after_days must be at least 1 and less than retention_days."
  }
}

variable "seal_chain" {
  description = "The chain that seals the logs, and holds the anchors of the other clouds and the reports. The first by name where null."
  type        = string
  default     = null

  validation {
    condition     = var.seal_chain == null ? true : contains(keys(var.chains), var.seal_chain)
    error_message = "seal_chain must be one of chains."
  }
}

variable "lock_mode" {
  description = "How firmly sealed blobs are locked: \"off\" (not at all), \"governance\" (an immutability policy that administrators can shorten or remove), \"compliance\" (a locked one, which nobody can)."
  type        = string
  default     = "governance"

  validation {
    condition     = contains(["off", "governance", "compliance"], var.lock_mode)
    error_message = "lock_mode must be \"off\", \"governance\" or \"compliance\"."
  }
}

variable "compliance_acknowledged" {
  description = "Must be true where lock_mode is \"compliance\", which cannot be undone."
  type        = bool
  default     = false
}

variable "account_lock" {
  description = "Whether a resource lock keeps the sealed account, its containers and the grants on them from deletion. Nobody's access to it can be taken away by Terraform while it is there."
  type        = bool
  default     = true
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

variable "source_logs" {
  description = <<-EOT
    Whose logs are sealed: the Activity Log of `subscriptions` (ids; the provider's where null), and the `entra_categories`
    of the tenant's Entra ID, such as AuditLogs and SignInLogs (needs the role Security Administrator, and for sign-ins a
    P1 license). `partitions` of the Event Hub cannot be changed later.
  EOT
  type = object({
    subscriptions    = optional(set(string))
    entra_categories = optional(set(string), [])
    partitions       = optional(number, 4)
  })
  default = {}

  validation {
    condition     = alltrue([for id in coalesce(var.source_logs.subscriptions, []) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "source_logs.subscriptions must be ids of subscriptions, in lower case."
  }
  validation {
    condition     = var.source_logs.subscriptions == null ? true : length(var.source_logs.subscriptions) + length(var.source_logs.entra_categories) > 0
    error_message = "source_logs must name a subscription or a category of Entra ID."
  }
  validation {
    condition     = var.source_logs.partitions >= 1 && var.source_logs.partitions <= 32 && floor(var.source_logs.partitions) == var.source_logs.partitions
    error_message = "source_logs.partitions must be a whole number from 1 to 32."
  }
}

variable "federation_audience" {
  description = "The Application ID URI of an application of the tenant, for whose audience the functions get the tokens that the other clouds take. api://TENANT/NAME where null. The application is made outside this module."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^(api|https)://[^ ]+$", coalesce(var.federation_audience, "api://default")))
    error_message = "federation_audience must begin with api:// or https://."
  }
}

variable "trusted" {
  description = "Who of the other clouds may read this one: the output `identity` of their modules."
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
}

variable "reach" {
  description = "How the functions get into the other clouds: the output `reach` of their modules."
  type = object({
    aws = optional(object({
      role_arn = string
      region   = optional(string)
    }))
    gcp = optional(object({
      provider_from   = map(string)
      service_account = string
    }))
  })
  default = {}
}

variable "schedules" {
  description = "When anchor and verify run: NCRONTAB with seconds, in UTC."
  type = object({
    anchor = optional(string, "0 */5 * * * *")
    verify = optional(string, "0 17 3 * * *")
  })
  default = {}

  validation {
    condition     = alltrue([for schedule in values(var.schedules) : length(split(" ", schedule)) == 6])
    error_message = "A schedule has six fields: second, minute, hour, day, month, day of the week."
  }
}

variable "memory" {
  description = "Memory of the functions' instances in MB: 512, 2048 or 4096."
  type = object({
    seal   = optional(number, 512)
    anchor = optional(number, 512)
    verify = optional(number, 2048)
  })
  default = {}

  validation {
    condition     = alltrue([for memory in values(var.memory) : contains([512, 2048, 4096], memory)])
    error_message = "memory must be 512, 2048 or 4096."
  }
}

variable "report" {
  description = "Whether this cloud's verification seals its reports and remembers what it found. One cloud of a deployment does."
  type        = bool
  default     = false

  validation {
    condition     = !var.report || var.packages == null ? true : var.packages.verify != null
    error_message = "report needs packages.verify: the verification makes the report."
  }
}

variable "mail_password_secret" {
  description = "The secret of this module's vault that holds the password of the mail server. It is made outside Terraform, so that no state holds it."
  type        = string
  default     = null
}

variable "operators" {
  description = "Object ids of who runs `countersign init` and the first run by hand: makes keys, seals and countersigns. Who applies, where null. Owners of a subscription have no access to blobs and secrets otherwise."
  type        = set(string)
  default     = null
}

variable "auditors" {
  description = "Object ids of people and groups of Entra ID that may read the stores, and nothing else."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.auditors : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "auditors must be object ids, in lower case."
  }
}

variable "alarm_emails" {
  description = "Who is told when something fails, stops or is switched off."
  type        = list(string)
  default     = []
}

variable "log_retention_days" {
  description = "How long the functions' own logs, and those of accesses to the sealed account, are kept: 30 to 730."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "log_retention_days must be from 30 to 730."
  }
}

variable "tags" {
  description = "Tags of all that takes tags."
  type        = map(string)
  default     = {}
}
