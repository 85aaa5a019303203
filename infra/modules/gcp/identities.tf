locals {
  identities = {
    seal    = "Seals what the log sink delivers."
    anchor  = "Publishes the chains and countersigns those of the other clouds."
    verify  = "Verifies all chains."
    reader  = "What the other clouds' anchor and verify functions become here: reads."
    invoker = "Calls the functions, for Pub/Sub and Cloud Scheduler."
  }

  emails  = { for identity in keys(local.identities) : identity => "${var.name}-${identity}@${var.project_id}.iam.gserviceaccount.com" }
  members = { for identity, email in local.emails : identity => "serviceAccount:${email}" }

  # Exactly the calls that the programs make. `storage.objects.restore` is what
  # Cloud Storage asks of who lists removed objects; without `create` at the same
  # name it restores nothing.
  roles = {
    store_reader   = ["storage.buckets.get", "storage.objects.get", "storage.objects.list"]
    store_writer   = ["storage.objects.create"]
    removed_lister = ["storage.objects.restore"]
    head_reader    = ["storage.objects.get", "storage.objects.list"]
    head_mover     = ["storage.objects.create", "storage.objects.delete"]
    arrival_reader = ["storage.objects.get"]
    lien_reader    = ["resourcemanager.projects.get"]
    secret_reader  = ["secretmanager.versions.access"]
    key_signer     = ["cloudkms.cryptoKeyVersions.useToSign", "cloudkms.cryptoKeyVersions.viewPublicKey"]
  }
  role_ids   = { for role in keys(local.roles) : role => "${replace(var.name, "-", "_")}_${role}" }
  role_names = { for role, id in local.role_ids : role => "projects/${var.project_id}/roles/${id}" }

  # Who may do what to which store. `prefixes` confine it to object names; empty
  # means all. Keys are in keys.tf.
  chain_folders  = ["segments/", "tile/", "index/", "checkpoints/"]
  anchor_folders = ["anchors/", "evidence/"]

  grants = concat(
    [
      { identity = "seal", store = local.seal_chain, role = "store_reader", prefixes = [] },
      { identity = "seal", store = local.seal_chain, role = "store_writer", prefixes = ["segments/"] },
      { identity = "seal", store = "heads", role = "head_reader", prefixes = [] },
      { identity = "seal", store = "heads", role = "head_mover", prefixes = ["${local.seal_chain}/"] },
      { identity = "anchor", store = "heads", role = "head_reader", prefixes = [] },
      { identity = "anchor", store = "heads", role = "head_mover", prefixes = concat([for chain in keys(var.chains) : "${chain}/"], ["witness/"]) },
    ],
    flatten([for chain in keys(var.chains) : [
      { identity = "anchor", store = chain, role = "store_reader", prefixes = [] },
      { identity = "anchor", store = chain, role = "store_writer", prefixes = chain == local.seal_chain ? concat(local.chain_folders, local.anchor_folders) : local.chain_folders },
    ]]),
    flatten([for identity in ["verify", "reader", "auditor"] : concat(
      [{ identity = identity, store = "heads", role = "head_reader", prefixes = [] }],
      flatten([for chain in keys(var.chains) : [
        { identity = identity, store = chain, role = "store_reader", prefixes = [] },
        { identity = identity, store = chain, role = "removed_lister", prefixes = [] },
      ]]),
    )]),
    !var.report ? [] : [
      { identity = "verify", store = local.seal_chain, role = "store_writer", prefixes = ["reports/"] },
      { identity = "verify", store = "heads", role = "head_mover", prefixes = ["report/"] },
    ],
  )

  buckets = merge(local.sealed_buckets, { heads = local.heads_bucket })

  bindings = merge([
    for grant in local.grants : {
      for member in(grant.identity == "auditor" ? sort(var.auditors) : [local.members[grant.identity]]) :
      "${grant.identity == "auditor" ? member : grant.identity} ${grant.role} ${grant.store}" => merge(grant, { member = member })
    }
  ]...)

  lien_readers = merge(
    { for identity in ["verify", "reader"] : identity => local.members[identity] },
    { for auditor in var.auditors : auditor => auditor },
  )
}

resource "google_service_account" "this" {
  for_each = local.identities

  project      = var.project_id
  account_id   = "${var.name}-${each.key}"
  display_name = "${var.name} ${each.key}"
  description  = each.value

  depends_on = [google_project_service.this]
}

resource "google_project_iam_custom_role" "this" {
  for_each = local.roles

  project     = var.project_id
  role_id     = local.role_ids[each.key]
  title       = "${var.name} ${replace(each.key, "_", " ")}"
  permissions = each.value

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = local.bindings

  bucket = each.value.store == "heads" ? google_storage_bucket.heads.name : google_storage_bucket.sealed[each.value.store].name
  role   = local.role_names[each.value.role]
  member = each.value.member

  dynamic "condition" {
    for_each = length(each.value.prefixes) == 0 ? [] : [each.value.prefixes]

    content {
      title = "${var.name} ${each.value.role}"
      expression = join(" || ", [
        for prefix in condition.value :
        "resource.name.startsWith(\"projects/_/buckets/${local.buckets[each.value.store]}/objects/${prefix}\")"
      ])
    }
  }

  depends_on = [google_project_iam_custom_role.this, google_service_account.this]
}

# The verification asks whether a lien guards the project.
resource "google_project_iam_member" "lien_reader" {
  for_each = local.lien_readers

  project = var.project_id
  role    = local.role_names.lien_reader
  member  = each.value

  depends_on = [google_project_iam_custom_role.this, google_service_account.this]
}
