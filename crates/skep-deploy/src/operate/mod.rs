//! What is done to a service between releases: restart, pause, resume, scale. Written under the manager `skep-ops`, so that the next
//! deploy undoes none of it; under the lock, so that none of it gets in a deploy's way.

mod run;

use serde_json::{Value, json};
use skep_cluster::{OPERATOR, Route, Selector};
use skep_model::{ObjectKey, Outcome, Step};

use crate::{
    App, Failure,
    error::{InStep, Problem},
    session,
    steps::{Clock, roll},
};

pub(crate) use run::run_within;
pub use run::{RunRequest, run};

/// How often an object that changes under our hands is read again.
const TRIES: u32 = 10;

/// An operation on services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// New pods, the same template.
    Restart,
    /// Changes of the template wait.
    Pause,
    /// They no longer do.
    Resume,
    /// So many pods, whatever the manifest says.
    Scale(u32),
    /// As many pods as the manifest says, from the next deploy on.
    Unscale,
}

/// Carries out an operation on each of these services, and waits until they have settled where that means anything.
///
/// # Errors
/// When a service is unknown or can't be operated so, when the app is locked, when the API fails, when pods don't become ready.
pub async fn operate(app: &App, operations: &[(String, Operation)]) -> Result<(), Failure> {
    let mut clock = Clock::new(&app.emit);
    let mut workloads = Vec::new();
    for (index, (service, operation)) in operations.iter().enumerate() {
        if operations[..index].iter().any(|(other, _)| other == service) {
            let hint = "name each once".to_owned();
            return Err(Failure::at(
                Step::Check,
                Problem::Project { what: format!("`{service}` is named twice"), hint },
            ));
        }
        let workload = service_of_ours(app, service).await?;
        allowed(&workload, operation)?;
        if matches!(operation, Operation::Scale(_)) {
            no_autoscaler(app, &workload).await?;
        }
        workloads.push((workload, operation));
    }
    clock.start(Step::Lock);
    let locked = session::take(app).await;
    let lock = clock.settle(Step::Lock, locked, |_| (Outcome::Done, String::new()))?;
    let done = tokio::select! {
        biased;
        done = carry_out(app, &workloads, &mut clock) => done,
        () = app.cancel.cancelled() => Err(Failure::at(clock.step(), Problem::Interrupted)),
    };
    session::give_back(app, lock).await;
    done
}

async fn carry_out(app: &App, workloads: &[(Value, &Operation)], clock: &mut Clock) -> Result<(), Failure> {
    clock.start(Step::Apply);
    let written = async {
        for (workload, operation) in workloads {
            write(app, workload, operation).await?;
        }
        Ok(())
    };
    let count = format!("{} changed", workloads.len());
    clock.settle(Step::Apply, written.await, |()| (Outcome::Done, count))?;
    let settling: Vec<&Value> = workloads
        .iter()
        .filter(|(_, operation)| {
            matches!(operation, Operation::Restart | Operation::Resume | Operation::Scale(_))
        })
        .map(|(workload, _)| workload)
        .collect();
    if settling.is_empty() {
        return Ok(());
    }
    clock.start(Step::Roll);
    let rolled = roll::await_ready(app, None, Step::Roll, &settling).await;
    clock.settle(Step::Roll, rolled, |()| roll::summary(settling.len()))
}

async fn write(app: &App, workload: &Value, operation: &Operation) -> Result<(), Failure> {
    let Some(key) = ObjectKey::of(workload) else { return Ok(()) };
    let patch = match operation {
        Operation::Restart => {
            let now = skep_ambient::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let annotations = json!({"kubectl.kubernetes.io/restartedAt": now});
            json!({"spec": {"template": {"metadata": {"annotations": annotations}}}})
        }
        Operation::Pause => json!({"spec": {"paused": true}}),
        Operation::Resume => json!({"spec": {"paused": null}}),
        // An apply, so that it is ours even when that many are there already.
        Operation::Scale(replicas) => {
            let object = json!({
                "apiVersion": key.api_version, "kind": key.kind,
                "metadata": {"name": key.name, "namespace": key.namespace}, "spec": {"replicas": replicas},
            });
            return app.cluster.apply_as(&object, OPERATOR).await.in_step(Step::Apply).map(|_| ());
        }
        Operation::Unscale => return give_replicas_back(app, &key).await,
    };
    app.cluster.patch(&key, &patch, OPERATOR).await.in_step(Step::Apply).map(|_| ())
}

