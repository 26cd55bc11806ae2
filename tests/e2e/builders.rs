//! Dockerfiles: built by buildah for real; by Docker as far as its command line goes, since no engine runs where these tests do.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use skep_tests::{Outcome, World, not_run, program};

use crate::docker_registry::{self, ACCOUNT, DockerRegistry};

const DOCKERFILE: &str = "\
FROM scratch AS files
COPY root/ /
FROM files AS shop
ARG MOTTO=none
LABEL motto=$MOTTO
COPY release /release
ENTRYPOINT [\"/shop\"]
FROM files AS idle
COPY release /release
ENTRYPOINT [\"/shop\"]
";

/// A world whose images are built from a Dockerfile, by a buildah that keeps its things in the test's own folder and notes every call.
struct Workshop {
    world: World,
    tools: PathBuf,
}

impl Workshop {
    fn new(world: World) -> Self {
        let tools = world.path().join("tools");
        fs::create_dir_all(&tools).expect("a folder can be made");
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            world.path().display()
        );
        fs::write(world.path().join("storage.conf"), storage).expect("a file can be written");
        let workshop = Self { world, tools };
        workshop.script(
            "buildah",
            &format!(
                "echo \"buildah $*\" >>{0}/calls; exec /usr/bin/buildah \"$@\"",
                workshop.tools.display()
            ),
        );
        workshop.lay_files();
        workshop
    }

    /// The shop of the other tests, from a Dockerfile.
    fn with_shop() -> Self {
        let workshop = Self::new(World::new());
        let project = &workshop.world.project;
        project.write("Dockerfile", DOCKERFILE);
        project.write(".dockerignore", "*\n!root\n!release\n");
        let native = fs::read_to_string(project.dir().join("skep.yaml")).expect("written by this harness");
        let native = native.lines().find(|line| line.contains("native:")).expect("it is native");
        project.edit("skep.yaml", native, "  shop: { stage: shop, args: { MOTTO: fresh } }");
        project.append("skep.yaml", "builder: buildah\n");
        workshop
    }

    fn script(&self, name: &str, body: &str) {
        let path = self.tools.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be made a program");
    }

    /// `root/`: the fixture and its libraries, each at its own path.
    fn lay_files(&self) {
        let fixture = program("fixture-service");
        let root = self.world.project.dir().join("root");
        let copy = |from: &Path, to: &str| {
            let to = root.join(to.trim_start_matches('/'));
            fs::create_dir_all(to.parent().expect("a file lies in a folder")).expect("a folder can be made");
            fs::copy(from, to).expect("a file can be copied");
        };
        copy(&fixture, "/shop");
        let libraries = Outcome::of(Command::new("ldd").arg(&fixture)).ok().stdout;
        for word in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(word), word);
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.tools.display()));
        command.env("CONTAINERS_STORAGE_CONF", self.world.path().join("storage.conf"));
        // What these machines allow.
        command.env("BUILDAH_ISOLATION", "chroot");
        command.env("DOCKER_CONFIG", self.world.path().join("docker"));
        command
    }

    fn skep(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// buildah as Skep calls it, for what a test prepares.
    fn buildah(&self, arguments: &[&str]) -> String {
        let mut command = self.command(&[]);
        command.env_remove("DOCKER_CONFIG");
        let mut buildah = Command::new("/usr/bin/buildah");
        buildah.args(arguments).current_dir(self.world.project.dir());
        buildah.envs(command.env("PWD", "/").get_envs().filter_map(|(key, value)| Some((key, value?))));
        Outcome::of(&mut buildah).ok().stdout.trim().to_owned()
    }

    /// The calls of a tool since the last time that this was asked.
    fn calls(&self) -> Vec<String> {
        let file = self.tools.join("calls");
        let text = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, "").expect("a file can be written");
        text.lines().map(str::to_owned).collect()
    }
}

fn image_of(world: &World, deployment: &str) -> String {
    let containers = world.object("deployment", deployment)["spec"]["template"]["spec"]["containers"].clone();
    containers[0]["image"].as_str().expect("a container has an image").to_owned()
}

