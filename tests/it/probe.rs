//! `probe`: it finds out what was set, leaves nothing behind, and a plan takes what it found.
//!
//! `PROBE_PROFILES=N` draws more profiles (`PROBE_PROFILES=200 cargo test --test it probe`),
//! `PROBE_SEED=S` draws others.

use std::collections::BTreeMap;
use std::fs;

use apinizer_gitops::testing::catalog;
use apinizer_gitops::testing::profile::{
    Dialect, Mask, Names, OnExisting, OnMasked, OnMissing, Profile, Rename, Support, TypeProfile,
    UnknownFields, Unset,
};
use apinizer_gitops::testing::sandbox::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::faults::{Fault, Moment as Gate};
use crate::ran::Ran;
use crate::running::Applying;
use crate::world::{PROJECT, SandboxOptions as _, World, number_of};

const SCRATCH: &str = "scratch";

/// The calls that a probe is killed in.
const WRITES: [Method; 2] = [Method::POST, Method::PUT];

/// The arguments of every probe here.
const PROBE: [&str; 4] = ["probe", "--project", SCRATCH, "--yes"];

fn world(options: Options) -> World {
    let mut world = World::with(options);
    world.alter_projects(&[PROJECT, SCRATCH]);
    world.target("");
    world
}

impl World {
    fn probe(&self, more: &[&str]) -> Ran {
        self.run(&[&PROBE, more].concat())
    }

    /// The profile that a probe writes, and what it said; it ends with this code.
    fn probed(&self, code: i32) -> (Profile, Ran) {
        let file = self.path("profile.yaml");
        let ran = self.probe(&["--out", file.to_str().unwrap()]).code(code);
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("nvalid"), "no value is written: {text}");
        (Profile::parse(&text).unwrap(), ran)
    }

    /// Probes a server that behaves so, and finds just that.
    fn finds(&self, profile: &Profile) -> Ran {
        let (found, ran) = self.probed(if profile.differences().is_empty() { 0 } else { 2 });
        assert!(found == *profile, "{}\n{}", found.to_yaml(), profile.to_yaml());
        ran
    }

    /// Makes the server behave as a profile says, and by chance where no probe can tell.
    fn behave_as(&self, profile: &Profile, draws: &mut Draw) {
        let mut served = profile.clone();
        for own in served.types.values_mut() {
            for effect in [&mut own.null_secret, &mut own.omitted_secret] {
                effect.get_or_insert(draws.of(&[OnMasked::Clear, OnMasked::Keep]));
            }
        }
        self.control().alter(|options| {
            let access = options.access.clone();
            *options = Options { access, ..Options::of_profile(served) };
        });
    }

    fn scratch(&self) -> Vec<String> {
        self.control().names(SCRATCH)
    }
}

/// A random profile that a probe can find out, from one that names every field.
struct Draw {
    random: fastrand::Rng,
    whole: Profile,
}

impl Draw {
    fn of<T: Clone>(&mut self, words: &[T]) -> T {
        words[self.random.usize(..words.len())].clone()
    }

    fn one_in(&mut self, chance: u32) -> bool {
        self.random.u32(..chance) == 0
    }

    fn profile(&mut self) -> Profile {
        let types = self.whole.types.clone();
        let mut drawn: BTreeMap<String, TypeProfile> =
            types.iter().map(|(name, whole)| (name.clone(), self.of_type(name, whole))).collect();
        for name in ["email", "ldap"] {
            if drawn[name].support != Support::Full {
                drawn.insert(name.to_owned(), types[name].clone());
            }
        }
        Profile {
            dialect: Some(self.of(&[Dialect::Current, Dialect::Older])),
            missing: Some(self.of(&[OnMissing::NotFound, OnMissing::BadRequest])),
            existing: Some(self.of(&[
                OnExisting::Update,
                OnExisting::Refuse,
                OnExisting::Conflict,
            ])),
            rename: Some(self.of(&[Rename::Allowed, Rename::Refused])),
            names: Some(self.of(&[Names::OnceInProject, Names::OnceInType])),
            types: drawn,
            ..Profile::default()
        }
    }

