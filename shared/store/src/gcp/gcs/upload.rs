//! An upload that knows how far it came.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use google_cloud_storage::streaming_source::{Seek, SizeHint, StreamingSource};
use tokio::time::timeout;

/// How long an upload may move no byte. It is noticed at the latest after
/// twice this time.
const STALL: Duration = Duration::from_secs(12);

/// What is handed to the connection at once: small enough that a slow line
/// moves one well within [`STALL`].
const CHUNK_BYTES: usize = 64 * 1024;

/// The bytes of an upload, handed out in chunks.
pub(super) struct Source {
    bytes: Bytes,
    left: Bytes,
    progress: Progress,
}

/// How far an upload came; a clone looks at the same upload.
#[derive(Clone, Default)]
pub(super) struct Progress {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    chunks: AtomicU64,
    whole: AtomicBool,
}

impl Source {
    pub(super) fn new(bytes: Bytes) -> (Self, Progress) {
        let progress = Progress::default();
        let source = Self {
            left: bytes.clone(),
            bytes,
            progress: progress.clone(),
        };
        (source, progress)
    }
}

impl StreamingSource for Source {
    type Error = Infallible;

    async fn next(&mut self) -> Option<Result<Bytes, Infallible>> {
        let chunk = self.left.split_to(self.left.len().min(CHUNK_BYTES));
        let Inner { chunks, whole } = &*self.progress.inner;
        chunks.fetch_add(1, Ordering::Relaxed);
        if self.left.is_empty() {
            whole.store(true, Ordering::Release);
        }
        (!chunk.is_empty()).then_some(Ok(chunk))
    }

    async fn size_hint(&self) -> Result<SizeHint, Infallible> {
        Ok(SizeHint::with_exact(self.bytes.len() as u64))
    }
}

impl Seek for Source {
    type Error = Infallible;

    async fn seek(&mut self, offset: u64) -> Result<(), Infallible> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.left = self.bytes.slice(offset.min(self.bytes.len())..);
        Ok(())
    }
}

impl Progress {
    /// Whether the last byte was handed to the connection, so that the server
    /// may have the whole object. While it was not, no object can come of it:
    /// the request's body has no end.
    pub(super) fn is_whole(&self) -> bool {
        self.inner.whole.load(Ordering::Acquire)
    }

    /// Waits for an upload as long as it moves; `None` if it does not.
    pub(super) async fn watch<T>(&self, upload: impl Future<Output = T>) -> Option<T> {
        self.watch_each(STALL, upload).await
    }

    async fn watch_each<T>(&self, stall: Duration, upload: impl Future<Output = T>) -> Option<T> {
        let mut upload = pin!(upload);
        let mut seen = 0;
        loop {
            if let Ok(result) = timeout(stall, &mut upload).await {
                return Some(result);
            }
            let chunks = self.inner.chunks.load(Ordering::Relaxed);
            if chunks == seen {
                return None;
            }
            seen = chunks;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn an_upload_is_whole_once_its_last_byte_is_handed_out() {
        for (len, chunks) in [(0, 1), (1, 1), (CHUNK_BYTES, 1), (CHUNK_BYTES + 1, 2)] {
            let (mut source, progress) = Source::new(vec![7; len].into());
            let mut seen = 0;
            for chunk in 0..chunks {
                assert!(!progress.is_whole(), "{len} bytes before chunk {chunk}");
                seen += source.next().await.map_or(0, |next| match next {
                    Ok(bytes) => bytes.len(),
                });
            }
            assert_eq!(seen, len);
            assert!(progress.is_whole(), "{len} bytes");
            assert!(source.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn an_upload_that_stands_still_ends_and_one_that_moves_goes_on() {
        let stall = Duration::from_millis(200);
        let (_source, progress) = Source::new(Bytes::from_static(b"x"));
        assert_eq!(progress.watch_each(stall, pending::<()>()).await, None);

        let (mut source, progress) = Source::new(vec![7; 20 * CHUNK_BYTES].into());
        let upload = async {
            while source.next().await.is_some() {
                tokio::time::sleep(stall / 4).await;
            }
        };
        assert_eq!(progress.watch_each(stall, upload).await, Some(()));
    }
}
