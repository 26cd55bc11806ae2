//! Config and secrets on their own way.

use skep_tests::{Outcome, World};

#[test]
fn changed_config_is_shipped_alone() {
    let world = World::new();
    world.skep(&["config", "apply"]).code(13).says("nothing is deployed yet").says("`skep deploy`");
    world.project.add_secret("TOKEN=first-secret\n");
    world.project.add_idle();
    world.project.edit("k8s/idle.yaml", ", { configMapRef: { name: shop-config } }", "");
    world.skep(&["deploy"]).ok();
    world.skep(&["config", "diff"]).ok().says("nothing differs");
    let idle = world.object("deployment", "idle")["spec"]["template"].clone();

    // What else changes in the folder is not shipped with it.
    world.project.write("release", "two\n");
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 3");
    world.project.write("shop.env", "GREETING=good evening\nCOLOUR=blue\n");
    let diff = world
        .skep(&["config", "diff"])
        .code(2)
        .says("restarts")
        .says("config shop-config (COLOUR, GREETING)");
    let diff = diff.says("data.GREETING").says("- hello").says("+ good evening").says("+ data.COLOUR: blue");
    diff.never_says("image of").never_says("replicas").never_says("idle");
    world.skep(&["config", "apply"]).ok().says("v2 is live").says("shop will restart");
    assert_eq!(world.get("/").as_deref(), Ok("good evening from one\n"));
    assert_eq!(world.object("deployment", "shop")["spec"]["replicas"], 2);
    assert_eq!(world.object("deployment", "idle")["spec"]["template"], idle, "idle does not read it");

    world.project.write("secrets.env", "TOKEN=second-secret\n");
    let diff = world.skep(&["config", "diff"]).code(2).says("secret shop-secrets (TOKEN)").says("data.TOKEN");
    diff.never_says("first-secret").never_says("second-secret");
    world.skep(&["config", "apply"]).ok().says("v3 is live");
    assert_ne!(world.object("deployment", "idle")["spec"]["template"], idle, "both read the Secret");
    world.skep(&["history"]).ok().says("secret shop-secrets").says("config shop-config (COLOUR, GREETING)");
    world.skep(&["rollback"]).ok().says("back to v2");
    assert_eq!(world.object("secret", "shop-secrets")["data"]["TOKEN"], "Zmlyc3Qtc2VjcmV0");
}

const AGENT: &str = "apiVersion: v1\nkind: Secret\nmetadata: { name: agent }\nstringData: { conf: \"token=TOKEN_PLACEHOLDER\" }\n---\napiVersion: v1\nkind: Service\nmetadata: { name: agent }\nspec: { selector: { app: shop }, ports: [{ port: 90, targetPort: 8000 }] }\n";

#[test]
fn a_placeholder_is_replaced_or_its_optional_file_is_left_out_and_nothing_of_it_removed() {
    let world = World::new();
    let substitute = "substitute: { TOKEN_PLACEHOLDER: { from: prod.env, key: INGEST_TOKEN } }\n";
    world.project.append("skep.yaml", substitute);
    world.project.write("k8s/agent.yaml", AGENT);
    let refused = world.skep(&["deploy"]).code(10).says("k8s/agent.yaml:4").says("INGEST_TOKEN of prod.env");
    refused.says("which is missing").says("when-missing: skip-file");

    world.project.write("prod.env", "INGEST_TOKEN=open-sesame\n");
    let deployed = world.skep(&["deploy", "--output", "json"]).ok();
    deployed.never_says("open-sesame").never_says("b3Blbi1zZXNhbWU");
    assert_eq!(world.object("secret", "agent")["data"]["conf"], "dG9rZW49b3Blbi1zZXNhbWU=");
    world.skep(&["plan"]).ok();

    // Without the value the file is left out, and what it has shipped stays.
    world.project.edit("skep.yaml", "key: INGEST_TOKEN }", "key: INGEST_TOKEN, when-missing: skip-file }");
    world.project.remove("prod.env");
    world.project.write("release", "two\n");
    world.skep(&["deploy"]).ok().says("warning: k8s/agent.yaml is left out").never_says("removed");
    world.object("service", "agent");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    world.project.write("release", "three\n");
    world.skep(&["deploy"]).ok().never_says("removed");
    world.object("service", "agent");
    world.object("secret", "agent");

    // What an object is known by is no place for a secret, nor is a ConfigMap of the project's for one that is substituted.
    world.project.write("prod.env", "INGEST_TOKEN=open-sesame\n");
    world.project.edit(
        "k8s/agent.yaml",
        "metadata: { name: agent }\nspec",
        "metadata: { name: agent, labels: { a: TOKEN_PLACEHOLDER } }\nspec",
    );
    world.skep(&["deploy"]).code(10).says("k8s/agent.yaml:8").says("known by");
    world.project.edit("k8s/agent.yaml", ", labels: { a: TOKEN_PLACEHOLDER }", "");
    world.project.edit("skep.yaml", "env-files: [shop.env]", "env-files: [shop.env, prod.env]");
    world.skep(&["deploy"]).code(10).says("INGEST_TOKEN").says("except");
}

