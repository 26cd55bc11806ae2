//! What is wrong is told with file and line.

use std::time::Duration;

use miette::{GraphicalReportHandler, GraphicalTheme};
use skep_manifest::{ManifestError, merge, migration_job, settle};

use crate::files::{objects, try_read};

fn rendered(error: &ManifestError) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(110)
        .render_report(&mut report, error)
        .expect("renders");
    format!("{error}\n\n{report}")
}

fn told(text: &str) -> String {
    match try_read(text) {
        Ok(read) => panic!("reads: {read:?}"),
        Err(error) => rendered(&error),
    }
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
    yaml_error: told("apiVersion: v1\nkind: Service\nmetadata:\n  name: api\n spec: {}\n");
    a_template: told("apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ name }}-x\n");
    unclosed: told("apiVersion: v1\nkind: Service\nmetadata: {name: \"api\n");
    duplicate_key: told("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  type: ClusterIP\n  ports: []\n  type: NodePort\n");
    no_kind: told("apiVersion: v1\nmetadata: {name: a}\n");
    no_api_version: told("# a comment\nkind: Service\nmetadata: {name: a}\n");
    no_name: told("apiVersion: v1\nkind: Service\nmetadata:\n  labels: {a: b}\n");
    name_is_a_number: told("apiVersion: v1\nkind: Service\nmetadata:\n  name: 0400\n");
    namespace_n: told("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  namespace: n\n");
    annotation_true: told("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    metadata:\n      \
                           annotations:\n        prometheus.io/scrape: true\n");
    env_on: told("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    env:\n    \
                  - name: DEBUG\n      value: on\n");
    config_number: told("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  PORT: 8000\n");
    labels_as_a_list: told("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels: [a, b]\n");
    infinity: told("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nx: .inf\n");
    unknown_alias: told("apiVersion: v1\nkind: Service\nmetadata: {name: *nope}\n");
    a_secret_shows_no_line: told("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  KEY: hunter2\n  KEY: hunter3\n");
    twice_in_one_folder: {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
        rendered(&merge([objects(text)]).expect_err("twice"))
    };
    foreign_namespace: {
        let mut all = objects("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  namespace: kube-system\n");
        rendered(&settle(&mut all, "honeydue").expect_err("foreign"))
    };
    another_namespace_object: {
        let mut all = objects("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: other\n");
        rendered(&settle(&mut all, "honeydue").expect_err("foreign"))
    };
    migration_that_is_no_job: {
        let all = objects("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: migrate}\n");
        rendered(&migration_job(&all[0], Duration::from_secs(600)).expect_err("no Job"))
    };
}
