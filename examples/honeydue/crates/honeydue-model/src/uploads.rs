//! Files on their way: what may be sent, what is kept, and what a client is told of it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::valid::{Invalid, is_text, require};

/// The largest file, in bytes.
pub const LARGEST_FILE: u64 = 10_000_000;
/// The most uploads that one person may have open, and that one request may attach.
pub const MOST_UPLOADS: usize = 10;
/// How many uploads one person may open within an hour.
pub const HOURLY_UPLOADS: u32 = 50;
/// How often one person may try to attach some within an hour.
pub const HOURLY_ATTACHES: u32 = 200;

const IMAGES: [&str; 5] = ["image/jpeg", "image/png", "image/heic", "image/heif", "image/webp"];
const PDF: &str = "application/pdf";

/// What a file is for; it can be attached to nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// A photo of something that was done.
    TaskCompletion,
    /// A warranty, a manual, a photo of one.
    Document,
}

impl Category {
    /// As JSON and the database have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskCompletion => "task_completion",
            Self::Document => "document",
        }
    }

    /// The category of that very name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::TaskCompletion, Self::Document].into_iter().find(|one| one.name() == name)
    }

    fn takes(self, content_type: &str) -> bool {
        IMAGES.contains(&content_type) || (self == Self::Document && content_type == PDF)
    }
}

/// A request to send a file. Each field is read by itself, so that each has its own refusal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UploadRequest {
    /// `task_completion` or `document`.
    #[serde(default)]
    pub category: Value,
    /// `image/jpeg`, …
    #[serde(default)]
    pub content_type: Value,
    /// In bytes, exactly.
    #[serde(default)]
    pub content_length: Value,
    /// Of its bytes, in 64 hexadecimal digits; may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Value>,
}

/// A file that may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedUpload {
    /// What for.
    pub category: Category,
    /// One of the category's.
    pub content_type: String,
    /// 1 to [`LARGEST_FILE`].
    pub content_length: u64,
    /// If the client knows it.
    pub sha256: Option<[u8; 32]>,
}

/// Why a file may not be sent, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotWanted {
    /// There is no such category.
    Category,
    /// The category does not take this type.
    ContentType,
    /// It is empty, too large, or no whole number.
    ContentLength,
    /// It is no SHA-256.
    Sha256,
}

impl UploadRequest {
    /// Checks it, field by field.
    ///
    /// # Errors
    /// The first that is not as it should be.
    pub fn check(&self) -> Result<WantedUpload, NotWanted> {
        let category = self.category.as_str().and_then(Category::named).ok_or(NotWanted::Category)?;
        let content_type = self
            .content_type
            .as_str()
            .filter(|content_type| category.takes(content_type))
            .ok_or(NotWanted::ContentType)?;
        let content_length = self
            .content_length
            .as_u64()
            .filter(|length| (1..=LARGEST_FILE).contains(length))
            .ok_or(NotWanted::ContentLength)?;
        let sha256 = match &self.sha256 {
            None | Some(Value::Null) => None,
            Some(text) => Some(text.as_str().and_then(digest).ok_or(NotWanted::Sha256)?),
        };
        Ok(WantedUpload { category, content_type: content_type.to_owned(), content_length, sha256 })
    }
}

/// 64 small hexadecimal digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let is_plain = text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    is_plain.then_some(bytes)
}

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its upload's id.
    pub id: String,
    /// What it is: by its first bytes, not by a client's word alone.
    pub content_type: String,
    /// In bytes.
    pub content_length: i64,
}

/// A request to record that a task was done, with photos of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewCompletion {
    /// The task's id.
    pub task_id: i64,
    /// Uploads of the category `task_completion`.
    #[serde(default)]
    pub upload_ids: Vec<String>,
}

/// That a task was done once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Stable.
    pub id: i64,
    /// The task's id.
    pub task_id: i64,
    /// The day it was due.
    pub due_on: Date,
    /// The day it was done.
    pub done_on: Date,
    /// Photos of it.
    pub files: Vec<StoredFile>,
}

