use serde_json::json as value;

use super::*;
use crate::document::{Diagnostic, Mark, Severity};
use crate::report::Style;

fn mark(file: &str, line: u32, column: u32, length: u32, text: &str) -> Mark {
    Mark { file: file.to_owned(), line, column, length, text: text.to_owned() }
}

fn sample() -> Vec<Diagnostic> {
    let port = Diagnostic {
        code: "AG203",
        severity: Severity::Error,
        message: "`port` is 70000, and it takes 1 to 65535".to_owned(),
        help: Some("write a number between 1 and 65535".to_owned()),
        mark: mark("c/a.yaml", 4, 7, 5, "port: 70000"),
        related: Vec::new(),
        target: None,
        rule: None,
    };
    let var = |target: &str| Diagnostic {
        code: "AG302",
        severity: Severity::Error,
        message: "the target has no variable `x`".to_owned(),
        help: None,
        mark: mark("c/a.yaml", 12, 7, 8, "host: ${var:x}"),
        related: Vec::new(),
        target: Some(target.to_owned()),
        rule: None,
    };
    let twice = Diagnostic {
        code: "AG401",
        severity: Severity::Warning,
        message: "100% twice,\n\u{1b}[31mhere".to_owned(),
        help: None,
        mark: mark("c/ü,b:\u{1b}.yaml", 0, 0, 1, ""),
        related: vec![(mark("c/a.yaml", 2, 7, 1, "name: a"), "it is first here".to_owned())],
        target: None,
        rule: None,
    };
    vec![port.clone(), port, var("prod"), var("dev"), var("prod"), twice]
}

#[test]
fn text_is_like_a_compilers() {
    let expected = "\
error[AG203]: `port` is 70000, and it takes 1 to 65535
 --> c/a.yaml:4:7
  |
4 | port: 70000
  |       ^^^^^
  = help: write a number between 1 and 65535

error[AG302]: the target has no variable `x`
  --> c/a.yaml:12:7
   |
12 | host: ${var:x}
   |       ^^^^^^^^
   = note: for the targets prod and dev

warning[AG401]: 100% twice,\u{fffd}\u{fffd}[31mhere
 --> c/ü,b:\u{fffd}.yaml
 ::: c/a.yaml:2:7
  |
2 | name: a
  |       - it is first here

2 errors and 1 warning in 2 files
";
    assert_eq!(text(&sample(), &Style::default()), expected);
    let colors = Style { color: true, ..Style::default() };
    assert_eq!(text(&[], &colors), "");
    let colored = text(&sample(), &colors);
    assert!(colored.contains("\u{1b}[1m\u{1b}[31merror[AG203]\u{1b}[0m"), "{colored:?}");
    assert!(!colored.contains("\u{1b}[31mhere"));
}

#[test]
fn github_escapes_what_separates() {
    assert_eq!(
        github(&sample(), &BTreeSet::from(["a.txt is skipped".to_owned()])),
        "::notice::a.txt is skipped\n\
         ::error file=c/a.yaml,line=4,col=7,endColumn=12,title=AG203::`port` is 70000, and it takes 1 to 65535%0Ahelp: write a number between 1 and 65535\n\
         ::error file=c/a.yaml,line=12,col=7,endColumn=15,title=AG302::the target has no variable `x`%0Atargets: prod, dev\n\
         ::warning file=c/ü%2Cb%3A\u{fffd}.yaml,title=AG401::100%25 twice,%0A\u{fffd}[31mhere%0Ac/a.yaml:2:7: it is first here\n"
    );
}

#[test]
fn json_holds_each_problem_once() {
    let json = json(&sample());
    assert_eq!(json["summary"], value!({"errors": 2, "warnings": 1}));
    assert_eq!(json["diagnostics"][0]["line"], 4);
    assert_eq!(json["diagnostics"][1]["targets"], value!(["prod", "dev"]));
    assert_eq!(json["diagnostics"][2]["line"], value!(null));
    assert_eq!(json["diagnostics"][2]["related"][0]["message"], "it is first here");
}

#[test]
fn markdown_is_a_comment_with_the_summary_first() {
    assert_eq!(
        markdown(&sample(), &BTreeSet::new()),
        "<!-- apinizer-gitops:validate -->\n### 2 errors and 1 warning in 2 files\n\n\
         - **error** AG203 `c/a.yaml:4:7`: `` `port` is 70000, and it takes 1 to 65535 ``\n  \
         - `write a number between 1 and 65535`\n\
         - **error** AG302 `c/a.yaml:12:7`: `` the target has no variable `x` ``\n  \
         - `targets: prod, dev`\n\
         - warning AG401 `c/ü,b:\\u{1b}.yaml`: `100% twice,\\n\\u{1b}[31mhere`\n"
    );
    assert_eq!(
        markdown(&[], &BTreeSet::new()),
        "<!-- apinizer-gitops:validate -->\n### No problems\n"
    );
}

#[test]
fn markdown_drops_help_and_then_the_last_problems_to_fit() {
    let many = |count: u32| -> Vec<Diagnostic> {
        let [first, .., last] = &sample()[..] else { panic!("two at least") };
        let numbered = |line| {
            let one = if line % 2 == 0 { first } else { last };
            Diagnostic { mark: mark("c/a.yaml", line, 1, 1, ""), ..one.clone() }
        };
        (1..=count).map(numbered).collect()
    };
    let fits = markdown(&many(400), &BTreeSet::new());
    assert!(fits.matches("\n- ").count() == 400 && fits.matches("\n  - ").count() == 200);
    let heads = markdown(&many(700), &BTreeSet::new());
    assert!(heads.matches("\n- ").count() == 700 && !heads.contains("\n  - "), "{heads}");
    let cut = markdown(&many(10_000), &BTreeSet::new());
    assert!(cut.chars().count() < 65_000, "{}", cut.len());
    assert!(cut.contains("### 5000 errors and 5000 warnings in 1 file\n"));
    assert!(cut.contains(" more did not fit here") && !cut.contains("- warning"), "{cut}");
}
