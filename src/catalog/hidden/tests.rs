use serde_json::{Map, Value, json};

use super::*;
use crate::catalog::{ConnectionType, find};

mod properties;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn of(name: &str) -> &'static ConnectionType {
    find(name).unwrap()
}

/// A JDBC URL as `mask` shows it.
fn shown_url(url: &str) -> String {
    let masked = conceal(of("database"), &object(json!({"jdbcUrl": url})));
    masked["jdbcUrl"].as_str().unwrap().to_owned()
}

#[test]
fn urls_show_everything_but_the_secret() {
    for (url, shown) in [
        ("https://u:pw@h:80/p?q=1", "https://u:(sensitive)@h:80/p?q=1"),
        ("amqp://u:p/w?x#@h/v", "amqp://u:(sensitive)@h/v"),
        ("mongodb://u:p@ss@a:1,b:2/db", "mongodb://u:(sensitive)@a:1,b:2/db"),
        ("mongodb://u:p;w=1@a", "mongodb://u:(sensitive)@a"),
        (
            "jdbc:mysql://h/db?user=a&password=p%40&ssl=true",
            "jdbc:mysql://h/db?user=a&password=(sensitive)&ssl=true",
        ),
        ("jdbc:mysql://h/db?Password=a&b;c", "jdbc:mysql://h/db?Password=(sensitive)"),
        (
            "jdbc:mysql://(host=h,user=u,password=p)/db",
            "jdbc:mysql://(host=h,user=u,password=(sensitive))/db",
        ),
        (
            "jdbc:sqlserver://h:1433;user=a;password=b@c;encrypt=true",
            "jdbc:sqlserver://h:1433;user=a;password=(sensitive);encrypt=true",
        ),
        (
            "jdbc:sqlserver://h;user=a;password={a;b};encrypt=true",
            "jdbc:sqlserver://h;user=a;password={(sensitive)};encrypt=true",
        ),
        (
            "jdbc:db2://h:50000/db:user=a;password=b;",
            "jdbc:db2://h:50000/db:user=a;password=(sensitive);",
        ),
        (
            "jdbc:impala://h:21050;AuthMech=3;UID=u;PWD=p",
            "jdbc:impala://h:21050;AuthMech=3;UID=u;PWD=(sensitive)",
        ),
        (
            "jdbc:oracle:thin:scott/tiger@//h:1521/s",
            "jdbc:oracle:thin:scott/(sensitive)@//h:1521/s",
        ),
        (
            "failover:(tcp://u:a@h:1,tcp://v:b@k:2?jms.password=c)?randomize=false",
            "failover:(tcp://u:(sensitive)@h:1,tcp://v:(sensitive)@k:2?jms.password=(sensitive))?randomize=false",
        ),
        (
            "https://h/?access_token=a&sig=b&pass%77ord=c",
            "https://h/?access_token=(sensitive)&sig=(sensitive)&pass%77ord=(sensitive)",
        ),
        ("https://u:a${env:P}@h", "https://u:(sensitive)${env:P}@h"),
        ("https://hush@h/p", "https://(sensitive)@h/p"),
        ("https://hush:@h/p", "https://(sensitive):@h/p"),
        ("https://k3y0fSomeUser9Zxy81Q:basic@h", "https://(sensitive):(sensitive)@h"),
        ("https://k3y0fSomeUser9Zxy81Q:a/b@h", "https://(sensitive):(sensitive)@h"),
        ("amqp://k3y0fSomeQueue9Zxy81@h/v", "amqp://(sensitive)@h/v"),
        ("jdbc:sqlite:a.db?PassPhrase=p&x=1", "jdbc:sqlite:a.db?PassPhrase=(sensitive)&x=1"),
    ] {
        assert_eq!(shown_url(url), shown);
        assert_eq!(shown_url(shown), shown, "masked twice");
    }
}

#[test]
fn a_login_of_oracle_is_found_inside_a_word_and_in_any_case() {
    for before in ["(jdbc:oracle:thin:", "url=jdbc:oracle:thin:", "JDBC:Oracle:thin:"] {
        let text = |password: &str| json!({"description": format!("{before}scott/{password}@h")});
        let shown = conceal(of("email"), &object(text("tiger")));
        assert_eq!(Value::Object(shown), text(SENSITIVE));
    }
}

