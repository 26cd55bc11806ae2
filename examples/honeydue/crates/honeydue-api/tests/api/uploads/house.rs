//! An api with a bucket, and people who use it the way a page does: presign, send, attach.

use honeydue_surroundings::{Running, Surroundings, TestBucket};
use reqwest::{Client, Method};
use serde_json::{Value, json};

pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0 and so on";
const BOUNDARY: &str = "a-line-that-no-file-has";

/// Everything around an api.
pub(crate) struct House {
    pub(crate) surroundings: Surroundings,
    pub(crate) bucket: TestBucket,
    pub(crate) api: Running,
    pub(crate) http: Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) retry_after: Option<u64>,
}

impl Answer {
    pub(crate) fn made(self) -> Value {
        assert_eq!(self.status, 201, "{:?}", self.body);
        self.body
    }

    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or_default())
    }
}

impl House {
    /// One whose clients are handed forms.
    pub(crate) async fn open() -> Self {
        Self::with("auto").await
    }

    /// `how` is the setting `UPLOAD_METHOD`.
    pub(crate) async fn with(how: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let surroundings = Surroundings::start();
        surroundings.migrate(None).await;
        let bucket = TestBucket::start().await;
        let mut command = surroundings.program(env!("CARGO_BIN_EXE_honeydue-api"));
        // The most that it can be made to say.
        bucket.known_to(&mut command).env("UPLOAD_METHOD", how).env("RUST_LOG", "debug");
        let api = Running::start(command);
        if how == "auto" {
            api.says("whether the store takes forms");
        }
        Self { surroundings, bucket, api, http: Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        let url = format!("http://{}{path}", self.api.address);
        let mut request = self.http.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let retry_after =
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
        let status = response.status().as_u16();
        Answer { status, retry_after, body: response.json().await.unwrap_or_default() }
    }

    /// Somebody with an account, a residence and a task that comes again.
    pub(crate) async fn person(&self, name: &str) -> Person<'_> {
        let registration =
            json!({ "email": format!("{name}@example.com"), "name": name, "password": "a long password" });
        let signed_in = self.call(Method::POST, "/api/auth/register", "", Some(registration)).await.made();
        let mut person = Person {
            house: self,
            token: signed_in["token"].as_str().unwrap().to_owned(),
            id: signed_in["user"]["id"].as_i64().unwrap(),
            residence: 0,
            task: 0,
        };
        let residence = person.post("/api/residences", json!({ "name": "Home", "address": "" })).await.made();
        person.residence = residence["id"].as_i64().unwrap();
        let task = json!({ "title": "Filter", "due_on": "2026-01-01", "every_days": 30 });
        let task = person.post(&format!("/api/residences/{}/tasks", person.residence), task).await.made();
        person.task = task["id"].as_i64().unwrap();
        person
    }

    /// Sends bytes as what was presigned says.
    pub(crate) async fn send(&self, presigned: &Value, bytes: &[u8]) -> u16 {
        let url = presigned["url"].as_str().unwrap();
        if presigned["method"] == "POST" {
            return post(&self.http, presigned, form(presigned, bytes)).await;
        }
        let mut request = self.http.put(url).body(bytes.to_vec());
        for (name, value) in presigned["headers"].as_object().unwrap() {
            if name != "content-length" {
                request = request.header(name, value.as_str().unwrap());
            }
        }
        request.send().await.unwrap().status().as_u16()
    }
}

/// A person who is signed in.
pub(crate) struct Person<'h> {
    pub(crate) house: &'h House,
    pub(crate) token: String,
    pub(crate) id: i64,
    pub(crate) residence: i64,
    pub(crate) task: i64,
}

impl Person<'_> {
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.house.call(Method::POST, path, &self.token, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.house.call(Method::GET, path, &self.token, None).await
    }

    pub(crate) async fn presign(&self, category: &str, content_type: &str, length: usize) -> Answer {
        let body = json!({ "category": category, "content_type": content_type, "content_length": length });
        self.post("/api/uploads/presign", body).await
    }

    /// Presigns, sends, and answers the upload's id.
    pub(crate) async fn sent(&self, category: &str, content_type: &str, bytes: &[u8]) -> String {
        let presigned = self.presign(category, content_type, bytes.len()).await.made();
        assert!(self.house.send(&presigned, bytes).await < 300);
        id(&presigned)
    }

    /// A photo that was sent.
    pub(crate) async fn photo(&self) -> String {
        self.sent("task_completion", "image/png", PNG).await
    }

    /// A document's page that was sent.
    pub(crate) async fn page(&self) -> String {
        self.sent("document", "application/pdf", b"%PDF-1.7 and so on").await
    }

    /// Says that the task was done, with these photos.
    pub(crate) async fn done(&self, upload_ids: &[&str]) -> Answer {
        let body = json!({ "task_id": self.task, "upload_ids": upload_ids });
        self.post("/api/task-completions", body).await
    }

    /// Adds a document of these pages.
    pub(crate) async fn document(&self, upload_ids: &[&str]) -> Answer {
        let body = json!({ "residence_id": self.residence, "title": "Warranty", "upload_ids": upload_ids });
        self.post("/api/documents", body).await
    }

    pub(crate) fn pending(&self, id: &str) -> String {
        format!("uploads/{}/{id}", self.id)
    }

    pub(crate) fn kept(&self, id: &str) -> String {
        format!("files/{}/{id}", self.id)
    }

    /// The state of an upload's row; empty when it has none.
    pub(crate) fn state(&self, id: &str) -> String {
        self.house.surroundings.sql(&format!("select state from pending_uploads where id = '{id}'"))
    }
}

pub(crate) fn id(presigned: &Value) -> String {
    presigned["upload_id"].as_str().unwrap().to_owned()
}

/// The body of a form with these bytes.
pub(crate) fn form(presigned: &Value, bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in presigned["fields"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let part =
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.bytes());
    }
    let head = "content-disposition: form-data; name=\"file\"; filename=\"x\"";
    body.extend(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").bytes());
    body.extend(bytes);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    body
}

/// Posts a form.
pub(crate) async fn post(http: &Client, presigned: &Value, body: Vec<u8>) -> u16 {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let url = presigned["url"].as_str().unwrap();
    http.post(url).header("content-type", kind).body(body).send().await.unwrap().status().as_u16()
}
