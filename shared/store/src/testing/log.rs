//! All that is logged, at every level, to be searched for what must not be.

use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// Keeps all that is logged, at every level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    /// What this thread logs until the guard is dropped, and what the whole
    /// process logs through the `log` crate.
    pub(crate) fn listen() -> (Self, DefaultGuard) {
        static ALL: OnceLock<Log> = OnceLock::new();
        let log = ALL.get_or_init(Self::default);
        // There is one logger per process: the first that listens sets it.
        if log::set_logger(log).is_ok() {
            log::set_max_level(log::LevelFilter::Trace);
        }
        (log.clone(), tracing::subscriber::set_default(log.clone()))
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }

    fn note(&self, text: &dyn std::fmt::Debug) {
        let mut log = self.0.lock().expect("no panic");
        writeln!(log, "{text:?}").expect("a string takes all");
    }
}

impl Visit for Log {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.note(value);
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note(&event.metadata().target());
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.note(record.args());
    }

    fn flush(&self) {}
}