#[test]
fn urls_without_a_secret_are_left_alone() {
    for url in [
        "",
        "https://h/path:x@y?q=a@b",
        "https://${env:TOKEN}@h/",
        "https://${env:TOKEN}:@h/",
        "amqp://user:@h/",
        "amqp://user@h/",
        "https://h:8080/a@b",
        "https://${HOST}:${PORT}/a@b",
        "https://${env:U}:${env:P}@h/",
        "https://u:${P}@h/?token=${env:T}&x=1",
        "jdbc:mysql://${DB_HOST}:${DB_PORT}/${DB_NAME}",
        "jdbc:sqlserver://h:1433;user=a@b;password=${env:P};integratedSecurity",
        "jdbc:sqlserver://h:1433;password={${env:P}};encrypt=true",
        "jdbc:oracle:thin:@//h:1521/s",
        "jdbc:oracle:thin:${env:U}/${env:P}@h:1521:s",
        "jdbc:mysql://h/db?password=&ssl=true&passwordCharacterEncoding=utf8",
        "failover:(tcp://a:61616,tcp://b:61616)?x=a@b",
        "https://h/?key=order&resetPassword=true&publicKey=a",
        "mysql://[::1]:3306/a@b",
    ] {
        assert_eq!(shown_url(url), url);
        let literals = literal_secrets(of("database"), &object(json!({"jdbcUrl": url})));
        assert_eq!(literals, vec![], "{url}");
    }
}

#[test]
fn a_plain_value_in_the_place_of_a_token_is_a_literal() {
    for url in ["https://${var:token}@h", "https://${var:token}:@h", "https://hush:@h"] {
        let literals = literal_secrets(of("webhook"), &object(json!({"fullUrl": url})));
        assert_eq!(literals.len(), 1, "{url}");
    }
}

#[test]
fn headers_are_judged_by_their_names() {
    let webhook = |name: &str, value: &str| {
        let fields = object(json!({"headerList": [{"name": name, "value": value}]}));
        let shown = conceal(of("webhook"), &fields)["headerList"][0]["value"].clone();
        (shown.as_str().unwrap().to_owned(), literal_secrets(of("webhook"), &fields).len())
    };
    for (name, value, shown, literals) in [
        ("Authorization", "Bearer abc", "Bearer (sensitive)", 1),
        ("authorization", "Bearer ${env:T}", "Bearer ${env:T}", 0),
        ("Authorization", "Basic ${B}", "Basic ${B}", 0),
        ("Authorization", "Bearer ${var:T}", "Bearer ${var:T}", 1),
        ("Authorization", "Bearer", "Bearer", 0),
        ("Proxy-Authorization", "abc def", "(sensitive)", 1),
        ("Cookie", "a=b; c=${env:C}; Path=/", "a=(sensitive); c=${env:C}; Path=/", 1),
        ("X-Api-Key", "abc", "(sensitive)", 1),
        ("x-customer-secret", "abc", "(sensitive)", 1),
        ("X-Forward", "http://a:b@c", "http://a:(sensitive)@c", 1),
        ("Content-Type", "application/json", "application/json", 0),
        ("Idempotency-Key", "abc", "abc", 0),
    ] {
        assert_eq!(webhook(name, value), (shown.to_owned(), literals), "{name}: {value}");
    }
}

#[test]
fn properties_are_judged_by_their_names() {
    let jaas = |password: &str| {
        format!(
            "o.a.k.PlainLoginModule required username=\"u\" password={password} debug=\"true\";"
        )
    };
    let fields = object(json!({
        "propertiesMap": {
            "bootstrap.servers": {"value": "a:9092", "valueType": "STRING"},
            "key.serializer": {"value": "org.example.S", "valueType": "STRING"},
            "ssl.key.password": {"value": "p1", "valueType": "STRING", "valueByType": "p1"},
            "sasl.jaas.config": {"value": jaas("\"p\\\"2\""), "valueType": "STRING"},
            "schema.basic.auth.user.info": {"value": "u:p3"},
            "schema.registry.url": {"value": "http://u:p4@h"},
            "ssl.keystore.key": "p5",
            "numeric.password": {"value": 6},
        }
    }));
    let shown = conceal(of("kafka"), &fields);
    let map = &shown["propertiesMap"];
    assert_eq!(map["bootstrap.servers"], fields["propertiesMap"]["bootstrap.servers"]);
    assert_eq!(map["key.serializer"], fields["propertiesMap"]["key.serializer"]);
    let expected =
        json!({"value": "(sensitive)", "valueType": "STRING", "valueByType": "(sensitive)"});
    assert_eq!(map["ssl.key.password"], expected);
    assert_eq!(map["sasl.jaas.config"]["value"], jaas("\"(sensitive)\""));
    assert_eq!(map["schema.basic.auth.user.info"]["value"], "u:(sensitive)");
    assert_eq!(map["schema.registry.url"]["value"], "http://u:(sensitive)@h");
    assert_eq!(map["ssl.keystore.key"], "(sensitive)");
    assert_eq!(map["numeric.password"]["value"], "(sensitive)");
    assert_eq!(literal_secrets(of("kafka"), &fields).len(), 7);

    let fine = object(json!({"propertiesMap": {
        "sasl.jaas.config": {"value": jaas("\"${env:P}\"")},
        "producer.sasl.jaas.config": {"value": "${env:JAAS}"},
        "basic.auth.user.info": {"value": "${env:INFO}"},
    }}));
    assert_eq!(literal_secrets(of("kafka"), &fine), vec![]);
    assert_eq!(conceal(of("kafka"), &fine), fine);

    let email = object(json!({"additionalProperties": [
        {"key": "mail.smtp.timeout", "value": "5000"},
        {"key": "mail.smtp.sasl.password", "value": "p"},
    ]}));
    let shown = conceal(of("email"), &email);
    assert_eq!(shown["additionalProperties"][0]["value"], "5000");
    assert_eq!(shown["additionalProperties"][1]["value"], "(sensitive)");

    let rabbit = object(json!({"connectionFactoryClientProperties": {
        "product": "shop", "auth": {"token": {"value": "t"}}, "credentials": ["a"],
    }}));
    let shown = conceal(of("rabbitMq"), &rabbit);
    let expected = json!({
        "product": "shop", "auth": {"token": {"value": "(sensitive)"}}, "credentials": ["(sensitive)"],
    });
    assert_eq!(shown["connectionFactoryClientProperties"], expected);
}

