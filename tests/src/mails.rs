//! The mail server that `scripts/services` starts, and what came to it.

use std::io::{Read, Write};
use std::net::TcpStream;

use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::stand_in;

/// A mail server with its web API.
pub struct Mails {
    smtp: String,
    api: String,
    /// The file of the authority that vouches for its certificate.
    pub authority: String,
}

impl Mails {
    /// The one that is up; none, said on stderr, where none is.
    pub fn found() -> Option<Self> {
        Some(Self {
            smtp: stand_in("STANDIN_SMTP")?,
            api: stand_in("STANDIN_MAIL")?,
            authority: stand_in("STANDIN_MAIL_CA")?,
        })
    }

    /// The port that takes mail.
    pub fn port(&self) -> &str {
        self.smtp.rsplit_once(':').unwrap().1
    }

    /// What its API has at a path.
    pub fn get(&self, path: &str) -> Vec<u8> {
        let host = self.api.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        assert!(answer.starts_with(b"HTTP/1.0 200"), "{path}");
        answer.split_off(end + 4)
    }

    /// The same, as JSON.
    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path)).unwrap()
    }

    /// The mails to an address, the newest first.
    pub fn to(&self, address: &str) -> Vec<Value> {
        let found = self.json(&format!("/api/v1/search?query=to:{address}"));
        let found = found["messages"].as_array().unwrap().clone();
        let id = |mail: &Value| mail["ID"].as_str().unwrap().to_owned();
        let message = |mail: Value| self.json(&format!("/api/v1/message/{}", id(&mail)));
        found.into_iter().map(message).collect()
    }

    /// What is attached to a mail by that name.
    pub fn attached(&self, mail: &Value, name: &str) -> Vec<u8> {
        let attachments = mail["Attachments"].as_array().unwrap();
        let found = attachments.iter().find(|one| one["FileName"] == name);
        let part = found.unwrap()["PartID"].as_str().unwrap();
        let id = mail["ID"].as_str().unwrap();
        self.get(&format!("/api/v1/message/{id}/part/{part}"))
    }

    /// `[mail]` of settings that send to an address.
    pub fn settings(&self, to: &str, when: &str) -> String {
        format!(
            "[mail]\nserver = \"localhost:{}\"\nfrom = \"countersign@example.org\"\nto = [\"{to}\"]\nwhen = \"{when}\"\n",
            self.port()
        )
    }
}

/// An address that no other test has.
pub fn address(test: &str) -> String {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    format!("{test}-{}@example.org", HEXLOWER.encode(&random))
}
