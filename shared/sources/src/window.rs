//! A window that slides over the uncompressed bytes.

use countersign_core::record::MAX_LINE_BYTES;

use crate::SourceError;
use crate::input::Uncompressed;

const STEP_BYTES: usize = 256 << 10;

/// An event, and a line of events, has at most this many bytes: no record could
/// hold it as it stands.
pub(crate) const MAX_EVENT_BYTES: usize = MAX_LINE_BYTES;

/// The bytes from a position on, as far as they were read.
pub(crate) struct Window<'a> {
    source: Uncompressed<'a>,
    /// The bytes themselves, where they are in memory as a whole.
    whole: Option<&'a [u8]>,
    buffer: Vec<u8>,
    /// Start of what is not consumed.
    at: usize,
    /// Offset of `buffer[0]` in the input.
    base: u64,
    ended: bool,
    line: Line,
}

/// Whether a line ended in what was consumed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nobody asks.
    Ignored,
    /// Not since it is watched.
    Open,
    Ended,
}

impl<'a> Window<'a> {
    pub(crate) fn new(mut source: Uncompressed<'a>) -> Result<Self, SourceError> {
        let whole = source.whole()?;
        Ok(Self {
            source,
            whole,
            buffer: Vec::new(),
            at: 0,
            base: 0,
            ended: whole.is_some(),
            line: Line::Ignored,
        })
    }

    /// From here on, remembers whether a LF was consumed.
    pub(crate) fn watch_line(&mut self) {
        self.line = Line::Open;
    }

    /// Whether a LF was consumed since [`Window::watch_line`], or stands in
    /// `rest` up to and including `offset`.
    pub(crate) fn line_ended(&self, offset: usize) -> bool {
        let rest = self.rest();
        let until = rest.len().min(offset.saturating_add(1));
        self.line == Line::Ended || memchr::memchr(b'\n', &rest[..until]).is_some()
    }

    /// Whether a LF was consumed since [`Window::watch_line`].
    pub(crate) fn line_ended_so_far(&self) -> bool {
        self.line == Line::Ended
    }

    /// What was read and not consumed.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.whole.unwrap_or(&self.buffer)[self.at..]
    }

    /// Nothing follows `rest`.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Offset of `rest` in the input.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        if self.line == Line::Open && memchr::memchr(b'\n', &self.rest()[..bytes]).is_some() {
            self.line = Line::Ended;
        }
        self.at += bytes;
    }

    /// Reads more, as much again as `rest` has, so that looking at a value anew
    /// after each call stays linear, but no more than it takes to see that an
    /// event is too long. Returns false at the end.
    pub(crate) fn more(&mut self) -> Result<bool, SourceError> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        let have = self.buffer.len();
        let enough = (MAX_EVENT_BYTES + 1).saturating_sub(have);
        let wanted = have.min(enough).max(STEP_BYTES);
        self.buffer.resize(have + wanted, 0);
        let mut filled = have;
        while filled < self.buffer.len() {
            let count = self.source.read(&mut self.buffer[filled..])?;
            if count == 0 {
                self.ended = true;
                break;
            }
            filled += count;
        }
        self.buffer.truncate(filled);
        Ok(filled > have)
    }

    /// Skips JSON white space; false at the end of the input.
    pub(crate) fn skip_space(&mut self) -> Result<bool, SourceError> {
        loop {
            let skipped = countersign_core::json::scan::skip_space(self.rest(), 0);
            self.consume(skipped);
            if !self.rest().is_empty() {
                return Ok(true);
            }
            if !self.more()? {
                return Ok(false);
            }
        }
    }

    /// The source, for what was hashed and counted.
    pub(crate) fn source(&self) -> &Uncompressed<'a> {
        &self.source
    }
}
