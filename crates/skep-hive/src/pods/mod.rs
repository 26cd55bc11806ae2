//! The kubelet's part: pods that are bound to this machine are handed to the node, and what becomes of them is written back.
//!
//! One task ([`Kubelet::run`]) owns it. `inputs` gathers what a pod's containers read, `images` brings images here, `status`
//! writes without losing what others wrote, `recovery` tells the truth about pods after hive itself was killed.

mod images;
mod inputs;
mod kubelet;
pub(crate) mod recovery;
mod service_env;
mod status;

pub(crate) use images::{ImageDirs, ImageSource, PullBackoff};
pub(crate) use inputs::containers;
pub(crate) use kubelet::{Kubelet, KubeletParts};