    fn of_type(&mut self, type_name: &str, whole: &TypeProfile) -> TypeProfile {
        let mut drawn = TypeProfile::default();
        if self.one_in(10) {
            drawn.support = self.of(&[Support::Unknown, Support::Refused]);
            return drawn;
        }
        drawn.unknown_fields =
            Some(self.of(&[UnknownFields::Kept, UnknownFields::Dropped, UnknownFields::Refused]));
        let known = catalog::find(type_name).unwrap();
        let may_be_masked = known.fields().filter(|field| field.is_secret() || field.is_file());
        for field in may_be_masked.clone() {
            let mask =
                self.of(&[None, Some(Mask::Nothing), Some(Mask::Asterisks), Some(Mask::OtherText)]);
            drawn.masked.extend(mask.map(|mask| (field.name.to_owned(), mask)));
        }
        for name in whole.unset.values().flatten() {
            self.plain_field(&mut drawn, type_name, name);
        }
        let names: Vec<&str> =
            may_be_masked.filter(|f| f.is_secret()).map(|field| field.name).collect();
        let names = names.into_iter().chain(drawn.masked.keys().map(String::as_str));
        let names: Vec<&str> = names.collect();
        let is_seen = |name: &&str| drawn.masked.get(*name) != Some(&Mask::Nothing);
        let effects: &[Option<OnMasked>] = match names.iter().any(is_seen) {
            _ if names.is_empty() => &[None],
            false => &[None, Some(OnMasked::Refuse)],
            true => &[Some(OnMasked::Clear), Some(OnMasked::Keep), Some(OnMasked::Refuse)],
        };
        (drawn.null_secret, drawn.omitted_secret) = (self.of(effects), self.of(effects));
        drawn
    }

    /// Draws how a field that is neither secret nor required is treated.
    fn plain_field(&mut self, drawn: &mut TypeProfile, type_name: &str, name: &str) {
        let field = catalog::find(type_name).unwrap().field(name).unwrap();
        let default = format!("{:?}", field.default);
        let kind = format!("{:?}", field.kind);
        let is_text = kind.starts_with("Text") || kind.starts_with("Choice");
        let mut readings = vec![Unset::Null, Unset::LeftOut];
        let role = self.random.u32(..24);
        if role < 2 && is_text {
            drawn.masked.insert(name.to_owned(), Mask::Asterisks);
            readings.truncate(1);
        } else {
            readings.extend(field.default.map(|_| Unset::Default));
            match role {
                2 => drop(drawn.refused.insert(name.to_owned())),
                3 => drop(drawn.forgotten.insert(name.to_owned())),
                4 | 5 if is_text => drop(drawn.rewritten.insert(name.to_owned())),
                _ => {}
            }
            if role != 3 {
                let empty = ["Some(EmptyList)", "Some(EmptyMap)", "Some(Text(\"\"))"];
                let is_empty = empty.contains(&&*default);
                if !is_empty && !["Integer", "Boolean"].iter().any(|word| kind.starts_with(word)) {
                    readings.push(Unset::Empty);
                }
                readings.push(match field.defaults().others {
                    [] => Unset::OtherValue,
                    _ => Unset::OtherDefault,
                });
                if role != 2 && self.one_in(8) {
                    drawn.unlisted.insert(name.to_owned());
                }
            }
        }
        let reads = self.of(&readings);
        drawn.unset.entry(reads).or_default().insert(name.to_owned());
    }
}

fn draws(world: &World) -> Draw {
    let seed = number_of("PROBE_SEED").unwrap_or(0);
    let random = fastrand::Rng::with_seed(seed);
    Draw { random, whole: world.probed(0).0 }
}

#[test]
fn a_probe_finds_what_was_set_and_leaves_nothing() {
    let world = world(Options::default());
    let mut draws = draws(&world);
    for _ in 0..number_of("PROBE_PROFILES").unwrap_or(3) {
        let profile = draws.profile();
        world.behave_as(&profile, &mut draws);
        world.finds(&profile);
        assert_eq!(world.scratch(), [""; 0]);
    }
}

#[test]
fn calls_that_fail_in_the_middle_leave_nothing() {
    let world = world(Options::default());
    let mut draws = draws(&world);
    let kinds = [Fault::Error, Fault::LateError, Fault::Reset, Fault::Lost, Fault::Truncated];
    let (mut ended, mut struck) = (0, 0);
    for seed in 0..number_of("PROBE_PROFILES").unwrap_or(2) {
        let profile = draws.profile();
        world.behave_as(&profile, &mut draws);
        // Names are drawn, so no seed repeats what is struck.
        let chances = kinds.clone().map(|fault| (fault, 0.003));
        world.control().fail_by_chance(&chances, seed);
        let ran = world.probe(&["--output", "json"]);
        world.control().clear_faults();
        if ran.code == 1 {
            ended += 1;
            ran.says("all that it made is deleted");
        } else {
            let said: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(said["profile"], serde_json::to_value(&profile).unwrap());
        }
        assert_eq!(world.scratch(), [""; 0]);
        struck = world.control().struck();
    }
    assert!(struck > 0, "{ended} ended early");
}

