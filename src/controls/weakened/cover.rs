//! Whether ranges of addresses, or of ports, together cover all that there are.

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Map, Value};

/// From the first to the last, both of them in it.
pub(super) type Range = (u128, u128);

/// All ports.
pub(super) const PORTS: Range = (1, 65535);

const IPV4: Range = (0, u32::MAX as u128);
const IPV6: Range = (0, u128::MAX);

/// Whether ranges together cover all of a range. Sorts them.
pub(super) fn covers(ranges: &mut [Range], (first, last): Range) -> bool {
    ranges.sort_unstable();
    let mut next = first;
    for (from, to) in ranges {
        if *from > next {
            return false;
        }
        if *to >= last {
            return true;
        }
        next = next.max(*to + 1);
    }
    false
}

/// How many there are in ranges together, at most as many as there are numbers less one. Sorts them.
fn covered(ranges: &mut [Range]) -> u128 {
    ranges.sort_unstable();
    let (mut count, mut next) = (0_u128, 0_u128);
    for (from, to) in ranges {
        let first = next.max(*from);
        if first <= *to {
            count = count.saturating_add((*to - first).saturating_add(1));
        }
        next = next.max(to.saturating_add(1));
    }
    count
}

/// The ports of TCP that a rule is for: all of them, where it does not say. Ports of other protocols, and ports with
/// a name, are none of them.
pub(super) fn ports(rule: &Map<String, Value>) -> Vec<Range> {
    let Some(ports) = rule.get("ports") else {
        return vec![PORTS];
    };
    let tcp = ports
        .as_array()
        .into_iter()
        .flatten()
        .filter(|p| p["protocol"] == "TCP");
    tcp.filter_map(|port| {
        let Some(first) = port.get("port") else {
            return Some(PORTS);
        };
        let first = u128::from(first.as_u64()?);
        Some((first, port["endPort"].as_u64().map_or(first, u128::from)))
    })
    .collect()
}

/// Blocks of addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    v4: Vec<Range>,
    v6: Vec<Range>,
}

impl Blocks {
    /// Whether they cover all of IPv4, or all of IPv6.
    pub(super) fn is_everything(&mut self) -> bool {
        covers(&mut self.v4, IPV4) || covers(&mut self.v6, IPV6)
    }

    /// Whether they cover more than half of IPv4, or of IPv6.
    pub(super) fn is_most(&mut self) -> bool {
        let most = |ranges: &mut [Range], (_, last): Range| covered(ranges) > last / 2 + 1;
        self.is_everything() || most(&mut self.v4, IPV4) || most(&mut self.v6, IPV6)
    }

    pub(super) fn extend(&mut self, others: &Self) {
        self.v4.extend(&others.v4);
        self.v6.extend(&others.v6);
    }

    pub(super) fn add_everything(&mut self) {
        self.v4.push(IPV4);
    }

    /// Adds an `ipBlock`, without what its `except` takes out.
    pub(super) fn add(&mut self, block: &Value) {
        let Some(net) = parse(&block["cidr"]) else { return };
        let excepts = block["except"].as_array().into_iter().flatten().filter_map(parse);
        let same_family = |other: &IpNet| matches!(other, IpNet::V4(_)) == matches!(net, IpNet::V4(_));
        let excepts = excepts.filter(same_family).map(|e| range(&e)).collect();
        let into = match net {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        };
        without(range(&net), excepts, into);
    }
}

/// Pushes what is left of a range.
fn without((mut first, last): Range, mut excepts: Vec<Range>, into: &mut Vec<Range>) {
    excepts.sort_unstable();
    for (from, to) in excepts {
        if from > last {
            break;
        }
        if from > first {
            into.push((first, from - 1));
        }
        if to >= last {
            return;
        }
        first = first.max(to + 1);
    }
    into.push((first, last));
}

fn range(net: &IpNet) -> Range {
    match net {
        IpNet::V4(net) => (net.network().to_bits().into(), net.broadcast().to_bits().into()),
        IpNet::V6(net) => (net.network().to_bits(), net.broadcast().to_bits()),
    }
}

/// Reads a CIDR as the API server does (source: `ParseCIDRSloppy` of Kubernetes): numbers may begin with zeros, and bits
/// may be set that the length masks. IPv4 in the notation of IPv6 (`::ffff:0:0/96`) is IPv4.
fn parse(cidr: &Value) -> Option<IpNet> {
    let mut plain = String::new();
    let text = cidr.as_str()?;
    let mut in_number = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let number_goes_on = characters.peek().is_some_and(char::is_ascii_hexdigit);
        if c == '0' && !in_number && number_goes_on {
            continue;
        }
        in_number = c.is_ascii_hexdigit();
        plain.push(c);
    }
    let net: IpNet = plain.parse().ok()?;
    if let IpNet::V6(six) = &net
        && let (Some(address), Some(length)) = (six.addr().to_ipv4_mapped(), six.prefix_len().checked_sub(96))
    {
        return Ipv4Net::new(address, length).ok().map(IpNet::V4);
    }
    Some(net)
}
