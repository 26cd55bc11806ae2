//! The HTTP client below: as kube's own, but with HTTP/2, so that a plan's many requests share one connection instead of making sixteen
//! TLS handshakes; and with pings, so that a watch whose network has gone is found dead.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt as _, retry::RetryPolicy},
};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt as _, retry::RetryLayer, util::MapRequestLayer};

use crate::token::Token;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a connection that says nothing is asked whether it lives, and how long it may take to say so.
const PING: Duration = Duration::from_secs(10);

/// A client for whatever answers as an API does. Behind this everything is as with a connection.
pub(crate) fn over<S, B>(service: S, default_namespace: &str) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service.map_err(Into::<BoxError>::into);
    let service = ServiceBuilder::new().layer(RetryLayer::new(RetryPolicy::server_retry())).service(service);
    Client::new(service, default_namespace)
}

/// A client for this configuration. Behind a proxy it is kube's own.
pub(crate) fn client(mut config: Config, token: Option<Token>) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = None;
    let token = token.map(|token| MapRequestLayer::new(move |request| token.authorize(request)));
    if config.proxy_url.is_some() {
        let builder = ClientBuilder::try_from(config)?;
        return Ok(match token {
            Some(token) => builder.with_layer(&token).build(),
            None => builder.build(),
        });
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    let mut https =
        HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = config.tls_server_name.clone().and_then(|name| name.try_into().ok()) {
        https = https.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let http = Http::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .build(https.enable_all_versions().wrap_connector(connector));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .option_layer(config.auth_layer()?)
        .option_layer(token)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}
