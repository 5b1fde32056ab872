//! The stages of a reconcile before the plan: parse, load, resolve. `benches/compare` measures whole
//! commands.
//!
//! `cargo bench` measures them for 1,000, 10,000 and 100,000 connections; with `-- --test` each
//! runs once for 1,000, so that CI sees that they still work.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use apinizer_gitops::testing::desired::{self, Desired, Resolution};
use apinizer_gitops::testing::document::{self, LoadRequest, Loaded, ParseCache};
use apinizer_gitops::testing::environment::Environment;
use apinizer_gitops::testing::secret::Redactor;
use apinizer_gitops::testing::source::{FileEntry, Folder};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};

/// The email connection of the examples, another one for each number.
fn document(number: usize) -> String {
    format!(
        "# Owned by team-{}.\ntype: email\nname: connection-{number:06}\n\
         description: Mails to customers about their orders\nhost: mail-{number}.${{var:domain}}\n\
         port: 2525\nenableStartTls: true\nauth: true\nusername: mail-{number}@example.com\n\
         password: ${{env:BENCH_SECRET}}\nfrom: noreply@example.com\nadditionalProperties:\n  \
         - key: mail.smtp.timeout\n    value: \"5000\"\n",
        number % 40
    )
}

/// The connections of one server, and their documents in git.
struct Company {
    folders: Vec<Folder>,
    texts: Vec<String>,
    vars: BTreeMap<String, Value>,
    environment: Environment,
    redactor: Redactor,
}

impl Company {
    fn of(count: usize) -> Self {
        let texts: Vec<String> = (0..count).map(document).collect();
        let file = |number: usize| {
            let mut blob = [0; 20];
            blob[..8].copy_from_slice(&number.to_be_bytes());
            FileEntry { path: Arc::from(format!("connections/{number:06}.yaml")), blob }
        };
        let files = (0..count).map(file).collect();
        let variables = [("BENCH_SECRET".to_owned(), "a-secret".to_owned())];
        Self {
            folders: vec![Folder { path: Arc::from("connections"), exists: true, files }],
            texts,
            vars: BTreeMap::from([("domain".to_owned(), json!("example.com"))]),
            environment: Environment::new(variables),
            redactor: Redactor::default(),
        }
    }

    /// Parses, merges and checks; what `cache` knows is not parsed again.
    fn load(&self, cache: &ParseCache) -> Loaded {
        let request = LoadRequest {
            folders: &self.folders,
            target: Some("default"),
            known_targets: None,
            vars: Some(&self.vars),
            rules: None,
        };
        document::load(&request, cache, &|entry| {
            let mut number = [0; 8];
            number.copy_from_slice(&entry.blob[..8]);
            Ok(self.texts[usize::from_be_bytes(number)].clone().into_bytes())
        })
    }

    fn resolve(&self, loaded: &Loaded) -> Desired {
        desired::resolve(
            &loaded.documents,
            &Resolution {
                vars: &self.vars,
                environment: Some(&self.environment),
                redactor: &self.redactor,
                profile: None,
            },
        )
    }
}

fn stages(criterion: &mut Criterion) {
    let sizes: &[usize] = if std::env::args().any(|argument| argument == "--test") {
        &[1_000]
    } else {
        &[1_000, 10_000, 100_000]
    };
    for count in sizes {
        let company = Company::of(*count);
        let cache = ParseCache::default();
        let desired = company.resolve(&company.load(&cache));
        assert_eq!(desired.len(), *count, "the documents of the benchmark are valid");
        let mut group = criterion.benchmark_group("stages");
        group.sample_size(10);
        group.throughput(Throughput::Elements(u64::try_from(*count).unwrap_or(u64::MAX)));
        group.bench_function(BenchmarkId::new("parse", count), |bench| {
            bench.iter(|| company.load(black_box(&ParseCache::default())));
        });
        group.bench_function(BenchmarkId::new("load what is parsed", count), |bench| {
            bench.iter(|| company.load(black_box(&cache)));
        });
        group.bench_function(BenchmarkId::new("resolve", count), |bench| {
            let loaded = company.load(&cache);
            bench.iter(|| company.resolve(black_box(&loaded)));
        });
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
