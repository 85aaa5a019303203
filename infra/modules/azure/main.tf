data "azurerm_client_config" "current" {}

# Names and ids are put together here and not taken from the resources, so that a
# plan shows every grant whole.
locals {
  subscription = data.azurerm_client_config.current.subscription_id
  tenant       = data.azurerm_client_config.current.tenant_id

  group    = coalesce(var.resource_group_name, var.name)
  group_id = "/subscriptions/${local.subscription}/resourceGroups/${local.group}"

  chain_names = sort(keys(var.chains))
  seal_chain  = coalesce(var.seal_chain, local.chain_names[0])

  # Some names must be unique in all of Azure, and short.
  unique  = substr(sha1("${local.group_id}/${var.name}"), 0, 8)
  compact = substr(replace(var.name, "-", ""), 0, 10)

  store     = "${local.compact}sealed${local.unique}"
  store_id  = "${local.group_id}/providers/Microsoft.Storage/storageAccounts/${local.store}"
  vault     = "${trimsuffix(substr(var.name, 0, 15), "-")}-${local.unique}"
  vault_id  = "${local.group_id}/providers/Microsoft.KeyVault/vaults/${local.vault}"
  namespace = "${var.name}-${local.unique}"
  hub       = "logs"
  audience  = coalesce(var.federation_audience, "api://${local.tenant}/${var.name}")
  operators = coalesce(var.operators, [data.azurerm_client_config.current.object_id])
  deployed  = var.packages != null
  verifies  = local.deployed ? var.packages.verify != null : false

  # A container for each thing that somebody else may write: grants are on containers.
  sealed       = { for chain in local.chain_names : chain => "sealed-${chain}" }
  heads        = { for chain in local.chain_names : chain => "head-${chain}" }
  witness      = "witness"
  reported     = "report"
  dead_letters = "dead-letters"
  containers = toset(concat(
    values(local.sealed),
    values(local.heads),
    [local.witness, local.dead_letters],
    var.report ? [local.reported] : [],
  ))

  # What signs: the names of the secrets.
  signers = merge(
    { for chain in local.chain_names : "chain-${chain}" => "${var.name}-chain-${chain}" },
    { witness = "${var.name}-witness" },
    var.report ? { report = "${var.name}-report" } : {},
  )
}

resource "azurerm_resource_group" "this" {
  count = var.create_resource_group ? 1 : 0

  name     = local.group
  location = var.location
  tags     = var.tags
}