#[test]
fn a_delete_that_fails_is_told_and_made_good_by_the_next() {
    let world = world(Options::default());
    let delete = Some(Method::DELETE);
    world.control().fail_next(delete, "-kafka/", Fault::Forbidden, 1);
    let ran = world.probe(&[]).code(1).says("are left, delete them by hand");
    assert_eq!(world.scratch().len(), 1);
    assert!(ran.stderr.contains(&world.scratch()[0]));
    world.probe(&[]).code(0).says("An earlier probe left these");
    assert_eq!(world.scratch(), [""; 0]);
    let delete = Some(Method::DELETE);
    world.control().fail_next(delete, "-kafka/", Fault::Error, 9);
    world.probe(&[]).code(1).says("are left, delete them by hand").says("the server answered 500");
}

#[test]
fn a_probe_that_is_killed_is_made_good_by_the_next() {
    let world = world(Options::default());
    let by_hand = "apinizer-gitops-probe-by-hand";
    let body = json!({"type": "email", "name": by_hand, "description": "Not the probe's"});
    world.control().put(SCRATCH, body).unwrap();
    let mut draws = draws(&world);
    for moment in [Gate::Before, Gate::After] {
        let profile = draws.profile();
        world.behave_as(&profile, &mut draws);
        let is_made = |name: &&str| profile.types[*name].support == Support::Full;
        let names = catalog::all().map(|known| known.name).filter(is_made);
        let path = format!("-{}/", draws.of(&names.skip(2).collect::<Vec<_>>()));
        let method = draws.of(&WRITES);
        let gate = world.control().gate(Some(method), &path, moment);
        assert!(Applying::command(&world, &PROBE).come_to(&gate).kill());
        gate.abandon();
        let left = world.scratch();
        assert!(left.len() > 2, "{left:?}");
        let without_yes = ["probe", "--project", SCRATCH];
        world.run(&without_yes).code(1).says("--yes");
        assert_eq!(world.scratch(), left, "nothing is deleted without consent");
        let ran = world.finds(&profile).says("An earlier probe left these");
        assert!(!ran.stderr.contains(by_hand));
        assert_eq!(world.scratch(), [by_hand]);
    }
}

#[test]
fn a_signal_ends_a_probe_which_deletes_what_it_made() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let world = world(Options::default());
        let gate = world.control().gate(Some(Method::PUT), "-ftp/", Gate::After);
        let mut probing = Applying::command(&world, &PROBE).come_to(&gate);
        // What it made is its own, whatever becomes of the description.
        for name in world.scratch() {
            let edited = |body: &mut serde_json::Map<_, _>| drop(body.remove("description"));
            assert!(world.control().edit(SCRATCH, &name, edited));
        }
        probing.ask_to_end(signal);
        gate.open();
        probing.ends().code(1).says("all that it made is deleted");
        assert_eq!(world.scratch(), [""; 0]);
    }
}

#[test]
fn a_project_that_is_in_use_is_refused_before_any_call() {
    let mut world = world(Options::default());
    // One server may have several names.
    let other = "  - name: other\n    url: 'https://elsewhere.example.com'\n    project: Payments\n    \
                 token: ${env:APINIZER_TOKEN}\n";
    world.config(&(crate::world::one_target(crate::world::CHECKOUT, "") + other));
    let probe =
        |project: &str| world.run(&["probe", "--target", "default", "--project", project, "--yes"]);
    for project in [PROJECT, "DEMO", "Payments", "payments", " payments/"] {
        probe(project).code(1).says("uses the project");
    }
    probe("Admin").code(1).says("can serve all projects");
    world.run(&["probe", "--project", SCRATCH, "--yes"]).code(1).says("--target");
    let by_flags = ["probe", "--url", &world.url(), "--project", SCRATCH, "--yes"];
    world.run(&by_flags).code(1).says("needs a config");
    assert!(world.control().take_calls().is_empty());
    probe(SCRATCH).code(0).says("All is as apinizer-gitops assumes.");
}

