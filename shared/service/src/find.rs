//! Objects that are named by a size or an index, found in O(log n) listings:
//! the newest one, and the one that stands at or before a number.

use countersign_core::names::Object;
use countersign_store::{ListError, SealedStore};

/// Where the numbers above are not known to end, the first step back.
const FIRST_STEP: u64 = 1 << 10;

/// A folder whose objects' names begin with a number of 20 digits.
#[derive(Debug, Clone, Copy)]
pub struct Numbered<'a> {
    /// The store.
    pub store: &'a dyn SealedStore,
    /// The folder, with its slash.
    pub folder: &'a str,
}

impl Numbered<'_> {
    /// The greatest number that is not above `limit`: steps back from there by
    /// powers of two.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn at_most(&self, limit: u64) -> Result<Option<u64>, ListError> {
        let mut step = FIRST_STEP;
        let (mut best, mut ended) = loop {
            let from = limit.saturating_sub(step);
            let run = self.run_from(from, limit).await?;
            match run.last {
                Some(last) => break (last, run.ended),
                None if from == 0 => return Ok(None),
                None => step = step.saturating_mul(2),
            }
        };
        // A page may end before `limit`: halve what is left.
        let mut above = limit;
        while !ended && best < above {
            let middle = best + (above - best).div_ceil(2);
            let run = self.run_from(middle, above).await?;
            match run.last {
                Some(last) => (best, ended) = (last, run.ended),
                None => above = middle - 1,
            }
        }
        Ok(Some(best))
    }

    /// The greatest number of all. One or two listings if `hint` is close to it
    /// and not above.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn newest(&self, hint: u64) -> Result<Option<u64>, ListError> {
        let (mut from, mut step) = (hint, FIRST_STEP);
        let mut best = None;
        loop {
            let run = self.run_from(from, u64::MAX).await?;
            match run.last {
                Some(last) if run.ended => return Ok(Some(last)),
                Some(last) => {
                    best = Some(last);
                    from = last.saturating_add(step);
                    step = step.saturating_mul(2);
                }
                // It lies between the best so far and here, or before the hint.
                None if best.is_none() && from == 0 => return Ok(None),
                None => return self.at_most(from).await,
            }
        }
    }

    /// The numbers from `from` to `to`, as far as one page goes.
    async fn run_from(&self, from: u64, to: u64) -> Result<Run, ListError> {
        let folder = self.folder;
        // Numbers have 20 digits, so that this sorts before all names of `from`.
        let mut after = from
            .checked_sub(1)
            .map(|below| format!("{folder}{below:020}~"));
        loop {
            let page = self.store.list(folder, after.as_deref()).await?;
            let numbers = page.objects.iter().filter_map(|object| number(&object.key));
            let last = numbers.take_while(|number| *number <= to).last();
            let past = page.objects.iter().filter_map(|object| number(&object.key));
            let ended = !page.more || past.into_iter().any(|number| number > to);
            if last.is_some() || ended {
                return Ok(Run { last, ended });
            }
            // Nothing but names that do not belong.
            after = page.objects.last().map(|object| object.key.clone());
        }
    }
}

/// What a page says of a range.
struct Run {
    /// The greatest number on it.
    last: Option<u64>,
    /// There are no more in the range.
    ended: bool,
}

fn number(key: &str) -> Option<u64> {
    match Object::parse(key)? {
        Object::Segment { start } => Some(start),
        Object::Index { size } | Object::Checkpoint { size } | Object::Anchor { size, .. } => {
            Some(size)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use countersign_core::names;
    use countersign_store::Retention;
    use countersign_store::memory::MemorySealedStore;

    use super::*;

    #[tokio::test]
    async fn the_newest_and_the_one_before_are_found() {
        // The last has more numbers than a page of any store.
        for (count, stride) in [(0, 1), (1, 7), (50, 1), (10_000, 97)] {
            let store = MemorySealedStore::new("listing");
            let sizes: Vec<u64> = (1..=count).map(|nth| nth * stride).collect();
            for size in &sizes {
                let name = names::checkpoint(*size);
                let put = store.put_new(&name, Bytes::from_static(b"x"), Retention::None);
                put.await.unwrap();
            }
            let numbered = Numbered {
                store: &store,
                folder: "checkpoints/",
            };
            let end = count * stride;
            for limit in [0, 1, stride, end / 2, end, end + 1, end + 5000, u64::MAX] {
                let expected = sizes.iter().copied().rfind(|size| *size <= limit);
                assert_eq!(numbered.at_most(limit).await.unwrap(), expected, "{limit}");
                let newest = sizes.last().copied();
                assert_eq!(numbered.newest(limit).await.unwrap(), newest, "{limit}");
            }
        }
    }
}
