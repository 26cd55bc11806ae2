//! Verify: what proves that a release works, and what is said when it doesn't though every pod is ready.

use std::{fs, net::TcpListener, path::Path, process::Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use skep_tests::{Outcome, World};

const NEEDS_INGRESS: &str = "its URLs need an Ingress controller";

/// The shop, with more lines in its skep.yaml.
fn with(world: &World, lines: &str) {
    world.project.edit("skep.yaml", "\nconfig:", &format!("\n{lines}\nconfig:"));
}

#[test]
fn a_path_that_nothing_serves_is_named_beside_the_probe_that_passes() {
    let Some(world) = World::on_hive(NEEDS_INGRESS) else { return };
    world.skep(&["deploy"]).ok();
    with(&world, "verify: [{ url: \"http://shop.localhost:8080/api/health\", within: 2s }]");
    world.project.write("release", "two\n");
    let failed = world.skep(&["deploy"]).code(30);
    failed
        .says("/api/health does not answer well: 404")
        .says("Ingress/shop takes / of shop.localhost to Service/shop port 80, which is port http of Deployment/shop")
        .says("its readiness probe asks /ready on port http, and passes")
        .says("the missing path is /api/health")
        .says("hint: serve /api/health, or correct the path in `verify` or in Ingress/shop")
        // v1 was not asked for that path when it was shipped, and is not now.
        .says("v1 runs again, as v3");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
}

#[test]
fn a_host_that_no_ingress_knows_is_named_with_those_that_it_does() {
    let Some(world) = World::on_hive(NEEDS_INGRESS) else { return };
    with(&world, "verify: [{ url: \"http://other.localhost:8080/\", within: 1s }]");
    world
        .skep(&["deploy"])
        .code(20)
        .says("no Ingress of this app has a rule for other.localhost/; there are rules for shop.localhost")
        .says("nothing was put back: no release before this one went well");
}

#[test]
fn an_answer_is_judged_by_its_status_its_body_and_its_time_and_every_bad_one_is_told() {
    let Some(world) = World::on_hive(NEEDS_INGRESS) else { return };
    let url = "url: \"http://shop.localhost:8080/\", within: 1s";
    with(&world, &format!("verify: [{{ {url}, status: 200, body: \"hello from\", faster-than: 5s }}]"));
    world.skep(&["deploy"]).ok().says("1 URL answers");
    let all = format!(
        "[{{ {url}, status: [201, 204] }}, {{ {url}, body: \"good bye\" }}, {{ {url}, faster-than: 1ms, body: h }}, {{ {url} }}]"
    );
    world.project.edit(
        "skep.yaml",
        &format!("[{{ {url}, status: 200, body: \"hello from\", faster-than: 5s }}]"),
        &all,
    );
    world.project.write("release", "two\n");
    let failed = world.skep(&["deploy", "--no-restore"]).code(20);
    let failed = failed
        .says(", not 201 or 204, for 1 s")
        .says(", without `good bye` in its body: `hello from two`, for 1 s");
    assert!(
        !failed
            .stderr
            .contains("error: verify: http://shop.localhost:8080/ does not answer well: 200 in 0 ms, for")
    );
}

#[test]
fn a_command_must_end_well_and_runs_with_the_settings_of_its_service() {
    let world = World::new();
    with(
        &world,
        "verify: [{ run: shop, command: [/busybox, sh, -c, 'test $GREETING = hello'], within: 30s }]",
    );
    world.project.edit("skep.yaml", "/release: release }", "/release: release, /busybox: /bin/busybox }");
    world
        .skep(&["deploy"])
        .ok()
        .says("shop: /busybox sh -c test $GREETING = hello: ended well")
        .says("1 check passes");
    world.project.write("shop.env", "GREETING=nothing\n");
    world.project.edit(
        "skep.yaml",
        "test $GREETING = hello'], within: 30s",
        "echo $GREETING; exit 9'], within: 5s",
    );
    world
        .skep(&["deploy"])
        .code(30)
        .says("shop: /busybox sh -c echo $GREETING; exit 9 does not answer well: ended with 9: nothing")
        .says("hint: `skep run shop -- ")
        .says("v1 runs again");
    assert!(world.objects("jobs").is_empty(), "each is removed");
    world.project.edit("skep.yaml", "run: shop", "run: shob");
    world.skep(&["check"]).code(11).says("`verify` runs a command in `shob`, and no workload");
}

#[test]
fn during_the_soak_a_container_that_ends_or_falls_ill_fails_the_release() {
    let world = World::new();
    with(&world, "rollout: { soak: 2s }");
    world.skep(&["deploy"]).ok().says("steady for 2 s");
    world.project.edit("skep.yaml", "soak: 2s", "soak: 10s");
    world.project.write("release", "leaves 4\n");
    world
        .skep(&["deploy"])
        .code(30)
        .says("Deployment/shop did not stay well: ")
        .says("it ended once with exit code 5 (Error): panic: it was not meant to last")
        .says("v1 runs again, as v3");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    world.project.write("release", "sickens 4\n");
    let failed = world.skep(&["deploy", "--no-restore", "--output", "json"]).code(20);
    let error = failed.json().pop().expect("an error");
    assert_eq!(error["causes"][0]["cause"], "went-unready", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("statuscode: 503")), "{error}");
}

/// Any program's HTTPS server with this certificate, and the port that it has.
fn serve_https(folder: &Path) -> (std::process::Child, u16) {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let server = format!(
        "import http.server, ssl\ncontext = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\ncontext.load_cert_chain('cert.pem', 'key.pem')\n\
         server = http.server.HTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler)\n\
         server.socket = context.wrap_socket(server.socket, server_side=True)\nserver.serve_forever()\n"
    );
    let mut python = std::process::Command::new("timeout");
    let python = python.args(["120", "python3", "-c", &server]).current_dir(folder);
    (python.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("python3 starts"), port)
}

#[test]
fn a_certificate_that_ends_soon_is_told_with_its_days() {
    let world = World::new();
    let folder = world.project.dir().join("tls");
    fs::create_dir(&folder).expect("it can be made");
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().expect("a key")).expect("a root");
    let mut leaf = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    leaf.not_after =
        (std::time::SystemTime::now() + std::time::Duration::from_secs(10 * 24 * 3600 + 600)).into();
    let key = KeyPair::generate().expect("a key");
    let leaf = leaf.signed_by(&key, &root).expect("a certificate");
    fs::write(folder.join("cert.pem"), leaf.pem()).expect("it can be written");
    fs::write(folder.join("key.pem"), key.serialize_pem()).expect("it can be written");
    fs::write(folder.join("root.pem"), root.pem()).expect("it can be written");
    let (mut server, port) = serve_https(&folder);
    let deploy = |days: u32| {
        let check = format!(
            "verify: [{{ url: \"https://localhost:{port}/\", certificate-days: {days}, within: 5s }}]"
        );
        world.project.write("skep.yaml", &format!("{}{check}\n", without_verify(&world)));
        let mut deploy = world.command(&["deploy"]);
        Outcome::of(deploy.env("SSL_CERT_FILE", folder.join("root.pem")))
    };
    deploy(9).ok().says("1 URL answers");
    world.project.write("release", "two\n");
    deploy(30).code(30).says("and its certificate ends in 10 days, before 30");
    server.kill().expect("it was started");
    server.wait().expect("it was started");
}

fn without_verify(world: &World) -> String {
    let text = fs::read_to_string(world.project.dir().join("skep.yaml")).expect("it is there");
    text.lines().filter(|line| !line.starts_with("verify:")).map(|line| format!("{line}\n")).collect()
}
