//! The text of a rule to an expression whose names are known and whose work is paid for.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};
use cel::common::types::CelInt;
use regex::{Regex, RegexBuilder};

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
    ("change", &["action", "origin", "fields", "held"]),
    ("now", &[]),
];

/// The functions of the standard library that are of use here. Macros are no functions any more.
pub(super) const FUNCTIONS: &[&str] = &[
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
    /// The patterns of its `matches`.
    pub(super) patterns: Vec<(String, Regex)>,
    /// Whether it asks for the change or for the time.
    pub(super) needs_plan: bool,
    /// The fields of the connection that it asks for, in its order.
    pub(crate) fields: Vec<String>,
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
}

fn parse(text: &str) -> Result<IdedExpr, Problem> {
    ENV.parser().parse(text).map_err(|errors| {
        let first = errors.errors.first();
        let message = first.map_or("it cannot be read", |error| error.msg.as_str());
        let message: String = message.chars().take(200).collect();
        let line = first.and_then(|error| usize::try_from(error.pos.0).ok()).unwrap_or(1);
        let column = first.and_then(|error| usize::try_from(error.pos.1).ok()).unwrap_or(1);
        let problem =
            Problem::new(format!("line {line}, column {column}: {}", message.escape_debug()));
        let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let rest: String = line.chars().skip(column.saturating_sub(1)).collect();
        if rest.trim().is_empty() { problem } else { problem.at(rest.trim()) }
    })
}

fn checked(mut root: IdedExpr) -> Result<Expression, Problem> {
    let mut check = Check::default();
    check.walk(&mut root, 0)?;
    let Check { patterns, needs_plan, fields, .. } = check;
    Ok(Expression { root, patterns, needs_plan, fields })
}

/// Looks at every node, and makes those pay that read values or repeat others.
#[derive(Default)]
struct Check {
    /// The variables of the loops around.
    scope: Vec<String>,
    patterns: Vec<(String, Regex)>,
    needs_plan: bool,
    fields: Vec<String>,
}

impl Check {
    /// Checks a node; how many nodes it is made of.
    fn walk(&mut self, node: &mut IdedExpr, depth: usize) -> Result<u64, Problem> {
        if depth > DEEPEST {
            return Err(Problem::new(format!("it nests deeper than {DEEPEST} levels")));
        }
        if let Some((root, path)) = chain(&node.expr) {
            self.name(&root, &path)?;
            let is_test = matches!(&node.expr, Expr::Select(select) if select.test);
            if root == "now" && !self.scope.contains(&root) {
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

    /// Checks a name with the keys that are asked of it.
    fn name(&mut self, root: &str, path: &[String]) -> Result<(), Problem> {
        if root.starts_with('@') || self.scope.iter().any(|known| known == root) {
            return Ok(());
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
        self.needs_plan |= matches!(root, "change" | "now");
        let Some(first) = path.first() else { return Ok(()) };
        if root == "connection" {
            self.fields.push(first.clone());
            return is_field(first);
        }
        if keys.contains(&first.as_str()) {
            return Ok(());
        }
        let problem = Problem::new(format!("`{root}` has no key `{first}`")).at(first);
        let otherwise = match keys {
            [] => format!("`{root}` is a single value"),
            keys => format!("its keys are {}", keys.join(", ")),
        };
        Err(problem.help(did_you_mean(keys.iter().copied(), first, otherwise)))
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
        if let [IdedExpr { expr: Expr::Ident(root), .. }, IdedExpr { expr, .. }] = &call.args[..]
            && let Expr::Literal(LiteralValue::String(key)) = expr
            && root == "connection"
        {
            match name.as_str() {
                operators::OPT_SELECT => self.name(root, &[key.inner().to_owned()])?,
                operators::INDEX | operators::OPT_INDEX => self.fields.push(key.inner().to_owned()),
                _ => {}
            }
        }
        let target = call.target.as_mut().map_or(Ok(0), |target| self.walk(target, depth))?;
        Ok(target + self.all(&mut call.args, depth)?)
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
        let compiled = RegexBuilder::new(&pattern).size_limit(LARGEST_PATTERN).build();
        let compiled = compiled.map_err(|_| {
            Problem::new("the pattern of `matches` cannot be used")
                .at(&pattern)
                .help("write a small regular expression in the syntax of RE2")
        })?;
        self.patterns.push((pattern, compiled));
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
        let mut nodes = self.walk(&mut looped.iter_range, depth)?;
        nodes += self.walk(&mut looped.accu_init, depth)?;
        let outside = self.scope.len();
        self.scope.push(looped.iter_var.clone());
        self.scope.extend(looped.iter_var2.clone());
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

/// The name and the keys of `name.key.key`, also where it is asked whether the last one is there.
fn chain(mut expr: &Expr) -> Option<(String, Vec<String>)> {
    let mut path = Vec::new();
    loop {
        match expr {
            Expr::Ident(name) => {
                path.reverse();
                return Some((name.clone(), path));
            }
            Expr::Select(select) if path.is_empty() || !select.test => {
                path.push(select.field.clone());
                expr = &select.operand.expr;
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