/// Lets go of a workload's replicas, without changing how many there are. Its controller writes to it too: then it is read again.
async fn give_replicas_back(app: &App, key: &ObjectKey) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let Some(live) = app.cluster.get(key).await.in_step(Step::Apply)? else { return Ok(()) };
        let fields = skep_manifest::without_replicas_of(&live, OPERATOR);
        match app.cluster.replace_managed_fields(key, &live, fields).await {
            Err(error) if error.is_conflict() && tries < TRIES => {}
            done => return done.in_step(Step::Apply),
        }
    }
}

/// What makes no sense is told before anything is locked.
fn allowed(workload: &Value, operation: &Operation) -> Result<(), Failure> {
    let Some(key) = ObjectKey::of(workload) else { return Ok(()) };
    let paused = workload["spec"]["paused"] == true;
    let (what, hint) = match operation {
        Operation::Pause | Operation::Resume if key.kind != "Deployment" => {
            (format!("{key} can't be paused: only Deployments can"), "`skep scale` can stop its pods")
        }
        Operation::Restart if paused => {
            (format!("{key} is paused: new pods would not come"), "`skep resume` first")
        }
        Operation::Scale(_) if key.kind == "DaemonSet" => {
            (format!("{key} can't be scaled: it has a pod on each node"), "its nodeSelector decides on which")
        }
        Operation::Unscale if !skep_manifest::replicas_are_of(workload, OPERATOR) => (
            format!("{key} has not been scaled by hand"),
            "its replicas are those of its manifest or autoscaler",
        ),
        _ => return Ok(()),
    };
    Err(Failure::at(Step::Check, Problem::Project { what, hint: hint.to_owned() }))
}

/// What an autoscaler would undo at once.
async fn no_autoscaler(app: &App, workload: &Value) -> Result<(), Failure> {
    let Some((key, route)) =
        ObjectKey::of(workload).zip(Route::built_in("autoscaling/v2", "HorizontalPodAutoscaler"))
    else {
        return Ok(());
    };
    let listed = app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await;
    let autoscalers = listed.in_step(Step::Check)?;
    let scaled =
        skep_manifest::autoscaled(&autoscalers).into_iter().find(|scaled| scaled.workload.same_object(&key));
    let Some(scaled) = scaled else { return Ok(()) };
    let what = format!("{key} is scaled by an autoscaler, between {} and {}", scaled.min, scaled.max);
    let hint = "change `minReplicas` and `maxReplicas` in its manifest and deploy".to_owned();
    Err(Failure::at(Step::Check, Problem::Project { what, hint }))
}

/// A service that this app has shipped: what another ships in the same namespace is that one's.
pub(crate) async fn service_of_ours(app: &App, service: &str) -> Result<Value, Failure> {
    let workload = service_named(app, service).await?;
    if app.owns(&workload) {
        return Ok(workload);
    }
    let what = format!(
        "`{service}` lives in namespace {}, and is no service of {}",
        app.namespace(),
        app.project.app
    );
    let hint = "kubectl can do it; a deploy of its manifest makes it the app's".to_owned();
    Err(Failure::at(Step::Load, Problem::Project { what, hint }))
}

/// A service in the app's namespace as it lives, by its name.
pub(crate) async fn service_named(app: &App, service: &str) -> Result<Value, Failure> {
    let mut known = Vec::new();
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let Some(route) = Route::built_in("apps/v1", kind) else { continue };
        let listed = app.cluster.list(&route, Some(app.namespace()), &Selector::default()).await;
        let objects = match listed {
            // A cluster without that kind has none of it.
            Err(error) if error.is_not_found() => Vec::new(),
            listed => listed.in_step(Step::Load)?,
        };
        for object in objects {
            match object["metadata"]["name"].as_str() {
                Some(name) if name == service => return Ok(object),
                Some(name) => known.push(name.to_owned()),
                None => {}
            }
        }
    }
    known.sort();
    let what = format!("{} has no service `{service}`", app.project.app);
    let hint = if known.is_empty() {
        "nothing is deployed: `skep deploy`".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    Err(Failure::at(Step::Load, Problem::Project { what, hint }))
}
