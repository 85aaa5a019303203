//! Listings, with what Azurite does not show and where it does not start.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::{Front, Place, http_date};
use crate::stand_ins::accounts::BlobLock;
use crate::stand_ins::answer::{
    encode, escape, parameter, read_response, with_body, with_parameter, without_parameter,
};

impl Front {
    /// The page that the request asks for. The first one from a name on may hold
    /// one blob more than it was asked to.
    pub async fn list(&self, place: &Place<'_>, mut request: Request) -> Response {
        let uri = request.uri().clone();
        let include = parameter(&uri, "include").unwrap_or_default();
        // Azurite knows these no more than what they would show.
        let kept: Vec<&str> = include
            .split(',')
            .filter(|what| !matches!(*what, "" | "immutabilitypolicy" | "legalhold"))
            .collect();
        let mut asked = without_parameter(&uri, "include");
        if !kept.is_empty() {
            asked = with_parameter(&asked, "include", &kept.join(","));
        }
        let start = parameter(&uri, "startFrom");
        let has_marker = parameter(&uri, "marker").is_some_and(|marker| !marker.is_empty());
        let start = start.filter(|start| !start.is_empty() && !has_marker);
        asked = without_parameter(&asked, "startFrom");
        let asked_without_start = asked.clone();
        if let Some(start) = &start {
            // A marker is the last name before the page.
            asked = with_parameter(&asked, "marker", &encode(start));
        }
        let headers = request.headers().clone();
        *request.uri_mut() = asked;
        let response = self.pass(request).await;
        let shows = include.contains("immutabilitypolicy") || include.contains("legalhold");
        if response.status() != StatusCode::OK || (start.is_none() && !shows) {
            return response;
        }
        let (response, body) = read_response(response).await;
        let mut text = String::from_utf8_lossy(&body).into_owned();
        if let Some(start) = start
            && let Some(first) = self.listed(&asked_without_start, &headers, &start).await
        {
            text = with_first(text, &first);
        }
        if shows {
            text = with_locks(&text, &place.rules.blobs);
        }
        with_body(response, text)
    }

    /// The entry of a listing for the blob of just this name, if it exists and
    /// the listing's prefix allows it.
    async fn listed(&self, list: &Uri, headers: &HeaderMap, name: &str) -> Option<String> {
        let prefix = parameter(list, "prefix").unwrap_or_default();
        if !name.starts_with(&prefix) || parameter(list, "delimiter").is_some() {
            return None;
        }
        let uri = with_parameter(list, "prefix", &encode(name));
        let uri = with_parameter(&uri, "maxresults", "1");
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        *request.headers_mut() = headers.clone();
        let (_, body) = read_response(self.pass(request).await).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        let entry = &text[text.find("<Blob>")?..text.find("</Blob>")? + "</Blob>".len()];
        entry
            .contains(&format!("<Name>{}</Name>", escape(name)))
            .then(|| entry.to_owned())
    }
}

/// Adds the entry before the others of a listing.
fn with_first(text: String, first: &str) -> String {
    match text.find("<Blobs>") {
        Some(at) => {
            let at = at + "<Blobs>".len();
            format!("{}{first}{}", &text[..at], &text[at..])
        }
        None => text.replace("<Blobs/>", &format!("<Blobs>{first}</Blobs>")),
    }
}

/// Adds to each entry of a listing what its blob carries.
fn with_locks(text: &str, locks: &BTreeMap<String, BlobLock>) -> String {
    let mut shown = String::with_capacity(text.len());
    for entry in text.split_inclusive("</Blob>") {
        let name = entry
            .split_once("<Name>")
            .and_then(|(_, rest)| rest.split_once("</Name>"));
        let lock = name.and_then(|(name, _)| locks.iter().find(|(blob, _)| escape(blob) == name));
        let mut properties = String::new();
        if let Some((until_millis, locked)) = lock.and_then(|(_, lock)| lock.until) {
            let mode = if locked { "locked" } else { "unlocked" };
            let until = http_date(until_millis);
            properties = format!(
                "<ImmutabilityPolicyUntilDate>{until}</ImmutabilityPolicyUntilDate><ImmutabilityPolicyMode>{mode}</ImmutabilityPolicyMode>"
            );
        }
        if lock.is_some_and(|(_, lock)| lock.legal_hold) {
            properties.push_str("<LegalHold>true</LegalHold>");
        }
        shown.push_str(&entry.replacen("</Properties>", &format!("{properties}</Properties>"), 1));
    }
    shown
}