/// A target whose profile says this of one type.
pub(crate) fn profiled(world: &mut World, text: &str) {
    fs::write(world.path("p.yaml"), format!("apinizer_gitops_profile: 1\ntypes:\n  {text}\n"))
        .unwrap();
    world.target("profile: p.yaml");
}

#[test]
fn a_plan_takes_the_defaults_of_the_profile() {
    let mut world = World::new();
    let syslog = "type: syslog\nname: s\nsyslogServerHostname: h\n";
    world.target("");
    world.write("connections/s.yaml", &format!("{syslog}syslogTimeout: 500\n"));
    world.commit("a default of the documents");
    world.apply().code(0);
    world.edit("s", "syslogTimeout", Value::Null);
    world.plan().code(0);
    profiled(&mut world, "syslog: {unset: {other_default: [syslogTimeout]}}");
    world.plan().code(2).says("syslogTimeout");
    profiled(&mut world, "syslog: {unset: {default: [syslogTimeout]}}");
    world.plan().code(0);
    world.edit("s", "syslogTimeout", json!(5000));
    world.write("connections/s.yaml", syslog);
    world.commit("declare it no longer");
    let field = &world.plan_json(&[])["changes"][0]["fields"][0];
    assert_eq!((&field["before"], &field["after"]), (&json!(5000), &json!(500)));
    profiled(&mut world, "syslog: {unset: {other_default: [syslogTimeout]}}");
    world.plan().code(0);
}

#[test]
fn a_plan_takes_the_masked_fields_of_the_profile() {
    let mut world = World::new();
    world.control().alter(|options| {
        options.mask("email", "from", Mask::Nothing);
        options.mask("email", "username", Mask::Asterisks);
    });
    profiled(&mut world, "email: {masked: {from: nothing, username: asterisks}}");
    world.commit_email("a", "from: x@example.com\n");
    world.apply().code(0);
    world.forget_calls();
    world.plan().code(0);
    world.apply().code(0);
    assert_eq!(world.writes(), [""; 0]);
    // Without the profile what `GET` shows in their place is a difference.
    world.target("");
    world.plan().code(2).says("from");
    profiled(&mut world, "email: {masked: {from: nothing, username: asterisks}}");
    world.commit_email("a", "from: y@example.com\n");
    world.apply().code(0);
    assert_eq!(world.live("a")["from"], json!("y@example.com"));
    world.commit_email("a", "port: 25\n");
    world.plan().code(1).says("would wipe it");
    world.apply().code(1).says("the server masks the secret `from`");
    assert_eq!(world.live("a")["from"], json!("y@example.com"));
}

#[test]
fn a_profile_that_names_what_does_not_exist_is_refused() {
    let mut world = World::new();
    for (text, says) in [
        ("emial: {}", "did you mean `email`?"),
        ("email: {masked: {pasword: nothing}}", "did you mean `password`?"),
        ("email: {unset: {default: [prot]}}", "did you mean `port`?"),
        ("email: {maskd: {}}", "unknown field `maskd`"),
        ("email: {null_secret: sometimes}", "unknown variant `sometimes`"),
    ] {
        profiled(&mut world, text);
        world.run(&["validate"]).code(1).says(says).says("p.yaml");
    }
    fs::write(world.path("p.yaml"), "password: of-another-file\n").unwrap();
    let ran = world.run(&["validate"]).code(1).says("it is not a profile");
    assert!(!format!("{ran:?}").contains("of-another-file"), "{ran:?}");
    fs::remove_file(world.path("p.yaml")).unwrap();
    world.run(&["validate"]).code(1).says("the `profile` cannot be used");
}

#[test]
fn the_profile_of_the_page_is_one() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/probe.md");
    let page = fs::read_to_string(page).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    Profile::parse(example).unwrap();
}

#[test]
fn a_type_at_which_the_server_fails_ends_no_probe() {
    let world = world(Options::default());
    world.control().fail_next(Some(Method::POST), "-ftp/", Fault::Error, 3);
    world.control().fail_next(Some(Method::POST), "-ldap/", Fault::Lost, 1);
    let ran = world.probe(&[]).code(2).says("refused: ftp: the server answered 500");
    assert!(ran.stdout.contains("  ftp: a connection with the required fields is refused\n"));
    assert!(!ran.stdout.contains("  ldap: a connection"));
    assert_eq!(world.scratch(), [""; 0]);
}
