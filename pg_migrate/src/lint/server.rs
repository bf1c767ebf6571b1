//! What only a server knows: who holds what now, what is old, what will lag. Asked once, when a
//! rule wants it.

use crate::catalog::{self, Blocker, Old};
use crate::fault::Result;
use std::collections::HashMap;

#[derive(Default)]
pub struct Server {
    oldest: Option<Option<Old>>,
    followers: Option<Vec<String>>,
    holders: HashMap<(u32, bool), Vec<Blocker>>,
}

impl Server {
    pub fn oldest(&mut self) -> Result<Option<Old>> {
        if self.oldest.is_none() {
            self.oldest = Some(catalog::oldest_transaction()?);
        }
        Ok(self.oldest.clone().flatten())
    }

    pub fn followers(&mut self) -> Result<Vec<String>> {
        if self.followers.is_none() {
            self.followers = Some(catalog::followers()?);
        }
        Ok(self.followers.clone().unwrap_or_default())
    }

    /// Sessions whose locks are in the way of a strong lock now. `exclusive`: readers are too.
    pub fn holders(&mut self, relation: u32, exclusive: bool) -> Result<Vec<Blocker>> {
        let key = (relation, exclusive);
        if let Some(found) = self.holders.get(&key) {
            return Ok(found.clone());
        }
        let found = catalog::blockers(&[relation], exclusive)?;
        self.holders.insert(key, found.clone());
        Ok(found)
    }
}
