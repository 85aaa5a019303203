//! All pages of a listing, one at a time.

use crate::error::ListError;
use crate::sealed::{Knowledge, ObjectMeta, ObjectVersion, SealedStore};

/// Walks all objects under a prefix, a page at a time, so that memory does not
/// grow with the store.
///
/// ```
/// # async fn count(store: &dyn countersign_store::SealedStore) -> Result<usize, countersign_store::ListError> {
/// use countersign_store::ObjectPages;
///
/// let mut pages = ObjectPages::new(store, "segments/");
/// let mut count = 0;
/// while let Some(objects) = pages.next().await? {
///     count += objects.len();
/// }
/// # Ok(count)
/// # }
/// ```
#[derive(Debug)]
pub struct ObjectPages<'a> {
    cursor: Cursor<'a>,
}

impl<'a> ObjectPages<'a> {
    /// All objects whose keys begin with `prefix`. Nothing is read yet.
    pub fn new(store: &'a dyn SealedStore, prefix: &'a str) -> Self {
        Self::after(store, prefix, None)
    }

    /// The same, from the first key greater than `after`.
    pub fn after(store: &'a dyn SealedStore, prefix: &'a str, after: Option<String>) -> Self {
        Self {
            cursor: Cursor {
                store,
                prefix,
                after,
                more: true,
            },
        }
    }

    /// The next objects, never an empty list; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ListError`], also when the store's listing does not advance. A call
    /// after a transient one asks for the same page again.
    pub async fn next(&mut self) -> Result<Option<Vec<ObjectMeta>>, ListError> {
        let Cursor { store, prefix, .. } = self.cursor;
        if !self.cursor.more {
            return Ok(None);
        }
        let page = store.list(prefix, self.cursor.after.as_deref()).await?;
        let strict = page.objects.is_sorted_by(|a, b| a.key < b.key);
        let keys = page.objects.first().zip(page.objects.last());
        self.cursor.advance(
            keys.map(|(first, last)| (&*first.key, &*last.key)),
            strict,
            page.more,
        )?;
        Ok(Some(page.objects).filter(|objects| !objects.is_empty()))
    }

    /// All that is left, at once: for folders known to be small.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn collect(mut self) -> Result<Vec<ObjectMeta>, ListError> {
        let mut all = Vec::new();
        while let Some(mut objects) = self.next().await? {
            all.append(&mut objects);
        }
        Ok(all)
    }
}

/// Walks all versions under a prefix, a page at a time.
#[derive(Debug)]
pub struct VersionPages<'a> {
    cursor: Cursor<'a>,
    retention_unknown: Option<String>,
}

impl<'a> VersionPages<'a> {
    /// All versions of the objects whose keys begin with `prefix`. Nothing is
    /// read yet.
    pub fn new(store: &'a dyn SealedStore, prefix: &'a str) -> Self {
        Self {
            cursor: Cursor {
                store,
                prefix,
                after: None,
                more: true,
            },
            retention_unknown: None,
        }
    }

    /// Why the retention of the versions given last could not be read, where
    /// it could not: it must not be taken for none.
    pub fn retention_unknown(&self) -> Option<&str> {
        self.retention_unknown.as_deref()
    }

    /// The next versions, never an empty list; `Known(None)` after the last.
    ///
    /// # Errors
    ///
    /// [`ListError`], also when the store's listing does not advance. A call
    /// after a transient one asks for the same page again.
    pub async fn next(&mut self) -> Result<Knowledge<Option<Vec<ObjectVersion>>>, ListError> {
        let Cursor { store, prefix, .. } = self.cursor;
        if !self.cursor.more {
            return Ok(Knowledge::Known(None));
        }
        let page = match store.versions(prefix, self.cursor.after.as_deref()).await? {
            Knowledge::Known(page) => page,
            Knowledge::NotApplicable { reason } => return Ok(Knowledge::NotApplicable { reason }),
        };
        let ordered = page.versions.is_sorted_by(|a, b| a.key <= b.key);
        let keys = page.versions.first().zip(page.versions.last());
        self.cursor.advance(
            keys.map(|(first, last)| (&*first.key, &*last.key)),
            ordered,
            page.more,
        )?;
        self.retention_unknown = page.retention_unknown;
        Ok(Knowledge::Known(
            Some(page.versions).filter(|versions| !versions.is_empty()),
        ))
    }
}

#[derive(Debug)]
struct Cursor<'a> {
    store: &'a dyn SealedStore,
    prefix: &'a str,
    after: Option<String>,
    more: bool,
}

impl Cursor<'_> {
    /// Moves behind a page from `keys.0` to `keys.1`. A server that lists out
    /// of order would hide objects or be listed for ever, so it is refused.
    fn advance(
        &mut self,
        keys: Option<(&str, &str)>,
        ordered: bool,
        more: bool,
    ) -> Result<(), ListError> {
        let advances = match (keys, &self.after) {
            (Some((first, _)), Some(after)) => first > after.as_str(),
            (Some(_), None) => true,
            (None, _) => !more,
        };
        if !ordered || !advances {
            return Err(ListError::Refused {
                store: self.store.describe(),
                reason: "its listing is not in ascending order of keys".to_owned(),
                next: "check that the address is the cloud's own service, or one that lists as it does"
                    .to_owned(),
            });
        }
        if let Some((_, last)) = keys {
            self.after = Some(last.to_owned());
        }
        self.more = more;
        Ok(())
    }
}
