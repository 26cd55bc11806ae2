//! build and push: every image of the app → the digest that the registry answers.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use skep_image::{BuildRequest, Built, PushRequest, Revision, Runs};
use skep_manifest::Owner;
use skep_model::{Cluster, Digest, Event, ImageRef, Outcome, Platform, Step};

use super::{Clock, load::Manifests, promote};
use crate::{
    App, Commit, DeployRequest, Failure, Images,
    error::{InStep, Problem},
    plan::Known,
};

/// How many images are built or pushed at once.
pub(super) const AT_ONCE: usize = 8;

/// Our images, as digests in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ImageDigests {
    pub(crate) digests: BTreeMap<String, Digest>,
    /// What they were built from, where that is known.
    pub(crate) commits: BTreeMap<String, String>,
    /// The tag they were found by, for `--tag`.
    pub(crate) tag: Option<String>,
}

pub(crate) async fn ready(
    app: &App,
    request: &DeployRequest,
    manifests: &Manifests,
    known: Option<&Known>,
    clock: &mut Clock,
) -> Result<ImageDigests, Failure> {
    if request.config_only {
        return of_last_release(known, clock);
    }
    match &request.images {
        Images::Build => {
            let wanted = wanted(app, request, manifests).in_step(Step::Build)?;
            let built = build(app, &wanted, clock).await?;
            push(app, &built, clock).await
        }
        Images::AsTheyAre => as_they_are(app, known, clock).await,
        Images::Tagged(tag) => {
            let wanted = wanted(app, request, manifests).in_step(Step::Push)?;
            all_tagged(app, &wanted, tag, clock).await
        }
        Images::Promoted(running) => promote::images(app, running, clock).await,
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

async fn build(app: &App, wanted: &BTreeSet<String>, clock: &mut Clock) -> Result<Vec<Built>, Failure> {
    clock.start(Step::Build);
    warn_of_sources(app, wanted);
    let built = build_all(app, wanted).await;
    clock.settle(Step::Build, built, |built| {
        let changed = built.iter().filter(|image| image.changed()).count();
        let outcome = if changed == 0 { Outcome::Unchanged } else { Outcome::Done };
        let names = if built.len() == 1 { "1 image".to_owned() } else { format!("{} images", built.len()) };
        (
            outcome,
            if changed == 0 { format!("{names}, unchanged") } else { format!("{names}, {changed} changed") },
        )
    })
}

/// What others will not be able to find again: uncommitted files, and commits that are nowhere but here.
fn warn_of_sources(app: &App, wanted: &BTreeSet<String>) {
    if app.project.cluster == Cluster::Hive {
        return;
    }
    let commits = app.author.contexts.iter().filter(|(image, _)| wanted.contains(*image));
    let mut told: Vec<String> = commits
        .filter_map(|(_, commit)| match commit {
            Commit { dirty: true, repository, short, .. } => Some(format!(
                "{repository} has changes that are not committed: its images get no tag of {short}"
            )),
            Commit { pushed: Some(false), repository, short, .. } => Some(format!(
                "{repository}: no remote has the commit {short} yet; `git push` before somebody needs it"
            )),
            _ => None,
        })
        .collect();
    told.sort();
    told.dedup();
    told.into_iter().for_each(|message| app.emit.emit(Event::Warning { message }));
}

async fn build_all(app: &App, wanted: &BTreeSet<String>) -> Result<Vec<Built>, Failure> {
    let runs = Runs::default();
    let images = app.project.images.iter().filter(|(name, _)| wanted.contains(*name));
    let keep_cache = app.project.registry.as_ref().is_some_and(|registry| registry.cache);
    let mut built: Vec<Built> = stream::iter(images)
        .map(|(name, image)| {
            let runs = &runs;
            async move {
                let commit = app.author.contexts.get(name).filter(|commit| !commit.dirty);
                let revision =
                    commit.map(|commit| Revision { commit: commit.short.clone(), time: commit.time.clone() });
                let request = BuildRequest {
                    name,
                    image,
                    platforms: &app.project.platforms,
                    repository: &app.repository(name).in_step(Step::Build)?,
                    revision: revision.as_ref(),
                    builder: app.project.builder,
                    keep_cache,
                    compression: app.compression,
                    cache_dir: &app.cache,
                    epoch: 0,
                    client: &app.images,
                    runs,
                };
                skep_image::build(request, &app.emit).await.in_step(Step::Build)
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    built.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(built)
}

async fn push(app: &App, built: &[Built], clock: &mut Clock) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let pushed: Result<Vec<(String, Digest, Option<u64>)>, Failure> = stream::iter(built)
        .map(|image| async move {
            let target = app.repository(image.name()).in_step(Step::Push)?;
            let tags = tags(app, image.name());
            let request =
                PushRequest { client: &app.images, target: &target, tags: &tags, keeping: keeping_tag };
            let pushed = image.push(&request, &app.emit).await.in_step(Step::Push)?;
            let name = image.name().to_owned();
            app.emit.emit(Event::Pushed { image: name.clone(), digest: pushed.digest, bytes: pushed.sent });
            Ok((name, pushed.digest, pushed.sent))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await;
    let pushed = clock.settle(Step::Push, pushed, |pushed| {
        match pushed.iter().filter(|(.., sent)| *sent != Some(0)).count() {
            0 => (Outcome::Unchanged, "the registry has everything".to_owned()),
            1 => (Outcome::Done, "1 image sent".to_owned()),
            sent => (Outcome::Done, format!("{sent} images sent")),
        }
    })?;
    let digests: BTreeMap<String, Digest> =
        pushed.into_iter().map(|(name, digest, _)| (name, digest)).collect();
    Ok(ImageDigests { commits: commits_of(app, digests.keys()), digests, tag: None })
}

/// The commit of a clean context, and `latest` if that was asked for: a dirty tree moves neither.
fn tags(app: &App, image: &str) -> Vec<String> {
    let Some(commit) = app.author.contexts.get(image).and_then(Commit::clean) else { return Vec::new() };
    let latest = app.project.registry.as_ref().is_some_and(|registry| registry.latest);
    std::iter::once(commit.to_owned()).chain(latest.then(|| "latest".to_owned())).collect()
}

/// What the contexts of these images are at.
fn commits_of<'n>(app: &App, names: impl IntoIterator<Item = &'n String>) -> BTreeMap<String, String> {
    let commit = |name: &String| Some((name.clone(), app.author.contexts.get(name)?.to_string()));
    names.into_iter().filter_map(commit).collect()
}

/// A tag of the image's own, so that a registry that cleans up untagged manifests leaves it alone while a release needs it.
pub(crate) fn keeping_tag(digest: &Digest) -> String {
    format!("skep-{}", digest.short(16))
}

/// `--skip-build`: this commit's images if the registry has them all, else those of the last release.
async fn as_they_are(app: &App, known: Option<&Known>, clock: &mut Clock) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let found = find_as_they_are(app, known).await;
    clock
        .settle(Step::Push, found, |(_, which)| (Outcome::Unchanged, which.clone()))
        .map(|(images, _)| images)
}

async fn find_as_they_are(app: &App, known: Option<&Known>) -> Result<(ImageDigests, String), Failure> {
    let clean = |name: &String| app.author.contexts.get(name)?.clean().map(str::to_owned);
    let tags: Option<BTreeMap<&String, String>> =
        app.project.images.keys().map(|name| Some((name, clean(name)?))).collect();
    if let Some(tags) = tags.filter(|tags| !tags.is_empty()) {
        let (digests, missing) = look_up(app, tags.iter().map(|(name, tag)| (*name, tag.as_str()))).await?;
        if missing.is_empty() {
            let of: BTreeSet<&str> = tags.values().map(String::as_str).collect();
            let of = of.into_iter().collect::<Vec<_>>().join(", ");
            let commits = commits_of(app, digests.keys());
            let found = ImageDigests { digests, commits, tag: Some(of.clone()) };
            return Ok((found, format!("images of commit {of}")));
        }
    }
    last_images(known).ok_or_else(|| {
        let what =
            "there is no image to deploy: neither this commit nor an earlier release has one".to_owned();
        Failure::at(Step::Push, Problem::Project { what, hint: "deploy without `--skip-build`".to_owned() })
    })
}

/// A release of config alone runs what runs.
fn of_last_release(known: Option<&Known>, clock: &mut Clock) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let found = last_images(known).ok_or_else(|| {
        let what = "config can't be shipped alone: nothing is deployed yet".to_owned();
        let hint = "`skep deploy` ships everything once".to_owned();
        Failure::at(Step::Push, Problem::Project { what, hint })
    });
    let settled = clock.settle(Step::Push, found, |(_, which)| (Outcome::Unchanged, which.clone()));
    settled.map(|(images, _)| images)
}

/// The images of the last good release, and which that is.
fn last_images(known: Option<&Known>) -> Option<(ImageDigests, String)> {
    let last = known?.last_good()?;
    let images = ImageDigests { digests: last.images.clone(), commits: last.commits.clone(), tag: None };
    Some((images, format!("images of release v{}", last.number)))
}

/// `--tag`: every image of the services that are asked for must carry it.
async fn all_tagged(
    app: &App,
    wanted: &BTreeSet<String>,
    tag: &str,
    clock: &mut Clock,
) -> Result<ImageDigests, Failure> {
    clock.start(Step::Push);
    let found = tagged(app, wanted, tag).await.map(|digests| ImageDigests {
        commits: digests.keys().map(|name| (name.clone(), tag.to_owned())).collect(),
        digests,
        tag: Some(tag.to_owned()),
    });
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
    let (found, missing) = look_up(app, names.into_iter().map(|name| (name, tag))).await?;
    if missing.is_empty() {
        return Ok(found);
    }
    let what = format!("no image of {} carries the tag `{tag}`", missing.join(", "));
    let hint = "`skep history` shows the commits that were deployed".to_owned();
    Err(Failure::at(Step::Push, Problem::Project { what, hint }))
}

/// The images that carry these tags, and the names of those that don't.
async fn look_up<'n>(
    app: &App,
    tags: impl IntoIterator<Item = (&'n String, &'n str)>,
) -> Result<(BTreeMap<String, Digest>, Vec<String>), Failure> {
    let all: Vec<(String, Option<Digest>)> = stream::iter(tags)
        .map(|(name, tag)| async move {
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
