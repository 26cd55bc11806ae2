//! What `make dist` hands to others. CI runs every other end-to-end test on the program from there.

use std::{fs, path::PathBuf, process::Command};

use skep_tests::{Outcome, PATIENCE, World, eventually, not_run};

fn dist() -> Option<PathBuf> {
    let dist = skep_tests::dist();
    if dist.is_none() {
        not_run("`make dist` first, then set SKEP_TEST_DIST to its folder");
    }
    dist
}

/// The one file whose name ends so.
fn file(dist: &std::path::Path, end: &str) -> PathBuf {
    let files = fs::read_dir(dist).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found = files.filter(|path| path.to_string_lossy().ends_with(end));
    found.next().unwrap_or_else(|| panic!("{} holds no file …{end}", dist.display()))
}

#[test]
fn the_archive_holds_the_program_its_completions_and_man_pages() {
    let Some(dist) = dist() else { return };
    Outcome::of(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dist))
        .ok();
    let folder = tempfile::tempdir().expect("a folder");
    let archive = file(&dist, ".tar.gz");
    Outcome::of(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder.path())).ok();
    let unpacked =
        fs::read_dir(folder.path()).expect("a folder").next().expect("one folder").expect("an entry");
    let unpacked = unpacked.path();
    let programs =
        Outcome::of(Command::new("cmp").arg(unpacked.join("skep")).arg(skep_tests::program("skep")));
    programs.ok();

    // bash is the judge of bash's: what it offers after `skep roll`.
    let script =
        r#"source "$1"; COMP_WORDS=(skep roll); COMP_CWORD=1; _skep skep roll skep; echo "${COMPREPLY[@]}""#;
    let completed = Outcome::of(
        Command::new("bash").args(["-c", script, "bash"]).arg(unpacked.join("completions/skep.bash")),
    );
    assert_eq!(completed.ok().stdout.trim(), "rollback");

    let pages: Vec<PathBuf> = fs::read_dir(unpacked.join("man/man1"))
        .expect("man pages")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let named = |name: &str| pages.iter().any(|page| page.ends_with(name));
    assert!(named("skep.1") && named("skep-deploy.1") && named("skep-secret-set.1"), "{pages:?}");
    assert!(!named("skep-man-pages.1") && !named("skep-hive-run.1"), "what is hidden has no page: {pages:?}");
    for page in &pages {
        let set = Outcome::of(
            Command::new("groff").args(["-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-o", "-P-u"]).arg(page),
        )
        .ok();
        assert_eq!(set.stderr, "", "groff warns of {}", page.display());
        assert!(set.stdout.contains("SYNOPSIS"), "{}", set.stdout);
    }
}

#[test]
fn the_program_needs_nothing_but_a_kernel() {
    let Some(dist) = dist() else { return };
    let world = World::new();
    let from = format!("oci-archive:{}", file(&dist, "-image.tar").display());
    world.skep(&["deploy"]).ok();
    let shop =
        world.object("deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let shop = shop.as_str().and_then(|image| image.split('@').next()).expect("pinned").to_owned();
    let image = format!("{shop}-of-skep:test");
    let to = format!("docker://{image}");
    Outcome::of(Command::new("skopeo").args(["copy", "--dest-tls-verify=false", &from, &to])).ok();

    // An image FROM scratch: no C library, no shell, no /etc/passwd.
    world.kubectl(&["run", "skep", "--image", &image, "--restart=Never", "--", "--version"]).ok();
    eventually("the pod has ended well", PATIENCE, || {
        (world.object("pod", "skep")["status"]["phase"] == "Succeeded").then_some(())
    });
    let logs = world.kubectl(&["logs", "skep"]).ok();
    assert_eq!(logs.stdout.trim(), world.skep(&["--version"]).ok().stdout.trim());
}

/// A program that is linked statically can't load what `/etc/nsswitch.conf` may name: an account or a host that its files don't know
/// must not be its end.
#[test]
fn a_name_that_only_a_module_could_know_is_no_crash() {
    if dist().is_none() {
        return;
    }
    let program = skep_tests::program("skep");
    let folder = tempfile::tempdir().expect("a folder");
    let nsswitch = folder.path().join("nsswitch.conf");
    fs::write(&nsswitch, "passwd: files systemd\nhosts: files hesiod dns\n").expect("a file can be written");
    fs::write(folder.path().join("skep.yaml"), "app: shop\nmanifests: k8s\nregistry: registry.example.com/team\ntargets: { far: { kubeconfig: far.yaml } }\n")
        .expect("a file can be written");
    let far = "apiVersion: v1\nkind: Config\nclusters: [{ name: far, cluster: { server: \"https://nowhere.example.invalid:6443\" } }]\nusers: [{ name: me, user: { token: t } }]\ncontexts: [{ name: far, context: { cluster: far, user: me } }]\n";
    fs::write(folder.path().join("far.yaml"), far).expect("a file can be written");
    Outcome::of(Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path())).ok();
    let script = format!(
        "mount --bind {} /etc/nsswitch.conf; install -m 0755 {} /tmp/skep-of-dist-$$; cd {}; setpriv --reuid 12345 --clear-groups env -u USER HOME=/tmp /tmp/skep-of-dist-$$ status -t far; code=$?; rm /tmp/skep-of-dist-$$; exit $code",
        nsswitch.display(),
        program.display(),
        folder.path().display()
    );
    let told = Outcome::of(Command::new("unshare").args(["--mount", "sh", "-c", &script]));
    told.code(10).says("nowhere.example.invalid").says("can't be reached");
}
