//! Ownership, case by case: who applies or writes what, and what the object and its owners are then.

use serde_json::{Value, json};

use super::{after_update, apply};
use crate::kind::Kind;
use crate::meta;
use crate::status::Status;

/// An object that several managers write.
#[derive(Default)]
struct Scene {
    live: Option<Value>,
}

#[expect(clippy::needless_pass_by_value, reason = "called with json! values")]
impl Scene {
    fn apply(&mut self, manager: &str, spec: Value) -> &mut Self {
        self.try_apply(manager, spec, false).unwrap();
        self
    }

    fn force(&mut self, manager: &str, spec: Value) -> &mut Self {
        self.try_apply(manager, spec, true).unwrap();
        self
    }

    fn try_apply(&mut self, manager: &str, spec: Value, force: bool) -> Result<(), Status> {
        let applied = apply(Kind::DEPLOYMENT, self.live.as_ref(), &object(&spec), manager, None, force)?;
        let mut object = applied.object;
        meta::set(&mut object, "managedFields", applied.entries);
        self.live = Some(object);
        Ok(())
    }

    fn write(&mut self, manager: &str, change: impl FnOnce(&mut Value)) -> &mut Self {
        let live = self.live.clone().unwrap_or_else(|| object(&json!({})));
        let mut next = live;
        change(&mut next);
        let entries = after_update(Kind::DEPLOYMENT, &next, self.live.as_ref(), manager, None);
        meta::set(&mut next, "managedFields", entries);
        self.live = Some(next);
        self
    }

    fn spec(&self) -> &Value {
        &self.live.as_ref().unwrap()["spec"]
    }

    fn fields(&self, manager: &str, operation: &str) -> Value {
        let live = self.live.as_ref().unwrap();
        let entries = meta::list(live, "/metadata/managedFields");
        let own = entries.iter().find(|e| e["manager"] == manager && e["operation"] == operation);
        own.map(|entry| entry["fieldsV1"].clone()).unwrap_or_default()
    }
}

fn object(spec: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}, "spec": spec})
}

#[expect(clippy::needless_pass_by_value, reason = "called with json! values")]
fn containers(list: Value) -> Value {
    json!({"template": {"spec": {"containers": list}}})
}

#[test]
fn the_first_apply_owns_what_it_names() {
    let mut scene = Scene::default();
    scene.apply(
        "skep",
        json!({"replicas": 1, "template": {"spec": {"containers": [
        {"name": "c", "image": "x", "ports": [{"containerPort": 80}], "args": ["a"]}]}}}),
    );
    assert_eq!(
        scene.fields("skep", "Apply"),
        json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
        "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}, "f:args": {},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}})
    );
}

#[test]
fn a_field_that_is_applied_no_more_is_removed() {
    let mut scene = Scene::default();
    scene.apply("skep", json!({"replicas": 1, "paused": true})).apply("skep", json!({"replicas": 1}));
    assert_eq!(*scene.spec(), json!({"replicas": 1}));
}

#[test]
fn a_field_that_another_owns_too_stays() {
    let mut scene = Scene::default();
    scene
        .apply("a", json!({"replicas": 3, "paused": true}))
        .apply("b", json!({"replicas": 3}))
        .apply("a", json!({"paused": true}));
    assert_eq!(*scene.spec(), json!({"replicas": 3, "paused": true}));
    scene.apply("b", json!({}));
    assert_eq!(*scene.spec(), json!({"paused": true}), "the last owner lets go");
}

#[test]
fn another_value_for_an_owned_field_is_a_conflict() {
    let mut scene = Scene::default();
    scene.apply("a", json!({"replicas": 1}));
    let status = scene.try_apply("b", json!({"replicas": 2}), false).unwrap_err();
    assert_eq!((status.code, status.reason), (409, "Conflict"));
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas");
    let cause = &status.details.unwrap().causes[0];
    assert_eq!((cause.reason, cause.field.as_str()), ("FieldManagerConflict", ".spec.replicas"));
    assert_eq!(scene.spec()["replicas"], 1);
}

#[test]
fn conflicts_are_listed_by_manager() {
    let mut scene = Scene::default();
    scene.apply("a", containers(json!([{"name": "c", "image": "x"}])));
    scene.write("kubectl", |object| object["spec"]["replicas"] = json!(5));
    let mut wanted = containers(json!([{"name": "c", "image": "y"}]));
    wanted["replicas"] = json!(2);
    let status = scene.try_apply("b", wanted, false).unwrap_err();
    assert_eq!(
        status.message,
        "Apply failed with 2 conflicts: conflicts with \"a\":\n- .spec.template.spec.containers[name=\"c\"].image\n\
         conflicts with \"kubectl\" using apps/v1:\n- .spec.replicas"
    );
}

