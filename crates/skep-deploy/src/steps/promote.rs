//! push, of a promotion: the very images that run elsewhere, copied to where this target pulls from if that is another place.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use skep_model::{Digest, Event, ImageRef, Outcome, Step};
use skep_registry::OnBytes;

use super::{
    Clock,
    images::{AT_ONCE, ImageDigests, are_there, keeping_tag},
};
use crate::{
    App, Failure, Running,
    error::{InStep, Problem},
};

pub(super) async fn images(app: &App, running: &Running, clock: &mut Clock) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let found = find(app, running).await;
    clock
        .settle(Step::Push, found, |(_, copied)| {
            let images = format!("images of {}", running.release);
            match copied {
                0 => (Outcome::Unchanged, images),
                copied => (Outcome::Done, format!("{images}, {copied} copied from {}", running.registry)),
            }
        })
        .map(|(images, _)| images)
}

/// The images, and how many of them were copied.
async fn find(app: &App, running: &Running) -> Result<(ImageDigests, usize), Failure> {
    let missing: Vec<&str> = app
        .project
        .images
        .keys()
        .filter(|name| !running.images.contains_key(*name))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let what = format!("{} has no image {}", running.release, missing.join(", "));
        let hint = "deploy it there first".to_owned();
        return Err(Failure::at(Step::Push, Problem::Project { what, hint }));
    }
    let ours = |name: &String| app.project.images.contains_key(name);
    let mut images = ImageDigests {
        digests: running.images.clone(),
        commits: running.commits.clone(),
        tag: Some(running.release.clone()),
    };
    images.digests.retain(|name, _| ours(name));
    images.commits.retain(|name, _| ours(name));
    if running.registry == app.registry {
        are_there(app, &images.digests, &running.release).await?;
        return Ok((images, 0));
    }
    let copied = copy(app, running, &images.digests).await?;
    Ok((images, copied))
}

/// Copies what this target's registry lacks, under the same digests; answers how many images that were.
async fn copy(app: &App, running: &Running, images: &BTreeMap<String, Digest>) -> Result<usize, Failure> {
    let copied: Vec<bool> = stream::iter(images)
        .map(|(name, digest)| async move {
            let source: ImageRef = running.repository(name).in_step(Step::Push)?;
            let (source, target) = (source.pinned(*digest), app.repository(name).in_step(Step::Push)?);
            let on_bytes = OnBytes::emitting(&app.emit, name);
            let copied = running.client.copy(&source, &app.images, &target, &on_bytes).await;
            let sent = copied.in_step(Step::Push)?;
            let commit = running.commits.get(name).filter(|commit| !commit.ends_with("-dirty"));
            for tag in commit.cloned().into_iter().chain([keeping_tag(digest)]) {
                app.images.tag(&target.pinned(*digest), &tag).await.in_step(Step::Push)?;
            }
            app.emit.emit(Event::Pushed {
                image: name.clone(),
                digest: *digest,
                bytes: Some(sent.unwrap_or(0)),
            });
            Ok::<_, Failure>(sent.is_some())
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(copied.into_iter().filter(|copied| *copied).count())
}
