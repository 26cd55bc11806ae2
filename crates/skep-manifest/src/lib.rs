//! Kubernetes manifests as values: read, merged, pinned, versioned, ordered, compared. No I/O, no cluster.
//!
//! Objects are JSON from parse to apply, so a field newer than this crate is never dropped. In the order of a deploy:
//! - [`read`] files into [`Object`]s that know their lines, [`merge`] folders, [`settle`] namespaces;
//! - [`substitute`] puts secrets in the place of a Secret's placeholders, [`filled`] in that of any other's, on its way out;
//! - [`image_uses`] lists what the containers run, [`pin`] writes digests in;
//! - [`config_map`] and [`secret`] make versioned objects, [`version`] rewrites who refers to them;
//! - [`migration_job`], [`label`], [`waves`] bring them into the form and order in which they are applied;
//! - [`changes`], [`differences`] and [`is_applied`] compare them with what lives in a cluster, and
//!   [`adoptable_from`] finds what kubectl wrote before, and [`restart_reasons`] says which of that replaces pods.

mod adopt;
mod autoscale;
mod compare;
mod config;
mod error;
mod images;
mod immutable;
mod label;
mod live;
mod merge;
mod migrate;
mod object;
mod order;
mod read;
mod references;
mod restart;
mod scalar;
mod scope;
mod strings;
mod substitute;
mod template;
mod yaml;

pub use adopt::{added_by_kubectl, adoptable_from, adopted_fields, after_adoption, as_written, is_kubectl};
pub use autoscale::{
    Autoscaled, autoscaled, hold_replicas, replicas_are_nobodys, replicas_are_of, without_replicas_of,
};
pub use compare::{Difference, changes, differences, is_applied};
pub use config::{
    Consumer, Salt, Versioned, Versions, config_map, consumers, copied_from, copy_of_version,
    is_version_or_copy, reversion, secret, split_config, version,
};
pub use error::{ManifestError, Problem};
pub use images::{ImageUse, Owner, image_uses, owner, pin};
pub use immutable::immutable_changes;
pub use label::{APP_LABEL, MANAGED_BY, MANAGED_BY_LABEL, label, owner_of};
pub use live::{
    keep_claim_size, keep_job_images, managed_fields, put_strategy, take_strategy, with_owned_strategy,
};
pub use merge::{merge, merge_patch};
pub use migrate::migration_job;
pub use object::{Object, Place, SourceFile};
pub use order::{Staged, Wave, inventory, is_workload, stage_and_apply, waves};
pub use read::{Ignored, Manifests, is_manifest_file, read};
pub use references::{ConfigReference, config_references};
pub use restart::{Reason, changed_keys, restart_reasons};
pub use scope::{is_cluster_scoped, settle};
pub use substitute::{filled, masked, masked_text, rename_values_in, substitute, values_in};
pub use template::{name_service_account_twice, pod_spec, pod_template};
