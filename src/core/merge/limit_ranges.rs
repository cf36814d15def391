//! Limit ranges: by name and type, the tighter of each bound: the smallest maximum, default and ratio, and the largest
//! minimum.
//!
//! Bounds of several baselines may not fit together. A maximum protects, so it stands: a minimum above it is left out,
//! and that is a conflict; a default or default request outside of the bounds is moved to the nearer one, and a default
//! request above the default down to it; a default of what is not shared out beyond what there is becomes the default
//! request; and a ratio that no limit between minimum and maximum can reach is left out, since it forbids nothing.

use std::collections::BTreeMap;

use super::quotas::{Extreme, extreme, supplied};
use super::{Conflict, Outcome, Share, Supplied, by_name};
use crate::api::v1alpha1::{LimitRangeLimit, LimitRangeTemplate, LimitRanges, LimitType, Quantity, ResourceList};
use crate::core::quantity::{Milli, overcommits};

pub(super) fn merge(shares: &[Share<LimitRanges>]) -> Outcome<LimitRanges> {
    let (mut values, mut conflicts, mut items) = (Vec::new(), Vec::new(), Vec::new());
    for (name, asked) in by_name(shares.iter().map(|(p, s)| (*p, &s.items[..])), |item| &item.name) {
        let mut limits = Vec::new();
        for type_ in [LimitType::Container, LimitType::Pod, LimitType::PersistentVolumeClaim] {
            let of_type: Vec<Share<LimitRangeLimit>> = asked
                .iter()
                .flat_map(|(place, item)| item.limits.iter().map(move |limit| (*place, limit)))
                .filter(|(_, limit)| limit.type_ == type_)
                .collect();
            if !of_type.is_empty() {
                limits.push(limit(&name, type_, &of_type, &mut values, &mut conflicts));
            }
        }
        items.push(LimitRangeTemplate { name, limits });
    }
    Outcome {
        section: (!shares.is_empty()).then_some(LimitRanges { mode: None, items }),
        values,
        conflicts,
    }
}

fn limit(
    name: &str,
    type_: LimitType,
    asked: &[Share<LimitRangeLimit>],
    values: &mut Vec<Supplied>,
    conflicts: &mut Vec<Conflict>,
) -> LimitRangeLimit {
    let first = values.len();
    let mut bound = |what: &str, which: Extreme, by_resource: ByResource| {
        let mut list = ResourceList::new();
        for (resource, asked) in by_resource {
            if let Some(amount) = extreme(&asked, which) {
                values.push(supplied(format!("{name}/{type_:?}/{what}/{resource}"), amount, &asked));
                list.insert(resource.to_owned(), amount.clone());
            }
        }
        list
    };
    let maxima = by_resource(asked, |l| &l.max);
    let mut minima = by_resource(asked, |l| &l.min);
    for (resource, stated) in &maxima {
        let (Some(most), Some(least)) = (extreme(stated, Extreme::Least), minima.get_mut(resource)) else {
            continue;
        };
        let holds = stated
            .iter()
            .find(|(_, m)| value(m) == value(most))
            .map(|(place, _)| *place);
        let above = least.iter().filter(|(_, min)| value(min) > value(most));
        conflicts.extend(above.map(|(yields, min)| Conflict {
            section: "limitRanges",
            object: format!("LimitRange/{name}"),
            holds: holds.unwrap_or_default(),
            yields: *yields,
            message: format!("the minimum {} of {resource} is above the maximum {}", min.0, most.0),
        }));
        least.retain(|(_, min)| value(min) <= value(most));
    }
    let max = bound("max", Extreme::Least, maxima);
    let min = bound("min", Extreme::Most, minima);
    let mut default = bound("default", Extreme::Least, by_resource(asked, |l| &l.default));
    let mut default_request = bound(
        "defaultRequest",
        Extreme::Least,
        by_resource(asked, |l| &l.default_request),
    );
    let mut ratio = bound(
        "maxLimitRequestRatio",
        Extreme::Least,
        by_resource(asked, |l| &l.max_limit_request_ratio),
    );
    clamp(&mut default, &min, &max);
    clamp(&mut default_request, &min, &max);
    clamp(&mut default_request, &ResourceList::new(), &default);
    // The maximum of a container is its default limit, where none is stated.
    let implied = Some(&max).filter(|_| type_ == LimitType::Container);
    for (resource, request) in default_request.iter().filter(|(resource, _)| !overcommits(resource)) {
        if default.contains_key(resource) || implied.is_some_and(|max| max.contains_key(resource)) {
            default.insert(resource.clone(), request.clone());
        }
    }
    ratio.retain(|resource, ratio| match (min.get(resource), max.get(resource)) {
        (Some(min), Some(max)) => value(ratio).saturating_mul(value(min)) <= value(max).saturating_mul(1000),
        _ => true,
    });
    // What was moved or left out is told as it holds.
    let holds = |supplied: &Supplied| {
        let lists = [
            ("default", &default),
            ("defaultRequest", &default_request),
            ("maxLimitRequestRatio", &ratio),
        ];
        let (prefix, list) = lists
            .into_iter()
            .map(|(what, list)| (format!("{name}/{type_:?}/{what}/"), list))
            .find(|(prefix, _)| supplied.field.starts_with(prefix.as_str()))?;
        Some(list.get(&supplied.field[prefix.len()..]).cloned())
    };
    for told in values.split_off(first) {
        match holds(&told) {
            Some(None) => {}
            Some(Some(amount)) => values.push(moved(told, &amount, values.get(first..).unwrap_or_default())),
            None => values.push(told),
        }
    }
    LimitRangeLimit {
        type_,
        max,
        min,
        default,
        default_request,
        max_limit_request_ratio: ratio,
    }
}

