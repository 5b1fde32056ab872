//! Rules of the user (rule 10): expressions in CEL over a connection and its change. Pure.
//!
//! A rule sees the merged document with references as text, plain vars and the paths of changed
//! fields. No value of the environment and none of live is among them, so that none can be told by
//! what a rule says.
//!
//! Documents are written by others than the config, so each evaluation has a budget: the expression
//! is compiled so that it pays for every value that it reads and for every turn of a loop. Without
//! a budget three nested loops over one large document would hold a target up for hours. An
//! expression that fails, or that spends its budget, counts as a match.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, LiteralValue, operators};
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelString};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, FunctionContext, Value};
use serde::Serialize;
use serde_json::{Value as Json, json};
use strum::{IntoStaticStr, VariantArray};

use crate::catalog::nearest_of;
use crate::diagnostic::{Finding, Part, code};

mod expression;
mod kinds;

pub(crate) use expression::Expression;
use expression::{CHARGE, MATCHES, NOW, Pattern};

/// How much work one evaluation may be: a value that is read costs 1 for each value in it and for
/// every 32 bytes, a turn of a loop 1 for each node in the loop, and a pattern 1 for every 16 bytes and
/// each character that it stands for.
const BUDGET: u64 = 500_000;

/// The standard library of CEL.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// The functions of the standard library that are of use here. The parser has expanded the macros before.
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

/// Whether there is a function or an operator of a name.
fn is_function(name: &str) -> Result<(), Box<Finding>> {
    let is_operator = !name.chars().all(char::is_alphanumeric);
    if is_operator || FUNCTIONS.contains(&name) {
        return Ok(());
    }
    let problem = wrong_at(name, format!("there is no function `{name}` here"));
    let macros = ["has", "all", "exists", "exists_one", "map", "filter"];
    let known = FUNCTIONS.iter().copied().chain(macros);
    let help = match nearest_of(known, name, |known| *known) {
        Some(near) if near == name => format!("`{name}` takes another number of arguments"),
        Some(near) => format!("did you mean `{near}`?"),
        None => "`explain rules` lists the functions".to_owned(),
    };
    Err(Box::new(problem.help(help)))
}

/// The name that `name.key['key']` begins with, and how many keys follow it, inside `has(...)` too.
fn chain(mut expr: &Expr) -> Option<(&str, u64)> {
    let mut keys = 0;
    loop {
        match expr {
            Expr::Ident(name) => return Some((name, keys)),
            Expr::Select(select) if keys == 0 || !select.test => expr = &select.operand.expr,
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [of, key] = call.args.as_slice() else { return None };
                let Expr::Literal(LiteralValue::String(_)) = &key.expr else { return None };
                expr = &of.expr;
            }
            _ => return None,
        }
        keys += 1;
    }
}

/// Why a text is no expression.
fn wrong(why: impl Display) -> Finding {
    let message = format!("the expression cannot be used: {why}");
    Finding::error(&code::CONFIG_BAD_RULE, "", message)
}

/// The same, with the part of the text that is wrong.
fn wrong_at(part: &str, why: impl Display) -> Finding {
    wrong(why).part(Part::Text(part.to_owned()))
}

/// The effect of a rule on the documents and changes that it matches.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Effect {
    /// A document is an error, a change is blocked.
    Deny,
    /// A change is held until somebody consents.
    Hold,
    /// It is said.
    Warn,
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    /// The text that it says.
    pub(crate) text: String,
    pub(crate) when: Expression,
}

/// The rules of one target.
#[derive(Clone, Debug, Default)]
pub struct UserRules {
    rules: Vec<Arc<Rule>>,
    /// The value of `target`.
    target: Json,
    /// The patterns of all expressions, by their text.
    patterns: Arc<BTreeMap<String, Pattern>>,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Match {
    /// The rule's name.
    #[serde(rename = "name")]
    pub rule: String,
    /// Its effect.
    pub effect: Effect,
    /// The text of the rule, and why it could not be evaluated where that is so.
    #[serde(rename = "message")]
    pub why: String,
    /// Of a hold: the consent that frees the change.
    pub consent: Option<String>,
}

impl Match {
    /// The match in one clause.
    pub(crate) fn in_words(&self) -> String {
        let verb = match self.effect {
            Effect::Deny => "denied by the rule",
            Effect::Hold => "held by the rule",
            Effect::Warn => "warning of the rule",
        };
        format!("{verb} `{}`: {}", self.rule, self.why)
    }
}

impl UserRules {
    /// No rules yet, for a target with this name and project, as the config has them, and vars.
    pub(crate) fn of_target(name: &str, project: &str, vars: &BTreeMap<String, Json>) -> Self {
        let target = json!({"name": name, "project": project, "vars": vars});
        Self { target, ..Self::default() }
    }

    /// The value of `target`.
    pub(crate) fn target(&self) -> &Json {
        &self.target
    }

