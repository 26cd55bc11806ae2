//! What strangers try: to take the place of others, to keep them out, and to use the api up.

use std::time::{Duration, Instant};

use futures::future::join_all;
use honeydue_service::{Purpose, Sealer};
use honeydue_store::Token;
use reqwest::{Client, Method, Response, header};
use serde_json::{Value, json};

use crate::support::{Running, ServesTheApi as _, Surroundings};

const ADA: &str = "ada@example.com";
const PASSWORD: &str = "a long password";

/// An api as the ingress reaches it.
struct Served {
    surroundings: Surroundings,
    api: Running,
    http: Client,
}

impl Served {
    async fn start() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let surroundings = Surroundings::start();
        surroundings.migrate(None).await;
        let mut command = surroundings.api();
        command.env("POD_NAME", "api-7c9d-x2x4z");
        let api = Running::start(command);
        Self { surroundings, api, http: Client::builder().no_proxy().build().unwrap() }
    }

    async fn get(&self, path: &str, token: &str) -> Response {
        let request = self.http.get(format!("http://{}{path}", self.api.address)).bearer_auth(token);
        request.send().await.unwrap()
    }

    /// As the ingress hands it on: what the client sent of `X-Forwarded-For`, and the address that the ingress saw.
    async fn post(&self, path: &str, forwarded_for: &str, token: &str, body: &Value) -> Response {
        let request = self.http.request(Method::POST, format!("http://{}{path}", self.api.address));
        let request = request.header("x-forwarded-for", forwarded_for).bearer_auth(token);
        request.json(body).send().await.unwrap()
    }

    /// Opens an account, or a session of one; answers the token.
    async fn signed_in(&self, way: &str, email: &str) -> String {
        let body = json!({ "email": email, "name": "Somebody", "password": PASSWORD });
        let answer = self.post(&format!("/api/auth/{way}/"), "192.0.2.1", "", &body).await;
        assert!(answer.status().is_success(), "{way} {email}: {}", answer.status());
        answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// A try to log in; answers its status and after how many seconds to try again.
    async fn login(&self, forwarded_for: &str, email: &str, password: &str) -> (u16, Option<u64>) {
        let body = json!({ "email": email, "password": password });
        let answer = self.post("/api/auth/login/", forwarded_for, "", &body).await;
        (answer.status().as_u16(), retry_after(&answer))
    }

    async fn me(&self, token: &str) -> (u16, String) {
        let answer = self.get("/api/me/", token).await;
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap()["email"].as_str().unwrap_or_default().to_owned())
    }
}

fn retry_after(answer: &Response) -> Option<u64> {
    answer.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().parse().unwrap())
}

fn sealer() -> Sealer {
    Sealer::new("a key for tests")
}

