//! `apiextensions.k8s.io/v1`: known, so that the refusal says why.

use super::BASE;
use crate::kind::KindInfo;

pub(super) static CUSTOM_RESOURCE_DEFINITION: KindInfo = KindInfo {
    group: "apiextensions.k8s.io",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    namespaced: false,
    refused: Some("hive serves no custom resources: nothing here would act on them"),
    ..BASE
};