    /// Adds a rule.
    pub(crate) fn add(&mut self, rule: &Arc<Rule>) {
        let patterns = rule.when.patterns.iter().cloned();
        Arc::make_mut(&mut self.patterns).extend(patterns);
        self.rules.push(Arc::clone(rule));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|rule| &**rule)
    }

    /// The denial by the rule of a name.
    pub(crate) fn denial(&self, name: &str) -> Option<Match> {
        let rule = self.iter().find(|rule| rule.name == name && rule.effect == Effect::Deny)?;
        let (rule, why) = (rule.name.clone(), rule.text.clone());
        Some(Match { rule, effect: Effect::Deny, why, consent: None })
    }

    /// Whether a rule asks how many changes there are.
    pub(crate) fn asks_for_the_count(&self) -> bool {
        self.iter().any(|rule| rule.when.asked.needs_count)
    }

    /// Whether a rule asks if a rule of the tool holds a change.
    pub(crate) fn asks_for_holds(&self) -> bool {
        self.iter().any(|rule| rule.when.asked.needs_holds)
    }

    /// Whether a rule may hold a change.
    pub(crate) fn holds(&self) -> bool {
        self.iter().any(|rule| rule.effect == Effect::Hold)
    }

    /// The rules that match a document, which need no plan: those that ask neither for the change
    /// nor for the time, and hold nothing.
    pub(crate) fn of_document(&self, connection: &Json) -> Vec<(&Rule, Match)> {
        let rules = self.iter().filter(|rule| rule.is_of_documents());
        self.matching(rules, &[("connection", connection)], 0)
    }

    /// The rules that match a change; `now` is in seconds since 1970.
    pub(crate) fn of_change(&self, connection: &Json, change: &Json, now: i64) -> Vec<Match> {
        let rules = self.iter().filter(|rule| !rule.is_of_documents());
        let values = [("connection", connection), ("change", change)];
        self.matching(rules, &values, now).into_iter().map(|(_, found)| found).collect()
    }

    fn matching<'r>(
        &'r self,
        rules: impl Iterator<Item = &'r Rule>,
        values: &[(&str, &Json)],
        now: i64,
    ) -> Vec<(&'r Rule, Match)> {
        let mut scene: Option<Scene> = None;
        let mut found = Vec::new();
        for rule in rules {
            let scene = scene.get_or_insert_with(|| Scene::new(self, values, now));
            let why = match scene.evaluate(&rule.when) {
                Ok(false) => continue,
                Ok(true) => rule.text.clone(),
                Err(problem) => format!("{} (it cannot be evaluated here: {problem})", rule.text),
            };
            let (name, effect) = (rule.name.clone(), rule.effect);
            found.push((rule, Match { rule: name, effect, why, consent: None }));
        }
        found
    }
}

impl Rule {
    fn is_of_documents(&self) -> bool {
        self.effect != Effect::Hold && !self.when.asked.needs_plan
    }
}

/// The values that expressions are evaluated over, converted once.
struct Scene {
    context: Context<'static, 'static>,
    /// The rest of the budget.
    left: Arc<AtomicU64>,
}

