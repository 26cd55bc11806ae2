//! The first deploy onto a namespace that a script of kubectl lines has made and changed.

use std::collections::BTreeMap;

use serde_json::Value;
use skep_tests::{HoneyDue, Outcome, World};

/// The image of the folder as it is, in the registry, under a tag as a script would push it.
fn pushed(world: &World, tag: &str) -> String {
    let lines = world.skep(&["plan", "--output", "json"]).json();
    let plan = lines.iter().find(|line| line["type"] == "plan").expect("a plan is printed").clone();
    let mut changes = plan["changes"].as_array().expect("a list").iter();
    let deployment = changes.find(|change| change["object"]["kind"] == "Deployment").expect("the shop's");
    let mut fields = deployment["fields"].as_array().expect("a list").iter();
    let image = fields
        .find_map(|field| match field["path"].as_str()? {
            "spec" => field["to"]["template"]["spec"]["containers"][0]["image"].as_str(),
            "spec.template.spec.containers[shop].image" => field["to"].as_str(),
            _ => None,
        })
        .expect("it runs an image");
    let (repository, _) = image.split_once('@').expect("it is pinned");
    let tagged = format!("{repository}:{tag}");
    world.copy_image(image, &tagged);
    tagged
}

/// What a script does: namespace, config and Secret by `create --dry-run | apply`, manifests by `apply`, an image by `set image`.
fn by_script(world: &World, image: &str) {
    let apply_made = |arguments: &[&str]| {
        let made = world.kubectl(&[arguments, &["--dry-run=client", "-o", "yaml"]].concat()).ok();
        world.project.write("made.yaml", &made.stdout);
        world.kubectl(&["apply", "-f", "made.yaml"]).ok();
        world.project.remove("made.yaml");
    };
    world.kubectl(&["create", "namespace", world.namespace()]).ok();
    apply_made(&["create", "configmap", "shop-config", "--from-env-file=shop.env"]);
    apply_made(&["create", "secret", "generic", "shop-secrets", "--from-env-file=secrets.env"]);
    apply_made(&["create", "configmap", "stranger", "--from-literal=a=b"]);
    world.project.edit("k8s/shop.yaml", "image: shop\n", &format!("image: {image}\n"));
    world.kubectl(&["apply", "-f", "k8s"]).ok();
    world.project.edit("k8s/shop.yaml", &format!("image: {image}\n"), "image: shop\n");
    world.kubectl(&["rollout", "status", "deployment/shop", "--timeout=60s"]).ok();
}

fn managers(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().expect("a list").iter();
    entries.filter_map(|entry| entry["manager"].as_str()).collect()
}

fn with_fields(world: &World, kind: &str, name: &str) -> Value {
    let read = world.kubectl(&["get", kind, name, "-o", "json", "--show-managed-fields"]).ok();
    serde_json::from_str(&read.stdout).expect("kubectl prints JSON")
}

