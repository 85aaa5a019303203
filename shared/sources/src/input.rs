//! What a delivery's bytes are read from, as often as it takes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::SourceError;

/// The first two bytes of a gzip member (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A delivery's bytes as delivered, compressed or not. It is read twice where it
/// makes more than one part.
pub trait Input: Send + Sync {
    /// Reads from the beginning.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>>;

    /// All its bytes, where they are in memory anyway: they are then not copied.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }
}

impl Input for [u8] {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self))
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Input for Vec<u8> {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(&self[..]))
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

/// A file that is open and can be read again from its beginning.
#[derive(Debug)]
pub struct FileInput(Arc<File>);

impl FileInput {
    /// Takes an open file.
    pub fn new(file: File) -> Self {
        Self(Arc::new(file))
    }
}

impl Input for FileInput {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut file = &*self.0;
        file.rewind()?;
        Ok(Box::new(file))
    }
}

/// The uncompressed bytes, hashed and counted as they are read, under a cap.
pub(crate) struct Uncompressed<'a> {
    input: &'a dyn Input,
    reader: Box<dyn Read + Send + 'a>,
    gzip: bool,
    hasher: Sha256,
    bytes: u64,
    limit: u64,
}

impl<'a> Uncompressed<'a> {
    pub(crate) fn open(input: &'a dyn Input, limit: u64) -> Result<Self, SourceError> {
        let mut reader = BufReader::with_capacity(64 << 10, input.open()?);
        // One read may give a single byte: ask until both are there.
        let mut start = [0; 2];
        let mut have = 0;
        while have < 2 {
            let available = reader.fill_buf()?;
            let Some(&byte) = available.first() else {
                break;
            };
            start[have] = byte;
            have += 1;
            reader.consume(1);
        }
        let gzip = have == 2 && start == GZIP_MAGIC;
        let whole = io::Cursor::new(start).take(have as u64).chain(reader);
        let reader: Box<dyn Read + Send + 'a> = if gzip {
            Box::new(MultiGzDecoder::new(BufReader::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self {
            input,
            reader,
            gzip,
            hasher: Sha256::new(),
            bytes: 0,
            limit,
        })
    }

    /// All the bytes, hashed and counted, if they are in memory as a whole; nothing
    /// is left to read then.
    pub(crate) fn whole(&mut self) -> Result<Option<&'a [u8]>, SourceError> {
        let Some(bytes) = self.input.in_memory().filter(|_| !self.gzip) else {
            return Ok(None);
        };
        self.count(bytes)?;
        self.reader = Box::new(io::empty());
        Ok(Some(bytes))
    }

    /// Reads into `buffer`; zero at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let count = loop {
            match self.reader.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.classed(error)),
            }
        };
        self.count(&buffer[..count])?;
        Ok(count)
    }

    fn count(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(SourceError::TooLarge { limit: self.limit });
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Of the bytes read so far.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    /// Read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A damaged stream and a disk that fails are told apart by the error's kind.
    fn classed(&self, error: io::Error) -> SourceError {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            UnexpectedEof if self.gzip => SourceError::Broken {
                offset: self.bytes,
                reason: "the gzip stream ends early".into(),
            },
            InvalidData | InvalidInput if self.gzip => SourceError::Broken {
                offset: self.bytes,
                // What came out of the same call as the error is lost.
                reason: format!("the gzip stream is damaged there or soon after: {error}"),
            },
            _ => SourceError::Read(error),
        }
    }
}