fn inspect(image: &str, what: &[&str]) -> Value {
    let image = format!("docker://{image}");
    let arguments = ["inspect", "--tls-verify=false"].iter().chain(what).copied().chain([image.as_str()]);
    let arguments: Vec<&str> = arguments.collect();
    serde_json::from_slice(&docker_registry::skopeo(&arguments).stdout).expect("skopeo answers JSON")
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let me = ["-c", "user.name=ann", "-c", "user.email=ann@example.com", "-C"];
    Outcome::of(Command::new("git").args(me).arg(folder).args(arguments)).ok().stdout.trim().to_owned()
}

fn commit(folder: &Path) -> String {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", "a change"]);
    git(folder, &["rev-parse", "--short=7", "HEAD"])
}

#[test]
fn a_dockerfile_is_built_by_buildah_and_unchanged_inputs_are_not_built_again() {
    let shop = Workshop::with_shop();
    let world = &shop.world;
    shop.skep(&["deploy"]).ok().says("v1 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    let image = image_of(world, "shop");
    assert_eq!(inspect(&image, &[])["Labels"]["motto"], "fresh");
    let calls = shop.calls();
    assert!(calls.iter().any(|call| call.starts_with("buildah build") && call.contains("--target shop")));

    shop.skep(&["deploy"]).ok().says("nothing was changed");
    world.project.append("k8s/shop.yaml", "\n# a note\n");
    shop.skep(&["deploy"]).ok().says("1 image, unchanged").says("nothing was changed");
    assert_eq!(shop.calls(), [""; 0], "what is ignored is no input");

    world.project.write("release", "two\n");
    shop.skep(&["deploy"]).ok().says("v2 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    shop.skep(&["rollback", "v1"]).ok();
    assert_eq!(image_of(world, "shop"), image);

    // What buildah reads and Docker does not, and a folder that comes: inputs too.
    world.project.write(".containerignore", "");
    fs::create_dir_all(world.project.dir().join("root/empty")).expect("a folder can be made");
    shop.calls();
    shop.skep(&["deploy"]).ok();
    assert!(shop.calls().iter().any(|call| call.starts_with("buildah build")));
    world.project.remove(".containerignore");
    shop.skep(&["deploy"]).ok();

    // Two stages of one Dockerfile are two images.
    world.project.edit("skep.yaml", "images:\n", "images:\n  idle: { stage: idle }\n");
    world.project.add_idle();
    world.project.edit("k8s/idle.yaml", "image: shop", "image: idle");
    shop.skep(&["deploy"]).ok().says("idle");
    shop.calls();
    shop.skep(&["deploy", "shop", "--output", "json"]).ok();
    assert_eq!(shop.calls(), [""; 0]);

    world.project.edit("Dockerfile", "COPY root/ /", "COPY no-such-folder/ /");
    let failed = shop.skep(&["deploy"]).code(12).says("`buildah build` ended with exit code");
    failed.says("no-such-folder").says("hint: ");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    world.project.edit("skep.yaml", "builder: buildah", "builder: podman");
    shop.skep(&["deploy"]).code(10).says("`podman` builds no Dockerfiles").says("`docker` or `buildah`");
}

#[test]
fn dockerfile_build_reads_its_secrets_and_redacts_them() {
    let shop = Workshop::with_shop();
    let world = &shop.world;
    let shell = world.project.dir().join("root/bin/sh");
    fs::create_dir_all(shell.parent().expect("a file lies in a folder")).expect("a folder can be made");
    fs::copy("/bin/busybox", shell).expect("busybox is there");
    let run = "RUN --mount=type=secret,id=NPM_TOKEN read x </run/secrets/NPM_TOKEN; echo \"read $x, env $SKEP_BUILD_SECRET_NPM_TOKEN.\"\n";
    world.project.edit("Dockerfile", "LABEL", &format!("{run}LABEL"));
    world.project.edit(
        "skep.yaml",
        "{ stage: shop,",
        "{ secrets: { NPM_TOKEN: { env: BUILD_TOKEN } }, stage: shop,",
    );
    let deploy =
        |token: &str| Outcome::of(shop.command(&["deploy"]).env("BUILD_TOKEN", token)).never_says(token);
    deploy("hunter2-of-npm").ok().says("shop | read ***, env .").says("v1 is live");
    let calls = shop.calls().join("\n");
    assert!(calls.contains("--secret id=NPM_TOKEN,env=") && !calls.contains("hunter2"), "{calls}");

    deploy("another-of-npm").ok().says("nothing was changed");
    assert_eq!(shop.calls(), [""; 0], "a secret is no input");
    world.project.edit("Dockerfile", "NPM_TOKEN.\"", "NPM_TOKEN.\"; exit 3");
    deploy("third-of-npm").code(12).says("its last lines:").says("\n  read ***, env .");
}

#[test]
fn programs_that_skep_starts_inherit_no_credentials() {
    let world = World::new();
    world.skep(&["secret", "keygen"]).ok();
    let key = fs::read_to_string(world.path().join("config/skep/age.key")).expect("a key was made");
    let tools = world.path().join("tools");
    let notes =
        |name: &str| fs::read_to_string(tools.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    fs::create_dir_all(&tools).expect("a folder can be made");
    let git = format!("#!/bin/sh\nenv >>{}/git.env\nexec /usr/bin/git \"$@\"\n", tools.display());
    fs::write(tools.join("git"), git).expect("a file can be written");
    fs::set_permissions(tools.join("git"), fs::Permissions::from_mode(0o755))
        .expect("it can be made a program");
    let run = format!("native: {{ run: 'env >{}/build.env; echo token $NPM_TOKEN'", tools.display());
    world.project.edit(
        "skep.yaml",
        "native: { files",
        &format!("secrets: {{ NPM_TOKEN: {{ env: BUILD_TOKEN }} }}, {run}, files"),
    );
    let command = format!("{{ command: 'env >{}/command.env; echo printed-value' }}", tools.display());
    world.project.append(
        "skep.yaml",
        &format!(
            "secrets: {{ shop-secrets: {{ values: {{ ONE: {command}, TWO: {{ env: TWO_OF_SKEP }} }} }} }}\n"
        ),
    );
    world.project.append(
        "skep.yaml",
        "targets: { far: { kubeconfig: none, context: none, registry: { url: \"r.example.com/far\", username: ci, password: { env: REGISTRY_TOKEN } } } }\n",
    );
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let deploy = |last: &str| {
        let mut command = world.command(&["deploy"]);
        command.env("PATH", &path).env("SKEP_AGE_KEY", key.trim()).env("KUBECONFIG", "/my/kubeconfig");
        command
            .env("BUILD_TOKEN", "token-of-npm")
            .env("TWO_OF_SKEP", "second-value")
            .env("REGISTRY_TOKEN", "of-registry");
        Outcome::of(command.env("MINE", last))
    };
    deploy("kept").ok().says("shop | token ***").never_says("token-of-npm");
    for name in ["build.env", "command.env", "git.env"] {
        let env = notes(name);
        assert!(env.contains("MINE=kept\n"), "{name}: {env}");
        for withheld in ["SKEP_AGE_KEY", "AGE-SECRET-KEY", "BUILD_TOKEN=", "TWO_OF_SKEP", "REGISTRY_TOKEN"] {
            assert!(!env.contains(withheld), "{name} has {withheld}: {env}");
        }
    }
    assert!(
        notes("build.env").contains("NPM_TOKEN=token-of-npm\n") && !notes("build.env").contains("KUBECONFIG")
    );
    assert!(!notes("git.env").contains("NPM_TOKEN"));

    world.project.edit("skep.yaml", "echo token $NPM_TOKEN", "echo no login with $NPM_TOKEN; exit 3");
    deploy("kept").code(12).says("no login with ***").never_says("token-of-npm");
    world.project.edit("skep.yaml", "NPM_TOKEN: {", "NPM-TOKEN: {");
    deploy("kept").code(10).says("images/shop/secrets/NPM-TOKEN").says("use letters, digits");
}

#[test]
fn an_image_for_several_platforms_is_one_index_and_each_node_takes_its_own() {
    let shop = Workshop::with_shop();
    let world = &shop.world;
    if !world.is_hive() {
        return not_run("it builds for hive's own registry");
    }
    world.project.append("skep.yaml", "targets: { local: { platforms: [linux/amd64, linux/arm64] } }\n");
    shop.skep(&["deploy"]).ok().says("v1 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    let platforms = || {
        let index = inspect(&image_of(world, "shop"), &["--raw"]);
        let manifests = index["manifests"].as_array().cloned().unwrap_or_default();
        let of = |entry: &Value| entry["platform"]["architecture"].as_str().unwrap_or("?").to_owned();
        let mut all: Vec<String> = manifests.iter().map(of).collect();
        all.sort();
        all
    };
    assert_eq!(platforms(), ["amd64", "arm64"]);
    shop.calls();
    shop.skep(&["deploy"]).ok().says("nothing was changed");
    assert_eq!(shop.calls(), [""; 0]);
    world.project.write("release", "two\n");
    shop.skep(&["deploy"]).ok().says("v2 is live");
    assert_eq!(platforms(), ["amd64", "arm64"], "nothing of the first is left in it");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
}

#[test]
fn a_machine_that_never_built_takes_layers_from_the_cache_in_the_registry() {
    let Some(world) = World::on_hive("it pushes to a registry of its own") else { return };
    drop(world);
    let registry = DockerRegistry::open();
    let shop = Workshop::with_shop();
    let world = &shop.world;
    world.project.append(
        "skep.yaml",
        &format!("targets: {{ local: {{ registry: {{ url: {}/team, cache: true }} }} }}\n", registry.address),
    );
    shop.skep(&["deploy"]).ok().says("v1 is live");
    // Another machine: neither buildah nor Skep remembers anything.
    shop.buildah(&["rmi", "--all", "--force"]);
    fs::remove_dir_all(world.path().join("cache")).expect("Skep's cache");
    world.project.write("release", "two\n");
    let built = shop.skep(&["deploy", "--output", "json"]).ok();
    built.says("Cache pulled from remote");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
}

#[test]
fn images_carry_the_commit_of_their_own_context() {
    let Some(world) = World::on_hive("it has two names for one cluster") else { return };
    drop(world);
    let shop = Workshop::with_shop();
    let world = &shop.world;
    // A second repository beside the first, and a remote of both.
    let web = world.path().join("web");
    fs::create_dir_all(&web).expect("a folder can be made");
    fs::write(web.join("Dockerfile"), "FROM scratch\nCOPY page /page\n").expect("a file can be written");
    fs::write(web.join("page"), "one\n").expect("a file can be written");
    let project = world.project.dir().to_owned();
    let remote = world.path().join("remote.git");
    git(world.path(), &["init", "--quiet", "--bare", "remote.git"]);
    for folder in [&project, &web] {
        git(folder, &["init", "--quiet", "--initial-branch", "master"]);
    }
    git(&project, &["remote", "add", "origin", remote.to_str().expect("a name in UTF-8")]);
    let status = world.skep(&["hive", "status", "--output", "json"]).ok().json()[0].clone();
    let registry = status["registry"].as_str().expect("hive names its registry");
    world.project.edit("skep.yaml", "images:\n", "images:\n  web: { context: ../web }\n");
    world.project.append(
        "skep.yaml",
        &format!(
            "targets: {{ far: {{ kubeconfig: {}, registry: {{ url: {registry}/far, latest: true }} }} }}\n",
            world.hive_dir().join("kubeconfig").display()
        ),
    );
    let (api, page) = (commit(&project), commit(&web));
    let tag =
        |image: &str, tag: &str| inspect(&format!("{registry}/far/{image}:{tag}"), &[])["Digest"].clone();

    let told = shop.skep(&["deploy", "-t", "far"]).ok();
    told.says(&format!("shop: no remote has the commit {api} yet")).never_says("web: no remote");
    let shown = shop.skep(&["show", "-t", "far", "--output", "json"]).ok().json()[0].clone();
    assert_eq!(
        (&shown["commits"]["shop"], &shown["commits"]["web"]),
        (&api.as_str().into(), &page.as_str().into())
    );
    assert_eq!(tag("shop", &api), shown["images"]["shop"]);
    assert_eq!(tag("shop", "latest"), shown["images"]["shop"]);
    assert_eq!(tag("shop-web", &page), shown["images"]["web"]);
    let annotations = inspect(&format!("{registry}/far/shop-web:{page}"), &["--raw"])["annotations"].clone();
    assert_eq!(annotations["org.opencontainers.image.revision"], page.as_str());
    let time = git(&web, &["log", "-1", "--format=%cI"]);
    assert_eq!(annotations["org.opencontainers.image.created"], time.as_str());

    git(&project, &["push", "--quiet", "origin", "master"]);
    shop.skep(&["deploy", "-t", "far"]).ok().never_says("warning: ").says("nothing was changed");

    // A commit that leaves an image's inputs alone builds nothing; it tags what is there.
    world.project.write("k8s/note.txt", "a note\n");
    let newer = commit(&project);
    git(&project, &["push", "--quiet", "origin", "master"]);
    shop.calls();
    shop.skep(&["deploy", "-t", "far"]).ok().says("nothing was changed");
    assert_eq!(shop.calls(), [""; 0]);
    assert_eq!(tag("shop", &newer), shown["images"]["shop"]);
    shop.skep(&["deploy", "-t", "far", "--skip-build"]).ok().says(&newer).says(&page);

    // A dirty tree gets no tag, and moves none.
    world.project.write("release", "two\n");
    shop.skep(&["deploy", "-t", "far"])
        .ok()
        .says("shop has changes that are not committed")
        .says("v2 is live");
    assert_eq!(tag("shop", "latest"), shown["images"]["shop"]);
    assert_eq!(tag("shop", &newer), shown["images"]["shop"]);
    shop.skep(&["deploy", "-t", "far", "--tag", &newer]).code(13).says("no image of web carries the tag");
    shop.skep(&["deploy", "-t", "far", "shop", "--tag", &newer]).ok();
    assert_eq!(world.kubectl(&["get", "deployment", "shop", "-o", "jsonpath={..image}"]).ok().stdout, {
        let digest = shown["images"]["shop"].as_str().expect("a digest");
        format!("{registry}/far/shop@{digest}")
    });
}

#[test]
fn a_private_registry_and_a_private_base_made_by_debootstrap() {
    let Some(world) = World::on_hive("it pushes to a registry of its own") else { return };
    let registry = DockerRegistry::guarded();
    let shop = Workshop::new(world);
    let world = &shop.world;
    let address = registry.address.clone();
    let (user, password) = ACCOUNT;

    // The base, made where there is none: a Debian.
    let root = world.path().join("debian");
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/make-debian.sh");
    Outcome::of(Command::new(tool).arg(&root)).ok();
    // Half of it is of no use here, and is packed and unpacked five times.
    for part in [
        "usr/share/doc",
        "usr/share/locale",
        "usr/share/man",
        "usr/share/zoneinfo",
        "var/cache/apt",
        "var/lib/apt",
    ] {
        fs::remove_dir_all(root.join(part)).expect("Debian has it");
    }
    let tar = world.path().join("debian.tar");
    Outcome::of(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".")).ok();
    let container = shop.buildah(&["from", "scratch"]);
    shop.buildah(&["add", &container, tar.to_str().expect("a name in UTF-8"), "/"]);
    let base = format!("{address}/team/base:bookworm");
    let id = shop.buildah(&["commit", "--rm", "--quiet", &container]);
    let credentials = format!("{user}:{password}");
    shop.buildah(&["push", "--creds", &credentials, "--tls-verify=false", &id, &format!("docker://{base}")]);
    shop.buildah(&["rmi", "--all", "--force"]);

    let project = &world.project;
    project.write(
        "Dockerfile",
        &format!(
            "FROM {base}\nRUN dpkg --list | grep -c ^ii >/packages\nCOPY root/shop /shop\nCOPY release /release\nENTRYPOINT [\"/shop\"]\n"
        ),
    );
    project.write(".dockerignore", "*\n!root\n!release\n");
    let native = fs::read_to_string(project.dir().join("skep.yaml")).expect("written by this harness");
    let native = native.lines().find(|line| line.contains("native:")).expect("it is native");
    project.edit("skep.yaml", native, "  shop: { dockerfile: Dockerfile }");
    let login = |password: &str| {
        format!(
            "targets: {{ local: {{ registry: {{ url: {address}/team, username: {user}, password: {password} }} }} }}\n"
        )
    };
    project.append("skep.yaml", &format!("builder: buildah\n{}", login("{ env: REGISTRY_TOKEN }")));
    project.edit(
        "k8s/shop.yaml",
        "      containers:",
        "      imagePullSecrets: [{ name: team-registry }]\n      containers:",
    );
    let with = |password: &str, arguments: &[&str]| {
        Outcome::of(shop.command(arguments).env("REGISTRY_TOKEN", password))
    };
    shop.skep(&["deploy"]).code(10).says("`REGISTRY_TOKEN` is not set");
    with("wrong", &["deploy"]).code(12).says("buildah build").never_says("wrong");
    with(password, &["deploy", "--output", "json"]).ok().never_says(password);
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    assert!(!shop.calls().concat().contains(password), "the password is in no argument");
    assert!(!world.path().join("docker").exists(), "no file of the user's is touched");
    let secret = world.object("secret", "team-registry");
    assert_eq!(secret["type"], "kubernetes.io/dockerconfigjson");

    // The nodes' login follows the operator's, without a release; other logins in it stay.
    let other = r#"{"auths":{"other.example.com":{"auth":"YTpi"}}}"#;
    let patch = serde_json::json!({"stringData": {".dockerconfigjson": other}}).to_string();
    world.kubectl(&["patch", "secret", "team-registry", "--type=merge", "-p", &patch]).ok();
    with(password, &["plan"]).code(2).says("pull secret team-registry");
    with(password, &["deploy"]).ok().says("nothing was changed");
    let data =
        world.kubectl(&["get", "secret", "team-registry", "-o", r"jsonpath={.data.\.dockerconfigjson}"]).ok();
    assert!(data.stdout.len() > 100, "both logins are in it: {data}");
    with(password, &["plan"]).code(0);
    world.skep(&["show"]).ok().never_says("team-registry");

    // Without a login in skep.yaml: the Docker config file, or the helper that it names.
    project.edit("skep.yaml", &format!(", username: {user}, password: {{ env: REGISTRY_TOKEN }}"), "");
    project.write("release", "two\n");
    shop.skep(&["deploy"]).code(13).says("nobody is logged in").says("docker login");
    let docker = world.path().join("docker");
    fs::create_dir_all(&docker).expect("a folder can be made");
    let config = format!(r#"{{"credHelpers": {{"{address}": "keychain"}}}}"#);
    fs::write(docker.join("config.json"), &config).expect("a file can be written");
    shop.skep(&["deploy"]).code(13).says("`docker-credential-keychain` gave no login").says("not installed");
    let answer = format!(r#"printf '{{"Username":"%s","Secret":"%s"}}' '{user}' '{password}'"#);
    shop.script(
        "docker-credential-keychain",
        &format!("read server; test \"$server\" = {address} && {answer}"),
    );
    shop.skep(&["deploy"]).ok().says("v2 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from two\n"));
    assert_eq!(fs::read_to_string(docker.join("config.json")).expect("it is there"), config);
}

/// Docker's command line, and behind it buildah: what is built is real, what Docker would say is not.
const DOCKER: &str = r#"
echo "docker $*" >>TOOLS/calls
case "$1 $2" in
  "version --format") echo 28.0 ;;
  "buildx version") echo buildx v0.20 ;;
  "buildx inspect")
    name=${4:-default}
    if [ "$name" = default ]; then echo "Name: default"; echo "Driver: docker"; exit 0; fi
    [ -e TOOLS/made ] || { echo "ERROR: no builder \"$name\" found" >&2; exit 1; }
    printf 'Name: skep\nDriver: docker-container\nNodes:\nName: skep0\nPlatforms: linux/amd64*, linux/amd64/v2\n' ;;
  "buildx create") touch TOOLS/made; echo skep ;;
  "buildx build")
    test -s "$DOCKER_CONFIG/config.json" && test -d "$DOCKER_CONFIG/cli-plugins" || exit 7
    shift 2
    while [ $# -gt 1 ]; do
      case "$1" in
        --file|--target|--build-arg|--annotation|--platform) set -- "$@" "$1" "$2"; keep="$keep $1 $2"; shift 2 ;;
        --output) dest=${2##*dest=}; shift 2 ;;
        --builder|--progress) shift 2 ;;
        --provenance=false|--sbom=false) shift ;;
        *) break ;;
      esac
      [ "${1#--}" != "$1" ] || break
    done
    exec sh TOOLS/build "$dest" $keep CONTEXT ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"#;

