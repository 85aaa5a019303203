# What Google would answer, in the form that the provider checks.
mock_data "google_project" {
  defaults = {
    number = "123456789012"
  }
}

mock_resource "google_service_account" {
  defaults = {
    name      = "projects/audit-logs-4711/serviceAccounts/mock@audit-logs-4711.iam.gserviceaccount.com"
    email     = "mock@audit-logs-4711.iam.gserviceaccount.com"
    member    = "serviceAccount:mock@audit-logs-4711.iam.gserviceaccount.com"
    unique_id = "100000000000000000001"
  }
}

mock_resource "google_logging_project_sink" {
  defaults = {
    writer_identity = "serviceAccount:service-123456789012@gcp-sa-logging.iam.gserviceaccount.com"
  }
}

mock_resource "google_logging_folder_sink" {
  defaults = {
    writer_identity = "serviceAccount:service-folder-123@gcp-sa-logging.iam.gserviceaccount.com"
  }
}

mock_resource "google_logging_organization_sink" {
  defaults = {
    writer_identity = "serviceAccount:service-org-123@gcp-sa-logging.iam.gserviceaccount.com"
  }
}

mock_resource "google_pubsub_topic" {
  defaults = {
    id = "projects/audit-logs-4711/topics/mock"
  }
}

mock_resource "google_pubsub_subscription" {
  defaults = {
    id = "projects/audit-logs-4711/subscriptions/mock"
  }
}

mock_resource "google_monitoring_notification_channel" {
  defaults = {
    name = "projects/audit-logs-4711/notificationChannels/1"
  }
}

mock_resource "google_kms_key_ring" {
  defaults = {
    id = "projects/audit-logs-4711/locations/europe-west1/keyRings/countersign"
  }
}

mock_resource "google_kms_crypto_key" {
  defaults = {
    id = "projects/audit-logs-4711/locations/europe-west1/keyRings/countersign/cryptoKeys/mock"
  }
}

mock_resource "google_storage_bucket_object" {
  defaults = {
    generation = 1700000000000000
  }
}

mock_resource "google_iam_workload_identity_pool" {
  defaults = {
    name = "projects/123456789012/locations/global/workloadIdentityPools/countersign-readers"
  }
}
