//! Rules by themselves: what they see, what they refuse, how much they may cost, and those of
//! docs/rules.md.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::config::{Config, Resolve};
use crate::environment::Environment;

mod properties;

/// 2026-11-27 is a Friday; 10:00 in Istanbul is 07:00 UTC.
const FRIDAY_AT_TEN: i64 = 1_795_762_800;
const DAY: i64 = 24 * 60 * 60;

fn rules_of(effect: Effect, when: &str) -> UserRules {
    let vars = BTreeMap::from([("smtp_host".to_owned(), json!("smtp.example.com"))]);
    let mut rules = UserRules::of_target("prod", "Payments", &vars);
    let when = compile(when).unwrap_or_else(|problem| panic!("{when}: {problem:?}"));
    rules.add(&Arc::new(Rule { name: "r".to_owned(), effect, text: "text".to_owned(), when }));
    rules
}

fn compile(when: &str) -> Result<Expression, Box<Finding>> {
    Expression::compile(when, &[&example_of("target")])
}

/// Whether an expression matches the example of `explain rules`, with the reason.
fn matches(when: &str) -> Option<String> {
    let rules = rules_of(Effect::Hold, when);
    let (connection, change) = (example_of("connection"), example_of("change"));
    rules.of_change(&connection, &change, FRIDAY_AT_TEN).pop().map(|found| found.why)
}

#[test]
fn an_expression_sees_what_is_explained() {
    for when in [
        "connection.type == 'email' && connection.port in [25, 587]",
        "connection['x-gitops'].targets == ['prod'] && !connection['x-gitops'].protect",
        "has(connection.host) && !has(connection.from) && connection.?from.orValue('x') == 'x'",
        "connection.password.startsWith('${env:') && connection.name.matches('^[a-z-]+$')",
        "target.name == 'prod' && target.project == 'Payments'",
        "target.vars.smtp_host == 'smtp.example.com'",
        "change.action == 'update' && change.origin == 'git' && !change.held",
        "change.fields.exists(f, f.path == '/port') && change.fields.all(f, f.origin == 'git')",
        "change.count == 1 && change['count'] < 2",
        "[{'x': 'y'}].exists(f, f.x == 'y') && ['q'].exists(change, change == 'q')",
        "change.fields.filter(f, f.origin != 'drift').exists(g, g.path == '/port')",
        "change.fields.map(f, f.path) == ['/port'] && size(change.fields.filter(f, true)) == 1",
        "now.getDayOfWeek('Europe/Istanbul') == 5 && now.getHours('Europe/Istanbul') == 10",
        "now.getHours() == 7 && now.getHours('+05:30') == 12 && now.getMinutes('+05:30') == 30",
        "timestamp('2026-07-01T12:00:00Z').getHours('Europe/Berlin') == 14",
        "timestamp('2026-12-01T12:00:00Z').getHours('Europe/Berlin') == 13",
        "now.getDate('Pacific/Auckland') == 27 && now.getFullYear('UTC') == 2026",
        "now > timestamp('2026-01-01T00:00:00Z') && type(connection.port) == int",
    ] {
        assert_eq!(matches(when).as_deref(), Some("text"), "{when}");
        assert_eq!(matches(&format!("!({when})")), None, "{when}");
    }
}

#[test]
fn an_expression_that_fails_is_a_match_and_says_why() {
    for (when, why) in [
        (
            "connection.from == 'x'",
            "it reads a key that is not there; `has(...)` asks for it first",
        ),
        ("connection.port", "it gives something else than true or false"),
        ("connection.host > 3", "no matching overload"),
        ("timestamp(connection.name) > now", "`timestamp` failed"),
        ("change.fields[7].path == '/x'", "out of bounds"),
    ] {
        let said = matches(when).unwrap_or_default();
        assert!(said.contains(why), "{when}: {said}");
        assert!(!said.contains("order-notifications"), "{said}");
    }
}

