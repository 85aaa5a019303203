mock_resource "google_cloud_run_v2_service" {
  defaults = {
    uri = "https://countersign-mock-abcdefghij-ew.a.run.app"
  }
}

mock_resource "google_project_service_identity" {
  defaults = {
    email  = "service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    member = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
  }
}
