//! The paths of the JSON API.

use axum::http::Method;

use crate::stand_ins::answer::decode;

/// What a path of the JSON API names.
#[derive(Debug)]
pub enum Target {
    Buckets,
    Bucket(String),
    LockPolicy(String),
    Objects(String),
    Object(String, String),
    /// The object that a copy, a rewrite or a composition makes.
    Made(String, String),
    Upload(String),
    Other,
}

impl Target {
    pub fn of(path: &str) -> Self {
        let parts: Vec<String> = path
            .trim_start_matches('/')
            .split('/')
            .map(decode)
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let owned = |text: &&str| (*text).to_owned();
        match &parts[..] {
            ["storage", "v1", "b"] => Self::Buckets,
            ["storage", "v1", "b", bucket] => Self::Bucket(owned(bucket)),
            ["storage", "v1", "b", bucket, "lockRetentionPolicy"] => {
                Self::LockPolicy(owned(bucket))
            }
            ["storage", "v1", "b", bucket, "o"] => Self::Objects(owned(bucket)),
            ["storage", "v1", "b", bucket, "o", object] => {
                Self::Object(owned(bucket), owned(object))
            }
            ["storage", "v1", "b", bucket, "o", object, "compose"]
            | [
                "storage",
                "v1",
                "b",
                _,
                "o",
                _,
                "copyTo" | "rewriteTo",
                "b",
                bucket,
                "o",
                object,
            ] => Self::Made(owned(bucket), owned(object)),
            ["upload" | "resumable", "storage" | "upload", rest @ ..] => match rest {
                ["v1", "b", bucket, "o"] | ["storage", "v1", "b", bucket, "o"] => {
                    Self::Upload(owned(bucket))
                }
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }

    /// The permission that the call needs.
    pub fn permission(&self, method: &Method) -> &'static str {
        match (self, method.as_str()) {
            (Self::Buckets, "GET") => "storage.buckets.list",
            (Self::Buckets, _) => "storage.buckets.create",
            (Self::Bucket(_), "GET") => "storage.buckets.get",
            (Self::Bucket(_), "DELETE") => "storage.buckets.delete",
            (Self::Bucket(_) | Self::LockPolicy(_), _) => "storage.buckets.update",
            (Self::Objects(_), _) => "storage.objects.list",
            (Self::Object(..), "DELETE") => "storage.objects.delete",
            (Self::Object(..), "PATCH" | "PUT") => "storage.objects.update",
            (Self::Made(..) | Self::Upload(_), _) => "storage.objects.create",
            (Self::Object(..) | Self::Other, _) => "storage.objects.get",
        }
    }
}
