//! The bucket, as the environment describes it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use honeydue_model::WantedUpload;
use honeydue_service::{SettingError, settings};
use honeydue_store::uploads::{FORM_LIVES, KeptFile};
use jiff::{SignedDuration, Timestamp};
use skep_storage::{
    Addressing, Admin, Bucket, Client, Credentials, Download, FoundCors, Presigned, Signer, StoreError,
    Upload, region_of,
};
use url::Url;
use uuid::Uuid;

use crate::keys;

/// How long a link to a kept file can be used.
const LINK_LIVES: Duration = Duration::from_secs(5 * 60);
/// How long one answer of the store may take: three of them are less than a request has.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The pause between two questions whether the store takes forms.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// A bucket, and the right to sign for it. Clones share what was learned of the store.
#[derive(Debug, Clone)]
pub struct Storage {
    /// What clients are given is for where they see the store.
    signer: Signer,
    /// What is asked from here.
    pub client: Client,
    forms: Arc<AtomicU8>,
}

/// Whether clients are handed forms, or URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormSupport {
    /// Nobody knows yet: URLs, which every store takes.
    Unknown,
    /// The store takes forms, or the settings say so.
    Yes,
    /// It does not, or they say so.
    No,
}

impl FormSupport {
    /// Parses `UPLOAD_METHOD`; `None` for an unknown word.
    fn from_setting(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Unknown),
            "post" => Some(Self::Yes),
            "put" => Some(Self::No),
            _ => None,
        }
    }

    /// Returns the methods that clients may be given, all of which the CORS rules have to allow.
    #[cfg(test)]
    fn methods(self) -> &'static [&'static str] {
        match self {
            // URLs until the store has answered, then perhaps forms.
            Self::Unknown => &["PUT", "POST"],
            Self::Yes => &["POST"],
            Self::No => &["PUT"],
        }
    }
}

impl Storage {
    /// Reads `B2_ENDPOINT`, `B2_BUCKET`, `B2_KEY_ID` and `B2_APP_KEY`, all or none; and, if they differ from what those tell,
    /// `B2_PUBLIC_ENDPOINT` (where clients see the store), `B2_REGION` and `UPLOAD_METHOD` (`post`, `put`, or `auto`).
    ///
    /// # Errors
    /// When some are there and not all, or one cannot be read.
    pub fn from_environment() -> Result<Option<Self>, SettingError> {
        let names = ["B2_ENDPOINT", "B2_BUCKET", "B2_KEY_ID", "B2_APP_KEY"];
        if names.into_iter().all(|name| settings::optional(name).is_none()) {
            return Ok(None);
        }
        let endpoint = url("B2_ENDPOINT", &settings::config("B2_ENDPOINT")?)?;
        let public = match settings::optional("B2_PUBLIC_ENDPOINT") {
            Some(text) => url("B2_PUBLIC_ENDPOINT", &text)?,
            None => endpoint.clone(),
        };
        let (name, region) =
            (settings::config("B2_BUCKET")?, settings::text("B2_REGION", region_of(&endpoint)));
        let credentials = Credentials::new(&settings::secret("B2_KEY_ID")?, &settings::secret("B2_APP_KEY")?);
        let forms = FormSupport::from_setting(&settings::text("UPLOAD_METHOD", "auto")).ok_or(
            SettingError::Unreadable { name: "UPLOAD_METHOD", expected: "one of auto, post and put" },
        )?;
        let bucket = |endpoint: &Url, setting| {
            Bucket::new(endpoint, Addressing::Path, &name, &region).map_err(|_| SettingError::Unreadable {
                name: setting,
                expected: "a store's address, such as https://s3.eu-central-003.backblazeb2.com, with B2_BUCKET the name of a bucket there",
            })
        };
        let (public, own) = (bucket(&public, "B2_PUBLIC_ENDPOINT")?, bucket(&endpoint, "B2_ENDPOINT")?);
        let storage = Self::new(public, own, &credentials).map_err(|_| SettingError::Unreadable {
            name: "B2_ENDPOINT",
            expected: "reachable: no HTTP client could be made",
        })?;
        storage.forms.store(forms as u8, Ordering::Relaxed);
        Ok(Some(storage))
    }

