//! skep.yaml for one target, typed, with every value still knowing its place. Nothing is read or defaulted yet.

use std::{collections::BTreeMap, time::Duration};

use skep_model::{AppName, Builder, Check, Checks, Format, Notify, Platform};

use crate::{
    bucket::{self, BucketDoc},
    error::{Fault, Problem},
    fields::{Field, Placed},
    images::{self, ImageDoc},
    notify,
    registry::{self, RegistryDoc},
    sets::{self, ConfigDoc, SecretDoc},
    substitute::{self, SubstituteDoc},
    verify,
};

/// The keys of the file itself, in the order of the reference.
pub(crate) const TOP_KEYS: &[&str] = &[
    "app",
    "namespace",
    "registry",
    "platforms",
    "builder",
    "images",
    "manifests",
    "config",
    "secrets",
    "recipients",
    "substitute",
    "checks",
    "replicas",
    "migrate",
    "rollout",
    "verify",
    "notify",
    "bucket",
    "keep-releases",
    "targets",
];

/// The keys of one target: where it is, and what is other there.
pub(crate) const TARGET_KEYS: &[&str] = &[
    "kubeconfig",
    "context",
    "namespace",
    "registry",
    "platforms",
    "builder",
    "images",
    "manifests",
    "config",
    "secrets",
    "recipients",
    "substitute",
    "checks",
    "replicas",
    "migrate",
    "rollout",
    "verify",
    "notify",
    "bucket",
    "keep-releases",
];

#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) app: AppName,
    pub(crate) namespace: Option<String>,
    pub(crate) registry: Option<RegistryDoc>,
    pub(crate) platforms: Option<Vec<Platform>>,
    pub(crate) builder: Option<Builder>,
    pub(crate) images: BTreeMap<String, ImageDoc>,
    pub(crate) manifests: Vec<Placed<String>>,
    pub(crate) config: BTreeMap<String, ConfigDoc>,
    pub(crate) secrets: BTreeMap<String, SecretDoc>,
    pub(crate) recipients: Vec<String>,
    pub(crate) substitute: BTreeMap<String, SubstituteDoc>,
    pub(crate) checks: Checks,
    pub(crate) replicas: BTreeMap<String, u32>,
    pub(crate) migrate: Option<MigrateDoc>,
    pub(crate) rollout: RolloutDoc,
    pub(crate) verify: Vec<Check>,
    pub(crate) notify: Option<Notify>,
    pub(crate) bucket: Option<BucketDoc>,
    pub(crate) keep_releases: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct MigrateDoc {
    pub(crate) manifest: Placed<String>,
    pub(crate) files: Option<Placed<String>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) needs: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct RolloutDoc {
    pub(crate) no_progress: Option<Duration>,
    pub(crate) soak: Option<Duration>,
}

impl Document {
    pub(crate) fn read(root: &Field<'_>) -> Result<Self, Fault> {
        let top = root.fields(TOP_KEYS)?;
        let app = top.need("app", "the app's name, which is also its namespace")?;
        let manifests = top.need("manifests", "the folder of the Kubernetes manifests")?;
        Ok(Self {
            app: app.parsed()?,
            namespace: top.read("namespace", |field| namespace(&field))?,
            registry: top.read("registry", |field| registry::read(&field))?,
            platforms: top.read("platforms", |field| platforms(&field))?,
            builder: top.read("builder", |field| images::builder(&field))?,
            images: top.read("images", |field| images::read(&field))?.unwrap_or_default(),
            manifests: manifests.texts()?,
            config: top
                .read("config", |field| field.named(|name, set| sets::config(name, &set)))?
                .unwrap_or_default(),
            secrets: top
                .read("secrets", |field| field.named(|name, set| sets::secret(name, &set)))?
                .unwrap_or_default(),
            recipients: top.read("recipients", |field| sets::recipients(&field))?.unwrap_or_default(),
            substitute: top
                .read("substitute", |field| field.named(|name, one| substitute::substitute(name, &one)))?
                .unwrap_or_default(),
            checks: top.read("checks", |field| checks(&field))?.unwrap_or_default(),
            replicas: top.read("replicas", |field| replicas(&field))?.unwrap_or_default(),
            migrate: top.read("migrate", |field| migrate(&field))?,
            rollout: top.read("rollout", |field| rollout(&field))?.unwrap_or_default(),
            verify: top.read("verify", |field| field.items(|item| verify::check(&item)))?.unwrap_or_default(),
            notify: top.read("notify", |field| notify::notify(&field))?,
            bucket: top.read("bucket", |field| bucket::read(&field))?,
            keep_releases: top.read("keep-releases", |field| keep_releases(&field))?,
        })
    }
}

