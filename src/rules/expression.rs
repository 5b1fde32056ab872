//! The text of a rule to an expression whose names are known and whose work is paid for.

use std::sync::Arc;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};
use cel::common::types::CelInt;
use cel::{Context, Value};
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

use super::ENV;
use crate::catalog::{self, ConnectionType, IDENTITY, did_you_mean, nearest_of};

/// The longest expression, in bytes.
const LONGEST: usize = 2000;
/// How deep it may nest: with room to spare on the smallest stack that evaluates it.
const DEEPEST: usize = 20;
/// The stack of the thread that parses. The parser recurses with the length of a chain of
/// operators.
const STACK: usize = 64 * 1024 * 1024;
/// The largest compiled pattern of `matches`, in bytes.
const LARGEST_PATTERN: usize = 256 * 1024;
/// How many characters a pattern may stand for when its counted repetitions are written out. One with
/// thousands takes milliseconds for each byte of a text.
const LONGEST_PATTERN: u64 = 500;

/// The function that pays for a value. No text of a user can name it, nor the two others.
pub(super) const CHARGE: &str = "@charge";
/// `matches` with a pattern that was compiled before.
pub(super) const MATCHES: &str = "@matches";
/// The time in seconds, of which `now` is the timestamp.
pub(super) const NOW: &str = "@now";

/// The values that an expression sees, and the keys of those that have a fixed set of them.
const NAMES: [(&str, &[&str]); 4] = [
    ("connection", &[]),
    ("target", &["name", "project", "vars"]),
    ("change", &["action", "origin", "fields", "held", "count"]),
    ("now", &[]),
];

/// The root of what a loop variable stands for that goes over `change.fields`, and its keys.
const FIELD: &str = "@field";
const FIELD_KEYS: [&str; 2] = ["path", "origin"];

/// The keys of `x-gitops`.
const OPTIONS: [&str; 5] = ["protect", "renamedFrom", "ignore", "suspend", "targets"];

/// The values of a name that has a fixed set of them.
fn values_of(root: &str, path: &[String]) -> Option<Vec<&'static str>> {
    match (root, path) {
        ("connection", [key]) if key == "type" => Some(catalog::all().map(|t| t.name).collect()),
        ("change", [key]) if key == "action" => {
            Some(vec!["create", "update", "replace", "rename", "delete"])
        }
        ("change" | FIELD, [key]) if key == "origin" => Some(vec!["git", "drift", "both"]),
        _ => None,
    }
}

/// The functions of the standard library that are of use here. Macros are no functions any more.
pub(crate) const FUNCTIONS: &[&str] = &[
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "size",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "type",
    "timestamp",
    "duration",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "orValue",
    "or",
    "value",
    "hasValue",
];

/// An expression that was compiled.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(super) root: IdedExpr,
    pub(super) asked: Asked,
}

/// The things that an expression asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The patterns of its `matches`.
    pub(super) patterns: Vec<(String, Pattern)>,
    /// Whether it asks for the change or for the time.
    pub(super) needs_plan: bool,
    /// Whether it asks for the number of changes.
    pub(super) needs_count: bool,
    /// Whether it asks if a rule of the tool holds the change.
    pub(super) needs_holds: bool,
    /// The fields of the connection, in its order.
    pub(super) fields: Vec<String>,
    /// The vars of the target.
    vars: Vec<String>,
    /// The names that it compares with that of the target.
    targets: Vec<String>,
}

/// A pattern that was compiled.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// How many characters it stands for when its counted repetitions are written out: the work that it
    /// takes for each byte of a text grows with them.
    pub(super) length: u64,
}

