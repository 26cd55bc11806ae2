//! A real browser, driven by the protocol that browsers have for it: WebDriver.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long a page may take for what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// By this name a WebDriver tells an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Chromium without a window, its profile its own. Dropped, it ends.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    session: String,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// When chromedriver or Chromium don't start.
    pub fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let profile = tempfile::tempdir().expect("a folder");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts: apt-get install chromium-driver");
        // `ChromeDriver was started successfully on port 41234.`
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let port: u16 = lines
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok())
            .expect("it says where it listens");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let session = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { driver, session, runtime, http, _profile: profile };
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-proxy-server".to_owned(),
            "--window-size=1000,900".to_owned(),
            format!("--user-data-dir={}", browser._profile.path().join("profile").display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let opened = browser.ask("", Some(&wanted));
        let id = opened["sessionId"].as_str().unwrap_or_else(|| panic!("{opened}"));
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", self.session);
        let request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        let answer = self.runtime.block_on(async { request.send().await?.json::<Value>().await });
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        let value = answer["value"].clone();
        assert!(value["error"].is_null(), "{path}: {value}");
        value
    }

    /// Opens a page.
    pub fn go(&self, url: &str) {
        self.ask("/url", Some(&json!({ "url": url })));
    }

    /// What a script returns.
    pub fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", Some(&json!({ "script": script, "args": [] })))
    }

    /// Types into an element; a path is what one types into a file's.
    pub fn types(&self, css: &str, text: &str) {
        let id = self.element(css);
        self.ask(&format!("/element/{id}/value"), Some(&json!({ "text": text })));
    }

    /// Clicks an element.
    pub fn clicks(&self, css: &str) {
        let id = self.element(css);
        self.ask(&format!("/element/{id}/click"), Some(&json!({})));
    }

    fn element(&self, css: &str) -> String {
        let found = self.ask("/element", Some(&json!({ "using": "css selector", "value": css })));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("{css}: {found}")).to_owned()
    }

    /// Waits until a script's expression is true.
    ///
    /// # Panics
    /// When it is not in time: with the page's text.
    pub fn sees(&self, what: &str, expression: &str) {
        let script = format!("return Boolean({expression})");
        let deadline = Instant::now() + PATIENCE;
        while self.run(&script) != json!(true) {
            let page = || self.run("return document.body.innerText");
            assert!(
                Instant::now() < deadline,
                "the page does not show {what}: {}\n{:?}",
                page(),
                self.complaints()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What the page's console complains of.
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.ask("/se/log", Some(&json!({ "type": "browser" })));
        let lines = lines.as_array().into_iter().flatten();
        lines.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
    }

    /// Keeps a picture of the page, for a person to look at, and answers where.
    ///
    /// # Panics
    /// When it can't be kept.
    pub fn picture(&self, name: &str) -> PathBuf {
        use base64::Engine as _;
        let encoded = self.ask("/screenshot", None);
        let encoded = encoded.as_str().expect("a picture");
        let bytes = base64::prelude::BASE64_STANDARD.decode(encoded).expect("base64");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pictures");
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, bytes).expect("a file");
        path.canonicalize().expect("it was written")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let session = self.http.delete(&self.session);
        let _ = self.runtime.block_on(session.send());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