/// What is told of an amount that was moved to this one: whoever asked for that supplied it, or else the bound that it was
/// moved to.
fn moved(told: Supplied, amount: &Quantity, bounds: &[Supplied]) -> Supplied {
    let same = |text: &str| Milli::parse(text) == Milli::try_from(amount);
    if same(&told.value) {
        return told;
    }
    let resource = resource(&told.field).to_owned();
    let of_resource = |bound: &&Supplied| self::resource(&bound.field) == resource;
    let mut asked = vec![(told.by, told.value)];
    asked.extend(told.less);
    let by = asked.iter().find(|(_, text)| same(text)).map(|(place, _)| *place);
    let bound = || bounds.iter().filter(of_resource).find(|bound| same(&bound.value));
    let by = by.or_else(|| bound().map(|bound| bound.by)).unwrap_or(told.by);
    asked.retain(|(place, text)| *place != by && !same(text));
    Supplied {
        less: asked,
        ..Supplied::new(told.field, &amount.0, by)
    }
}

/// The resource that a value is of, by its field: name/type/list/resource.
fn resource(field: &str) -> &str {
    field.splitn(4, '/').nth(3).unwrap_or_default()
}

type ByResource<'a> = BTreeMap<&'a str, Vec<Share<'a, Quantity>>>;

fn by_resource<'a>(asked: &[Share<'a, LimitRangeLimit>], of: fn(&LimitRangeLimit) -> &ResourceList) -> ByResource<'a> {
    let mut resources = ByResource::new();
    for (place, limit) in asked {
        for (resource, amount) in of(limit) {
            resources.entry(resource).or_default().push((*place, amount));
        }
    }
    resources
}

/// Moves what is outside of its bounds to the nearer one.
fn clamp(list: &mut ResourceList, min: &ResourceList, max: &ResourceList) {
    for (resource, amount) in list {
        if let Some(least) = min.get(resource).filter(|least| value(least) > value(amount)) {
            amount.clone_from(least);
        }
        if let Some(most) = max.get(resource).filter(|most| value(most) < value(amount)) {
            amount.clone_from(most);
        }
    }
}

fn value(quantity: &Quantity) -> i128 {
    // What is no quantity was refused before it came here.
    Milli::try_from(quantity).map_or(0, |amount| amount.0)
}
