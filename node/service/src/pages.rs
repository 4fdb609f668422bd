//! An area of the store, read to its end page by page. Not a snapshot: rows written meanwhile may be in it.

use eads_store::port::{Area, Row, Scan, Store};

use crate::error::ServiceError;

const ROWS: usize = 500;

/// What is left to read.
pub(crate) struct Pages<'a> {
    store: &'a dyn Store,
    scan: Scan,
    ended: bool,
}

impl<'a> Pages<'a> {
    /// All rows of `area`.
    pub(crate) const fn of(store: &'a dyn Store, area: Area) -> Self {
        Self { store, scan: Scan::new(area, ROWS), ended: false }
    }

    /// Only rows whose keys begin with `prefix`.
    pub(crate) fn prefix(mut self, prefix: &[u8]) -> Self {
        self.scan = self.scan.prefix(prefix);
        self
    }

    /// The next page; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Row>>, ServiceError> {
        if self.ended {
            return Ok(None);
        }
        let page = self.store.scan(self.scan.clone()).await?;
        self.ended = page.len() < ROWS;
        if let Some((key, _)) = page.last() {
            self.scan.after = Some(key.clone());
        }
        Ok(Some(page))
    }
}
