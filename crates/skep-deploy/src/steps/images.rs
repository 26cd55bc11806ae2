//! build and push: every image of the app → the digest that the registry answers.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use skep_image::{BuildRequest, BuiltImage, Runs};
use skep_manifest::Owner;
use skep_model::{Digest, Event, ImageRef, Outcome, Platform, Release, ReleaseStatus, Step};
use skep_registry::OnBytes;

use super::{Clock, load::Manifests};
use crate::{
    App, DeployRequest, Failure, Images,
    error::{InStep, Problem},
};

/// How many images are built or pushed at once.
const AT_ONCE: usize = 8;

/// Our images, as digests in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ImageDigests {
    pub(crate) digests: BTreeMap<String, Digest>,
    /// The tag they were found by, for `--tag`.
    pub(crate) tag: Option<String>,
}

pub(crate) async fn ready(
    app: &App,
    request: &DeployRequest,
    manifests: &Manifests,
    clock: &mut Clock,
) -> Result<ImageDigests, Failure> {
    if request.config_only {
        return of_last_release(app, clock).await;
    }
    match &request.images {
        Images::Build => {
            let wanted = wanted(app, request, manifests).in_step(Step::Build)?;
            let built = build(app, &wanted, clock).await?;
            push(app, &built, clock).await
        }
        Images::AsTheyAre => as_they_are(app, clock).await,
        Images::Tagged(tag) => all_tagged(app, tag, clock).await,
    }
}

/// The images that the requested services run; all when none was named.
fn wanted(
    app: &App,
    request: &DeployRequest,
    manifests: &Manifests,
) -> Result<BTreeSet<String>, skep_model::ImageRefError> {
    if request.services.is_empty() {
        return Ok(app.project.images.keys().cloned().collect());
    }
    let names = app.our_images()?;
    let asked =
        manifests.image_uses().into_iter().filter(|used| request.services.contains(&used.object.name));
    let ours = asked.filter_map(|used| match skep_manifest::owner(&used.text, &names) {
        Owner::Ours(name) => Some(name),
        Owner::ThirdParty | Owner::Unclear => None,
    });
    Ok(ours.collect())
}

async fn build(app: &App, wanted: &BTreeSet<String>, clock: &mut Clock) -> Result<Vec<BuiltImage>, Failure> {
    clock.start(Step::Build);
    let built = build_all(app, wanted).await;
    clock.settle(Step::Build, built, |built| {
        let changed = built.iter().filter(|image| image.changed).count();
        let outcome = if changed == 0 { Outcome::Unchanged } else { Outcome::Done };
        let names = if built.len() == 1 { "1 image".to_owned() } else { format!("{} images", built.len()) };
        (
            outcome,
            if changed == 0 { format!("{names}, unchanged") } else { format!("{names}, {changed} changed") },
        )
    })
}

async fn build_all(app: &App, wanted: &BTreeSet<String>) -> Result<Vec<BuiltImage>, Failure> {
    let runs = Runs::default();
    let platform = app.project.platforms.first().cloned().unwrap_or_else(Platform::host);
    if let Some(second) = app.project.platforms.get(1) {
        let what = format!(
            "`platforms` names {platform} and {second}, and native images are built for one platform at a time"
        );
        return Err(Failure::at(
            Step::Build,
            Problem::Project { what, hint: "keep the platform of the target's nodes".to_owned() },
        ));
    }
    let images = app.project.images.iter().filter(|(name, _)| wanted.contains(*name));
    let mut built: Vec<BuiltImage> = stream::iter(images)
        .map(|(name, image)| {
            let request = BuildRequest {
                name,
                image,
                platform: &platform,
                compression: app.compression,
                cache_dir: &app.cache,
                epoch: 0,
                client: &app.images,
                runs: &runs,
            };
            async move { skep_image::build(request, &app.emit).await.in_step(Step::Build) }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    built.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(built)
}

async fn push(app: &App, built: &[BuiltImage], clock: &mut Clock) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let commit = app.author.clean_commit();
    let pushed: Result<Vec<(String, Digest, u64)>, Failure> = stream::iter(built)
        .map(|image| async move {
            let target = app.repository(&image.name).in_step(Step::Push)?;
            let on_bytes = OnBytes::emitting(&app.emit, &image.name);
            let tags: Vec<String> =
                commit.map(str::to_owned).into_iter().chain([keeping_tag(&image.digest)]).collect();
            let pushed = app
                .images
                .push(&image.package_for(&target), &target, &tags, &on_bytes)
                .await
                .in_step(Step::Push)?;
            app.emit.emit(Event::Pushed {
                image: image.name.clone(),
                digest: pushed.digest,
                bytes: pushed.bytes_sent,
            });
            Ok((image.name.clone(), pushed.digest, pushed.bytes_sent))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await;
    let pushed = clock.settle(Step::Push, pushed, |pushed| {
        match pushed.iter().filter(|(.., bytes)| *bytes > 0).count() {
            0 => (Outcome::Unchanged, "the registry has everything".to_owned()),
            1 => (Outcome::Done, "1 image sent".to_owned()),
            sent => (Outcome::Done, format!("{sent} images sent")),
        }
    })?;
    Ok(ImageDigests {
        digests: pushed.into_iter().map(|(name, digest, _)| (name, digest)).collect(),
        tag: None,
    })
}

/// A tag of the image's own, so that a registry that cleans up untagged manifests leaves it alone while a release needs it.
pub(crate) fn keeping_tag(digest: &Digest) -> String {
    format!("skep-{}", digest.short(16))
}

/// `--skip-build`: this commit's images if the registry has them all, else those of the last release.
async fn as_they_are(app: &App, clock: &mut Clock) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let found = find_as_they_are(app).await;
    clock
        .settle(Step::Push, found, |(_, which)| (Outcome::Unchanged, which.clone()))
        .map(|(images, _)| images)
}

async fn find_as_they_are(app: &App) -> Result<(ImageDigests, String), Failure> {
    if let Some(commit) = app.author.clean_commit() {
        let (digests, missing) = look_up(app, app.project.images.keys(), commit).await?;
        if missing.is_empty() {
            let found = ImageDigests { digests, tag: Some(commit.to_owned()) };
            return Ok((found, format!("images of commit {commit}")));
        }
    }
    last_images(app).await?.ok_or_else(|| {
        let what =
            "there is no image to deploy: neither this commit nor an earlier release has one".to_owned();
        Failure::at(Step::Push, Problem::Project { what, hint: "deploy without `--skip-build`".to_owned() })
    })
}

/// A release of config alone runs what runs.
async fn of_last_release(app: &App, clock: &mut Clock) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let found = last_images(app).await.and_then(|found| {
        found.ok_or_else(|| {
            let what = "config can't be shipped alone: nothing is deployed yet".to_owned();
            let hint = "`skep deploy` ships everything once".to_owned();
            Failure::at(Step::Push, Problem::Project { what, hint })
        })
    });
    let settled = clock.settle(Step::Push, found, |(_, which)| (Outcome::Unchanged, which.clone()));
    settled.map(|(images, _)| images)
}

/// The images of the last good release, and which that is.
async fn last_images(app: &App) -> Result<Option<(ImageDigests, String)>, Failure> {
    let releases = app.releases().all().await.in_step(Step::Push)?;
    let good = |release: &&Release| release.status == ReleaseStatus::Deployed;
    Ok(releases.iter().rev().find(good).map(|last| {
        let images = ImageDigests { digests: last.images.clone(), tag: None };
        (images, format!("images of release v{}", last.number))
    }))
}

/// `--tag`: every image must carry it.
async fn all_tagged(app: &App, tag: &str, clock: &mut Clock) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let found = tagged(app, app.project.images.keys(), tag).await;
    let found = found.map(|digests| ImageDigests { digests, tag: Some(tag.to_owned()) });
    clock.settle(Step::Push, found, |_| (Outcome::Unchanged, format!("images tagged {tag}")))
}

