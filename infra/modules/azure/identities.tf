# Who may do what. No identity may delete what is stored, and none may change a lock.

locals {
  identities = toset(["seal", "anchor", "verify", "reader"])

  blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"

  # Exactly the calls that the programs make. `add` creates a blob and replaces none;
  # `write` would do both. Where a policy is set for each blob and not for the
  # container, who seals would need immutableStorage/runAsSuperUser as well.
  roles = {
    store-reader = {
      actions      = ["Microsoft.Storage/storageAccounts/blobServices/containers/read"]
      data_actions = ["${local.blobs}/read"]
    }
    store-adder = {
      actions      = []
      data_actions = ["${local.blobs}/add/action"]
    }
    head-mover = {
      actions      = []
      data_actions = ["${local.blobs}/read", "${local.blobs}/write"]
    }
    settings-reader = {
      actions = [
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Storage/storageAccounts/blobServices/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/read",
        "Microsoft.Storage/storageAccounts/managementPolicies/read",
        "Microsoft.Insights/diagnosticSettings/read",
      ]
      data_actions = []
    }
    secret-reader = {
      actions = []
      data_actions = [
        "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
      ]
    }
    secret-maker = {
      actions      = []
      data_actions = ["Microsoft.KeyVault/vaults/secrets/setSecret/action"]
    }
    log-receiver = {
      actions      = ["Microsoft.EventHub/namespaces/eventhubs/consumergroups/read"]
      data_actions = ["Microsoft.EventHub/namespaces/messages/receive/action"]
    }
    telemetry-writer = {
      actions      = []
      data_actions = ["Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"]
    }
  }
  role_ids = { for role in keys(local.roles) : role => uuidv5("url", "${local.group_id}/${var.name}/${role}") }

  chain_folders  = ["segments/", "tile/", "index/", "checkpoints/"]
  anchor_folders = ["anchors/", "evidence/"]

  # Who may do what to which container, and below which folders (empty: all).
  store_grants = concat(
    [
      { identity = "seal", role = "store-reader", container = local.sealed[local.seal_chain], folders = [] },
      { identity = "seal", role = "store-adder", container = local.sealed[local.seal_chain], folders = ["segments/"] },
      { identity = "seal", role = "head-mover", container = local.heads[local.seal_chain], folders = [] },
      { identity = "seal", role = "store-reader", container = local.dead_letters, folders = [] },
      { identity = "seal", role = "store-adder", container = local.dead_letters, folders = ["dead-letters/"] },
      { identity = "anchor", role = "head-mover", container = local.witness, folders = [] },
    ],
    flatten([for chain in local.chain_names : [
      { identity = "anchor", role = "store-reader", container = local.sealed[chain], folders = [] },
      { identity = "anchor", role = "store-adder", container = local.sealed[chain], folders = concat(local.chain_folders, chain == local.seal_chain ? local.anchor_folders : []) },
      { identity = "anchor", role = "head-mover", container = local.heads[chain], folders = [] },
    ]]),
    flatten([for identity in ["verify", "reader", "auditor"] : concat(
      [{ identity = identity, role = "store-reader", container = local.witness, folders = [] }],
      flatten([for chain in local.chain_names : [
        { identity = identity, role = "store-reader", container = local.sealed[chain], folders = [] },
        { identity = identity, role = "store-reader", container = local.heads[chain], folders = [] },
      ]]),
    )]),
    !var.report ? [] : [
      { identity = "verify", role = "store-adder", container = local.sealed[local.seal_chain], folders = ["reports/"] },
      { identity = "verify", role = "head-mover", container = local.reported, folders = [] },
    ],
    # Who begins the chains and makes the first run by hand.
    [{ identity = "operator", role = "head-mover", container = local.witness, folders = [] }],
    flatten([for chain in local.chain_names : [
      { identity = "operator", role = "store-reader", container = local.sealed[chain], folders = [] },
      { identity = "operator", role = "store-adder", container = local.sealed[chain], folders = [] },
      { identity = "operator", role = "head-mover", container = local.heads[chain], folders = [] },
    ]]),
  )

  # Secrets by identity. On the secrets themselves, which stand once the chains have
  # begun: before that there are no functions either.
  identity_secrets = {
    seal   = [local.signers["chain-${local.seal_chain}"]]
    anchor = concat([for chain in local.chain_names : local.signers["chain-${chain}"]], [local.signers.witness], local.mail_secrets)
    verify = concat(var.report ? [local.signers.report] : [], local.mail_secrets)
  }
  mail_secrets = var.mail_password_secret == null ? [] : [var.mail_password_secret]

  grants = concat(
    [for grant in local.store_grants : {
      identity = grant.identity
      role     = grant.role
      on       = grant.container
      scope    = "${local.store_id}/blobServices/default/containers/${grant.container}"
      folders  = grant.folders
    }],
    [for identity in ["verify", "reader", "auditor", "operator"] : {
      identity = identity, role = "settings-reader", on = "account", scope = local.store_id, folders = []
    }],
    [for role in ["secret-reader", "secret-maker"] : {
      identity = "operator", role = role, on = "vault", scope = local.vault_id, folders = []
    }],
    !local.deployed ? [] : flatten([for identity, secrets in local.identity_secrets : [
      for secret in secrets : {
        identity = identity, role = "secret-reader", on = secret, scope = "${local.vault_id}/secrets/${secret}", folders = []
      }
    ]]),
    [{ identity = "seal", role = "log-receiver", on = "hub", scope = "${local.namespace_id}/eventhubs/${local.hub}", folders = [] }],
    !local.deployed ? [] : [for job in keys(local.functions) : {
      identity = job, role = "telemetry-writer", on = "insights", scope = local.insights_id, folders = []
    }],
  )

  members = {
    auditor  = var.auditors
    operator = local.operators
  }

  assignments = merge([
    for grant in local.grants : {
      for member in lookup(local.members, grant.identity, [grant.identity]) :
      "${member} ${grant.role} ${grant.on}" => merge(grant, {
        member = member
        person = contains(keys(local.members), grant.identity)
        condition = length(grant.folders) == 0 ? null : join("", [
          "((!(ActionMatches{'${local.blobs}/add/action'})) OR (",
          join(" OR ", [
            for folder in grant.folders :
            "@Resource[${local.blobs}:path] StringLike '${folder}*'"
          ]),
          "))",
        ])
      })
    }
  ]...)
}

