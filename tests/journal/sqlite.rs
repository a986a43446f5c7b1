//! What the embedded journal must do besides the contract.

use futures_util::future::BoxFuture;
use hubbub::journal::Journal;
use hubbub::journal::sqlite::{Options, Sqlite};
use tempfile::TempDir;

use crate::contract::Place;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Place for Folder {
    fn open(&self) -> BoxFuture<'_, Box<dyn Journal>> {
        let journal = Sqlite::open(self.0.path(), Options::default()).unwrap();
        Box::pin(async move { Box::new(journal) as Box<dyn Journal> })
    }
}

mod contract {
    use super::*;
    use crate::contract::contract;
    contract!(Folder::new());
}
