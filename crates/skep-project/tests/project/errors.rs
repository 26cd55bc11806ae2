//! Every kind of mistake, as the user sees it told.

use crate::folder::{Folder, rendered};

const HEAD: &str = "app: honeydue\nmanifests: deploy-k3s/manifests\n";

/// Loads `HEAD` and `rest` for `local`, and gives the rendered error.
fn told(rest: &str) -> String {
    told_in(&Folder::with(&format!("{HEAD}{rest}")), "local")
}

fn told_in(folder: &Folder, target: &str) -> String {
    match folder.load(target) {
        Ok(loaded) => panic!("loads: {loaded:?}"),
        Err(error) => rendered(&error),
    }
}

/// A bucket with these keys besides those that it must have.
fn bucket(rest: &str) -> String {
    format!(
        "bucket:\n  endpoint: http://127.0.0.1:9000\n  name: photos\n  key-id: {{ env: ID }}\n  key: {{ env: KEY }}\n{rest}"
    )
}

macro_rules! told {
    ($($name:ident: $told:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), $told);
        }
    )*};
}

told! {
    unknown_key: told("image:\n  api: {}\n");
    unknown_key_far_from_any: told("zzz: 1\n");
    unknown_key_below: told("images:\n  api:\n    native: { files: { /a: a }, entrypont: [/a] }\n");
    unknown_key_in_another_target: told("targets:\n  production:\n    kubeconfig: k\n    contxt: c\n");
    wrong_type: told("images:\n  api:\n    native:\n      files: { /a: a }\n      run: [cargo, build]\n");
    wrong_type_number: told("namespace: 7\n");
    wrong_type_in_an_override: told("targets:\n  local:\n    images:\n      api: { native: { base: x, env: [A] } }\n");
    bad_duration: told("migrate: { manifest: migrate/job.yaml, timeout: 10 }\n");
    bad_duration_unit: told("rollout:\n  no-progress: 3d\n");
    not_yaml: told("images:\n  api: { dockerfile: Dockerfile\nconfig: {}\n");
    bad_indent: told("images:\n  api:\n   native:\n      run: x\n    stage: y\n");
    duplicate_key: told("images:\n  api: {}\n  web: {}\n  api: {}\n");
    two_documents: told("---\napp: other\n");
    missing_manifests: told_in(&Folder::with("app: honeydue\n"), "local");
    empty_file: told_in(&Folder::with("# nothing yet\n"), "local");
    bad_app_name: told_in(&Folder::with("app: Honey_Due\nmanifests: x\n"), "local");
    bucket_rule_that_hides_what_is_kept: told(&bucket("  lifecycle: [{ prefix: f, days-to-hide: 7 }]\n  keep: [files/]\n"));
    bucket_two_rules_for_one_prefix: told(&bucket(
        "  lifecycle:\n    - { prefix: uploads/, days-to-hide: 7 }\n    - { prefix: uploads/, days-to-hide: 9 }\n"
    ));
    bucket_prefix_with_a_slash: told(&bucket("  lifecycle: [{ prefix: /uploads, days-to-hide: 7 }]\n"));
    bucket_days: told(&bucket("  lifecycle: [{ prefix: uploads/, days-to-hide: 7d }]\n"));
    bucket_every_origin: told(&bucket("  cors: [{ origins: ['*'], methods: [PUT] }]\n"));
    bucket_origin_with_a_path: told(&bucket("  cors: [{ origins: [https://example.com/app], methods: [PUT] }]\n"));
    bucket_origin_with_the_usual_port: told(&bucket("  cors: [{ origins: ['https://example.com:443'], methods: [PUT] }]\n"));
    bucket_method_in_small_letters: told(&bucket("  cors: [{ origins: [https://example.com], methods: [put] }]\n"));
    bucket_no_methods: told(&bucket("  cors: [{ origins: [https://example.com], methods: [] }]\n"));
    bucket_name: told("bucket:\n  endpoint: https://s3.example.com\n  name: up loads\n");
    no_such_folder: told_in(&Folder::with("app: a\nmanifests:\n- deploy-k3s/manifests\n- deploy-k3s/manifest\n"), "local");
    no_such_dockerfile: told("images:\n  api: { dockerfile: Dockerfile.api }\n");
    no_such_env_file: told("config:\n  honeydue-config:\n    env-files: [prod.env]\n");
    env_file_error: told_in(
        &Folder::with(&format!("{HEAD}secrets: {{ s: {{ env-files: s.env }} }}\n")).file("s.env", "A=1\nhunter2\n"),
        "local"
    );
    age_file: told("secrets: { s: { env-files: [secrets.env.age] } }\n");
    secret_literal: told("secrets:\n  s:\n    values:\n      TOKEN: hunter2\n");
    password_literal: told("registry: { url: r.example.com, username: a, password: hunter2 }\n\
                            targets: { p: { kubeconfig: k, context: c } }\n");
    secret_in_config: told_in(
        &Folder::with(&format!("{HEAD}config: {{ c: {{ env-files: c.env }} }}\nsecrets: {{ s: {{ generate: [KEY] }} }}\n"))
            .file("c.env", "KEY=hunter2\n"),
        "local"
    );
    variable_not_set: told("secrets: { s: { values: { T: { env: NOT_SET } } } }\n");
    unknown_target: told_in(&Folder::with(&format!("{HEAD}targets:\n  production: {{ kubeconfig: k, context: c }}\n")), "prodution");
    target_without_cluster: told("targets:\n  production: {}\n");
    target_without_registry: told_in(
        &Folder::with(&format!("{HEAD}images: {{ api: {{}} }}\ntargets: {{ p: {{ kubeconfig: k, context: c }} }}\n")),
        "p"
    );
    several_contexts: told_in(
        &Folder::with(&format!("{HEAD}targets:\n  p: {{ kubeconfig: k }}\n"))
            .file("k", "contexts: [{name: one}, {name: two}]\n"),
        "p"
    );
    native_and_dockerfile: told("images:\n  api: { dockerfile: Dockerfile, native: { base: x } }\n");
    empty_image: told("images:\n  api: { native: { run: make } }\n");
    relative_image_path: told("images:\n  api: { native: { files: { ./app: app } } }\n");
    entrypoint_as_a_sentence: told("images:\n  api: { native: { base: x, entrypoint: /app serve } }\n");
    bad_mode: told("images:\n  api: { native: { files: { /a: { from: a, mode: 0999 } } } }\n");
    bad_owner: told("images:\n  api: { native: { files: { /a: { from: a, owner: root } } } }\n");
    bad_platform: told("targets: { local: { platforms: [amd64] } }\n");
    bad_registry: told("registry: https://registry.example.com\ntargets: { p: { kubeconfig: k, context: c } }\n");
    bad_url: told("verify: [ api.example.com ]\n");
    only_key_not_there: told_in(
        &Folder::with(&format!("{HEAD}config: {{ c: {{ env-files: c.env, only: [A, B] }} }}\n")).file("c.env", "A=1\n"),
        "local"
    );
    generated_and_read: told_in(
        &Folder::with(&format!("{HEAD}secrets: {{ s: {{ env-files: c.env, generate: [A] }} }}\n")).file("c.env", "A=1\n"),
        "local"
    );
    no_skep_yaml: {
        let folder = Folder::with("");
        match folder.load_as("local", |request| request.root = "/nowhere".into()) {
            Ok(_) => panic!("loads"),
            Err(error) => rendered(&error),
        }
    };
}

