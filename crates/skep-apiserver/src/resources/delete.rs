//! DELETE: at once, or by steps when a finalizer or a pod's grace asks for them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{DeleteOptions, Propagation, Resources, lifecycle, not_stored};
use crate::kind::{Key, Kind};
use crate::meta;
use crate::status::Status;
use crate::store::{Effect, Synced};

/// What becomes of an object that is to be deleted.
enum Step {
    /// It goes now.
    Remove,
    /// It stays for a while, marked.
    Mark(Value),
    /// It is marked already, and nothing changes.
    Nothing,
}

impl Resources {
    /// Deletes. True when the object is gone, false when it stays for a while.
    pub(crate) async fn delete_with(
        &self,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<(Arc<Value>, bool), Status> {
        let (object, gone, synced) = self.delete_now(key, options)?;
        synced.wait().await.map_err(not_stored)?;
        Ok((object, gone))
    }

    fn delete_now(&self, key: &Key, options: &DeleteOptions) -> Result<(Arc<Value>, bool, Synced), Status> {
        let turn = self.store.turn();
        let live = self.existing(key)?;
        if key.kind == Kind::NAMESPACE && ["default", "kube-system"].contains(&key.name.as_str()) {
            return Err(Status::forbidden("namespaces", &key.name, "this namespace may not be deleted"));
        }
        let wanted = &options.preconditions;
        lifecycle::check_preconditions(
            key,
            &live,
            wanted.uid.as_deref(),
            wanted.resource_version.as_deref(),
        )?;
        match step(key.kind, &live, options) {
            Step::Nothing => Ok((live, false, Synced::already())),
            Step::Remove if options.dry_run => Ok((live, true, Synced::already())),
            Step::Mark(_) if options.dry_run => Ok((live, false, Synced::already())),
            Step::Remove => {
                let (object, synced) =
                    self.store.commit(&turn, key.clone(), Effect::Remove((*live).clone()), true);
                Ok((object, true, synced))
            }
            Step::Mark(object) => {
                let (object, synced) = self.store.commit(&turn, key.clone(), Effect::Put(object), true);
                Ok((object, false, synced))
            }
        }
    }

    /// Ends the deletion of a namespace: what was in it is gone.
    ///
    /// # Errors
    /// 404 when there is none, 409 when its deletion has not begun.
    pub async fn finalize_namespace(&self, name: &str) -> Result<Arc<Value>, Status> {
        let (object, synced) = {
            let turn = self.store.turn();
            let key = self.key(Kind::NAMESPACE, None, name);
            let live = self.existing(&key)?;
            if !meta::is_deleting(&live) {
                return Err(Status::conflict("namespaces", name, "its deletion has not begun"));
            }
            let mut object = (*live).clone();
            meta::fields(meta::child(&mut object, "spec")).remove("finalizers");
            let effect =
                if meta::has_finalizers(&object) { Effect::Put(object) } else { Effect::Remove(object) };
            self.store.commit(&turn, key, effect, true)
        };
        synced.wait().await.map_err(not_stored)?;
        Ok(object)
    }
}

fn step(kind: Kind, live: &Value, options: &DeleteOptions) -> Step {
    let grace = if kind == Kind::POD { pod_grace(live, options.grace_seconds) } else { 0 };
    let mut object = live.clone();
    match options.propagation {
        Some(Propagation::Foreground) => add_finalizer(&mut object, "foregroundDeletion"),
        Some(Propagation::Orphan) => add_finalizer(&mut object, "orphan"),
        Some(Propagation::Background) | None => {}
    }
    let kept = meta::has_finalizers(&object) || kind == Kind::NAMESPACE;
    if meta::is_deleting(live) {
        let before = meta::number(live, "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
        if grace == 0 && !kept {
            return Step::Remove;
        }
        if grace < before {
            mark(kind, &mut object, grace);
        } else if object == *live {
            return Step::Nothing;
        }
        return Step::Mark(object);
    }
    if grace == 0 && !kept {
        return Step::Remove;
    }
    mark(kind, &mut object, grace);
    Step::Mark(object)
}

fn mark(kind: Kind, object: &mut Value, grace: i64) {
    let deadline = skep_ambient::now() + Duration::from_secs(grace.unsigned_abs());
    meta::set(object, "deletionTimestamp", Some(Value::from(meta::seconds(deadline))));
    meta::set(object, "deletionGracePeriodSeconds", Some(Value::from(grace)));
    if let Some(generation) = meta::number(object, "/metadata/generation") {
        meta::set(object, "generation", Some(Value::from(generation + 1)));
    }
    if kind == Kind::NAMESPACE {
        meta::child(object, "status")["phase"] = Value::from("Terminating");
    }
}

/// Seconds that a pod has to stop. None is needed by one that never got to a node, or that has ended.
fn pod_grace(pod: &Value, asked: Option<u64>) -> i64 {
    let unscheduled = meta::text(pod, "/spec/nodeName").unwrap_or_default().is_empty();
    let ended = matches!(meta::text(pod, "/status/phase"), Some("Succeeded" | "Failed"));
    if unscheduled || ended {
        return 0;
    }
    let own = || meta::number(pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    asked.map_or_else(own, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX)).clamp(0, 1 << 32)
}

fn add_finalizer(object: &mut Value, finalizer: &str) {
    let finalizers = meta::metadata(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = finalizers.as_array_mut()
        && !list.iter().any(|present| present == finalizer)
    {
        list.push(Value::from(finalizer));
    }
}
