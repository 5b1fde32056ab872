//! Changes and connections that are told together: those that are held or blocked for one and the same
//! reason are one reason, one way past it, and their names.

use std::collections::{BTreeMap, HashMap};

use super::{escape, words};
use crate::plan::{Action, Change, for_the_shell};

/// The most names that stand below one reason; more are counted, unless all are asked for.
const MOST_NAMED: usize = 50;

/// The heading of changes that are told together: their reason and the way past. Harmless already.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Heading {
    pub(super) reason: String,
    pub(super) advice: Option<String>,
}

/// Something that can be told together with others.
pub(super) trait Member {
    /// The connection's name.
    fn name(&self) -> &str;
    /// The way past, for this connection alone.
    fn advice(&self) -> Option<&str>;
    /// The action, if there is one, and the type: members that are alike in both can be counted.
    fn kind(&self) -> (&str, &str);
}

impl Member for &Change {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    fn kind(&self) -> (&str, &str) {
        (self.action.into_str(), &self.type_name)
    }
}

/// Members that are told together.
#[derive(Clone, Debug)]
pub(super) struct Group<M> {
    /// Stands above their names; `None`: the one member tells its own reason.
    pub(super) heading: Option<Heading>,
    pub(super) members: Vec<M>,
}

/// A line below a reason.
pub(super) enum Named<'g, M> {
    One(&'g M),
    /// So many members of one kind, the first of them for all.
    Count(&'g M, usize),
}

/// Groups the changes of a plan: those that are held or blocked, and with `all` every change that
/// has a reason.
pub(super) fn of_plan(changes: Vec<&Change>, all: bool) -> Vec<Group<&Change>> {
    let reason = |change: &Change| {
        let is_told = all || change.held || change.action == Action::Blocked;
        let reason = words::reason(change).filter(|_| is_told)?;
        let word = if change.action == Action::Blocked { "blocked: " } else { "" };
        Some(format!("{word}{reason}"))
    };
    let mut groups = grouped(changes.into_iter().map(|change| (change, reason(change))));
    if !all {
        // A change that is alone with its reason is told as any other.
        for group in groups.iter_mut().filter(|group| group.members.len() == 1) {
            group.heading = None;
        }
    }
    groups
}

/// Groups members by their reasons and the ways past, each group in the place of its first member.
pub(super) fn grouped<M: Member>(
    members: impl Iterator<Item = (M, Option<String>)>,
) -> Vec<Group<M>> {
    let mut groups: Vec<Group<M>> = Vec::new();
    let mut places: HashMap<Heading, usize> = HashMap::new();
    for (member, reason) in members {
        let for_any = |advice| escape::plain(&for_any_name(advice, member.name()));
        let advice = member.advice().map(for_any);
        let heading = reason.map(|reason| Heading { reason, advice });
        let known = heading.as_ref().and_then(|heading| places.get(heading));
        if let Some(group) = known.and_then(|place| groups.get_mut(*place)) {
            group.members.push(member);
            continue;
        }
        if let Some(heading) = &heading {
            places.insert(heading.clone(), groups.len());
        }
        groups.push(Group { heading, members: vec![member] });
    }
    for group in &mut groups {
        if let ([member], Some(heading)) = (&group.members[..], &mut group.heading) {
            heading.advice = member.advice().map(escape::plain);
        }
    }
    groups
}

/// The way past, with `NAME` for the name of the connection, which stands in quotes there.
fn for_any_name(advice: &str, name: &str) -> String {
    advice.replace(&for_the_shell(name), "NAME")
}

impl<M: Member> Group<M> {
    /// The names below the reason: one by one, or counted where they are too many.
    pub(super) fn named(&self, lists_all: bool) -> Vec<Named<'_, M>> {
        if lists_all || self.members.len() <= MOST_NAMED {
            return self.members.iter().map(Named::One).collect();
        }
        let mut counts: BTreeMap<(&str, &str), (&M, usize)> = BTreeMap::new();
        for member in &self.members {
            counts.entry(member.kind()).or_insert((member, 0)).1 += 1;
        }
        counts.into_values().map(|(first, count)| Named::Count(first, count)).collect()
    }
}
