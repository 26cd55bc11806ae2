//! docs/cheat-sheet.md, line by line.

use std::{fs, path::Path, process::Command};

use skep_tests::{Backblaze, Outcome, World};

/// The commands of the page, in its order.
fn commands() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cheat-sheet.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what"));
    let command = |row: &str| {
        let row = row.replace(r"\|", "\u{1}");
        let cell = row.trim_matches('|').split('|').nth(1)?.trim().replace('\u{1}', "|");
        let command = cell.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        command.contains("skep ").then_some(command)
    };
    rows.filter_map(command).collect()
}

#[test]
fn every_line_of_the_cheat_sheet_does_what_it_says() {
    let Some(world) = World::on_hive("it has three names for one cluster") else { return };
    let project = &world.project;
    let dir = project.dir();
    for file in ["k8s/shop.yaml", "k8s/traffic.yaml"] {
        let text = fs::read_to_string(dir.join(file)).expect("written by this harness");
        project
            .write(file, &text.replace("name: shop }", "name: api }").replace("name: shop,", "name: api,"));
    }
    project.edit("skep.yaml", "/release: release }", "/release: release, /busybox: /bin/busybox }");
    project.edit("k8s/shop.yaml", "envFrom: [", "envFrom: [{ secretRef: { name: shop-secrets } }, ");
    let status = world.skep(&["hive", "status", "--output", "json"]).ok().json()[0].clone();
    let registry = status["registry"].as_str().expect("hive names its registry");
    let kubeconfig = world.hive_dir().join("kubeconfig");
    let target = |name: &str| {
        format!(
            "  {name}: {{ kubeconfig: {}, registry: {registry}/team, namespace: {name} }}\n",
            kubeconfig.display()
        )
    };
    let secrets = "secrets: { shop-secrets: { env-files: [secrets.env.age] } }\n";
    project.append("skep.yaml", &format!("{secrets}targets:\n{}{}", target("staging"), target("production")));
    let backblaze = Backblaze::start();
    if let Some(backblaze) = &backblaze {
        backblaze.described(&world, "keyId", "key");
    }
    world.skep(&["secret", "keygen"]).ok();
    let shell = |line: &str, seconds: &str| {
        let mut command = world.command(&[]);
        let skep = command.get_program().to_owned();
        let bin = world.path().join("bin");
        fs::create_dir_all(&bin).expect("a folder can be made");
        if !bin.join("skep").exists() {
            std::os::unix::fs::symlink(&skep, bin.join("skep")).expect("a link can be made");
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut bounded = Command::new("timeout");
        bounded.args(["--signal=INT", seconds, "sh", "-c", line]).current_dir(dir);
        bounded.envs(command.env("PATH", path).get_envs().filter_map(|(key, value)| Some((key, value?))));
        Outcome::of(&mut bounded)
    };
    shell("printf %s first | skep secret set SECRET_KEY", "60").ok();
    let git = |arguments: &[&str]| {
        let me = ["-c", "user.name=ann", "-c", "user.email=ann@example.com", "-C"];
        Outcome::of(Command::new("git").args(me).arg(dir).args(arguments)).ok().stdout.trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "one"]);
    let sha = git(&["rev-parse", "--short=7", "HEAD"]);
    world.skep(&["deploy", "-t", "staging"]).ok();

    let mut commands = commands();
    commands.retain(|command| backblaze.is_some() || !command.starts_with("skep bucket"));
    assert!(commands.len() > 25, "{commands:?}");
    for (number, command) in commands.iter().enumerate() {
        // Something for it to do.
        if command.starts_with("skep deploy") || command.starts_with("skep hotfix") {
            project.write("release", &format!("{number}\n"));
        }
        if command.starts_with("skep config diff") {
            project.write("shop.env", &format!("GREETING=hello-{number}\n"));
        }
        let line = command.replace("SHA", &sha).replace("VALUE", "second");
        let follows = command.contains("hotfix") || command.ends_with(" -f");
        let ran = shell(&line, if follows { "12" } else { "90" });
        let expected: &[i32] = match command.split_whitespace().nth(1) {
            Some("plan" | "diff") => &[0, 2],
            Some("config") if command.contains("diff") => &[2],
            // Interrupted by `timeout`, which has a code of its own.
            _ if follows => &[0, 124],
            _ => &[0],
        };
        let code = ran.code.unwrap_or(-1);
        assert!(expected.contains(&code), "{command}: {code}\n{ran}");
        assert!(!ran.stderr.contains("error: "), "{command}\n{ran}");
    }
    let history = world.skep(&["history", "-t", "production"]).ok();
    history.says("back to v1").never_says("failed");
}
