//! What networks and API servers do to requests: at each of them, in turn. A deploy ends well or with the code of its step; the next
//! one converges; nothing is left locked.

use std::{
    env, fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use skep_tests::{Fault, FaultyApi, Outcome, World, eventually};

/// The target that leads over the faulty way.
pub(crate) fn faulty(world: &World) -> FaultyApi {
    let api = FaultyApi::before(world);
    let kubeconfig = api.kubeconfig().display();
    let registry = if world.is_hive() {
        let status = world.skep(&["hive", "status", "--output", "json"]).ok().json()[0].clone();
        format!(", registry: {}/faulty", status["registry"].as_str().expect("hive names its registry"))
    } else {
        String::new()
    };
    let yaml = fs::read_to_string(world.project.dir().join("skep.yaml")).expect("written by this harness");
    match yaml.contains("targets: { ") {
        true => world.project.edit(
            "skep.yaml",
            "targets: { ",
            &format!("targets: {{ faulty: {{ kubeconfig: {kubeconfig}{registry} }}, "),
        ),
        false => world.project.append(
            "skep.yaml",
            &format!("targets: {{ faulty: {{ kubeconfig: {kubeconfig}{registry} }} }}\n"),
        ),
    }
    api
}

/// A release that has something of everything, and differs from the last in all of it.
fn change(world: &World, number: usize) {
    world.project.write("release", &format!("{number}\n"));
    world.project.write("shop.env", &format!("GREETING=hello\nNUMBER={number}\n"));
}

#[test]
fn whatever_happens_to_a_request_the_deploy_ends_and_the_next_converges() {
    let world = World::new();
    let api = faulty(&world);
    let deploy = || world.skep(&["deploy", "-t", "faulty"]);
    world.project.edit("k8s/shop.yaml", "replicas: 2", "replicas: 1");
    change(&world, 0);
    api.plan(None);
    deploy().ok();
    change(&world, 1);
    api.plan(None);
    deploy().ok();
    let requests = api.seen().len();
    assert!(requests > 20, "{:?}", api.seen());

    // One fault a request, another with each; all of them with SKEP_TEST_FAULTS=all.
    let all = env::var_os("SKEP_TEST_FAULTS").is_some_and(|all| all == "all");
    let cases = (0..requests).flat_map(|at| {
        let kinds = if all { Fault::ALL.to_vec() } else { vec![Fault::ALL[at % Fault::ALL.len()]] };
        kinds.into_iter().map(move |fault| (at, fault))
    });
    let mut failed = 0;
    for (number, (at, fault)) in cases.enumerate() {
        change(&world, number + 2);
        api.plan(Some((at, fault)));
        let began = Instant::now();
        let outcome = deploy();
        let hit = api.seen().get(at).cloned().unwrap_or_else(|| "none".to_owned());
        let case = format!("{fault:?} of request {at}, {hit}");
        assert!(began.elapsed().as_secs() < 45, "{case}: it took {} s\n{outcome}", began.elapsed().as_secs());
        api.plan(None);
        if outcome.code != Some(0) {
            failed += 1;
            ended_cleanly(&case, fault, &outcome);
            let again = deploy();
            assert_eq!(again.code, Some(0), "{case}: the next deploy\n{outcome}\n{again}");
        }
        let page = world.get("/");
        assert_eq!(page.as_deref(), Ok(format!("hello from {}\n", number + 2).as_str()), "{case}\n{outcome}");
    }
    // A lock that could not be given back was that of a dead process.
    change(&world, 9999);
    deploy().ok();
    world.skep(&["history", "-t", "faulty"]).ok().never_says("pending");
    assert!(
        world
            .objects("leases")
            .iter()
            .all(|lease| lease["spec"]["holderIdentity"].is_null() || lease["spec"]["holderIdentity"] == "")
    );
    // What may be sent twice is; what is left are refusals that mean something.
    assert!(failed * 3 < requests * if all { Fault::ALL.len() } else { 1 }, "{failed} of {requests} failed");
}

#[test]
fn a_deploy_with_nothing_to_do_makes_three_round_trips_and_takes_no_lock() {
    let world = World::new();
    let api = faulty(&world);
    world.project.add_services(&["b", "c", "d", "e"]);
    world.skep(&["deploy", "-t", "faulty"]).ok();
    api.is_farther_by(Duration::from_millis(60));
    let began = Instant::now();
    world.skep(&["deploy", "-t", "faulty", "--skip-build"]).ok().says("nothing was changed");
    let seen = api.seen();
    assert!(seen.len() > 30, "20 objects are read and rehearsed: {seen:?}");
    assert!(
        seen.iter().all(
            |call| !call.contains("/leases") && (call.starts_with("GET ") || call.contains("dryRun=All"))
        ),
        "{seen:?}"
    );
    assert!(api.round_trips() <= 3, "{} in {:?}: {seen:?}", api.round_trips(), began.elapsed());
}

/// A control plane that is restarted, or a network that is away: half a minute in the middle of a rollout.
#[test]
fn an_api_that_is_away_for_30_seconds_is_waited_for_and_the_verdict_is_right() {
    const AWAY: Duration = Duration::from_secs(30);
    let world = World::new();
    let api = faulty(&world);
    world.project.append("skep.yaml", "rollout: { no-progress: 20s }\n");
    world.skep(&["deploy", "-t", "faulty"]).ok();
    let shipped_through_an_outage = |release: &str| -> Outcome {
        world.project.write("release", release);
        let mut command = world.command(&["deploy", "-t", "faulty"]);
        let generation = || world.object("deployment", "shop")["metadata"]["generation"].as_u64();
        let before = generation();
        api.is_farther_by(Duration::from_secs(1));
        let deploy = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("skep starts");
        eventually("the write", Duration::from_secs(30), || (generation() != before).then_some(()));
        // The write is done, and its answer is lost.
        api.is_away(true);
        thread::sleep(AWAY);
        api.is_farther_by(Duration::ZERO);
        api.is_away(false);
        deploy.wait_with_output().expect("it was started").into()
    };
    // It is ready after 15 s, twice, of which nobody sees anything: no progress for longer than the policy allows.
    let well = shipped_through_an_outage("slow 15\n").ok();
    well.says("the cluster has not answered for 1")
        .says("the cluster answers again after")
        .says("is live on faulty");
    let broken = shipped_through_an_outage("crash no config\n").code(30);
    broken.says("the cluster answers again after").says("panic: no config").says("v2 runs again, as v4");
    world.skep(&["unlock", "-t", "faulty", "--reason", "a test"]).ok().says("is not locked");
    world.project.write("release", "fine\n");
    world.skep(&["deploy", "-t", "faulty"]).ok();
}

/// Only what can't be mended by another try may end a deploy: a token that is refused, and the writes that are fences.
fn ended_cleanly(case: &str, fault: Fault, outcome: &Outcome) {
    let code = outcome.code.unwrap_or(-1);
    // 30: it had touched services, and the release before runs again.
    assert!((10..=22).contains(&code) || code == 30, "{case}\n{outcome}");
    assert!(outcome.stderr.contains("error: "), "{case}\n{outcome}");
    if fault == Fault::Expired {
        assert!(outcome.stderr.contains("credentials were not accepted"), "{case}\n{outcome}");
    }
    let harmless = matches!(fault, Fault::Slow | Fault::Busy);
    assert!(!harmless, "{case}: this passes by itself\n{outcome}");
}
