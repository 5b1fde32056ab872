//! docs/plan.svg: a plan as it looks on a terminal, drawn from what the program prints.

use std::fmt::Write as _;

use super::console::{self, Step};

/// A script that makes a plan with one of everything; the config lies beside the repository, so
/// that the ids of the commits are the same in every run.
const STAGE: &str = "\
export APINIZER_TOKEN=any SMTP_PASSWORD=made-up
git init -q -b main gateway-config && mkdir gateway-config/connections
cd gateway-config/connections
mail() { printf 'type: email\\nname: %s\\nhost: %s\\nauth: true\\nusername: shop\\npassword: ${env:SMTP_PASSWORD}\\n' $1 $2; }
mail old-mail smtp.example.com > mail.yaml
{ mail orders smtp.example.com; printf 'port: 2525\\ndescription: |\\n  Mails to customers.\\n  Runbook: page 12.\\n  Ask Ada first.\\n'; } > orders.yaml
{ mail alerts smtp.example.com; printf 'x-gitops: {protect: true}\\n'; } > alerts.yaml
printf 'type: webhook\\nname: fraud-check\\nfullUrl: https://fraud.example.com/v1/events\\ntimeout: 30\\n' > fraud.yaml
printf 'type: syslog\\nname: audit-log\\nsyslogServerHostname: logs.example.com\\n' > audit.yaml
git add -A && git commit -qm 'Declare the connections'
cd ../..
apinizer-gitops apply --yes
curl -sX PATCH 'http://127.0.0.1:8089/sandbox/connections/Shop/orders?by=grace' -d '{\"host\": \"mx.elsewhere.example\"}'
curl -sX PATCH 'http://127.0.0.1:8089/sandbox/connections/Shop/fraud-check?by=grace' -d '{\"timeout\": 99}'
cd gateway-config/connections
{ mail new-mail smtp.example.com; printf 'x-gitops: {renamedFrom: old-mail}\\n'; } > mail.yaml
sed -i 's/port: 2525/port: 587/; s/page 12/page 47/' orders.yaml
git rm -q alerts.yaml audit.yaml
printf 'type: kafka\\nname: events\\ntopicName: events\\npropertiesMap:\\n  bootstrap.servers: {value: \"kafka.example.com:9092\"}\\n' > events.yaml
git add -A && git commit -qm 'Move the mails'
cd ../..";

const CONFIG: &str = "\
source: {path: gateway-config}
targets:
  - {name: prod, url: \"http://127.0.0.1:8089\", project: Shop, token: \"${env:APINIZER_TOKEN}\"}";

#[test]
fn a_plan_as_it_looks() {
    let run = |command: &str| Step::Run { command: command.to_owned(), shown: 0..0 };
    let steps = [
        Step::Terminal { command: "apinizer-gitops sandbox --project Shop".to_owned() },
        Step::Write { file: "apinizer-gitops.yaml".to_owned(), text: CONFIG.to_owned() },
        run(STAGE),
        run("apinizer-gitops plan --color always"),
    ];
    let printed = console::run(&steps, &[]);
    assert!(printed[1].contains("held"), "{printed:#?}");
    let printed = console::with_times_as(&printed[1], "2026-11-28 22:02 UTC");
    super::assert_generated("plan.svg", &svg("apinizer-gitops plan", &printed));
}

/// A terminal with a command and what it printed.
fn svg(command: &str, printed: &str) -> String {
    const LINE: usize = 20;
    const LEFT: usize = 20;
    let plain = |text: &str| pieces(text).map(|(_, text)| text.to_owned()).collect::<String>();
    let columns =
        printed.lines().map(|line| plain(line).chars().count()).max().unwrap_or(0).max(60);
    // A column of the font is 0.6 of its size of 14.
    let width = columns * 84 / 10 + 2 * LEFT;
    let height = (printed.lines().count() + 2) * LINE + 40;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"A plan on a terminal\">\n<style>\n\
         text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d8dee9; \
         white-space: pre }}\n\
         .bold {{ font-weight: bold }} .dim {{ opacity: .6 }} .c30 {{ fill: #3b4252 }} \
         .c31 {{ fill: #f08080 }} .c32 {{ fill: #8fd08f }} .c33 {{ fill: #ebcb8b }} \
         .c34 {{ fill: #81a1e1 }} .c35 {{ fill: #d7a0d0 }} .c36 {{ fill: #88d0d8 }} \
         .c90 {{ fill: #8a93a5 }} .reverse {{ text-decoration: underline }}\n</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1e2430\"/>\n"
    );
    let prompt = format!("\u{1b}[32m$\u{1b}[0m {command}");
    let mut state = String::new();
    for (index, line) in [prompt.as_str(), ""].into_iter().chain(printed.lines()).enumerate() {
        let y = 36 + index * LINE;
        write!(svg, "<text x=\"{LEFT}\" y=\"{y}\" xml:space=\"preserve\">").unwrap();
        for (codes, text) in pieces(line) {
            for code in codes.iter().flat_map(|codes| codes.split(';')) {
                match code {
                    "" | "0" => state.clear(),
                    "1" => state += " bold",
                    "2" => state += " dim",
                    "4" | "7" => state += " reverse",
                    color => state += &format!(" c{color}"),
                }
            }
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            match state.trim_start() {
                _ if text.is_empty() => {}
                "" => svg += &text,
                classes => write!(svg, "<tspan class=\"{classes}\">{text}</tspan>").unwrap(),
            }
        }
        svg += "</text>\n";
    }
    svg + "</svg>\n"
}

/// A line as texts, each with the codes of the escape sequence before it.
fn pieces(line: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    line.split("\u{1b}[").enumerate().map(|(index, piece)| match piece.split_once('m') {
        Some((codes, text)) if index > 0 => (Some(codes), text),
        _ => (None, piece),
    })
}
