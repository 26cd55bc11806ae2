//! `storage.k8s.io/v1`.

use k8s_openapi::api::storage::v1 as types;

use super::{BASE, LAX};
use crate::decode::decode;
use crate::defaults;
use crate::kind::{KindInfo, Rules};

pub(super) static STORAGE_CLASS: KindInfo = KindInfo {
    group: "storage.k8s.io",
    kind: "StorageClass",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    namespaced: false,
    rules: Rules { decode: decode::<types::StorageClass>, default: defaults::storage_class, ..LAX },
    ..BASE
};
