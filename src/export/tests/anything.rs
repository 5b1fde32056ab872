//! Whatever live holds, what is exported of it passes `validate` and plans to nothing.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{PROJECT, bodies, engine, export, reconcile, values};
use crate::catalog::{self, Field};
use crate::export::{self, files};
use crate::plan::equality::is_empty;
use crate::sandbox::{self, Sandbox, SecretsOnGet};

/// A value that no form of the console would send, and that may be live all the same.
fn odd() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![any::<i64>(), -1..2i64].prop_map(Value::from),
        Just(json!(0.5)),
        "[ a-z:#${}\\n]{0,6}".prop_map(Value::from),
        "(TRUE|on|12|\\$\\{env:A\\}|\\$\\{var:a\\}|\\$\\{B\\}|\\$\\{)".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("(name|value|host|port|key|[a-z]{1,3})", inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A connection of which some fields are odd, some are gone, and some the catalog does not have.
fn connection(index: usize) -> impl Strategy<Value = Value> {
    let types: Vec<_> = catalog::all().collect();
    let picks =
        prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(odd())), 0..6);
    let unknown = prop::collection::vec(("[a-c #\\n]{1,3}", odd()), 0..2);
    (prop::sample::select(types), picks, unknown).prop_map(move |(found, picks, unknown)| {
        let mut body = bodies::full(found);
        let fields = body.as_object_mut().unwrap();
        fields.insert("name".to_owned(), json!(format!("c{index}")));
        for (pick, value) in picks {
            let names: Vec<String> =
                fields.keys().filter(|key| *key != "type" && *key != "name").cloned().collect();
            if names.is_empty() {
                continue;
            }
            let name = pick.get(&names);
            // Whether a secret that GET does not show is set, nobody knows.
            let is_nothing = value.as_ref().is_none_or(is_empty);
            if is_nothing && found.field(name).is_some_and(Field::is_secret) {
                continue;
            }
            match value {
                Some(value) => fields.insert(name.clone(), value),
                None => fields.shift_remove(name),
            };
        }
        fields.extend(unknown);
        body
    })
}

fn connections() -> impl Strategy<Value = Vec<Value>> {
    (1..6usize).prop_flat_map(|count| (0..count).map(connection).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_live_is_exported_so_that_it_plans_to_nothing(bodies in connections()) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let options = sandbox::Options::showing(SecretsOnGet::Shown);
            let sandbox = Sandbox::start(options).await.unwrap();
            for body in &bodies {
                sandbox.control().put(PROJECT, body.clone()).unwrap();
            }
            let export = export(&sandbox, false).await;
            prop_assert_eq!(export.documents.len() + export.passed_over.len(), bodies.len());
            let written = files::files(&export, false);
            let problems = export::problems(&written);
            let errors: Vec<_> =
                problems.iter().filter(|p| p.severity == crate::document::Severity::Error).collect();
            prop_assert!(errors.is_empty(), "{:#?}", errors);
            let folder = tempfile::tempdir().unwrap();
            files::write(&folder.path().join("out"), &written, false).unwrap();
            let engine = engine(&sandbox, folder.path(), values(&export, &sandbox));
            let (plan, _) = reconcile(&engine, folder.path(), false).await;
            prop_assert_eq!(&plan.errors, &Vec::<String>::new());
            prop_assert!(plan.changes().is_empty(), "{:#?}\n{:#?}", plan.changes(), written);
            prop_assert_eq!(plan.summary().blocked, 0);
            sandbox.stop().await;
            Ok(())
        })?;
    }
}
