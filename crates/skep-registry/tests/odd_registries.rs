//! Behaviour that docker-registry doesn't show: token services, busy servers, redirects, silence.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{any, get, post, put},
};
use serde_json::json;
use skep_model::{Digest, ImageRef};
use skep_registry::{
    Blob, Client, ClientConfig, Descriptor, Login, MediaType, OnBytes, Package, RegistryError, Retry,
};

fn config() -> ClientConfig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientConfig {
        retry: Retry { attempts: 3, first: Duration::from_millis(5), longest: Duration::from_millis(50) },
        stall: Duration::from_millis(200),
        ..ClientConfig::default()
    }
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

const MANIFEST: &str = r#"{"schemaVersion":2}"#;

fn manifest() -> Response {
    ([(header::CONTENT_TYPE, MediaType::MANIFEST)], MANIFEST).into_response()
}

fn image(address: &str) -> ImageRef {
    format!("{address}/team/app:v1").parse().expect("an image")
}

#[tokio::test]
async fn a_bearer_challenge_is_answered_with_a_token_that_is_kept() {
    let tokens = Arc::new(AtomicU32::new(0));
    let router = Router::new()
        .route(
            "/token",
            get(|State(tokens): State<Arc<AtomicU32>>, headers: HeaderMap, request: Request| async move {
                let query = request.uri().query().unwrap_or_default().to_owned();
                assert_eq!(query, "service=test&scope=repository%3Ateam%2Fapp%3Apull");
                // base64 of `ali:secret`
                if headers.get("authorization").is_none_or(|value| value != "Basic YWxpOnNlY3JldA==") {
                    return (StatusCode::UNAUTHORIZED, Json(json!({"errors": [{"code": "UNAUTHORIZED"}]})))
                        .into_response();
                }
                tokens.fetch_add(1, Ordering::SeqCst);
                Json(json!({"access_token": "t0", "expires_in": 300})).into_response()
            }),
        )
        .route(
            "/v2/{*rest}",
            any(|headers: HeaderMap| async move {
                if headers.get("authorization").is_some_and(|value| value == "Bearer t0") {
                    return manifest();
                }
                let challenge = r#"Bearer realm="/token",service="test",scope="repository:team/app:pull""#;
                (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
            }),
        )
        .with_state(tokens.clone());
    let address = serve(router).await;
    let login = Login { username: "ali".to_owned(), password: "secret".to_owned() };
    let client = Client::new(ClientConfig { logins: [(address.clone(), login)].into(), ..config() })
        .expect("a client");
    for _ in 0..3 {
        let fetched = client.manifest(&image(&address)).await.expect("fetched");
        assert_eq!(fetched.digest, Digest::of(MANIFEST.as_bytes()));
    }
    assert_eq!(tokens.load(Ordering::SeqCst), 1);

    let error =
        Client::new(config()).expect("a client").manifest(&image(&address)).await.expect_err("no login");
    assert!(matches!(error, RegistryError::Denied { account: None, .. }), "{error:?}");
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_and_given_up() {
    let calls = Arc::new(AtomicU32::new(0));
    let router = Router::new()
        .route(
            "/v2/team/app/manifests/{tag}",
            get(|State(calls): State<Arc<AtomicU32>>| async move {
                match calls.fetch_add(1, Ordering::SeqCst) {
                    0 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")]).into_response(),
                    1 => StatusCode::BAD_GATEWAY.into_response(),
                    _ => manifest(),
                }
            }),
        )
        .route("/v2/down/{*rest}", any(|| async { (StatusCode::SERVICE_UNAVAILABLE, "maintenance\n") }))
        .with_state(calls.clone());
    let address = serve(router).await;
    let client = Client::new(config()).expect("a client");
    client.manifest(&image(&address)).await.expect("the third try");
    assert_eq!(calls.load(Ordering::SeqCst), 3);

    let down: ImageRef = format!("{address}/down/app:v1").parse().expect("an image");
    let error = client.manifest(&down).await.expect_err("it stays down");
    assert!(error.is_passing());
    assert_eq!(
        error.to_string(),
        format!("the registry {address} answered HTTP 503: cannot pull {down}; it says: maintenance")
    );
}

#[tokio::test]
async fn an_upload_that_a_restarted_registry_forgot_is_begun_again() {
    let sessions = Arc::new(AtomicU32::new(0));
    let digest = Digest::of(MANIFEST.as_bytes());
    let router = Router::new()
        .route(
            "/v2/team/app/blobs/uploads/",
            post(|State(sessions): State<Arc<AtomicU32>>| async move {
                let session = sessions.fetch_add(1, Ordering::SeqCst);
                (StatusCode::ACCEPTED, [(header::LOCATION, format!("/upload/{session}"))])
            }),
        )
        .route("/upload/0", put(|| async { StatusCode::NOT_FOUND }))
        .route("/upload/{session}", put(|| async { StatusCode::CREATED }))
        .route(
            "/v2/team/app/manifests/{tag}",
            put(|| async { StatusCode::CREATED }).get(|State(sessions): State<Arc<AtomicU32>>| async move {
                match sessions.load(Ordering::SeqCst) {
                    0 => StatusCode::NOT_FOUND.into_response(),
                    _ => manifest(),
                }
            }),
        )
        .with_state(sessions.clone());
    let address = serve(router).await;
    let package = Package {
        digest,
        manifest: MANIFEST.into(),
        media_type: MediaType::MANIFEST.to_owned(),
        config: "{}".into(),
        blobs: Vec::new(),
    };
    let client = Client::new(config()).expect("a client");
    let pushed = client.push(&package, &image(&address), &[], &OnBytes::nowhere()).await.expect("pushed");
    assert_eq!((pushed.digest, pushed.bytes_sent), (digest, 2));
    assert_eq!(sessions.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_a_failed_push_began_is_cancelled() {
    type Sessions = Arc<Mutex<Vec<(&'static str, u32)>>>;
    let seen = Sessions::default();
    let log = |sessions: &Sessions, what, number| sessions.lock().expect("no panic").push((what, number));
    let router = Router::new()
        .route(
            "/v2/team/app/blobs/uploads/",
            post(move |State(sessions): State<Sessions>| async move {
                let number = sessions.lock().expect("no panic").len() as u32;
                log(&sessions, "begun", number);
                (StatusCode::ACCEPTED, [(header::LOCATION, format!("/upload/{number}"))])
            }),
        )
        .route(
            "/upload/{number}",
            put(async |Path(number): Path<u32>| {
                // The second session is under way when the first is refused.
                if number > 0 {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                (StatusCode::INSUFFICIENT_STORAGE, "no space left on device")
            })
            .delete(
                move |State(sessions): State<Sessions>, Path(number): Path<u32>| async move {
                    log(&sessions, "cancelled", number);
                    StatusCode::NO_CONTENT
                },
            ),
        )
        .with_state(seen.clone());
    let address = serve(router).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let layer = folder.path().join("layer");
    std::fs::write(&layer, "layer").expect("a file can be written");
    let descriptor = Descriptor {
        media_type: MediaType::LAYER.to_owned(),
        digest: Digest::of(b"layer"),
        size: 5,
        annotations: BTreeMap::new(),
        platform: None,
    };
    let package = Package {
        digest: Digest::of(MANIFEST.as_bytes()),
        manifest: MANIFEST.into(),
        media_type: MediaType::MANIFEST.to_owned(),
        config: "{}".into(),
        blobs: vec![Blob { descriptor, path: layer, mount_from: None }],
    };
    let patient = ClientConfig {
        stall: Duration::from_secs(60),
        retry: Retry { attempts: 1, ..config().retry },
        ..config()
    };
    let client = Client::new(patient).expect("a client");
    let failed = client.push(&package, &image(&address), &[], &OnBytes::nowhere()).await;
    assert!(failed.expect_err("no room").to_string().contains("no space left on device"));
    let mut seen = seen.lock().expect("no panic").clone();
    seen.sort_unstable();
    assert_eq!(seen, [("begun", 0), ("begun", 1), ("cancelled", 0), ("cancelled", 1)]);
}

#[tokio::test]
async fn readers_are_sent_on_without_the_password() {
    let elsewhere = serve(Router::new().route(
        "/there",
        get(|headers: HeaderMap| async move {
            assert!(headers.get("authorization").is_none());
            manifest()
        }),
    ))
    .await;
    let there = format!("http://{elsewhere}/there");
    let router = Router::new().route(
        "/v2/{*rest}",
        any(move |headers: HeaderMap| async move {
            if headers.get("authorization").is_none() {
                return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic")]).into_response();
            }
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, there)]).into_response()
        }),
    );
    let address = serve(router).await;
    let login = Login { username: "ali".to_owned(), password: "secret".to_owned() };
    let client = Client::new(ClientConfig { logins: [(address.clone(), login)].into(), ..config() })
        .expect("a client");
    client.manifest(&image(&address)).await.expect("followed");
}

#[tokio::test]
async fn silence_and_absence_are_unreachable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("bound").to_string();
    let client = Client::new(config()).expect("a client");
    let error = client.manifest(&image(&address)).await.expect_err("it never answers");
    assert!(matches!(error, RegistryError::Unreachable { tries: 3, .. }), "{error:?}");
    drop(silent);
    let error = client.manifest(&image(&address)).await.expect_err("nobody listens");
    assert!(matches!(error, RegistryError::Unreachable { tries: 3, .. }), "{error:?}");
    assert!(error.hint().expect("a hint").contains(&address));
}

#[tokio::test]
async fn a_wrong_document_is_not_believed() {
    let other = Digest::of(b"something else");
    let router = Router::new().route(
        "/v2/{*rest}",
        any(move || async move { ([("docker-content-digest", other.to_string())], manifest()) }),
    );
    let address = serve(router).await;
    let client = Client::new(config()).expect("a client");
    let error = client.manifest(&image(&address)).await.expect_err("not what it says");
    assert!(
        matches!(error, RegistryError::DigestMismatch { expected, found, .. }
            if expected == other && found == Digest::of(MANIFEST.as_bytes())),
        "{error:?}"
    );
}

#[tokio::test]
async fn names_under_localhost_are_this_machine() {
    let address = serve(Router::new().route("/v2/{*rest}", any(|| async { manifest() }))).await;
    let port = address.rsplit(':').next().expect("a port");
    let client = Client::new(config()).expect("a client");
    // Its futures go to other threads.
    let name = format!("registry.localhost:{port}");
    let task = tokio::spawn(async move { client.manifest(&image(&name)).await });
    task.await.expect("no panic").expect("fetched");
}
