//! The controllers: each a pure function from what is there to what should be written next.
//!
//! None of them knows a client, a clock or another controller. [`crate::reconcile`] feeds them and carries out their
//! actions; start reading at [`deployment::step`].

mod claim;
pub(crate) mod cronjob;
pub(crate) mod daemonset;
pub(crate) mod deployment;
pub(crate) mod disruption;
pub(crate) mod endpoints;
pub(crate) mod garbage;
mod history;
pub(crate) mod hpa;
pub(crate) mod job;
pub(crate) mod namespace;
pub(crate) mod quota;
pub(crate) mod replicaset;
pub(crate) mod scheduler;
pub(crate) mod statefulset;
pub(crate) mod volume;

#[cfg(test)]
mod simulation;