#[test]
fn an_expression_with_unknown_names_is_refused() {
    for (when, message) in [
        ("conection.type == ''", "there is no `conection` here"),
        ("connection.prot == 1", "no type of connection has a field `prot`"),
        ("change.acton == ''", "`change` has no key `acton`"),
        ("target.url == ''", "`target` has no key `url`"),
        ("now.hours == 1", "`now` has no key `hours`"),
        ("size(env) > 0", "there is no `env` here"),
        ("connection.name.lowercase() == ''", "there is no function `lowercase` here"),
        ("connection.name.all(x)", "there is no function `all` here"),
        (
            "connection.name.matches(connection.host)",
            "the pattern of `matches` is a text in quotes",
        ),
        ("connection.name.matches('(')", "the pattern of `matches` cannot be used"),
        ("connection.name.matches('(\\\\w{99}){99}')", "the pattern of `matches` cannot be used"),
        ("google.protobuf.Duration{seconds: 1} == now", "it makes a value of a type"),
        ("connection['x-gitops'].protct", "`x-gitops` has no key `protct`"),
        ("connection.type != 'emial'", "`connection.type` is never `emial`"),
        ("'updated' == change.action", "`change.action` is never `updated`"),
        ("change.origin in ['drift', 'gti']", "`change.origin` is never `gti`"),
        ("change.fields.exists(f, f.origin == 'gti')", "`f.origin` is never `gti`"),
        ("change.fields.all(f, f.pathh == '/x')", "`f` has no key `pathh`"),
        ("change.fields.exists(f, f['pathh'] == '/x')", "`f` has no key `pathh`"),
        ("change.fields.exists(f, has(f.after))", "`f` has no key `after`"),
        ("change.fields.exists(f, f.path in ['/host', 'port'])", "`f.path` is never `port`"),
        ("change.fields.filter(f, f.path != '').size() > 1", "`f.path` is never ``"),
        ("change.fields.filter(f, true).exists(g, g.x == '')", "`g` has no key `x`"),
        (
            "change['fields'].exists(f, change.fields.exists(g, f.x == g.path))",
            "`f` has no key `x`",
        ),
        ("change['acton'] == ''", "`change` has no key `acton`"),
        ("target.?project == target.?porject", "`target` has no key `porject`"),
        ("now.getHours('Europe/Istanbull') > 1", "there is no time zone `Europe/Istanbull`"),
        ("connection.name.matches('(x{1,50}){1,50}y')", "the pattern of `matches` cannot be used"),
        ("connection.hostPortList.exists(n, n.prt == 1)", "`n` has no key `prt`"),
        ("connection.?hostPortList.orValue([]).all(n, n.?prt.orValue(1) == 1)", "no key `prt`"),
        ("connection.hostPortList[0].prt == 1", "has no key `prt`"),
        ("connection.hostPortList.filter(n, true)[0].prt == 1", "this value has no key `prt`"),
        ("(connection.hostPortList + connection.elasticHostList)[0].prt == 1", "no key `prt`"),
        ("connection.hostPortList.port == 1", "`connection.hostPortList` has no key `port`"),
        ("connection.port.number == 1", "`connection.port` has no key `number`"),
        ("connection['prot'] == 1", "no type of connection has a field `prot`"),
        ("connection[?'prot'].orValue(1) == 1", "no type of connection has a field `prot`"),
        ("connection.?prot.orValue(1) == 1", "no type of connection has a field `prot`"),
        ("has(connection.prot)", "no type of connection has a field `prot`"),
        ("'prot' in connection", "no type of connection has a field `prot`"),
        ("connection.?indexLifecyclePolicy.?policyNme.hasValue()", "has no key `policyNme`"),
        ("connection['x-gitops'].?protct.orValue(false)", "`x-gitops` has no key `protct`"),
        ("connection['x-gitops']['protct']", "`x-gitops` has no key `protct`"),
        ("connection.propertiesMap['a.b'].vlaue == ''", "has no key `vlaue`"),
        ("change.fields[0].pth == ''", "`change.fields[...]` has no key `pth`"),
        ("change.fields.exists(f, f.path == '/prot')", "`f.path` is never `/prot`"),
        ("'/prot' in change.fields.map(f, f.path)", "this value is never `/prot`"),
        ("change.fields[0].path == '/indexLifecyclePolicy/policyNme'", "is never `/indexLife"),
        ("change.held == 'true'", "`change.held` is never `true`"),
        ("change.count != '5'", "`change.count` is never `5`"),
        ("connection.port == '587'", "`connection.port` is never `587`"),
        ("connection.port in [25, '587']", "`connection.port` is never `587`"),
        ("connection.?port.orValue(0) == '587'", "`connection.?port` is never `587`"),
        ("connection.enableStartTls == 'true'", "`connection.enableStartTls` is never `true`"),
        ("connection.?port == 587", "`connection.?port` is never `587`"),
        ("connection.?type.orValue('') == 'emial'", "`connection.?type` is never `emial`"),
        ("connection.type in ['emial']", "`connection.type` is never `emial`"),
        ("'emial' in [connection.type]", "this value is never `emial`"),
        ("connection.hostPortList == 'x'", "`connection.hostPortList` is never `x`"),
        ("now.getHours('UTC') == '10'", "this value is never `10`"),
        ("size(connection.name) == '10'", "this value is never `10`"),
        ("'hh' in target.vars", "no target of the rule has a var `hh`"),
        ("target.vars.hh == ''", "no target of the rule has a var `hh`"),
        ("target.vars[?'hh'].orValue('') == ''", "no target of the rule has a var `hh`"),
        ("target.vars.exists(v, v == 'hh')", "`v` is never `hh`"),
        ("target.project == 'Rx'", "`target.project` is never `Rx`"),
        ("target.name in ['Rx']", "`target.name` is never `Rx`"),
        ("'pth' in change", "`change` has no key `pth`"),
        ("connection.type = 'x'", "line 1, column 17: it cannot be read from here on"),
        ("connection.type == ", "line 1, column 20: it ends too early"),
        ("@charge(1, 1) == 1", "line 1, column"),
        ("", "line 1, column"),
    ] {
        let problem = compile(when).unwrap_err().problem;
        assert!(problem.message.contains(message), "{when}: {problem:?}");
    }
}