#[test]
fn a_community_is_a_secret_until_version_3() {
    let literals = |fields: Value| literal_secrets(of("snmp"), &object(fields)).len();
    assert_eq!(literals(json!({"securityOrCommunityName": "hush"})), 1);
    assert_eq!(literals(json!({"version": "v2C", "securityOrCommunityName": "hush"})), 1);
    assert_eq!(literals(json!({"version": "V3", "securityOrCommunityName": "operator"})), 0);
    assert_eq!(literals(json!({"version": "V1", "securityOrCommunityName": "public"})), 0);
    assert_eq!(literals(json!({"securityOrCommunityName": "${env:C}"})), 0);
    assert_eq!(literals(json!({"version": "${var:v}", "securityOrCommunityName": "x"})), 0);
}

#[test]
fn a_host_name_is_a_key_only_where_it_plainly_is_one() {
    let literals = |host: &str| {
        literal_secrets(of("syslog"), &object(json!({"syslogMessageHostname": host}))).len()
    };
    for key in
        ["1f0c9a3e-7d52-4b1c-9c55-0a1b2c3d4e5f", "4fd91c0a2be87713f00d", "aB3-xY9_kLm2nOp4qRs6t"]
    {
        assert_eq!(literals(key), 1, "{key}");
    }
    for host in [
        "",
        "gateway",
        "gateway-1.example.com",
        "api-7d9f8b6c5-x2x4z-payments",
        "${env:KEY}",
        "apinizergatewayproduction",
    ] {
        assert_eq!(literals(host), 0, "{host}");
    }
}

#[test]
fn unknown_fields_that_speak_of_secrets_are_hidden_and_not_refused() {
    let fields = object(json!({
        "newAuthToken": "t", "clientSecretPlain": "s", "pin_password": 1234, "maxTokenAge": 5,
        "vault": {"apiKeys": ["a", {"b": "c"}], "region": "eu"},
        "extra": [{"name": "X-Token", "value": "v"}], "privateKeyPem": "k",
        "homepage": "http://a:b@c", "hookUrl": "https://t@c/x", "host": "mail",
        "keyspace": "s", "keyField": "f", "monkey": "m", "password": "${env:P}",
    }));
    let shown = conceal(of("email"), &fields);
    assert_eq!(
        Value::Object(shown),
        json!({
            "newAuthToken": "(sensitive)", "clientSecretPlain": "(sensitive)",
            "pin_password": "(sensitive)", "maxTokenAge": 5,
            "vault": {"apiKeys": ["(sensitive)", {"b": "(sensitive)"}], "region": "eu"},
            "extra": [{"name": "X-Token", "value": "(sensitive)"}], "privateKeyPem": "(sensitive)",
            "homepage": "http://a:(sensitive)@c", "hookUrl": "https://(sensitive)@c/x", "host": "mail",
            "keyspace": "s", "keyField": "f", "monkey": "m", "password": "${env:P}",
        })
    );
    assert_eq!(literal_secrets(of("email"), &fields), vec![]);
}

