//! The names and kinds of an expression: one walk that knows the kind of each variable, and refuses
//! names that do not exist and comparisons that are never true. Where a kind is not known it is silent.

mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};
use cel::common::types::CelInt;
use cel::{Context, Value};
use serde_json::Value as Json;

use self::variables::variables;
use super::{ENV, chain, is_function, wrong, wrong_at};
use crate::catalog::{self, Field, did_you_mean};
use crate::diagnostic::Finding;

/// The kind of a value.
#[derive(Clone)]
enum ValueKind {
    /// Nothing is known of it.
    Any,
    /// `null`, or an element of an empty list: it may stand for every kind.
    Nothing,
    Boolean,
    Number,
    Time,
    /// `None`: any text.
    Text(Option<Arc<Words>>),
    List(Box<ValueKind>),
    /// A map with free keys.
    Map(Box<ValueKind>),
    Object(Arc<Object>),
    /// A value that may be missing, as `connection.?port` gives it.
    Optional(Box<ValueKind>),
}

/// The texts that a value may be.
#[derive(Clone)]
struct Words {
    known: BTreeSet<String>,
    /// They are paths of fields: those of fields that no type knows come on top.
    are_paths: bool,
}

/// A map with known keys.
#[derive(Clone)]
struct Object {
    members: BTreeMap<String, ValueKind>,
    /// A document may have other keys, which `['key']` asks for.
    is_open: bool,
    /// Why another key is refused, up to the key.
    refusal: Option<&'static str>,
}

/// The things that an expression asks for.
#[derive(Debug, Default)]
pub(super) struct RuleInputs {
    /// Whether it asks for the change or for the time.
    pub(super) needs_plan: bool,
    /// Whether it asks for the number of changes.
    pub(super) needs_count: bool,
    /// Whether it asks if a rule of the tool holds the change.
    pub(super) needs_holds: bool,
    /// The fields of the connection, in its order.
    pub(super) fields: Vec<String>,
}

/// Checks an expression, and tells how deep it nests; `targets` are the values of `target` for those that
/// its rule is for, none where they are not known.
pub(super) fn check(
    root: &IdedExpr,
    targets: &[&Json],
) -> Result<(RuleInputs, usize), Box<Finding>> {
    let variables = variables(targets);
    let mut check = KindCheck { variables, depth: 0, deepest: 0, asked: RuleInputs::default() };
    check.kind(root)?;
    Ok((check.asked, check.deepest))
}

struct KindCheck {
    /// The values that a rule sees, then the variables of the loops around.
    variables: Vec<(String, ValueKind)>,
    /// How deep the node nests that is looked at, and the deepest one. A name with its keys is one.
    depth: usize,
    deepest: usize,
    asked: RuleInputs,
}

/// How many values a rule sees.
const VARIABLES: usize = 4;

impl KindCheck {
    fn kind(&mut self, node: &IdedExpr) -> Result<ValueKind, Box<Finding>> {
        let level = usize::from(chain(&node.expr).is_none());
        self.deepest = self.deepest.max(self.depth);
        self.depth += level;
        let kind = self.kind_of(&node.expr);
        self.depth -= level;
        kind
    }

    fn kind_of(&mut self, expr: &Expr) -> Result<ValueKind, Box<Finding>> {
        match expr {
            Expr::Literal(literal) => Ok(ValueKind::of_literal(literal)),
            Expr::Ident(name) => self.variable(name, None),
            Expr::Select(select) => {
                let of = self.owner(&select.operand, &select.field)?;
                let member = of.member(&select.operand.expr, &select.field, false)?;
                Ok(if select.test { ValueKind::Boolean } else { member })
            }
            Expr::List(list) => {
                let mut element = ValueKind::Nothing;
                for (index, item) in list.elements.iter().enumerate() {
                    let kind = self.kind(item)?;
                    let is_optional = list.optional_indices.contains(&index);
                    element = element.or(if is_optional { kind.there() } else { kind });
                }
                Ok(ValueKind::List(Box::new(element)))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    self.kind(&entry.key)?;
                    self.kind(&entry.value)?;
                }
                Ok(ValueKind::Map(Box::new(ValueKind::Any)))
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(looped) => self.comprehension(looped),
            Expr::Struct(_) | Expr::Unspecified => {
                Err(wrong("it makes a value of a type, and there are none here").into())
            }
        }
    }

