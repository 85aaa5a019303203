# Up to three clouds, each of which seals its own logs and countersigns the others'.
#
# Every module tells who its functions are (`identity`) and how others get in
# (`reach`). Neither depends on the other clouds, so that each can be given to all.
# An output is named by its index here: `module.aws[*]` would wait for all of it.
locals {
  identity = {
    aws   = contains(var.clouds, "aws") ? module.aws[0].identity : null
    azure = contains(var.clouds, "azure") ? module.azure[0].identity : null
    gcp   = contains(var.clouds, "gcp") ? module.gcp[0].identity : null
  }
  reach = {
    aws   = contains(var.clouds, "aws") ? module.aws[0].reach : null
    azure = contains(var.clouds, "azure") ? module.azure[0].reach : null
    gcp   = contains(var.clouds, "gcp") ? module.gcp[0].reach : null
  }

  verify_in = coalesce(var.verify_in, var.clouds)
  jobs      = { for cloud in ["aws", "azure", "gcp"] : cloud => concat(["seal", "anchor"], contains(local.verify_in, cloud) ? ["verify"] : []) }
  packages = {
    for cloud, ending in { aws = "zip", azure = "zip", gcp = "tar.gz" } : cloud => var.packages == null ? null : {
      seal                     = "${var.packages}/${cloud}-seal.${ending}"
      anchor                   = "${var.packages}/${cloud}-anchor.${ending}"
      verify                   = contains(local.verify_in, cloud) ? "${var.packages}/${cloud}-verify.${ending}" : null
    }
  }

  chains = {
    for cloud in ["aws", "azure", "gcp"] : cloud => { (cloud) = { retention_days = var.retention_days } }
  }
  mail_password_secret = try(var.mail.password_secret, null)
}