/// Why a text is no expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The part of the text that is wrong.
    pub(crate) part: Option<String>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, part: None }
    }

    fn at(mut self, part: &str) -> Self {
        self.part = Some(part.to_owned());
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Expression {
    /// Compiles a text.
    pub(crate) fn compile(text: &str) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            return Err(Problem::new(format!("it is longer than {LONGEST} bytes")));
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK);
            let thread = thread.spawn_scoped(scope, || parse(text).and_then(checked));
            let stopped = || Problem::new("the parser stopped on it");
            thread.map_or_else(|_| Err(stopped()), |t| t.join().unwrap_or_else(|_| Err(stopped())))
        })
    }

    /// The fields of the connection that it asks for, in its order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &String> {
        self.asked.fields.iter()
    }

    /// Refuses a var that none of the rule's targets has, and a name that no target has: one would
    /// always match, the other never.
    pub(crate) fn check_targets(&self, vars: &[&str], targets: &[&str]) -> Result<(), Problem> {
        let is_unknown = |known: &[&str], name: &&String| !known.contains(&name.as_str());
        if let Some(name) = self.asked.vars.iter().find(|name| is_unknown(vars, name)) {
            let problem = Problem::new(format!("no target of the rule has a var `{name}`"));
            let help = did_you_mean(vars.iter().copied(), name, "`vars` of a target has them");
            return Err(problem.at(name).help(help));
        }
        let Some(name) = self.asked.targets.iter().find(|name| is_unknown(targets, name)) else {
            return Ok(());
        };
        let otherwise = format!("the targets are {}", targets.join(", "));
        let problem = Problem::new(format!("no target is called `{name}`")).at(name);
        Err(problem.help(did_you_mean(targets.iter().copied(), name, otherwise)))
    }
}

fn parse(text: &str) -> Result<IdedExpr, Problem> {
    ENV.parser().parse(text).map_err(|errors| {
        let first = errors.errors.first();
        let line = first.and_then(|error| usize::try_from(error.pos.0).ok()).unwrap_or(1);
        let column = first.and_then(|error| usize::try_from(error.pos.1).ok()).unwrap_or(1);
        let rest = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let rest: String = rest.chars().skip(column.saturating_sub(1)).collect();
        let rest = rest.trim();
        // Those of its grammar name tokens, which help nobody.
        let said = first.map(|error| error.msg.as_str());
        let message = match said.filter(|said| !said.contains("rror")) {
            Some(said) => said,
            None if rest.is_empty() => "it ends too early",
            None => "it cannot be read from here on",
        };
        let problem = Problem::new(format!("line {line}, column {column}: {message}"));
        if rest.is_empty() { problem } else { problem.at(rest) }
    })
}

fn checked(mut root: IdedExpr) -> Result<Expression, Problem> {
    let mut check = Check::default();
    check.walk(&mut root, 0)?;
    Ok(Expression { root, asked: check.asked })
}

/// Looks at every node, and makes those pay that read values or repeat others.
#[derive(Default)]
struct Check {
    /// The variables of the loops around, and whether each is a field of the change.
    scope: Vec<(String, bool)>,
    asked: Asked,
}

