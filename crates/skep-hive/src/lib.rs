//! The one-machine cluster: controllers, and the wiring of API, node, proxy and registry.

mod action;
mod controllers;
mod kind;
mod object;
mod selector;
