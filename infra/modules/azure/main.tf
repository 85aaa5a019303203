data "azurerm_client_config" "current" {}

resource "azurerm_resource_group" "own" {
  name     = var.name
  location = var.location
  tags     = var.tags
}

locals {
  subscription = data.azurerm_client_config.current.subscription_id
  tenant       = data.azurerm_client_config.current.tenant_id

  # Names of accounts and vaults are one for the whole world.
  suffix  = substr(sha256("${local.subscription}/${var.name}"), 0, 8)
  letters = substr(replace(var.name, "-", ""), 0, 12)
  account = "${local.letters}${local.suffix}"
  host    = "${local.letters}fn${local.suffix}"
  vault   = "${substr(var.name, 0, 15)}-${local.suffix}"

  chain_names   = sort(keys(var.chains))
  seal_chain    = coalesce(var.seal_chain, local.chain_names[0])
  witness_chain = local.chain_names[0]

  containers   = { for chain in local.chain_names : chain => "sealed-${chain}" }
  heads        = "heads"
  dead_letters = "dead-letters"

  group_id   = "/subscriptions/${local.subscription}/resourceGroups/${var.name}"
  account_id = "${local.group_id}/providers/Microsoft.Storage/storageAccounts/${local.account}"
  container_ids = {
    for container in concat(values(local.containers), [local.heads, local.dead_letters]) :
    container => "${local.account_id}/blobServices/default/containers/${container}"
  }
  vault_id = "${local.group_id}/providers/Microsoft.KeyVault/vaults/${local.vault}"

  # What signs: a name for each key.
  signers = merge(
    { for chain in local.chain_names : "chain-${chain}" => "chain-${chain}" },
    { witness = "witness" },
    var.report ? { report = "report" } : {},
  )
  key_addresses = { for signer, name in local.signers : signer => "keyvault:${local.vault}/${name}" }

  functions = var.packages == null ? {} : {
    for job, package in var.packages : job => package if package != null
  }

  hub       = "logs"
  namespace = "${var.name}-${local.suffix}"
}
