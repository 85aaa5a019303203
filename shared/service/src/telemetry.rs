//! What a function tells its platform: log lines and metrics, as JSON on stdout,
//! one object a line.

use std::fmt;
use std::io::Write;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_core::time;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Whose metrics and severities are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// CloudWatch: metrics in the embedded metric format.
    Aws,
    /// Application Insights reads stdout lines; metrics are lines too.
    Azure,
    /// Cloud Logging: `severity`; log-based metrics read the fields.
    Gcp,
}

/// Sends what the jobs tell to stdout. `LOG_LEVEL` (error, warn, info, debug) says
/// how much; info where it is not set. Lines of the libraries underneath are left
/// out below warnings: at a finer level they may repeat what services answered.
///
/// Called once, first.
pub fn init(platform: Platform) {
    let level = match std::env::var("LOG_LEVEL").unwrap_or_default().as_str() {
        "error" => Level::ERROR,
        "warn" => Level::WARN,
        "debug" => Level::DEBUG,
        _ => Level::INFO,
    };
    let lines = Lines {
        platform,
        level,
        out: Mutex::new(std::io::stdout()),
    };
    // A second one is a test's, and the first one stays.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// A number that the platform is to keep over time.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// `RecordsSealed`.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// CloudWatch's word for its unit: `Count`, `Seconds`, `Milliseconds`.
    pub unit: &'static str,
}

impl Metric {
    /// A count.
    pub fn count(name: &'static str, value: u64) -> Self {
        Self {
            name,
            value,
            unit: "Count",
        }
    }

    /// A time in seconds.
    pub fn seconds(name: &'static str, value: u64) -> Self {
        Self {
            name,
            value,
            unit: "Seconds",
        }
    }
}

/// Tells metrics about a chain (or a pair, or the deployment: `about`).
pub fn metrics(platform: Platform, about: &str, metrics: &[Metric]) {
    if let Some(line) = metric_line(platform, about, metrics, now_millis()) {
        let mut out = std::io::stdout().lock();
        // There is nobody to tell that stdout is gone.
        let _ = writeln!(out, "{line}");
    }
}

fn metric_line(
    platform: Platform,
    about: &str,
    metrics: &[Metric],
    now_millis: u64,
) -> Option<Value> {
    if metrics.is_empty() {
        return None;
    }
    let mut line = Map::new();
    if platform == Platform::Aws {
        let names: Vec<Value> = metrics
            .iter()
            .map(|metric| json!({"Name": metric.name, "Unit": metric.unit}))
            .collect();
        let directive = json!({
            "Timestamp": now_millis,
            "CloudWatchMetrics": [{
                "Namespace": "countersign",
                "Dimensions": [["about"]],
                "Metrics": names,
            }],
        });
        line.insert("_aws".to_owned(), directive);
    } else {
        line.insert("time".to_owned(), time::from_unix_millis(now_millis).into());
        line.insert(
            severity_name(platform).to_owned(),
            severity(platform, Level::INFO).into(),
        );
        line.insert("message".to_owned(), "metrics".into());
    }
    line.insert("about".to_owned(), about.into());
    for metric in metrics {
        line.insert(metric.name.to_owned(), metric.value.into());
    }
    Some(Value::Object(line))
}

/// Log lines.
struct Lines<W> {
    platform: Platform,
    level: Level,
    out: Mutex<W>,
}

/// The fields of a span, kept with it.
struct Fields(Map<String, Value>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        let own = metadata.target().starts_with("countersign");
        let most = if own {
            self.level
        } else {
            self.level.min(Level::WARN)
        };
        *metadata.level() <= most
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields(Map::new());
        fields.0.insert(
            "time".to_owned(),
            time::from_unix_millis(now_millis()).into(),
        );
        fields.0.insert(
            severity_name(self.platform).to_owned(),
            severity(self.platform, *metadata.level()).into(),
        );
        fields
            .0
            .insert("target".to_owned(), metadata.target().into());
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(of_span)) = span.extensions().get::<Fields>() {
                for (name, value) in of_span {
                    fields.0.insert(name.clone(), value.clone());
                }
            }
        }
        event.record(&mut fields);
        if let Ok(mut out) = self.out.lock() {
            let _ = writeln!(out, "{}", Value::Object(fields.0));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.0.insert(field.name().to_owned(), text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

fn severity_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Gcp => "severity",
        Platform::Aws | Platform::Azure => "level",
    }
}

fn severity(platform: Platform, level: Level) -> &'static str {
    match (level, platform) {
        (Level::ERROR, _) => "ERROR",
        (Level::WARN, Platform::Gcp) => "WARNING",
        (Level::WARN, _) => "WARN",
        (Level::INFO, _) => "INFO",
        _ => "DEBUG",
    }
}

#[allow(clippy::disallowed_methods)] // of a log line, not of what is sealed
fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(platform: Platform, level: Level, tell: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let layer = Lines {
            platform,
            level,
            out: Mutex::new(kept.clone()),
        };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, tell);
        let bytes = kept.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let line = |line| serde_json::from_str(line).expect("each line is an object");
        text.lines().map(line).collect()
    }

    #[test]
    fn a_line_says_in_which_invocation_it_was_written() {
        let found = lines(Platform::Gcp, Level::INFO, || {
            let span = tracing::info_span!("invocation", invocation = "abc-1");
            let _in = span.enter();
            tracing::info!(records = 5u64, from = "x\ny", "took deliveries");
            tracing::debug!("not told");
        });
        let [line] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(line["invocation"], "abc-1");
        assert_eq!(line["records"], 5);
        assert_eq!(line["from"], "x\ny");
        assert_eq!(line["message"], "took deliveries");
        assert_eq!(line["severity"], "INFO");
    }

    #[test]
    fn libraries_are_heard_from_warnings_on() {
        let found = lines(Platform::Aws, Level::DEBUG, || {
            tracing::debug!(target: "aws_smithy_runtime", "an answer");
            tracing::warn!(target: "aws_smithy_runtime", "a warning");
            tracing::debug!("ours");
        });
        let messages: Vec<_> = found.iter().map(|line| &line["message"]).collect();
        assert_eq!(messages, ["a warning", "ours"]);
    }

    #[test]
    fn metrics_are_in_the_form_of_the_platform() {
        let sealed = [
            Metric::count("RecordsSealed", 7),
            Metric::seconds("AnchorLag", 3),
        ];
        let line = metric_line(Platform::Aws, "a/aws", &sealed, 1_000).unwrap();
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            metrics["Metrics"][1],
            json!({"Name": "AnchorLag", "Unit": "Seconds"})
        );
        assert_eq!(metrics["Dimensions"], json!([["about"]]));
        assert_eq!(line["_aws"]["Timestamp"], 1_000);
        assert_eq!(
            (&line["RecordsSealed"], &line["about"]),
            (&json!(7), &json!("a/aws"))
        );
        let line = metric_line(Platform::Gcp, "a/gcp", &sealed, 1_000).unwrap();
        assert_eq!(
            (&line["message"], &line["RecordsSealed"]),
            (&json!("metrics"), &json!(7))
        );
        assert_eq!(metric_line(Platform::Aws, "a", &[], 0), None);
    }
}