impl Check {
    /// Checks a node; how many nodes it is made of.
    fn walk(&mut self, node: &mut IdedExpr, depth: usize) -> Result<u64, Problem> {
        if depth > DEEPEST {
            return Err(Problem::new(format!("it nests deeper than {DEEPEST} levels")));
        }
        if let Some(chain) = chain(&node.expr) {
            self.name(&chain)?;
            let Chain { root, path, .. } = chain;
            let is_test = matches!(&node.expr, Expr::Select(select) if select.test);
            if root == "now" && self.variable(&root).is_none() {
                let seconds = IdedExpr { id: node.id, expr: Expr::Ident(NOW.to_owned()) };
                node.expr = call("timestamp", vec![seconds]);
            } else if !root.starts_with('@') && !is_test {
                meter(node, 0);
            }
            return Ok(2 + path.len() as u64);
        }
        let inside = depth + 1;
        let nodes = match &mut node.expr {
            Expr::Literal(_) => 0,
            Expr::Call(call) => self.call(call, inside)?,
            Expr::Select(select) => self.walk(&mut select.operand, inside)?,
            Expr::List(list) => self.all(&mut list.elements, inside)?,
            Expr::Map(map) => {
                let mut nodes = 0;
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else { continue };
                    nodes += self.walk(&mut entry.key, inside)?;
                    nodes += self.walk(&mut entry.value, inside)?;
                }
                nodes
            }
            Expr::Comprehension(looped) => self.comprehension(looped, inside)?,
            Expr::Struct(_) | Expr::Ident(_) | Expr::Unspecified => {
                return Err(Problem::new("it makes a value of a type, and there are none here"));
            }
        };
        Ok(nodes + 1)
    }

    fn all(&mut self, nodes: &mut [IdedExpr], depth: usize) -> Result<u64, Problem> {
        nodes.iter_mut().map(|node| self.walk(node, depth)).sum()
    }

    /// Whether an expression is the list `change.fields`, or a part of it.
    fn is_fields(&self, expr: &Expr) -> bool {
        if let Expr::Comprehension(looped) = expr {
            return is_filter(looped) && self.is_fields(&looped.iter_range.expr);
        }
        chain(expr).is_some_and(|Chain { root, path, .. }| {
            root == "change" && path == ["fields"] && self.variable(&root).is_none()
        })
    }

    /// Checks a name with the keys that are asked of it.
    fn name(&mut self, Chain { root, path, is_open }: &Chain) -> Result<(), Problem> {
        match self.variable(root) {
            Some(true) => return path.first().map_or(Ok(()), |key| is_key(root, &FIELD_KEYS, key)),
            Some(false) => return Ok(()),
            None if root.starts_with('@') => return Ok(()),
            None => {}
        }
        let Some((_, keys)) = NAMES.iter().find(|(name, _)| *name == root) else {
            if path.is_empty() && ENV.types().find_type(root).is_some() {
                return Ok(());
            }
            let problem = Problem::new(format!("there is no `{root}` here")).at(root);
            let known = NAMES.map(|(name, _)| name);
            let sees = format!("a rule sees {}", known.join(", "));
            return Err(problem.help(did_you_mean(known, root, sees)));
        };
        self.asked.needs_plan |= matches!(root.as_str(), "change" | "now");
        let asks = |wanted| root == "change" && path.first().is_none_or(|key| key == wanted);
        self.asked.needs_count |= asks("count");
        self.asked.needs_holds |= asks("held");
        let Some(first) = path.first() else { return Ok(()) };
        if root == "connection" {
            self.asked.fields.push(first.clone());
            return if *is_open { is_option(path) } else { is_field(first) };
        }
        if let ("target", [_, var, ..]) = (root.as_str(), &path[..]) {
            self.asked.vars.push(var.clone());
        }
        is_key(root, keys, first)
    }

    /// The variable of a loop around that has a name: whether it is a field of the change.
    fn variable(&self, name: &str) -> Option<bool> {
        self.scope.iter().rev().find(|(known, _)| known == name).map(|(_, is_field)| *is_field)
    }

    fn call(&mut self, call: &mut CallExpr, depth: usize) -> Result<u64, Problem> {
        let name = call.func_name.clone();
        let is_operator = !name.chars().all(char::is_alphanumeric);
        if !is_operator && !FUNCTIONS.contains(&name.as_str()) {
            let problem = Problem::new(format!("there is no function `{name}` here")).at(&name);
            let macros = ["has", "all", "exists", "exists_one", "map", "filter"];
            let known = FUNCTIONS.iter().copied().chain(macros);
            return Err(match nearest_of(known, &name, |known| *known) {
                Some(near) if near == name => {
                    problem.help(format!("`{name}` takes another number of arguments"))
                }
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help("`explain rules` lists the functions"),
            });
        }
        if name == "matches" {
            self.pattern(call)?;
        }
        match (name.as_str(), call.args.as_slice()) {
            (operators::OPT_SELECT | operators::OPT_INDEX, [of, key]) => {
                if let (Some(mut chain), [key]) = (chain(&of.expr), &texts_in(&key.expr)[..]) {
                    chain.is_open |= chain.path.is_empty() && name == operators::OPT_INDEX;
                    chain.path.push(key.clone());
                    self.name(&chain)?;
                }
            }
            (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => {
                self.comparison(one, other)?;
                self.comparison(other, one)?;
            }
            (operators::IN, [one, list]) => self.comparison(one, list)?,
            (_, [zone]) if name.starts_with("get") => is_time_zone(&name, zone)?,
            _ => {}
        }
        let target = call.target.as_mut().map_or(Ok(0), |target| self.walk(target, depth))?;
        Ok(target + self.all(&mut call.args, depth)?)
    }

    /// Refuses a comparison with a text that a value never is: a mistyped one would switch the rule off.
    fn comparison(&mut self, value: &IdedExpr, texts: &IdedExpr) -> Result<(), Problem> {
        let Some(Chain { root, path, .. }) = chain(&value.expr) else { return Ok(()) };
        let texts = texts_in(&texts.expr);
        let shown = format!("{root}.{}", path.join("."));
        let root = match self.variable(&root) {
            Some(true) => FIELD,
            Some(false) => return Ok(()),
            None => &root,
        };
        if (root, &path[..]) == (FIELD, &["path".to_owned()]) {
            let Some(text) = texts.iter().find(|text| !text.starts_with('/')) else {
                return Ok(());
            };
            let problem = Problem::new(format!("`{shown}` is never `{text}`")).at(text);
            return Err(problem.help(format!("the path of a field begins with `/`: `/{text}`")));
        }
        if shown == "target.name" {
            self.asked.targets.extend(texts);
            return Ok(());
        }
        let Some(known) = values_of(root, &path) else { return Ok(()) };
        let unknown = texts.iter().find(|text| !known.contains(&text.as_str()));
        let Some(text) = unknown else { return Ok(()) };
        let problem = Problem::new(format!("`{shown}` is never `{text}`")).at(text);
        let otherwise = format!("it is one of {}", known.join(", "));
        Err(problem.help(did_you_mean(known, text, otherwise)))
    }

    /// Compiles the pattern of a `matches`, so that no document can bring one and none is compiled
    /// twice.
    fn pattern(&mut self, call: &mut CallExpr) -> Result<(), Problem> {
        if let Some(target) = call.target.take() {
            call.args.insert(0, *target);
        }
        let [_, IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }] =
            call.args.as_slice()
        else {
            return Err(Problem::new("the pattern of `matches` is a text in quotes").at("matches"));
        };
        let pattern = pattern.inner().to_owned();
        let length = regex_syntax::parse(&pattern).map_or(u64::MAX, |hir| length_of(&hir));
        let regex = RegexBuilder::new(&pattern).size_limit(LARGEST_PATTERN).build().ok();
        let Some(regex) = regex.filter(|_| length <= LONGEST_PATTERN) else {
            let problem = Problem::new("the pattern of `matches` cannot be used").at(&pattern);
            return Err(problem.help("write a small regular expression in the syntax of RE2"));
        };
        self.asked.patterns.push((pattern, Pattern { regex, length }));
        MATCHES.clone_into(&mut call.func_name);
        Ok(())
    }

    /// A loop pays for what it goes over before it begins, for each of its nodes; where it can end
    /// early, it pays at each turn too, which ends it once nothing is left.
    fn comprehension(
        &mut self,
        looped: &mut ComprehensionExpr,
        depth: usize,
    ) -> Result<u64, Problem> {
        let is_over_fields = looped.iter_var2.is_none() && self.is_fields(&looped.iter_range.expr);
        let mut nodes = self.walk(&mut looped.iter_range, depth)?;
        nodes += self.walk(&mut looped.accu_init, depth)?;
        let outside = self.scope.len();
        self.scope.push((looped.iter_var.clone(), is_over_fields));
        self.scope.extend(looped.iter_var2.clone().map(|name| (name, false)));
        let is_literal = matches!(looped.loop_cond.expr, Expr::Literal(_));
        nodes += self.walk(&mut looped.loop_cond, depth)?;
        if !is_literal {
            meter(&mut looped.loop_cond, 0);
        }
        nodes += self.walk(&mut looped.loop_step, depth)?;
        nodes += self.walk(&mut looped.result, depth)?;
        self.scope.truncate(outside);
        meter(&mut looped.iter_range, nodes);
        Ok(nodes)
    }
}

