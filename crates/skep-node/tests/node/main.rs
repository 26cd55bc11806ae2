//! Real pods in real namespaces.

mod lifecycle;
mod support;
