//! Changing what a bucket does by itself, through its store's own API: Backblaze's native one, which knows revisions, or S3's.
//!
//! Both replace the whole list of rules, so it is read first, and what is not ours is sent back as it was.

pub(crate) mod b2;
mod s3;

use std::collections::BTreeSet;

use jiff::Timestamp;
use url::Url;

use crate::{
    Client, CorsRule, Expiring, FoundCors, LifecycleRule, ListedVersion, Marker, StoreError, expiry::Counting,
};

/// Versions that are listed at the most: ten thousand pages, some twenty minutes.
pub const MOST_LISTED: u64 = 10_000_000;

/// Where Backblaze's native API is.
pub const B2_API: &str = "https://api.backblazeb2.com";

/// A bucket's rules.
#[derive(Debug, Clone)]
pub struct Admin(pub(crate) Kind);

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    B2(b2::Account),
    S3(Client),
}

impl Admin {
    /// By the API of S3.
    pub fn s3(client: Client) -> Self {
        Self(Kind::S3(client))
    }

    /// By Backblaze's native API, which is at `api` ([`B2_API`]).
    pub fn b2(api: Url, key_id: &str, key: &str, bucket: &str, http: reqwest::Client) -> Self {
        Self(Kind::B2(b2::Account::new(api, key_id, key, bucket, http)))
    }

    /// What becomes of old objects. A rule that is there and switched off is none.
    ///
    /// # Errors
    /// The store's failure.
    pub async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        match &self.0 {
            Kind::B2(account) => account.lifecycle().await,
            Kind::S3(client) => client.lifecycle().await,
        }
    }

    /// Sets these rules, each in the place of one for the same prefix and nothing else; all others stay as they are.
    ///
    /// # Errors
    /// The store's failure; that somebody else changes the bucket all the time.
    pub async fn set_lifecycle(&self, wanted: &[LifecycleRule]) -> Result<(), StoreError> {
        match &self.0 {
            Kind::B2(account) => account.set_lifecycle(wanted).await,
            Kind::S3(client) => client.set_lifecycle(wanted).await,
        }
    }

    /// What these rules would hide or delete of what the bucket holds now, at their next run. Lists everything under their prefixes;
    /// `progress` hears how many versions were listed.
    ///
    /// # Errors
    /// The store's failure; [`StoreError::TooMany`] for more than [`MOST_LISTED`] versions.
    pub async fn expiring(
        &self,
        rules: &[LifecycleRule],
        now: Timestamp,
        mut progress: impl FnMut(u64),
    ) -> Result<Expiring, StoreError> {
        let mut counting = Counting::new(rules, now);
        for prefix in counting.prefixes() {
            let mut started = BTreeSet::new();
            let mut from = None;
            loop {
                let (page, uploads, next) = match &self.0 {
                    Kind::B2(account) => account.versions(&prefix, from.as_ref()).await?,
                    Kind::S3(client) => s3_versions(client, &prefix, from.as_ref()).await?,
                };
                counting.page(page);
                for upload in uploads {
                    if started.insert((upload.key.clone(), upload.version.clone())) {
                        counting.unfinished(&upload);
                    }
                }
                progress(counting.found.listed);
                if counting.found.listed > MOST_LISTED {
                    return Err(StoreError::TooMany { limit: MOST_LISTED });
                }
                match next {
                    Some(next) => from = Some(next),
                    None => break,
                }
            }
            counting.end();
            let mut from = None;
            loop {
                let (uploads, next) = match &self.0 {
                    Kind::B2(account) => account.unfinished(&prefix, from.as_ref()).await?,
                    Kind::S3(client) => s3_unfinished(client, &prefix, from.as_ref()).await?,
                };
                for upload in uploads.into_iter().filter(|upload| upload.key.starts_with(&prefix)) {
                    if started.insert((upload.key.clone(), upload.version.clone())) {
                        counting.unfinished(&upload);
                    }
                }
                match next {
                    Some(next) => from = Some(next),
                    None => break,
                }
            }
        }
        Ok(counting.found)
    }

    /// The whole list of lifecycle rules with these in it, as Backblaze's `b2` program and native API take them, for those who set them by
    /// hand: both replace all there is. `None` for other stores.
    ///
    /// # Errors
    /// The store's failure.
    pub async fn b2_rules(&self, wanted: &[LifecycleRule]) -> Result<Option<Vec<String>>, StoreError> {
        match &self.0 {
            Kind::B2(account) => account.by_hand(wanted).await.map(Some),
            Kind::S3(_) => Ok(None),
        }
    }

    /// Which pages may speak to it, whoever has set that.
    ///
    /// # Errors
    /// The store's failure.
    pub async fn cors(&self) -> Result<Vec<FoundCors>, StoreError> {
        match &self.0 {
            Kind::B2(account) => account.cors().await,
            Kind::S3(client) => client.cors().await,
        }
    }

    /// Sets these rules in the place of those that `owner` (an app and its target, say) has set before; all others stay as they are.
    ///
    /// # Errors
    /// The store's failure; that somebody else changes the bucket all the time.
    pub async fn set_cors(&self, owner: &str, wanted: &[CorsRule]) -> Result<(), StoreError> {
        match &self.0 {
            Kind::B2(account) => account.set_cors(owner, wanted).await,
            Kind::S3(client) => client.set_cors(owner, wanted).await,
        }
    }
}

/// Where the next page of a listing begins.
#[derive(Debug, Clone)]
pub(crate) enum Next {
    S3(Marker),
    B2(b2::Start),
}

async fn s3_versions(
    client: &Client,
    prefix: &str,
    from: Option<&Next>,
) -> Result<(Vec<ListedVersion>, Vec<ListedVersion>, Option<Next>), StoreError> {
    let page = client.versions(prefix, marker(from)).await?;
    Ok((page.versions, Vec::new(), page.next.map(Next::S3)))
}

async fn s3_unfinished(
    client: &Client,
    prefix: &str,
    from: Option<&Next>,
) -> Result<(Vec<ListedVersion>, Option<Next>), StoreError> {
    let page = client.unfinished(prefix, marker(from)).await?;
    Ok((page.versions, page.next.map(Next::S3)))
}

fn marker(from: Option<&Next>) -> Option<&Marker> {
    match from {
        Some(Next::S3(marker)) => Some(marker),
        _ => None,
    }
}

/// How long a browser may remember the answer, in seconds.
const MAX_AGE: u32 = 3600;
