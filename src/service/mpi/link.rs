//! Which identities are one person: a function of what they are and of what was said of them, and of nothing
//! else. In whatever order feeds arrive, and however many at once, the same identities come to the same persons.
//!
//! An identity that arrives is weighed against those it shares a key with. What is near enough to be linked
//! (weight, corroboration, no veto) is an *edge*. The identities that edges, persons and verdicts hang together
//! are looked at as a whole:
//!
//! 1. What somebody said counts first: together, or apart.
//! 2. A *settled* person, one that owns documents, is neither parted nor joined to another settled one by the
//!    machine.
//! 3. An edge is *disputed* if one of its ends has another edge, nearly as heavy or heavier, to an identity that
//!    cannot be the person at the other end: of two patients of one hospital, say, that both look like a third.
//!    A *rival* disputes it as well: a pair that lacks only corroboration, or a little weight, to be an edge.
//!    Disputed edges link nothing; somebody has to look.
//! 4. The other edges, the heaviest first, join what they touch, unless a pair would come together that speaks
//!    against it. So a chain of near pairs does not make one person of people who differ (no transitive closure
//!    over vetoes).

use std::collections::{HashMap, HashSet};

use crate::store::mpi::events::Two;

/// An identity among those looked at.
#[derive(Debug, Clone)]
pub struct Member {
    pub key: i64,
    /// Rank by domain and id: what decides between equals, the same in every order of arrival.
    pub rank: usize,
    /// Its person so far; none if it is new.
    pub person: Option<i64>,
}

/// An edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub two: Two,
    /// Thousandths of a bit.
    pub score: i64,
}

/// Everything the outcome depends on.
#[derive(Debug, Default)]
pub struct Facts {
    pub members: Vec<Member>,
    pub edges: Vec<Edge>,
    /// Pairs that are no edges and might be: nearly as heavy, and nothing known tells them apart. One end at
    /// least is a member; the other may be anybody.
    pub rivals: Vec<Edge>,
    /// Said to be one person, oldest first.
    pub same: Vec<Two>,
    /// Said to be two.
    pub apart: HashSet<Two>,
    /// Pairs that speak against one person, whatever their weight.
    pub vetoed: HashSet<Two>,
    /// Persons that own documents.
    pub settled: HashSet<i64>,
    /// Thousandths of a bit: edges closer together than this dispute each other.
    pub margin: i64,
}

/// Who belongs together.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Keys, the groups and their members in order of rank.
    pub groups: Vec<Vec<i64>>,
    /// Edges that link nothing because another is as good.
    pub disputed: Vec<Two>,
    /// Edges that would bring a pair together that speaks against it, or two settled persons.
    pub refused: Vec<Two>,
}

struct Groups<'f> {
    facts: &'f Facts,
    /// Of each member, by place.
    group: Vec<usize>,
    place: HashMap<i64, usize>,
}

impl<'f> Groups<'f> {
    fn new(facts: &'f Facts) -> Self {
        let place = facts.members.iter().enumerate().map(|(i, m)| (m.key, i)).collect();
        Self { facts, group: (0..facts.members.len()).collect(), place }
    }

    fn of(&self, key: i64) -> Option<usize> {
        self.place.get(&key).and_then(|i| self.group.get(*i)).copied()
    }

    fn both(&self, two: Two) -> Option<(usize, usize)> {
        Some((self.of(two.0)?, self.of(two.1)?))
    }

    fn members(&self, group: usize) -> impl Iterator<Item = &'f Member> {
        let facts = self.facts;
        facts.members.iter().zip(&self.group).filter(move |(_, g)| **g == group).map(|(m, _)| m)
    }

    fn join(&mut self, a: usize, b: usize) {
        self.group.iter_mut().filter(|g| **g == b).for_each(|g| *g = a);
    }

    /// Whether somebody said of a pair across two groups that it is two persons.
    fn are_apart(&self, a: usize, b: usize) -> bool {
        self.across(a, b, &self.facts.apart)
    }

    fn across(&self, a: usize, b: usize, pairs: &HashSet<Two>) -> bool {
        self.members(a).any(|x| self.members(b).any(|y| pairs.contains(&Two::of(x.key, y.key))))
    }

    /// The settled persons of a group.
    fn settled(&self, group: usize) -> HashSet<i64> {
        self.members(group)
            .filter_map(|m| m.person)
            .filter(|person| self.facts.settled.contains(person))
            .collect()
    }

    fn may_join(&self, a: usize, b: usize) -> bool {
        let (one, other) = (self.settled(a), self.settled(b));
        let two_settled = !one.is_empty() && !other.is_empty() && one.is_disjoint(&other);
        !two_settled && !self.are_apart(a, b) && !self.across(a, b, &self.facts.vetoed)
    }
}