/// A request to keep a document of a residence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewDocument {
    /// The residence's id.
    pub residence_id: i64,
    /// "Furnace warranty".
    pub title: String,
    /// Uploads of the category `document`: its pages.
    pub upload_ids: Vec<String>,
}

impl NewDocument {
    /// Checks what does not need to be looked up.
    ///
    /// # Errors
    /// The first field that breaks its rule.
    pub fn validate(&self) -> Result<(), Invalid> {
        require(is_text(&self.title, 1, 120), "title", "a document's title has 1 to 120 characters")?;
        require(!self.upload_ids.is_empty(), "upload_ids", "a document has at least one file")
    }
}

/// Papers of a residence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Stable.
    pub id: i64,
    /// The residence's id.
    pub residence_id: i64,
    /// Its title.
    pub title: String,
    /// Its pages.
    pub files: Vec<StoredFile>,
}

/// Where a kept file can be read for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileLink {
    /// Signed: whoever has it reads the file.
    pub url: String,
    /// Until when.
    pub expires_at: jiff::Timestamp,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(category: &str, content_type: &str, content_length: Value) -> Result<WantedUpload, NotWanted> {
        let (category, content_type) = (json!(category), json!(content_type));
        UploadRequest { category, content_type, content_length, sha256: None }.check()
    }

    #[test]
    fn case_1_and_2_sizes_that_are_none_and_the_edges_of_those_that_are() {
        for size in [1, 255, 256, LARGEST_FILE - 256, LARGEST_FILE] {
            let wanted = checked("document", "image/png", json!(size)).unwrap();
            assert_eq!(wanted.content_length, size, "to the byte: no slack is added that could wrap");
        }
        for size in [
            json!(0),
            json!(-1),
            json!(LARGEST_FILE + 1),
            json!(9_223_372_036_854_775_808_u64),
            json!(u64::MAX),
            json!(1.5),
            json!(1e3),
            json!("7"),
            json!(null),
            json!([7]),
        ] {
            assert_eq!(
                checked("document", "image/png", size.clone()),
                Err(NotWanted::ContentLength),
                "{size}"
            );
        }
    }

    #[test]
    fn case_3_and_4_types_are_taken_letter_by_letter_and_category_by_category() {
        for content_type in IMAGES {
            for category in ["task_completion", "document"] {
                assert!(checked(category, content_type, json!(1)).is_ok(), "{content_type} {category}");
            }
        }
        assert!(checked("document", PDF, json!(1)).is_ok());
        for content_type in [
            PDF,
            "Image/png",
            "image/png; charset=x",
            "image/png ",
            "image/png,text/html",
            "image/png\r\nx: y",
            "image/png\0",
            "image/svg+xml",
            "image/avif",
            "text/html",
            "",
        ] {
            let refused = checked("task_completion", content_type, json!(1));
            assert_eq!(refused, Err(NotWanted::ContentType), "{content_type:?}");
        }
    }

    #[test]
    fn case_5_categories_are_taken_letter_by_letter() {
        for category in ["", "Document", "document ", "avatar", "task-completion"] {
            assert_eq!(checked(category, "image/png", json!(1)), Err(NotWanted::Category), "{category:?}");
        }
    }

    #[test]
    fn a_checksum_is_64_small_hexadecimal_digits_or_absent() {
        let with = |sha256: Option<Value>| {
            UploadRequest {
                category: json!("document"),
                content_type: json!(PDF),
                content_length: json!(1),
                sha256,
            }
            .check()
            .map(|wanted| wanted.sha256)
        };
        assert_eq!(with(None), Ok(None));
        assert_eq!(with(Some(json!("0a".repeat(32)))), Ok(Some([10; 32])));
        for bad in [
            json!(""),
            json!("0a"),
            json!("0A".repeat(32)),
            json!("+a".repeat(32)),
            json!("é".repeat(32)),
            json!(7),
        ] {
            assert_eq!(with(Some(bad.clone())), Err(NotWanted::Sha256), "{bad}");
        }
    }
}