    /// The kind of a variable of which a key is asked, or the whole.
    fn variable(&mut self, name: &str, key: Option<&str>) -> Result<ValueKind, Box<Finding>> {
        let Some(index) = self.variables.iter().rposition(|(known, _)| known == name) else {
            if key.is_none() && ENV.types().find_type(name).is_some() {
                return Ok(ValueKind::Any);
            }
            let known = || self.variables[..VARIABLES].iter().map(|(name, _)| name.as_str());
            let sees = format!("a rule sees {}", known().collect::<Vec<_>>().join(", "));
            let problem = wrong_at(name, format!("there is no `{name}` here"));
            return Err(problem.help(did_you_mean(known(), name, sees)).into());
        };
        if index < VARIABLES {
            let asks = |wanted| name == "change" && key.is_none_or(|key| key == wanted);
            self.asked.needs_plan |= matches!(name, "change" | "now");
            self.asked.needs_count |= asks("count");
            self.asked.needs_holds |= asks("held");
            let field = key.filter(|_| name == "connection").map(str::to_owned);
            self.asked.fields.extend(field);
        }
        Ok(self.variables[index].1.clone())
    }

    /// The kind of the value of which a key is asked.
    fn owner(&mut self, of: &IdedExpr, key: &str) -> Result<ValueKind, Box<Finding>> {
        match &of.expr {
            Expr::Ident(name) => self.variable(name, Some(key)),
            _ => self.kind(of),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Result<ValueKind, Box<Finding>> {
        let name = call.func_name.as_str();
        is_function(name)?;
        match (name, call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [of, key]) => {
                let is_index = name != operators::OPT_SELECT;
                let member = match text_of(&key.expr) {
                    Some(text) => self.owner(of, text)?.member(&of.expr, text, is_index)?,
                    None => {
                        self.kind(key)?;
                        self.kind(of)?.element()
                    }
                };
                let is_sure = name == operators::INDEX;
                return Ok(if is_sure {
                    member
                } else {
                    ValueKind::Optional(Box::new(member.there()))
                });
            }
            (_, [zone]) if name.starts_with("get") => is_time_zone(name, zone)?,
            _ => {}
        }
        let target = call.target.as_ref().map(|target| self.kind(target)).transpose()?;
        let kinds: Vec<ValueKind> =
            call.args.iter().map(|arg| self.kind(arg)).collect::<Result<_, _>>()?;
        match (name, call.args.as_slice(), kinds.as_slice()) {
            (operators::EQUALS | operators::NOT_EQUALS, [one, other], [kind, other_kind]) => {
                kind.refuse_never_equal(&one.expr, &other.expr)?;
                other_kind.refuse_never_equal(&other.expr, &one.expr)?;
            }
            (operators::IN, [one, list], [kind, among]) => {
                if let Expr::List(literal) = &list.expr {
                    let mut items = literal.elements.iter();
                    items.try_for_each(|item| kind.refuse_never_equal(&one.expr, &item.expr))?;
                }
                among.may_hold(&list.expr, &one.expr)?;
            }
            _ => {}
        }
        Ok(result_of(name, target, &kinds))
    }

    /// A loop: its result is kept in a variable that begins empty and that each turn sets.
    fn comprehension(&mut self, looped: &ComprehensionExpr) -> Result<ValueKind, Box<Finding>> {
        let element = match self.kind(&looped.iter_range)? {
            // A loop goes over the keys of a map.
            ValueKind::Map(_) => ValueKind::Text(None),
            ValueKind::Object(object) => object.keys(),
            range => range.element(),
        };
        let begin = self.kind(&looped.accu_init)?;
        let outside = self.variables.len();
        let element = if looped.iter_var2.is_some() { ValueKind::Any } else { element };
        self.variables.push((looped.iter_var.clone(), element));
        self.variables.extend(looped.iter_var2.clone().map(|name| (name, ValueKind::Any)));
        self.variables.push((looped.accu_var.clone(), begin.clone()));
        self.kind(&looped.loop_cond)?;
        let end = begin.or(self.kind(&looped.loop_step)?);
        if let Some((_, result)) = self.variables.last_mut() {
            *result = end;
        }
        let result = self.kind(&looped.result)?;
        self.variables.truncate(outside);
        Ok(result)
    }
}

/// The kind of the result of a function or an operator.
fn result_of(name: &str, target: Option<ValueKind>, args: &[ValueKind]) -> ValueKind {
    use operators::{ADD, CONDITIONAL, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR};
    match (name, target, args) {
        (CONDITIONAL, None, [_, one, other]) => one.clone().or(other.clone()),
        (ADD, None, [ValueKind::List(one), ValueKind::List(other)]) => {
            ValueKind::List(Box::new(one.clone().or(ValueKind::clone(other))))
        }
        (ADD, None, [ValueKind::Number, ValueKind::Number]) => ValueKind::Number,
        (LOGICAL_AND | LOGICAL_OR | LOGICAL_NOT, ..) => ValueKind::Boolean,
        ("orValue", Some(ValueKind::Optional(kind)), [other]) => kind.or(other.clone()),
        ("or", Some(ValueKind::Optional(kind)), [other]) => {
            ValueKind::Optional(Box::new(kind.or(other.clone().there())))
        }
        ("value", Some(ValueKind::Optional(kind)), []) => *kind,
        ("timestamp", ..) => ValueKind::Time,
        ("size" | "int" | "uint" | "double", ..) => ValueKind::Number,
        (name, Some(ValueKind::Time), _) if name.starts_with("get") => ValueKind::Number,
        _ => ValueKind::Any,
    }
}

impl ValueKind {
    fn of_literal(literal: &LiteralValue) -> Self {
        match literal {
            LiteralValue::Boolean(_) => Self::Boolean,
            LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Self::Number,
            LiteralValue::String(text) => Self::words([text.inner().to_owned()]),
            LiteralValue::Null => Self::Nothing,
            LiteralValue::Bytes(_) => Self::Any,
        }
    }