#[test]
fn docker_is_called_to_the_letter_and_what_it_writes_is_pushed() {
    let shop = Workshop::with_shop();
    let world = &shop.world;
    let (tools, context) = (shop.tools.display().to_string(), world.project.dir().display().to_string());
    shop.script("docker", &DOCKER.replace("TOOLS", &tools).replace("CONTEXT", &context));
    let build = "dest=$1; shift\n/usr/bin/buildah build --quiet --layers --iidfile TOOLS/id \"$@\" >&2 && /usr/bin/buildah push --quiet \"$(cut -d: -f2 TOOLS/id)\" oci:$dest:image >&2";
    shop.script("build", &build.replace("TOOLS", &tools));
    fs::create_dir_all(world.path().join("docker/cli-plugins")).expect("a folder can be made");
    world.project.edit("skep.yaml", "builder: buildah\n", "");

    shop.skep(&["deploy"]).ok().says("made the buildx builder `skep`").says("v1 is live");
    assert_eq!(world.get("/").as_deref(), Ok("hello from one\n"));
    assert_eq!(inspect(&image_of(world, "shop"), &[])["Labels"]["motto"], "fresh");
    let calls = shop.calls();
    assert!(calls.iter().any(|call| {
        call == "docker buildx create --name skep --driver docker-container --driver-opt network=host --bootstrap"
    }));
    let build = calls.iter().find(|call| call.starts_with("docker buildx build")).expect("it was called");
    let dest =
        build.split("dest=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a folder to write to");
    assert_eq!(
        *build,
        format!(
            "docker buildx build --builder skep --progress plain --provenance=false --sbom=false --file {context}/Dockerfile --target shop --build-arg MOTTO=fresh --platform linux/amd64 --output type=oci,tar=false,dest={dest} {context}"
        )
    );
    assert!(!Path::new(dest).exists(), "nothing is left behind");

    shop.skep(&["deploy"]).ok().says("nothing was changed");
    assert_eq!(shop.calls(), [""; 0]);
    world.project.write("release", "two\n");
    shop.skep(&["deploy"]).ok().never_says("made the buildx builder").says("v2 is live");

    world.project.write("release", "three\n");
    world.project.append("skep.yaml", "platforms: [linux/arm64]\n");
    if world.is_hive() {
        // A top-level `platforms` is not hive's.
        world.project.edit(
            "skep.yaml",
            "platforms: [linux/arm64]",
            "targets: { local: { platforms: [linux/arm64] } }",
        );
    }
    let failed = shop.skep(&["deploy"]).code(12).says("can't build for linux/arm64").says("linux/amd64");
    failed.says("qemu-user-static");
    shop.script("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
    fs::remove_file(shop.tools.join("buildah")).expect("it is there");
    let without = Outcome::of(shop.command(&["deploy"]).env("PATH", &shop.tools));
    without
        .code(12)
        .says("nothing here builds Dockerfiles")
        .says("Cannot connect")
        .says("`buildah` is not installed");
}