/// A name that Kubernetes takes for an object in a URL: a DNS-1123 subdomain of at most `longest` characters.
pub(crate) fn object_name(name: &str, longest: usize) -> Result<(), &'static str> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if name.is_empty() || name.len() > longest {
        return Err("it is empty or too long");
    }
    if !name.chars().all(fine) {
        return Err("only lower-case letters, digits, `-` and `.` are allowed");
    }
    if name.starts_with(['-', '.']) || name.ends_with(['-', '.']) {
        return Err("it must begin and end with a letter or digit");
    }
    Ok(())
}

fn namespace(field: &Field<'_>) -> Result<String, Fault> {
    let name = field.text()?;
    let checked = object_name(&name, 63).and_then(|()| match name.contains('.') {
        true => Err("a namespace has no `.`"),
        false => Ok(()),
    });
    match checked {
        Ok(()) => Ok(name),
        Err(why) => Err(field.bad(format!("`{name}` can't name a namespace: {why}"), "")),
    }
}

fn platforms(field: &Field<'_>) -> Result<Vec<Platform>, Fault> {
    let platforms = field.items(|item| item.parsed::<Platform>())?;
    if platforms.is_empty() {
        return Err(field.bad("should name at least one platform", "such as `[linux/amd64]`"));
    }
    Ok(platforms)
}

fn checks(field: &Field<'_>) -> Result<Checks, Fault> {
    let fields = field.fields(&["all-or-none", "format"])?;
    let group = |keys: Field<'_>| {
        let hint = "write a list of groups, each of two keys or more: `[[KEY_ID, KEY, BUCKET]]`";
        match keys.strings() {
            Ok(keys) if keys.len() > 1 => Ok(keys),
            _ => Err(keys.bad("should be a group of keys", hint)),
        }
    };
    let format = |_: &str, format: Field<'_>| {
        let name = format.text()?;
        let known = Format::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, format)| *format).ok_or_else(|| {
            let all: Vec<&str> = Format::ALL.iter().map(|(name, _)| *name).collect();
            format.bad(format!("`{name}` is no format"), format!("the formats are {}", all.join(", ")))
        })
    };
    Ok(Checks {
        all_or_none: fields.read("all-or-none", |groups| groups.items(group))?.unwrap_or_default(),
        format: fields.read("format", |formats| formats.named(format))?.unwrap_or_default(),
    })
}

fn replicas(field: &Field<'_>) -> Result<BTreeMap<String, u32>, Fault> {
    field.named(|_, number| number.scalar()?.parse().map_err(|_| number.wrong("a whole number")))
}

fn migrate(field: &Field<'_>) -> Result<MigrateDoc, Fault> {
    let fields = field.fields(&["manifest", "files", "timeout", "needs"])?;
    let needs = fields.read("needs", |needs| needs.texts())?.unwrap_or_default();
    Ok(MigrateDoc {
        manifest: fields.need("manifest", "the migration Job")?.placed_text()?,
        files: fields.read("files", |files| files.placed_text())?,
        timeout: fields.read("timeout", |timeout| timeout.duration())?,
        needs: needs.into_iter().map(|need| need.value).collect(),
    })
}

fn rollout(field: &Field<'_>) -> Result<RolloutDoc, Fault> {
    let fields = field.fields(&["no-progress", "soak"])?;
    Ok(RolloutDoc {
        no_progress: fields.read("no-progress", |patience| patience.duration())?,
        soak: fields.read("soak", |soak| soak.duration())?,
    })
}

fn keep_releases(field: &Field<'_>) -> Result<usize, Fault> {
    let text = field.scalar()?;
    match text.parse() {
        Ok(0) => Err(field.bad("should be at least 1", "the last good release is always kept")),
        Ok(number) => Ok(number),
        Err(_) => Err(field.wrong("a whole number")),
    }
}

/// Where a target is.
#[derive(Debug)]
pub(crate) enum ClusterDoc {
    Hive,
    Kubeconfig { path: Placed<String>, context: Option<String> },
}

/// Reads `kubeconfig` and `context` of a target; only the built-in `local` can do without.
pub(crate) fn cluster(name: &str, field: &Field<'_>) -> Result<ClusterDoc, Fault> {
    let fields = field.fields(TARGET_KEYS)?;
    let context = fields.read("context", |context| context.placed_text())?;
    match (fields.read("kubeconfig", |path| path.placed_text())?, context) {
        (Some(path), context) => {
            Ok(ClusterDoc::Kubeconfig { path, context: context.map(|context| context.value) })
        }
        (None, None) if name == crate::LOCAL => Ok(ClusterDoc::Hive),
        (None, Some(context)) => {
            Err(context
                .fault(Problem::MissingKey { key: "kubeconfig", why: "the file that has this context" }))
        }
        (None, None) => Err(fields.missing("kubeconfig", "the file that says how to reach this cluster")),
    }
}
