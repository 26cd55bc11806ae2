//! The admin page's own program, tried by somebody who does not know its password.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use honeydue_service::{Purpose, Sealer};
use honeydue_surroundings::Running;
use reqwest::{Client, Response, header, redirect};

fn start() -> (Running, Client) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut command = Command::new(env!("CARGO_BIN_EXE_honeydue-admin"));
    command.env_clear().env("SECRET_KEY", "a key for tests").env("ADMIN_PASSWORD", "honey");
    command.env("BIND_ADDR", "127.0.0.1").env("PORT", "0").env("METRICS_PORT", "0");
    // Nobody is there to be asked.
    for service in ["API_URL", "API_INTERNAL_URL", "WORKER_URL", "WEB_URL"] {
        command.env(service, "http://127.0.0.1:9");
    }
    let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    (Running::start(command), http)
}

async fn sign_in((admin, http): &(Running, Client), forwarded_for: &str, password: &str) -> Response {
    let request =
        http.post(format!("http://{}/login", admin.address)).header("x-forwarded-for", forwarded_for);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(format!("password={password}")).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_password_guesses_are_throttled_per_client() {
    let admin = start();
    for _ in 0..5 {
        assert_eq!(sign_in(&admin, "203.0.113.9", "vinegar").await.status(), 401);
    }
    for forwarded_for in ["203.0.113.9", "198.51.100.7, 203.0.113.9"] {
        let refused = sign_in(&admin, forwarded_for, "honey").await;
        assert_eq!(refused.status(), 429, "the right one is not let in among guesses either");
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
    }
    let let_in = sign_in(&admin, "192.0.2.1", "honey").await;
    assert_eq!(let_in.status(), 303);
    let cookie = let_in.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-honeydue_keeper=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_password_guesses_are_throttled_in_total() {
    let admin = start();
    let mut refused = 0;
    for number in 0..120 {
        refused +=
            u32::from(sign_in(&admin, &format!("203.0.113.{number}"), "vinegar").await.status() == 429);
    }
    assert_eq!(refused, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_cookie_can_not_be_had_from_another_seal() {
    let admin = start();
    let sealer = Sealer::new("a key for tests");
    let page = async |cookie: String| {
        let request = admin.1.get(format!("http://{}/", admin.0.address)).header("cookie", cookie);
        request.send().await.unwrap().status().as_u16()
    };
    let forged = |text: &str| format!("9999999999.{}", sealer.seal(Purpose::Session, text));
    for text in ["9999999999", "keeper until 9999999999"] {
        assert_eq!(page(format!("__Host-honeydue_keeper={}", forged(text))).await, 303, "{text}");
    }
    let real = format!("9999999999.{}", sealer.seal(Purpose::AdminCookie, "9999999999"));
    assert_eq!(page(format!("honeydue_keeper={real}")).await, 303, "another host may have set it");
    assert_eq!(page(format!("__Host-honeydue_keeper={real}")).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_metrics_are_not_on_the_page_s_port() {
    let (admin, http) = start();
    for path in ["/metrics", "/version"] {
        let url = |address: &str| format!("http://{address}{path}");
        assert_eq!(http.get(url(&admin.address)).send().await.unwrap().status(), 404, "{path}");
        assert_eq!(http.get(url(&admin.metrics_address())).send().await.unwrap().status(), 200, "{path}");
    }
}
