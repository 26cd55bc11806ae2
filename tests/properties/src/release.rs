use std::{
    cell::OnceCell,
    future::Future,
    io::Write as _,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{Method, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use skep_cluster::{Body, Cluster, Releases};
use skep_model::AppName;
use tower::BoxError;

/// A release record is read or refused, whether its JSON, its compressed bytes or its Secret is not what Skep writes; and one that is read
/// is the same after it was written.
///
/// The first byte says what the others are: `j` the JSON of a record, `z` what is compressed of it, `s` a list of Secrets.
pub fn release(data: &[u8]) {
    let Some((form, data)) = data.split_first() else { return };
    let secrets = match form {
        b'j' => vec![secret(&compressed(data))],
        b'z' => vec![secret(data)],
        b's' => match serde_json::from_slice(data) {
            Ok(Value::Array(secrets)) => secrets,
            _ => return,
        },
        _ => return,
    };
    block_on(written_again(secrets));
}

async fn written_again(secrets: Vec<Value>) {
    let app: AppName = "shop".parse().expect("a name");
    let store: Store = Arc::new(Mutex::new(secrets));
    let service = {
        let store = Arc::clone(&store);
        tower::service_fn(move |request| answer(Arc::clone(&store), request))
    };
    let releases = Releases::new(Cluster::over(service, "https://test"), "shop", app);
    let Ok(read) = releases.all().await else { return };
    for release in read {
        if let Ok(mut secrets) = store.lock() {
            secrets.clear();
        }
        releases.open(&release).await.expect("what was read can be written");
        let again = releases.all().await.expect("what was written can be read");
        assert!(again.unreadable().is_empty(), "{again:?}");
        assert_eq!(*again, [release]);
    }
}

fn compressed(json: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json).and_then(|()| gzip.finish()).expect("memory takes every write")
}

fn secret(packed: &[u8]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "skep.shop.v1", "namespace": "shop"},
        "data": {"release": STANDARD.encode(packed)},
    })
}

/// The Secrets of an API.
type Store = Arc<Mutex<Vec<Value>>>;

/// Answers as an API does that lists Secrets and takes new ones.
async fn answer(store: Store, request: Request<Body>) -> Result<Response<Full<Bytes>>, BoxError> {
    let (parts, body) = request.into_parts();
    let sent = body.collect_bytes().await?;
    let mut secrets = store.lock().map_err(|_| "another thread panicked")?;
    let (status, answer) = if parts.method == Method::POST {
        let secret: Value = serde_json::from_slice(&sent)?;
        secrets.push(secret.clone());
        (201, secret)
    } else {
        let wanted = parts.uri.query().is_some_and(|query| query.contains("release-part"));
        let is_part = |secret: &Value| secret["metadata"]["labels"]["skep.dev/record"] == "release-part";
        let items: Vec<&Value> = secrets.iter().filter(|secret| is_part(secret) == wanted).collect();
        let metadata = json!({"resourceVersion": "1"});
        (200, json!({"apiVersion": "v1", "kind": "SecretList", "metadata": metadata, "items": items}))
    };
    Ok(Response::builder().status(status).body(Full::new(answer.to_string().into()))?)
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: OnceCell<tokio::runtime::Runtime> = const { OnceCell::new() };
    }
    RUNTIME.with(|runtime| {
        let start = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().expect("a runtime can be started")
        };
        runtime.get_or_init(start).block_on(future)
    })
}
