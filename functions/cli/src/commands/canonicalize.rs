//! `canonicalize`: JSON lines in, canonical lines out.

use std::io::{self, BufWriter, ErrorKind, Read, Write};

use countersign_core::json::{Canonicalizer, scan};
use countersign_core::record::MAX_LINE_BYTES;

use crate::ui::{Failure, Out, Outcome, Status};

/// How much is asked of stdin at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Canonicalizes stdin.
///
/// # Errors
/// When stdin or stdout fails, or a line is over the cap.
pub fn run() -> Outcome {
    let mut out = Out::new();
    let mut reasons = BufWriter::new(io::stderr().lock());
    let mut canonicalizer = Canonicalizer::exact();
    let mut lines = Lines::new(io::stdin().lock());
    let mut number = 0u64;
    let mut status = Status::Well;
    let ended = loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        number += 1;
        if !out.is_open() {
            break Ok(());
        }
        match canonicalizer.canonicalize(line) {
            Ok(canonical) => {
                out.bytes(canonical);
                out.bytes(b"\n");
            }
            Err(_) if scan::trim(line).is_empty() => {}
            Err(reason) => {
                status = Status::Failed;
                // Nobody may be reading the reasons; the status tells all the same.
                let _ = writeln!(reasons, "line {number}: {reason}");
            }
        }
    };
    let _ = reasons.flush();
    // `finish` may talk on stderr through its caller.
    drop(reasons);
    out.finish()?;
    match ended {
        Ok(()) => Ok(status),
        Err(error) => Err(Failure::undone(match error {
            LineError::Read(error) => format!("stdin cannot be read: {error}"),
            LineError::TooLong => format!(
                "line {} of stdin has more than {MAX_LINE_BYTES} bytes, which no record can hold: is it lines?",
                number + 1
            ),
        })),
    }
}

/// Lines of a reader, without LF, out of one buffer that grows with the longest.
struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Where the unread bytes stand.
    from: usize,
    to: usize,
    ended: bool,
}

/// Why there is no next line.
#[derive(Debug)]
enum LineError {
    Read(io::Error),
    TooLong,
}

impl<R: Read> Lines<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: vec![0; 2 * CHUNK_BYTES],
            from: 0,
            to: 0,
            ended: false,
        }
    }

    fn next(&mut self) -> Result<Option<&[u8]>, LineError> {
        let mut searched = self.from;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[searched..self.to]) {
                let end = searched + found;
                let line = self.from..end;
                if line.len() > MAX_LINE_BYTES {
                    return Err(LineError::TooLong);
                }
                self.from = end + 1;
                return Ok(Some(&self.buffer[line]));
            }
            if self.to - self.from > MAX_LINE_BYTES {
                return Err(LineError::TooLong);
            }
            if self.ended {
                let line = self.from..self.to;
                self.from = self.to;
                return Ok(Some(&self.buffer[line]).filter(|line| !line.is_empty()));
            }
            // What is left moves to the front, so that there is room behind it.
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
            searched = self.to;
            if self.buffer.len() - self.to < CHUNK_BYTES {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), LineError> {
        loop {
            match self.reader.read(&mut self.buffer[self.to..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.to += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(LineError::Read(error)),
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes a read.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    #[test]
    fn lines_come_whole_however_they_are_read() {
        let long = "x".repeat(3 * CHUNK_BYTES);
        let text = format!("a\n\n{long}\nb\r\n{long}{long}\nend");
        let expected: Vec<_> = text.split('\n').collect();
        for step in [7_919, CHUNK_BYTES, usize::MAX] {
            let mut lines = Lines::new(Drip(text.as_bytes(), step));
            let mut found = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
            assert!(found == expected, "{step}");
        }
    }
}
