//! `skep init`: a folder that was shipped by a script, and one that never was.

use skep_tests::World;

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: NAME }
spec:
  selector: { matchLabels: { app: NAME } }
  template:
    metadata: { labels: { app: NAME } }
    spec:
      imagePullSecrets: [{ name: registry-credentials }]
      containers:
        - name: NAME
          image: registry.example.com/admin/honeydue-NAME:latest
          envFrom: [{ configMapRef: { name: honeydue-config } }]
          env:
            - { name: SECRET_KEY, valueFrom: { secretKeyRef: { name: honeydue-secrets, key: SECRET_KEY } } }
";

const AGENT: &str = "\
apiVersion: v1
kind: Secret
metadata: { name: vmagent }
stringData: { token: TOKEN_PLACEHOLDER }
---
apiVersion: v1
kind: Service
metadata: { name: vmagent }
spec: { selector: { app: vmagent }, ports: [{ port: 80 }] }
";

#[test]
fn a_folder_that_a_script_shipped_is_carried_over() {
    let Some(world) = World::on_hive("it needs no cluster but one for `skep check`") else { return };
    let project = &world.project;
    for file in ["skep.yaml", "k8s/shop.yaml", "k8s/traffic.yaml", "shop.env"] {
        project.remove(file);
    }
    project.write("Dockerfile", "FROM scratch AS build\nCOPY . /\nFROM build AS api\nFROM build AS worker\n");
    project.write(
        "deploy-k3s/config.yaml",
        "# facts\nregistry:\n  url: registry.example.com/admin\n  username: admin\ncluster:\n  kubeconfig: ~/.kube/honeydue.yaml\n  context: honeydue\n",
    );
    project.write(
        "deploy-k3s/manifests/namespace.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: { name: honeydue }\n",
    );
    for name in ["api", "worker"] {
        project.write(
            &format!("deploy-k3s/manifests/{name}/deployment.yaml"),
            &DEPLOYMENT.replace("NAME", name),
        );
    }
    project.write(
        "deploy-k3s/manifests/migrate/job.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: { name: honeydue-migrate }\nspec: { template: { spec: { containers: [{ name: migrate, image: registry.example.com/admin/honeydue-api:latest }] } } }\n",
    );
    project.write("deploy-k3s/manifests/observability/vmagent.yaml", AGENT);
    project.write("deploy-k3s/manifests/b2-lifecycle.md", "# a rule\n");
    project.write("deploy/prod.env", "PORT=8000\nSECRET_KEY=s3cret\nOBS_INGEST_TOKEN=t0ken\n");
    project.write(
        "deploy/registry.env",
        "REGISTRY=registry.example.com\nREGISTRY_USERNAME=admin\nREGISTRY_TOKEN=r3g\n",
    );
    project.write("deploy/scripts/deploy_prod.sh", "docker stack deploy --with-registry-auth honeydue\n");
    project.write("migrations/00001_init.sql", "-- +goose Up\nCREATE TABLE a (b int);\n");

    let said = world.skep(&["init"]).ok().says("wrote skep.yaml").says("1 Dockerfile, 2 env files");
    said.says("deploy/scripts/deploy_prod.sh: unused").never_says("s3cret").never_says("r3g");
    let yaml = std::fs::read_to_string(project.dir().join("skep.yaml")).expect("it was written");
    let expected = "\
app: honeydue
registry: { url: registry.example.com/admin, username: admin, password: { env-file: deploy/registry.env, key: REGISTRY_TOKEN } }
images:
  api: { stage: api }
  worker: { stage: worker }
manifests: deploy-k3s/manifests
config:
  honeydue-config: { env-files: [deploy/prod.env], except: [OBS_INGEST_TOKEN, SECRET_KEY] }
secrets:
  honeydue-secrets: { env-files: [deploy/prod.env], only: [SECRET_KEY] }
substitute:
  TOKEN_PLACEHOLDER: { from: deploy/prod.env, key: OBS_INGEST_TOKEN, when-missing: skip-file }
migrate: { manifest: deploy-k3s/manifests/migrate/job.yaml, files: migrations }
targets:
  production: { kubeconfig: ~/.kube/honeydue.yaml, context: honeydue }
";
    assert_eq!(yaml, expected);
    world.skep(&["init"]).code(1).says("is there already").says("`skep check`");

    // It works: what is left to say is advice.
    project.edit("skep.yaml", "targets:\n", "targets:\n  local: { registry: }\n");
    for name in ["api", "worker"] {
        let file = format!("deploy-k3s/manifests/{name}/deployment.yaml");
        project.edit(&file, &format!("registry.example.com/admin/honeydue-{name}:latest"), name);
    }
    project.edit(
        "deploy-k3s/manifests/migrate/job.yaml",
        "registry.example.com/admin/honeydue-api:latest",
        "api",
    );
    world.skep(&["check"]).ok().says("warning: ").never_says("error: ");

    world.skep(&["init", "--ci", "gitea"]).ok().says(".gitea/workflows/skep.yaml");
    world.skep(&["init", "--ci", "github"]).ok().says(".github/workflows/skep.yaml");
    let workflow =
        std::fs::read_to_string(project.dir().join(".github/workflows/skep.yaml")).expect("written");
    for line in [
        "skep check -t staging",
        "skep deploy -t staging",
        "skep promote staging production",
        "sha256sum --check",
    ] {
        assert!(workflow.contains(line), "{line}\n{workflow}");
    }
    world.skep(&["init", "--ci", "github"]).code(1).says("is there already");
}

#[test]
fn a_folder_with_manifests_and_a_dockerfile_needs_nothing_more() {
    let world = World::without_hive();
    let project = &world.project;
    project.remove("skep.yaml");
    project.write("Dockerfile", "FROM scratch\nCOPY release /release\n");
    let said = world.skep(&["init"]).ok().says("found 3 objects in 1 place, 1 Dockerfile, 1 env file");
    said.says("for a cluster elsewhere add `targets:");
    let yaml = std::fs::read_to_string(project.dir().join("skep.yaml")).expect("it was written");
    assert_eq!(
        yaml,
        "app: shop\nimages:\n  shop: { dockerfile: Dockerfile }\nmanifests: k8s\nconfig:\n  shop-config: { env-files: [shop.env] }\nverify: [http://shop.localhost:8080/]\n"
    );
    project.remove("skep.yaml");
    project.remove("k8s/shop.yaml");
    project.remove("k8s/traffic.yaml");
    project.write(
        "compose.yaml",
        "services:\n  web:\n    build: .\n  db:\n    image: postgres:17\nvolumes: {}\n",
    );
    world.skep(&["init"]).ok().says("compose.yaml: web, db").says("no Kubernetes manifests were found");
}
