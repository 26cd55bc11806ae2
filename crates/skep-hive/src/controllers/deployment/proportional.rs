//! Scaling in the middle of a rollout (`sync.go`): a changed `spec.replicas` is shared out over the ReplicaSets that
//! run, in proportion to their sizes, so that neither version takes all of the risk.

use super::Rollout;
use super::replica_set::{DESIRED_REPLICAS, MAX_REPLICAS, ReplicaSet};
use crate::object;

impl Rollout<'_> {
    /// Whether `spec.replicas` changed since the running ReplicaSets were last sized.
    pub(super) fn is_scaling_event(&self) -> bool {
        self.all()
            .filter(|one| one.replicas > 0)
            .any(|one| one.annotated(DESIRED_REPLICAS).is_some_and(|desired| desired != self.replicas))
    }

    /// Gives the running ReplicaSets the sizes that suit the new `spec.replicas`.
    pub(super) fn scale_in_proportion(&mut self) {
        let running = self.all().filter(|one| one.replicas > 0).count();
        let (replicas, surge) = (self.replicas, self.surge);
        if running <= 1 {
            if let Some(only) = self.active_or_latest() {
                only.resize(replicas, replicas, surge);
            }
            return;
        }
        if self.new.as_ref().is_some_and(|new| is_saturated(new, replicas)) {
            for old in self.old.iter_mut().filter(|old| old.replicas > 0) {
                old.resize(0, replicas, surge);
            }
            return;
        }
        if object::text(self.deployment, "/spec/strategy/type") != "Recreate" {
            self.share_out();
        }
    }

    fn active_or_latest(&mut self) -> Option<&mut ReplicaSet> {
        match self.old.iter().position(|old| old.replicas > 0) {
            Some(index) => self.old.get_mut(index),
            None => self.new.as_mut().or(self.old.last_mut()),
        }
    }

    fn share_out(&mut self) {
        let (replicas, surge) = (self.replicas, self.surge);
        let allowed = if replicas > 0 { replicas + surge } else { 0 };
        let to_add = allowed - self.wanted_pods();
        let before = object::integer(self.deployment, "/status/replicas").unwrap_or(0);
        let mut running: Vec<_> =
            self.old.iter_mut().chain(&mut self.new).filter(|one| one.replicas > 0).collect();
        // Largest first; on ties growth favours the newest and shrinking takes from the oldest.
        running.sort_by(|a, b| {
            let age = object::by_age(&a.object, &b.object);
            b.replicas.cmp(&a.replicas).then(if to_add > 0 { age.reverse() } else { age })
        });
        let mut added = 0;
        let mut sizes: Vec<i64> = running
            .iter()
            .map(|one| {
                let share = share_of(one, replicas, surge, before);
                let left = to_add - added;
                let share =
                    if to_add > 0 { share.clamp(0, left.max(0)) } else { share.clamp(left.min(0), 0) };
                added += share;
                one.replicas + share
            })
            .collect();
        if let Some(largest) = sizes.first_mut() {
            *largest = (*largest + to_add - added).max(0);
        }
        for (one, size) in running.into_iter().zip(sizes) {
            one.resize(size, replicas, surge);
        }
    }
}

/// By how many pods this ReplicaSet would grow or shrink to keep its share.
fn share_of(one: &ReplicaSet, replicas: i64, surge: i64, status_replicas: i64) -> i64 {
    if replicas == 0 {
        return -one.replicas;
    }
    let before = one.annotated(MAX_REPLICAS).unwrap_or(status_replicas);
    if before <= 0 {
        return 0;
    }
    let product = one.replicas * (replicas + surge);
    (2 * product + before) / (2 * before) - one.replicas
}

/// Whether the new ReplicaSet has everything it was asked for, so that the rest can go.
fn is_saturated(new: &ReplicaSet, replicas: i64) -> bool {
    new.replicas == replicas
        && new.annotated(DESIRED_REPLICAS) == Some(replicas)
        && new.status("availableReplicas") == replicas
}
