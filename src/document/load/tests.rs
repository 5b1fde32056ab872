use serde_json::{Value, json};

use super::*;

/// Paths with their files, and what they load to.
struct Sources(Vec<(&'static str, Vec<(&'static str, &'static str)>)>);

impl Sources {
    fn folders(&self) -> (Vec<Folder>, BTreeMap<[u8; 20], &'static str>) {
        let mut contents = BTreeMap::new();
        let mut ids: BTreeMap<&str, [u8; 20]> = BTreeMap::new();
        let folders = self
            .0
            .iter()
            .map(|(path, files)| {
                let files = files
                    .iter()
                    .map(|(name, text)| {
                        let next = u8::try_from(ids.len()).unwrap() + 1;
                        let blob = *ids.entry(text).or_insert([next; 20]);
                        contents.insert(blob, *text);
                        FileEntry { path: Arc::from(*name), blob }
                    })
                    .collect();
                Folder { path: Arc::from(*path), exists: true, files }
            })
            .collect();
        (folders, contents)
    }

    fn load(&self, target: Option<&str>, vars: Option<&BTreeMap<String, Value>>) -> Loaded {
        let (folders, contents) = self.folders();
        let known = BTreeSet::from(["prod".to_owned(), "dev".to_owned()]);
        let request = LoadRequest {
            folders: &folders,
            target,
            known_targets: Some(&known),
            vars,
            rules: None,
        };
        load(&request, &ParseCache::default(), &|entry| {
            Ok(contents[&entry.blob].as_bytes().to_vec())
        })
    }
}

fn one(text: &'static str) -> Loaded {
    Sources(vec![("c", vec![("c/a.yaml", text)])]).load(None, None)
}

/// Every problem as `code line:column` and its message.
fn problems(loaded: &Loaded) -> Vec<String> {
    loaded
        .diagnostics
        .iter()
        .map(|d| {
            format!("{} {}:{}:{} {}", d.code, d.mark.file, d.mark.line, d.mark.column, d.message)
        })
        .collect()
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.documents.iter().map(|d| d.name.as_str()).collect()
}

const GOOD: &str = "type: email\nname: mails\nhost: h\nfrom: a@b.c\n";

#[test]
fn a_good_document_loads() {
    let loaded = one(
        "# mails\ntype: email\nname: mails\nhost: ${var:h}\nport: '25'\nauth: true\nusername: u\npassword: ${env:P}\nfrom: a@b.c\nx-gitops: {protect: true}\n",
    );
    assert_eq!(problems(&loaded), [""; 0]);
    let document = &loaded.documents[0];
    assert_eq!(document.connection_type.name, "email");
    assert_eq!((document.place.line, &*document.place.file), (2, "c/a.yaml"));
    assert!(document.options.protect);
    assert_eq!(
        json!(document.fields),
        json!({"host": "${var:h}", "port": 25, "auth": true, "username": "u",
               "password": "${env:P}", "from": "a@b.c"})
    );
    assert_eq!(loaded.folders, [(Arc::from("c"), true, 1)]);
    assert!(loaded.names_by_file.contains(&(Arc::from("c/a.yaml"), vec!["mails".into()])));
}

#[test]
fn problems_of_all_documents_come_sorted() {
    let loaded = one(
        "type: emial\nname: a\n---\ntype: [email]\nname: b\n---\nname: c\n---\n- x\n---\ntype: email\nname: 5\n---\ntype: email\nname: a/b\n---\ntype: email\nname: ${var:x}\n",
    );
    assert_eq!(
        problems(&loaded)
            .iter()
            .map(|p| p.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>(),
        [
            "AG103 c/a.yaml:1:7",
            "AG102 c/a.yaml:4:7",
            "AG102 c/a.yaml:7:1",
            "AG101 c/a.yaml:9:1",
            "AG104 c/a.yaml:12:7",
            "AG105 c/a.yaml:15:7",
            "AG109 c/a.yaml:18:7"
        ]
    );
    assert_eq!(loaded.diagnostics[0].help.as_deref(), Some("did you mean `email`?"));
    assert_eq!(loaded.broken_files, [Arc::from("c/a.yaml")]);
    assert_eq!(
        loaded.invalid.keys().map(ConnectionName::as_str).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert!(loaded.has_errors());
}

#[test]
fn overlays_patch_and_point_to_their_file() {
    let sources = Sources(vec![
        (
            "base",
            vec![(
                "base/a.yaml",
                "type: email\nname: Mails\nhost: h\nfrom: a@b.c\nport: 25\nadditionalProperties: [{key: a, value: b}]\nx-gitops: {protect: true, ignore: [host]}\n",
            )],
        ),
        (
            "over",
            vec![(
                "over/a.yaml",
                "name: mails\nport: 70000\nadditionalProperties: []\nhost: null\nx-gitops:\n  suspend: true\n  ignore: []\n",
            )],
        ),
    ]);
    let loaded = sources.load(None, None);
    assert_eq!(
        problems(&loaded),
        [
            "AG206 over/a.yaml:4:7 `host` is missing: a connection of type `email` needs it",
            "AG203 over/a.yaml:2:7 `port` is 70000, and it takes 1 to 65535"
        ]
        .iter()
        .rev()
        .map(|s| (*s).to_owned())
        .collect::<Vec<_>>()
    );
    assert_eq!(loaded.invalid.keys().next().map(ConnectionName::as_str), Some("Mails"));
}

#[test]
fn an_overlay_that_is_fine() {
    let sources = Sources(vec![
        (
            "base",
            vec![(
                "base/a.yaml",
                "type: email\nname: Mails\nhost: h\nfrom: a@b.c\nport: 25\nx-gitops: {protect: true, ignore: [host]}\n",
            )],
        ),
        (
            "over",
            vec![(
                "over/a.yaml",
                "\n\nname: mails\nhost: other\nport: null\nx-gitops: {suspend: true, ignore: [from]}\n",
            )],
        ),
    ]);
    let loaded = sources.load(None, None);
    assert_eq!(problems(&loaded), [""; 0]);
    let document = &loaded.documents[0];
    assert_eq!(json!(document.fields), json!({"host": "other", "from": "a@b.c"}));
    assert_eq!(document.name.as_str(), "Mails");
    assert_eq!((&*document.place.file, document.place.line), ("over/a.yaml", 3));
    assert!(document.options.protect && document.options.suspend);
    assert_eq!(Vec::from_iter(&document.options.ignore), ["/from"]);
}

#[test]
fn a_patch_of_nothing_says_so() {
    let sources = Sources(vec![
        ("base", vec![("base/a.yaml", GOOD)]),
        (
            "over",
            vec![
                ("over/a.yaml", "name: mail\nport: 25\n"),
                ("over/b.yaml", "name: whole\ntype: email\nhost: h\nfrom: f\n"),
                ("over/c.yaml", "name: part\ntype: email\nfrom: h\n"),
            ],
        ),
    ]);
    let loaded = sources.load(None, None);
    let problems = problems(&loaded);
    assert_eq!(names(&loaded), ["mails", "whole"]);
    assert!(problems[0].starts_with("AG402 over/a.yaml:1:1 no earlier path"), "{problems:?}");
    assert!(problems[1].starts_with("AG206 over/c.yaml:1:1 `host` is missing"), "{problems:?}");
    assert!(problems[1].ends_with("no earlier path declares this connection"), "{problems:?}");
}

#[test]
fn one_name_twice_names_both_places() {
    let loaded = Sources(vec![(
        "c",
        vec![("c/a.yaml", GOOD), ("c/b.yaml", "---\nname: MAILS\ntype: email\nhost: h\nfrom: f\n")],
    )])
    .load(None, None);
    assert_eq!(problems(&loaded), ["AG401 c/b.yaml:2:7 `MAILS` is declared twice in one path"]);
    let (mark, _) = &loaded.diagnostics[0].related[0];
    assert_eq!((mark.file.as_str(), mark.line, mark.column), ("c/a.yaml", 2, 7));
    assert_eq!(names(&loaded), [""; 0]);
}

#[test]
fn nested_paths_give_a_file_to_the_deepest() {
    let loaded = Sources(vec![
        (".", vec![("a.yaml", GOOD), ("over/a.yaml", "name: mails\nhost: x\n")]),
        ("over", vec![("over/a.yaml", "name: mails\nhost: x\n")]),
    ])
    .load(None, None);
    assert_eq!(problems(&loaded), [""; 0]);
    assert_eq!(loaded.documents[0].fields["host"], "x");
    assert_eq!(loaded.folders.iter().map(|f| f.2).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn targets_take_documents_out() {
    let text = "type: email\nname: a\nhost: h\nfrom: f\nx-gitops: {targets: [prod]}\n---\ntype: email\nname: b\nport: x\nx-gitops: {targets: [prdo]}\n";
    let sources = Sources(vec![("c", vec![("c/a.yaml", text)])]);
    let dev = sources.load(Some("dev"), None);
    assert_eq!(names(&dev), [""; 0]);
    assert_eq!(problems(&dev), ["AG110 c/a.yaml:10:22 no target is called `prdo`"]);
    assert_eq!(dev.diagnostics[0].help.as_deref(), Some("did you mean `prod`?"));
    assert!(!dev.has_errors());
    assert_eq!(names(&sources.load(Some("prod"), None)), ["a"]);
    let (folders, contents) = sources.folders();
    let declared = declared_names(&folders, "prod", &ParseCache::default(), &|entry| {
        Ok(contents[&entry.blob].as_bytes().to_vec())
    });
    assert_eq!(declared.names, BTreeSet::from(["a".into()]));
    assert_eq!(declared.paths, BTreeMap::from([("c".to_owned(), 2)]));
}

#[test]
fn variables_are_known_by_target() {
    let text = "type: email\nname: a\nhost: ${var:hots}\nport: ${var:port}\nfrom: f@${var:domain}\nauth: ${var:auth}\n";
    let sources = Sources(vec![("c", vec![("c/a.yaml", text)])]);
    assert_eq!(problems(&sources.load(Some("prod"), None)), [""; 0]);
    let vars = BTreeMap::from([
        ("host".to_owned(), json!("h")),
        ("port".to_owned(), json!("smtp")),
        ("domain".to_owned(), json!("x.y")),
        ("auth".to_owned(), json!(true)),
    ]);
    let loaded = sources.load(Some("prod"), Some(&vars));
    let problems = problems(&loaded);
    assert!(problems[0].starts_with("AG206 c/a.yaml:1:1 `username` is missing"), "{problems:?}");
    assert!(problems[1].starts_with("AG206 c/a.yaml:1:1 `password` is missing"), "{problems:?}");
    assert_eq!(problems[2], "AG302 c/a.yaml:3:7 the target has no var `hots`");
    assert!(
        problems[3].starts_with("AG306 c/a.yaml:4:7 `port` takes a whole number"),
        "{problems:?}"
    );
    assert_eq!(problems.len(), 4);
    let by_code = |code: &str| loaded.diagnostics.iter().find(|d| d.code == code).unwrap();
    assert_eq!(by_code("AG302").target.as_deref(), Some("prod"));
    assert_eq!(by_code("AG302").help.as_deref(), Some("did you mean `${var:host}`?"));
    assert_eq!(by_code("AG206").target, None);
}

#[test]
fn wrong_renames_block_their_names() {
    let text = "type: email\nname: a\nhost: h\nfrom: f\nx-gitops: {renamedFrom: A}\n---\ntype: email\nname: b\nhost: h\nfrom: f\nx-gitops: {renamedFrom: old}\n---\ntype: email\nname: c\nhost: h\nfrom: f\nx-gitops:\n  renamedFrom: Old\n---\ntype: email\nname: d\nhost: h\nfrom: f\n";
    let loaded = one(text);
    assert_eq!(names(&loaded), ["d"]);
    let places: Vec<_> = loaded.diagnostics.iter().map(|d| (d.code, d.mark.line)).collect();
    assert_eq!(places, [("AG501", 5), ("AG502", 11), ("AG502", 18)]);
    assert_eq!(loaded.diagnostics[1].related[0].0.line, 18);
}

#[test]
fn a_broken_file_is_named_and_the_others_load() {
    let loaded =
        Sources(vec![("c", vec![("c/a.yaml", "a: [\n"), ("c/b.yaml", GOOD)])]).load(None, None);
    assert_eq!(loaded.broken_files, [Arc::from("c/a.yaml")]);
    assert_eq!(names(&loaded), ["mails"]);
    assert_eq!(loaded.diagnostics[0].mark.file, "c/a.yaml");
}

#[test]
fn documents_come_in_the_order_of_their_names() {
    let other = "type: email\nname: Alerts\nhost: h\nfrom: a@b.c\n";
    let loaded = Sources(vec![("c", vec![("c/a.yaml", GOOD), ("c/b.yaml", other)])]);
    assert_eq!(names(&loaded.load(None, None)), ["Alerts", "mails"]);
}
