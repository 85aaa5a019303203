//! How much is in memory while segments are read: bounded in bytes, whatever the
//! number of cores and the length of the chain.

use std::sync::{Mutex, PoisonError};

use countersign_core::segment::{MAX_CONTENT_BYTES, claimed_bytes};
use tokio::sync::{Semaphore, SemaphorePermit};

const MIB: u64 = 1 << 20;

/// Stored objects that were fetched and are not open yet, in MiB. One of the
/// largest fits.
const OBJECTS_MIB: u32 = 96;

/// Contents of segments that are open, in MiB. One of the largest fits.
const CONTENTS_MIB: u32 = 256;

/// Room for objects and for the contents of as many segments as there are cores.
/// A reader takes room for its object, then for its content, and never waits for
/// an object while it has room for a content: nobody waits for ever.
#[derive(Debug)]
pub(super) struct Room {
    objects: Semaphore,
    contents: Semaphore,
    cores: Semaphore,
    /// Buffers that were used: allocating them anew for every segment, on
    /// changing threads, makes the C library keep many times what is in use.
    idle: Mutex<Vec<Vec<u8>>>,
}

/// Room for one segment's content, and a buffer for it.
pub(super) struct Place<'a> {
    room: &'a Room,
    buffer: Vec<u8>,
    _contents: Option<SemaphorePermit<'a>>,
    _core: Option<SemaphorePermit<'a>>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            objects: Semaphore::new(OBJECTS_MIB as usize),
            contents: Semaphore::new(CONTENTS_MIB as usize),
            cores: Semaphore::new(crate::cores()),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Waits until an object of so many bytes may be fetched.
    pub(super) async fn object(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let mib = mib(bytes).min(OBJECTS_MIB);
        // Nobody closes a semaphore here; if it were, only the bound would be lost.
        self.objects.acquire_many(mib).await.ok()
    }

    /// Waits until the content of this object may be opened.
    pub(super) async fn content(&self, object: &[u8]) -> Place<'_> {
        let largest = MAX_CONTENT_BYTES as u64;
        let bytes = claimed_bytes(object).map_or(largest, |claimed| claimed.min(largest));
        let core = self.cores.acquire().await.ok();
        let contents = self.contents.acquire_many(mib(bytes)).await.ok();
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Place {
            room: self,
            buffer: idle.unwrap_or_default(),
            _contents: contents,
            _core: core,
        }
    }
}

impl Place<'_> {
    /// The buffer to open a segment in.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Gives the buffer back for the next segment.
    pub(super) fn put_back(self, buffer: Vec<u8>) {
        // What one unusually large segment needed is not kept for good.
        if buffer.capacity() as u64 <= u64::from(CONTENTS_MIB) * MIB / 8 {
            let idle = self.room.idle.lock();
            idle.unwrap_or_else(PoisonError::into_inner).push(buffer);
        }
    }
}

fn mib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MIB))
        .unwrap_or(u32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use countersign_core::segment::compress;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn contents_that_are_open_at_a_time_never_pass_the_bound() {
        let room = Arc::new(Room::new());
        let object = compress(&[&vec![b'a'; 48 << 20]], 1).unwrap();
        let open = Arc::new(AtomicU64::new(0));
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let (room, object, open) = (Arc::clone(&room), object.clone(), Arc::clone(&open));
            readers.spawn(async move {
                let _fetched = room.object(object.len() as u64).await;
                let place = room.content(&object).await;
                let now = open.fetch_add(48, Ordering::SeqCst) + 48;
                tokio::task::yield_now().await;
                open.fetch_sub(48, Ordering::SeqCst);
                place.put_back(Vec::new());
                now
            });
        }
        let peaks = readers.join_all().await;
        assert_eq!(peaks.len(), 32);
        assert!(peaks.iter().all(|mib| *mib <= u64::from(CONTENTS_MIB)));
    }

    #[tokio::test]
    async fn a_buffer_is_used_again_and_a_huge_one_is_not_kept() {
        let room = Room::new();
        let object = compress(&[b"content"], 1).unwrap();
        let place = room.content(&object).await;
        place.put_back(Vec::with_capacity(1000));
        let mut place = room.content(&object).await;
        assert!(place.take_buffer().capacity() >= 1000);
        place.put_back(Vec::with_capacity(64 << 20));
        assert_eq!(room.content(&object).await.take_buffer().capacity(), 0);
    }

    #[tokio::test]
    async fn an_object_of_any_size_gets_room_when_it_is_alone() {
        let room = Room::new();
        assert!(room.object(u64::MAX).await.is_some());
        assert!(room.object(0).await.is_some());
    }
}