/// Whether a loop is the macro `filter`: its result are elements of its range.
fn is_filter(looped: &ComprehensionExpr) -> bool {
    let Expr::Call(step) = &looped.loop_step.expr else { return false };
    let [_, IdedExpr { expr: Expr::Call(taken), .. }, _] = step.args.as_slice() else {
        return false;
    };
    let [_, IdedExpr { expr: Expr::List(list), .. }] = taken.args.as_slice() else { return false };
    let is_element =
        |one: &IdedExpr| matches!(&one.expr, Expr::Ident(name) if *name == looped.iter_var);
    list.elements.iter().all(is_element)
}

/// Whether a name has a key.
fn is_key(name: &str, keys: &[&str], key: &str) -> Result<(), Problem> {
    if keys.contains(&key) {
        return Ok(());
    }
    let problem = Problem::new(format!("`{name}` has no key `{key}`")).at(key);
    let otherwise = match keys {
        [] => format!("`{name}` is a single value"),
        keys => format!("its keys are {}", keys.join(", ")),
    };
    Err(problem.help(did_you_mean(keys.iter().copied(), key, otherwise)))
}

/// Whether any type has a field; a mistyped one would fail at run time only.
fn is_field(name: &str) -> Result<(), Problem> {
    let fields = || catalog::all().flat_map(ConnectionType::fields).chain(IDENTITY.iter());
    if fields().any(|field| field.name == name) {
        return Ok(());
    }
    let problem = Problem::new(format!("no type of connection has a field `{name}`")).at(name);
    let otherwise = format!("write `connection['{name}']` if it is not known here");
    Err(problem.help(did_you_mean(fields().map(|field| field.name), name, otherwise)))
}

