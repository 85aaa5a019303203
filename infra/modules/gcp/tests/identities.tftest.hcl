mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "google-beta" {
  source = "./tests/mocks-beta"
}

# Beyond one chain: what holds for the chain that seals must not hold for the other.
variables {
  project_id = "audit-logs-4711"
  region     = "europe-west1"
  name       = "sealed"
  report     = true
  chains     = { gcp = { retention_days = 365 }, slow = { retention_days = 2555 } }
  packages   = { seal = "versions.tf", anchor = "versions.tf", verify = "versions.tf" }
  auditors   = ["group:auditors@example.org", "user:ann@example.org"]
}

run "no_identity_both_writes_and_deletes" {
  command = plan

  assert {
    condition = length(setintersection(
      [for grant in output.grants : grant.identity if grant.store == "sealed" && contains(grant.permissions, "storage.objects.create")],
      [for grant in output.grants : grant.identity if grant.store == "sealed" && contains(grant.permissions, "storage.objects.delete")],
    )) == 0
    error_message = "Of a sealed store nobody may write and delete."
  }
  assert {
    condition     = length([for grant in output.grants : grant if grant.store == "sealed" && length(setintersection(grant.permissions, ["storage.objects.delete", "storage.objects.update", "storage.buckets.update", "storage.buckets.delete", "storage.buckets.setIamPolicy", "storage.objects.overrideUnlockedRetention"])) > 0]) == 0
    error_message = "Of a sealed store nobody deletes, changes or unlocks anything."
  }
  assert {
    condition     = alltrue([for role in google_project_iam_custom_role.this : length([for permission in role.permissions : permission if strcontains(permission, "*")]) == 0])
    error_message = "Roles name their permissions."
  }
  assert {
    condition     = alltrue([for binding in google_storage_bucket_iam_member.this : startswith(binding.role, "projects/audit-logs-4711/roles/sealed_")])
    error_message = "Buckets are opened by roles of our own alone."
  }
}

run "bindings_are_the_grants" {
  command = plan

  assert {
    condition     = length(google_storage_bucket_iam_member.this) == length([for grant in output.grants : grant if grant.identity != "auditor"]) + 2 * length([for grant in output.grants : grant if grant.identity == "auditor"])
    error_message = "A binding for each grant, and for each auditor."
  }
  assert {
    condition     = length([for binding in google_storage_bucket_iam_member.this : binding if strcontains(binding.member, "allUsers") || strcontains(binding.member, "allAuthenticatedUsers")]) == 0
    error_message = "Nobody anonymous."
  }
  assert {
    condition = alltrue([for binding in google_storage_bucket_iam_member.this :
      endswith(binding.role, "_writer") || endswith(binding.role, "_mover") ? length(binding.condition) == 1 : length(binding.condition) == 0
    ])
    error_message = "Whatever writes is confined to names; whatever lists cannot be."
  }
}

run "seal_puts_segments_of_its_chain_alone" {
  command = plan

  assert {
    condition     = [for grant in output.grants : "${coalesce(grant.chain, "heads")} ${join(",", grant.prefixes)}" if grant.identity == "seal" && contains(grant.permissions, "storage.objects.create")] == ["gcp segments/", "heads gcp/"]
    error_message = "Seal writes segments and the head of its chain."
  }
  assert {
    condition     = google_storage_bucket_iam_member.this["seal store_writer gcp"].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/sealed-gcp-audit-logs-4711/objects/segments/\")"
    error_message = "The condition names the bucket's objects."
  }
  assert {
    condition     = google_storage_bucket_iam_member.this["seal store_writer gcp"].member == "serviceAccount:sealed-seal@audit-logs-4711.iam.gserviceaccount.com"
    error_message = "The seal function's account has it."
  }
  assert {
    condition     = [for name, user in google_secret_manager_secret_iam_member.key : user.secret_id if user.member == "serviceAccount:sealed-seal@audit-logs-4711.iam.gserviceaccount.com"] == ["sealed-chain-gcp"]
    error_message = "Seal reads the key of its chain and no other."
  }
}

run "anchor_puts_what_it_publishes_and_witnesses" {
  command = plan

  assert {
    condition = { for grant in output.grants : coalesce(grant.chain, "heads") => join(" ", grant.prefixes) if grant.identity == "anchor" && contains(grant.permissions, "storage.objects.create") } == {
      gcp   = "segments/ tile/ index/ checkpoints/ anchors/ evidence/"
      slow  = "segments/ tile/ index/ checkpoints/"
      heads = "gcp/ slow/ witness/"
    }
    error_message = "Anchor writes all but genesis and reports; anchors stand in the witness's chain."
  }
  assert {
    condition     = toset([for user in google_secret_manager_secret_iam_member.key : user.secret_id if user.member == "serviceAccount:sealed-anchor@audit-logs-4711.iam.gserviceaccount.com"]) == toset(["sealed-chain-gcp", "sealed-chain-slow", "sealed-witness"])
    error_message = "Anchor signs as chain and as witness, not as reporter."
  }
}