    /// The bucket that clients see as `public`, and that is asked from here as `own`.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(public: Bucket, own: Bucket, credentials: &Credentials) -> reqwest::Result<Self> {
        // Whoever is first in this process installs it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = http()?;
        Ok(Self {
            signer: Signer::new(public, credentials.clone()),
            client: Client::new(own, credentials.clone(), http).with_answers_within(ANSWER_WITHIN),
            forms: Arc::default(),
        })
    }

    /// Whether clients are handed forms.
    #[must_use]
    pub fn forms(&self) -> FormSupport {
        match self.forms.load(Ordering::Relaxed) {
            1 => FormSupport::Yes,
            2 => FormSupport::No,
            _ => FormSupport::Unknown,
        }
    }

    /// Asks the store whether it takes forms, until it has answered, unless the settings say it.
    pub async fn learn_forms(&self) {
        while self.forms() == FormSupport::Unknown {
            match self.client.takes_forms().await {
                Ok(takes) => {
                    let support = if takes { FormSupport::Yes } else { FormSupport::No };
                    self.forms.store(support as u8, Ordering::Relaxed);
                    tracing::info!(?support, "whether the store takes forms");
                }
                Err(error) => {
                    tracing::warn!(%error, "it is not known yet whether the store takes forms");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    /// Asks the store for an object that does not exist, to see whether it answers.
    ///
    /// # Errors
    /// The store's failure.
    pub async fn answers(&self) -> Result<(), StoreError> {
        self.client.look(keys::NOBODYS, 1).await.map(|_| ())
    }

    /// Compares the upload method in use with the bucket's CORS rules, and logs a warning if no rule allows it. A key that may not
    /// read the rules leaves the question open, which is logged too.
    pub async fn check_cors(&self) {
        let method = match self.forms() {
            FormSupport::Yes => "POST",
            FormSupport::No | FormSupport::Unknown => "PUT",
        };
        match Admin::s3(self.client.clone()).cors().await {
            Ok(rules) if lets_send(&rules, method) => {
                tracing::info!(method, "the bucket's CORS rules allow the upload method");
            }
            Ok(_) => tracing::warn!(
                method,
                "no CORS rule of the bucket allows the upload method: browsers can not send files; run `skep bucket cors plan`"
            ),
            Err(error) => {
                tracing::info!(method, %error, "the bucket's CORS rules can't be read");
            }
        }
    }

    /// Signs an upload, for as long as forms live.
    ///
    /// # Errors
    /// When it is none that can be signed: a mistake in here, not the client's.
    pub fn presign(
        &self,
        user: i64,
        id: Uuid,
        wanted: &WantedUpload,
        now: Timestamp,
    ) -> Result<(Presigned, Timestamp), skep_storage::UploadError> {
        // Signatures know whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let mut upload = Upload::new(&keys::pending(user, id), &wanted.content_type, wanted.content_length)?;
        let expires = now.saturating_add(SignedDuration::try_from(FORM_LIVES).unwrap_or_default());
        let expires = expires.unwrap_or(Timestamp::MAX);
        Ok(match (self.forms(), wanted.sha256) {
            (FormSupport::Yes, sha256) => {
                // A store that takes forms is one that checks checksums.
                if let Some(sha256) = sha256 {
                    upload = upload.with_sha256(sha256);
                }
                (self.signer.post(&upload, now, FORM_LIVES), expires)
            }
            // Backblaze B2 refuses the header: there the bytes are hashed when they are attached.
            _ => (self.signer.put(&upload, now, FORM_LIVES), expires),
        })
    }

    /// A link to a kept file, as something to save and never a page to show.
    #[must_use]
    pub fn link(&self, owner: i64, file: &KeptFile, now: Timestamp) -> (Url, Timestamp) {
        let ending = match file.content_type.as_str() {
            "image/jpeg" => "jpg",
            "image/png" => "png",
            "image/webp" => "webp",
            "image/heic" => "heic",
            "image/heif" => "heif",
            "application/pdf" => "pdf",
            _ => "bin",
        };
        let download =
            Download { file_name: format!("{}.{ending}", file.id), content_type: file.content_type.clone() };
        let url = self.signer.get(&keys::kept(owner, file.id), &download, now, LINK_LIVES);
        let expires = now.saturating_add(SignedDuration::try_from(LINK_LIVES).unwrap_or_default());
        (url, expires.unwrap_or(Timestamp::MAX))
    }
}

/// Returns whether a rule allows this method.
fn lets_send(rules: &[FoundCors], method: &str) -> bool {
    rules.iter().any(|found| found.rule.methods.iter().any(|one| one == method))
}

/// Trusts whom this machine trusts; where it names nobody, as in an image with our program alone, whom browsers do.
fn http() -> reqwest::Result<reqwest::Client> {
    let settings = || reqwest::Client::builder().connect_timeout(Duration::from_secs(2)).no_proxy();
    if let Ok(client) = settings().build() {
        return Ok(client);
    }
    let roots =
        webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|root| reqwest::Certificate::from_der(root));
    settings().tls_certs_only(roots.collect::<reqwest::Result<Vec<_>>>()?).build()
}

fn url(name: &'static str, text: &str) -> Result<Url, SettingError> {
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    text.parse().map_err(|_| SettingError::Unreadable {
        name,
        expected: "a store's address, such as https://s3.eu-central-003.backblazeb2.com",
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::Value;
    use skep_storage::CorsRule;

    use super::*;

    /// A file of the example.
    fn file(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn cors_of_skep_yaml_lets_every_upload_method_through() {
        let project: Value = serde_saphyr::from_str(&file("skep.yaml")).unwrap();
        let rules = project["bucket"]["cors"].as_array().unwrap();
        let config = file("deploy-k3s/prod.env");
        let setting = config.lines().find_map(|line| line.strip_prefix("UPLOAD_METHOD="));
        let forms = FormSupport::from_setting(setting.unwrap_or("auto")).unwrap();
        for method in forms.methods().iter().chain(&["GET"]) {
            let lets = |rule: &Value| rule["methods"].as_array().unwrap().iter().any(|one| one == method);
            assert!(rules.iter().any(lets), "{method} is missing: {rules:?}");
        }
    }

    #[test]
    fn cors_rules_are_compared_with_the_method_in_use() {
        let rule = |methods: [&str; 2]| {
            let origins = vec!["https://example.com".to_owned()];
            let rule = CorsRule::for_files(origins, methods.map(str::to_owned).to_vec());
            FoundCors { name: String::new(), rule }
        };
        assert!(!lets_send(&[], "PUT"));
        assert!(!lets_send(&[rule(["PUT", "GET"])], "POST"));
        assert!(lets_send(&[rule(["PUT", "GET"]), rule(["POST", "GET"])], "POST"));
    }

    #[test]
    fn an_endpoint_may_leave_its_scheme_out() {
        assert_eq!(url("x", "s3.example.com").unwrap().as_str(), "https://s3.example.com/");
        assert_eq!(url("x", "http://bucket:9000").unwrap().as_str(), "http://bucket:9000/");
    }
}
