use serde_json::json;

use super::*;
use crate::diagnostic::Severity;

/// The findings about the fields of a connection called `order mails`: `code pointer`, errors as
/// they are and warnings with a `?`.
fn said_with(
    type_name: &str,
    fields: &Value,
    vars: Option<&BTreeMap<String, Value>>,
) -> Vec<String> {
    found(type_name, fields, vars)
        .iter()
        .map(|f| {
            let mark = if f.problem.severity == Severity::Warning { "?" } else { "" };
            format!("{}{mark} {}", f.problem.code, f.pointer)
        })
        .collect()
}

fn found(type_name: &str, fields: &Value, vars: Option<&BTreeMap<String, Value>>) -> Vec<Finding> {
    let own_type = catalog::find(type_name).unwrap();
    Check::new("order mails", own_type, fields.as_object().unwrap(), vars, false).run()
}

fn said(type_name: &str, fields: impl std::borrow::Borrow<Value>) -> Vec<String> {
    said_with(type_name, fields.borrow(), None)
}

/// An email connection with more fields.
fn email(more: &Value) -> Vec<String> {
    let mut fields = json!({"host": "h"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    said("email", fields)
}

const NOTHING: [&str; 0] = [];

#[test]
fn kinds() {
    for good in [
        json!({"port": 25}),
        json!({"port": "25"}),
        json!({"port": "${env:PORT}"}),
        json!({"port": "${PORT}"}),
        json!({"port": "${var:port}"}),
        json!({"port": "2${env:PORT}"}),
        json!({"port": null}),
        json!({"auth": false}),
        json!({"enabled": "${env:ON}"}),
        json!({"additionalProperties": []}),
        json!({"additionalProperties": null}),
    ] {
        assert_eq!(email(&good), NOTHING, "{good}");
    }
    for (bad, code) in [
        (json!({"port": 70000}), "AG203 /port"),
        (json!({"port": 0}), "AG203 /port"),
        (json!({"port": -1}), "AG203 /port"),
        (json!({"port": "70000"}), "AG203 /port"),
        (json!({"port": 18_446_744_073_709_551_615_u64}), "AG203 /port"),
        (json!({"port": 25.5}), "AG202 /port"),
        (json!({"port": "smtp"}), "AG202 /port"),
        (json!({"port": true}), "AG202 /port"),
        (json!({"port": [25]}), "AG202 /port"),
        (json!({"port": "$${x}"}), "AG202 /port"),
        (json!({"enabled": "yes"}), "AG202 /enabled"),
        (json!({"enabled": 1}), "AG202 /enabled"),
        (json!({"host": ["h"]}), "AG202 /host"),
        (json!({"host": {"a": 1}}), "AG202 /host"),
        (json!({"description": 123}), "AG207? /description"),
        (json!({"description": true}), "AG207? /description"),
        (json!({"additionalProperties": {"a": 1}}), "AG202 /additionalProperties"),
        (json!({"additionalProperties": "${env:X}"}), "AG202 /additionalProperties"),
    ] {
        assert_eq!(email(&bad), [code], "{bad}");
    }
}

#[test]
fn help_says_what_to_write() {
    let help = |fields: Value| found("email", &fields, None)[0].problem.help.clone().unwrap();
    assert_eq!(help(json!({"host": "h", "enabled": "Yes"})), "write `true`, without quotes");
    assert_eq!(
        help(json!({"host": "h", "port": 70000})),
        "write a number between 1 and 65535, such as `587`"
    );
    assert_eq!(
        help(json!({"host": "h", "password": "x"})),
        "write `password: ${env:ORDER_MAILS_PASSWORD}`, and set `ORDER_MAILS_PASSWORD` where this \
         runs; if the value was ever pushed, change it"
    );
}

#[test]
fn unknown_fields_are_warnings() {
    assert_eq!(email(&json!({"prot": 25})), ["AG201? /prot"]);
    let finding = &found("email", &json!({"host": "h", "prot": 25}), None)[0];
    assert!(finding.problem.help.as_deref().unwrap().contains("did you mean `port`?"));
    assert_eq!(email(&json!({"prot": "${vault:x}"})), ["AG201? /prot", "AG301 /prot"]);
    assert_eq!(email(&json!({"id": "1"})), ["AG208? /id"]);
    assert_eq!(email(&json!({"projectName": "x"})), ["AG208? /projectName"]);
    let hosts = json!({"hostPortList": [{"host": "h", "prot": 1}]});
    assert_eq!(said("rabbitMq", hosts), ["AG201? /hostPortList/0/prot"]);
}

#[test]
fn choices_by_verdict() {
    let active = |more: Value| {
        let mut fields = json!({"activeMqConnectionProtocolType": "TCP", "brokerURL": "tcp://h",
                                "destinationType": "QUEUE", "destinationName": "q"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said("activeMq", fields)
    };
    assert_eq!(active(json!({})), NOTHING);
    assert_eq!(active(json!({"destinationType": "queue"})), NOTHING);
    assert_eq!(active(json!({"destinationType": "${env:KIND}"})), NOTHING);
    assert_eq!(active(json!({"destinationType": "QUEUES"})), ["AG204 /destinationType"]);
    assert_eq!(active(json!({"destinationType": 1})), ["AG202 /destinationType"]);
    let webhook =
        |method: &str| said("webhook", json!({"fullUrl": "http://h", "httpMethod": method}));
    assert_eq!(webhook("POST"), NOTHING);
    assert_eq!(webhook("TRACE"), ["AG205? /httpMethod"]);
    assert_eq!(webhook("FETCH"), ["AG205? /httpMethod"]);
}

#[test]
fn required_fields() {
    assert_eq!(said("email", json!({})), ["AG206 /host"]);
    assert_eq!(said("email", json!({"host": null})), ["AG206 /host"]);
    assert_eq!(said("email", json!({"host": ""})), ["AG206 /host"]);
    assert_eq!(email(&json!({"auth": true})), ["AG206 /username", "AG206 /password"]);
    assert_eq!(email(&json!({"auth": true, "username": "u", "password": null})), NOTHING);
    assert_eq!(email(&json!({"auth": "${env:AUTH}"})), NOTHING);
    // A documented default stands in for what is not declared.
    assert_eq!(said("logback", json!({})), NOTHING);
    assert_eq!(
        said("rabbitMq", json!({"hostPortList": [{"port": 1}, "x"]})),
        ["AG202 /hostPortList/1"]
    );
    assert_eq!(
        said("elasticsearch", json!({"elasticHostList": [{"port": 1}]})),
        ["AG206 /elasticHostList/0/host"]
    );
    assert_eq!(said("rabbitMq", json!({"hostPortList": []})), ["AG206 /hostPortList"]);
}

#[test]
fn secrets_are_references() {
    for good in [json!("${env:P}"), json!("${P}"), json!("${env:A}${env:B}"), json!(null)] {
        assert_eq!(email(&json!({"password": good})), NOTHING, "{good}");
    }
    for (bad, code) in [
        (json!("hunter2"), "AG303 /password"),
        (json!("x${env:P}"), "AG303 /password"),
        (json!("$${env:P}"), "AG303 /password"),
        (json!(""), "AG303 /password"),
        (json!(12345), "AG303 /password"),
        (json!(["${env:P}"]), "AG303 /password"),
        (json!("${var:p}"), "AG305 /password"),
        (json!("${vault:p}"), "AG301 /password"),
        (json!("${env:hunter-2}"), "AG301 /password"),
    ] {
        assert_eq!(email(&json!({"password": bad})), [code], "{bad}");
    }
}

#[test]
fn hidden_secrets_are_found_where_vars_bring_them() {
    let url = |text: &str| json!({"dbType": "MYSQL", "jdbcUrl": text, "useCredentials": false});
    assert_eq!(said("database", url("jdbc:mysql://h/d?password=hunter2")), ["AG304 /jdbcUrl"]);
    assert_eq!(said("database", url("jdbc:mysql://h/d?password=${env:P}")), NOTHING);
    let vars = BTreeMap::from([("options".to_owned(), json!("password=hunter2"))]);
    let fields = url("jdbc:mysql://h/d?${var:options}");
    assert_eq!(said_with("database", &fields, Some(&vars)), ["AG305 /jdbcUrl"]);
    assert!(found("database", &fields, Some(&vars))[0].of_target);
    assert_eq!(
        said(
            "webhook",
            json!({"fullUrl": "http://h", "headerList": [{"name": "Authorization", "value": "Bearer hunter2hunter2"}]})
        ),
        ["AG304 /headerList/0/value"]
    );
}

#[test]
fn no_message_repeats_a_secret() {
    let canary = "Canary7Xq";
    for (type_name, fields) in [
        ("email", json!({"password": canary})),
        ("email", json!({"password": format!("${{{canary}:x}}")})),
        ("email", json!({"password": format!("${{env:{canary}-!}}")})),
        ("email", json!({"passwrod": canary})),
        ("database", json!({"jdbcUrl": format!("jdbc:mysql://u:{canary}@h/d?password={canary}")})),
        ("database", json!({"jdbcUrl": format!("jdbc:mysql://h/d?password=${{{canary}:x}}")})),
        ("kafka", json!({"propertiesMap": {"ssl.key.password": {"value": canary}}})),
        ("snmp", json!({"version": "V1", "securityOrCommunityName": canary})),
    ] {
        let said = format!("{:?}", found(type_name, &fields, None));
        assert!(!said.contains(canary), "{said}");
    }
}

#[test]
fn only_the_first_hundred_problems_are_listed() {
    let mut fields = json!({"host": "h", "port": "x"});
    for index in 0..200 {
        fields[format!("odd{index}")] = json!(1);
    }
    let said = said("email", fields);
    assert_eq!(said.len(), 101);
    assert_eq!(said[0], "AG202 /port");
    assert_eq!(said[100], "AG209? ");
}

#[test]
fn variables_for_secrets_have_readable_names() {
    for (name, pointer, variable) in [
        ("order-notifications", "/password", "ORDER_NOTIFICATIONS_PASSWORD"),
        ("Ordér mails", "/caKeystoreFilePass", "ORDER_MAILS_CA_KEYSTORE_FILE_PASS"),
        ("9lives", "/authPassphrase", "_9LIVES_AUTH_PASSPHRASE"),
        ("€", "/password", "PASSWORD"),
    ] {
        assert_eq!(secrets::variable(name, pointer), variable);
        let reference = format!("${{env:{variable}}}");
        assert!(crate::reference::holds_env(&reference));
    }
}

#[test]
fn a_variable_that_holds_nothing_is_no_value_of_a_required_field() {
    let with = |value: &str| {
        let vars = BTreeMap::from([("e".to_owned(), json!(value))]);
        said_with("email", &json!({"host": "${var:e}"}), Some(&vars))
    };
    assert_eq!(with(""), ["AG206 /host"]);
    assert_eq!(with("h"), NOTHING);
}
