//! Whether the registry is there and takes what will be pushed, and has what others' images are taken from.

use futures::future::join_all;
use skep_manifest::Owner;
use skep_model::{ImageRef, Platform};

use super::{Finding, Severity};
use crate::{App, steps::load::Manifests};

pub(super) async fn findings(app: &App, manifests: &Manifests) -> Vec<Finding> {
    let pushes = app.project.images.keys().map(|image| async move {
        let target = app.repository(image).ok()?;
        let error = app.images.may_push(&target).await.err()?;
        let hint = error.hint().unwrap_or_default();
        Some(Finding::new(Severity::Error, format!("images/{image}"), error.to_string(), hint))
    });
    let ours = app.our_images().unwrap_or_default();
    let platform = app.project.platforms.first().cloned().unwrap_or_else(Platform::host);
    let mut others: Vec<(String, String)> = manifests
        .image_uses()
        .into_iter()
        .filter(|used| skep_manifest::owner(&used.text, &ours) == Owner::ThirdParty)
        .map(|used| (used.text, used.place.to_string()))
        .collect();
    others.sort();
    others.dedup_by(|one, other| one.0 == other.0);
    let pulls = others.iter().map(|(text, place)| {
        let platform = &platform;
        async move {
            let image: ImageRef = text.parse().ok()?;
            let error = app.images.resolve(&image, platform).await.err()?;
            let hint = error.hint().unwrap_or_default();
            Some(Finding::new(Severity::Error, place, error.to_string(), hint))
        }
    });
    // One refusal of a registry is enough.
    let mut pushes: Vec<Finding> = join_all(pushes).await.into_iter().flatten().collect();
    pushes.truncate(1);
    pushes.extend(join_all(pulls).await.into_iter().flatten());
    pushes
}
