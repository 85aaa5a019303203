//! A front that passes on what it is sent, and writes down what that was.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use countersign_store::emulators::Emulators;
use countersign_tests::stand_ins::Local;
use countersign_tests::stand_ins::upstream::Upstream;

/// The variables of the stand-ins' addresses.
const VARIABLES: [&str; 8] = [
    "STANDIN_S3",
    "STANDIN_AWS",
    "STANDIN_AWS_KMS",
    "STANDIN_BLOB",
    "STANDIN_ARM",
    "STANDIN_KEYVAULT",
    "STANDIN_GCS",
    "STANDIN_GCP",
];

/// What came: the variable of the stand-in that it was for, method, and path
/// with query.
pub(crate) type Requests = Arc<Mutex<Vec<(&'static str, String)>>>;

struct Front {
    variable: &'static str,
    upstream: Upstream,
    seen: Requests,
}

/// A front before each of the stand-ins.
pub(crate) struct Fronts {
    pub(crate) emulators: Emulators,
    seen: Requests,
    _servers: Vec<Local>,
}

impl Fronts {
    pub(crate) async fn new() -> Self {
        let (mut servers, mut file) = (Vec::new(), String::new());
        let seen = Requests::default();
        for variable in VARIABLES {
            let front = Arc::new(Front {
                variable,
                upstream: Upstream::new(&std::env::var(variable).unwrap()),
                seen: Arc::clone(&seen),
            });
            let router = Router::new().fallback(handle).with_state(front);
            let server = Local::serve(|_| router).await;
            file += &format!("{variable}={}\n", server.url);
            servers.push(server);
        }
        Self {
            emulators: Emulators::parse(&file).unwrap(),
            seen,
            _servers: servers,
        }
    }

    /// What came since the last time.
    pub(crate) fn take(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

async fn handle(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (method, uri) = (request.method(), request.uri());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let line = format!("{method} {path}");
    front.seen.lock().unwrap().push((front.variable, line));
    front.upstream.pass(request).await
}