#[test]
fn what_a_script_shipped_is_taken_over_and_can_be_brought_back_whole() {
    let world = World::new();
    world.project.add_secret("TOKEN=first\n");
    let one = pushed(&world, "one");
    world.project.write("release", "two\n");
    let two = pushed(&world, "two");
    by_script(&world, &one);
    world.kubectl(&["set", "image", "deployment/shop", &format!("shop={two}")]).ok();
    world.kubectl(&["rollout", "undo", "deployment/shop"]).ok();
    world.kubectl(&["set", "env", "deployment/shop", "FORGOTTEN=1"]).ok();
    world.kubectl(&["rollout", "status", "deployment/shop", "--timeout=60s"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));

    world.project.write("release", "three\n");
    world.project.write("shop.env", "GREETING=good evening\n");
    world.project.write("secrets.env", "TOKEN=second\n");
    let plan = world.skep(&["plan"]).code(2).says("adopts").says("kubectl-client-side-apply, kubectl-set");
    let plan = plan.says("restarts").says("image of shop").says("spec.containers[shop].env");
    plan.never_says("terminationMessagePath").never_says("stranger").never_says("drifted");
    assert!(
        managers(&with_fields(&world, "deployment", "shop")).contains(&"kubectl-set"),
        "a plan writes nothing"
    );

    world.skep(&["deploy"]).ok().says("shop v1 is live");
    assert_eq!(world.get("/").as_deref(), Ok("good evening from three\n"));
    for (kind, name) in [
        ("deployment", "shop"),
        ("service", "shop"),
        ("configmap", "shop-config"),
        ("secret", "shop-secrets"),
    ] {
        let object = with_fields(&world, kind, name);
        let left: Vec<&str> = managers(&object).into_iter().filter(|by| by.starts_with("kubectl")).collect();
        assert_eq!(left, Vec::<&str>::new(), "{kind}/{name} is Skep's alone");
        let annotation = "kubectl.kubernetes.io/last-applied-configuration";
        assert!(object["metadata"]["annotations"].get(annotation).is_none(), "{object}");
    }
    let env = world.object("deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    assert!(env.as_array().is_none_or(Vec::is_empty), "what the manifest lacks went away: {env}");
    world.skep(&["history"]).ok().says("v0").says("what ran before");
    world.skep(&["plan"]).ok().says("nothing to do");

    // The way back: image, config and Secret as they ran.
    world.skep(&["rollback"]).ok().says("shop v2 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    assert_eq!(world.object("configmap", "shop-config")["data"]["GREETING"], "hello");
    assert_eq!(world.object("secret", "shop-secrets")["data"]["TOKEN"], "Zmlyc3Q=");
    let template = world.object("deployment", "shop")["spec"]["template"].clone();
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["env"][0]["name"], "FORGOTTEN", "{template}");
    assert!(
        container["image"].as_str().is_some_and(|image| image.contains("@sha256:")),
        "the bytes that ran: {template}"
    );
    world.object("configmap", "stranger");
    world.skep(&["deploy"]).ok();
    assert_eq!(world.get("/").as_deref(), Ok("good evening from three\n"));
}

#[test]
fn what_another_tool_wrote_is_not_taken() {
    let world = World::new();
    let one = pushed(&world, "one");
    world.kubectl(&["create", "namespace", world.namespace()]).ok();
    world.project.edit("k8s/shop.yaml", "image: shop\n", &format!("image: {one}\n"));
    world.kubectl(&["apply", "--server-side", "--field-manager=helm", "-f", "k8s/shop.yaml"]).ok();
    world.project.edit("k8s/shop.yaml", &format!("image: {one}\n"), "image: shop\n");
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 3");
    let refused = world.skep(&["deploy"]).code(14);
    refused.says("Deployment/shop").says("spec.replicas (owned by helm)");
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 2);
}

/// The images of honeyDue's services, by service, in the registry under a tag as a script would have pushed them.
fn images(app: &HoneyDue) -> BTreeMap<String, String> {
    let lines = app.skep(&["plan", "--output", "json"]).json();
    let plan = lines.iter().find(|line| line["type"] == "plan").expect("a plan is printed").clone();
    let deployments = plan["changes"].as_array().expect("a list").iter();
    let tagged = deployments.filter(|change| change["object"]["kind"] == "Deployment").map(|change| {
        let mut fields = change["fields"].as_array().expect("a list").iter();
        let spec = &fields.find(|field| field["path"] == "spec").expect("it is new")["to"];
        let image = spec["template"]["spec"]["containers"][0]["image"].as_str().expect("it runs an image");
        let tagged = format!("{}:script", image.split_once('@').expect("it is pinned").0);
        app.world().copy_image(image, &tagged);
        (change["object"]["name"].as_str().expect("a name").to_owned(), tagged)
    });
    tagged.collect()
}