#[test]
fn a_legal_expression_is_no_alarm() {
    for when in [
        "connection.port == '${env:PORT}' || connection.enableStartTls == '${var:tls}'",
        "connection.host == 3 || connection.username == true",
        "connection.port == null || connection.type != null || change.fields == null",
        "connection['brandNew'] == 'x' && connection[?'brandNew'].orValue(1) == 1",
        "connection['sslEnabled'] == true && change.fields.exists(f, f.path == '/sslEnabled')",
        "'brandNew' in connection && connection.hostPortList[0]['zone'].city == 'x'",
        "connection.?port.orValue('') == '' && connection.?port.orValue(null) == null",
        "connection.?type.orValue('none') == 'none'",
        "['email', 'kafka'].exists(t, t == connection.type) && connection.type in ['email', null]",
        "(change.count > 5 ? 'a' : 1) == 1 && [1, 'a'].exists(x, x == 'a')",
        "connection.dbType == 'anything' && connection.protocolTypes == ['X']",
        "change.fields.exists(f, f.path == '/brandNew' || f.path.startsWith('/prot'))",
        "change.fields.exists(f, f.path in ['/type', '/name', '/indexLifecyclePolicy/policyName'])",
        "change.fields.exists(f, f.path == '/hostPortList/0/zone')",
        "connection.propertiesMap['bootstrap.servers'].value == 'x'",
        "connection.propertiesMap.exists(k, k == 'x' && connection.propertiesMap[k].value == k)",
        "connection.connectionFactoryClientProperties.a.b.c == 1",
        "connection.caKeystoreFile == ['x'] || connection.caKeystoreFile == 'x'",
        "connection.logTableNameOverrides.x == 'y' && 'x' in connection.logTableNameOverrides",
        "'Default' in connection['x-gitops'].ignore && connection['x-gitops'].renamedFrom == ''",
        "target.vars.exists(v, target.vars[v] == 'x' || v == 'smtp_host')",
        "target.vars['smtp_host'] == 'x' && 'smtp_host' in target.vars",
        "target.vars.smtp_host == 25",
        "connection.name == target.name || connection.type == target.project",
        "connection.port == connection.name || change.action == change.origin",
        "[connection.?host, connection.?hostname].exists(h, h.hasValue() && h.value() == 'x')",
        "connection.?sshPort.or(connection.?port).orValue(0) == 1",
        "{'a': 1, 'b': 'c'}.a == 'x' && {'a': {'b': 1}}.a.b == 1",
        "[[1], ['a']].exists(l, 'a' in l) && [] == [1] && [].exists(x, x == 1)",
        "connection == connection && change == {} && target != {}",
        "string(connection.port) == '587' && int('5') == 5 && type(connection.port) == int",
        "now - timestamp(0) > duration('1h') && now == timestamp(0)",
        "connection.hostPortList.map(n, n.port).exists(p, p == 1)",
        "connection.hostPortList.map(n, n.?port.orValue(0)).filter(p, p in [1]) == []",
        "connection.hostPortList.exists_one(n, n.host == 'x') && size(change.fields) == 1",
        "connection.name + 'x' == 'y' && connection.port + 1 == 2 && -connection.port == -1",
    ] {
        assert!(compile(when).is_ok(), "{when}: {:?}", compile(when).err());
    }
    // Where a target cannot be used, or its name is a reference, nothing is known of it.
    let reference = json!({"name": "${env:N}", "project": "p", "vars": {}});
    for targets in [&[][..], &[&reference]] {
        assert!(Expression::compile("target.name == 'Rx'", targets).is_ok());
    }
    assert!(Expression::compile("target.vars.hh == ''", &[]).is_ok());
}