/// Stands wherever a secret may.
const MARKER: &str = "hunter2";

/// Pieces of skep.yaml with a secret in them: as they should be, and one slip away from it.
const SECRETS: &[&str] = &[
    "secrets:\n  s:\n    values:\n      TOKEN: hunter2\n",
    "secrets: { s: { values: hunter2 } }\n",
    "secrets: { s: hunter2 }\n",
    "secrets: { s: { A: hunter2 } }\n",
    "secrets: { s: { A: hunter2, values: { B: { env: HOME } } } } # hunter2\n",
    "secrets:\n  s:\n    A: |\n      first\n      hunter2\n",
    "secrets:\n  s:\n    # hunter2\n    A: \"x\n      hunter2\"\n",
    "secrets: { s: { A:hunter2 } }\n",
    "images: { web: { secrets: { NPM_TOKEN: hunter2 } } }\n",
    "images:\n  web:\n    dockerfile: Dockerfile\n    secrets: hunter2\n",
    "secrets:\n  s:\n    values:\n      TOKEN:hunter2\n",
    "secrets:\n  s:\n    values:\n      TOKEN=hunter2: x\n",
    "secrets: { s: { values: [hunter2] } }\n",
    "secrets: { s: { values: { A: [hunter2], hunter_: { enw: hunter2 } } } }\n",
    "secrets: { s: { values: { A: { env: HOME, file: hunter2 } } } }\n",
    "secrets: { s: { values: { A: { env: HOME }, A: hunter2 } } }\n",
    "secrets: hunter2\n",
    "secrets: { hunter2 }\n",
    "secrets: { s: { hunter2 } }\n",
    "secrets: { s: { values: { hunter2 } } }\n",
    "secrets: [hunter2]\n",
    "secrets { s: hunter2 }\n",
    "secret: { s: { A: hunter2 } }\n",
    "secrets:\n  s:\n    values:\n      TOKEN: \"hunter2\n",
    "secrets:\n  s:\n    values:\n     TOKEN: hunter2\n    x: y\n   z: hunter2\n",
    "secrets:\n\ts: hunter2\n",
    "secrets: { s: { A: @hunter2 } }\n",
    "secrets: { s: { A: *hunter2 } }\n",
    "secrets: { s: { A: %hunter2 } }\nconfig: {\n",
    "secrets: { s: { A: !hunter2 7 } }\n",
    "x: &a hunter2\nsecrets: { s: { A: *a } }\n",
    "registry: { url: r.example.com, username: a, password: hunter2 }\n",
    "registry: { url: r.example.com, username: a, pasword: hunter2 }\n",
    "registry: { url: r.example.com, username: a, password: [hunter2] }\n",
    "registry: { url: r.example.com, username: [a], password: { env: HOME } } # hunter2\n",
    "registry: https://ann:hunter2@r.example.com\n",
    "registry: ann:hunter2@r.example.com\n",
    "registry: { url: r.example.com, username: a, password \"hunter2\" }\n",
    "bucket: { endpoint: https://s3.example.com, name: b-1, key-id: { env: HOME }, key: hunter2 }\n",
    "bucket: { endpoint: https://ann:hunter2@s3.example.com, name: b-1 }\n",
    "bucket: { endpoint: https://s3.example.com, name: b-1, secret-key: hunter2 }\n",
    "notify: hooks.example.com/hunter2\n",
    "notify: { url: hooks.example.com/hunter2 }\n",
    "notify: { url: https://hooks.example.com/hunter2, tmplate: x }\n",
    "recipients: [AGE-SECRET-KEY-1hunter2]\n",
    "recipients: hunter2\n",
    "verify: [ 'ftp://ann:hunter2@example.com' ]\n",
];