/// What the deployment script of a team does that has no Skep: config and secrets, what the migration needs, the migration, the
/// services, and a `set image`.
fn honeydue_by_script(app: &HoneyDue) {
    const DIR: &str = "deploy-k3s";
    let images = images(app);
    let with_image = |file: &str, service: &str, name: &str| {
        app.edit(file, &format!("image: {name}\n"), &format!("image: {}\n", images[service]));
        app.kubectl(&["apply", "-f", file]).ok();
        app.edit(file, &format!("image: {}\n", images[service]), &format!("image: {name}\n"));
    };
    let applied = |made: Outcome| {
        app.write("made.yaml", &made.ok().stdout);
        app.kubectl(&["apply", "-f", "made.yaml"]).ok();
    };
    app.kubectl(&["apply", "-f", &format!("{DIR}/manifests/namespace.yaml")]).ok();
    let read = |file: &str| std::fs::read_to_string(app.dir().join(DIR).join(file)).expect("it was copied");
    let env: BTreeMap<String, String> = [read("prod.env"), read("local/local.env")]
        .concat()
        .lines()
        .filter_map(|line| line.split_once('=').filter(|_| !line.starts_with('#')))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let env: String = env.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    // Whoever wrote the script knew where hive's ingress is.
    let env = match app.world().is_hive() {
        true => env.replace(".localhost:8080", &format!(".localhost:{}", app.world().port())),
        false => env,
    };
    app.write("script.env", &env);
    let dry = ["--dry-run=client", "-o", "yaml"];
    let config = ["create", "configmap", "honeydue-config", "--from-env-file=script.env"];
    applied(app.kubectl(&[&config[..], &dry].concat()));
    let key = format!("--from-literal=SECRET_KEY={}", "0123456789abcdef".repeat(3));
    let by_hand =
        ["POSTGRES_PASSWORD", "B2_KEY_ID", "B2_APP_KEY"].map(|name| format!("--from-literal={name}=by-hand"));
    let by_hand: Vec<&str> = by_hand.iter().map(String::as_str).collect();
    let secret = ["create", "secret", "generic", "honeydue-secrets", &key];
    applied(app.kubectl(&[&secret[..], &by_hand, &dry].concat()));
    let secret = ["create", "secret", "generic", "honeydue-redis", "--from-literal=REDIS_PASSWORD=by-hand"];
    applied(app.kubectl(&[&secret[..], &dry].concat()));
    for keeper in ["postgres", "bucket"] {
        with_image(&format!("{DIR}/local/{keeper}/{keeper}.yaml"), keeper, keeper);
    }
    app.kubectl(&["apply", "-f", &format!("{DIR}/manifests/redis")]).ok();
    let redis = read("local/redis/deployment.yaml")
        .replace("image: redis\n", &format!("image: {}\n", images["redis"]));
    app.write("redis.yaml", &redis);
    app.kubectl(&["patch", "deployment", "redis", "--type=merge", "--patch-file=redis.yaml"]).ok();
    for needed in ["postgres", "redis"] {
        app.kubectl(&["rollout", "status", &format!("deployment/{needed}"), "--timeout=90s"]).ok();
    }
    with_image(&format!("{DIR}/manifests/migrate/job.yaml"), "api", "api");
    app.kubectl(&["wait", "--for=condition=complete", "--timeout=90s", "job/honeydue-migrate"]).ok();
    for service in ["api", "worker", "admin", "web"] {
        let folder = format!("{DIR}/manifests/{service}");
        // The file names the image by its key, which no registry knows: a moment later it is set.
        app.kubectl(&["apply", "-f", &folder]).ok();
        app.kubectl(&[
            "set",
            "image",
            &format!("deployment/{service}"),
            &format!("{service}={}", images[service]),
        ])
        .ok();
    }
    app.kubectl(&["apply", "-f", &format!("{DIR}/local/ingress")]).ok();
    for service in ["api", "worker", "admin", "web"] {
        app.kubectl(&["rollout", "status", &format!("deployment/{service}"), "--timeout=120s"]).ok();
    }
}

#[test]
fn honeydue_as_a_script_left_it_is_taken_over_with_its_data() {
    let app = HoneyDue::new();
    app.start_hive();
    honeydue_by_script(&app);
    let token = app.settle_in("Lake house");

    app.edit("deploy-k3s/prod.env", "Made with care for your house.", "Spring is here.");
    app.skep(&["plan"])
        .code(2)
        .says("adopts")
        .says("config honeydue-config (GREETING)")
        .never_says("drifted");
    app.skep(&["deploy"]).ok().says("honeydue v1 is live");
    assert!(app.page_of_api("one").contains("Spring is here."));
    app.skep(&["history"]).ok().says("v0").says("what ran before");
    app.skep(&["plan"]).ok().says("nothing to do");
    if !app.world().is_hive() {
        // Elsewhere the database's data lives as long as its pod, and a rollback never migrates.
        return;
    }
    assert_eq!(app.homes(&token), ["Lake house"], "the database's password was taken over");
    app.skep(&["rollback"]).ok().says("honeydue v2 is live");
    assert!(app.page_of_api("one").contains("Made with care for your house."));
    assert_eq!(app.homes(&token), ["Lake house"]);
}
