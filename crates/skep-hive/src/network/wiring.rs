//! Keeps proxies and name server up to date with the objects.

use std::sync::Arc;

use futures::future::{FutureExt as _, join};
use serde_json::Value;
use skep_apiserver::Resources;
use skep_proxy::{BindError, Dns, Ingress, ServiceProxy};
use std::net::IpAddr;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::tables::{Objects, Tables};
use crate::kind::Kind;
use crate::object;
use crate::reconcile::recorder::{self, Note};

/// The cluster's DNS domain.
pub(crate) const DOMAIN: &str = "cluster.local";

/// Both proxies, as far as a pod that comes or goes concerns them.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) services: ServiceProxy,
    pub(crate) ingress: Ingress,
}

impl Traffic {
    /// After this nothing new goes to `ip`.
    pub(crate) async fn release(&self, ip: IpAddr) {
        join(self.services.release(ip), self.ingress.release(ip)).await;
    }

    /// `ip` belongs to a new pod.
    pub(crate) fn admit(&self, ip: IpAddr) {
        self.services.admit(ip);
        self.ingress.admit(ip);
    }

    /// The pod of `ip` is gone: what is left of its connections can only hang.
    pub(crate) fn sever(&self, ip: IpAddr) {
        self.services.sever(ip);
        self.ingress.sever(ip);
    }

    /// Lets requests in flight finish, within the proxies' own limits.
    pub(crate) async fn shutdown(&self) {
        join(self.ingress.shutdown(), self.services.shutdown()).await;
    }
}

/// The task that follows Services, EndpointSlices and Ingresses.
#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) resources: Resources,
    pub(crate) traffic: Traffic,
    pub(crate) dns: Option<Dns>,
    /// Told whenever names changed, for pods that get them by `/etc/hosts`.
    pub(crate) names_changed: watch::Sender<()>,
}

impl Wiring {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut told = Tables::default();
        let kinds = [Kind::SERVICE, Kind::ENDPOINT_SLICE, Kind::INGRESS];
        let [mut services, mut slices, mut ingresses] = kinds.map(|kind| self.resources.watch(kind, None));
        loop {
            self.tell(&mut told).await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(_) = services.next() => {}
                Some(_) = slices.next() => {}
                Some(_) = ingresses.next() => {}
                else => return,
            }
            // Everything that came together becomes one table.
            while services.next().now_or_never().flatten().is_some() {}
            while slices.next().now_or_never().flatten().is_some() {}
            while ingresses.next().now_or_never().flatten().is_some() {}
        }
    }

    async fn tell(&self, told: &mut Tables) {
        let tables = objects(&self.resources).tables(DOMAIN);
        if tables.rules != told.rules {
            self.traffic.ingress.set(tables.rules.clone());
        }
        if tables.routes != told.routes {
            for error in self.traffic.services.set(tables.routes.clone()).await {
                tracing::warn!(%error, "a Service has no listener");
                self.tell_owner(&error).await;
            }
        }
        if tables.names != told.names {
            if let Some(dns) = &self.dns {
                dns.set(tables.names.clone());
            }
            self.names_changed.send_replace(());
        }
        *told = tables;
    }

    /// An event on the Service that can't be reached by its own address: its Ingress works all the same, so nothing else
    /// would say why a client inside the cluster is refused.
    async fn tell_owner(&self, error: &BindError) {
        let at = error.name.rsplit_once(':').and_then(|(service, _)| service.split_once('/'));
        let Some(service) = at.and_then(|(ns, name)| self.resources.get(Kind::SERVICE, Some(ns), name))
        else {
            return;
        };
        let message =
            format!("{error}; pods can't reach it by its name until then, Ingresses reach its pods directly");
        let note = Note {
            about: object::reference(&service),
            reason: "FailedToListen".to_owned(),
            message,
            warning: true,
            component: "service-proxy".to_owned(),
        };
        recorder::record(&self.resources, note).await;
    }
}

/// What routing depends on, as it is now.
pub(crate) fn objects(resources: &Resources) -> Objects {
    let list = |kind| -> Vec<Arc<Value>> { resources.list(kind, None) };
    Objects::new(list(Kind::SERVICE), list(Kind::ENDPOINT_SLICE), list(Kind::INGRESS))
}