    fn of_field(kind: &catalog::Kind) -> Self {
        match kind {
            catalog::Kind::Text | catalog::Kind::Choice(_) => Self::Text(None),
            catalog::Kind::Integer { .. } => Self::Number,
            catalog::Kind::Boolean => Self::Boolean,
            catalog::Kind::List(item) | catalog::Kind::Set(item) => {
                Self::List(Box::new(Self::of_field(item)))
            }
            catalog::Kind::Object(fields) => Object::open(fields.iter()).into(),
            catalog::Kind::Map(value) => Self::Map(Box::new(Self::of_field(value))),
            catalog::Kind::Bytes | catalog::Kind::Any => Self::Any,
        }
    }

    fn words(known: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let known = known.into_iter().map(Into::into).collect();
        Self::Text(Some(Arc::new(Words { known, are_paths: false })))
    }

    /// The kind of a value that is of one of two kinds.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, kind) | (kind, Self::Nothing) => kind,
            (Self::Boolean, Self::Boolean) => Self::Boolean,
            (Self::Number, Self::Number) => Self::Number,
            (Self::Text(Some(one)), Self::Text(Some(other))) => {
                let known = &one.known | &other.known;
                let are_paths = one.are_paths || other.are_paths;
                Self::Text(Some(Arc::new(Words { known, are_paths })))
            }
            (Self::Text(_), Self::Text(_)) => Self::Text(None),
            (Self::List(one), Self::List(other)) => Self::List(Box::new(one.or(*other))),
            (Self::Optional(one), Self::Optional(other)) => {
                Self::Optional(Box::new(one.or(*other)))
            }
            (Self::Object(one), Self::Object(other)) => {
                let mut both = Object::clone(&one);
                both.is_open |= other.is_open;
                other.members.iter().for_each(|(key, kind)| both.add(key, kind.clone()));
                both.into()
            }
            _ => Self::Any,
        }
    }

    /// The kind of a value that is there.
    fn there(self) -> Self {
        match self {
            Self::Optional(kind) => *kind,
            kind => kind,
        }
    }

    /// The kind of each element.
    fn element(&self) -> Self {
        match self {
            Self::List(kind) | Self::Map(kind) => Self::clone(kind),
            _ => Self::Any,
        }
    }

    /// The kind under a key of the value that `of` gives.
    fn member(&self, of: &Expr, key: &str, is_index: bool) -> Result<Self, Box<Finding>> {
        let (refusal, help) = match self {
            Self::Any | Self::Nothing => return Ok(Self::Any),
            Self::Map(value) => return Ok(Self::clone(value)),
            Self::Optional(kind) => {
                return Ok(Self::Optional(Box::new(kind.member(of, key, is_index)?.there())));
            }
            Self::Object(object) => match object.member(key, is_index) {
                Ok(kind) => return Ok(kind),
                Err(help) => (object.refusal.map(str::to_owned), help),
            },
            _ => (None, self.in_words().to_owned()),
        };
        let refusal = refusal.unwrap_or_else(|| format!("{} has no key", shown(of)));
        Err(wrong_at(key, format!("{refusal} `{key}`")).help(help).into())
    }

    /// The advice where a value is used as one of another kind.
    fn in_words(&self) -> &'static str {
        match self {
            Self::Boolean => "it is `true` or `false`, without quotes",
            Self::Number => "it is a number, without quotes",
            Self::Time => "it is a time, such as `timestamp('2026-01-31T00:00:00Z')`",
            Self::Text(_) => "it is a text, in quotes",
            Self::List(_) => "it is a list; `in` and `exists` look into it",
            Self::Map(_) | Self::Object(_) => "it is a map of keys to values",
            Self::Optional(_) => "it may be missing: append `.orValue(...)`",
            Self::Any | Self::Nothing => "its kind is not known",
        }
    }

    /// Refuses a literal that the value of `of` never equals; every other expression passes.
    fn refuse_never_equal(&self, of: &Expr, literal: &Expr) -> Result<(), Box<Finding>> {
        let (kind, text) = match literal {
            Expr::Literal(LiteralValue::String(text)) => {
                (Self::Text(None), text.inner().to_owned())
            }
            Expr::Literal(LiteralValue::Boolean(flag)) => (Self::Boolean, flag.inner().to_string()),
            Expr::Literal(LiteralValue::Int(number)) => (Self::Number, number.inner().to_string()),
            _ => return Ok(()),
        };
        let help = match (self, kind) {
            (Self::Any | Self::Nothing, _)
            | (Self::Boolean, Self::Boolean)
            | (Self::Number, Self::Number)
            // A number or a flag in a field for a text is a warning.
            | (Self::Text(None), _) => return Ok(()),
            (Self::Text(Some(words)), Self::Text(_)) => words.miss(&text),
            // A field that holds a reference is a text.
            (_, Self::Text(_)) if text.contains("${") => return Ok(()),
            _ => Some(self.in_words().to_owned()),
        };
        let Some(help) = help else { return Ok(()) };
        let never = format!("{} is never `{text}`", shown(of));
        Err(wrong_at(&text, never).help(help).into())
    }

    /// Whether the list or map that `of` gives may hold a literal.
    fn may_hold(&self, of: &Expr, literal: &Expr) -> Result<(), Box<Finding>> {
        match (self, text_of(literal)) {
            (Self::Object(_), Some(key)) => self.member(of, key, true).map(|_| ()),
            (Self::List(element), _) => element.refuse_never_equal(of, literal),
            _ => Ok(()),
        }
    }
}

