//! Native images, unpacked and run under chroot, pushed to Debian's docker-registry and read by skopeo.

#[expect(dead_code, reason = "the registry client's tests use the rest")]
#[path = "../../skep-registry/tests/support/mod.rs"]
mod support;
mod workshop;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use skep_image::{BuildError, Compression, RunFailure, Runs};
use skep_model::{Build, DockerBuild, Event, LaidPath, NativeBuild};
use skep_registry::OnBytes;
use support::{DockerRegistry, skopeo};
use workshop::{Workshop, chroot, laid};

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_runs_in_an_image_of_nothing_but_what_it_needs() {
    let shop = Workshop::new();
    let spec = NativeBuild {
        files: [("/bin/sh".to_owned(), laid("/bin/sh")), ("/usr/bin/ls".to_owned(), laid("/bin/ls"))].into(),
        // As with a program that an entrypoint's script starts, and a library that one opens by its name.
        libraries: vec!["/bin/bash".into(), "libnss_dns.so.2".into()],
        entrypoint: vec!["/bin/sh".to_owned()],
        user: Some("1000:1000".to_owned()),
        ..NativeBuild::default()
    };
    let built = shop.build(spec).await.expect("built");
    let root = shop.unpack(&built);
    assert_eq!(fs::metadata(root.path().join("tmp")).expect("/tmp").mode() & 0o7777, 0o1777);
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).expect("/etc/passwd");
    assert!(passwd.contains("\napp:x:1000:1000:"), "{passwd}");
    assert_eq!(chroot(&root, &["/bin/sh", "-c", "echo ok"]), "ok\n");
    assert_eq!(chroot(&root, &["/bin/bash", "-c", "echo $((6 * 7))"]), "42\n");
    let found = "/usr/bin/ls /lib/libnss_dns.so.2 /lib/*/libnss_dns.so.2 2>/dev/null || true";
    assert!(chroot(&root, &["/bin/sh", "-c", found]).contains("libnss_dns.so.2"));
    assert!(
        chroot(&root, &["/usr/bin/ls", "/"]).contains("nsswitch")
            || root.path().join("etc/nsswitch.conf").exists()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn libraries_beside_the_program_are_laid_beside_it() {
    let shop = Workshop::new();
    shop.write("greet.c", "const char *greet(void) { return \"hello\"; }\n");
    shop.write(
        "app.c",
        "#include <stdio.h>\nconst char *greet(void);\nint main(void) { puts(greet()); return 0; }\n",
    );
    let run = "mkdir -p out/bin out/lib \
        && cc -shared -fPIC -Wl,-soname,libgreet.so.1 -o out/lib/libgreet.so.1 greet.c \
        && cc -o out/bin/app app.c out/lib/libgreet.so.1 -Wl,-rpath,'$ORIGIN/../lib'";
    let spec = NativeBuild {
        run: Some(run.to_owned()),
        files: [("/opt/greeter/bin/app".to_owned(), shop.laid("out/bin/app"))].into(),
        entrypoint: vec!["/opt/greeter/bin/app".to_owned()],
        ..NativeBuild::default()
    };
    let built = shop.build(spec.clone()).await.expect("built");
    let root = shop.unpack(&built);
    assert!(root.path().join("opt/greeter/lib/libgreet.so.1").is_file());
    assert_eq!(chroot(&root, &["/opt/greeter/bin/app"]), "hello\n");

    fs::remove_file(shop.context().join("out/lib/libgreet.so.1")).expect("removed");
    let error = shop.build(NativeBuild { run: None, ..spec }).await.expect_err("its library is gone");
    assert!(
        matches!(&error, BuildError::LibraryMissing { library, .. } if library == "libgreet.so.1"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_inputs_make_the_same_digest_in_another_checkout() {
    for compression in [Compression::Zstd, Compression::Gzip] {
        let mut digests = Vec::new();
        for _ in 0..2 {
            let mut shop = Workshop::new();
            shop.compression = compression;
            shop.write("app/main.txt", &"words that compress\n".repeat(500_000));
            shop.write("app/b/deep.txt", "deep");
            symlink("b/deep.txt", shop.context().join("app/link")).expect("linked");
            // cargo hard-links its outputs; a copied checkout has no such links.
            if digests.is_empty() {
                fs::hard_link(shop.context().join("app/b/deep.txt"), shop.context().join("app/c.txt"))
                    .expect("linked");
            } else {
                shop.write("app/c.txt", "deep");
            }
            let spec = NativeBuild {
                files: [("/srv/app".to_owned(), shop.laid("app")), ("/bin/sh".to_owned(), laid("/bin/sh"))]
                    .into(),
                env: [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "1".to_owned())].into(),
                ..NativeBuild::default()
            };
            let built = shop.build(spec.clone()).await.expect("built");
            let again = shop.build(spec).await.expect("built again");
            assert_eq!(again.digest, built.digest);
            digests.push(built.digest);
        }
        assert_eq!(digests[0], digests[1], "{compression:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_program_is_sent_alone() {
    let registry = DockerRegistry::open();
    let shop = Workshop::new();
    let program = fs::read("/bin/bash").expect("a program");
    shop.write_bytes("target/app", &program);
    shop.write("assets/page.html", &"<p>page</p>".repeat(1000));
    let spec = NativeBuild {
        files: [
            ("/app".to_owned(), LaidPath { mode: Some(0o755), ..shop.laid("target/app") }),
            ("/assets".to_owned(), shop.laid("assets")),
        ]
        .into(),
        entrypoint: vec!["/app".to_owned()],
        workdir: Some("/assets".to_owned()),
        ..NativeBuild::default()
    };
    let image = format!("{}/team/app:v1", registry.address).parse().expect("an image");
    let first = shop.build(spec.clone()).await.expect("built");
    let holds: Vec<&str> = first.layers.iter().map(|layer| layer.holds).collect();
    assert_eq!(holds, ["libraries", "folders", "programs"]);
    let push = async |built: &skep_image::BuiltImage| {
        shop.client.push(&built.package_for(&image), &image, &[], &OnBytes::nowhere()).await.expect("pushed")
    };
    let whole = push(&first).await;
    assert_eq!(whole.digest, first.digest);
    assert!(whole.bytes_sent > first.layers.iter().map(|layer| layer.descriptor.size).sum::<u64>());

    shop.write_bytes("target/app", &[&program[..], b"changed"].concat());
    let second = shop.build(spec).await.expect("built");
    assert!(second.changed && second.layers[0].reused);
    let sent = push(&second).await;
    let manifest = shop.client.manifest(&image).await.expect("there");
    let manifest: skep_registry::Manifest = serde_json::from_slice(&manifest.bytes).expect("a manifest");
    assert_eq!(sent.bytes_sent, second.layers[2].descriptor.size + manifest.config.size);

    let from = format!("docker://{image}");
    let seen = skopeo(&["inspect", "--config", "--tls-verify=false", &from]).stdout;
    let seen: serde_json::Value = serde_json::from_slice(&seen).expect("a config");
    assert_eq!(seen["config"]["Entrypoint"], serde_json::json!(["/app"]));
    assert_eq!(seen["config"]["WorkingDir"], "/assets");
    assert_eq!(seen["os"], "linux");
}

#[tokio::test(flavor = "multi_thread")]
async fn laid_over_a_base_its_links_and_folders_stay() {
    let registry = DockerRegistry::open();
    let shop = Workshop::new();
    let base_spec = NativeBuild {
        files: [("/bin/sh".to_owned(), laid("/bin/sh"))].into(),
        env: [("FROM_BASE".to_owned(), "yes".to_owned())].into(),
        ..NativeBuild::default()
    };
    let base = shop.build(base_spec).await.expect("built");
    let base_image = format!("{}/base:1", registry.address).parse().expect("an image");
    shop.client
        .push(&base.package_for(&base_image), &base_image, &[], &OnBytes::nowhere())
        .await
        .expect("pushed");

    shop.write("hello.sh", "#!/bin/sh\necho hello from $0\n");
    let spec = NativeBuild {
        base: Some(base_image.to_string()),
        files: [
            // Through the base's link from /bin to usr/bin, and into a folder of a special mode.
            ("/bin/hello".to_owned(), LaidPath { mode: Some(0o755), ..shop.laid("hello.sh") }),
            ("/tmp/hello".to_owned(), LaidPath { owner: Some((7, 8)), ..shop.laid("hello.sh") }),
            ("/usr/bin/ls".to_owned(), laid("/bin/ls")),
        ]
        .into(),
        entrypoint: vec!["/bin/hello".to_owned()],
        ..NativeBuild::default()
    };
    let built = shop.build(spec).await.expect("built");
    let root = shop.unpack(&built);
    assert_eq!(chroot(&root, &["/bin/hello"]), "hello from /bin/hello\n");
    assert!(chroot(&root, &["/bin/ls", "/"]).contains("tmp"));
    let meta = |path: &str| fs::symlink_metadata(root.path().join(path)).expect("there");
    assert_eq!(meta("tmp").mode() & 0o7777, 0o1777);
    assert_eq!((meta("tmp/hello").uid(), meta("tmp/hello").gid()), (7, 8));
    assert_eq!(meta("bin").is_symlink(), meta("usr/bin/hello").is_file());
    let upper = built.layers.iter().filter(|layer| layer.holds == "libraries");
    let libc_again = upper.flat_map(|layer| shop.names(layer)).any(|name| name.ends_with("libc.so.6"));
    assert!(!libc_again, "the base has it");

    let target = format!("{}/app:1", registry.address).parse().expect("an image");
    let pushed = shop
        .client
        .push(&built.package_for(&target), &target, &[], &OnBytes::nowhere())
        .await
        .expect("pushed");
    let base_bytes: u64 = base.layers.iter().map(|layer| layer.descriptor.size).sum();
    assert!(pushed.bytes_sent < base_bytes, "the base is mounted: {}", pushed.bytes_sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_for_other_machines_are_refused() {
    let shop = Workshop::new();
    let mut arm64 = vec![0_u8; 64];
    arm64[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    (arm64[16], arm64[18]) = (2, 183);
    shop.write_bytes("arm64", &arm64);
    shop.write_bytes("mac", &[0xcf, 0xfa, 0xed, 0xfe, 0, 0, 0, 0]);
    let one = |from: &str| NativeBuild {
        files: [("/app".to_owned(), shop.laid(from))].into(),
        ..NativeBuild::default()
    };
    let error = shop.build(one("arm64")).await.expect_err("another processor");
    let path = shop.context().join("arm64");
    assert_eq!(
        error.to_string(),
        format!(
            "image `app`: {} is an ELF file for arm64, expected a program for linux/amd64",
            path.display()
        )
    );
    let error = shop.build(one("mac")).await.expect_err("another system");
    assert!(error.to_string().contains("Mach-O"), "{error}");

    // In a folder, programs are refused and libraries that nothing can load are let be.
    shop.write_bytes("folder/app", &arm64);
    fs::set_permissions(shop.context().join("folder/app"), fs::Permissions::from_mode(0o755)).expect("mode");
    let error = shop.build(one("folder")).await.expect_err("a program");
    assert!(matches!(error, BuildError::WrongPlatform { .. }), "{error:?}");
    arm64[16] = 3;
    shop.write_bytes("folder/app", &arm64);
    shop.build(one("folder")).await.expect("a library for others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_once_for_all_its_images() {
    let shop = Workshop::new();
    let spec = NativeBuild {
        run: Some("echo run >> runs.txt; echo said; echo wrong >&2; cp runs.txt out".to_owned()),
        files: [("/out".to_owned(), shop.laid("out"))].into(),
        ..NativeBuild::default()
    };
    let runs = Runs::new();
    let (one, two) = tokio::join!(shop.build_with(spec.clone(), &runs), shop.build_with(spec.clone(), &runs));
    assert_eq!(one.expect("built").digest, two.expect("built").digest);
    assert_eq!(fs::read_to_string(shop.context().join("runs.txt")).expect("made"), "run\n");
    let lines: Vec<String> = shop
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::BuildOutput { line, .. } => Some(line),
            _ => None,
        })
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.contains(&"said".to_owned()) && lines.contains(&"wrong".to_owned()), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_command_shows_its_last_lines() {
    let shop = Workshop::new();
    let spec = NativeBuild {
        run: Some("for i in $(seq 100); do echo line $i; done; exit 3".to_owned()),
        ..NativeBuild::default()
    };
    let error = shop.build(spec).await.expect_err("it failed");
    let BuildError::Run { failure, .. } = &error else {
        panic!("{error:?}");
    };
    let RunFailure::Ended { ended, tail, .. } = &**failure else {
        panic!("{failure:?}");
    };
    assert_eq!(ended, "ended with exit code 3");
    assert_eq!((tail.len(), tail[0].as_str(), tail[19].as_str()), (20, "line 81", "line 100"));

    // A command that leaves something running behind doesn't hold the build up.
    let spec = NativeBuild { run: Some("sleep 1000 & echo $! > pid".to_owned()), ..NativeBuild::default() };
    shop.build(spec).await.expect("built");
    let pid = fs::read_to_string(shop.context().join("pid")).expect("a pid");
    let status = std::process::Command::new("kill").arg(pid.trim()).status().expect("kill");
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named() {
    let shop = Workshop::new();
    shop.write("file", "x");
    let one = |dest: &str, from: &str| NativeBuild {
        files: [(dest.to_owned(), shop.laid(from))].into(),
        ..NativeBuild::default()
    };
    let error = shop
        .build(NativeBuild { run: Some("true".to_owned()), ..one("/app", "absent") })
        .await
        .expect_err("absent");
    assert_eq!(
        error.to_string(),
        format!(
            "image `app`: `images.app.native.files./app` lays {}, which does not exist",
            shop.context().join("absent").display()
        )
    );
    assert_eq!(error.hint().as_deref(), Some("was `true` meant to make it? it ended well, and did not"));
    let error = shop.build(one("app", "file")).await.expect_err("relative");
    assert!(error.to_string().contains("is not absolute"), "{error}");
    let error = shop.build(one("/a/../b", "file")).await.expect_err("dots");
    assert!(error.to_string().contains("`..`"), "{error}");

    let mut both = one("/app", "file");
    both.files.insert("/app/below".to_owned(), shop.laid("file"));
    let error = shop.build(both).await.expect_err("a file and a folder");
    assert!(matches!(error, BuildError::Conflict { .. }), "{error:?}");

    let mut absent = one("/file", "file");
    absent.entrypoint = vec!["/app".to_owned()];
    let error = shop.build(absent).await.expect_err("no entrypoint");
    assert!(matches!(error, BuildError::NoEntrypoint { .. }), "{error:?}");

    shop.write("start.sh", "#!/bin/sh -e\nexec true\n");
    let mut script = one("/start.sh", "start.sh");
    script.entrypoint = vec!["/start.sh".to_owned()];
    let error = shop.build(script.clone()).await.expect_err("no shell");
    assert!(
        matches!(&error, BuildError::NoInterpreter { interpreter, .. } if interpreter == "/bin/sh"),
        "{error:?}"
    );
    script.libraries = vec!["/bin/sh".into()];
    shop.build(script).await.expect("with a shell");

    let mut nobody = one("/file", "file");
    nobody.user = Some("postgres".to_owned());
    let error = shop.build(nobody.clone()).await.expect_err("not known");
    assert!(matches!(error, BuildError::UnknownUser { .. }), "{error:?}");
    shop.write("passwd", "postgres:x:70:70::/:/bin/sh\n");
    nobody.files.insert("/etc/passwd".to_owned(), shop.laid("passwd"));
    shop.build(nobody).await.expect("known now");

    fs::create_dir(shop.context().join("sockets")).expect("made");
    let _socket = std::os::unix::net::UnixListener::bind(shop.context().join("sockets/s")).expect("a socket");
    let error = shop.build(one("/x", "sockets")).await.expect_err("a socket");
    assert!(error.to_string().contains("is a socket"), "{error}");

    let docker =
        Build::Docker(DockerBuild { dockerfile: "Dockerfile".into(), stage: None, args: Default::default() });
    let error = shop.build_any(docker, &Runs::new()).await.expect_err("there is no such file");
    assert_eq!(error.to_string(), "cannot read Dockerfile");
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_inputs_are_not_packed_again() {
    let shop = Workshop::new();
    shop.write("file", &"x".repeat(1 << 20));
    // Old enough that a later change can't have the same time.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let file = fs::File::open(shop.context().join("file")).expect("there");
    file.set_modified(old).expect("older");
    let spec =
        NativeBuild { files: [("/file".to_owned(), shop.laid("file"))].into(), ..NativeBuild::default() };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    // The inode's own change time, which cannot be set, settles within a tick.
    while shop.build(spec.clone()).await.expect("built").changed {
        assert!(std::time::Instant::now() < deadline, "packed again and again");
    }
    let before = shop.build(spec.clone()).await.expect("built");
    assert!(!before.changed);
    shop.write("file", &"y".repeat(1 << 20));
    file.set_modified(old).expect("older");
    let after = shop.build(spec).await.expect("built");
    assert!(after.changed, "same size, same time, other contents");
    assert_ne!(after.digest, before.digest);
    assert!(Path::new(&after.layers[0].path).is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_used_for_weeks_leaves_the_cache() {
    let shop = Workshop::new();
    shop.write("file", "first");
    let spec =
        NativeBuild { files: [("/file".to_owned(), shop.laid("file"))].into(), ..NativeBuild::default() };
    let first = shop.build(spec.clone()).await.expect("built");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(15 * 24 * 3600);
    for layer in &first.layers {
        fs::File::open(&layer.path).and_then(|file| file.set_modified(old)).expect("older");
    }
    shop.write("file", "second");
    let second = shop.build(spec).await.expect("built");
    assert!(!first.layers[1].path.exists(), "nobody used it");
    assert!(second.layers.iter().all(|layer| layer.path.is_file()), "the libraries were used again");
}

/// As the reference app's database is: a distribution's package, laid whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_s_package_works_when_laid() {
    let shop = Workshop::new();
    let home = fs::read_dir("/usr/lib/postgresql")
        .expect("Debian package `postgresql`")
        .filter_map(|entry| entry.ok()?.path().join("bin").canonicalize().ok())
        .max()
        .expect("Debian package `postgresql`");
    let version = home.parent().and_then(Path::file_name).expect("a version").to_str().expect("text");
    let whole = |path: String| (path.clone(), laid(path));
    let spec = NativeBuild {
        files: [
            whole(format!("/usr/lib/postgresql/{version}")),
            whole(format!("/usr/share/postgresql/{version}")),
            whole("/usr/share/zoneinfo".to_owned()),
        ]
        .into(),
        libraries: vec!["/bin/sh".into()],
        user: Some("70:70".to_owned()),
        entrypoint: vec![format!("/usr/lib/postgresql/{version}/bin/postgres")],
        ..NativeBuild::default()
    };
    let built = shop.build(spec).await.expect("built");
    let root = shop.unpack(&built);
    let bin = format!("/usr/lib/postgresql/{version}/bin");
    assert!(chroot(&root, &[&format!("{bin}/postgres"), "--version"]).contains(version));
    // The server itself runs in its first step: initdb starts it to fill its catalogues.
    fs::write(root.path().join("dev/null"), "").expect("written");
    fs::set_permissions(root.path().join("dev/null"), fs::Permissions::from_mode(0o666)).expect("mode");
    let initdb = format!("{bin}/initdb");
    let said = workshop::chroot_as(
        &root,
        "70:70",
        &[&initdb, "-D", "/tmp/data", "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale"],
    );
    assert!(root.path().join("tmp/data/PG_VERSION").is_file(), "{said}");
}