type Function = Box<
    dyn for<'c, 'v> Fn(&mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError>
        + Send
        + Sync,
>;

impl Scene {
    fn new(rules: &UserRules, values: &[(&str, &Json)], now: i64) -> Self {
        let left = Arc::new(AtomicU64::new(BUDGET));
        let mut context = Context::with_env(Arc::clone(&ENV));
        for (name, value) in values.iter().copied().chain([("target", &rules.target)]) {
            context.add_variable_from_value(name, converted(value));
        }
        context.add_variable_from_value(NOW, Value::Int(now));
        let budget = Arc::clone(&left);
        let charge: Function = Box::new(move |call| {
            let (value, nodes) = (call.args.pop(), call.args.pop());
            let Some((value, nodes)) = value.zip(nodes) else { return Err(call.error("")) };
            let nodes = nodes.downcast_ref::<CelInt>().map_or(0, |nodes| *nodes.inner());
            let turns = value.as_sizer().map_or(0, |sizer| *sizer.size().inner());
            let turns = u64::try_from(nodes.saturating_mul(turns)).unwrap_or_default();
            let size = size_of(value.as_ref(), budget.load(Ordering::Relaxed));
            let is_paid = spend(&budget, size.saturating_add(turns));
            if is_paid { Ok(value) } else { Err(call.error("")) }
        });
        let (budget, patterns) = (Arc::clone(&left), Arc::clone(&rules.patterns));
        let matches: Function = Box::new(move |call| {
            let text = |index: usize| call.args.get(index)?.downcast_ref::<CelString>();
            let Some((text, pattern)) = text(0).zip(text(1)) else { return Err(call.error("")) };
            let (text, pattern) = (text.inner(), pattern.inner());
            let Some(Pattern { regex, length }) = patterns.get(pattern) else {
                return Err(call.error(""));
            };
            let cost = (text.len() as u64).saturating_mul(*length) / 16;
            if !spend(&budget, 1 + cost) {
                return Err(call.error(""));
            }
            Ok(CowVal::owned(CelBool::from(regex.is_match(text))))
        });
        for (name, function) in [(CHARGE, charge), (MATCHES, matches)] {
            // The library has no function of such a name; were there one, every rule would match.
            let _ = context.add_function::<Function, Function>(name, function);
        }
        Self { context, left }
    }

    /// Whether the expression is true; an error where it is neither true nor false.
    fn evaluate(&self, expression: &Expression) -> Result<bool, String> {
        self.left.store(BUDGET, Ordering::Relaxed);
        let evaluate = || Value::resolve(&expression.root, &self.context);
        // The library has no known panic here; were there one, it would cost one evaluation.
        let result = catch_unwind(AssertUnwindSafe(evaluate));
        if self.left.load(Ordering::Relaxed) == 0 {
            return Err("it is too much work on a connection of this size".to_owned());
        }
        match result {
            Ok(Ok(Value::Bool(answer))) => Ok(answer),
            Ok(Ok(_)) => Err("it gives something else than true or false".to_owned()),
            Ok(Err(error)) => Err(in_words(&error)),
            Err(_) => Err("the library stopped on it".to_owned()),
        }
    }
}

/// Takes a cost off a budget; whether that much was left.
fn spend(budget: &AtomicU64, cost: u64) -> bool {
    let left = budget.load(Ordering::Relaxed).saturating_sub(cost);
    budget.store(left, Ordering::Relaxed);
    left > 0
}

/// The cost of reading a value; not looked at any further once it is over `most`.
fn size_of(value: &(dyn Val + '_), most: u64) -> u64 {
    let mut size = 1;
    let mut add = |value: &(dyn Val + '_)| {
        size += if size < most { size_of(value, most - size) } else { 0 };
    };
    if let Some(list) = value.downcast_ref::<CelList>() {
        list.inner().iter().for_each(|item| add(item.as_ref()));
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        for (key, item) in map.inner() {
            add(key.inner());
            add(item.as_ref());
        }
    } else if let Some(text) = value.downcast_ref::<CelString>() {
        size += text.inner().len() as u64 / 32;
    }
    size
}

/// Why an evaluation failed, without any value: a document that is not valid may hold a secret.
fn in_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(_) => {
            "it reads a key that is not there; `has(...)` asks for it first".to_owned()
        }
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::ValuesNotComparable(..) => "it compares different kinds".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` failed"),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        _ => "an operation does not fit its values".to_owned(),
    }
}

fn converted(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::String(text) => Value::from(text.as_str()),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Value::Int(number),
            (_, Some(number), _) => Value::UInt(number),
            (_, _, Some(number)) => Value::Float(number),
            _ => Value::from(number.to_string()),
        },
        Json::Array(items) => Value::List(Arc::new(items.iter().map(converted).collect())),
        Json::Object(map) => {
            let entries = map.iter().map(|(key, value)| (key.clone(), converted(value)));
            Value::Map(entries.collect::<std::collections::HashMap<String, Value>>().into())
        }
    }
}

/// An example of each value, with its meaning.
pub(crate) fn examples() -> [(&'static str, &'static str, Json); 3] {
    [
        (
            "connection",
            "The document with its overlays merged, references as text. `x-gitops` has all of its \
             keys. Of a delete it is what the tool last wrote.",
            json!({
                "type": "email",
                "name": "order-notifications",
                "host": "${var:smtp_host}",
                "port": 587,
                "enableStartTls": true,
                "password": "${env:ORDERS_SMTP_PASSWORD}",
                "x-gitops": {
                    "protect": false, "renamedFrom": "", "ignore": [], "suspend": false,
                    "targets": ["prod"],
                },
            }),
        ),
        (
            "target",
            "The target, as the config has it.",
            json!({
                "name": "prod",
                "project": "Payments",
                "vars": {"smtp_host": "smtp.example.com"},
            }),
        ),
        (
            "change",
            "The change: `action` is create, update, replace, rename or delete; `origin` is git, \
             drift or both; `fields` are the fields that differ, without their values; `held` says \
             whether a rule of the tool holds it, `max_deletes` for example, or held it until somebody \
             consented. `count` is how many \
             changes the run would make on the target without your rules: not those that a rule of \
             the tool holds or blocks, but also those that another rule of yours holds.",
            json!({
                "action": "update",
                "origin": "git",
                "fields": [{"path": "/port", "origin": "git"}],
                "held": false,
                "count": 1,
            }),
        ),
    ]
}

#[cfg(test)]
fn example_of(name: &str) -> Json {
    examples().into_iter().find(|(of, ..)| *of == name).unwrap().2
}

#[cfg(test)]
mod tests;