/// Whether the options of a document have a key.
fn is_option(path: &[String]) -> Result<(), Problem> {
    let (Some("x-gitops"), Some(key)) = (path.first().map(String::as_str), path.get(1)) else {
        return Ok(());
    };
    if OPTIONS.contains(&key.as_str()) {
        return Ok(());
    }
    let problem = Problem::new(format!("`x-gitops` has no key `{key}`")).at(key);
    let otherwise = format!("its keys are {}", OPTIONS.join(", "));
    Err(problem.help(did_you_mean(OPTIONS, key, otherwise)))
}

/// Whether the argument of a part of a time is a time zone, where it is a text: the library is asked,
/// since it may know others than any list.
fn is_time_zone(part: &str, zone: &IdedExpr) -> Result<(), Problem> {
    let texts = texts_in(&zone.expr);
    let [text] = &texts[..] else { return Ok(()) };
    let node = |expr| IdedExpr { id: 0, expr };
    let zero = node(Expr::Literal(LiteralValue::Int(CelInt::from(0))));
    let target = Some(Box::new(node(call("timestamp", vec![zero]))));
    let call = CallExpr { func_name: part.to_owned(), target, args: vec![zone.clone()] };
    match Value::resolve(&node(Expr::Call(call)), &Context::with_env(Arc::clone(&ENV))) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::new(format!("there is no time zone `{text}`"))
            .at(text)
            .help("write it as `Europe/Istanbul` or `+03:00`")),
    }
}

/// The texts of a literal, or of a list of them.
fn texts_in(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Literal(LiteralValue::String(text)) => vec![text.inner().to_owned()],
        Expr::List(list) => list.elements.iter().flat_map(|item| texts_in(&item.expr)).collect(),
        _ => Vec::new(),
    }
}

/// How many characters a pattern stands for when its counted repetitions are written out.
fn length_of(pattern: &Hir) -> u64 {
    match pattern.kind() {
        HirKind::Literal(text) => text.0.len() as u64,
        HirKind::Repetition(repeated) => {
            let times = repeated.max.unwrap_or(repeated.min).max(1);
            length_of(&repeated.sub).saturating_mul(times.into())
        }
        HirKind::Capture(group) => length_of(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(length_of).fold(0, u64::saturating_add)
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => 1,
    }
}

/// A name, and the keys that are asked of it.
struct Chain {
    root: String,
    path: Vec<String>,
    /// Whether the first key is asked for by `name['key']`, as one that is not known here may be.
    is_open: bool,
}

/// The name and the keys of `name.key['key']`, also where it is asked whether the last one is there.
fn chain(mut expr: &Expr) -> Option<Chain> {
    let (mut path, mut is_open) = (Vec::new(), false);
    loop {
        match expr {
            Expr::Ident(name) => {
                path.reverse();
                return Some(Chain { root: name.clone(), path, is_open });
            }
            Expr::Select(select) if path.is_empty() || !select.test => {
                path.push(select.field.clone());
                (expr, is_open) = (&select.operand.expr, false);
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [of, key] = call.args.as_slice() else { return None };
                let Expr::Literal(LiteralValue::String(key)) = &key.expr else { return None };
                path.push(key.inner().to_owned());
                (expr, is_open) = (&of.expr, true);
            }
            _ => return None,
        }
    }
}

/// Makes a node pay for its value, and for as many turns of a loop with so many nodes as the value
/// has items.
fn meter(node: &mut IdedExpr, nodes: u64) {
    let (id, value) = (node.id, std::mem::take(node));
    let nodes = CelInt::from(i64::try_from(nodes).unwrap_or(i64::MAX));
    let nodes = IdedExpr { id, expr: Expr::Literal(LiteralValue::Int(nodes)) };
    *node = IdedExpr { id, expr: call(CHARGE, vec![nodes, value]) };
}

fn call(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args })
}