/// Tells who belongs together.
pub fn partition(facts: &Facts) -> Outcome {
    let mut groups = Groups::new(facts);
    for two in &facts.same {
        if let Some((a, b)) = groups.both(*two)
            && a != b
            && !groups.are_apart(a, b)
        {
            groups.join(a, b);
        }
    }
    let mut settled: HashMap<i64, i64> = HashMap::new();
    for member in &facts.members {
        let Some(person) = member.person.filter(|p| facts.settled.contains(p)) else { continue };
        let first = *settled.entry(person).or_insert(member.key);
        if let Some((a, b)) = groups.both(Two::of(first, member.key))
            && a != b
            && !groups.are_apart(a, b)
        {
            groups.join(a, b);
        }
    }
    let rank: HashMap<i64, usize> = facts.members.iter().map(|m| (m.key, m.rank)).collect();
    let rank_of = |key: i64| rank.get(&key).copied().unwrap_or(usize::MAX);
    let ranks = |two: Two| {
        let (a, b) = (rank_of(two.0), rank_of(two.1));
        (a.min(b), a.max(b))
    };
    let mut edges: Vec<Edge> = facts.edges.iter().copied().filter(|e| groups.both(e.two).is_some()).collect();
    edges.sort_by_key(|e| (std::cmp::Reverse(e.score), ranks(e.two)));
    let against = |a: i64, b: i64| {
        let two = Two::of(a, b);
        (facts.vetoed.contains(&two) || facts.apart.contains(&two)) && !facts.same.contains(&two)
    };
    // Disputes are told by the edges alone, before any of them has joined anything.
    let is_disputed = |edge: &Edge| {
        let Two(x, y) = edge.two;
        edges.iter().chain(&facts.rivals).any(|other| {
            other.two != edge.two
                && other.score.saturating_add(facts.margin) >= edge.score
                && [(x, y), (y, x)].into_iter().any(|(near, far)| {
                    let third = match other.two {
                        Two(a, b) if a == near => b,
                        Two(a, b) if b == near => a,
                        _ => return false,
                    };
                    third != far && against(third, far)
                })
        })
    };
    let (mut disputed, mut refused) = (vec![], vec![]);
    for edge in &edges {
        let Some((a, b)) = groups.both(edge.two).filter(|(a, b)| a != b) else { continue };
        if is_disputed(edge) {
            disputed.push(edge.two);
        } else if groups.may_join(a, b) {
            groups.join(a, b);
        } else {
            refused.push(edge.two);
        }
    }
    // What came together all the same is no matter for anybody.
    let apart_still = |two: &Two| groups.both(*two).is_some_and(|(a, b)| a != b);
    disputed.retain(apart_still);
    refused.retain(apart_still);
    let mut by_rank: Vec<&Member> = facts.members.iter().collect();
    by_rank.sort_by_key(|m| m.rank);
    let mut at: HashMap<usize, usize> = HashMap::new();
    let mut out: Vec<Vec<i64>> = vec![];
    for member in by_rank {
        let Some(group) = groups.of(member.key) else { continue };
        let i = *at.entry(group).or_insert_with(|| {
            out.push(vec![]);
            out.len() - 1
        });
        if let Some(keys) = out.get_mut(i) {
            keys.push(member.key);
        }
    }
    Outcome { groups: out, disputed, refused }
}

/// A person among those concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub key: i64,
    pub created_at: i64,
    /// Owns documents.
    pub settled: bool,
}

/// Which person each group is, and which persons are joined to another.
#[derive(Debug, PartialEq, Eq)]
pub struct Assigned {
    /// For each group; none: a new person.
    pub persons: Vec<Option<i64>>,
    /// (person, the one it is joined to).
    pub joined: Vec<(i64, i64)>,
}

