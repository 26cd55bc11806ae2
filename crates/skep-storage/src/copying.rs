//! Copying what is under one prefix to another, within the bucket: nothing is overwritten or deleted, and what is copied is compared.

use futures::{StreamExt as _, stream};

use crate::{
    Admin, Client, Copied, StoreError,
    admin::{Kind, b2},
};

/// Objects that are copied at the same time.
const AT_ONCE: usize = 8;
/// How often an object is tried that is replaced while it is copied.
const TRIES: u32 = 3;

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copying {
    /// A copy is there now, with the same content; in a dry run, would be.
    Copied,
    /// The same content was there.
    There,
    /// Something else is there, and stays.
    Conflict,
    /// It was deleted or replaced meanwhile.
    Gone,
    /// It could not be copied, or the copy could not be compared.
    Failed(String),
}

/// How a copy went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Objects that were copied.
    pub copied: u64,
    /// Objects that were there with the same content.
    pub there: u64,
    /// Objects that were deleted while the copy ran.
    pub gone: u64,
    /// Bytes that were copied.
    pub bytes: u64,
    /// The objects whose new name is taken by other content.
    pub conflicts: Vec<String>,
    /// The objects that could not be copied, and why.
    pub failed: Vec<(String, String)>,
}

/// An object as it was listed.
#[derive(Debug, Clone)]
enum Object {
    B2(b2::File),
    S3 { key: String, size: u64 },
}

impl Object {
    fn key(&self) -> &str {
        match self {
            Self::B2(file) => &file.file_name,
            Self::S3 { key, .. } => key,
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::B2(file) => file.content_length.unwrap_or_default(),
            Self::S3 { size, .. } => *size,
        }
    }
}

impl Admin {
    /// Copies every object whose name begins with `from` to the name with `to` in its place, and compares size and checksum of each copy.
    /// What is there already with the same content is passed by, so a copy that was stopped goes on when it is started again. `each`
    /// hears what became of each object.
    ///
    /// # Errors
    /// The store's failure to list. What fails for one object is in the report.
    pub async fn copy_prefix(
        &self,
        from: &str,
        to: &str,
        dry_run: bool,
        mut each: impl FnMut(&str, &Copying),
    ) -> Result<CopyReport, StoreError> {
        let mut report = CopyReport::default();
        let mut next = None;
        loop {
            let (objects, after) = self.page(from, next.as_ref()).await?;
            let copies = objects.into_iter().map(|object| async move {
                let name = format!("{to}{}", object.key().strip_prefix(from).unwrap_or(object.key()));
                let copied = self.copy_one(&object, &name, dry_run).await;
                (object, copied.unwrap_or_else(|error| Copying::Failed(error.to_string())))
            });
            let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
            while let Some((object, copying)) = copies.next().await {
                each(object.key(), &copying);
                report.add(&object, copying);
            }
            match after {
                Some(after) => next = Some(after),
                None => return Ok(report),
            }
        }
    }

    async fn page(
        &self,
        prefix: &str,
        from: Option<&From>,
    ) -> Result<(Vec<Object>, Option<From>), StoreError> {
        match (&self.0, from) {
            (Kind::B2(account), from) => {
                let start = match from {
                    Some(From::B2(name)) => Some(name.as_str()),
                    _ => None,
                };
                let (files, next) = account.files(prefix, start, 1000).await?;
                Ok((files.into_iter().map(Object::B2).collect(), next.map(From::B2)))
            }
            (Kind::S3(client), from) => {
                let marker = match from {
                    Some(From::S3(marker)) => Some(marker),
                    _ => None,
                };
                let page = client.current(prefix, marker).await?;
                let objects =
                    page.versions.into_iter().map(|one| Object::S3 { key: one.key, size: one.size });
                Ok((objects.collect(), page.next.map(From::S3)))
            }
        }
    }