#[test]
fn an_expression_that_nests_too_deep_says_how_deep() {
    for (when, depth) in [
        (format!("{}true{}", "!(".repeat(40), ")".repeat(40)), 40),
        (format!("{}1{}", "[".repeat(30), "]".repeat(30)), 30),
        (format!("{}1{}", "(".repeat(300), ")".repeat(300)), 300),
        (vec!["1"; 30].join("+"), 29),
    ] {
        let message = compile(&when).unwrap_err().problem.message;
        let told = format!("it nests {depth} levels deep, and 20 are the most");
        assert!(message.ends_with(&told), "{when}: {message}");
    }
}

#[test]
fn an_expression_is_neither_long_nor_deep() {
    let nested =
        |open: &str, close: &str, n: usize| format!("{}true{}", open.repeat(n), close.repeat(n));
    let mut evaluated = 0;
    for text in [
        nested("!", "", 1990),
        nested("-", "", 1990),
        nested("(", ")", 990),
        nested("[", "]", 990),
        nested("!(", ")", 600),
        nested("true ? ", " : true", 130),
        vec!["1"; 900].join("+"),
        format!("connection{}", ".type".repeat(390)),
        nested("[1].all(x, ", ")", 150),
        "x".repeat(2001),
        "'".to_owned() + &"a".repeat(1999),
        "{".repeat(2000),
        nested("!(", ")", 19),
        nested("[", "][0]", 9),
        nested("has(connection.host) ? ", " : false", 19),
        nested("connection.name.contains(string(", "))", 9),
        nested("[1].map(x, ", ")", 9),
    ] {
        // Refused or harmless: what matters is that it ends, and how it does.
        if let Ok(when) = compile(&text) {
            let rule =
                Rule { name: String::new(), effect: Effect::Deny, text: String::new(), when };
            let mut rules = UserRules::default();
            rules.add(&Arc::new(rule));
            // Half the stack of the threads that evaluate rules.
            let small = std::thread::Builder::new().stack_size(1024 * 1024);
            let evaluate = move || {
                rules.of_document(&json!({"type": "email", "host": "h", "name": "n"})).len()
            };
            small.spawn(evaluate).unwrap().join().unwrap();
            evaluated += 1;
        }
    }
    assert!(evaluated >= 5, "{evaluated} were evaluated");
    assert!(compile(&nested("!(", ")", 40)).is_err());
    let deepest = (0..9).fold("true".to_owned(), |inner, _| format!("[1].all(x, {inner})"));
    assert!(compile(&deepest).is_ok(), "nine loops in each other are read");
}

/// Work that no machine would finish: each would take hours or all memory without a budget.
#[test]
fn an_expression_that_is_too_much_work_is_a_match() {
    let items: Vec<_> = (0..10_000).map(|n| json!({"key": n, "value": "x".repeat(30)})).collect();
    let text = "x".repeat(900_000);
    let large = json!({"additionalProperties": items, "description": text, "type": "email"});
    let (list, text) = ("connection.additionalProperties", "connection.description");
    let doubled = format!("[{text}]{}.size() > 0", ".map(x, x + x)".repeat(15));
    let nested = (0..8).fold("true".to_owned(), |inner, n| format!("{list}.all(a{n}, {inner})"));
    for when in [
        doubled,
        nested.clone(),
        format!("{nested} || true"),
        format!("{list}.all(a, {list}.exists(b, a == b || {list}.exists_one(c, c == b)))"),
        format!("{list}.map(a, {list}.map(b, {list})).size() > 0"),
        format!("{list}.all(a, {text}.matches('(x+x+)+y') || true)"),
        format!("{text}.matches('(x{{1,20}}){{1,20}}y')"),
        format!("{list}.exists(a, connection == connection && false)"),
        format!("size({}) > 0", vec![text; 18].join("+")),
    ] {
        let rules = rules_of(Effect::Deny, &when);
        let found = rules.of_document(&large);
        let why = found.first().map_or("no match", |(_, found)| found.why.as_str());
        assert!(why.contains("too much work"), "{when}: {why}");
    }
    let modest = format!("{list}.exists(p, p.key == 9999) && {text}.size() == 900000");
    assert_eq!(rules_of(Effect::Deny, &modest).of_document(&large).len(), 1);
    assert!(rules_of(Effect::Deny, &format!("!({modest})")).of_document(&large).is_empty());
}

