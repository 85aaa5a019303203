# Who may do what. One identity for each job; none may both write and delete, and
# none may change a policy.

locals {
  blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"

  # Roles of our own, with just these actions. Where immutability is on, `write` makes
  # new blobs and nothing else.
  roles = {
    put = {
      description  = "Put new blobs, and read them"
      actions      = ["Microsoft.Storage/storageAccounts/blobServices/containers/read"]
      data_actions = ["${local.blobs}/read", "${local.blobs}/write", "${local.blobs}/add/action"]
    }
    read = {
      description = "Read sealed blobs, and what protects them"
      actions = [
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Storage/storageAccounts/blobServices/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/read",
        "Microsoft.Storage/storageAccounts/managementPolicies/read",
        "Microsoft.Insights/diagnosticSettings/read",
      ]
      data_actions = ["${local.blobs}/read"]
    }
    seed = {
      description  = "Read the seed of a key"
      actions      = []
      data_actions = ["Microsoft.KeyVault/vaults/secrets/getSecret/action", "Microsoft.KeyVault/vaults/secrets/readMetadata/action"]
    }
  }

  # Which identity has which role where.
  grants = merge(
    {
      "seal put sealed"       = { who = "seal", role = "put", scope = local.container_ids[local.containers[local.seal_chain]] }
      "seal put heads"        = { who = "seal", role = "put", scope = local.container_ids[local.heads] }
      "seal put dead letters" = { who = "seal", role = "put", scope = local.container_ids[local.dead_letters] }
      "anchor put heads"      = { who = "anchor", role = "put", scope = local.container_ids[local.heads] }
      "anchor read account"   = { who = "anchor", role = "read", scope = local.account_id }
      "verify read account"   = { who = "verify", role = "read", scope = local.account_id }
      "reader read account"   = { who = "reader", role = "read", scope = local.account_id }
    },
    { for chain, container in local.containers : "anchor put ${container}" => { who = "anchor", role = "put", scope = local.container_ids[container] } },
    { for signer in local.job_secrets.seal : "seal seed ${signer}" => { who = "seal", role = "seed", scope = "${local.vault_id}/secrets/${signer}" } },
    { for signer in local.job_secrets.anchor : "anchor seed ${signer}" => { who = "anchor", role = "seed", scope = "${local.vault_id}/secrets/${signer}" } },
    { for signer in local.job_secrets.verify : "verify seed ${signer}" => { who = "verify", role = "seed", scope = "${local.vault_id}/secrets/${signer}" } },
    { for grant in ["verify put reports", "verify put heads"] : grant => {
      who   = "verify"
      role  = "put"
      scope = local.container_ids[grant == "verify put heads" ? local.heads : local.containers[local.witness_chain]]
    } if var.report },
  )

  job_secrets = {
    seal   = ["chain-${local.seal_chain}"]
    anchor = concat([for chain in local.chain_names : "chain-${chain}"], ["witness"], compact([var.mail_password_secret]))
    verify = concat([for signer in ["report"] : signer if var.report], compact([var.mail_password_secret]))
  }

  # The reader is there before anybody is trusted, so that the modules of two clouds
  # can name each other's identities.
  identities = toset(["seal", "anchor", "verify", "reader"])
}

resource "azurerm_user_assigned_identity" "job" {
  for_each = local.identities

  name                = "${var.name}-${each.key}"
  resource_group_name = azurerm_resource_group.own.name
  location            = azurerm_resource_group.own.location
  tags                = var.tags
}

resource "azurerm_role_definition" "own" {
  for_each = local.roles

  name              = "${var.name} ${each.key} ${local.suffix}"
  description       = each.value.description
  scope             = azurerm_resource_group.own.id
  assignable_scopes = [azurerm_resource_group.own.id]

  permissions {
    actions      = each.value.actions
    data_actions = each.value.data_actions
  }
}

resource "azurerm_role_assignment" "job" {
  for_each = local.grants

  scope              = each.value.scope
  role_definition_id = azurerm_role_definition.own[each.value.role].role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.job[each.value.who].principal_id
  principal_type     = "ServicePrincipal"

  depends_on = [
    azurerm_storage_container.sealed, azurerm_storage_container.heads, azurerm_storage_container.dead_letters, azurerm_key_vault.keys,
  ]
}

resource "azurerm_role_assignment" "auditor" {
  for_each = toset(var.auditors)

  scope              = azurerm_storage_account.sealed.id
  role_definition_id = azurerm_role_definition.own["read"].role_definition_resource_id
  principal_id       = each.value
}

# The functions of the other clouds, by the tokens of their own identities.

locals {
  federated = merge(
    { for job in ["anchor", "verify"] : "aws-${job}" => {
      issuer  = var.trusted.aws.issuer
      subject = job == "anchor" ? var.trusted.aws.anchor_role_arn : var.trusted.aws.verify_role_arn
    } if var.trusted.aws != null },
    { for job in ["anchor", "verify"] : "gcp-${job}" => {
      issuer  = "https://accounts.google.com"
      subject = job == "anchor" ? var.trusted.gcp.anchor_service_account_id : var.trusted.gcp.verify_service_account_id
    } if var.trusted.gcp != null },
  )
}

resource "azurerm_federated_identity_credential" "reader" {
  for_each = local.federated

  name                      = each.key
  user_assigned_identity_id = azurerm_user_assigned_identity.job["reader"].id
  audience                  = ["api://AzureADTokenExchange"]
  issuer                    = each.value.issuer
  subject                   = each.value.subject
}