run "verify_writes_reports_alone" {
  command = plan

  assert {
    condition     = [for grant in output.grants : "${coalesce(grant.chain, "heads")} ${join(",", grant.prefixes)}" if grant.identity == "verify" && contains(grant.permissions, "storage.objects.create")] == ["gcp reports/", "heads report/"]
    error_message = "Verify writes reports and what it remembers of them."
  }
  assert {
    condition     = toset([for user in google_secret_manager_secret_iam_member.key : user.secret_id if user.member == "serviceAccount:sealed-verify@audit-logs-4711.iam.gserviceaccount.com"]) == toset(["sealed-report"])
    error_message = "Verify signs reports, never as chain or witness."
  }
}

run "without_a_report_verify_only_reads" {
  command = plan
  variables {
    report = false
  }

  assert {
    condition     = length([for grant in output.grants : grant if contains(["verify", "reader", "auditor"], grant.identity) && length(setintersection(grant.permissions, ["storage.objects.create", "storage.objects.delete"])) > 0]) == 0
    error_message = "Who verifies changes nothing."
  }
  assert {
    condition     = length([for user in google_secret_manager_secret_iam_member.key : user if user.member == "serviceAccount:sealed-verify@audit-logs-4711.iam.gserviceaccount.com"]) == 0
    error_message = "And signs nothing."
  }
}

run "readers_read_all_and_change_nothing" {
  command = plan

  assert {
    condition     = length([for grant in output.grants : grant if contains(["reader", "auditor"], grant.identity) && length(setsubtract(grant.permissions, ["storage.buckets.get", "storage.objects.get", "storage.objects.list", "storage.objects.restore"])) > 0]) == 0
    error_message = "The others' functions and auditors read."
  }
  assert {
    condition     = alltrue([for identity in ["verify", "reader", "auditor"] : toset([for grant in output.grants : coalesce(grant.chain, "heads") if grant.identity == identity && contains(grant.permissions, "storage.objects.get")]) == toset(["gcp", "slow", "heads"])])
    error_message = "Of every store."
  }
  assert {
    condition     = toset(keys(google_project_iam_member.lien_reader)) == toset(["verify", "reader", "group:auditors@example.org", "user:ann@example.org"])
    error_message = "They may ask for the project's liens."
  }
  assert {
    condition     = alltrue([for user in google_secret_manager_secret_iam_member.key : !strcontains(user.member, "reader") && !startswith(user.member, "user:") && !startswith(user.member, "group:")])
    error_message = "No key is theirs."
  }
}

run "secrets_hold_no_value" {
  command = plan
  variables {
    mail_password_secret = "smtp"
  }

  assert {
    condition     = toset([for secret in google_secret_manager_secret.seed : secret.secret_id]) == toset(["sealed-chain-gcp", "sealed-chain-slow", "sealed-witness", "sealed-report"]) && alltrue([for secret in google_secret_manager_secret.seed : secret.deletion_protection])
    error_message = "A secret for each key; its content is made by init."
  }
  assert {
    condition     = toset([for user in google_secret_manager_secret_iam_member.mail : user.member]) == toset(["serviceAccount:sealed-anchor@audit-logs-4711.iam.gserviceaccount.com", "serviceAccount:sealed-verify@audit-logs-4711.iam.gserviceaccount.com"])
    error_message = "Who mails reads the password."
  }
  assert {
    condition     = output.mail_password == "gcpsecret:projects/audit-logs-4711/secrets/smtp"
    error_message = "The settings name it."
  }
  assert {
    condition     = alltrue([for job in ["anchor", "verify"] : contains([for env in google_cloud_run_v2_service.this[job].template[0].containers[0].env : "${env.name}=${env.value}"], "COUNTERSIGN_MAIL_PASSWORD=gcpsecret:projects/audit-logs-4711/secrets/smtp")])
    error_message = "And these functions use it, whichever cloud's the settings name."
  }
}

run "keys_that_never_leave" {
  command = plan
  variables {
    keys = "kms"
  }

  assert {
    condition     = alltrue([for key in google_kms_crypto_key.this : key.purpose == "ASYMMETRIC_SIGN" && key.version_template[0].algorithm == "EC_SIGN_ED25519"]) && length(google_kms_crypto_key.this) == 4
    error_message = "Ed25519 keys that sign."
  }
  assert {
    condition     = length(google_secret_manager_secret.seed) == 0
    error_message = "No seeds beside them."
  }
  assert {
    condition     = strcontains(output.settings, "key = \"gcpkms:projects/audit-logs-4711/locations/europe-west1/keyRings/sealed/cryptoKeys/sealed-chain-gcp/cryptoKeyVersions/1\"")
    error_message = "The settings name the first version."
  }
  assert {
    condition     = toset([for user in google_kms_crypto_key_iam_member.key : "${split("@", user.member)[0]} ${user.role}"]) == toset([for identity in ["seal", "anchor", "verify"] : "serviceAccount:sealed-${identity} projects/audit-logs-4711/roles/sealed_key_signer"])
    error_message = "They sign and see the public key, no more."
  }
}
