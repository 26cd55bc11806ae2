//! Eviction: a pod that is asked to go, as far as the budgets of its app allow it.

use serde_json::{Value, json};

use super::{DeleteOptions, Resources};
use crate::kind::{Key, Kind};
use crate::meta;
use crate::selector;
use crate::status::{Cause, Status};
use crate::store::{Effect, Turn};

impl Resources {
    /// Deletes a pod unless a PodDisruptionBudget has no room for that.
    ///
    /// # Errors
    /// 404 when there is none, 429 while a budget does not allow it.
    pub(crate) async fn evict(&self, key: &Key, options: &DeleteOptions) -> Result<(), Status> {
        {
            let turn = self.store.turn();
            let pod = self.existing(key)?;
            if needs_room(&pod) {
                self.take_room(&turn, &pod, options.dry_run)?;
            }
        }
        self.delete_with(key, options).await.map(|_| ())
    }

    /// Takes one disruption from the budget that is about this pod.
    fn take_room(&self, turn: &Turn<'_>, pod: &Value, dry_run: bool) -> Result<(), Status> {
        let budgets = self.list(Kind::PDB, meta::namespace(pod));
        let about = |budget: &&std::sync::Arc<Value>| {
            selector::selects(&budget["spec"]["selector"], pod.pointer("/metadata/labels"))
        };
        let mut budgets = budgets.iter().filter(about);
        let Some(budget) = budgets.next() else { return Ok(()) };
        if budgets.next().is_some() {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::internal(why));
        }
        let number = |field: &str| meta::number(budget, &format!("/status/{field}")).unwrap_or(0);
        let (healthy, wanted) = (number("currentHealthy"), number("desiredHealthy"));
        let seen = number("observedGeneration") >= meta::number(budget, "/metadata/generation").unwrap_or(0);
        // A pod that is not healthy takes nothing away while enough others are.
        if !is_ready(pod) && seen && wanted > 0 && healthy >= wanted {
            return Ok(());
        }
        if !seen || number("disruptionsAllowed") < 1 {
            return Err(no_room(meta::name(budget), seen, healthy, wanted));
        }
        if !dry_run {
            let mut budget = (**budget).clone();
            budget["status"]["disruptionsAllowed"] = json!(number("disruptionsAllowed") - 1);
            budget["status"]["disruptedPods"][meta::name(pod)] = json!(meta::now());
            let key = self.key(Kind::PDB, meta::namespace(pod), meta::name(&budget));
            // The deletion that follows waits for the disk, and this comes before it.
            _ = self.store.commit(turn, key, Effect::Put(budget), false);
        }
        Ok(())
    }
}

/// A pod that has not begun, has ended or is going already disrupts nothing.
fn needs_room(pod: &Value) -> bool {
    let phase = meta::text(pod, "/status/phase");
    !meta::is_deleting(pod) && !matches!(phase, Some("Pending" | "Succeeded" | "Failed"))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = meta::list(pod, "/status/conditions");
    conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn no_room(budget: &str, seen: bool, healthy: i64, wanted: i64) -> Status {
    let message = if seen {
        format!("The disruption budget {budget} needs {wanted} healthy pods and has {healthy} currently")
    } else {
        format!("The disruption budget {budget} is still being processed by the server.")
    };
    let why = "Cannot evict pod as it would violate the pod's disruption budget.";
    let cause = Cause { reason: "DisruptionBudget", message, field: String::new() };
    Status::new(429, "TooManyRequests", why).with_cause(cause)
}
