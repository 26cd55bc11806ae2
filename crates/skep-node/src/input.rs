//! What the node is given per pod, and what it says back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodStatus, Secret};

/// Everything that a pod's containers may read, by value. Send it again whenever a part of it changed.
#[derive(Debug, Clone, Default)]
pub struct PodInput {
    /// The pod; `metadata.uid`, `namespace` and `name` must be set.
    pub pod: Arc<Pod>,
    /// ConfigMaps of the pod's namespace that it names, by name. An absent one is a missing one.
    pub config_maps: BTreeMap<String, ConfigMap>,
    /// Secrets of the pod's namespace that it names, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// The state of each image, by the text of the container's `image`. An absent one counts as still pulling.
    pub images: BTreeMap<String, ImageState>,
    /// Directories behind the PersistentVolumeClaims that the pod names, by claim.
    pub claims: BTreeMap<String, PathBuf>,
    /// Variables that describe Services (`KUBERNETES_SERVICE_HOST`, …); the container's own `env` wins.
    pub service_env: BTreeMap<String, String>,
    /// Lines for `/etc/hosts` beside the pod's own: how names resolve where pods share the host's network.
    pub hosts: Vec<(IpAddr, Vec<String>)>,
    /// Tokens for `projected.serviceAccountToken` volumes; such a file is left out when this is `None`.
    pub service_account_token: Option<String>,
}

/// Where an image is on its way to this machine.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageState {
    /// Being fetched: the container waits with `ContainerCreating`.
    Pulling,
    /// Here.
    Ready(LocalImage),
    /// Not to be had (for now); becomes the container's waiting reason and message.
    Failed {
        /// `ErrImagePull`, `ImagePullBackOff`, `ErrImageNeverPull`, `InvalidImageName`.
        reason: String,
        /// What the registry or the network said.
        message: String,
    },
}

/// An image whose blobs are files on this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalImage {
    /// The manifest's digest (`sha256:…`), reported as `imageID`.
    pub digest: String,
    /// The OCI (or Docker) image configuration.
    pub config: serde_json::Value,
    /// The layers, lowest first.
    pub layers: Vec<LayerBlob>,
}

/// One layer's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// The digest of the file's bytes (`sha256:…`); a layer is unpacked once per digest.
    pub digest: String,
    /// `application/vnd.oci.image.layer.v1.tar`, `…tar+gzip`, `…tar+zstd` or Docker's equivalents.
    pub media_type: String,
    /// The blob.
    pub path: PathBuf,
}

/// What became of a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum PodUpdate {
    /// The pod's status differs from the last one sent.
    Status {
        /// `metadata.uid`.
        uid: String,
        /// `metadata.namespace`.
        namespace: String,
        /// `metadata.name`.
        name: String,
        /// The whole status.
        status: Box<PodStatus>,
    },
    /// The pod was terminated: no process, mount, address, directory or log of it is left.
    Gone {
        /// `metadata.uid`.
        uid: String,
        /// `metadata.namespace`.
        namespace: String,
        /// `metadata.name`.
        name: String,
        /// The final status, every container terminated.
        status: Box<PodStatus>,
    },
    /// Something worth an Event object.
    Event {
        /// `metadata.uid`.
        uid: String,
        /// `metadata.namespace`.
        namespace: String,
        /// `metadata.name`.
        name: String,
        /// The kubelet's reasons: `Pulled`, `Created`, `Started`, `Killing`, `BackOff`, `Unhealthy`, `Failed`, ….
        reason: String,
        /// In the kubelet's words.
        message: String,
        /// `Warning` rather than `Normal`.
        warning: bool,
        /// `spec.containers{api}`, as an Event's `involvedObject.fieldPath`, where one container is meant.
        field_path: Option<String>,
    },
}