resource "azurerm_user_assigned_identity" "this" {
  for_each = local.identities

  name                = "${var.name}-${each.key}"
  resource_group_name = local.group
  location            = var.location
  tags                = var.tags

  depends_on = [azurerm_resource_group.this]
}

resource "azurerm_role_definition" "this" {
  for_each = local.roles

  role_definition_id = local.role_ids[each.key]
  name               = "${var.name} ${each.key} (${local.unique})"
  description        = "countersign: ${replace(each.key, "-", " ")}"
  scope              = local.group_id
  assignable_scopes  = [local.group_id]

  permissions {
    actions      = each.value.actions
    data_actions = each.value.data_actions
  }

  depends_on = [azurerm_resource_group.this]
}

resource "azurerm_role_assignment" "this" {
  for_each = local.assignments

  scope              = each.value.scope
  role_definition_id = "/subscriptions/${local.subscription}/providers/Microsoft.Authorization/roleDefinitions/${local.role_ids[each.value.role]}"
  principal_id       = each.value.person ? each.value.member : azurerm_user_assigned_identity.this[each.value.member].principal_id
  principal_type     = each.value.person ? null : "ServicePrincipal"
  condition          = each.value.condition
  condition_version  = each.value.condition == null ? null : "2.0"

  depends_on = [
    azurerm_role_definition.this,
    azurerm_storage_container.this,
    azurerm_key_vault.this,
    azurerm_eventhub.logs,
    azurerm_application_insights.this,
  ]
}

# The functions of the other clouds come in by tokens of their own clouds. No key exists.
locals {
  federated = merge(
    var.trusted.aws == null ? {} : {
      aws-anchor = { issuer = var.trusted.aws.issuer, subject = var.trusted.aws.anchor_role_arn }
      aws-verify = { issuer = var.trusted.aws.issuer, subject = var.trusted.aws.verify_role_arn }
    },
    var.trusted.gcp == null ? {} : {
      gcp-anchor = { issuer = "https://accounts.google.com", subject = var.trusted.gcp.anchor_service_account_id }
      gcp-verify = { issuer = "https://accounts.google.com", subject = var.trusted.gcp.verify_service_account_id }
    },
  )
}

resource "azurerm_federated_identity_credential" "reader" {
  for_each = local.federated

  name                      = each.key
  user_assigned_identity_id = azurerm_user_assigned_identity.this["reader"].id
  issuer                    = each.value.issuer
  subject                   = each.value.subject
  audience                  = ["api://AzureADTokenExchange"]
}