#[test]
fn secrets_of_links_are_hidden_in_texts_that_nobody_knows_and_not_refused() {
    let links = |secret: &str| {
        let of = |text: &str| json!({"key": "a", "dsn": text.replace("SECRET", secret)});
        object(json!({
            "additionalProperties": [
                of("https://h/x?token=SECRET"), of("jdbc:postgresql://h/db?password=SECRET"),
                of("jdbc:sqlserver://h;password=SECRET word"),
            ],
            "description": format!("see https://h/x?token={secret} there"),
        }))
    };
    let fields = links("hush");
    let shown = conceal(of("email"), &fields);
    assert!(!Value::Object(shown.clone()).to_string().contains("hush"), "{shown:?}");
    assert_eq!(shown["description"], json!("see https://h/x?token=(sensitive) there"));
    assert_eq!(literal_secrets(of("email"), &fields), vec![]);
}

#[test]
fn advice_shows_how_to_write_it_and_never_the_secret() {
    let fields = object(json!({"jdbcUrl": "jdbc:mysql://u:hush@h/db?password=hush2"}));
    let literals = literal_secrets(of("database"), &fields);
    assert_eq!(literals.len(), 2);
    for literal in &literals {
        assert_eq!(literal.pointer, "/jdbcUrl");
        assert!(!format!("{literal:?}").contains("hush"), "{literal:?}");
        assert!(
            literal.advice.contains("?password=${env:JDBC_URL_PASSWORD}"),
            "{}",
            literal.advice
        );
    }
    assert_eq!(literals[0].what, "the `password` inside the URL in `jdbcUrl`");
}

#[test]
fn a_single_value_is_masked_as_its_neighbours_say() {
    let whole = object(json!({
        "headerList": [{"name": "Accept", "value": "a"}, {"name": "Authorization", "value": "x"}],
    }));
    let shown = |pointer: &str, value: Value| conceal_at(of("webhook"), pointer, &value, &whole);
    assert_eq!(shown("/headerList/1/value", json!("Bearer t")), "Bearer (sensitive)");
    assert_eq!(shown("/headerList/0/value", json!("t")), "t");
    assert_eq!(
        shown("/headerList", json!([{"name": "X-Token", "value": "t"}])),
        json!([{"name": "X-Token", "value": "(sensitive)"}])
    );
    assert_eq!(shown("/timeout", json!(5)), 5);
    assert_eq!(shown("/newSecret", json!("s")), "(sensitive)");
    assert_eq!(shown("/a/b~1c/0/d", json!("s")), "s");
    assert_eq!(shown("", json!("s")), "(sensitive)");
    assert_eq!(shown("/headerList/x", json!("s")), "(sensitive)");
    let kafka =
        conceal_at(of("kafka"), "/propertiesMap/ssl.password/value", &json!("s"), &Map::new());
    assert_eq!(kafka, "(sensitive)");
}

#[test]
fn extraction_gives_references_and_the_secrets_that_they_stand_for() {
    let live = object(json!({
        "jdbcUrl": "jdbc:mysql://u:p%401@${DB}/db?x=${env:looks}&password=${DB_PASSWORD}",
        "password": "left to the caller",
        "description": "see ${var:x}",
        "sslToken": "t",
    }));
    let (fields, variables) =
        extract(of("database"), &live, &mut |part| format!("SHOP_{}", part.label));
    assert_eq!(
        Value::Object(fields),
        json!({
            "jdbcUrl": "jdbc:mysql://u:${env:SHOP_JDBC_URL_PASSWORD}@$${DB}/db?x=$${env:looks}&password=${DB_PASSWORD}",
            "password": "left to the caller",
            "description": "see $${var:x}",
            "sslToken": "${env:SHOP_SSL_TOKEN}",
        })
    );
    let secrets: Vec<_> =
        variables.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
    assert_eq!(secrets, [("SHOP_JDBC_URL_PASSWORD", "p%401"), ("SHOP_SSL_TOKEN", "t")]);
}

#[test]
fn a_text_that_is_extremely_long_is_hidden_whole() {
    let long = "password=a&".repeat(100_000);
    let shown = conceal(of("database"), &object(json!({"jdbcUrl": long, "description": long})));
    assert_eq!(shown["jdbcUrl"], "(sensitive)");
    assert_eq!(shown["description"], long);
    let prose = format!("see {}://x and https://a:b@c", "a".repeat(20_000));
    let shown = conceal(of("database"), &object(json!({"description": prose})));
    assert_eq!(shown["description"], "see (sensitive) and https://a:(sensitive)@c");
    let unclosed = "${env:".repeat(100_000);
    let shown = conceal(of("database"), &object(json!({"description": unclosed})));
    assert_eq!(shown["description"], unclosed);
}

#[test]
fn asterisks_and_bullets_are_no_secret() {
    assert!(is_masked_text("***") && is_masked_text("•") && is_masked_text("●●●●"));
    assert!(!is_masked_text("") && !is_masked_text("**a") && !is_masked_text("null"));
}
