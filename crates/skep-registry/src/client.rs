//! The client: which server an image is on, how it is spoken to, and what its answers mean.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use reqwest::{Method, Response, StatusCode, Url, redirect};
use skep_model::{Digest, ImageRef};

use crate::{
    At, ClientConfig, Login, RegistryError,
    auth::{Challenge, Keyring, Lock, Token, basic, scopes},
    host_name,
    http::{Answer, Call, Names, NoAnswer, is_loopback, message, next_chunk, read, retry_after, send},
    retry::{Failure, retrying},
};

/// Manifests, configs and errors are held in memory; none is larger (the specification asks registries to take 4 MiB).
const DOCUMENT: usize = 16 << 20;
const REDIRECTS: u8 = 5;

/// What is asked for: tokens are given for one or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// Talks to registries. Cheap to clone; clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    keyring: Keyring,
    /// Logins of the Docker config file, by registry, once they were looked up.
    found: tokio::sync::Mutex<BTreeMap<String, Option<Login>>>,
    /// For plain HTTP. It has no root certificates, whose loading costs more than a push to this machine.
    plain: reqwest::Client,
    tls: OnceLock<reqwest::Client>,
}

impl Client {
    /// A client. It makes no call yet.
    ///
    /// # Errors
    /// [`RegistryError::Tls`] when no HTTP client can be made.
    pub fn new(config: ClientConfig) -> Result<Self, RegistryError> {
        let plain = settings(&config).tls_certs_only([]).build().map_err(|error| RegistryError::Tls {
            registry: "on this machine".to_owned(),
            source: Box::new(error),
        })?;
        Ok(Self(Arc::new(Inner {
            config,
            keyring: Keyring::default(),
            found: Default::default(),
            plain,
            tls: OnceLock::new(),
        })))
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.0.config
    }

    /// The address of something in `image`'s repository: `manifests/latest`, `blobs/uploads/`.
    pub(crate) fn url(&self, image: &ImageRef, rest: &str) -> Result<Url, RegistryError> {
        let scheme = if self.is_plain(&image.registry) { "http" } else { "https" };
        let host = host_name(&image.registry);
        let text = format!("{scheme}://{host}/v2/{}/{rest}", image.repository);
        Url::parse(&text).map_err(|error| RegistryError::Malformed {
            at: self.at(image, "name"),
            expected: "a host, a port and a repository that make a URL",
            source: Some(Box::new(error)),
        })
    }

    pub(crate) fn at(&self, image: &ImageRef, action: &'static str) -> Box<At> {
        Box::new(At { registry: image.registry.clone(), subject: image.to_string(), action })
    }

    pub(crate) fn at_blob(&self, image: &ImageRef, digest: &Digest, action: &'static str) -> Box<At> {
        Box::new(At {
            registry: image.registry.clone(),
            subject: format!("blob {digest} of {}/{}", image.registry, image.repository),
            action,
        })
    }

    /// Makes `call` until it is answered, and reads the answer.
    pub(crate) async fn call(&self, image: &ImageRef, call: Call, at: &At) -> Result<Answer, RegistryError> {
        retrying(&self.config().retry, || self.call_once(image, &call, at)).await
    }

    /// Makes `call` once, and reads the answer.
    pub(crate) async fn call_once(&self, image: &ImageRef, call: &Call, at: &At) -> Result<Answer, Failure> {
        let response = self.open(image, call, at).await?;
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        let body = self.read_document(response).await.map_err(|error| unreachable(at, error))?;
        Ok(Answer { status, headers, url, body })
    }

    async fn read_document(&self, response: Response) -> Result<bytes::Bytes, NoAnswer> {
        read(response, DOCUMENT, self.config().stall).await
    }

    /// The next piece of an opened body.
    pub(crate) async fn next_chunk(
        &self,
        response: &mut Response,
        at: &At,
    ) -> Result<Option<bytes::Bytes>, Failure> {
        next_chunk(response, self.config().stall).await.map_err(|error| unreachable(at, error).into())
    }

