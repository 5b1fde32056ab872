//! The text of a rule to an expression whose names are known and whose work is paid for: it is parsed,
//! checked by [`super::kinds`], and has each node pay that reads values or repeats others.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::common::types::CelInt;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use serde_json::Value as Json;

use super::kinds::{self, RuleInputs};
use super::{ENV, chain, wrong, wrong_at};
use crate::diagnostic::Finding;

/// The longest expression, in bytes.
const LONGEST: usize = 2000;
/// How deep it may nest: with room to spare on the smallest stack that evaluates it.
const DEEPEST: usize = 20;
/// How deep brackets may nest for the parser, those included that group and make no node.
const DEEPEST_BRACKETS: usize = 90;
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

/// An expression that was compiled.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(super) root: IdedExpr,
    pub(super) asked: RuleInputs,
    /// The patterns of its `matches`.
    pub(super) patterns: Vec<(String, Pattern)>,
}

/// A pattern that was compiled.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// How many characters it stands for when its counted repetitions are written out: the work that it
    /// takes for each byte of a text grows with them.
    pub(super) length: u64,
}

impl Expression {
    /// Compiles a text for the targets of its rule, given by their values of `target`; none: they are
    /// not known.
    pub(crate) fn compile(text: &str, targets: &[&Json]) -> Result<Self, Box<Finding>> {
        if text.len() > LONGEST {
            return Err(wrong(format!("it is longer than {LONGEST} bytes")).into());
        }
        let read = || {
            let mut root = parse(text)?;
            let (asked, depth) = kinds::check(&root, targets)?;
            if depth > DEEPEST {
                return Err(too_deep(depth).into());
            }
            let mut metering = Metering::default();
            metering.walk(&mut root)?;
            Ok(Self { root, asked, patterns: metering.patterns })
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, read);
            let joined = thread.map_err(drop).and_then(|thread| thread.join().map_err(drop));
            joined.unwrap_or_else(|()| Err(wrong("the parser stopped on it").into()))
        })
    }

    /// The fields of the connection that it asks for, in its order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &String> {
        self.asked.fields.iter()
    }
}

fn parse(text: &str) -> Result<IdedExpr, Box<Finding>> {
    ENV.parser().parse(text).map_err(|errors| {
        let first = errors.errors.first();
        // Where a text is too deep for it, the parser only says at which place it stopped.
        let brackets = brackets(text);
        if brackets > DEEPEST_BRACKETS {
            return too_deep(brackets).into();
        }
        let line = first.and_then(|error| usize::try_from(error.pos.0).ok()).unwrap_or(1);
        let column = first.and_then(|error| usize::try_from(error.pos.1).ok()).unwrap_or(1);
        let rest = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let rest: String = rest.chars().skip(column.saturating_sub(1)).collect();
        let rest = rest.trim();
        // The messages of its grammar name tokens, which do not help a reader.
        let said = first.map(|error| error.msg.as_str());
        let message = match said.filter(|said| !said.contains("rror")) {
            Some(said) => said,
            None if rest.is_empty() => "it ends too early",
            None => "it cannot be read from here on",
        };
        let message = format!("line {line}, column {column}: {message}");
        Box::new(if rest.is_empty() { wrong(message) } else { wrong_at(rest, message) })
    })
}

fn too_deep(depth: usize) -> Finding {
    wrong(format!("it nests {depth} levels deep, and {DEEPEST} are the most"))
}

/// How deep the brackets of a text nest.
fn brackets(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Makes those nodes pay that read values or repeat others.
#[derive(Default)]
struct Metering {
    /// The variables of the loops around.
    scope: Vec<String>,
    patterns: Vec<(String, Pattern)>,
}

impl Metering {
    /// Makes a node pay for its work. Returns how many nodes it is made of.
    fn walk(&mut self, node: &mut IdedExpr) -> Result<u64, Box<Finding>> {
        if let Some((root, keys)) = chain(&node.expr) {
            let is_test = matches!(&node.expr, Expr::Select(select) if select.test);
            if root == "now" && !self.scope.iter().any(|name| name == root) {
                let seconds = IdedExpr { id: node.id, expr: Expr::Ident(NOW.to_owned()) };
                node.expr = call("timestamp", vec![seconds]);
            } else if !root.starts_with('@') && !is_test {
                meter(node, 0);
            }
            return Ok(2 + keys);
        }
        let nodes = match &mut node.expr {
            Expr::Call(call) => {
                if call.func_name == "matches" {
                    self.pattern(call)?;
                }
                let target = call.target.as_mut().map_or(Ok(0), |target| self.walk(target))?;
                target + self.all(&mut call.args)?
            }
            Expr::Select(select) => self.walk(&mut select.operand)?,
            Expr::List(list) => self.all(&mut list.elements)?,
            Expr::Map(map) => {
                let mut nodes = 0;
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else { continue };
                    nodes += self.walk(&mut entry.key)? + self.walk(&mut entry.value)?;
                }
                nodes
            }
            Expr::Comprehension(looped) => self.comprehension(looped)?,
            Expr::Literal(_) | Expr::Struct(_) | Expr::Ident(_) | Expr::Unspecified => 0,
        };
        Ok(nodes + 1)
    }

    fn all(&mut self, nodes: &mut [IdedExpr]) -> Result<u64, Box<Finding>> {
        nodes.iter_mut().map(|node| self.walk(node)).sum()
    }

    /// Compiles the pattern of a `matches`, so that no document can bring one and none is compiled
    /// twice.
    fn pattern(&mut self, call: &mut CallExpr) -> Result<(), Box<Finding>> {
        if let Some(target) = call.target.take() {
            call.args.insert(0, *target);
        }
        let [_, IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }] =
            call.args.as_slice()
        else {
            let problem = wrong_at("matches", "the pattern of `matches` is a text in quotes");
            return Err(problem.into());
        };
        let pattern = pattern.inner().to_owned();
        let length = regex_syntax::parse(&pattern).map_or(u64::MAX, |hir| length_of(&hir));
        let regex = RegexBuilder::new(&pattern).size_limit(LARGEST_PATTERN).build().ok();
        let Some(regex) = regex.filter(|_| length <= LONGEST_PATTERN) else {
            let problem = wrong_at(&pattern, "the pattern of `matches` cannot be used");
            return Err(problem
                .help("write a small regular expression in the syntax of RE2")
                .into());
        };
        self.patterns.push((pattern, Pattern { regex, length }));
        MATCHES.clone_into(&mut call.func_name);
        Ok(())
    }

    /// A loop pays for what it goes over before it begins, for each of its nodes; where it can end
    /// early, it pays at each turn too, which ends it once nothing is left.
    fn comprehension(&mut self, looped: &mut ComprehensionExpr) -> Result<u64, Box<Finding>> {
        let mut nodes = self.walk(&mut looped.iter_range)? + self.walk(&mut looped.accu_init)?;
        let outside = self.scope.len();
        self.scope.push(looped.iter_var.clone());
        self.scope.extend(looped.iter_var2.clone());
        let is_literal = matches!(looped.loop_cond.expr, Expr::Literal(_));
        nodes += self.walk(&mut looped.loop_cond)?;
        if !is_literal {
            meter(&mut looped.loop_cond, 0);
        }
        nodes += self.walk(&mut looped.loop_step)? + self.walk(&mut looped.result)?;
        self.scope.truncate(outside);
        meter(&mut looped.iter_range, nodes);
        Ok(nodes)
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