/// A rule of docs/rules.md, what it matches and what it does not match.
#[derive(Clone)]
struct Recipe {
    rule: &'static str,
    matching: Vec<Json>,
    others: Vec<Json>,
}

/// The config that the blocks of the page come to.
fn rules_of_the_page() -> UserRules {
    let page = include_str!("../../docs/rules.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let rules: String = blocks.filter(|block| block.starts_with("- name: ")).collect();
    let rules: String = rules.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!(
        "source: {{path: .}}\ntargets:\n  - name: prod\n    url: https://m.example.com\n    \
         project: p\n    token: ${{env:T}}\n    vars: {{secret_prefix: PROD_, smtp_host: \
         a.example.com, other_host: h, port: 25}}\nrules:\n{rules}"
    );
    let path = Path::new("apinizer-gitops.yaml");
    let environment = Environment::new([("T".to_owned(), "t".to_owned())]);
    let loaded = Config::parse(path, text.as_bytes(), &environment, Resolve::All);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:?}"));
    loaded.targets[0].rules.clone()
}

fn recipe(
    rule: &'static str,
    matching: impl IntoIterator<Item = Json>,
    others: impl IntoIterator<Item = Json>,
) -> Recipe {
    let (matching, others) = (matching.into_iter().collect(), others.into_iter().collect());
    Recipe { rule, matching, others }
}