    /// Makes `call` once. A good answer's body is still to be read; any other is an error.
    pub(crate) async fn open(&self, image: &ImageRef, call: &Call, at: &At) -> Result<Response, Failure> {
        let lock = Lock {
            registry: image.registry.clone(),
            repository: image.repository.clone(),
            access: call.access,
        };
        let known = self.0.keyring.find(&lock);
        let mut response = self.follow(image, call, known.as_deref(), at).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(header) = self.log_in(&lock, &response, at).await?
        {
            response = self.follow(image, call, Some(&header), at).await?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let wait = retry_after(response.headers());
        let status = response.status();
        // The status is what counts; a body that breaks off says nothing.
        let body = self.read_document(response).await.unwrap_or_default();
        let error = self.refusal(image, status, message(&body), at);
        Err(Failure { error: Box::new(error), wait, again: false })
    }

    fn refusal(
        &self,
        image: &ImageRef,
        status: StatusCode,
        message: Option<String>,
        at: &At,
    ) -> RegistryError {
        let at = Box::new(at.clone());
        match status {
            StatusCode::NOT_FOUND => RegistryError::NotFound { at, message },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Denied {
                at,
                account: self.account(&image.registry),
                status: status.as_u16(),
                message,
            },
            _ => RegistryError::Unexpected { at, status: status.as_u16(), message },
        }
    }

    /// Sends `call` and goes where the answer says, for reads: registries send readers of blobs on to their storage.
    async fn follow(
        &self,
        image: &ImageRef,
        call: &Call,
        authorization: Option<&str>,
        at: &At,
    ) -> Result<Response, RegistryError> {
        let home = self.url(image, "")?;
        let mut url = call.url.clone();
        for _ in 0..=REDIRECTS {
            // Another host's business is not our password.
            let at_home = (url.scheme(), url.host_str(), url.port_or_known_default())
                == (home.scheme(), home.host_str(), home.port_or_known_default());
            let authorization = authorization.filter(|_| at_home);
            let client = self.http(&url, at)?;
            let response = send(client, call, &url, authorization, self.config().stall)
                .await
                .map_err(|(path, source)| RegistryError::File { action: "read", path, source })?
                .map_err(|error| unreachable(at, error))?;
            let reads = matches!(call.method, Method::GET | Method::HEAD);
            let next = response
                .headers()
                .get(reqwest::header::LOCATION)
                .filter(|_| reads && response.status().is_redirection())
                .and_then(|value| value.to_str().ok())
                .and_then(|text| url.join(text).ok());
            match next {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        Err(unreachable(at, NoAnswer::Redirects(REDIRECTS)))
    }

    fn http(&self, url: &Url, at: &At) -> Result<&reqwest::Client, RegistryError> {
        if url.scheme() == "http" {
            return Ok(&self.0.plain);
        }
        if let Some(client) = self.0.tls.get() {
            return Ok(client);
        }
        let client = settings(self.config())
            .build()
            .map_err(|error| RegistryError::Tls { registry: at.registry.clone(), source: Box::new(error) })?;
        Ok(self.0.tls.get_or_init(|| client))
    }

    /// Who to be at a registry: as was configured, else as the Docker config file says.
    ///
    /// # Errors
    /// [`RegistryError::Login`] when a credential helper fails.
    pub async fn login(&self, registry: &str) -> Result<Option<Login>, RegistryError> {
        if let Some(login) = self.config().logins.get(registry) {
            return Ok(Some(login.clone()));
        }
        let mut found = self.0.found.lock().await;
        if let Some(login) = found.get(registry) {
            return Ok(login.clone());
        }
        let login = self.config().docker.login(registry).await?;
        found.insert(registry.to_owned(), login.clone());
        Ok(login)
    }

    /// The login that was used, if it was looked up by now.
    fn account(&self, registry: &str) -> Option<String> {
        let configured = self.config().logins.get(registry).map(|login| login.username.clone());
        configured.or_else(|| Some(self.0.found.try_lock().ok()?.get(registry)?.as_ref()?.username.clone()))
    }

    /// Whether a registry is spoken to over plain HTTP: on this machine, or because it was said.
    pub fn is_plain(&self, registry: &str) -> bool {
        is_loopback(registry) || self.config().plain_http.contains(registry)
    }

    /// The Docker config file's contents with the configured logins over it, for another tool that pulls and pushes.
    pub fn docker_config(&self) -> serde_json::Value {
        self.config().docker.with(&self.config().logins)
    }

    /// Answers a 401's challenge. `None` when there is no way to.
    async fn log_in(
        &self,
        lock: &Lock,
        refused: &Response,
        at: &At,
    ) -> Result<Option<String>, RegistryError> {
        let login = self.login(&lock.registry).await?;
        let login = login.as_ref();
        let challenges: Vec<Challenge> = refused
            .headers()
            .get_all(reqwest::header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| Challenge::parse(value.to_str().ok()?))
            .collect();
        for challenge in challenges {
            match (challenge, login) {
                (Challenge::Basic, Some(login)) => {
                    let header = basic(login);
                    self.0.keyring.keep(lock.clone(), header.clone(), None);
                    return Ok(Some(header));
                }
                (Challenge::Basic, None) => {}
                (Challenge::Bearer { realm, service, scope }, login) => {
                    let url =
                        token_url(refused.url(), &realm, service.as_deref(), &scopes(lock, scope.as_deref()))
                            .ok_or_else(|| RegistryError::Malformed {
                                at: Box::new(at.clone()),
                                expected: "a token service's address, over https if the registry's own is",
                                source: None,
                            })?;
                    let (header, good_for) = self.token(url, login.map(basic), lock, at).await?;
                    self.0.keyring.keep(lock.clone(), header.clone(), Some(good_for));
                    return Ok(Some(header));
                }
            }
        }
        Ok(None)
    }

    async fn token(
        &self,
        url: Url,
        authorization: Option<String>,
        lock: &Lock,
        at: &At,
    ) -> Result<(String, std::time::Duration), RegistryError> {
        let at = At { action: "log in for", ..at.clone() };
        let call = Call::new(Method::GET, url, lock.access);
        let client = self.http(&call.url, &at)?;
        let response = send(client, &call, &call.url, authorization.as_deref(), self.config().stall)
            .await
            .map_err(|(path, source)| RegistryError::File { action: "read", path, source })?
            .map_err(|error| unreachable(&at, error))?;
        let status = response.status();
        let body = self.read_document(response).await.map_err(|error| unreachable(&at, error))?;
        if !status.is_success() {
            return Err(match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Denied {
                    at: Box::new(at),
                    account: self.account(&lock.registry),
                    status: status.as_u16(),
                    message: message(&body),
                },
                _ => RegistryError::Unexpected {
                    at: Box::new(at),
                    status: status.as_u16(),
                    message: message(&body),
                },
            });
        }
        let malformed =
            |source| RegistryError::Malformed { at: Box::new(at.clone()), expected: "a token", source };
        let token: Token =
            serde_json::from_slice(&body).map_err(|error| malformed(Some(Box::new(error) as _)))?;
        token.header().ok_or_else(|| malformed(None))
    }
}

fn settings(config: &ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(&config.user_agent)
        .connect_timeout(std::time::Duration::from_secs(10))
        .redirect(redirect::Policy::none())
        .dns_resolver(Arc::new(Names))
        .pool_idle_timeout(std::time::Duration::from_secs(30))
}

fn unreachable(at: &At, source: NoAnswer) -> RegistryError {
    RegistryError::Unreachable { at: Box::new(at.clone()), tries: 1, source: Box::new(source) }
}

/// Where to ask for a token. A password is not sent in the clear on the word of a registry that is itself encrypted.
fn token_url(asked: &Url, realm: &str, service: Option<&str>, scopes: &[String]) -> Option<Url> {
    let mut url = asked.join(realm).ok()?;
    if !matches!(url.scheme(), "http" | "https") || (asked.scheme() == "https" && url.scheme() != "https") {
        return None;
    }
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    for scope in scopes {
        query.append_pair("scope", scope);
    }
    drop(query);
    Some(url)
}
