//! The `autoscaling/v1` Scale: a workload's replica count as an object of its own.