/// The rules of the page that look at documents.
fn recipes_for_documents() -> Vec<Recipe> {
    let flag = |type_name: &str, flag: &str, on: bool| json!({"type": type_name, flag: on});
    let tls = [
        ("email", "enableStartTls"),
        ("kafka", "enableSecure"),
        ("rabbitMq", "connectionFactoryUseSslProtocol"),
        ("ldap", "useSsl"),
        ("graylog", "tlsEnabled"),
        ("syslog", "syslogSslEnabled"),
    ];
    let off = tls.iter().flat_map(|(name, key)| [json!({"type": name}), flag(name, key, false)]);
    let on = tls.iter().map(|(name, key)| flag(name, key, true));
    let ftp = |protocol: &str| json!({"type": "ftp", "protocol": protocol});
    let hook = |url: &str| json!({"type": "webhook", "fullUrl": url});
    let active = |url: &str| json!({"type": "activeMq", "brokerURL": url});
    let elastic = |node: Json| json!({"type": "elasticsearch", "elasticHostList": [node]});
    let rabbit = |node: Json| json!({"type": "rabbitMq", "hostPortList": [node]});
    let kafka = |servers: &str| json!({"type": "kafka", "propertiesMap": {"bootstrap.servers": {"value": servers}}});
    let secret = |key: &str, text: &str| json!({"type": "email", key: text});
    vec![
        recipe(
            "tls-in-production",
            off.chain([
                ftp("ftp"),
                hook("http://h/x"),
                active("tcp://a:61616"),
                active("failover:(ssl://a:1,tcp://b:1)"),
                elastic(json!({"host": "h"})),
                elastic(json!({"host": "h", "scheme": "http"})),
            ]),
            on.chain([
                ftp("SFTP"),
                ftp("ftps"),
                hook("https://h/x"),
                active("ssl://a:61617"),
                active("failover:(ssl://a:1,ssl://b:1)?randomize=false"),
                elastic(json!({"host": "h", "scheme": "HTTPS"})),
                json!({"type": "database", "jdbcUrl": "jdbc:postgresql://h/d"}),
            ]),
        ),
        recipe(
            "no-example-hosts",
            [
                json!({"host": "a.Example.com"}),
                json!({"host": "example.org."}),
                json!({"host": "${var:smtp_host}"}),
                json!({"type": "graylog", "hostname": "example.net"}),
                json!({"type": "linux-script", "hostName": "x.example.com"}),
                json!({"type": "syslog", "syslogServerHostname": "example.com"}),
                json!({"type": "ldap", "serverAddress": "ldap.example.com:636"}),
                hook("https://example.com/x"),
                json!({"type": "database", "jdbcUrl": "jdbc:postgresql://db.example.com:5432/d"}),
                active("failover:(tcp://a:1,tcp://mq.example.com:1)"),
                json!({"type": "snmp", "connectionString": "udp:example.com/162"}),
                kafka("a:9092,kafka.example.com:9092"),
                rabbit(json!({"host": "example.com", "port": 5671})),
                elastic(json!({"host": "example.com"})),
            ],
            [
                json!({"host": "example.de"}),
                json!({"host": "my-example.com"}),
                json!({"host": "example.com.tr"}),
                json!({"host": "${var:other_host}"}),
                kafka("a:9092"),
                rabbit(json!({"host": "h"})),
            ],
        ),
        recipe(
            "names-by-pattern",
            [json!({"name": "Orders_1"}), json!({"name": "o"}), json!({"name": "1-orders"})],
            [json!({"name": "orders-1"})],
        ),
        recipe(
            "own-passwords",
            [
                secret("password", "${env:TEST_SMTP}"),
                secret("password", "${env:PROD_SMTP}${env:TEST_SMTP}"),
                secret("password", "${SMTP}"),
                secret("elasticPassword", "${env:TEST_A}"),
                secret("connectionFactoryPassword", "${env:TEST_A}"),
                secret("caKeystoreFile", "${env:TEST_A}"),
                secret("caKeystoreFilePass", "${env:TEST_A}"),
                secret("caTruststoreFilePass", "${env:TEST_A}"),
                secret("authPassphrase", "${env:TEST_A}"),
                secret("privPassphrase", "${env:TEST_A}"),
            ],
            [secret("password", "${env:PROD_SMTP}"), json!({"password": null}), json!({})],
        ),
        recipe(
            "own-references",
            [
                hook("https://h/?key=${env:TEST_KEY}"),
                hook("https://h/?a=${env:PROD_A}&b=${env:TEST_B}"),
                json!({"type": "database", "jdbcUrl": "jdbc:x://h/d?password=${env:TEST_A}"}),
                active("tcp://${env:TEST_A}@h:1"),
                json!({"type": "snmp", "securityOrCommunityName": "${env:TEST_A}"}),
                json!({"type": "syslog", "syslogMessageHostname": "${env:TEST_A}"}),
                json!({"type": "webhook", "headerList": [{"name": "a", "value": "${env:TEST_A}"}]}),
                json!({"type": "email", "additionalProperties": [{"key": "a", "value": "${env:T}"}]}),
                kafka("${env:TEST_SERVERS}"),
            ],
            [
                hook("https://h/?key=${env:PROD_KEY}&v=${var:version}"),
                kafka("a:9092"),
                json!({"type": "email"}),
            ],
        ),
        recipe(
            "a-description",
            [
                json!({"description": ""}),
                json!({"description": " \n"}),
                json!({"description": null}),
            ],
            [json!({"description": "orders"})],
        ),
        recipe(
            "ports-from-a-list",
            [
                json!({"type": "email", "port": 2525}),
                json!({"type": "graylog"}),
                json!({"type": "email", "port": "${var:port}"}),
                json!({"type": "syslog", "syslogPort": 514}),
                json!({"type": "linux-script", "sshPort": 2222}),
                rabbit(json!({"host": "h", "port": 5672})),
                rabbit(json!({"host": "h"})),
                elastic(json!({"host": "h", "port": 9300})),
                kafka("a:9093,b:9092"),
                active("tcp://h:61616"),
                hook("https://h:8443/x"),
                json!({"type": "ldap", "serverAddress": "h:389"}),
                json!({"type": "database", "jdbcUrl": "jdbc:postgresql://h:5433/d"}),
            ],
            [
                json!({"type": "email", "port": 587}),
                json!({"type": "syslog", "syslogPort": 6514}),
                json!({"type": "linux-script", "sshPort": 22}),
                rabbit(json!({"host": "h", "port": 5671})),
                elastic(json!({"host": "h", "port": 9200})),
                kafka("a:9093,b:9093"),
                active("failover:(ssl://h:61617,ssl://i:61617)"),
                hook("https://h/x"),
                json!({"type": "ldap", "serverAddress": "h:636"}),
                json!({"type": "database", "jdbcUrl": "jdbc:postgresql://h:5432/d"}),
                json!({"type": "logback"}),
            ],
        ),
        recipe(
            "nothing-disabled",
            [json!({"enabled": false}), json!({"enabled": "${var:enabled}"})],
            [json!({"enabled": true}), json!({"enabled": null}), json!({})],
        ),
        recipe(
            "databases-are-protected",
            [json!({"type": "database"})],
            [json!({"type": "database", "x-gitops": {"protect": true}}), json!({})],
        ),
    ]
}