#[test]
fn force_takes_the_field() {
    let mut scene = Scene::default();
    scene.apply("a", json!({"replicas": 1, "paused": true})).force("b", json!({"replicas": 2}));
    assert_eq!(*scene.spec(), json!({"replicas": 2, "paused": true}));
    assert_eq!(scene.fields("a", "Apply"), json!({"f:spec": {"f:paused": {}}}));
    assert_eq!(scene.fields("b", "Apply"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn the_same_value_is_shared_without_conflict() {
    let mut scene = Scene::default();
    scene.apply("a", json!({"replicas": 1})).apply("b", json!({"replicas": 1}));
    assert_eq!(scene.fields("a", "Apply"), scene.fields("b", "Apply"));
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let mut scene = Scene::default();
    scene.apply("a", containers(json!([{"name": "c", "image": "x"}])));
    let before = scene.live.clone();
    scene.apply("a", containers(json!([{"name": "c", "image": "x"}])));
    assert_eq!(scene.live, before);
}

#[test]
fn a_plain_write_takes_what_it_changes_and_no_more() {
    let mut scene = Scene::default();
    scene.apply("skep", json!({"replicas": 1, "paused": true}));
    scene.write("kubectl", |object| object["spec"]["replicas"] = json!(5));
    assert_eq!(scene.fields("skep", "Apply"), json!({"f:spec": {"f:paused": {}}}));
    assert_eq!(scene.fields("kubectl", "Update"), json!({"f:spec": {"f:replicas": {}}}));
    scene.apply("skep", json!({"paused": true}));
    assert_eq!(scene.spec()["replicas"], 5, "what is not owned any more is not removed");
}

#[test]
fn an_item_goes_with_its_last_owner_and_other_items_stay() {
    let mut scene = Scene::default();
    scene.apply("a", containers(json!([{"name": "c", "image": "x"}, {"name": "side", "image": "s"}])));
    scene.write("injector", |object| {
        object["spec"]["template"]["spec"]["containers"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "mesh", "image": "m"}));
    });
    scene.apply("a", containers(json!([{"name": "c", "image": "x2"}])));
    let left = &scene.spec()["template"]["spec"]["containers"];
    assert_eq!(*left, json!([{"name": "c", "image": "x2"}, {"name": "mesh", "image": "m"}]));
}

#[test]
fn an_item_that_another_has_a_field_in_keeps_that_field() {
    let mut scene = Scene::default();
    scene.apply("a", containers(json!([{"name": "c", "image": "x", "tty": true}])));
    scene.apply("b", containers(json!([{"name": "c", "stdin": true}])));
    scene.apply("a", json!({"replicas": 1}));
    assert_eq!(scene.spec()["template"]["spec"]["containers"], json!([{"name": "c", "stdin": true}]));
}

#[test]
fn defaults_go_with_the_field_that_they_were_filled_into() {
    let mut scene = Scene::default();
    scene.apply("a", containers(json!([{"name": "c", "livenessProbe": {"httpGet": {"port": 80}}}])));
    // Defaults belong to nobody.
    let live = scene.live.as_mut().unwrap();
    live["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = json!(10);
    scene.apply("a", containers(json!([{"name": "c"}])));
    assert_eq!(scene.spec()["template"]["spec"]["containers"], json!([{"name": "c"}]));
}

#[test]
fn atomic_lists_and_maps_are_one_value() {
    let mut scene = Scene::default();
    scene.apply("a", json!({"selector": {"matchLabels": {"app": "a"}}, "template": {"spec": {"tolerations": [{"key": "x"}]}}}));
    let wanted = json!({"selector": {"matchLabels": {"app": "b"}}});
    let status = scene.try_apply("b", wanted, false).unwrap_err();
    assert!(status.message.ends_with(": .spec.selector"), "{status}");
    scene.force("b", json!({"template": {"spec": {"tolerations": [{"key": "y"}]}}}));
    assert_eq!(scene.spec()["template"]["spec"]["tolerations"], json!([{"key": "y"}]));
}

#[test]
fn items_are_put_in_the_order_of_the_configuration() {
    let mut scene = Scene::default();
    let env = |names: &[&str]| {
        let list: Vec<Value> = names.iter().map(|name| json!({"name": name, "value": "1"})).collect();
        containers(json!([{"name": "c", "env": list}]))
    };
    scene.apply("a", env(&["A", "B"])).apply("a", env(&["N", "B", "A"]));
    let list = meta::list(scene.spec(), "/template/spec/containers/0/env");
    let names: Vec<&str> = list.iter().filter_map(|e| e["name"].as_str()).collect();
    assert_eq!(names, ["N", "B", "A"]);
}

#[test]
fn what_a_write_removes_belongs_to_nobody() {
    let mut scene = Scene::default();
    scene.apply("a", json!({"replicas": 1, "paused": true}));
    scene.write("kubectl", |object| _ = object["spec"].as_object_mut().unwrap().remove("paused"));
    assert_eq!(scene.fields("a", "Apply"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn ownership_can_be_moved_by_writing_managed_fields() {
    let mut scene = Scene::default();
    scene.write("kubectl-client-side-apply", |object| object["spec"]["replicas"] = json!(1));
    scene.write("skep", |object| {
        let entries = object["metadata"]["managedFields"].as_array_mut().unwrap();
        entries[0]["manager"] = json!("skep");
        entries[0]["operation"] = json!("Apply");
    });
    assert_eq!(scene.fields("skep", "Apply"), json!({"f:spec": {"f:replicas": {}}}));
    scene.apply("skep", json!({"replicas": 2}));
    assert_eq!(scene.spec()["replicas"], 2);
}

#[test]
fn an_empty_list_lets_go_of_everything_and_the_next_apply_conflicts_with_before() {
    let mut scene = Scene::default();
    scene.apply("a", json!({"replicas": 1}));
    scene.write("kubectl", |object| object["metadata"]["managedFields"] = json!([{}]));
    assert!(scene.live.as_ref().unwrap()["metadata"].get("managedFields").is_none());
    let status = scene.try_apply("a", json!({"replicas": 2}), false).unwrap_err();
    assert!(status.message.contains("\"before-first-apply\" using apps/v1: .spec.replicas"), "{status}");
}

#[test]
fn an_item_that_is_there_twice_is_refused() {
    let mut scene = Scene::default();
    let env = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    let status = scene.try_apply("a", containers(json!([{"name": "c", "env": env}])), false).unwrap_err();
    assert_eq!(status.code, 400);
    let said = ".spec.template.spec.containers[name=\"c\"].env: duplicate entries for key [name=\"A\"]";
    assert!(status.message.ends_with(said), "{status}");
}
