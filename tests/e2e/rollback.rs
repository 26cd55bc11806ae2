//! The way back: images, config, secrets and manifests of an earlier release, together.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use skep_tests::{Outcome, World};

#[test]
fn rollback_brings_the_image_back_and_its_config() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.project.write("shop.env", "GREETING=good evening\n");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("good evening from two\n"));

    world.skep(&["rollback"]).ok().says("shop v3 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    assert_eq!(world.object("configmap", "shop-config")["data"]["GREETING"], "hello");
    world.skep(&["history"]).ok().says("back to v1");

    world.skep(&["rollback", "v2"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("good evening from two\n"));
    world.skep(&["rollback", "v9"]).code(14).says("there is no release v9");
}

#[test]
fn rollback_restores_secrets_and_removes_what_came_later() {
    let world = World::new();
    world.project.add_secret("TOKEN=first\n");
    world.skep(&["deploy"]).ok();
    let first = world.object("secret", "shop-secrets")["data"].clone();
    world.project.write("secrets.env", "TOKEN=second\n");
    world.project.write("k8s/extra.yaml", "apiVersion: v1\nkind: Service\nmetadata: { name: extra }\nspec: { selector: { app: shop }, ports: [{ port: 81, targetPort: 8000 }] }\n");
    world.skep(&["deploy"]).ok();
    assert_ne!(world.object("secret", "shop-secrets")["data"], first);
    world.skep(&["rollback"]).ok();
    assert_eq!(world.object("secret", "shop-secrets")["data"], first);
    world.kubectl(&["get", "service", "extra"]).says("NotFound");
}

#[test]
fn promise_2_a_release_is_everything_even_to_kubectl_rollout_undo() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("shop.env", "GREETING=good evening\n");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("good evening from one\n"));
    world.kubectl(&["rollout", "undo", "deployment/shop"]).ok();
    world.kubectl(&["rollout", "status", "deployment/shop", "--timeout=30s"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn there_is_nothing_to_go_back_to_after_the_first_deploy() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.skep(&["rollback"]).code(14).says("no earlier good release");
}

#[test]
fn old_releases_are_dropped_with_their_config_and_the_hold_on_their_images() {
    let world = World::new();
    world.project.edit("skep.yaml", "\nconfig:", "\nkeep-releases: 2\nconfig:");
    for release in ["one", "two", "three", "four"] {
        world.project.write("release", &format!("{release}\n"));
        world.project.write("shop.env", &format!("GREETING=hello {release}\n"));
        world.skep(&["deploy"]).ok();
    }
    let history = world.skep(&["history", "--output", "json"]).ok().json();
    let numbers: Vec<u64> = history.iter().filter_map(|release| release["number"].as_u64()).collect();
    assert_eq!(numbers, [4, 3]);
    world.skep(&["rollback", "v1"]).code(14).says("there is no release v1");

    // docker-registry 2 can't let go of a single tag.
    if world.is_hive() {
        assert_eq!(keeping_tags(&world), 2, "an image is held as long as a release needs it");
    }

    world.skep(&["rollback"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello three from three\n"));
}

/// How many tags keep images of the shop.
fn keeping_tags(world: &World) -> usize {
    let image =
        world.object("deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let repository = image.as_str().and_then(|image| image.split('@').next()).expect("pinned");
    let from = format!("docker://{repository}");
    let tags = Outcome::of(Command::new("skopeo").args(["list-tags", "--tls-verify=false", &from]));
    tags.ok().stdout.matches("\"skep-").count()
}

/// Makes the project folder a repository, and a commit of all that is in it; the commit's short name.
fn commit(world: &World) -> String {
    let git = |arguments: &[&str]| {
        let me = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-C"];
        Outcome::of(Command::new("git").args(me).arg(world.project.dir()).args(arguments)).ok().stdout
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "a change"]);
    git(&["rev-parse", "--short", "HEAD"]).trim().to_owned()
}

#[test]
fn a_commit_is_brought_back_whole_or_if_its_release_is_gone_by_its_images() {
    let world = World::new();
    let one = commit(&world);
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.project.write("shop.env", "GREETING=good evening\n");
    commit(&world);
    world.skep(&["deploy"]).ok();
    world.skep(&["rollback", "--tag", &one]).ok().says("back to v1");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    world.skep(&["rollback"]).code(14).says("no earlier good release");
    world.skep(&["rollback", "v2"]).ok();
    // A release of files that differed from the commit is not the commit's, and a longer name of it is the same.
    world.project.write("release", "dirty\n");
    world.skep(&["deploy"]).ok();
    let whole =
        Outcome::of(Command::new("git").arg("-C").arg(world.project.dir()).args(["rev-parse", "HEAD"])).ok();
    world.skep(&["rollback", "--tag", whole.stdout.trim()]).ok().says("back to v");
    assert_eq!(world.get("/").as_deref(), Ok("good evening from two\n"));
    world.skep(&["rollback", "--tag", "a"]).code(64).says("four or more");

    // With one release kept, the first commit's is gone; its images are not.
    world.project.edit("skep.yaml", "\nconfig:", "\nkeep-releases: 1\nconfig:");
    world.project.write("shop.env", "GREETING=good night\n");
    world.skep(&["deploy"]).ok();
    world.skep(&["rollback", "--tag", &one]).ok().says(&format!("back to images {one}"));
    assert_eq!(world.get("/").as_deref(), Ok("good night from one\n"), "config and manifests stay");
    world.skep(&["history"]).ok().says(&format!("back to images {one}"));
    world.skep(&["rollback", "--tag", "0000000"]).code(13).says("no image of shop carries the tag");
}

#[test]
fn one_service_goes_back_with_its_config_and_the_others_stay() {
    let world = World::new();
    world.project.add_idle();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.project.write("shop.env", "GREETING=good evening\n");
    world.skep(&["deploy"]).ok();
    let template = |name: &str| world.object("deployment", name)["spec"]["template"].clone();
    let idle = template("idle");

    world.skep(&["rollback", "--service", "shop"]).ok().says("back to v1").says("shop will restart");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    assert_eq!(template("idle"), idle, "idle was not asked for");
    assert_eq!(world.object("configmap", "shop-config")["data"]["GREETING"], "good evening");
    world.skep(&["rollback", "--service", "nope"]).code(14).says("service nope");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("good evening from two\n"));
}

#[test]
fn history_tells_what_each_release_changed_and_kubectl_s_history_stays_readable() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.project.write("shop.env", "GREETING=good evening\n");
    world.skep(&["deploy"]).ok();
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 3");
    world.skep(&["deploy"]).ok();
    let history = world.skep(&["history"]).ok();
    history.says("config shop-config (GREETING), image of shop").says("       Deployment/shop");
    let shown = world.skep(&["show", "v2"]).ok().says("v2").says("changed").says("image of shop");
    shown.says("images").says("sha256:").says("ConfigMap/shop-config-").says("steps").says("roll");
    world.skep(&["show"]).ok().says("v3");
    world.skep(&["show", "v9"]).code(10).says("there is no release v9");
    let json = world.skep(&["show", "v2", "--output", "json"]).ok().json();
    assert_eq!(json[0]["changed"], serde_json::json!(["config shop-config (GREETING)", "image of shop"]));

    world.skep(&["rollback", "v1"]).ok();
    let causes = world.kubectl(&["rollout", "history", "deployment/shop"]).ok();
    causes.says("skep v2, deploy").says("skep v4, back to v1").never_says("v3");
    world.skep(&["plan"]).code(2).never_says("change-cause");
}

const CERTIFICATE: &str = "apiVersion: v1\nkind: Secret\nmetadata: { name: cert }\ntype: kubernetes.io/tls\nstringData: { tls.crt: ONE, tls.key: ONE }\n";

#[test]
fn a_secret_that_no_pod_reads_goes_back_too() {
    let world = World::new();
    world.project.write("k8s/cert.yaml", CERTIFICATE);
    world.skep(&["deploy"]).ok();
    world.project.write("k8s/cert.yaml", &CERTIFICATE.replace("ONE", "TWO"));
    world.skep(&["deploy"]).ok();
    let certificate = || world.object("secret", "cert")["data"]["tls.crt"].clone();
    assert_eq!(certificate(), "VFdP");
    world.skep(&["history"]).ok().says("secret cert");
    world.skep(&["rollback"]).ok().says("back to v1");
    assert_eq!(certificate(), "T05F");
}

#[test]
fn a_rollback_that_was_stopped_is_gone_on_with_and_the_bad_release_is_not_shipped_again() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    let deploy =
        world.command(&["rollback", "--output", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut rollback = deploy.expect("skep starts");
    let mut lines = BufReader::new(rollback.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("step-started") && line.contains("\"roll\"")), "it never rolled");
    Outcome::of(Command::new("kill").args(["-INT", &rollback.id().to_string()])).ok();
    lines.for_each(drop);
    let code = rollback.wait().expect("it was started").code();
    assert_eq!(code, Some(130));
    world.skep(&["plan"]).code(2).says("completes").says("v3, which did not end well");
    world.skep(&["rollback"]).ok().says("back to v1");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn single_services_go_back_from_what_runs_and_all_of_it_can_go_back_after_them() {
    let world = World::new();
    world.project.add_idle();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    let image = |name: &str| {
        world.object("deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    let two = image("idle");
    world.skep(&["rollback", "--service", "shop"]).ok().says("shop back to v1");
    world.skep(&["history"]).ok().says("shop back to v1");
    assert_eq!(image("idle"), two);
    world.skep(&["rollback"]).ok().says("back to v2");
    assert_eq!((image("shop"), image("idle")), (two.clone(), two), "before the last change both ran it");
    world.skep(&["rollback", "v1"]).ok();
    world.skep(&["rollback", "--service", "shop"]).code(14).says("no earlier good release");
}

/// A Secret that pods read if it is there is no part of the app: neither a rollback nor an automatic one needs it.
#[test]
fn absent_optional_secret_does_not_block_a_rollback() {
    let world = World::new();
    world.project.edit(
        "k8s/shop.yaml",
        "          envFrom: [",
        "          env: [{ name: X, valueFrom: { secretKeyRef: { name: none-by-key, key: x, optional: true } } }]\n          \
         volumeMounts: [{ name: one, mountPath: /one }, { name: all, mountPath: /all }]\n          \
         envFrom: [{ secretRef: { name: none-by-env, optional: true } }, ",
    );
    world.project.append(
        "k8s/shop.yaml",
        "      volumes:\n        - { name: one, secret: { secretName: none-as-volume, optional: true } }\n        \
         - { name: all, projected: { sources: [{ secret: { name: none-projected, optional: true } }] } }\n",
    );
    world.skep(&["check"]).ok().never_says("none-by-env");
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    world.skep(&["rollback"]).ok().says("shop v3 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));

    world.project.write("release", "crash no such table\n");
    world.skep(&["deploy"]).code(30).says("v3 runs again, as v5");
}

/// What a required Secret of somebody else's does to pods is for the rollout to report, not a reason to refuse the way back.
#[test]
fn absent_unmanaged_secret_is_reported_by_the_rollout() {
    let world = World::new();
    world.project.edit("k8s/shop.yaml", "envFrom: [", "envFrom: [{ secretRef: { name: theirs } }, ");
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 0");
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    world.skep(&["rollback"]).ok().says("v3 is live");
    world.project.edit("k8s/shop.yaml", "replicas: 0", "replicas: 1");
    world.skep(&["deploy"]).code(30).says("theirs");
}

/// Who may write Secrets of the namespace may change a record; the next rollback must not make them more than that.
#[test]
fn tampered_record_gains_nothing_outside_the_app() {
    let world = World::new();
    world.skep(&["deploy"]).ok();
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok();
    let add = |object: serde_json::Value| {
        world.tamper(1, |record| {
            let objects = record["objects"].as_array_mut().expect("objects");
            objects.retain(|old| old["metadata"]["name"] != "added");
            objects.push(object);
        });
    };
    let binding = |namespace: Option<&str>| {
        serde_json::json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "added", "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [{ "kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve" }],
        })
    };
    let config = |namespace: &str| {
        serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "added", "namespace": namespace },
            "data": { "a": "b" },
        })
    };
    for (object, refused) in [
        (binding(None), "ClusterRoleBinding/added"),
        (binding(Some(world.namespace())), "ClusterRoleBinding/added"),
        (config("kube-system"), "ConfigMap/added in namespace kube-system"),
    ] {
        add(object);
        let back = world.skep(&["rollback"]).code(14);
        back.says("the record of v1 has objects that a rollback may not write").says(refused);
    }
    world.kubectl(&["get", "clusterrolebinding", "added"]).says("NotFound");
    world.kubectl(&["get", "configmap", "added", "-n", "kube-system"]).says("NotFound");

    // In its own namespace it is named.
    add(config(world.namespace()));
    world.skep(&["rollback"]).ok().says("v1 adds what today's manifests don't have: ConfigMap/added");
}
