//! A database, a bucket, and people with uploads in them.

use std::collections::BTreeSet;

use honeydue_files::{Storage, attach::AttachError, attach::attach, keys};
use honeydue_model::{Category, NewCompletion, WantedUpload};
use honeydue_store::{
    Store,
    uploads::{Opened, Target},
};
use honeydue_surroundings::{Surroundings, TestBucket};
use jiff::civil::date;
use uuid::Uuid;

pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0 and so on";

pub(crate) struct Shed {
    pub(crate) surroundings: Surroundings,
    pub(crate) bucket: TestBucket,
    pub(crate) store: Store,
    pub(crate) storage: Storage,
}

impl Shed {
    pub(crate) async fn open() -> Self {
        let surroundings = Surroundings::start();
        surroundings.migrate(None).await;
        let bucket = TestBucket::start().await;
        let (store, storage) = (surroundings.store().await, bucket.storage());
        Self { surroundings, bucket, store, storage }
    }

    pub(crate) fn sql(&self, statement: &str) -> String {
        self.surroundings.sql(statement)
    }

    /// A person with a task that comes again; answers the person and the task.
    pub(crate) fn person(&self, name: &str) -> (i64, i64) {
        let user = self.sql(&format!(
            "insert into users (email, name, password_hash) values ('{name}@example.com', '{name}', '') returning id"
        ));
        let task = self.sql(&format!(
            "with home as (insert into residences (owner_id, name) values ({user}, 'Home') returning id) \
             insert into tasks (residence_id, title, due_on, every_days) select id, 'Filter', '2026-01-01', 30 from home returning id"
        ));
        (user.parse().unwrap(), task.parse().unwrap())
    }

    /// Closes an account, as the api does.
    pub(crate) async fn delete_user(&self, user: i64) -> bool {
        self.store.delete_user(&self.surroundings.cache(), user).await.unwrap()
    }

    /// An upload that was sent.
    pub(crate) async fn sent(&self, user: i64) -> Uuid {
        let id = Uuid::new_v4();
        let wanted = WantedUpload {
            category: Category::TaskCompletion,
            content_type: "image/png".to_owned(),
            content_length: PNG.len() as u64,
            sha256: None,
        };
        assert_eq!(self.store.open_upload(user, id, &wanted).await.unwrap(), Opened::Opened);
        self.send(user, id).await;
        id
    }

    /// Sends its bytes (again), as a form does that lives.
    pub(crate) async fn send(&self, user: i64, id: Uuid) {
        let key = keys::pending(user, id);
        self.bucket.send(&key, "image/png", PNG).await;
    }

    pub(crate) async fn attach(&self, user: i64, task: i64, id: Uuid) -> Result<(), AttachError> {
        let new = NewCompletion { task_id: task, upload_ids: vec![id.to_string()] };
        let target = Target::Completion(new, date(2026, 3, 1));
        attach(&self.store, &self.storage, user, &target, &BTreeSet::from([id])).await.map(|_| ())
    }

    /// Lets time pass for all uploads.
    pub(crate) fn expire(&self) {
        self.sql(
            "update pending_uploads set expires_at = now(), form_expires_at = now() - interval '1 hour'",
        );
    }

    /// So many expired rows with their objects, made at once.
    pub(crate) fn expired(&self, user: i64, count: u32) {
        for id in (0..count).map(|number| Uuid::from_u128(u128::from(number) + 1)) {
            self.bucket.put(&keys::pending(user, id), PNG);
        }
        self.sql(&format!(
            "insert into pending_uploads (id, user_id, category, content_type, content_length, form_expires_at, expires_at) \
             select lpad(to_hex(n), 32, '0')::uuid, {user}, 'task_completion', 'image/png', 7, now() - interval '1 hour', now() \
             from generate_series(1, {count}) n"
        ));
    }
}
