//! What strangers try: to take the place of others, to keep them out, and to use the api up.

use std::time::{Duration, Instant};

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
        let api = surroundings.serve();
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