/// The rules of the page that look at changes.
fn recipes_for_changes() -> Vec<Recipe> {
    let at = |day: i64, hour: i64, action: &str| {
        let now = FRIDAY_AT_TEN + day * DAY + (hour - 10) * 3600;
        json!({"now": now, "action": action})
    };
    let moved = |path: &str| json!({"action": "update", "fields": [{"path": path}]});
    let partner = |name: &str, origin: &str| json!({"name": name, "origin": origin});
    vec![
        recipe(
            "deletes-in-working-hours",
            [at(0, 18, "delete"), at(2, 10, "replace"), at(0, 8, "delete"), at(0, 17, "delete")],
            [at(0, 10, "delete"), at(2, 10, "update"), at(0, 9, "replace"), at(0, 16, "delete")],
        ),
        recipe(
            "no-change-on-fridays",
            [at(0, 10, "update"), at(0, 0, "create"), at(0, 23, "delete")],
            [at(1, 10, "update"), at(0, -1, "update"), at(0, 24, "update")],
        ),
        recipe("at-most-five-changes", [json!({"count": 6})], [json!({"count": 5})]),
        recipe(
            "partner-drift-is-only-reported",
            [
                partner("partner-sftp", "drift"),
                partner("Partner-SFTP", "drift"),
                partner("partner-sftp", "both"),
            ],
            [partner("partner-sftp", "git"), partner("partner-sftp-2", "drift")],
        ),
        recipe(
            "another-host",
            [moved("/host"), moved("/jdbcUrl"), moved("/propertiesMap")],
            [moved("/port"), json!({"action": "create", "fields": [{"path": "/host"}]})],
        ),
    ]
}

#[test]
fn the_rules_of_the_page_match_what_they_are_for() {
    let recipes = [recipes_for_documents(), recipes_for_changes()].concat();
    let rules = rules_of_the_page();
    for Recipe { rule, matching, others } in &recipes {
        for given in matching {
            let found = matched(&rules, given);
            assert!(found.iter().any(|name| name == rule), "{rule} does not match {given}");
        }
        for given in others {
            let found = matched(&rules, given);
            assert!(found.iter().all(|name| name != rule), "{rule} matches {given}");
        }
    }
    let tested = |rule: &Rule| recipes.iter().any(|recipe| recipe.rule == rule.name);
    assert!(rules.iter().all(tested), "a rule of the page has no example here");
    assert!(rules.iter().count() >= 12);
}

/// The names of the rules that match a connection and its change, which are given together.
fn matched(rules: &UserRules, given: &Json) -> Vec<String> {
    let mut connection = json!({
        "type": "ftp", "name": "orders", "description": "d", "x-gitops": {"protect": false},
    });
    let mut change = example_of("change");
    change["fields"] = json!([]);
    let mut now = FRIDAY_AT_TEN + 5 * DAY;
    for (key, value) in given.as_object().unwrap() {
        match key.as_str() {
            "now" => now = value.as_i64().unwrap(),
            "action" | "origin" | "fields" | "count" => change[key] = value.clone(),
            _ => connection[key] = value.clone(),
        }
    }
    let of_document = rules.of_document(&connection).into_iter().map(|(_, found)| found);
    let found = of_document.chain(rules.of_change(&connection, &change, now));
    found.inspect(|m| assert!(!m.why.contains("cannot be"), "{m:?}")).map(|m| m.rule).collect()
}