/// The error and its report, for a project where production is a cluster elsewhere.
fn report(text: &str, target: &str) -> Option<String> {
    let error = Folder::with(text).load(target).err()?;
    let json = serde_json::json!({ "error": error.to_string(), "hint": error.hint() });
    Some(format!("{}\n{json}\n{error:?}", rendered(&error)))
}

#[test]
fn malformed_secrets_are_never_shown() {
    let elsewhere = "targets: { p: { kubeconfig: k, context: c } }\n";
    let mut reported = 0;
    for rest in SECRETS {
        let lines: String = rest.lines().map(|line| format!("    {line}\n")).collect();
        let files = [
            (format!("{HEAD}{rest}{elsewhere}"), "p"),
            // Beside it, the same line holds something else that is wrong.
            (format!("{HEAD}image: {{}}\n{rest}{elsewhere}"), "p"),
            (format!("{HEAD}{rest}nowhere: 1\n{elsewhere}"), "local"),
            (format!("{HEAD}targets:\n  p:\n    kubeconfig: k\n    context: c\n{lines}"), "p"),
        ];
        for (text, target) in files {
            let Some(report) = report(&text, target) else { continue };
            reported += 1;
            assert!(!report.contains(MARKER), "{text}\n{report}");
        }
    }
    assert!(reported > 3 * SECRETS.len(), "{reported} of these are errors");
}

#[test]
fn damaged_project_file_never_shows_its_secrets() {
    let whole = "app: honeydue\nmanifests: deploy-k3s/manifests\nsecrets:\n  s:\n    values: { A: { env: HOME }, B: hunter2 }\n\
                 registry: { url: r.example.com, username: a, password: hunter2 }\ntargets: { p: { kubeconfig: k, context: c } }\n";
    let mut reported = 0;
    for (at, _) in whole.char_indices() {
        for piece in ["", "{", "}", "[", ":", "\"", "'", "\n", "\t", "&", "*", "|", "#", "!", "- ", "? "] {
            let text = format!("{}{piece}{}", &whole[..at], &whole[at + usize::from(piece.is_empty())..]);
            // A slip inside of the secret itself leaves its pieces.
            if text.matches(MARKER).count() < 2 {
                continue;
            }
            if let Some(report) = report(&text, "p") {
                reported += 1;
                assert!(!report.contains(MARKER), "{text}\n{report}");
            }
        }
    }
    assert!(reported > 1000, "{reported}");
}