impl Words {
    /// The advice for a text that is none of them.
    fn miss(&self, text: &str) -> Option<String> {
        if self.known.contains(text) {
            return None;
        }
        let known = self.known.iter().map(String::as_str);
        if !self.are_paths {
            let all: Vec<&str> = known.clone().collect();
            return Some(did_you_mean(known, text, format!("it is one of {}", all.join(", "))));
        }
        let Some((above, last)) = text.rsplit_once('/') else {
            return Some(format!("the path of a field begins with `/`: `/{text}`"));
        };
        let beside = known.filter_map(|path| path.strip_prefix(above)?.strip_prefix('/'));
        Some(format!("did you mean `{above}/{}`?", mistyped(beside, last)?))
    }
}

/// The name that a text is with one letter mistyped. Whatever resembles a name less may be another one.
fn mistyped<'n>(mut known: impl Iterator<Item = &'n str>, text: &str) -> Option<&'n str> {
    known.find(|known| strsim::osa_distance(known, text) == 1)
}

impl Object {
    fn fixed(members: impl IntoIterator<Item = (&'static str, ValueKind)>) -> Self {
        let members = members.into_iter().map(|(key, kind)| (key.to_owned(), kind)).collect();
        Self { members, is_open: false, refusal: None }
    }

    fn open(fields: impl Iterator<Item = &'static Field>) -> Self {
        let mut object = Self { members: BTreeMap::new(), is_open: true, refusal: None };
        fields.for_each(|field| object.add(field.name, ValueKind::of_field(&field.kind)));
        object
    }

    /// Adds a member, which another type of connection may have too.
    fn add(&mut self, key: &str, kind: ValueKind) {
        let kind = match self.members.remove(key) {
            Some(known) => known.or(kind),
            None => kind,
        };
        self.members.insert(key.to_owned(), kind);
    }

    /// The kind under a key, or the advice where there is none.
    fn member(&self, key: &str, is_index: bool) -> Result<ValueKind, String> {
        if let Some(kind) = self.members.get(key) {
            return Ok(kind.clone());
        }
        let known = || self.members.keys().map(String::as_str);
        if self.is_open && is_index && mistyped(known(), key).is_none() {
            return Ok(ValueKind::Any);
        }
        let otherwise = match (self.is_open, known().collect::<Vec<_>>()) {
            (true, _) => format!("write `['{key}']` if it is not known here"),
            (false, none) if none.is_empty() => "it has no keys".to_owned(),
            (false, keys) => format!("its keys are {}", keys.join(", ")),
        };
        Err(did_you_mean(known(), key, otherwise))
    }

    fn keys(&self) -> ValueKind {
        if self.is_open || self.members.is_empty() {
            ValueKind::Text(None)
        } else {
            ValueKind::words(self.members.keys().cloned())
        }
    }
}

impl From<Object> for ValueKind {
    fn from(object: Object) -> Self {
        Self::Object(Arc::new(object))
    }
}

/// Whether the argument of a part of a time is a time zone, where it is a text: the library is asked,
/// since it may know others than any list.
fn is_time_zone(part: &str, zone: &IdedExpr) -> Result<(), Box<Finding>> {
    let Some(text) = text_of(&zone.expr) else { return Ok(()) };
    let node = |expr| IdedExpr { id: 0, expr };
    let zero = node(Expr::Literal(LiteralValue::Int(CelInt::from(0))));
    let call = |name: &str, target, args| {
        node(Expr::Call(CallExpr { func_name: name.to_owned(), target, args }))
    };
    let target = Some(Box::new(call("timestamp", None, vec![zero])));
    let part = call(part, target, vec![zone.clone()]);
    match Value::resolve(&part, &Context::with_env(Arc::clone(&ENV))) {
        Ok(_) => Ok(()),
        Err(_) => Err(wrong_at(text, format!("there is no time zone `{text}`"))
            .help("write it as `Europe/Istanbul` or `+03:00`")
            .into()),
    }
}

/// The text of a literal.
fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// A value as its expression names it.
fn shown(expr: &Expr) -> String {
    path_of(expr).map_or_else(|| "this value".to_owned(), |path| format!("`{path}`"))
}

fn path_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Ident(name) if !name.starts_with('@') => Some(name.clone()),
        Expr::Select(select) => {
            Some(format!("{}.{}", path_of(&select.operand.expr)?, select.field))
        }
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::INDEX, [of, key]) => {
                let of = path_of(&of.expr)?;
                let key = text_of(&key.expr).map_or("...".to_owned(), |key| format!("'{key}'"));
                Some(format!("{of}[{key}]"))
            }
            (operators::OPT_SELECT | operators::OPT_INDEX, [of, key]) => {
                Some(format!("{}.?{}", path_of(&of.expr)?, text_of(&key.expr)?))
            }
            ("orValue" | "or" | "value", _) => path_of(&call.target.as_ref()?.expr),
            _ => None,
        },
        _ => None,
    }
}