#[tokio::test(flavor = "multi_thread")]
async fn bearer_that_is_no_token_is_neither_sealed_nor_looked_up() {
    let served = Served::start().await;
    let looked_up = || served.surroundings.redis(&["INFO", "commandstats"]).contains("cmdstat_get:");
    for bearer in ["honeydue keeper", "keeper until 9999999999", &"G".repeat(64), ""] {
        for path in ["/api/me/", "/api/keeper/overview/"] {
            assert_eq!(served.get(path, bearer).await.status().as_u16(), 401, "{path} {bearer:?}");
        }
    }
    assert!(!looked_up(), "Redis was asked for the seal of what a stranger has sent");
    // Even who can read such a seal in Redis has nothing: it is one of a session.
    for text in ["", "honeydue keeper"] {
        let seal = sealer().seal(Purpose::Session, text);
        assert_eq!(served.get("/api/keeper/overview/", &seal).await.status().as_u16(), 403, "{text:?}");
    }
    assert_eq!(served.get("/api/keeper/overview/", &sealer().keeper_token()).await.status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_written_to_redis_is_not_believed() {
    let served = Served::start().await;
    let (ada, eve) =
        (served.signed_in("register", ADA).await, served.signed_in("register", "eve@example.com").await);
    let key = |token: &str| format!("session:{}", Token::parse(token).unwrap().sealed(&sealer()));
    let hers = served.surroundings.redis(&["GET", &key(&ada)]);
    let (_, json) = hers.split_at(64);
    let user = json!({ "id": 1, "email": ADA, "name": "Ada" }).to_string();
    let own_seal = served.surroundings.redis(&["GET", &key(&eve)]).split_at(64).0.to_owned();
    for forged in [user, json.to_owned(), hers.clone(), format!("{own_seal}{json}")] {
        served.surroundings.redis(&["SET", &key(&eve), &forged]);
        assert_eq!(served.me(&eve).await, (200, "eve@example.com".into()), "{forged}");
    }
    assert_eq!(served.me(&ada).await, (200, ADA.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_serves_nobody_without_its_password() {
    let mut served = Served::start().await;
    let asked = |arguments: &[&str]| served.surroundings.redis_without_password(arguments);
    assert_eq!(asked(&["PING"]), "PONG", "pods of a release that knows no password stay ready");
    for command in
        [&["GET", "session:x"][..], &["SET", "session:x", "y"], &["MONITOR"], &["CONFIG", "GET", "*"]]
    {
        assert!(asked(command).contains("NOPERM"), "{command:?}");
    }
    // A Redis that starts empty is found again, password and all.
    served.surroundings.stop_redis();
    served.surroundings.start_redis();
    let begun = Instant::now();
    while served.get("/api/ready/", "").await.status() != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the api does not find its cache again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_of_a_closed_account_ends_at_once() {
    let served = Served::start().await;
    let first = served.signed_in("register", ADA).await;
    let phone = served.signed_in("login", ADA).await;
    for token in [&first, &phone] {
        assert_eq!(served.me(token).await.0, 200, "and it is in the cache now");
    }
    let proof = json!({ "password": PASSWORD });
    let closed = served.post("/api/me/delete/", "192.0.2.1", &first, &proof).await;
    assert_eq!(closed.status().as_u16(), 204);
    for token in [&phone, &first] {
        assert_eq!(served.me(token).await.0, 401);
        let wanted = json!({ "category": "document", "content_type": "image/png", "content_length": 9 });
        let presigned = served.post("/api/uploads/presign/", "192.0.2.1", token, &wanted).await;
        assert_eq!(presigned.status().as_u16(), 401);
        // A request that read the session just before finds its place taken.
        let key = format!("session:{}", Token::parse(token).unwrap().sealed(&sealer()));
        assert_eq!(served.surroundings.redis(&["SET", &key, "late", "NX"]), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn account_stays_while_its_sessions_cannot_be_ended() {
    let mut served = Served::start().await;
    let ada = served.signed_in("register", ADA).await;
    served.surroundings.stop_redis();
    let proof = json!({ "password": PASSWORD });
    let refused = served.post("/api/me/delete/", "192.0.2.1", &ada, &proof).await;
    assert_eq!((refused.status().as_u16(), retry_after(&refused)), (503, Some(5)));
    assert_eq!(served.me(&ada).await, (200, ADA.into()), "it is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_logins_at_once_keep_memory_bounded_and_are_answered() {
    const MOST: u64 = 128 * 1024 * 1024;
    let served = Served::start().await;
    served.signed_in("register", ADA).await;
    // One by one, as a patient attacker does, from a new address each time.
    for number in 0..12 {
        let (status, _) =
            served.login(&format!("198.51.100.{number}"), &format!("{number}@example.com"), "wrong").await;
        assert_eq!(status, 401);
    }
    let one_by_one = served.api.peak_memory();
    assert!(one_by_one < MOST, "{one_by_one} bytes after a dozen logins");
    let served = &served;
    let many = (0..150).map(|number| async move {
        served.login(&format!("203.0.113.{number}"), &format!("{number}@example.com"), "wrong").await
    });
    let answers = join_all(many).await;
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == 503).collect();
    assert!(!refused.is_empty(), "the queue has an end: {answers:?}");
    assert!(refused.iter().all(|(_, again)| *again == Some(1)), "{refused:?}");
    assert!(answers.iter().all(|(status, _)| matches!(status, 401 | 503)), "{answers:?}");
    let peak = served.api.peak_memory();
    assert!(peak < MOST, "{peak} bytes");
    assert_eq!(served.login("192.0.2.1", ADA, PASSWORD).await.0, 200, "and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_who_guesses_keeps_nobody_else_out() {
    let served = Served::start().await;
    served.signed_in("register", ADA).await;
    for _ in 0..10 {
        assert_eq!(served.login("203.0.113.9", ADA, "not the password").await.0, 401);
    }
    let (status, again) = served.login("203.0.113.9", ADA, "not the password").await;
    assert_eq!(status, 429);
    assert!(again.is_some_and(|seconds| (1..=301).contains(&seconds)), "{again:?}");
    // What a client writes into the header itself makes it nobody else.
    for spoofed in ["198.51.100.7, 203.0.113.9", "192.0.2.1, 10.0.0.1, 203.0.113.9", "nonsense, 203.0.113.9"]
    {
        assert_eq!(served.login(spoofed, ADA, PASSWORD).await.0, 429, "{spoofed}");
    }
    assert_eq!(served.login("192.0.2.1", ADA, PASSWORD).await.0, 200, "Ada is let in where she is");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_goes_through_many_accounts_is_slowed() {
    let served = Served::start().await;
    served.signed_in("register", ADA).await;
    for number in 0..50 {
        // A right password of one's own now and then is no way around.
        if number % 10 == 0 {
            assert_eq!(served.login("203.0.113.9", ADA, PASSWORD).await.0, 200);
        }
        let guessed = served.login("203.0.113.9", &format!("{number}@example.com"), "a guess").await;
        assert_eq!(guessed.0, 401, "{number}");
    }
    let (status, again) = served.login("203.0.113.9", "another@example.com", "a guess").await;
    assert_eq!(status, 429);
    assert!(again.is_some());
    assert_eq!(served.login("192.0.2.1", ADA, PASSWORD).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_opens_many_accounts_is_slowed() {
    let served = Served::start().await;
    let register = async |number: u32| {
        let body = json!({ "email": format!("{number}@example.com"), "name": "x", "password": PASSWORD });
        served.post("/api/auth/register/", "203.0.113.9", "", &body).await
    };
    for number in 0..30 {
        assert_eq!(register(number).await.status().as_u16(), 201, "{number}");
    }
    let refused = register(31).await;
    assert_eq!(refused.status().as_u16(), 429);
    assert!(retry_after(&refused).is_some_and(|seconds| seconds > 3000));
    served.signed_in("register", ADA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_pod_are_told_on_a_port_of_their_own() {
    let served = Served::start().await;
    for path in ["/metrics", "/metrics/", "/version"] {
        assert_eq!(served.get(path, "").await.status().as_u16(), 404, "{path}");
    }
    let public: Value = served.get("/api/version/", "").await.json().await.unwrap();
    assert_eq!((&public["service"], &public["pod"]), (&json!("api"), &Value::Null));
    let internal = async |path: &str| {
        let answer = served.http.get(format!("http://{}{path}", served.api.metrics_address())).send().await;
        answer.unwrap().text().await.unwrap()
    };
    assert!(internal("/metrics").await.contains("http_requests_total{route=\"/api/version/\""));
    let release: Value = serde_json::from_str(&internal("/version").await).unwrap();
    assert_eq!(release["pod"], "api-7c9d-x2x4z");
}
