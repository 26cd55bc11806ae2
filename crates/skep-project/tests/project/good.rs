//! What loads, and what it means.

use std::{path::PathBuf, time::Duration};

use skep_model::{Build, Cluster, Platform, Project};

use crate::folder::{Folder, ROOT};

pub(crate) const HONEYDUE: &str = r#"
app: honeydue
registry: { url: registry.example.com/admin, username: admin, password: { env: REGISTRY_TOKEN } }
platforms: [linux/amd64]
images:
  api: { dockerfile: Dockerfile, stage: api, args: { VERSION: 1.10 } }
  web: { context: ../honeydue-web, dockerfile: Dockerfile }
manifests: deploy-k3s/manifests
config: { honeydue-config: { env-files: [deploy-k3s/prod.env], except: [OBS_INGEST_TOKEN], values: { MODE: on } } }
secrets:
  honeydue-secrets:
    env-files: [deploy-k3s/secrets.env]
    values: { APNS_KEY: { env: APNS_KEY }, PEM: { file: ~/key.pem }, OBS: { env-file: deploy-k3s/prod.env, key: OBS_INGEST_TOKEN } }
migrate: { manifest: migrate/job.yaml, timeout: 5m }
rollout: { no-progress: 1h30m }
verify: [ { url: https://api.example.com/api/health/, within: 30s } ]
keep-releases: 5
targets:
  production: { kubeconfig: ~/.kube/honeydue.yaml, context: honeydue }
  local:
    manifests: [deploy-k3s/manifests, deploy-k3s/local]
    images:
      api:
        native:
          run: cargo build --release -p honeydue-api
          files: { /app/api: target/release/honeydue-api, /app/run.sh: { from: run.sh, mode: 0750, owner: 1000:1000 } }
          libraries: [libnss_dns.so.2]
          entrypoint: [/app/api]
          env: { DEBUG: 1 }
          user: 1000
    config: { honeydue-config: { values: { MODE: local } } }
    secrets: { honeydue-secrets: { generate: [SECRET_KEY, POSTGRES_PASSWORD] } }
    migrate: { needs: [postgres] }
    verify: [ http://api.localhost:8080/api/health/ ]
"#;

fn honeydue(target: &str) -> Project {
    Folder::with(HONEYDUE)
        .file("deploy-k3s/prod.env", "PORT=8000\nMODE=off\nOBS_INGEST_TOKEN=t0\n")
        .file("deploy-k3s/secrets.env", "SECRET_KEY='s3'\n")
        .file("../key.pem", "never read: not under home")
        .file("/home/ann/key.pem", "-----BEGIN\n-----END\n")
        .load(target)
        .unwrap_or_else(|error| panic!("{error}"))
        .project
}

#[test]
fn production_is_the_file_with_its_cluster() {
    let project = honeydue("production");
    assert_eq!(project.namespace, "honeydue");
    assert_eq!(
        project.cluster,
        Cluster::Kubeconfig {
            path: "/home/ann/.kube/honeydue.yaml".into(),
            context: Some("honeydue".into())
        }
    );
    let registry = project.registry.expect("named");
    assert_eq!(registry.url, "registry.example.com/admin");
    assert_eq!(registry.credentials.expect("named").password.as_deref(), Some("the registry's"));
    assert_eq!(project.platforms, ["linux/amd64".parse::<Platform>().expect("valid")]);
    let Build::Docker(api) = &project.images["api"].build else { panic!("{:?}", project.images) };
    assert_eq!((api.stage.as_deref(), api.args["VERSION"].as_str()), (Some("api"), "1.10"));
    assert_eq!(project.images["web"].context, PathBuf::from(ROOT).join("../honeydue-web"));
    assert_eq!(project.manifests, [PathBuf::from(ROOT).join("deploy-k3s/manifests")]);
    let config = &project.config["honeydue-config"].values;
    assert_eq!(format!("{config:?}"), r#"{"MODE": "on", "PORT": "8000"}"#);
    let secrets = &project.secrets["honeydue-secrets"].values;
    assert_eq!(secrets["APNS_KEY"], "from the environment");
    assert_eq!(secrets["PEM"], "-----BEGIN\n-----END");
    assert_eq!((secrets["OBS"].as_str(), secrets["SECRET_KEY"].as_str()), ("t0", "s3"));
    let migrate = project.migrate.expect("named");
    assert_eq!((migrate.timeout, migrate.needs.len()), (Duration::from_secs(300), 0));
    assert_eq!(project.rollout.no_progress, Duration::from_secs(5400));
    assert_eq!(project.verify[0].within(), Duration::from_secs(30));
    assert_eq!(project.keep_releases, 5);
}

#[test]
fn local_overrides_key_by_key() {
    let project = honeydue("local");
    assert_eq!(project.cluster, Cluster::Hive);
    assert_eq!(project.registry, None);
    assert_eq!(project.platforms, [Platform::host()]);
    assert_eq!(project.manifests.len(), 2);
    let Build::Native(api) = &project.images["api"].build else { panic!("{:?}", project.images) };
    let run = &api.files["/app/run.sh"];
    assert_eq!((run.mode, run.owner), (Some(0o750), Some((1000, 1000))));
    assert_eq!(run.from, PathBuf::from(ROOT).join("run.sh"));
    assert_eq!(api.libraries, [PathBuf::from("libnss_dns.so.2")]);
    assert_eq!((api.user.as_deref(), api.env["DEBUG"].as_str()), (Some("1000"), "1"));
    assert!(matches!(project.images["web"].build, Build::Docker(_)));
    // A set is replaced whole: production's env files are not needed here.
    assert_eq!(format!("{:?}", project.config["honeydue-config"].values), r#"{"MODE": "local"}"#);
    let secrets = &project.secrets["honeydue-secrets"];
    assert_eq!((secrets.values.len(), secrets.generate.len()), (0, 2));
    let migrate = project.migrate.expect("inherited");
    assert_eq!((migrate.timeout, migrate.needs), (Duration::from_secs(300), vec!["postgres".to_owned()]));
    assert_eq!(project.verify[0].to_string(), "http://api.localhost:8080/api/health/");
}

#[test]
fn five_lines_are_enough() {
    let text = "app: hello\n\
                images:\n  \
                web: { native: { files: { /app: ./app }, entrypoint: [/app/hello] } }\n\
                manifests: deploy-k3s/manifests\n";
    let project = Folder::with(text).load("local").unwrap_or_else(|error| panic!("{error}")).project;
    let Build::Native(web) = &project.images["web"].build else { panic!("{:?}", project.images) };
    assert_eq!(web.files["/app"].from, PathBuf::from(ROOT).join("app"));
    assert_eq!(project.keep_releases, 10);
    assert!(project.verify.is_empty());
}

#[test]
fn local_is_not_verified_by_what_production_answers() {
    let text = "app: a\nmanifests: deploy-k3s/manifests\nverify: ['https://api.example.com/', 'http://[::1]:8080/', \
                'http://web.localhost:8080']\n";
    let verify = Folder::with(text).load("local").expect("valid").project.verify;
    let urls: Vec<String> = verify.iter().map(ToString::to_string).collect();
    assert_eq!(urls, ["http://[::1]:8080/", "http://web.localhost:8080"]);
}

#[test]
fn without_contents_no_other_file_is_needed() {
    let project = Folder::with(HONEYDUE)
        .load_as("production", |request| {
            request.reads = skep_project::Reads::Address;
            request.environment.clear();
        })
        .unwrap_or_else(|error| panic!("{error}"))
        .project;
    assert!(project.secrets["honeydue-secrets"].values.is_empty());
    assert!(project.config["honeydue-config"].values.is_empty());
}

#[test]
fn a_kubeconfig_with_one_context_needs_no_more() {
    let text = "app: a\nmanifests: deploy-k3s/manifests\ntargets: { far: { kubeconfig: one.yaml } }\n";
    let one = "contexts:\n- name: only\n  context: {}\n";
    let project = Folder::with(text).file("one.yaml", one).load("far").expect("valid").project;
    let path = PathBuf::from(ROOT).join("one.yaml");
    assert_eq!(project.cluster, Cluster::Kubeconfig { path, context: None });
}

#[test]
fn warnings_name_their_file() {
    let text = "app: a\nmanifests: deploy-k3s/manifests\nconfig: { c: { env-files: c.env } }\n";
    let loaded = Folder::with(text).file("c.env", "A=1\nA=2\n").load("local").expect("valid");
    assert_eq!(
        loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["/home/ann/honeydue/c.env: `A` is given twice, on line 1 and line 2; the last one is used"]
    );
}

#[test]
fn anchors_merge_keys_bom_and_crlf() {
    let text = "\u{feff}app: a\r\nmanifests: &m deploy-k3s/manifests\r\nimages:\r\n  \
                one: &one { native: { base: debian, env: { A: x } } }\r\n  two: { <<: *one }\r\n\
                targets: { t: { kubeconfig: k, context: c, registry: r.io/x, manifests: [*m] } }\r\n";
    let project = Folder::with(text).load("t").unwrap_or_else(|error| panic!("{error}")).project;
    assert_eq!(project.images["one"], project.images["two"]);
    assert_eq!(project.manifests.len(), 1);
}

#[test]
fn nothing_written_over_a_key_takes_it_away() {
    let text = "app: a\nmanifests: deploy-k3s/manifests\nmigrate: { manifest: migrate/job.yaml }\n\
                targets: { local: { migrate: } }\n";
    assert_eq!(Folder::with(text).load("local").expect("valid").project.migrate, None);
}