/// The images of these names that carry a tag.
///
/// All of them must: else the services that lack it are named.
pub(crate) async fn tagged(
    app: &App,
    names: impl IntoIterator<Item = &String>,
    tag: &str,
) -> Result<BTreeMap<String, Digest>, Failure> {
    let (found, missing) = look_up(app, names, tag).await?;
    if missing.is_empty() {
        return Ok(found);
    }
    let what = format!("no image of {} carries the tag `{tag}`", missing.join(", "));
    let hint = "`skep history` shows the commits that were deployed".to_owned();
    Err(Failure::at(Step::Push, Problem::Project { what, hint }))
}

/// The images that carry a tag, and the names of those that don't.
async fn look_up(
    app: &App,
    names: impl IntoIterator<Item = &String>,
    tag: &str,
) -> Result<(BTreeMap<String, Digest>, Vec<String>), Failure> {
    let all: Vec<(String, Option<Digest>)> = stream::iter(names)
        .map(|name| async move {
            let image = app.repository(name).in_step(Step::Push)?.tagged(tag);
            Ok::<_, Failure>((name.clone(), app.images.has_manifest(&image).await.in_step(Step::Push)?))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let missing = all.iter().filter(|(_, digest)| digest.is_none()).map(|(name, _)| name.clone()).collect();
    let digests = all.into_iter().filter_map(|(name, digest)| Some((name, digest?))).collect();
    Ok((digests, missing))
}

/// Resolves the images of others, once for each text; what an earlier release pinned stays pinned.
pub(crate) async fn third_party(
    app: &App,
    texts: impl IntoIterator<Item = String>,
    known: &BTreeMap<String, Digest>,
) -> Result<BTreeMap<String, Digest>, Failure> {
    let platform = app.project.platforms.first().cloned().unwrap_or_else(Platform::host);
    stream::iter(texts)
        .map(|text| {
            let platform = &platform;
            async move {
                if let Some(digest) = known.get(&text) {
                    return Ok((text, *digest));
                }
                let image: ImageRef = text.parse().in_step(Step::Plan)?;
                if let Some(digest) = image.digest {
                    return Ok((text, digest));
                }
                let resolved = app.images.resolve(&image, platform).await.in_step(Step::Plan)?;
                Ok((text, resolved.digest))
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// Insists that the registry still has what is to come back: `of` names it.
pub(crate) async fn are_there(app: &App, images: &BTreeMap<String, Digest>, of: &str) -> Result<(), Failure> {
    for (name, digest) in images {
        let image = app.repository(name).in_step(Step::Plan)?.pinned(*digest);
        if app.images.has_manifest(&image).await.in_step(Step::Plan)?.is_none() {
            let what = format!("{of} can't be shipped: the registry no longer has {image}");
            let hint = "check out its commit and deploy that".to_owned();
            return Err(Failure::at(Step::Plan, Problem::Project { what, hint }));
        }
    }
    Ok(())
}