    async fn copy_one(&self, object: &Object, to: &str, dry_run: bool) -> Result<Copying, StoreError> {
        match (&self.0, object) {
            (Kind::B2(account), Object::B2(file)) => copy_b2(account, file, to, dry_run).await,
            (Kind::S3(client), Object::S3 { key, .. }) => copy_s3(client, key, to, dry_run).await,
            _ => Ok(Copying::Failed("it is of another store".to_owned())),
        }
    }
}

enum From {
    B2(String),
    S3(crate::Marker),
}

impl CopyReport {
    fn add(&mut self, object: &Object, copying: Copying) {
        let key = || object.key().to_owned();
        match copying {
            Copying::Copied => {
                self.copied += 1;
                self.bytes += object.size();
            }
            Copying::There => self.there += 1,
            Copying::Gone => self.gone += 1,
            Copying::Conflict => self.conflicts.push(key()),
            Copying::Failed(why) => self.failed.push((key(), why)),
        }
    }
}

/// Backblaze knows the SHA-1 of each file.
async fn copy_b2(
    account: &b2::Account,
    file: &b2::File,
    to: &str,
    dry_run: bool,
) -> Result<Copying, StoreError> {
    let Some(sha1) = file.sha1() else {
        let why = "it was uploaded in parts, so Backblaze has no checksum to compare a copy by";
        return Ok(Copying::Failed(why.to_owned()));
    };
    let same = |other: &b2::File| other.sha1() == Some(sha1) && other.content_length == file.content_length;
    let (found, _) = account.files(to, Some(to), 1).await?;
    if let Some(there) = found.iter().find(|found| found.file_name == to) {
        return Ok(if same(there) { Copying::There } else { Copying::Conflict });
    }
    if dry_run {
        return Ok(Copying::Copied);
    }
    match account.copy(file, to).await {
        Ok(copy) if same(&copy) => Ok(Copying::Copied),
        Ok(_) => Ok(Copying::Failed(format!("the copy, {to}, has another size or checksum"))),
        Err(StoreError::Refused { status: 404, .. }) => Ok(Copying::Gone),
        Err(error) => Err(error),
    }
}

async fn copy_s3(client: &Client, key: &str, to: &str, dry_run: bool) -> Result<Copying, StoreError> {
    for _ in 0..TRIES {
        let Some(seen) = client.look(key, 1).await? else { return Ok(Copying::Gone) };
        if let Some(there) = client.look(to, 1).await? {
            let same =
                there.size == seen.size && same_content(client, (key, &seen.etag), (to, &there.etag)).await?;
            return Ok(if same { Copying::There } else { Copying::Conflict });
        }
        if dry_run {
            return Ok(Copying::Copied);
        }
        // An object without bytes shows no ETag when its first byte is asked for.
        let etag = if seen.etag.is_empty() { "*" } else { &seen.etag };
        match client.copy(key, etag, to).await? {
            Copied::Gone => return Ok(Copying::Gone),
            Copied::Changed => continue,
            Copied::Done => {}
        }
        let Some(copy) = client.look(to, 1).await? else {
            return Ok(Copying::Failed(format!("the store copied it, and {to} is not there")));
        };
        let same =
            copy.size == seen.size && same_content(client, (key, &seen.etag), (to, &copy.etag)).await?;
        return Ok(match same {
            true => Copying::Copied,
            false => Copying::Failed(format!("the copy, {to}, has another size or checksum")),
        });
    }
    Ok(Copying::Failed("it is replaced again and again".to_owned()))
}

/// By their ETags, or else by their bytes: a store that encrypts, or an upload in parts, gives the same bytes another ETag.
async fn same_content(client: &Client, one: (&str, &str), other: (&str, &str)) -> Result<bool, StoreError> {
    if one.1 == other.1 {
        return Ok(true);
    }
    let (first, second) = (client.sha256(one.0, one.1).await?, client.sha256(other.0, other.1).await?);
    Ok(first.is_some() && first == second)
}