/// Gives persons to groups. Of a person that is parted, the larger part keeps the id, then the one with the
/// oldest identity; of several persons in a group, one that owns documents survives, then the older
/// (patient-identity, 6.1). `prefer` says otherwise of identities; `person_of` tells the person and the age
/// (when it was made) of each.
pub fn assign(
    groups: &[Vec<i64>],
    person_of: &HashMap<i64, (i64, i64)>,
    standing: &[Standing],
    prefer: &HashMap<i64, i64>,
) -> Assigned {
    let mut wish: HashMap<i64, usize> = HashMap::new();
    for person in standing {
        let mut best: Option<(usize, usize, std::cmp::Reverse<i64>)> = None;
        let stays = |k: &i64| prefer.get(k).is_none_or(|p| *p == person.key);
        for (i, group) in groups.iter().enumerate() {
            let wanted = group.iter().filter(|k| prefer.get(k) == Some(&person.key)).count();
            let has: Vec<i64> = group
                .iter()
                .filter(|k| stays(k))
                .filter_map(|k| person_of.get(k))
                .filter(|(p, _)| *p == person.key)
                .map(|(_, made)| *made)
                .collect();
            if wanted == 0 && has.is_empty() {
                continue;
            }
            let first = has.iter().copied().min().unwrap_or(i64::MAX);
            let merit = (wanted, has.len(), std::cmp::Reverse(first));
            if best.is_none_or(|b| merit > b) {
                best = Some(merit);
                wish.insert(person.key, i);
            }
        }
    }
    let mut persons: Vec<Option<i64>> = vec![];
    let mut joined = vec![];
    for (i, group) in groups.iter().enumerate() {
        let mut here: Vec<&Standing> = standing.iter().filter(|p| wish.get(&p.key) == Some(&i)).collect();
        here.sort_by_key(|p| {
            let wanted = group.iter().any(|k| prefer.get(k) == Some(&p.key));
            (!wanted, !p.settled, p.created_at, p.key)
        });
        let survivor = here.first().map(|p| p.key);
        persons.push(survivor);
        if let Some(survivor) = survivor {
            joined.extend(here.iter().skip(1).map(|p| (p.key, survivor)));
        }
    }
    // Who is left without an identity, since all prefer another person, is joined to that of the eldest.
    for person in standing.iter().filter(|p| !wish.contains_key(&p.key)) {
        let left = person_of.iter().filter(|(_, (p, _))| *p == person.key);
        let Some((eldest, _)) = left.min_by_key(|(key, (_, made))| (*made, **key)) else { continue };
        let group = groups.iter().position(|group| group.contains(eldest));
        let into = group.and_then(|i| persons.get(i).copied().flatten());
        joined.extend(into.filter(|into| *into != person.key).map(|into| (person.key, into)));
    }
    Assigned { persons, joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Facts of members 1..=n, each its own new identity.
    fn facts(n: i64, edges: &[(i64, i64, i64)], vetoed: &[(i64, i64)]) -> Facts {
        Facts {
            members: (1..=n)
                .map(|key| Member { key, rank: usize::try_from(key).unwrap(), person: None })
                .collect(),
            edges: edges
                .iter()
                .map(|(a, b, bits)| Edge { two: Two::of(*a, *b), score: bits * 1000 })
                .collect(),
            vetoed: vetoed.iter().map(|(a, b)| Two::of(*a, *b)).collect(),
            margin: 4000,
            ..Facts::default()
        }
    }

    fn groups(facts: &Facts) -> Vec<Vec<i64>> {
        partition(facts).groups
    }

    #[test]
    fn edges_join_and_vetoes_part() {
        assert_eq!(groups(&facts(3, &[(1, 2, 20), (2, 3, 15)], &[])), [vec![1, 2, 3]]);
        // 1 and 3 cannot be one; the heavier edge wins by more than the margin.
        let f = facts(3, &[(1, 2, 30), (2, 3, 15)], &[(1, 3)]);
        let out = partition(&f);
        assert_eq!(out.groups, [vec![1, 2], vec![3]]);
        assert_eq!(out.disputed, [Two(2, 3)]);
        // Nearly equal: nobody knows whose 2 is.
        let f = facts(3, &[(1, 2, 20), (2, 3, 18)], &[(1, 3)]);
        let out = partition(&f);
        assert_eq!(out.groups, [vec![1], vec![2], vec![3]]);
        assert_eq!(out.disputed, [Two(1, 2), Two(2, 3)]);
        // A chain does not close over a veto at its ends.
        let f = facts(4, &[(1, 2, 30), (2, 3, 25), (3, 4, 20)], &[(1, 4)]);
        let out = partition(&f);
        assert_eq!(out.groups, [vec![1, 2, 3], vec![4]]);
        assert_eq!(out.refused, [Two(3, 4)]);
    }

    #[test]
    fn a_rival_disputes_a_link() {
        let mut f = facts(2, &[(1, 2, 20)], &[]);
        f.rivals = vec![Edge { two: Two(2, 9), score: 17_000 }];
        assert_eq!(groups(&f), [vec![1, 2]], "who may be the same person as both is no rival");
        f.vetoed.insert(Two(1, 9));
        assert_eq!(groups(&f), [vec![1], vec![2]]);
        f.rivals[0].score = 15_999;
        assert_eq!(groups(&f), [vec![1, 2]]);
    }

    #[test]
    fn the_order_of_members_and_edges_does_not_matter() {
        let edges = [(1, 2, 22), (2, 3, 21), (3, 4, 30), (4, 5, 13), (1, 5, 14), (5, 6, 40), (2, 6, 17)];
        let vetoed = [(1, 3), (4, 6), (2, 5)];
        let f = facts(6, &edges, &vetoed);
        let expected = partition(&f);
        let mut dice = crate::service::mpi::tests::Dice::new(7);
        for _ in 0..200 {
            let mut g = facts(6, &edges, &vetoed);
            dice.shuffle(&mut g.members);
            dice.shuffle(&mut g.edges);
            assert_eq!(partition(&g), expected);
        }
    }

    #[test]
    fn what_people_say_counts_first() {
        let mut f = facts(3, &[(1, 2, 30)], &[(2, 3)]);
        f.apart.insert(Two(1, 2));
        f.same.push(Two(2, 3));
        assert_eq!(groups(&f), [vec![1], vec![2, 3]], "a veto of the machine does not part them");
        // Contradictions: what came first holds.
        let mut f = facts(3, &[], &[]);
        f.same = vec![Two(1, 2), Two(2, 3)];
        f.apart.insert(Two(1, 3));
        assert_eq!(groups(&f), [vec![1, 2], vec![3]]);
    }

    #[test]
    fn the_machine_neither_parts_nor_joins_settled_persons() {
        let mut f = facts(3, &[(2, 3, 30)], &[(1, 2)]);
        f.members[0].person = Some(10);
        f.members[1].person = Some(10);
        f.settled.insert(10);
        // 1 and 2 stay together although they would be parted now; 3 joins them.
        assert_eq!(groups(&f), [vec![1, 2, 3]]);
        f.members[2].person = Some(11);
        f.settled.insert(11);
        let out = partition(&f);
        assert_eq!((out.groups, out.refused), (vec![vec![1, 2], vec![3]], vec![Two(2, 3)]));
        // Unless somebody says so.
        f.same.push(Two(2, 3));
        assert_eq!(groups(&f), [vec![1, 2, 3]]);
        f.same.clear();
        f.apart.insert(Two(1, 2));
        assert_eq!(groups(&f), [vec![1], vec![2], vec![3]]);
    }

    #[test]
    fn persons_go_with_the_larger_part_and_the_elder_survives() {
        let person_of: HashMap<i64, (i64, i64)> =
            [(1, (10, 5)), (2, (10, 6)), (3, (10, 4)), (4, (11, 3))].into();
        let standing = [
            Standing { key: 10, created_at: 5, settled: false },
            Standing { key: 11, created_at: 3, settled: false },
        ];
        let none = HashMap::new();
        let a = assign(&[vec![1, 2], vec![3]], &person_of, &standing[..1], &none);
        assert_eq!(a, Assigned { persons: vec![Some(10), None], joined: vec![] });
        let a = assign(&[vec![1, 2, 3, 4]], &person_of, &standing, &none);
        assert_eq!(a, Assigned { persons: vec![Some(11)], joined: vec![(10, 11)] });
        let with_documents = [Standing { settled: true, ..standing[0] }, standing[1]];
        let a = assign(&[vec![1, 2, 3, 4]], &person_of, &with_documents, &none);
        assert_eq!(a.persons, [Some(10)]);
        // Of two parts as large, the one with the older identity.
        let a = assign(&[vec![1], vec![3]], &person_of, &standing[..1], &none);
        assert_eq!(a.persons, [None, Some(10)]);
        // A person brought back takes the identities it is said to have.
        let revived = [standing[0], Standing { key: 12, created_at: 9, settled: false }];
        let a = assign(&[vec![1, 2], vec![3]], &person_of, &revived, &[(3, 12)].into());
        assert_eq!(a, Assigned { persons: vec![Some(10), Some(12)], joined: vec![] });
        let a = assign(&[vec![1], vec![3]], &person_of, &revived, &[(3, 12)].into());
        assert_eq!(a, Assigned { persons: vec![Some(10), Some(12)], joined: vec![] });
    }

    #[test]
    fn a_person_whom_all_identities_leave_is_joined_to_where_they_went() {
        let groups = [vec![1, 2], vec![3]];
        let person_of = HashMap::from([(1, (10, 1)), (2, (10, 2)), (3, (30, 3))]);
        let standing = |key: i64| Standing { key, created_at: key, settled: false };
        let prefer = HashMap::from([(1, 5), (2, 5)]);
        let assigned = assign(&groups, &person_of, &[standing(5), standing(10), standing(30)], &prefer);
        assert_eq!(assigned.persons, [Some(5), Some(30)]);
        assert_eq!(assigned.joined, [(10, 5)]);
    }
}
