//! Secrets in an encrypted file that is committed: set, shipped, rotated, shared; age itself is the judge of the format.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use skep_tests::{Outcome, World};

/// An app whose secrets are in an encrypted file, and whoever works on it has a key.
fn sealed() -> World {
    seal(World::new())
}

fn seal(world: World) -> World {
    world.project.add_secret("");
    world.project.remove("secrets.env");
    world.project.edit("skep.yaml", "secrets.env", "secrets.env.age");
    world
}

/// `skep` with this on its standard input.
fn told(world: &World, arguments: &[&str], input: &str) -> Outcome {
    let mut command = world.command(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("skep starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("skep reads");
    Outcome::from(child.wait_with_output().expect("skep ends"))
}

fn data(world: &World, key: &str) -> String {
    let value = world.object("secret", "shop-secrets")["data"][key].clone();
    String::from_utf8(base64(value.as_str().expect("the key is there"))).expect("text")
}

fn base64(text: &str) -> Vec<u8> {
    let mut command = Command::new("base64");
    let mut child = command
        .arg("-d")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("base64 is a part of Debian");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("base64 reads");
    child.wait_with_output().expect("base64 ends").stdout
}

#[test]
fn a_secret_is_set_from_standard_input_and_shipped_from_a_file_that_can_be_committed() {
    let world = sealed();
    told(&world, &["secret", "set", "TOKEN"], "hunter2\n")
        .code(1)
        .says("no age key")
        .says("skep secret keygen");
    let made = world.skep(&["secret", "keygen"]).ok();
    let ours = made.stdout.trim().to_owned();
    assert!(ours.starts_with("age1"), "{ours}");
    assert_eq!(world.skep(&["secret", "keygen"]).ok().stdout.trim(), ours, "the same one again");
    world.skep(&["deploy"]).code(10).says("secrets.env.age").says("skep secret set NAME");

    told(&world, &["secret", "set", "TOKEN"], "hunter2\n").ok().says("TOKEN is added").never_says("hunter2");
    let pem = "-----BEGIN PRIVATE KEY-----\nMIG=\n-----END PRIVATE KEY-----\n";
    told(&world, &["secret", "set", "PEM"], &format!("{pem}\n")).ok();
    told(&world, &["secret", "set", "EMPTY"], "\n").code(1).says("is empty").says("unset EMPTY");
    told(&world, &["secret", "set", "TOKEN=hunter2"], "").code(1).says("can't name a secret");
    let file = world.project.dir().join("secrets.env.age");
    let text = fs::read_to_string(&file).expect("the file is there");
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") && !text.contains("hunter2"));
    let key = world.path().join("config/skep/age.key");
    let mut age = Command::new("age");
    let plain = Outcome::of(age.arg("-d").arg("-i").arg(&key).arg(&file)).ok().stdout;
    assert_eq!(
        plain,
        "TOKEN=hunter2\nPEM=\"-----BEGIN PRIVATE KEY-----\\nMIG=\\n-----END PRIVATE KEY-----\\n\"\n"
    );

    let listed = world.skep(&["secret", "list"]).ok().says("shop-secrets  PEM    secrets.env.age");
    listed.says("shop-secrets  TOKEN  secrets.env.age").never_says("hunter2");
    let deployed = world.skep(&["deploy", "--output", "json"]).ok();
    deployed.never_says("hunter2").never_says("aHVudGVyMg");
    assert_eq!((data(&world, "TOKEN").as_str(), data(&world, "PEM").as_str()), ("hunter2", pem));

    // Encrypting again changes every byte of the file and nothing that runs.
    world.skep(&["secret", "rotate"]).ok().says("secrets.env.age is encrypted anew");
    assert_ne!(fs::read_to_string(&file).expect("the file is there"), text);
    world.skep(&["deploy"]).ok().says("nothing was changed");

    world.skep(&["secret", "rotate", "TOKEN"]).ok().says("TOKEN is renewed in secrets.env.age");
    world.skep(&["config", "diff"]).code(2).says("secret shop-secrets (TOKEN)").says("shop");
    world.skep(&["secret", "unset", "PEM"]).ok().says("PEM is removed");
    world.skep(&["secret", "unset", "PEM"]).code(1).says("has no PEM");
    world.skep(&["config", "apply"]).ok().says("shop will restart").says("v2 is live");
    let renewed = data(&world, "TOKEN");
    assert!(renewed.len() == 48 && renewed.chars().all(|c| c.is_ascii_hexdigit()), "{renewed}");
    assert!(world.object("secret", "shop-secrets")["data"]["PEM"].is_null());
    world.skep(&["rollback"]).ok();
    assert_eq!(data(&world, "TOKEN"), "hunter2");
}

#[test]
fn a_colleague_reads_secrets_once_somebody_has_added_their_key() {
    let world = sealed();
    let ours = world.skep(&["secret", "keygen"]).ok().stdout.trim().to_owned();
    told(&world, &["secret", "set", "TOKEN"], "hunter2").ok();
    let mut age = Command::new("age-keygen");
    let theirs_text = Outcome::of(&mut age).ok().stdout;
    let theirs =
        theirs_text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("age-keygen says it");
    let as_them =
        |arguments: &[&str]| Outcome::of(world.command(arguments).env("SKEP_AGE_KEY", &theirs_text));
    let refused =
        as_them(&["secret", "list"]).code(10).says("secrets.env.age").says("encrypted for other keys");
    refused.says(theirs).says("skep secret rotate");
    as_them(&["secret", "unset", "TOKEN"]).code(1).says("encrypted for other keys");

    world.project.append("skep.yaml", &format!("recipients: [{theirs}]\n"));
    world.skep(&["secret", "rotate"]).code(1).says("for others alone").says(&ours);
    world.project.edit("skep.yaml", "recipients: [", &format!("recipients: [{ours}, "));
    world.skep(&["secret", "rotate"]).ok().says("for 2 recipients");
    as_them(&["secret", "list"]).ok().says("TOKEN");
    as_them(&["deploy"]).ok();
    assert_eq!(data(&world, "TOKEN"), "hunter2");

    // A file that age itself wrote is as good.
    let plain = world.path().join("plain");
    fs::write(&plain, "TOKEN=from-age\n").expect("a file can be written");
    let file = world.project.dir().join("secrets.env.age");
    let mut age = Command::new("age");
    Outcome::of(age.args(["--armor", "-r", &ours, "-o"]).arg(&file).arg(&plain)).ok();
    world.skep(&["config", "apply"]).ok().says("shop will restart");
    assert_eq!(data(&world, "TOKEN"), "from-age");
    world.project.write("secrets.env.age", "TOKEN=plain\n");
    world
        .skep(&["deploy"])
        .code(10)
        .says("can't be decrypted")
        .says("armored age file")
        .never_says("TOKEN=plain");
    world.project.edit("skep.yaml", &ours, "age1nobody");
    world.skep(&["deploy"]).code(10).says("recipients/0: not an age public key");
}

#[test]
fn secrets_set_at_once_are_all_kept_and_no_reader_is_lost_by_the_way() {
    let world = seal(World::without_hive());
    let ours = world.skep(&["secret", "keygen"]).ok().stdout.trim().to_owned();
    let mut children: Vec<_> = (0..6)
        .map(|number| {
            let mut command = world.command(&["secret", "set", &format!("C{number}")]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("skep starts");
            let value = format!("value-{number}");
            child.stdin.take().expect("piped").write_all(value.as_bytes()).expect("skep reads");
            child
        })
        .collect();
    assert!(children.iter_mut().all(|child| child.wait().expect("it ends").success()));
    let listed = world.skep(&["secret", "list"]).ok();
    (0..6).for_each(|number| assert!(listed.stdout.contains(&format!("  C{number} ")), "{listed}"));

    // Targets share the file: the recipients of one are those of all, and whom nobody names is not dropped silently.
    let theirs = world.path().join("their.key");
    Outcome::of(Command::new("age-keygen").arg("-o").arg(&theirs)).ok();
    let other = Outcome::of(Command::new("age-keygen").arg("-y").arg(&theirs)).ok().stdout.trim().to_owned();
    let file = world.project.dir().join("secrets.env.age");
    let (link, real) = (world.project.dir().join("secrets.env.age"), world.project.dir().join("real.age"));
    fs::rename(&link, &real).expect("it can be renamed");
    std::os::unix::fs::symlink("real.age", &link).expect("a link can be made");
    world.project.append("skep.yaml", &format!("recipients: [{ours}, {other}]\n"));
    world.skep(&["secret", "rotate"]).ok().says("for 2 recipients");
    assert!(link.is_symlink(), "a link stays one");
    world.project.edit("skep.yaml", &format!("recipients: [{ours}, {other}]\n"), "");
    told(&world, &["secret", "set", "D"], "x").code(1).says("can be read with 2 keys, and could be with 1");
    world.project.append(
        "skep.yaml",
        "registry: { url: r.example.com/x, username: a, password: { env-file: reg.env.age, key: PW } }\ntargets: { far: { kubeconfig: far.yaml, context: far } }\n",
    );
    world.project.append("skep.yaml", &format!("recipients: [{ours}, {other}]\n"));
    told(&world, &["secret", "set", "PW", "--file", "reg.env.age"], "pw").ok().says("added in reg.env.age");
    world.skep(&["secret", "rotate"]).ok().says("reg.env.age").says("secrets.env.age");
    let mut age = Command::new("age");
    let read = Outcome::of(age.arg("-d").arg("-i").arg(&theirs).arg(&file)).ok();
    assert!(read.stdout.contains("C0=value-0"), "{read}");
}

#[test]
fn a_generated_secret_is_renewed_and_its_readers_restart() {
    let world = sealed();
    world.project.edit("skep.yaml", "env-files: [secrets.env.age]", "generate: [COOKIE_KEY]");
    world.skep(&["deploy"]).ok();
    let first = data(&world, "COOKIE_KEY");
    world.skep(&["secret", "list"]).ok().says("shop-secrets  COOKIE_KEY  made once");
    world
        .skep(&["secret", "set", "X"])
        .code(1)
        .says("no encrypted env file")
        .says("env-files: [secrets.env.age]");
    world.skep(&["secret", "rotate", "NOBODY"]).code(1).says("no encrypted env file");
    told(&world, &["secret", "set", "COOKIE_KEY"], "x")
        .code(1)
        .says("is generated")
        .says("skep secret rotate");
    world.skep(&["secret", "rotate", "COOKIE_KEY"]).ok().says("COOKIE_KEY is renewed in shop-secrets");
    assert_eq!(data(&world, "COOKIE_KEY"), first, "nothing is shipped yet");
    world.skep(&["plan"]).code(2).says("secret shop-secrets (COOKIE_KEY)");
    world.skep(&["config", "apply"]).ok().says("shop will restart");
    assert_ne!(data(&world, "COOKIE_KEY"), first);
    world.skep(&["rollback"]).ok();
    assert_eq!(data(&world, "COOKIE_KEY"), first);
}

#[test]
fn a_value_is_read_from_a_command_a_file_the_environment_and_keys_of_yaml() {
    let world = sealed();
    world.project.edit(
        "skep.yaml",
        "{ env-files: [secrets.env.age] }",
        "\n    values:\n      A: { command: 'cat vault.txt' }\n      B: { file: b.txt }\n      C: { env: SHOP_C }\n     ",
    );
    world.project.edit("skep.yaml", "{ shop-secrets:", "\n  shop-secrets:");
    world.project.edit("skep.yaml", " }\nconfig:", "\nconfig:");
    world.project.edit(
        "skep.yaml",
        "env-files: [shop.env] }",
        "env-files: [shop.env], yaml-files: [{ file: config.yaml, at: app/env }], except: [D] }",
    );
    world.project.write(
        "config.yaml",
        "app:\n  env: { PORT: 08, RATE: 1.10, D: no, COLOUR: \"off\" }\n  hosts: [a]\n",
    );
    world.project.write("b.txt", "from-a-file\r\n");
    let with_c = |arguments: &[&str]| Outcome::of(world.command(arguments).env("SHOP_C", "from-env"));
    let refused = with_c(&["deploy"]).code(10).says("skep.yaml:").says("gave no");
    refused.says("it ended with exit status: 1").says("vault.txt").says("it should print the value");
    world.project.write("vault.txt", "from-a-command\n");
    world.skep(&["deploy"]).code(10).says("`SHOP_C` is not set");
    with_c(&["secret", "list"]).ok().says("`cat vault.txt`").says("b.txt").says("$SHOP_C");
    with_c(&["deploy", "--output", "json"]).ok().never_says("from-a-command").never_says("from-env");
    for (key, value) in [("A", "from-a-command"), ("B", "from-a-file"), ("C", "from-env")] {
        assert_eq!(data(&world, key), value);
    }
    let config = world.object("configmap", "shop-config")["data"].clone();
    let expected = serde_json::json!({"PORT": "08", "RATE": "1.10", "COLOUR": "off", "GREETING": "hello"});
    assert_eq!(config, expected, "as they are written");

    world.project.edit("skep.yaml", "at: app/env", "at: app");
    with_c(&["deploy"]).code(10).says("config.yaml:2").says("`env` is a mapping").says("at: app/env");
    world.project.edit("skep.yaml", "at: app", "at: app/no");
    with_c(&["deploy"]).code(10).says("has no `no` there");
}

/// A Secret that is not versioned, because something other than a pod reads it by its name, is no more recorded than any other.
#[test]
fn records_and_plans_hold_no_secret_of_any_type() {
    let world = World::new();
    world.project.write(
        "k8s/login.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: { name: login }\ntype: kubernetes.io/dockerconfigjson\n\
         stringData: { .dockerconfigjson: '{\"auths\":{\"r.example.com\":{\"auth\":\"bWFya2VyOm1hcmtlcg==\"}}}' }\n",
    );
    world.skep(&["deploy"]).ok();
    let encoded =
        world.object("secret", "login")["data"][".dockerconfigjson"].as_str().unwrap_or_default().to_owned();
    assert!(!encoded.is_empty());
    let record = world.record(1);
    assert!(!record.contains("bWFya2VyOm1hcmtlcg") && !record.contains(&encoded), "{record}");
    world.project.edit("k8s/login.yaml", "bWFya2Vy", "bmV3bmV3");
    for command in [&["diff"][..], &["plan", "--output", "json"], &["diff", "--output", "json"]] {
        world.skep(command).code(2).never_says("bmV3bmV3").never_says("bWFya2Vy");
    }
    world.skep(&["plan", "--out", "saved.json"]).code(2);
    let saved = fs::read_to_string(world.project.dir().join("saved.json")).expect("a saved plan");
    assert!(!saved.contains("bmV3bmV3") && !saved.contains("bWFya2Vy"), "{saved}");
    world.skep(&["deploy"]).ok();
    // A login is outside releases: a rollback leaves it as it is.
    world.skep(&["rollback", "v1"]);
    assert_ne!(world.object("secret", "login")["data"][".dockerconfigjson"], encoded.as_str());
}
