//! Real pods in real namespaces.

mod isolation;
mod lifecycle;
mod network;
mod support;
mod survival;