const PROXY: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: proxy }
data: { conf: "bearer TOKEN_PLACEHOLDER" }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: proxy, annotations: { upstream: "https://u:TOKEN_PLACEHOLDER@example.com" } }
spec:
  selector: { matchLabels: { app: proxy } }
  template:
    metadata: { labels: { app: proxy } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: proxy
        image: shop
        env:
        - { name: TOKEN, value: TOKEN_PLACEHOLDER }
        - { name: CONF, valueFrom: { configMapKeyRef: { name: proxy, key: conf } } }
"#;

#[test]
fn a_placeholder_outside_a_secret_is_filled_in_the_cluster_and_shown_recorded_and_saved_nowhere() {
    let world = World::new();
    world
        .project
        .append("skep.yaml", "substitute: { TOKEN_PLACEHOLDER: { from: prod.env, key: INGEST_TOKEN } }\n");
    world.project.write("k8s/proxy.yaml", PROXY);
    world.project.write("prod.env", "INGEST_TOKEN=open-sesame\n");
    // In the clear, and as the base64 of a Secret begins.
    let silent = |outcome: Outcome| {
        outcome.never_says("-sesame").never_says("b3Blbi1zZXNhbW").never_says("Y2xvc2Utc2VzYW1")
    };
    let env = || {
        let proxy = world.object("deployment", "proxy");
        let container = &proxy["spec"]["template"]["spec"]["containers"][0];
        (container["env"][0]["value"].clone(), proxy["metadata"]["annotations"]["upstream"].clone())
    };
    silent(world.skep(&["deploy", "--output", "json"])).ok();
    assert_eq!(env(), ("open-sesame".into(), "https://u:open-sesame@example.com".into()));
    assert_eq!(world.object("configmap", "proxy")["data"]["conf"], "bearer open-sesame");
    silent(world.skep(&["plan"])).ok().says("nothing to do");
    silent(world.skep(&["show"])).ok();

    // Another value: who reads it starts again, and neither the old nor the new one is seen.
    world.project.write("prod.env", "INGEST_TOKEN=close-sesame\n");
    let diff = silent(world.skep(&["diff"])).code(2).says("TOKEN_PLACEHOLDER").says("(hidden)");
    diff.says("env[TOKEN]");
    silent(world.skep(&["plan", "--out", "saved.json"])).code(2);
    let saved = std::fs::read_to_string(world.project.dir().join("saved.json")).expect("a plan");
    assert!(saved.contains("TOKEN_PLACEHOLDER") && !saved.contains("sesame"), "{saved}");
    let deployed = silent(world.skep(&["deploy", "--plan", "saved.json"])).ok().says("proxy will restart");
    deployed.never_says("shop will restart");
    assert_eq!(env(), ("close-sesame".into(), "https://u:close-sesame@example.com".into()));
    assert_eq!(world.object("configmap", "proxy")["data"]["conf"], "bearer close-sesame");
    let record = world.record(2);
    assert!(record.contains("bearer TOKEN_PLACEHOLDER") && !record.contains("sesame"), "{record}");

    // Another service alone leaves it as it is, and an earlier release has its own value again.
    world.project.write("prod.env", "INGEST_TOKEN=third-sesame\n");
    world.project.write("release", "two\n");
    world.skep(&["deploy", "shop"]).ok();
    assert_eq!(env().0, "close-sesame");
    silent(world.skep(&["rollback", "v1"])).ok();
    assert_eq!(env(), ("open-sesame".into(), "https://u:open-sesame@example.com".into()));
    assert_eq!(world.object("configmap", "proxy")["data"]["conf"], "bearer open-sesame");
    silent(world.skep(&["rollback", "v2", "--service", "proxy"])).ok();
    assert_eq!(env().0, "close-sesame");

    // What the API quotes in a refusal is hidden too.
    world.project.edit(
        "k8s/proxy.yaml",
        "terminationGracePeriodSeconds: 0",
        "terminationGracePeriodSeconds: 0\n      restartPolicy: TOKEN_PLACEHOLDER",
    );
    silent(world.skep(&["deploy"])).code(14).says("restartPolicy").says("***");
}

/// A ConfigMap or Secret may be named as a version is: only what releases know as versions is treated as one.
#[test]
fn config_apply_leaves_foreign_dated_names_alone() {
    let world = World::new();
    world.project.add_secret("TOKEN=first\n");
    for kind in ["configmap", "secret generic"] {
        let mut arguments = vec!["create"];
        arguments.extend(kind.split(' '));
        let name = if kind == "configmap" { "shop-config-20240115" } else { "shop-secrets-20240115" };
        world.skep(&["deploy"]).ok();
        arguments.extend([name, "--from-literal=THEIRS=1"]);
        world.kubectl(&arguments).ok();
    }
    world.project.edit(
        "k8s/shop.yaml",
        "envFrom: [",
        "envFrom: [{ configMapRef: { name: shop-config-20240115 } }, { secretRef: { name: shop-secrets-20240115 } }, ",
    );
    world.skep(&["deploy"]).ok();
    world.project.write("shop.env", "GREETING=good evening\n");
    world.project.write("secrets.env", "TOKEN=second\n");
    world.skep(&["config", "apply"]).ok();
    let pod = world.object("deployment", "shop")["spec"]["template"].to_string();
    assert!(pod.contains("shop-config-20240115") && pod.contains("shop-secrets-20240115"), "{pod}");
    world.skep(&["plan"]).ok().says("nothing to do");
    world.skep(&["rollback"]).ok();
    world.skep(&["history"]).ok().says("config shop-config (GREETING)");
}

#[test]
fn set_with_a_dated_name_shows_its_fields() {
    let world = World::new();
    world.project.edit(
        "skep.yaml",
        "config: { shop-config:",
        "config: { shop-20240115: { values: { B: z } }, shop-config:",
    );
    world.project.edit(
        "k8s/shop.yaml",
        "envFrom: [",
        "envFrom: [{ configMapRef: { name: shop-20240115 } }, ",
    );
    world.skep(&["deploy"]).ok();
    world.project.edit("skep.yaml", "B: z", "B: zz");
    world.skep(&["config", "diff"]).code(2).says("data.B").says("- z").says("config shop-20240115 (B)");
    world.skep(&["config", "apply"]).ok();
    world.skep(&["plan"]).ok().says("nothing to do");
}
