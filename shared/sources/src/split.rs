//! Where events begin and end in a delivery's bytes (`FORMAT.md`, "Event boundaries").
//!
//! Whether a delivery is one JSON document or lines shows only as it is read: the
//! splitter follows one shape and stops with [`Stop::Retry`] when it finds that
//! the delivery has another; its caller then begins anew with that one.

use countersign_core::json::{Canonicalizer, JsonError, Parsed, Reason, scan};

use crate::SourceError;
use crate::input::{Input, Uncompressed};
use crate::window::{MAX_EVENT_BYTES, Window};

/// How a delivery holds its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// To be found out.
    #[default]
    Unknown,
    /// A document `{"Records":[…]}` or `{"records":[…]}`.
    Envelope,
    /// A document that is an array.
    Array,
    /// A document that is one event.
    Whole,
    /// Lines, each of them unwrapped, but for arrays.
    Lines,
}

/// Why a splitter stops before the end.
#[derive(Debug)]
pub enum Stop {
    /// The delivery has this shape: what was found so far does not count.
    Retry(Shape),
    /// The delivery cannot be split.
    Error(SourceError),
}

impl<E: Into<SourceError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// An event as it was found.
#[derive(Debug)]
pub enum Found<'a> {
    /// Exact JSON.
    Exact(Parsed<'a>),
    /// JSON that is not exact: its bytes without outer white space.
    Inexact(&'a [u8]),
    /// A line that is not JSON, without its line end.
    Text(&'a [u8]),
}

/// Reads events one after the other.
pub struct Splitter<'a> {
    window: Window<'a>,
    canonicalizer: Canonicalizer,
    shape: Shape,
    state: State,
    /// Of the window's rest, what the last event took.
    taken: usize,
}

#[derive(Clone, Copy)]
enum State {
    Start,
    /// After an opening bracket.
    ElementOrEnd,
    /// After a comma.
    Element,
    AfterElement,
    /// After the array of an envelope.
    EnvelopeEnd,
    /// After the document.
    Trailer,
    Lines,
    /// Inside the envelope on a line: offset of the next element, bytes of the line.
    LineElements(usize, usize),
    Done,
}

/// An event's place: offsets into the window's rest.
#[derive(Clone, Copy)]
enum Place {
    /// What the canonicalizer read begins there.
    Exact(usize),
    Inexact(usize, usize),
    Text(usize, usize),
}

impl<'a> Splitter<'a> {
    /// Reads an input of that shape, under a cap on its uncompressed bytes.
    ///
    /// # Errors
    /// When the input cannot be opened.
    pub fn open(input: &'a dyn Input, shape: Shape, max_bytes: u64) -> Result<Self, SourceError> {
        Ok(Self {
            window: Window::new(Uncompressed::open(input, max_bytes)?)?,
            canonicalizer: Canonicalizer::exact(),
            shape,
            state: State::Start,
            taken: 0,
        })
    }

    /// The next event and its offset, or none at the end of the input.
    ///
    /// # Errors
    /// [`Stop::Retry`] when the input has another shape, [`Stop::Error`] when it
    /// cannot be split.
    #[allow(clippy::should_implement_trait)] // lends from itself
    pub fn next(&mut self) -> Result<Option<(u64, Found<'_>)>, Stop> {
        let Some((at, place)) = self.advance()? else {
            return Ok(None);
        };
        let rest = self.window.rest();
        let found = match place {
            Place::Exact(from) => Found::Exact(self.canonicalizer.parsed(&rest[from..])),
            Place::Inexact(from, to) => Found::Inexact(&rest[from..to]),
            Place::Text(from, to) => Found::Text(&rest[from..to]),
        };
        Ok(Some((self.window.offset() + at as u64, found)))
    }

    /// Bytes that were read and are not consumed yet.
    pub fn bytes_at_hand(&self) -> usize {
        self.window.rest().len()
    }

    /// The shape that was found.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// SHA-256 and number of the uncompressed bytes: of all, at the end.
    pub fn digest(&self) -> ([u8; 32], u64) {
        let source = self.window.source();
        (source.sha256(), source.bytes())
    }

    fn advance(&mut self) -> Result<Option<(usize, Place)>, Stop> {
        self.window.consume(std::mem::take(&mut self.taken));
        loop {
            match self.state {
                State::Start => {
                    if let Some(place) = self.start()? {
                        return Ok(Some((0, place)));
                    }
                }
                State::ElementOrEnd | State::Element => {
                    let byte = self.byte()?;
                    if byte == b']' && matches!(self.state, State::ElementOrEnd) {
                        self.close_array();
                        continue;
                    }
                    self.state = State::AfterElement;
                    return Ok(Some((0, self.value()?)));
                }
                State::AfterElement => match self.byte()? {
                    b',' => {
                        self.window.consume(1);
                        self.state = State::Element;
                    }
                    b']' => self.close_array(),
                    _ => return Err(self.broken(0, Reason::UnexpectedByte)),
                },
                State::EnvelopeEnd => match self.byte()? {
                    b'}' => {
                        self.window.consume(1);
                        self.state = State::Trailer;
                    }
                    // A second member: the object itself is the event.
                    b',' => return Err(Stop::Retry(Shape::Whole)),
                    _ => return Err(self.broken(0, Reason::UnexpectedByte)),
                },
                State::Trailer => {
                    // Whether a line ended inside the value, not after it.
                    let several_lines = self.window.line_ended_so_far();
                    if !self.window.skip_space()? {
                        self.state = State::Done;
                    } else if several_lines {
                        return Err(self.broken_here(0, Reason::TrailingBytes));
                    } else {
                        return Err(Stop::Retry(Shape::Lines));
                    }
                }
                State::Lines => {
                    if let Some(found) = self.line()? {
                        return Ok(Some(found));
                    }
                }
                State::LineElements(at, line_bytes) => {
                    if let Some(found) = self.line_element(at, line_bytes)? {
                        return Ok(Some(found));
                    }
                }
                State::Done => return Ok(None),
            }
        }
    }

    /// Settles the shape, and enters it; a document that is one event is read.
    fn start(&mut self) -> Result<Option<Place>, Stop> {
        if self.shape == Shape::Lines {
            self.state = State::Lines;
            return Ok(None);
        }
        if !self.window.skip_space()? {
            if self.window.source().bytes() == 0 {
                return Err(SourceError::Empty.into());
            }
            self.shape = Shape::Lines;
            self.state = State::Done;
            return Ok(None);
        }
        self.window.watch_line();
        let byte = self.byte()?;
        let inside = loop {
            let rest = self.window.rest();
            match envelope(rest) {
                _ if self.shape == Shape::Whole => break None,
                Peek::More if rest.len() <= MAX_EVENT_BYTES && self.window.more()? => {}
                Peek::Elements(at) => break Some(at),
                Peek::More | Peek::Other => break None,
            }
        };
        (self.shape, self.state) = match (byte, inside) {
            // A scalar is an event on a line as well as as a document. White
            // space that was skipped belongs to a line of text.
            (byte, _) if byte != b'{' && byte != b'[' => {
                if self.window.offset() > 0 {
                    return Err(Stop::Retry(Shape::Lines));
                }
                (Shape::Lines, State::Lines)
            }
            (b'[', _) => {
                self.window.consume(1);
                (Shape::Array, State::ElementOrEnd)
            }
            (_, Some(at)) => {
                self.window.consume(at);
                (Shape::Envelope, State::ElementOrEnd)
            }
            (_, None) => (Shape::Whole, State::Trailer),
        };
        if self.shape == Shape::Whole {
            return self.value().map(Some);
        }
        Ok(None)
    }

    /// The next byte that is not white space, inside a document.
    fn byte(&mut self) -> Result<u8, Stop> {
        if !self.window.skip_space()? {
            return Err(self.broken_here(0, Reason::UnexpectedEnd));
        }
        Ok(self.window.rest()[0])
    }

    fn close_array(&mut self) {
        self.window.consume(1);
        self.state = match self.shape {
            Shape::Envelope => State::EnvelopeEnd,
            _ => State::Trailer,
        };
    }

    /// Reads the value that `rest` begins with.
    fn value(&mut self) -> Result<Place, Stop> {
        loop {
            let rest = self.window.rest();
            match value(&mut self.canonicalizer, rest) {
                // A number might go on.
                Ok((end, _)) if end == rest.len() && !self.window.ended() => {}
                Ok((end, exact)) if end <= MAX_EVENT_BYTES => {
                    self.taken = end;
                    return Ok(if exact {
                        Place::Exact(0)
                    } else {
                        Place::Inexact(0, end)
                    });
                }
                Ok(_) => return Err(self.too_large()),
                Err(error) if error.reason == Reason::UnexpectedEnd => {
                    if self.window.ended() {
                        return Err(self.broken_here(error.offset, error.reason));
                    }
                }
                // Whether the line ends there shows in the next byte.
                Err(error) if rest[error.offset..] == *b"\r" && !self.window.ended() => {}
                Err(error) => return Err(self.broken(error.offset, error.reason)),
            }
            if self.window.rest().len() > MAX_EVENT_BYTES {
                return Err(self.too_large());
            }
            self.window.more()?;
        }
    }

    /// The event, or the line, that `rest` begins with.
    fn too_large(&self) -> Stop {
        Stop::Error(SourceError::EventTooLarge {
            offset: self.window.offset(),
            limit: MAX_EVENT_BYTES as u64,
        })
    }

    /// An error inside a document. One on its first line means that the delivery
    /// is no document.
    fn broken(&self, offset: usize, reason: Reason) -> Stop {
        // A CR before LF is of the line's end.
        let at_line_end = self.window.rest()[offset..].starts_with(b"\r\n");
        if at_line_end || self.window.line_ended(offset) {
            self.broken_here(offset, reason)
        } else {
            Stop::Retry(Shape::Lines)
        }
    }

    fn broken_here(&self, offset: usize, reason: Reason) -> Stop {
        Stop::Error(SourceError::Broken {
            offset: self.window.offset() + offset as u64,
            reason: format!("not a JSON document: {reason}"),
        })
    }

    /// Reads a line; none if it has no event of its own.
    fn line(&mut self) -> Result<Option<(usize, Place)>, Stop> {
        let mut searched = 0;
        let (end, line_bytes) = loop {
            let rest = self.window.rest();
            if let Some(found) = memchr::memchr(b'\n', &rest[searched..]) {
                let end = searched + found;
                let carriage_return = end > 0 && rest[end - 1] == b'\r';
                break (end - usize::from(carriage_return), end + 1);
            }
            searched = rest.len();
            if searched > MAX_EVENT_BYTES {
                return Err(self.too_large());
            }
            if !self.window.more()? {
                break (searched, searched);
            }
        };
        if end > MAX_EVENT_BYTES {
            return Err(self.too_large());
        }
        if line_bytes == 0 {
            if self.window.source().bytes() == 0 {
                return Err(SourceError::Empty.into());
            }
            self.state = State::Done;
            return Ok(None);
        }
        let line = &self.window.rest()[..end];
        let from = scan::skip_space(line, 0);
        if from == end {
            self.window.consume(line_bytes);
            return Ok(None);
        }
        if let Peek::Elements(at) = envelope(&line[from..])
            && is_only_member(&line[from..])
        {
            self.state = State::LineElements(from + at, line_bytes);
            return Ok(None);
        }
        self.taken = line_bytes;
        let place = match value(&mut self.canonicalizer, &line[from..]) {
            Ok((value_end, exact)) if scan::skip_space(line, from + value_end) == end => {
                match exact {
                    true => Place::Exact(from),
                    false => Place::Inexact(from, from + value_end),
                }
            }
            _ => Place::Text(0, end),
        };
        Ok(Some((0, place)))
    }

    /// Reads the next element of an envelope that was checked as a whole.
    fn line_element(
        &mut self,
        at: usize,
        line_bytes: usize,
    ) -> Result<Option<(usize, Place)>, Stop> {
        let rest = self.window.rest();
        let from = scan::skip_space(rest, at);
        if rest[from] == b']' {
            self.window.consume(line_bytes);
            self.state = State::Lines;
            return Ok(None);
        }
        let (bytes, exact) = value(&mut self.canonicalizer, &rest[from..line_bytes])
            .map_err(|error| self.broken_here(from + error.offset, error.reason))?;
        let end = from + bytes;
        let mut next = scan::skip_space(rest, end);
        next += usize::from(rest[next] == b',');
        self.state = State::LineElements(next, line_bytes);
        Ok(Some(match exact {
            true => (from, Place::Exact(from)),
            false => (from, Place::Inexact(from, end)),
        }))
    }
}

/// Where the value ends that `bytes` begins with, and whether it is exact; the
/// canonicalizer then holds it.
fn value(canonicalizer: &mut Canonicalizer, bytes: &[u8]) -> Result<(usize, bool), JsonError> {
    match canonicalizer.read_prefix(bytes) {
        Ok(end) => Ok((end, true)),
        Err(error) if error.reason.is_inexact() => Ok((scan::value_end(bytes)?, false)),
        Err(error) => Err(error),
    }
}

enum Peek {
    /// `{"Records":[`: its elements begin at this offset.
    Elements(usize),
    Other,
    /// The bytes end too early to tell.
    More,
}

/// Whether `bytes` begin with an object whose first member is an array of records.
fn envelope(bytes: &[u8]) -> Peek {
    if bytes.first() != Some(&b'{') {
        return Peek::Other;
    }
    let name_at = scan::skip_space(bytes, 1);
    let name_end = match scan::string_end(bytes, name_at) {
        Ok(end) => end,
        Err(error) if error.reason == Reason::UnexpectedEnd => return Peek::More,
        Err(_) => return Peek::Other,
    };
    match scan::string(&bytes[name_at..name_end]).as_deref() {
        Some("Records" | "records") => {}
        _ => return Peek::Other,
    }
    let colon = scan::skip_space(bytes, name_end);
    match bytes.get(colon) {
        Some(b':') => {}
        Some(_) => return Peek::Other,
        None => return Peek::More,
    }
    let bracket = scan::skip_space(bytes, colon + 1);
    match bytes.get(bracket) {
        Some(b'[') => Peek::Elements(bracket + 1),
        Some(_) => Peek::Other,
        None => Peek::More,
    }
}

/// Whether a line is a JSON object of one member.
fn is_only_member(line: &[u8]) -> bool {
    scan::is_json(line) && scan::members(line).nth(1).is_none()
}
